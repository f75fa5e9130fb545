"""The store's promises on a real PostgreSQL server: what test_store.py says of a file, then dispatchers, kills, commands."""

import inspect
import os
import signal
import subprocess
import sys
import uuid
import warnings
from concurrent.futures import ThreadPoolExecutor

import later
import postgres
import psycopg
import pytest
import sqlalchemy as sa
import test_migrations
import test_store
from plans import bare
from reliability import trial

from ablate.errors import NoDatabaseError, StoreError
from ablate.store import migrate, schema
from ablate.store.store import Store

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server():
    why = postgres.missing()
    if why:
        warnings.warn(
            f"nothing was tried on PostgreSQL: {why}", stacklevel=1
        )  # the summary shows it, not a letter only
        pytest.skip(why)
    with postgres.server() as address:
        yield address


@pytest.fixture
def url(server):
    return postgres.new_database(server, uuid.uuid4().hex)


@pytest.fixture
def store(url):
    with Store.open(url, write=True) as opened:
        opened.save_plan(bare(), "text", test_store.cells("k0", "k1"), {"k0": "{}", "k1": "{}"})
        yield opened


for _name, _test in list(vars(test_store).items()):
    if _name.startswith("test_") and list(inspect.signature(_test).parameters) == ["store"]:
        globals()[_name] = _test


def test_a_reader_changes_nothing(url, store):
    with Store.open(url) as reader, pytest.raises(StoreError, match="opened to be read"):
        test_store.claim(reader, "k0", "t")
    assert [] == store.live()


def test_an_empty_database_is_none_yet_to_a_reader(url):
    with pytest.raises(NoDatabaseError, match="yet: it is empty"):
        Store.open(url)


def test_other_programs_tables_are_no_hindrance_unless_they_are_called_like_ours(server):
    for name, fits in (("mine", True), ("run", False)):
        address = postgres.new_database(server, uuid.uuid4().hex)
        with psycopg.connect(address) as connection:
            connection.execute(f"CREATE TABLE {name} (x int)")
        if fits:
            Store.open(address, write=True).close()
        else:
            with pytest.raises(StoreError, match="not one of ablate's: it holds run"):
                Store.open(address, write=True)


def test_twenty_that_open_a_new_database_at_once_make_one_schema(url):
    with ThreadPoolExecutor(20) as pool:
        for opened in pool.map(lambda _: Store.open(url, write=True), range(20)):
            opened.close()
    with Store.open(url) as reader:
        assert [] == reader.studies()


def test_of_twenty_who_claim_a_run_at_once_one_gets_it(url, store):
    def claim(number):
        with Store.open(url, write=True) as mine:
            return test_store.claim(mine, "k0", f"t{number}", slot=number)

    with ThreadPoolExecutor(20) as pool:
        assert 1 == sum(pool.map(claim, range(20)))


STOPPED = """
import os, signal, sys
from ablate.store import schema
schema.STOPPED_S = 0.5
from ablate.errors import StoreError
from ablate.store.store import Store
store = Store.open(sys.argv[1], write=True)
try:
    with store.transaction():
        store.requeue(["k0"])
        os.kill(os.getpid(), signal.SIGSTOP)
        store.requeue(["k0"])
except StoreError as error:
    print(error)
"""


def test_only_what_another_connection_commits_is_another_version(url, store):
    with Store.open(url, write=True) as theirs:
        test_store.others_do_and_we_do_not(store, theirs)


def test_a_writer_that_is_stopped_in_a_transaction_is_cut_off_and_told_so(url, store):
    stopped = subprocess.Popen([sys.executable, "-c", STOPPED, url], stdout=subprocess.PIPE, text=True)
    os.waitpid(stopped.pid, os.WUNTRACED)
    assert test_store.claim(store, "k0", "t"), "the others go on"
    stopped.send_signal(signal.SIGCONT)
    said, _ = stopped.communicate(timeout=60)
    assert "the database server ended the connection" in said
    assert postgres.PASSWORD not in said
    assert postgres.SHOWN not in said


@pytest.fixture
def older(url):
    with Store.open(url, write=True) as store:
        test_migrations.filled(store)
    return url


