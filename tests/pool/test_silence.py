"""A run that gives no sign of life is told of and ended; a server that may not be forked says so before it hangs."""

from dataclasses import replace
from pathlib import Path

import pytest
from plans import bare
from test_leases import Deaf

from ablate.errors import AblateError
from ablate.pool.books import Work
from ablate.pool.dispatcher import Dispatcher
from ablate.pool.executor import Finished, Slot
from ablate.pool.executors.local import LocalExecutor
from ablate.pool.messages import Setup
from ablate.pool.scheduler import Snapshot, Stop, Working, decide
from ablate.records import Limits, RunSpec, TaskUse
from ablate.store.store import Store

QUIET = """
import time

def prints(config, run):
    for i in range(8):
        print(i, flush=True)
        time.sleep(0.2)
    return {"score": 1.0}

def hangs(config, run):
    time.sleep(600)
"""
THREAD = """
import threading, time

def watch():
    time.sleep(600)

threading.Thread(target=watch, name="watcher", daemon=True).start()

def train(config, run):
    return {"score": 1.0}
"""
SLOT = Slot("cpu", 0)


def spec(folder, task, **given):
    return RunSpec(
        "k", TaskUse.of(task), {}, (), 0, 1, str(folder / "k"), "", path=(str(folder),), metric="score", **given
    )


@pytest.mark.parametrize(("now_s", "stops"), [(99.0, []), (101.0, ["stalled"])])
def test_a_run_is_stopped_when_nothing_was_heard_of_it_for_as_long_as_the_study_allows(now_s, stops):
    working = Working("t", SLOT, since_s=0.0, heard_s=70.0)
    snapshot = Snapshot((SLOT,), [], (working,), limits=Limits(silence_s=30.0), renewed_s=now_s)
    assert stops == [action.reason for action in decide(snapshot, now_s) if isinstance(action, Stop)]


@pytest.mark.parametrize(("function", "becomes"), [("prints", "done"), ("hangs", "failed")])
def test_a_printed_line_is_a_sign_of_life_and_silence_ends_as_stalled(tmp_path, function, becomes):
    (tmp_path / "quiet.py").write_text(QUIET)
    task = f"quiet:{function}"
    pool = LocalExecutor().open(Setup(TaskUse.of(task), path=(str(tmp_path),), grace_s=0.5))
    with Store.open(tmp_path / "a.db", write=True) as store:
        store.save_plan(bare(), "", [("v", 0, "ablation", "k")], {"k": "{}"})
        limits = Limits(attempts=1, silence_s=1.0)
        try:
            Dispatcher(store, pool, [SLOT], {"k": spec(tmp_path, task)}, limits, listener=Deaf()).run()
        finally:
            pool.close()
        state = store.states(["k"])["k"]
    assert (becomes, None if becomes == "done" else "stalled") == (state.state, state.reason)


def test_ten_times_the_usual_step_is_odd_and_is_told_while_the_run_lives(tmp_path):
    work = Work("k", "t", SLOT, 100.0, spec(tmp_path, "a:b"), step=4, heard_s=180.0)
    assert "" == work.silence(380.0 - 1)
    note = work.silence(381.0)
    assert "silent since 80 s after its start; a step took 20 s" == note
    with Store.open(tmp_path / "a.db", write=True) as store:
        store.save_plan(bare(), "", [("v", 0, "ablation", "k")], {"k": "{}"})
        where = {"host": "h", "boot": "b", "owner": "1:1", "device": "cpu", "slot": 0}
        store.claim("k", "t", **where, lease_s=60, log="")
        store.note("t", note)
        assert [note] == [attempt.note for attempt in store.live()]
        store.note("t", "")
        assert [None] == [attempt.note for attempt in store.live()]


def test_a_thread_that_an_import_starts_is_named_before_anything_is_forked_and_spawn_goes_on(tmp_path):
    (tmp_path / "threaded.py").write_text(THREAD)
    setup = Setup(TaskUse.of("threaded:train"), path=(str(tmp_path),))
    with pytest.raises(AblateError, match=r"'watcher' \(of module threaded\).*resources: \{start: spawn\}"):
        LocalExecutor().open(setup)
    pool = LocalExecutor().open(replace(setup, spawn=True))
    try:
        pool.start("t", spec(tmp_path, "threaded:train"), SLOT)
        assert any(isinstance(event, Finished) for _ in range(300) for event in pool.poll(0.1))
    finally:
        pool.close()


def test_a_task_that_cannot_be_loaded_is_told_of_before_a_run_where_runs_are_spawned(tmp_path):
    with pytest.raises(AblateError, match="cannot be loaded"):
        LocalExecutor().open(Setup(TaskUse.of("nowhere:train"), path=(str(Path(tmp_path)),), spawn=True))
