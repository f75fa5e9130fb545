"""What is nobody's fault is tried again, ever less often: a database that is away, a disk that is full, a killed run."""

import errno
import os
import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
import test_dispatcher
from test_dispatcher import dispatch, specs, states

from ablate.errors import AwayError, StoreError
from ablate.pool import backoff, patience
from ablate.pool.folders import shorten
from ablate.pool.patience import Patience
from ablate.pool.reasons import reason_of
from ablate.records import Limits
from ablate.store import schema
from ablate.store.store import Store

TASKS = (
    test_dispatcher.TASKS
    + """
def full_twice(config, run):
    tries = run.folder / "tries"
    with tries.open("a") as file:
        file.write(".")
    if len(tries.read_text()) < 3:
        raise OSError(28, "No space left on device")
    return {"score": 1.0}

def loud(config, run):
    for i in range(3 * 1024):
        print(str(i).rjust(1023))
    return {"score": 1.0}
"""
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "tasks_here.py").write_text(TASKS)
    monkeypatch.setattr(patience, "FIRST_S", 0.01)
    return tmp_path


def away(message="gone"):
    raise AwayError(message)


def test_it_is_tried_again_until_the_database_is_back_and_both_are_said():
    said, tries = [], iter([away, away, lambda: 7])
    given, _ = Patience(60, said.append, lambda: False).over(lambda: next(tries)())
    assert 7 == given
    assert ["gone It is tried again for 60 s; what runs goes on.", "the database is back after 0 s."] == said


def test_the_limit_or_a_signal_ends_the_waiting():
    for limit_s, stopped in ((0.2, False), (60, True)):
        with pytest.raises(AwayError):
            Patience(limit_s, print, lambda stopped=stopped: stopped).over(away)


@pytest.mark.parametrize(
    "text",
    [
        "database is locked",
        "database or disk is full",
        "disk I/O error",
        "server closed the connection unexpectedly",
        "terminating connection due to administrator command",
        'connection failed: connection to server at "127.0.0.1", port 5432 failed: Connection refused',
        "FATAL:  the database system is starting up",
        'could not extend file "base/1/2": No space left on device',
    ],
)
def test_what_passes_is_told_from_what_does_not(text):
    with pytest.raises(AwayError), schema.explained("a.db"):
        raise sa.exc.OperationalError("SELECT 1", {}, sqlite3.OperationalError(text))
    with pytest.raises(StoreError) as told, schema.explained("a.db"):
        raise sqlite3.DatabaseError("file is not a database")
    assert not isinstance(told.value, AwayError)


@contextmanager
def flaky(monkeypatch, which, unheard=2):
    """The n-th write transactions in `which` fail; every second one after it was committed, so that nobody hears of
    it."""
    real, count = Store.transaction, 0

    @contextmanager
    def transaction(self):
        nonlocal count
        outermost = self._joined is None
        count += outermost
        number = count
        if outermost and number in which and number % unheard == 0:
            raise AwayError("gone")
        with real(self) as connection:
            yield connection
        if outermost and number in which:
            raise AwayError("gone")

    monkeypatch.setattr(Store, "transaction", transaction)
    yield
    assert count > min(which)


def test_runs_go_on_while_the_database_is_away_and_each_counts_once(folder, monkeypatch):
    """Every transaction but the plan's fails now and then, before and after its commit."""
    with flaky(monkeypatch, {*range(3, 9), *range(12, 24, 3)}):
        dispatch(folder, specs(folder, "steps", 4), function="steps")
    assert [("done", None)] * 4 == states(folder)
    with closing(sqlite3.connect(folder / "a.db")) as connection:
        ended = "SELECT outcome, reason, late FROM attempt WHERE outcome = 'done' OR reason != 'cancelled'"
        assert [("done", None, None)] * 4 == connection.execute(ended).fetchall()
        assert [(12,)] == connection.execute("SELECT count(*) FROM curve").fetchall()


@pytest.mark.slow
def test_a_database_that_stays_away_ends_the_dispatcher(folder, monkeypatch):
    with pytest.raises(AwayError), flaky(monkeypatch, set(range(4, 1000)), unheard=1):
        dispatch(folder, specs(folder, "good", 2), limits=Limits(database_s=0.1))


def test_a_full_disk_costs_no_attempt_and_ends_no_run(folder, monkeypatch):
    monkeypatch.setattr(backoff, "FIRST_S", 0.01)
    dispatch(folder, specs(folder, "full_twice"), function="full_twice", limits=Limits(attempts=1))
    assert [("done", None)] == states(folder)
    with Store.open(folder / "a.db") as store:
        assert ["infrastructure", "infrastructure", None] == [one.reason for one in store.attempts("full_twice0")]
        assert 1 == store.states(["full_twice0"])["full_twice0"].attempts


def test_a_full_disk_is_found_in_what_a_library_makes_of_it():
    error = RuntimeError("unexpected pos 64 vs 0")  # as torch says it
    error.__context__ = OSError(errno.ENOSPC, "No space left on device")
    assert "infrastructure" == reason_of(error)
    assert "error" == reason_of(FileNotFoundError(errno.ENOENT, "No such file"))


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EROFS])
def test_what_a_task_would_meet_again_is_an_error_and_not_tried_for_ever(number):
    assert "error" == reason_of(OSError(number, os.strerror(number)))


def test_a_long_log_keeps_its_beginning_and_its_end_and_says_what_is_gone(folder):
    dispatch(folder, specs(folder, "loud"), function="loud", limits=Limits(log_mib=1))
    with Store.open(folder / "a.db") as store:
        log = Path(store.attempts("loud0")[0].log) / "log.txt"
    lines = [line.strip() for line in log.read_text().splitlines()]
    assert log.stat().st_size < 1.1 * 2**20
    assert ("0", str(3 * 1024 - 1)) == (lines[0], lines[-1])
    assert 1 == sum("of output are cut out here: limits.log" in line for line in lines)


def test_a_log_that_is_cut_again_says_all_that_is_gone(tmp_path):
    log, cut = tmp_path / "log.txt", 0
    log.write_bytes(b"a" * 100)
    assert 0 == shorten(log, 100)
    for _ in range(2):
        with log.open("ab") as file:
            file.write(b"b" * 1024)
        cut = shorten(log, 100, cut)
    assert cut > 1900
    assert 1 == log.read_bytes().count(b"[")
    assert log.read_bytes().startswith(b"a" * 50)
    assert 0 == shorten(tmp_path / "none", 100)
