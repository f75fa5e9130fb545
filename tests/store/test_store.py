"""A real SQLite file, written and read as a dispatcher and a reader would."""

import os
import signal
import sqlite3
import subprocess
import sys

import numpy as np
import pytest
import sqlalchemy as sa
from plans import bare

from ablate.errors import AblateError, NoDatabaseError, StoreError
from ablate.store import migrate
from ablate.store.store import Store
from ablate.store.stored import Elsewhere
from ablate.training.examples import Examples, ExampleSet, of_numbers

HERE = {"host": "h", "boot": "b", "owner": "1:1", "log": "runs/k", "lease_s": 30.0}


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "a.db", write=True) as opened:
        opened.save_plan(bare(), "text", cells("k0", "k1"), {"k0": "{}", "k1": "{}"})
        yield opened


def cells(*keys):
    return [("full", seed, "ablation", key) for seed, key in enumerate(keys)]


def claim(store, key, token, slot=0):
    return store.claim(key, token, device="cpu", slot=slot, **HERE)


def test_a_plan_is_read_back_in_its_order(store):
    assert [("full", 0, "k0", "todo"), ("full", 1, "k1", "todo")] == [
        (c.variant, c.seed, c.run, c.state) for c in store.cells("s")
    ]
    assert bare() == store.study(None).record


def test_a_study_is_found_by_its_name_by_its_file_or_as_the_last_one(store, tmp_path):
    store.save_plan(bare("50 %_é", file=str(tmp_path / "50 %_é.yaml")), "", [], {})
    assert ["50 %_é"] * 2 == [store.find(name).name for name in (None, str(tmp_path / "50 %_é.yaml"))]
    assert ["s", "s"] == [store.find(name).name for name in ("s", "elsewhere/s.yaml")]


def test_a_study_that_is_not_there_is_told_with_those_that_are(store):
    store.save_plan(bare("batchnorm"), "", [], {})
    with pytest.raises(AblateError) as told:
        store.find("batchnrm")
    assert "has batchnorm or s. Did you mean 'batchnorm'? A study file is named by its path." in str(told.value)


def test_a_damaged_plan_stands_in_the_way_of_its_own_study_only(store, tmp_path):
    store.save_plan(bare("whole", file=str(tmp_path / "whole.yaml")), "", [], {})
    with store.transaction() as connection:
        connection.execute(sa.text("UPDATE study SET resolved = '{}' WHERE name = 's'"))
    assert "whole" == store.find(str(tmp_path / "whole.yaml")).name
    with pytest.raises(StoreError, match="the stored plan of 's' has no task as ablate writes it"):
        store.find("s")


def test_a_finished_run_is_counted_with_its_metrics(store):
    assert claim(store, "k0", "t")
    store.started("t", 7, 8)
    store.progress([("t", 1, {"acc": 0.5})])
    assert store.finish("t", {"acc": 0.75}, {"weights": "ab"}, {"torch": "2"})
    assert [("full", 0, "acc", 0.75)] == store.values("s")
    assert [("full", 0, "acc", 1, 0.5)] == store.curve_values("s")
    assert {"weights": "ab"} == store.counted("s")[0].outputs


def test_a_run_is_claimed_once(store):
    assert claim(store, "k0", "t", slot=0)
    assert not claim(store, "k0", "u", slot=1)


def test_a_slot_is_claimed_once_and_is_free_again_when_its_run_ends(store):
    assert claim(store, "k0", "t")
    assert not claim(store, "k1", "u")
    store.finish("t", {}, {}, {})
    assert claim(store, "k1", "u")


def test_a_late_result_is_refused_and_noted(store):
    claim(store, "k0", "old")
    store.fail("old", "lost", "its lease ended", again=True)
    claim(store, "k0", "new")
    assert not store.finish("old", {"acc": 1.0}, {}, {})
    assert store.finish("new", {"acc": 2.0}, {}, {})
    assert not store.finish("old", {"acc": 1.0}, {}, {})
    assert [2.0] == [value for *_, value in store.values("s")]
    assert "came late" in store.attempts("k0")[0].late


def test_a_lease_that_was_taken_over_is_not_renewed(store):
    claim(store, "k0", "old")
    store.fail("old", "lost", "", again=True)
    claim(store, "k1", "t")
    assert {"t"} == store.renew(["old", "t"], 30)


def test_an_expired_lease_is_seen_by_the_databases_clock(store):
    store.claim("k0", "t", device="cpu", slot=0, **(HERE | {"lease_s": -1.0}))
    assert [True] == [attempt.expired for attempt in store.live()]


def test_cancelled_attempts_do_not_count(store):
    for token, reason in [("a", "cancelled"), ("b", "lost")]:
        claim(store, "k0", token)
        store.fail(token, reason, "", again=True)
    assert 1 == store.states(["k0"])["k0"].attempts


