"""Real processes: a warm server, its children, a SQLite file, real signals."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from plans import bare

from ablate.errors import AblateError
from ablate.pool import dispatcher, host
from ablate.pool.books import written
from ablate.pool.dispatcher import Dispatcher
from ablate.pool.executor import Executor, Failed, Finished, Progressed, Slot, Started
from ablate.pool.executors import local
from ablate.pool.executors.local import LocalExecutor
from ablate.pool.feed import Fixed
from ablate.pool.messages import Setup
from ablate.records import Limits, RunSpec, TaskUse
from ablate.store.store import Store

TASKS = """
import os, signal, sys, time

def good(config, run):
    return {"score": config["x"] + run.seed}

def steps(config, run):
    for i in range(3):
        yield {"score": i}

def slow_steps(config, run):
    for i in range(10**6):
        yield {"score": i}
        time.sleep(0.01)

def raises(config, run):
    raise ValueError("the shapes do not match")

def leaves(config, run):
    sys.exit(0)

def nan(config, run):
    return {"score": float("nan")}

def other(config, run):
    return {"accuracy": 1.0}

def text(config, run):
    return "done"

def leaves_a_file(config, run):
    (run.folder / "left").touch()
    if config["x"] < 0:
        raise ValueError("as asked")
    return {"score": 1.0}

def needs_it(config, run):
    return {"score": float(os.path.exists(os.path.join(run.spec.evaluates_in, "left")))}

class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no text")

def mute(config, run):
    raise Mute

def half_a_character(config, run):
    raise OSError("no file " + os.fsdecode(b"\\xff") + chr(0) + " here")

def odd_name(config, run):
    return {"score": 1.0, os.fsdecode(b"\\xff") + chr(0): 2.0}

def shouts(config, run):
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, b"hello\\n")
        except OSError:
            pass
    return {"score": 1.0}

def memory(config, run):
    raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")

def killed(config, run):
    os.kill(os.getpid(), signal.SIGKILL)

def crashes(config, run):
    os.abort()

def forever(config, run):
    (run.folder / "pid").write_text(str(os.getpid()))
    while not (run.folder.parent / "go").exists():
        time.sleep(0.01)
    return {"score": 3.0}

def killed_once(config, run):
    mark = run.folder / "mark"
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"score": 1.0}

def sees(config, run):
    print("said", flush=True)
    return {"score": len(os.environ["CUDA_VISIBLE_DEVICES"]), "pid": os.getpid(), "leader": os.getpgid(0) == os.getpid()}
