"""A host without room costs no attempt and ends nothing: runs wait, ever longer. Pure rules, and a server that may not
fork."""

import os
import resource
import signal
import time
from dataclasses import replace

from plans import bare
from test_dispatcher import Listener

from ablate.pool import host
from ablate.pool.backoff import Backoff
from ablate.pool.dispatcher import Dispatcher
from ablate.pool.executor import Finished, Refused, Slot
from ablate.pool.executors.local import LocalExecutor
from ablate.pool.messages import Setup
from ablate.records import Limits, RunSpec, TaskUse
from ablate.store.store import Store

TASK = """
import os
from pathlib import Path

fork = os.fork

def refused(refusals=Path(__file__).with_name("refusals")):
    left = int(refusals.read_text())
    if left:
        refusals.write_text(str(left - 1))
        raise BlockingIOError(11, "Resource temporarily unavailable")
    return fork()

os.fork = refused

def train(config, run):
    return {"score": 1.0}
"""


FULL = """
def train(config, run):
    if run.seed:
        raise OSError(28, "No space left on device")
    return {"score": 1.0}
"""


def test_a_host_that_refuses_is_asked_later_each_time_and_for_one_more_at_a_time():
    backoff = Backoff(asked=8)
    assert 8 == backoff.workers(0.0)
    backoff.refused("no process", 5, 10.0)
    backoff.refused("no process", 4, 10.1)
    assert [4, 5] == [backoff.workers(at) for at in (10.9, 11.1)]
    backoff.refused("no process", 4, 11.1)
    assert [4, 5] == [backoff.workers(at) for at in (12.9, 13.2)]
    backoff.started(5, 13.2)
    assert [5, 6] == [backoff.workers(at) for at in (14.1, 14.3)]
    assert "no process" in backoff.awaited(200.0)
    for working in (6, 7, 8):
        backoff.started(working, 100.0 + working)
    assert (8, "") == (backoff.workers(200.0), backoff.awaited(200.0))


def test_a_lost_run_waits_twice_as_long_each_time():
    backoff = Backoff(asked=1)
    for times, until_s in ((1, 1.0), (2, 2.0), (3, 4.0)):
        backoff.lost("k", times, 0.0)
        assert {"k"} == backoff.early(until_s - 0.1)
        assert not backoff.early(until_s)


def executor(folder, refusals=0):
    (folder / "refuses.py").write_text(TASK)
    (folder / "refusals").write_text(str(refusals))
    task = TaskUse.of("refuses:train")
    setup = Setup(task, path=(str(folder),), database="d")
    spec = RunSpec("", task, {}, (), 0, 1, str(folder), "", path=(str(folder),), metric="score")
    return LocalExecutor().open(setup), spec


def test_a_refused_fork_spends_no_attempt_and_ends_no_other_run(tmp_path):
    pool, spec = executor(tmp_path, refusals=3)
    specs = {f"k{i}": replace(spec, key=f"k{i}", seed=i, folder=str(tmp_path / f"k{i}")) for i in range(3)}
    with Store.open(tmp_path / "a.db", write=True) as store:
        store.save_plan(
            bare(), "", [("v", s.seed, "ablation", k) for k, s in specs.items()], dict.fromkeys(specs, "{}")
        )
        dispatcher = Dispatcher(
            store, pool, [Slot("cpu", 0), Slot("cpu", 1)], specs, Limits(attempts=1), listener=Listener()
        )
        try:
            dispatcher.look_around()
            dispatcher.step(0.5)
            while not dispatcher.waits_for:
                dispatcher.step(0.1)
            assert "Resource temporarily unavailable" in dispatcher.waits_for
            dispatcher.run()
        finally:
            pool.close()
        attempts = [attempt for key in specs for attempt in store.attempts(key)]
        assert ({"done"}, {1}) == tuple(
            {getattr(state, name) for state in store.states(specs).values()} for name in ("state", "attempts")
        )
    assert 3 == sum(attempt.reason == "cancelled" for attempt in attempts)


