"""Whose files are whose: a folder for each attempt, taken over by the next one of the same run and by nobody else."""

import os
from pathlib import Path

import pytest
from plans import bare

from ablate.pool import host
from ablate.pool.folders import of_attempt, take_over
from ablate.records import RunSpec, TaskUse
from ablate.store.store import Store

HERE = {"host": host.host(), "boot": host.boot()}


@pytest.fixture
def store(tmp_path):
    with opened(tmp_path / "a.db") as store:
        yield store


def opened(path):
    store = Store.open(path, write=True)
    store.save_plan(bare(), "", [("v", 0, "ablation", "k"), ("v", 1, "ablation", "other")], {"k": "{}", "other": "{}"})
    return store


def attempt(store, token, *, key="k", pid=None, **at):
    """An attempt of a run, begun by a worker and ended as lost, with one file in its folder."""
    spec = of_attempt(spec_of(store, key), token, store)
    at = {**HERE, **at}
    log = store.log_of(spec_path(spec))
    assert store.claim(key, token, owner="1:1", device="cpu", slot=0, lease_s=9, log=log, **at)
    if pid is not None:
        store.started(token, pid, host.process_started(pid))
    take_over(spec)
    with (spec_path(spec) / "left").open("a") as file:
        file.write(token)
    store.fail(token, "lost", "", again=True)
    return spec_path(spec)


def spec_of(store, key="k", **changes):
    return RunSpec(
        key=key, task=TaskUse("t"), config={}, tricks=(), seed=0, threads=1, cache="",
        folder=str(store.folder / "s" / "runs" / key), **changes,
    )  # fmt: skip


def spec_path(spec):
    return Path(spec.folder)


def test_an_attempt_takes_over_what_the_newest_before_it_left(store):
    first = attempt(store, "t0")
    second = attempt(store, "t1")
    assert ("t0t1", False) == ((second / "left").read_text(), first.exists())


def test_a_kill_before_the_takeover_leaves_it_to_the_next_attempt(store):
    first = attempt(store, "t0")
    store.claim("k", "t1", owner="1:1", device="cpu", slot=0, lease_s=9, log="s/runs/never-made", **HERE)
    store.fail("t1", "lost", "", again=True)
    third = attempt(store, "t2")
    assert ("t0t2", False) == ((third / "left").read_text(), first.exists())


@pytest.mark.parametrize("where", [{"pid": os.getpid()}, {"host": "far"}])
def test_what_a_worker_that_may_still_write_has_open_is_copied_and_stays_its_own(store, where):
    first = attempt(store, "t0", **where)
    with (first / "left").open("a") as open_there:
        second = attempt(store, "t1")
        open_there.write("of a fenced worker")
    assert ("t0t1", "t0of a fenced worker") == ((second / "left").read_text(), (first / "left").read_text())


def test_the_folder_of_0_1_is_copied_for_another_database_may_count_on_it(store):
    old = spec_path(spec_of(store))
    old.mkdir(parents=True)
    (old / "left").write_text("old")
    store.claim("k", "t0", owner="1:1", device="cpu", slot=0, lease_s=9, log=str(old), **HERE)
    store.fail("t0", "lost", "", again=True)
    assert ("oldt1", "old") == ((attempt(store, "t1") / "left").read_text(), (old / "left").read_text())


def test_two_databases_in_one_folder_share_no_folder_and_take_nothing_over_from_each_other(store, tmp_path):
    first = attempt(store, "t0")
    with opened(tmp_path / "b.db") as other:
        assert "t0" == (attempt(other, "t0") / "left").read_text()
    assert "t0" == (first / "left").read_text()


def test_files_are_found_after_the_folder_was_moved_also_those_of_0_1(store, tmp_path):
    new = attempt(store, "t0")
    old = tmp_path / "s" / "runs" / "other"
    old.mkdir()
    for key, token, log in (("k", "t1", store.log_of(new)), ("other", "t2", f"/home/me/results/s/runs/{old.name}")):
        store.claim(key, token, owner="1:1", device="cpu", slot=0, lease_s=9, log=log, **HERE)
        store.finish(token, {}, {"weights": token}, {})
    kept = store.kept(["k", "other"])
    assert {"k": (new, "t1"), "other": (old, "t2")} == {
        key: (one.folder, one.outputs["weights"]) for key, one in kept.items()
    }
    tmp_path.rename(tmp_path.with_name("moved"))
    with Store.open(tmp_path.with_name("moved") / "a.db") as moved:
        assert all(one.folder.is_dir() for one in moved.kept(["k", "other"]).values())
    tmp_path.with_name("moved").rename(tmp_path)


def test_a_run_that_measures_weights_gets_folder_and_hash_of_the_attempt_that_counts(store):
    spec = spec_of(store, "other", evaluates="k")
    assert "" == of_attempt(spec, "t9", store).evaluates_in
    folder = store.folder / "anywhere"
    store.claim("k", "t1", owner="1:1", device="cpu", slot=0, lease_s=9, log="anywhere", **HERE)
    store.finish("t1", {}, {"weights": "abc"}, {})
    made = of_attempt(spec, "t9", store)
    assert (str(folder), "abc") == (made.evaluates_in, made.evaluates_weights)
