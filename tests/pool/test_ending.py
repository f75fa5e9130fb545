"""Whatever a run starts ends with it, in whatever session it is and however the run ends. Real processes and signals."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from ablate.pool import ending, groups, words
from ablate.pool.executor import Failed, Finished, Slot, Started
from ablate.pool.executors.local import LocalExecutor
from ablate.pool.messages import Setup
from ablate.records import RunSpec, TaskUse

TASKS = """
import os, signal, subprocess, sys, time

def sleeper(**how):
    return subprocess.Popen(["sleep", "600"], **how).pid

def daemon():
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(writer, str(os.getpid()).encode())
            time.sleep(600)
        os._exit(0)
    os.wait()
    return int(os.read(reader, 20))

def start(run):
    launcher = subprocess.Popen(["sh", "-c", "setsid sleep 600 & echo $!; wait"], stdout=subprocess.PIPE)
    started = [sleeper(), sleeper(start_new_session=True), daemon(), launcher.pid, int(launcher.stdout.readline())]
    (run.folder / "started.part").write_text(" ".join(map(str, started)))
    (run.folder / "started.part").rename(run.folder / "started")

def returns(config, run):
    start(run)
    return {"score": 1.0}

def stays(config, run):
    start(run)
    try:
        time.sleep(600)
    finally:
        (run.folder / "finally").touch()

def strips(config, run):
    started = [subprocess.Popen(["sleep", "600"], env={}, start_new_session=True).pid for _ in range(2)]
    (run.folder / "started.part").write_text(" ".join(map(str, started)))
    (run.folder / "started.part").rename(run.folder / "started")
    time.sleep(600)

def deaf(config, run):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    start(run)
    time.sleep(600)

def steps(config, run):
    try:
        for i in range(10**6):
            yield {"score": float(i)}
            (run.folder / "started").write_text("")
            time.sleep(0.01)
    except Exception as error:
        (run.folder / "told").write_text(type(error).__name__)
        raise

def closes_everything(config, run):
    os.closerange(3, 256)
    return {"score": 1.0}

def fails(config, run):
    raise ValueError("bad luck")

def hangs_at_exit(config, run):
    import atexit
    (run.folder / "started").write_text("")
    atexit.register(lambda: os.kill(os.getpid(), signal.SIGKILL))
    return {"score": 1.0}
"""


class Runs:
    """An executor with one run of a function at a time, in a folder of its own."""

    def __init__(self, folder, function, grace_s=5.0):
        (folder / "starters.py").write_text(TASKS)
        self.folder, task = folder, TaskUse.of(f"starters:{function}")
        self.executor = LocalExecutor().open(Setup(task, path=(str(folder),), database="d", grace_s=grace_s))
        spec = RunSpec("k", task, {}, (), 0, 1, str(folder), "", metric="score")
        self.executor.start("t", replace(spec, path=(str(folder),)), Slot("cpu", 0))

    def events(self):
        while True:
            yield from self.executor.poll(0.5)

    def ended(self):
        return next(event for event in self.events() if isinstance(event, (Finished, Failed)))

    def worker(self):
        return next(event.pid for event in self.events() if isinstance(event, Started))

    def started(self):
        """The processes that the task started, once it has."""
        while not (self.folder / "started").exists():
            self.executor.poll(0.02)
        return [int(pid) for pid in (self.folder / "started").read_text().split()]


@pytest.fixture
def runs(tmp_path):
    made = []

    def make(function, **given):
        made.append(Runs(tmp_path, function, **given))
        return made[-1]

    yield make
    for each in made:
        each.executor.close()


def alive(pids):
    """Those that are still there shortly after."""
    until = time.monotonic() + 5
    while time.monotonic() < until and any(ending.process_started(pid) for pid in pids):
        time.sleep(0.01)
    return [pid for pid in pids if ending.process_started(pid)]


def test_what_a_run_starts_is_gone_before_its_end_is_told(runs):
    run = runs("returns")
    assert isinstance(run.ended(), Finished)
    assert [] == [pid for pid in run.started() if ending.process_started(pid)]


@pytest.mark.parametrize("function", ["stays", "deaf"])
def test_a_stopped_run_takes_along_what_it_started_and_its_finally_runs(runs, function):
    run = runs(function, grace_s=10 if function == "stays" else 0.5)  # the other hears no SIGTERM
    started = run.started()
    assert all(map(ending.process_started, started))
    run.executor.stop("t", "timeout", "took longer")
    assert ("timeout", "took longer") == (lambda event: (event.reason, event.message))(run.ended())
    assert [] == [pid for pid in started if ending.process_started(pid)]
    assert (function == "stays") == (run.folder / "finally").exists()


def test_a_task_of_steps_pauses_at_the_next_one_when_it_is_stopped(runs):
    run = runs("steps")
    run.started()
    run.executor.stop("t", "cancelled", "stopped")
    assert "cancelled" == run.ended().reason
    assert "PausedError" == (run.folder / "told").read_text()


@pytest.mark.parametrize("who", ["worker", "server", "executor"])
def test_what_a_run_started_does_not_outlive_its_worker_its_server_or_a_closed_executor(runs, who):
    run = runs("stays")
    worker = run.worker()
    started = run.started()
    if who == "executor":
        run.executor.close()
    else:
        os.kill(worker if who == "worker" else run.executor._server.process.pid, signal.SIGKILL)
        assert "lost" == run.ended().reason
    assert [] == alive([worker, *started])


def test_a_run_that_is_told_to_end_by_a_signal_to_all_was_stopped_and_nothing_is_against_it(runs):
    run = runs("stays")
    worker, server = run.worker(), run.executor._server
    run.started()
    for pid in (worker, server.process.pid):
        os.kill(pid, signal.SIGTERM)
    assert [] == [event for _ in range(3) for event in run.executor.poll(0.1)]
    run.executor.stop("t", "cancelled", "stopped by the user")
    assert "cancelled" == run.ended().reason
    assert server.process.poll() is None


def test_a_run_that_had_failed_unheard_before_it_was_stopped_has_failed(runs):
    run = runs("fails")
    while not (run.folder / words.NAME).exists() or psutil.Process(run.executor._server.process.pid).children():
        time.sleep(0.01)
    run.executor.stop("t", "cancelled", "stopped by the user")
    assert ("error", "ValueError: bad luck") == (lambda event: (event.reason, event.message))(run.ended())


def test_a_run_whose_worker_alone_is_told_to_end_is_lost(runs):
    run = runs("stays")
    worker = run.worker()
    run.started()
    os.kill(worker, signal.SIGTERM)
    assert "lost" == run.ended().reason


@pytest.mark.parametrize("function", ["hangs_at_exit", "closes_everything"])
def test_neither_what_comes_after_the_result_nor_a_closed_channel_takes_it_back(runs, function):
    assert isinstance(runs(function).ended(), Finished)


DIES = """
import os, signal, sys
from pathlib import Path
from test_ending import Runs
run = Runs(Path(sys.argv[1]), sys.argv[3])
print(run.worker(), *run.started(), flush=True)
if sys.argv[2] == "both":
    run.executor._server.process.kill()