"""


class Listener:
    """What a run told, in order."""

    def __init__(self):
        self.heard = []

    def changed(self, dispatcher):
        pass

    def warn(self, text):
        pass

    def ended(self, work, event, *, again):
        self.heard.append((work.key, "done" if isinstance(event, Finished) else event.reason, again))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tasks_here.py").write_text(TASKS)
    return tmp_path


def specs(folder, function, count=1, **changes):
    spec = RunSpec(
        key="", task=TaskUse.of(f"tasks_here:{function}"), config={"x": 0.5}, tricks=(), seed=0, threads=1,
        folder="", cache="", metric="score",
    )  # fmt: skip
    keys = [f"{function}{i}" for i in range(count)]
    return {k: replace(spec, key=k, seed=i, folder=str(folder / k), **changes) for i, k in enumerate(keys)}


def dispatch(folder, wanted, slots=2, limits=Limits(), function="good", feed=None, executor=None):
    setup = Setup(task=TaskUse.of(f"tasks_here:{function}"), path=(str(folder),))
    listener = Listener()
    executor = executor or LocalExecutor().open(setup)
    try:
        with Store.open(folder / "a.db", write=True) as store:
            cells = [("v", i, "ablation", key) for i, key in enumerate(wanted)]
            store.save_plan(bare(), "", cells, dict.fromkeys(wanted, "{}"))
            pool = [Slot("cpu", i) for i in range(slots)]
            Dispatcher(store, executor, pool, feed or wanted, limits, listener=listener).run()
    finally:
        executor.close()
    return listener.heard


def attempt_folder(folder, key, number=-1):
    with Store.open(folder / "a.db") as store:
        return Path(store.attempts(key)[number].log)


def states(folder):
    with Store.open(folder / "a.db") as store:
        return [(cell.state, cell.reason) for cell in store.cells("s")]


def test_every_run_is_executed_and_counted(folder):
    dispatch(folder, specs(folder, "good", 5))
    assert [("done", None)] * 5 == states(folder)
    with Store.open(folder / "a.db") as store:
        assert [0.5, 1.5, 2.5, 3.5, 4.5] == [value for *_, value in store.values("s")]


def test_a_run_whose_configuration_is_longer_than_a_packet_is_executed(folder):
    dispatch(folder, specs(folder, "good", config={"x": 0.5, "text": "x" * 10**6}))
    assert [("done", None)] == states(folder)


def test_the_start_and_the_end_of_a_short_run_share_a_commit(folder, monkeypatch):
    batches = []

    def write(store, events, *words, **named):
        batches.append([type(event).__name__ for event in events])
        return written(store, events, *words, **named)

    monkeypatch.setattr(dispatcher, "GATHER_S", 60.0)
    monkeypatch.setattr(dispatcher, "written", write)
    dispatch(folder, specs(folder, "good", 3), slots=1)
    assert [["Started", "Finished"]] * 3 == batches


def test_steps_are_stored_as_a_curve_and_the_last_one_is_the_result(folder):
    dispatch(folder, specs(folder, "steps"), function="steps")
    with Store.open(folder / "a.db") as store:
        assert [(1, 0.0), (2, 1.0), (3, 2.0)] == [row[3:] for row in store.curve_values("s")]
        assert [2.0] == [value for *_, value in store.values("s")]


@pytest.mark.parametrize(
    ("function", "reason", "executions", "message"),
    [
        ("raises", "error", 1, "ValueError: the shapes do not match"),
        ("leaves", "error", 1, "SystemExit: 0"),
        ("nan", "diverged", 1, "metric 'score' is nan"),
        ("other", "bad_result", 1, "'score' is not among the metrics that came back: accuracy"),
        ("text", "bad_result", 1, "the task gave str 'done'"),
        ("mute", "error", 1, "Mute: (its text cannot be told: RuntimeError)"),
        ("half_a_character", "error", 1, "OSError: no file \\udcff\\0 here"),
        ("memory", "oom", 3, "CUDA out of memory"),
        ("killed", "lost", 3, "killed by SIGKILL"),
        ("crashes", "error", 1, "SIGABRT"),
    ],
)
def test_a_failure_has_its_reason_and_is_retried_by_the_stated_policy(folder, function, reason, executions, message):
    dispatch(folder, specs(folder, function), function=function)
    assert [("failed", reason)] == states(folder)
    with Store.open(folder / "a.db") as store:
        attempts = store.attempts(f"{function}0")
    assert executions == len(attempts)
    assert message in attempts[-1].message


def test_a_metric_may_have_any_name_and_a_worker_may_say_what_is_no_message(folder):
    dispatch(folder, specs(folder, "odd_name"), function="odd_name")
    with Store.open(folder / "a.db") as store:
        assert [("\\udcff\\0", 2.0), ("score", 1.0)] == [value[2:] for value in store.values("s")]
    dispatch(folder, specs(folder, "shouts"), function="shouts")
    assert [("done", None)] == states(folder)


def test_a_run_whose_folder_cannot_be_made_says_so(folder):
    (folder / "runs").write_text("a file where the folder is to be")
    dispatch(
        folder, {key: replace(spec, folder=str(folder / "runs" / key)) for key, spec in specs(folder, "good").items()}
    )
    assert [("failed", "error")] == states(folder)
    with Store.open(folder / "a.db") as store:
        assert "NotADirectoryError" in store.attempts("good0")[0].message


def test_a_server_that_is_stuck_is_replaced_and_keeps_nobody_waiting(folder, monkeypatch):
    """It is stopped, so it never tells that the run which took too long is gone."""
    monkeypatch.setattr(local, "STUCK_S", 0.1)
    executor = LocalExecutor().open(Setup(task=TaskUse.of("tasks_here:forever"), path=(str(folder),)))
    (long,) = specs(folder, "forever").values()
    executor.start("t", long, Slot("cpu", 0))
    executor.poll(60)
    executor._server.process.send_signal(signal.SIGSTOP)
    executor.stop("t", "timeout", "took too long")
    while not (events := executor.poll(0.1)):
        pass
    assert [("t", "timeout", "took too long")] == [(event.token, event.reason, event.message) for event in events]
    (short,) = specs(folder, "good").values()
    executor.start("u", short, Slot("cpu", 0))
    assert isinstance(wait_for_end(executor), Finished)
    executor.close()


def test_a_traceback_is_kept_with_the_run(folder):
    dispatch(folder, specs(folder, "raises"), function="raises")
    with Store.open(folder / "a.db") as store:
        assert 'raise ValueError("the shapes do not match")' in store.attempts("raises0")[0].detail


def test_a_run_whose_worker_was_killed_once_is_done_at_the_second_attempt(folder):
    heard = dispatch(folder, specs(folder, "killed_once"), function="killed_once")
    assert [("killed_once0", "lost", True), ("killed_once0", "done", False)] == heard


def test_a_run_past_its_timeout_is_killed_and_not_retried(folder):
    dispatch(folder, specs(folder, "forever"), limits=Limits(timeout_s=0.2), function="forever")
    assert [("failed", "timeout")] == states(folder)
    assert not psutil.pid_exists(int((attempt_folder(folder, "forever0") / "pid").read_text()))


def test_a_child_leads_its_group_sees_no_gpu_and_writes_to_its_log(folder):
    dispatch(folder, specs(folder, "sees", 2), function="sees")
    with Store.open(folder / "a.db") as store:
        values = {(seed, name): value for _, seed, name, value in store.values("s")}
    assert (0.0, 1.0) == (values[0, "score"], values[0, "leader"])
    assert values[0, "pid"] != values[1, "pid"]
    assert "said\n" == (attempt_folder(folder, "sees0") / "log.txt").read_text()


def test_a_task_that_cannot_be_imported_is_an_error_before_anything_runs(folder):
    (folder / "tasks_here.py").write_text("import nowhere_to_be_found\n")
    with pytest.raises(AblateError, match="No module named 'nowhere_to_be_found'"):
        LocalExecutor().open(Setup(task=TaskUse.of("tasks_here:good"), path=(str(folder),)))


def test_a_file_that_is_not_what_the_plan_was_made_from_fails_as_code_changed(folder):
    file = str(folder / "tasks_here.py")
    executor = LocalExecutor().open(
        Setup(task=TaskUse.of("tasks_here:good"), path=(str(folder),), sources={file: "0" * 64})
    )
    (spec,) = specs(folder, "good", sources={file: "0" * 64}).values()
    executor.start("t", spec, Slot("cpu", 0))
    ended = wait_for_end(executor)
    executor.close()
    assert "code_changed" == ended.reason


def test_runs_of_a_killed_server_are_lost_and_the_next_ones_get_a_new_server(folder):
    executor = LocalExecutor().open(Setup(task=TaskUse.of("tasks_here:forever"), path=(str(folder),)))
    (long,) = specs(folder, "forever").values()
    executor.start("t", long, Slot("cpu", 0))
    (started,) = executor.poll(60)
    executor._server.process.kill()
    assert "lost" == wait_for_end(executor).reason
    assert not host.Process(started.pid, started.pid_started).lives
    (short,) = specs(folder, "good").values()
    executor.start("u", short, Slot("cpu", 0))
    assert isinstance(wait_for_end(executor), Finished)
    executor.close()


def wait_for_end(executor):
    while True:
        for event in executor.poll(60):
            if isinstance(event, (Finished, Failed)):
                return event


class OneAtATime:
    """Wants a run once the one before it has ended; stops any that reports a second step."""

    def __init__(self, specs):
        self.specs, self.order = specs, []

    def wanted(self, seen):
        ended = seen.done | seen.failed.keys()
        now = next((key for key in self.specs if key not in ended), None)
        self.order.append((now, len(seen.done)))
        return {} if now is None else {now: self.specs[now]}

    def progressed(self, key, step, values):
        return ("pruned", f"{values['score']:g} at step {step} is not enough") if step == 2 else None


def test_a_feed_says_what_is_wanted_next_and_the_dispatcher_ends_with_it(folder):
    wanted = specs(folder, "good", 3)
    feed = OneAtATime(wanted)
    heard = dispatch(folder, wanted, feed=feed)
    assert [(f"good{i}", "done", False) for i in range(3)] == heard
    assert [("good0", 0), ("good1", 1), ("good2", 2), (None, 3)] == list(dict.fromkeys(feed.order))


def test_a_run_that_its_feed_stops_has_the_feeds_reason_and_counts_as_no_attempt(folder):
    wanted = specs(folder, "slow_steps", 1)
    heard = dispatch(folder, wanted, function="slow_steps", feed=OneAtATime(wanted))
    assert [("slow_steps0", "pruned", False)] == heard
    with Store.open(folder / "a.db") as store:
        (attempt,) = store.attempts("slow_steps0")
        assert ("pruned", "1 at step 2 is not enough") == (attempt.reason, attempt.message)
        assert 0 == store.states(["slow_steps0"])["slow_steps0"].attempts


class AllAtOnce(Executor):
    """A slow dispatcher's view: when it looks, the run has begun, said three steps and ended."""

    def open(self, setup, needs=None):
        return self

    def start(self, token, spec, slot, *, canary=False, alone=False):
        steps = [Progressed(token, step, {"score": float(step)}) for step in (1, 2, 3)]
        self.events = [Started(token, 1, 1), *steps, Finished(token, {"score": 3.0})]

    def poll(self, timeout_s):
        events, self.events = self.events, []
        return events

    def stop(self, token, reason, message):
        raise AssertionError("it has ended")

    def close(self):
        pass