def test_a_plan_made_again_drops_cells_and_keeps_results(store):
    claim(store, "k0", "t")
    store.finish("t", {"acc": 1.0}, {}, {})
    store.save_plan(bare(), "", cells("k1"), {"k1": "{}"})
    assert ["k1"] == [cell.run for cell in store.cells("s")]
    store.save_plan(bare(), "", cells("k0", "k1"), {"k0": "{}", "k1": "{}"})
    assert ["done", "todo"] == [cell.state for cell in store.cells("s")]


def test_a_transaction_that_fails_leaves_nothing(store):
    with pytest.raises(RuntimeError), store.transaction():
        claim(store, "k0", "t")
        raise RuntimeError
    assert [] == store.live()
    assert "todo" == store.states(["k0"])["k0"].state


def test_a_reader_changes_nothing_and_makes_no_file(tmp_path, store):
    with pytest.raises(StoreError, match="there is no database"):
        Store.open(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()
    with Store.open(tmp_path / "a.db") as reader, pytest.raises(StoreError, match="may not be written"):
        claim(reader, "k0", "t")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_bytes(b"no database at all" * 100), "no SQLite database"),
        (lambda path: sqlite3.connect(path).execute("CREATE TABLE mine (x)").connection.close(), "not one of ablate's"),
        (lambda path: path.mkdir(), "cannot be opened"),
    ],
)
def test_a_file_that_is_no_database_of_ours_is_refused_in_words(tmp_path, make, message):
    make(tmp_path / "x.db")
    with pytest.raises(StoreError, match=message):
        Store.open(tmp_path / "x.db")


OTHERS = {
    "run": "CREATE TABLE run (id INTEGER PRIMARY KEY, state TEXT); INSERT INTO run VALUES (1, 'mine')",
    "study": "CREATE TABLE study (name TEXT)",
    "cell": "CREATE TABLE cell (x)",
    "none of our names": "CREATE TABLE mine (x)",
    "a view": "CREATE VIEW run AS SELECT 1 AS id",
    "written with WAL": "PRAGMA journal_mode=WAL; CREATE TABLE run (id)",
    "its own schema_version": "CREATE TABLE schema_version (version TEXT); INSERT INTO schema_version VALUES ('1.2')",
    "a number there": "CREATE TABLE schema_version (version INTEGER); INSERT INTO schema_version VALUES (7)",
    "no number there": ";".join(f"CREATE TABLE {name} (version)" for name in sorted(migrate.FIRST)),
}


@pytest.mark.parametrize("tables", OTHERS.values(), ids=OTHERS)
def test_another_programs_database_is_told_and_left_as_it_is(tmp_path, tables):
    raw = sqlite3.connect(tmp_path / "other.db")
    raw.executescript(tables)
    raw.close()
    before = (tmp_path / "other.db").read_bytes()
    for write in (True, False):
        with pytest.raises(StoreError, match=r"not one of ablate's: it holds .*\. It was left as it is"):
            Store.open(tmp_path / "other.db", write=write)
    assert before == (tmp_path / "other.db").read_bytes()


def test_a_newer_schema_is_readable_but_not_writable(tmp_path, store):
    raw = sqlite3.connect(tmp_path / "a.db")
    raw.execute("UPDATE schema_version SET version = 99")
    raw.commit()
    raw.close()
    with pytest.raises(StoreError, match="newer ablate"):
        Store.open(tmp_path / "a.db", write=True)
    with Store.open(tmp_path / "a.db") as reader:
        assert ["s"] == reader.studies()


def test_twenty_dispatchers_that_open_a_new_file_at_once_make_one_schema(tmp_path):
    code = "import sys; from ablate.store.store import Store; Store.open(sys.argv[1], write=True).close()"
    started = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "n.db")]) for _ in range(20)]
    assert [0] * 20 == [process.wait() for process in started]
    with Store.open(tmp_path / "n.db") as reader:
        assert [] == reader.studies()


