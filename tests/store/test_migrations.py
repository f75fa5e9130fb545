"""An older database is brought up to date: whole or not at all, by one process, and by nobody who only reads."""

import os
import re
import signal
import sqlite3
import subprocess
import sys

import later
import pytest
import sqlalchemy as sa
import test_store
from plans import bare

from ablate.errors import StoreError
from ablate.store import migrate, schema
from ablate.store.store import Store
from ablate.terminal import cli, manual

TODAY = schema.SCHEMA_VERSION


@pytest.fixture
def database(tmp_path):
    """A database of today's form, with a finished and a failed run."""
    with Store.open(tmp_path / "a.db", write=True) as store:
        filled(store)
    return tmp_path / "a.db"


def filled(store):
    store.save_plan(bare(), "text", test_store.cells("k0", "k1"), {"k0": "{}", "k1": "{}"})
    test_store.claim(store, "k0", "t0")
    store.finish("t0", {"acc": 1.0}, {}, {})
    test_store.claim(store, "k1", "t1")
    store.fail("t1", "error", "it broke", again=False)


@pytest.fixture
def as_later(database, tmp_path, monkeypatch):  # which today's ablate has written before
    """From here on this process is the later ablate."""
    monkeypatch.setattr(migrate, "FOLDER", later.shelf(tmp_path / "shelf"))
    monkeypatch.setattr(schema, "SCHEMA_VERSION", later.NEXT)


def check_migrated(where):
    with Store.open(where, write=True) as store:
        assert [("full", 0, "acc", 1.0)] == store.values("s")
        assert ["it broke"] == list(store.failure_messages("s").values())
        with store.transaction() as connection:
            assert [("k1", "failed")] == connection.exec_driver_sql("SELECT run, text FROM note").fetchall()
            assert [(later.NEXT,)] == connection.exec_driver_sql("SELECT version FROM schema_version").fetchall()
        assert test_store.claim(store, "k1", "t2") is False, "its rows and its state are as they were"
    return True


