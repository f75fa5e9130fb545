"""SIGKILL anywhere: nothing that was reported is lost, nothing counts twice, nothing stays running."""

import os
import subprocess
import sys

import pytest
from reliability import HEARTBEAT, WHO, random_trials, trial

from ablate.store.store import Store

TICKS = 195
"""Of an unbroken dispatch, about: statements, commits, connections given back, calls of the executor."""


@pytest.mark.parametrize(("who", "at"), [(WHO[i % 4], 25 + 18 * i) for i in range(10)])
def test_a_kill_at_a_statement_a_commit_or_a_start_loses_nothing_and_repeats_nothing(tmp_path, who, at):
    assert trial(tmp_path, who, at).promises_kept


@pytest.mark.parametrize("at", [1, 2, 5])
def test_a_dispatcher_killed_while_it_renews_its_leases_loses_nothing_and_repeats_nothing(tmp_path, at):
    for attempt in range(10):  # on a busy host both runs may be over before anything is to be renewed
        killed = trial(tmp_path / str(attempt), HEARTBEAT, at)
        assert killed.promises_kept
        if killed.hit:
            return
    pytest.fail("of ten dispatchers none was killed while it renewed its leases")


@pytest.mark.slow
@pytest.mark.parametrize("at", range(1, TICKS + 10))
def test_a_dispatcher_killed_at_any_tick_loses_nothing_and_repeats_nothing(tmp_path, at):
    assert trial(tmp_path, "dispatcher", at).promises_kept


@pytest.mark.slow
def test_kills_at_random_moments_lose_nothing_and_repeat_nothing(tmp_path):
    assert [] == [made for made in random_trials(tmp_path, 15, seed=1) if not made.promises_kept]


@pytest.mark.slow
def test_two_hundred_kills_at_random_moments_lose_nothing_and_repeat_nothing(tmp_path):
    made = list(random_trials(tmp_path, 200, seed=2))
    assert [] == [one for one in made if not one.promises_kept]
    assert sum(one.hit for one in made) > 100


@pytest.mark.slow
def test_the_faults_hit_what_they_are_meant_for(tmp_path):
    """A harness that kills nobody would prove nothing: somewhere in the middle workers are under way."""
    told = set()
    for at in range(45, 105, 5):
        (folder := tmp_path / str(at)).mkdir()
        assert trial(folder, "dispatcher", at).hit
        with Store.open(folder / "a.db") as store:
            told |= {attempt.message for key in ("k0", "k1", "k2") for attempt in store.attempts(key)}
        if "its worker is gone" in told:
            return
    pytest.fail(f"of twelve moments none was while a worker was at work: {told}")


SAVES = """
import os, signal, sys
from pathlib import Path
import torch
from ablate.training import checkpoint

def killed_in(call, path):
    if os.fork() == 0:
        setattr(*call, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        checkpoint.save({"new": torch.ones(9)}, path)
        os._exit(0)
    assert os.wait()[1] == signal.SIGKILL

path = Path(sys.argv[1])
checkpoint.save({"old": torch.zeros(9)}, path)
for call in ((torch, "save"), (os, "fsync"), (Path, "replace")):
    killed_in(call, path)
    assert list(torch.load(path, weights_only=True)) == ["old"]
"""


def test_weights_that_were_being_written_at_a_kill_are_the_old_ones_whole(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SAVES, str(tmp_path / "last.pt")], env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert 0 == done.returncode