os.kill(os.getpid(), signal.SIGKILL)
"""


def dead_dispatcher(folder, who, function="stays"):
    """The processes that a killed dispatcher's run had, itself first."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path])}
    command = [sys.executable, "-c", DIES, str(folder), who, function]
    said = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True).stdout
    return [int(pid) for pid in said.split()]


def test_a_server_whose_dispatcher_is_killed_ends_what_its_runs_started(tmp_path):
    assert [] == alive(dead_dispatcher(tmp_path, "dispatcher"))


def test_what_a_killed_dispatcher_and_its_killed_server_left_is_swept_by_database(tmp_path):
    left = dead_dispatcher(tmp_path, "both")
    mine = subprocess.Popen(["sleep", "600"], env={**os.environ, ending.VARIABLE: ending.of_server("d")})
    while ending.cookie_of(psutil.Process(mine.pid)) is None:  # until it is sleep
        time.sleep(0.01)
    try:
        assert 0 == ending.sweep("another")
        assert ending.sweep("d") >= 3
        assert [] == alive(left)
        assert mine.poll() is None, "its dispatcher lives"
    finally:
        mine.kill()
        mine.wait()


@pytest.mark.skipif(groups.home() is None, reason="no control group may be made here")
def test_what_throws_its_environment_away_is_found_by_its_runs_control_group(tmp_path):
    worker, *left = dead_dispatcher(tmp_path, "both", "strips")
    assert left == [pid for pid in left if ending.process_started(pid)]
    assert any(name.startswith("d:") for name in groups.there())
    assert ending.sweep("d") >= 2
    assert [] == alive([worker, *left])
    ending.sweep("d")  # a group goes when its last process has
    assert not [name for name in groups.there() if name.startswith("d:") and not ending._read(name).owner.lives]


@pytest.mark.skipif(groups.home() is None, reason="no control group may be made here")
def test_a_run_that_ends_leaves_no_control_group(runs):
    before = set(groups.there())  # of servers that tests of this process killed
    assert isinstance(runs("returns").ended(), Finished)
    assert not [name for name in {*groups.there()} - before if ending._read(name).owner == ending.this_process()]


def test_what_may_not_be_delegated_is_left_alone(monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: True)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert not groups._is_delegated(Path("/nowhere"), "/user.slice/session-1.scope")
    assert groups._is_delegated(Path("/nowhere"), "/")
