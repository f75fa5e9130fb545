"""Ctrl-C on a real terminal, once and twice, a closed terminal, a killed parent: nothing is left but what is to do."""

import errno
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import termios
import time
from contextlib import closing, suppress

import psutil
import pytest

TASK = """
import os, time

def train(config, run):
    with open("started", "a") as log:
        log.write(f"{os.getpid()}\\n")
    while not os.path.exists("go"):
        time.sleep(0.01)
    return {"score": config["x"]}
"""
STUDY = (
    "task: slow:train\nbase: {x: 0}\ntricks:\n  ex: {set: {x: 1}}\nseeds: 2\nmetric: {name: score, better: higher}\n"
)
RUN = [sys.executable, "-m", "ablate", "run", "s.yaml", "--workers", "2"]
HIDE, SHOW = b"\x1b[?25l", b"\x1b[?25h"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "slow.py").write_text(TASK)
    (tmp_path / "s.yaml").write_text(STUDY)
    return tmp_path


class Terminal:
    """`ablate run` on a terminal of its own, as its session's leader."""

    def __init__(self, folder):
        self.folder = folder
        self.pid, self.end = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execve(RUN[0], RUN, {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"})
        self.before = termios.tcgetattr(self.end)
        os.set_blocking(self.end, False)
        self.said = b""

    def hear(self):
        """Read what there is; a terminal that nobody reads makes its program wait."""
        try:
            self.said += os.read(self.end, 1 << 16)
        except BlockingIOError:
            time.sleep(0.01)
        except OSError as error:
            if error.errno != errno.EIO:  # the program has closed its side
                raise
            time.sleep(0.01)

    def wait_for(self, is_so):
        while not is_so():
            self.hear()

    def ended(self):
        """The exit status, once it has ended."""
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.hear()
                return os.waitstatus_to_exitcode(status)
            self.hear()


def workers(folder):
    path = folder / "started"
    return [int(line) for line in path.read_text().splitlines()] if path.exists() else []


def family_of(pid, folder):
    return [*psutil.Process(pid).children(recursive=True), *map(psutil.Process, workers(folder))]


def live(folder):
    with closing(sqlite3.connect(folder / "results/ablate.db")) as connection:
        return connection.execute("SELECT count(*) FROM attempt WHERE outcome IS NULL").fetchone()[0]


def goes_on_and_finishes(folder):
    (folder / "go").touch()
    assert 0 == subprocess.run(RUN, cwd=folder, capture_output=True).returncode
    assert 0 == live(folder)


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_ends_with_130_shows_the_cursor_again_and_leaves_no_process(folder, times):
    terminal = Terminal(folder)
    terminal.wait_for(lambda: len(workers(folder)) == 2)
    family = family_of(terminal.pid, folder)
    for _ in range(times):
        os.write(terminal.end, b"\x03")
    assert 130 == terminal.ended()
    assert HIDE in terminal.said
    assert terminal.said.rindex(SHOW) > terminal.said.rindex(HIDE)
    assert b"Traceback" not in terminal.said
    assert terminal.before == termios.tcgetattr(terminal.end)
    os.close(terminal.end)
    assert [] == psutil.wait_procs(family, timeout=10)[1]
    assert times == 2 or 0 == live(folder)
    goes_on_and_finishes(folder)


def test_a_closed_terminal_stops_the_runs_and_releases_their_leases(folder):
    terminal = Terminal(folder)
    terminal.wait_for(lambda: len(workers(folder)) == 2)
    family = family_of(terminal.pid, folder)
    os.close(terminal.end)
    assert 130 == os.waitstatus_to_exitcode(os.waitpid(terminal.pid, 0)[1])
    assert [] == psutil.wait_procs(family, timeout=10)[1]
    assert 0 == live(folder)
    goes_on_and_finishes(folder)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_a_signal_that_was_to_be_ignored_is_left_alone_as_nohup_and_a_shells_ampersand_mean_it(folder, number):
    ignored = {"preexec_fn": lambda: signal.signal(number, signal.SIG_IGN)}
    process = subprocess.Popen(RUN, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **ignored)
    while len(workers(folder)) < 2:
        time.sleep(0.01)
    process.send_signal(number)
    (folder / "go").touch()
    assert 0 == process.wait()


def test_sigterm_to_every_process_stops_the_runs_and_costs_them_no_attempt(folder):
    process = subprocess.Popen(RUN, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(workers(folder)) < 2:
        time.sleep(0.01)
    for each in [*reversed(family_of(process.pid, folder)), psutil.Process(process.pid)]:
        with suppress(psutil.NoSuchProcess):  # it ended because the one before it did
            each.send_signal(signal.SIGTERM)
    assert 130 == process.wait()
    with closing(sqlite3.connect(folder / "results/ablate.db")) as connection:
        assert [("cancelled",)] == connection.execute("SELECT DISTINCT reason FROM attempt").fetchall()
    goes_on_and_finishes(folder)


def test_a_killed_parent_leaves_no_process_and_its_runs_are_taken_up_again(folder):
    process = subprocess.Popen(RUN, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(workers(folder)) < 2:
        time.sleep(0.01)
    family = family_of(process.pid, folder)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert [] == psutil.wait_procs(family, timeout=10)[1]
    assert 2 == live(folder)
    goes_on_and_finishes(folder)