def test_a_feed_judges_every_step_of_a_run_that_was_over_before_anybody_looked(folder):
    judged = []

    class Judge(Fixed):
        def progressed(self, key, step, values):
            judged.append(step)
            return "pruned", "not enough"

    wanted = specs(folder, "good")
    assert [("good0", "done", False)] == dispatch(folder, wanted, feed=Judge(wanted), executor=AllAtOnce())
    assert [1, 2, 3] == judged


SCRIPT = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
import test_dispatcher as t
folder = Path(sys.argv[1])
t.dispatch(folder, t.specs(folder, "forever", 2), function="forever")
"""


def test_a_dispatcher_that_waits_says_for_what(folder):
    wanted = specs(folder, "good", 2)
    mine, other = wanted
    with Store.open(folder / "a.db", write=True) as store:
        cells = [("v", i, "ablation", key) for i, key in enumerate(wanted)]
        store.save_plan(bare(), "", cells, dict.fromkeys(wanted, "{}"))
        them = host.this_process()
        store.claim(
            other, "t", host=host.host(), boot=host.boot(), owner=str(them), device="cpu", slot=0, lease_s=60, log=""
        )  # fmt: skip
        for keys, count, said in (
            ([mine], 1, "another `ablate` uses every slot of this host"),
            ([mine], 2, ""),
            ([other], 1, "another `ablate` executes 1 run of it"),
        ):
            slots = [Slot("cpu", i) for i in range(count)]
            asked = {key: wanted[key] for key in keys}
            dispatcher = Dispatcher(store, LocalExecutor(), slots, asked, Limits(), listener=Listener())
            dispatcher.look_around()
            assert said == dispatcher.waits_for


def start_forever(folder):
    """A dispatcher in a process of its own, with two runs under way; gives it and the children's processes."""
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(folder), *map(str, Path(__file__).parents[:2])])
    while len(pids := [path.read_text() for path in folder.glob("forever*/pid")]) < 2 or not all(pids):
        assert process.poll() is None
        time.sleep(0.01)
    return process, [psutil.Process(int(pid)) for pid in pids]