def test_the_revisions_from_the_first_on_make_the_tables_of_today(server):
    told = []
    for make in (schema.tables.create_all, lambda connection: migrate.apply(connection, 0)):
        engine = schema.server_engine(schema.database_url(postgres.new_database(server, uuid.uuid4().hex)), write=True)
        with engine.begin() as connection:
            make(connection)
            indices = connection.exec_driver_sql(
                "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
            )
            told.append((test_migrations.form(connection), sorted(map(tuple, indices))))
        engine.dispose()
    assert told[0] == told[1]


def test_an_older_database_is_brought_up_to_date_by_who_writes_only(older, tmp_path, monkeypatch):
    monkeypatch.setattr(migrate, "FOLDER", later.shelf(tmp_path / "shelf"))
    monkeypatch.setattr(schema, "SCHEMA_VERSION", later.NEXT)
    with pytest.raises(StoreError, match="`ablate migrate`") as refused:
        Store.open(older)
    assert postgres.PASSWORD not in str(refused.value)
    assert test_migrations.check_migrated(older)


def test_a_kill_in_the_middle_of_a_migration_leaves_the_old_form_whole(older, tmp_path):
    folder = later.shelf(tmp_path / "shelf", "import os; os.kill(os.getpid(), 9)")
    assert -signal.SIGKILL == test_migrations.as_another_process(folder, older).wait()
    with Store.open(older, write=True) as store, store.transaction() as connection:
        assert schema.SCHEMA_VERSION == connection.execute(sa.select(schema.version.c.version)).scalar_one()
        assert not sa.inspect(connection).has_table("note")


def test_of_six_processes_that_come_at_once_one_migrates_and_the_others_wait(older, tmp_path):
    folder = later.shelf(tmp_path / "shelf", test_migrations.COUNTED)
    processes = [test_migrations.as_another_process(folder, older) for _ in range(6)]
    assert [0] * 6 == [process.wait() for process in processes]
    assert "x" == (folder / "done").read_text()


@pytest.mark.parametrize(("who", "at"), [("dispatcher", 30), ("workers", 60), ("both", 90), ("server", 120)])
def test_a_kill_loses_nothing_and_repeats_nothing(tmp_path, url, who, at):
    assert trial(tmp_path, who, at, database=url).promises_kept


TASK = """
import time

def main(config, run):
    time.sleep(0.02)
    return {"score": config["x"] + run.seed, "Zeta": 1.0, "alpha": 2.0}
"""
STUDY = (
    "task: brief:main\nbase: {x: 0}\ntricks:\n  ex: {set: {x: 1}}\nmetric: {name: score, better: higher}\nseeds: 20\n"
)


def test_two_dispatchers_share_a_study_and_every_command_says_what_it_says_of_a_file(tmp_path, url):
    (tmp_path / "brief.py").write_text(TASK)
    (tmp_path / "s.yaml").write_text(STUDY)

    def ablate(*words, db=url):
        command = [sys.executable, "-m", "ablate", "--db", db, *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        said = done.stdout + done.stderr
        assert postgres.PASSWORD not in said
        assert postgres.SHOWN not in said
        assert 0 == done.returncode, said
        return done.stdout

    with ThreadPoolExecutor(2) as pool:
        tables = list(pool.map(lambda _: ablate("run", "s.yaml", "--workers", "2"), range(2)))
    assert tables[0] == tables[1]
    with Store.open(url) as store:
        assert {"done": 40} == {"done": sum(cell.state == "done" for cell in store.cells("s"))}
        assert all(cell.attempts == 1 for cell in store.cells("s"))
    ablate("run", "s.yaml", db="file.db")
    for words in (["table"], ["table", "--format", "json"], ["status"], ["plan", "s.yaml"], ["list", "studies"]):
        assert ablate(*words) == ablate(*words, db="file.db"), words
    exports = [
        [line.split(",") for line in ablate("export", "--format", "csv", db=db).splitlines()] for db in (url, "file.db")
    ]
    assert exports[0] == exports[1]
    ablate("doctor")
    ablate("show", "base:0")
    ablate("why", "base:0")