def form(connection):
    """What a database's tables are, whatever the order in which their columns came."""
    inspector = sa.inspect(connection)
    told = {}
    for name in sorted(inspector.get_table_names()):
        columns = {(c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns(name)}
        indices = {(i["name"], *i["column_names"], i["unique"]) for i in inspector.get_indexes(name)}
        unique = {tuple(u["column_names"]) for u in inspector.get_unique_constraints(name)}
        told[name] = (columns, indices, unique, tuple(inspector.get_pk_constraint(name)["constrained_columns"]))
    return told


def sqlite_form(connection):
    """The same, and what only SQLite has: tables without row ids, and the conditions of indices."""
    rowid = connection.exec_driver_sql("SELECT name, wr FROM pragma_table_list WHERE schema = 'main'").fetchall()
    indices = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'index'").fetchall()
    return form(connection), sorted(rowid), sorted(indices, key=str)


def test_the_revisions_from_the_first_on_make_the_tables_of_today():
    engines = [sa.create_engine("sqlite://"), sa.create_engine("sqlite://")]
    with engines[0].connect() as created, engines[1].connect() as migrated:
        schema.tables.create_all(created)
        migrate.apply(migrated, 0)
        assert sqlite_form(created) == sqlite_form(migrated)
    for engine in engines:
        engine.dispose()


def test_the_last_revision_is_the_form_of_this_ablate_and_none_is_missing():
    numbers = [int(revision.revision) for revision in migrate.revisions()]
    assert list(range(1, schema.SCHEMA_VERSION + 1)) == numbers
    names = sorted(path.name[:5] for path in migrate.FOLDER.glob("v*.py"))
    assert [f"v{number:04d}" for number in numbers] == names


def test_the_manuals_page_has_every_table_and_column():
    page = manual.page("database")
    for table in schema.tables.sorted_tables:
        row = re.search(rf"^\| `{table.name}` \|.*$", page, re.MULTILINE)
        assert row, table.name
        assert set() == {column.name for column in table.columns} - set(re.findall(r"`(\w+)`", row.group()))


@pytest.mark.usefixtures("as_later")
def test_who_writes_brings_an_older_database_up_to_date_and_keeps_what_it_holds(database):
    assert check_migrated(database)


@pytest.mark.usefixtures("as_later")
def test_who_reads_an_older_database_is_told_the_command_and_changes_nothing(database):
    before = database.read_bytes()
    with pytest.raises(StoreError, match=rf"older ablate \(schema {TODAY}; this one: {TODAY + 1}\)\. `ablate migrate`"):
        Store.open(database)
    assert before == database.read_bytes()


@pytest.mark.usefixtures("as_later")
def test_migrate_says_what_it_did_and_then_that_there_is_nothing_to_do(database, capsys):
    for said in (f"brought from schema {TODAY} to {TODAY + 1}", f"is up to date: schema {TODAY + 1}"):
        with pytest.raises(SystemExit) as ended:
            cli.main(["--db", str(database), "migrate"])
        assert not ended.value.code
        assert said in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run s", "tune s", "retry s --failed", "predict s", "verify k0"])
@pytest.mark.usefixtures("as_later")
def test_a_command_that_writes_brings_an_older_database_up_to_date_before_it_reads(database, capsys, command):
    with pytest.raises(SystemExit):
        cli.main(["--db", str(database), *command.split()])
    assert f"brought from schema {TODAY} to {TODAY + 1}" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run s", "verify k0"])
def test_a_database_of_a_newer_ablate_is_refused_before_anything_is_trained(database, capsys, monkeypatch, command):
    monkeypatch.setattr(schema, "SCHEMA_VERSION", TODAY - 1)
    with pytest.raises(SystemExit):
        cli.main(["--db", str(database), *command.split()])
    assert f"written by a newer ablate (schema {TODAY}; this one: {TODAY - 1})" in capsys.readouterr().err


@pytest.mark.usefixtures("as_later")
def test_while_an_older_ablate_executes_runs_its_database_stays_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(schema, "SCHEMA_VERSION", later.NEXT - 1)
    with Store.open(tmp_path / "b.db", write=True) as older:
        older.save_plan(bare(), "", test_store.cells("k0"), {"k0": "{}"})
        assert test_store.claim(older, "k0", "t")
        monkeypatch.setattr(schema, "SCHEMA_VERSION", later.NEXT)
        with pytest.raises(StoreError, match="still executes 1 run on h"):
            Store.open(tmp_path / "b.db", write=True)
        assert older.finish("t", {"acc": 1.0}, {}, {})
    Store.open(tmp_path / "b.db", write=True).close()


def as_another_process(folder, where, **options):
    code = [sys.executable, later.__file__, str(folder), str(where)]
    return subprocess.Popen(code, **options)


KILLED = (
    "import os; c = op.get_bind(); c.exec_driver_sql('PRAGMA cache_size=1'); c.exec_driver_sql('PRAGMA cache_spill=1'); "
    "[c.exec_driver_sql(\"INSERT INTO note VALUES (?, ?)\", (str(i), 'x' * 3000)) for i in range(300)]; "
    "os.kill(os.getpid(), 9)"
)


def test_a_kill_in_the_middle_leaves_the_old_form_whole(database, tmp_path):
    """The pages that were changed are on the disk already, so only the journal can undo them."""
    assert -signal.SIGKILL == as_another_process(later.shelf(tmp_path / "shelf", KILLED), database).wait()
    assert os.path.getsize(f"{database}-journal") > 0
    with Store.open(database) as reader:
        assert [("full", 0, "acc", 1.0)] == reader.values("s")
    raw = sqlite3.connect(database)
    assert [(TODAY,)] == raw.execute("SELECT version FROM schema_version").fetchall()
    assert (
        [] == raw.execute("SELECT name FROM sqlite_master WHERE name LIKE 'note' OR name LIKE '%alembic%'").fetchall()
    )
    raw.close()


def test_a_revision_that_fails_leaves_the_old_form_whole(database, tmp_path):
    done = as_another_process(later.shelf(tmp_path / "shelf", "1 / 0"), database, stderr=subprocess.DEVNULL)
    assert 1 == done.wait()
    with Store.open(database, write=True) as store:
        assert "done" == store.states(["k0"])["k0"].state


COUNTED = "import os, time; time.sleep(0.3); open(os.path.join(os.path.dirname(__file__), 'done'), 'a').write('x')"


def test_of_six_processes_that_come_at_once_one_migrates_and_the_others_wait(database, tmp_path):
    folder = later.shelf(tmp_path / "shelf", COUNTED)
    assert [0] * 6 == [process.wait() for process in [as_another_process(folder, database) for _ in range(6)]]
    assert "x" == (folder / "done").read_text()


def test_alembic_is_loaded_for_an_older_database_only(database, tmp_path):
    code = f"import sys\nfrom ablate.store.store import Store\nStore.open({str(database)!r}, write=True).close()\n"
    done = subprocess.run([sys.executable, "-c", f"{code}assert 'alembic' not in sys.modules"], capture_output=True)
    assert 0 == done.returncode, done.stderr