def test_a_reader_recovers_the_hot_journal_of_a_killed_writer(tmp_path, store):
    """The writer is killed inside a transaction whose pages are on disk already, so only the journal can undo it."""
    code = (
        "import os, signal, sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('PRAGMA journal_mode=TRUNCATE'); c.execute('PRAGMA cache_size=1'); c.execute('PRAGMA cache_spill=1')\n"
        "c.execute('BEGIN IMMEDIATE'); c.execute('DELETE FROM cell')\n"
        "c.executemany('INSERT INTO run (key, config, state) VALUES (?, ?, ?)',"
        " [(str(i), 'x' * 3000, 'todo') for i in range(300)])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    store.close()
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.db")])
    assert -signal.SIGKILL == killed.returncode
    assert os.path.getsize(tmp_path / "a.db-journal") > 0
    with Store.open(tmp_path / "a.db") as reader:
        assert 2 == len(reader.cells("s"))


def test_a_password_in_a_url_is_never_shown():
    with pytest.raises(StoreError) as caught:
        Store.open("postgresql://me:hunter2@127.0.0.1:1/none")
    assert "hunter2" not in str(caught.value)


def test_an_empty_file_is_no_database_yet_and_no_other_programs(tmp_path):
    """What a reader finds that comes between a dispatcher's making the file and its tables."""
    (tmp_path / "new.db").touch()
    with pytest.raises(NoDatabaseError, match=r"there is no database at .*new\.db yet"):
        Store.open(tmp_path / "new.db")
    sqlite3.connect(tmp_path / "other.db").execute("CREATE TABLE t (x)").connection.close()
    with pytest.raises(StoreError, match="not one of ablate's"):
        Store.open(tmp_path / "other.db")


def test_runs_executed_elsewhere_are_kept_in_one_go_and_a_known_one_has_its_result(store):
    asked = [("base", seed, "ablation", str(seed)) for seed in range(1200)]
    store.save_plan(bare(), "", asked, {str(seed): "{}" for seed in range(1200)})
    ended = [Elsewhere(str(seed), "import", {"acc": float(seed)}, {"line": seed}) for seed in range(1199)]
    store.keep_elsewhere([*ended, Elsewhere("1199", "import", {}, {}, "diverged", "acc is nan")])
    store.keep_elsewhere([Elsewhere("7", "import", {"acc": 0.0})])
    assert {(seed, float(seed)) for seed in range(1199)} == {(s, v) for _, s, _, v in store.values("s", None)}
    assert ("failed", "diverged") == (store.states(["1199"])["1199"].state, store.states(["1199"])["1199"].reason)
    assert {"1199": "acc is nan"} == store.failure_messages("s")


def test_examples_come_back_in_the_order_asked_for_and_their_set_is_kept_once(store):
    of_set = ExampleSet(("a", "b"), (0, 1), (), ("cat", "dog"))
    keys = [f"k{n}" for n in range(120)]
    store.save_plan(bare(), "", cells(*keys), dict.fromkeys(keys, "{}"))
    for n, key in enumerate(keys[:-1]):
        claim(store, key, f"t{n}")
        loss = of_numbers("loss", np.array([n, n + 0.5]))
        assert store.finish(f"t{n}", {}, {}, {}, Examples(of_set.fingerprint, of_set.text, (loss,)))
    read = list(store.examples(reversed(keys), "loss"))
    assert keys[-2::-1] == [of.run for of in read]
    assert [118.0, 118.5] == read[0].column.values().tolist()
    assert {of_set.fingerprint: of_set} == store.example_sets({of.examples for of in read})
    assert [] == list(store.examples(keys, "accuracy")) == list(store.examples(keys, "loss", "best"))


def test_examples_found_out_later_belong_to_the_counted_attempt_and_replace_what_was_kept(store):
    of_set = ExampleSet(("a", "b"))
    for n in (1.0, 2.0):
        column = of_numbers("loss", np.array([n, n]))
        store.keep_examples({"k0": Examples(of_set.fingerprint, of_set.text, (column,))})
    assert {} == store.with_examples(["k0"]), "it has no result"
    claim(store, "k0", "t")
    store.finish("t", {}, {}, {})
    store.keep_examples({"k0": Examples(of_set.fingerprint, of_set.text, (column,))})
    store.keep_examples({"k0": Examples(of_set.fingerprint, of_set.text, (of_numbers("loss", np.array([3.0, 4.0])),))})
    assert {"k0": {("loss", "last"): of_set.fingerprint}} == store.with_examples(["k0"])
    assert [3.0, 4.0] == next(store.examples(["k0"], "loss")).column.values().tolist()


def test_only_what_another_connection_commits_is_another_version(tmp_path):
    with Store.open(tmp_path / "a.db", write=True) as ours, Store.open(tmp_path / "a.db", write=True) as theirs:
        others_do_and_we_do_not(ours, theirs)


def others_do_and_we_do_not(ours, theirs):
    def writes(store, text):
        store.save_plan(bare(), text, [("v", 0, "ablation", "k")], {"k": "{}"})

    writes(ours, "a")
    before = ours.version()
    writes(ours, "b")
    theirs.states(["k"])
    assert before == ours.version()
    writes(theirs, "c")
    writes(ours, "d")  # hides nothing
    after = ours.version()
    assert before != after
    with pytest.raises(ZeroDivisionError), theirs.transaction():
        writes(theirs, "e")
        raise ZeroDivisionError
    assert after == ours.version()


def test_a_run_that_waits_ahead_gets_the_slot_of_one_that_ended_and_no_slot_that_is_in_use(store):
    assert claim(store, "k0", "t0", slot=0)
    assert claim(store, "k1", "t1", slot=7)
    store.place([("t1", "cpu", 0)])
    assert {0, 7} == {attempt.slot for attempt in store.live()}
    with store.transaction():
        store.finish("t0", {}, {}, {})
        store.place([("t1", "cpu", 0)])
    assert [("t1", 0)] == [(attempt.token, attempt.slot) for attempt in store.live()]