def test_a_dispatcher_without_a_free_descriptor_is_refused_the_run_and_goes_on(tmp_path):
    pool, spec = executor(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/dev/fd")) - 1, hard))
        pool.start("a", replace(spec, key="a"), Slot("cpu", 0))
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        (event,) = pool.poll(0)
        assert isinstance(event, Refused), event
        assert "Too many open files" in event.message
        pool.start("b", replace(spec, key="b"), Slot("cpu", 0))
        assert any(isinstance(event, Finished) for _ in range(100) for event in pool.poll(0.1))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        pool.close()


def test_many_runs_are_asked_for_while_the_server_hears_nobody(tmp_path):
    pool, spec = executor(tmp_path)
    os.kill(pool._server.process.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        for i in range(600):
            pool.start(f"t{i}", replace(spec, key=f"t{i}"), Slot("cpu", i))
        assert time.monotonic() - began < 60
        assert [] == pool.poll(0)
    finally:
        os.kill(pool._server.process.pid, signal.SIGKILL)
        pool.close()


def test_the_limit_of_open_files_is_raised_or_fewer_runs_are_executed():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        assert 600 == host.most_runs(600)
        assert 600 + host.KEPT_FILES == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        assert hard - host.KEPT_FILES == host.most_runs(hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_after_a_full_disk_none_starts_for_ever_longer_until_a_run_has_worked():
    backoff = Backoff(8)
    said = [backoff.troubled(key, "no space", at) for key, at in (("a", 10.0), ("b", 10.5), ("c", 11.0))]
    assert ("nothing else is started for 1 s", "", "nothing else is started for 2 s") == tuple(
        text.partition(", and ")[2] for text in said
    )
    assert (0, 8) == (backoff.workers(12.9), backoff.workers(13.0))
    assert "a run met: no space" in backoff.awaited(12.0)
    backoff.worked(13.5)
    assert "started for 1 s" in backoff.troubled("d", "no space", 14.0)


def test_a_run_in_trouble_waits_alone_where_others_finish_and_is_given_up_in_the_end():
    backoff = Backoff(8, patience_s=60.0)
    backoff.troubled("k", "no space", 0.0)
    for times, until_s in ((2, 2.0), (3, 4.0), (4, 8.0)):
        now_s = 10.0 * times
        backoff.worked(now_s - 1)
        said = backoff.troubled("k", "no space", now_s)
        assert (times == 2, 8, {"k"}) == ("it alone" in said, backoff.workers(now_s + 0.1), backoff.early(now_s + 1.9))
        assert not backoff.early(now_s + until_s)
        backoff.lost("other", 1, now_s)
    backoff.ended("k")
    for now_s in (100.0, 159.0):
        backoff.troubled("k", "no space", now_s)
        assert set() == backoff.given_up
    assert "no space (since 59 s; given up after 60 s of it)" in backoff.in_trouble(["k"], 159.0)
    assert "left to do" in backoff.troubled("k", "no space", 160.0)
    assert {"k"} == backoff.given_up


def test_a_run_that_met_nothing_but_a_full_disk_is_left_to_do_when_patience_ends(tmp_path):
    (tmp_path / "full.py").write_text(FULL)
    task = TaskUse.of("full:train")
    spec = RunSpec("", task, {}, (), 0, 1, "", "", path=(str(tmp_path),), metric="score")
    specs = {key: replace(spec, key=key, seed=i, folder=str(tmp_path / key)) for i, key in enumerate(("ok", "full"))}
    pool, listener = LocalExecutor().open(Setup(task, path=(str(tmp_path),), database="d")), Listener()
    with Store.open(tmp_path / "a.db", write=True) as store:
        cells = [("v", s.seed, "ablation", k) for k, s in specs.items()]
        store.save_plan(bare(), "", cells, dict.fromkeys(specs, "{}"))
        limits = Limits(attempts=1, infrastructure_s=0.5)
        try:
            ended = Dispatcher(store, pool, [Slot("cpu", 0)], specs, limits, listener=listener).run()
        finally:
            pool.close()
        states = store.states(specs)
        assert (1, "done", "todo", 0) == (ended.left, states["ok"].state, states["full"].state, states["full"].attempts)
        assert ["full"] == list(store.in_trouble())
        assert 2 == len(store.attempts("full")), "the second time, after a second, its patience was over"
