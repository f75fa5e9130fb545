"""What `ablate gc` lists and removes, and what it must never touch."""

import json
import os

import pytest
from plans import bare

from ablate.pool import ending, groups, host
from ablate.pool.executor import Needs
from ablate.pool.folders import of_attempt, take_over
from ablate.pool.messages import Setup
from ablate.records import RunSpec, TaskUse
from ablate.registry import Registry
from ablate.runs import garbage
from ablate.store.store import Store

KEYS = {name: name * 64 for name in "abcdef"}


@pytest.fixture
def store(tmp_path):
    with opened(tmp_path / "one.db") as store:
        yield store


def opened(path):
    """A database whose study asks for the runs a to f."""
    store = Store.open(path, write=True)
    ask(store, *KEYS)
    return store


def ask(store, *names, configs=None):
    cells = [("v", seed, "ablation", KEYS[name]) for seed, name in enumerate(names)]
    runs = {KEYS[name]: json.dumps({"data": f"data-{name}", **(configs or {}).get(name, {})}) for name in names}
    store.save_plan(bare(seeds=tuple(range(len(names)))), "", cells, runs)


def attempt(store, name, token="0123", *, ends="done", outputs=None, provenance=None, **where):
    """An attempt with a file in its folder; where it ends well it counts."""
    folder = str(store.folder / "s" / "runs" / KEYS[name])
    spec = RunSpec(KEYS[name], TaskUse("t"), {}, (), 0, 1, folder, "")
    spec, token = of_attempt(spec, token + name, store), token + name
    where = {"host": host.host(), "boot": host.boot(), **where}
    log = store.log_of(store.folder / spec.folder)
    assert store.claim(KEYS[name], token, owner="1:1", device="cpu", slot=ord(name), lease_s=9, log=log, **where)
    take_over(spec)
    made = store.folder / spec.folder / "last.pt"
    made.write_bytes(bytes(1000))
    if ends == "done":
        store.finish(token, {"m": 1.0}, outputs or {}, provenance or {})
    elif ends:
        store.fail(token, ends, "", again=True)
    return made


def removed(store, *kinds):
    """What a look lists, removed; the names of the items' kinds."""
    found = garbage.find(store, kinds or garbage.KINDS)
    garbage.remove(found, store, pytest.fail)
    return [item.kind for item in found.items]


def test_a_dropped_run_goes_with_its_numbers_and_files_and_what_is_asked_for_stays(store):
    kept, dropped = attempt(store, "a"), attempt(store, "b")
    ask(store, "a")
    never, executed = garbage.find(store, ["runs"]).items
    assert (4, (KEYS["b"],), True) == (len(never.keys), executed.keys, executed.size > 1000)
    assert dropped.exists(), "a look changes nothing"
    assert ["runs", "runs"] == removed(store)
    assert ([KEYS["a"]], True, False) == (store.run_keys(""), kept.exists(), dropped.parent.exists())
    assert () == garbage.find(store).items


def test_a_run_that_is_asked_for_again_meanwhile_stays(store):
    made = attempt(store, "b")
    ask(store, "a")
    found = garbage.find(store)
    ask(store, "a", "b")
    garbage.remove(found, store, pytest.fail)
    assert ({KEYS["a"], KEYS["b"]}, True) == (set(store.run_keys("")), made.exists())


def test_after_a_kill_between_rows_and_folders_the_next_look_finds_the_folders(store):
    made = attempt(store, "b")
    ask(store, "a")
    store.forget([KEYS["b"]])
    assert made.exists()
    assert ["runs", "attempts"] == removed(store)
    assert not made.exists()


def test_an_attempt_that_does_not_count_loses_its_folder_and_keeps_its_row(store):
    late = attempt(store, "a", "00", ends="lost", host="far")  # it may still write, so its files were copied
    counted = attempt(store, "a", "11")
    assert [] == removed(store, "attempts")
    with store.transaction() as connection:
        connection.exec_driver_sql("UPDATE attempt SET ended_at = ended_at - 90000 WHERE host = 'far'")
    assert ["attempts"] == removed(store, "attempts")
    assert (False, True, 2) == (late.exists(), counted.exists(), len(store.attempts(KEYS["a"])))


def test_what_executes_stays_and_what_another_host_may_still_write(store):
    live, far = attempt(store, "a", ends=None), attempt(store, "b", ends="lost", host="far")
    ask(store, "c")
    removed(store)
    assert (True, True) == (live.exists(), far.exists())
    assert "another host may still be executing" in garbage.find(store).left[-1]


def test_what_a_run_that_is_asked_for_rests_on_stays(store):
    ask(store, *KEYS, configs={"c": {"code": {"x": 1}}, "d": {"code": {"x": 1, "executed": [["f.py", "sha"]]}}})
    attempt(store, "a", outputs={"evaluates": KEYS["b"]})
    for name in "bd":
        attempt(store, name)
    with store.transaction() as connection:  # it was planned before its configuration was told here
        code = json.dumps({"data": "data-d", "code": {"x": 1}})
        connection.exec_driver_sql("UPDATE run SET config = ? WHERE key = ?", (code, KEYS["c"]))
        code = json.dumps({"data": "data-d", "code": {"x": 1, "executed": [["f.py", "sha"]]}})
        connection.exec_driver_sql("UPDATE run SET config = ? WHERE key = ?", (code, KEYS["d"]))
    attempt(store, "c", provenance={"executed": {"f.py": "older"}})
    journal = store.folder / "s" / garbage.JOURNAL
    journal.write_text(json.dumps({"runs": [KEYS["e"]]}))
    ask(store, "a", "d")
    assert ["runs"] == removed(store)
    assert [KEYS[name] for name in "abcde"] == store.run_keys("")