def test_nothing_of_a_killed_dispatcher_stays_alive_and_its_runs_are_taken_up_at_once(folder):
    process, children = start_forever(folder)
    family = [*psutil.Process(process.pid).children(recursive=True), *children]
    process.kill()
    process.wait()
    assert [] == psutil.wait_procs(family, timeout=10)[1]
    (folder / "go").touch()
    heard = dispatch(folder, specs(folder, "forever", 2), function="forever")
    assert {"done"} == {reason for _, reason, _ in heard}
    with Store.open(folder / "a.db") as store:
        assert ["lost", None] == [attempt.reason for attempt in store.attempts("forever0")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_the_runs_releases_the_leases_and_leaves_no_process(folder, number):
    process, children = start_forever(folder)
    os.kill(process.pid, number)
    assert 0 == process.wait(30)
    assert [] == psutil.wait_procs(children, timeout=10)[1]
    with Store.open(folder / "a.db") as store:
        assert [] == store.live()
        assert ["todo", "todo"] == [cell.state for cell in store.cells("s")]


def pause(process, database):
    """SIGSTOP at a moment at which the process holds no lock of the file: SQLite's locks belong to processes, and while
    a stopped one has one, everybody waits."""
    while True:
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        with closing(sqlite3.connect(database, timeout=0, isolation_level=None)) as connection:
            try:
                connection.execute("BEGIN EXCLUSIVE")
                return
            except sqlite3.OperationalError:
                process.send_signal(signal.SIGCONT)


def wait_until(is_so):
    while not is_so():
        time.sleep(0.01)


def test_results_that_a_stopped_dispatcher_did_not_hear_count_once_and_nobody_crashes_when_it_wakes(
    folder, monkeypatch
):
    """SIGSTOP past the lease; another dispatcher finds what the runs left; SIGCONT."""
    monkeypatch.setenv("ABLATE_LEASE_S", "1")
    process, children = start_forever(folder)
    pause(process, folder / "a.db")
    (folder / "go").touch()
    wait_until(lambda: not any(host.process_started(child.pid) for child in children))
    dispatch(folder, specs(folder, "forever", 2), function="forever", slots=4)
    process.send_signal(signal.SIGCONT)
    assert 0 == process.wait(60)
    assert [("done", None)] * 2 == states(folder)
    with Store.open(folder / "a.db") as store:
        for key in ("forever0", "forever1"):
            (counted,) = store.attempts(key)
            assert (True, {"score": 3.0}) == (counted.counted, counted.metrics)


def test_a_stopped_dispatcher_finds_its_leases_taken_and_stops_its_workers(folder, monkeypatch):
    monkeypatch.setenv("ABLATE_LEASE_S", "1")
    process, children = start_forever(folder)
    pause(process, folder / "a.db")
    task = folder / "tasks_here.py"
    task.write_text(task.read_text() + "\ndef forever(config, run):\n    return {'score': 4.0}\n")
    dispatch(folder, specs(folder, "forever", 2), function="forever", slots=4)
    process.send_signal(signal.SIGCONT)
    assert 0 == process.wait(60)
    assert [] == psutil.wait_procs(children, timeout=10)[1]
    assert [("done", None)] * 2 == states(folder)
    with Store.open(folder / "a.db") as store:
        assert [4.0, 4.0] == [value for *_, value in store.values("s")]
        assert "a failure that came late: lost" in store.attempts("forever0")[0].late


def test_a_stopped_worker_keeps_its_lease_and_counts_once_when_it_goes_on(folder, monkeypatch):
    """Its dispatcher lives and renews, so nobody takes the run away, however long the worker is stopped."""
    monkeypatch.setenv("ABLATE_LEASE_S", "0.6")
    process, children = start_forever(folder)
    for child in children:
        child.suspend()
    with Store.open(folder / "a.db") as store:
        first = {attempt.token: leases(folder)[attempt.token] for attempt in store.live()}
        wait_until(lambda: all(leases(folder)[token] > until + 2 * 0.6 for token, until in first.items()))
    (folder / "go").touch()
    for child in children:
        child.resume()
    assert 0 == process.wait(60)
    with Store.open(folder / "a.db") as store:
        assert [1, 1] == [len(store.attempts(key)) for key in ("forever0", "forever1")]


def leases(folder):
    with closing(sqlite3.connect(folder / "a.db")) as connection:
        return dict(connection.execute("SELECT token, lease_until FROM attempt"))


@pytest.mark.slow
def test_a_run_of_another_host_is_taken_up_when_its_lease_ends_and_not_before(folder):
    wanted = specs(folder, "good", 2)
    with Store.open(folder / "a.db", write=True) as store:
        cells = [("v", i, "ablation", k) for i, k in enumerate(wanted)]
        store.save_plan(bare(), "", cells, dict.fromkeys(wanted, "{}"))
        far = {"host": "far", "boot": "b", "owner": "1:1", "device": "cpu", "log": ""}
        store.claim("good0", "t", slot=0, lease_s=0.5, **far)
    dispatch(folder, wanted)
    assert [("done", None)] * 2 == states(folder)
    with Store.open(folder / "a.db") as store:
        assert "its lease ended without a sign of life" == store.attempts("good0")[0].message


@pytest.mark.parametrize(("x", "ended"), [(0.5, "done"), (-1, "error")])
def test_a_run_that_needs_what_another_one_leaves_is_started_when_that_has_ended(x, ended, folder):
    (first,) = specs(folder, "leaves_a_file", config={"x": x}).values()
    needing = specs(folder, "needs_it", 3, evaluates=first.key)
    heard = dispatch(folder, {**needing, first.key: first}, slots=4)
    assert heard[0] == (first.key, ended, False)
    with Store.open(folder / "a.db") as store:
        found = [value for variant, seed, name, value in store.values("s", ["score"]) if seed < 3]
    assert found == [ended == "done"] * 3, "one was started before there was anything to measure, or was given failures"
