"""What an earlier release wrote is opened, tabled and gone on with: a database for each release that had a form of its own.

golden/make.py made them. A table's sentences may change from release to release; numbers, states and keys may not.
"""

import json
import shutil
import sqlite3
from pathlib import Path

import called
import pytest

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(params=sorted(path.name for path in GOLDEN.glob("*.db")))
def project(request, tmp_path):
    """A folder with the studies and the database of a release, which its user upgraded."""
    for path in GOLDEN.iterdir():
        if path.suffix in (".py", ".yaml", ".csv"):
            shutil.copy(path, tmp_path)
    shutil.copy(GOLDEN / request.param, tmp_path / "a.db")
    ablate(tmp_path, "migrate")
    return tmp_path


def ablate(folder, words, code=0):
    done = called.ablate(folder, "--db", "a.db", *words.split())
    assert code == done.returncode, done.stderr
    return done.stdout


def attempts(folder):
    raw = sqlite3.connect(folder / "a.db")
    (count,) = raw.execute("SELECT count(*) FROM attempt").fetchone()
    raw.close()
    return count


def test_the_tables_of_a_golden_database_have_the_numbers_that_they_had(project):
    rows = json.loads(ablate(project, "table ablation --format json"))["rows"]
    assert {"base": (3, 0), "base+good": (3, 0), "base+risky": (2, 1)} == {
        row["variant"]: (row["n"], row["failed"]) for row in rows
    }
    assert [80.9902, 84.8137] == [round(row["mean"], 4) for row in rows[:2]]
    told = json.loads(ablate(project, "status ablation --format json"))["counts"]
    assert {"done": 8, "failed": 1, "todo": 0} == {state: told[state] for state in ("done", "failed", "todo")}
    imported = json.loads(ablate(project, "table elsewhere --format json"))["rows"]
    assert [81.93, 83.57] == [round(row["mean"], 2) for row in imported]
    assert "base+good (tuned)" in ablate(project, "table search")
    assert "the loss is no number any more" in ablate(project, "show d1c91c24")


def test_a_golden_database_is_gone_on_with_and_nothing_is_executed_again(project):
    before = attempts(project)
    ablate(project, "run ablation.yaml", code=1)  # a run of it failed
    ablate(project, "run ablation", code=1)
    ablate(project, "tune search.yaml")
    assert before == attempts(project)
    ablate(project, "run ablation.yaml --set seeds=4", code=1)
    assert before + 3 == attempts(project)
