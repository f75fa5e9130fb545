"""Twenty dispatchers at once on a new file, with readers beside them. Each test in a process of its own, which forks."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "contention.py"


def figures(seconds):
    done = subprocess.run([sys.executable, str(SCRIPT), str(seconds)], capture_output=True, text=True)
    assert 0 == done.returncode, done.stderr
    return dict(line.rsplit(maxsplit=1) for line in done.stdout.splitlines()), done.stdout


@pytest.mark.slow
def test_twenty_dispatchers_at_once_share_a_new_file_with_readers_and_nobody_is_locked_out():
    told, text = figures(0)
    assert ("0", "0", "0") == (told['"database is locked"'], told["counted twice"], told["left over"]), text
    assert "110" == told["runs done"], text  # 11 studies of 2 variants and 5 seeds, each run once
    assert int(told["reads beside them"]) > 0


@pytest.mark.slow
def test_five_minutes_of_twenty_dispatchers_and_three_readers_lock_nobody_out():
    told, text = figures(300)
    assert ("0", "0") == (told['"database is locked"'], told["counted twice"]), text
    assert int(told["write transactions"]) > 1000