def test_what_a_kill_left_half_counted_goes_and_a_count_stays(store):
    cache = store.folder / ".cache"
    cache.mkdir()
    name = f"flops-{'a' * 20}.json"
    half, whole = cache / f".{name}.123", cache / name
    half.write_text("1")
    whole.write_text("12")
    assert ["scratch"] == removed(store)
    assert (False, True) == (half.exists(), whole.exists())


def test_what_is_another_databases_or_has_a_name_of_its_own_stays(store, tmp_path):
    with opened(tmp_path / "two.db") as other:
        theirs = attempt(other, "a")
    stranger = tmp_path / "s" / "runs" / f"{'a' * 16}-ffffffff-0123"
    own = [tmp_path / "s" / "runs" / "notes", tmp_path / "s" / "weights" / "mine", tmp_path / ".cache" / "mine"]
    cached = tmp_path / ".cache" / ("a" * 32)
    for folder in (stranger, *own, cached):
        folder.mkdir(parents=True)
    ask(store, "a")
    removed(store)
    assert all(path.exists() for path in (theirs, stranger, *own, cached))
    left = garbage.find(store).left
    assert "folder of the database ffffffff, which does not lie here" in left[0]
    assert "1 data set, for a database that is not here" in left[1]
    stranger.rmdir()
    assert ["cache"] == removed(store)
    assert (False, True) == (cached.exists(), own[2].exists())


def test_a_folder_outside_the_databases_own_is_never_touched(store, tmp_path):
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    made = attempt(store, "b")
    link = made.parent.with_name(f"{'c' * 16}-{store.identity}-0123")
    link.symlink_to(outside)
    with store.transaction() as connection:
        connection.exec_driver_sql("UPDATE attempt SET log = ?", (str(outside),))
    ask(store, "a")
    removed(store)
    assert (True, True) == (outside.is_dir(), link.is_symlink())


def test_data_that_a_study_still_asks_for_stay_cached(store):
    for name, told in (("a", "data-a"), ("b", "data-b")):
        entry = store.folder / ".cache" / (name * 32)
        entry.mkdir(parents=True)
        (entry / "fingerprint").write_text(told)
    ask(store, "a")
    assert ["cache"] == removed(store, "cache")
    assert ["a" * 32] == os.listdir(store.folder / ".cache")


def test_a_mailbox_goes_when_no_run_of_it_is_left_and_its_dispatcher_is_gone(store):
    setup = Setup(TaskUse("t"), database=store.identity)
    needs = Needs("s", str(store.folder / "s"), made={"torch": "1"})
    workers = Registry().make("executors", "workers", {}).open(setup, needs)
    assert [] == removed(store, "mailboxes"), "its dispatcher is about"
    workers.leave()
    attempt(store, "a", ends="", host="workers:s", boot="")
    assert [] == removed(store, "mailboxes"), "a run is out, which a worker may still speak of"
    store.finish("0123a", {"m": 1.0}, {}, {})
    assert ["mailboxes"] == removed(store, "mailboxes")
    assert not workers.box.folder.exists()


def test_a_mailbox_stays_while_slurm_has_a_job_for_it(store, tmp_path, monkeypatch):
    setup, needs = (
        Setup(TaskUse("t"), database=store.identity),
        Needs("s", str(store.folder / "s"), made={"torch": "1"}),
    )
    for name in ("sbatch", "scancel", "squeue"):
        (tmp_path / name).write_text(f"#!/bin/sh\ncat {tmp_path}/queue 2>/dev/null\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    Registry().make("executors", "slurm", {}).open(setup, needs).leave()
    (tmp_path / "queue").write_text("7_0|PENDING|\n7_1|COMPLETED|n1\n")
    found = garbage.find(store, ["mailboxes"])
    assert ((), 1, True) == (found.items, len(found.left), "slurm has 1 job of s in its queue" in found.left[0])
    (tmp_path / "queue").write_text("7_1|COMPLETED|n1\n")
    assert ["mailboxes"] == removed(store, "mailboxes")


def test_weights_go_where_every_study_that_asks_for_the_run_says_none(tmp_path):
    config = json.dumps({"starts_from": {"run": KEYS["a"], "sha256": "0" * 64}})
    cells = [("v", seed, "ablation", KEYS[name]) for seed, name in enumerate("abc")]
    runs = {KEYS["a"]: "{}", KEYS["b"]: "{}", KEYS["c"]: config}
    with Store.open(tmp_path / "one.db", write=True) as store:
        store.save_plan(bare(overrides=("weights=none",)), "", cells, runs)
        kept, free = attempt(store, "a"), attempt(store, "b")
        found = garbage.find(store, ["weights"])
        assert [(free,)] == [item.paths for item in found.items], "another run starts from those of a"
        store.save_plan(bare(), "", cells, runs)
        garbage.remove(found, store, pytest.fail)
        assert (True, True) == (kept.exists(), free.exists()), "the study keeps weights again"
        store.save_plan(bare(), "weights: none", cells, runs)
        assert (["weights"], True, False) == (removed(store, "weights"), kept.exists(), free.exists())


@pytest.mark.skipif(groups.home() is None, reason="no control group may be made here")
def test_an_empty_control_group_of_a_dead_dispatcher_goes_and_a_living_ones_stays(store):
    dead = str(ending.Cookie(store.identity, host.pid_space(), host.Process(2**22, 1), "0" * 16))
    mine = str(ending.Cookie(store.identity, host.pid_space(), host.this_process(), "0" * 16))
    for name in (dead, mine):
        (groups.home() / f"{groups.PREFIX}{name}" / "below").mkdir(parents=True)
    try:
        assert ["groups"] == removed(store, "groups")
        assert [mine] == [name for name in groups.there() if store.identity in name]
    finally:
        groups.remove(mine)
