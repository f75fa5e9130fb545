"""What a command loads: `--help` next to nothing, tables and plans no torch."""

import subprocess
import sys

import pytest

HEAVY = {
    "torch",
    "torchvision",
    "sqlalchemy",
    "pandas",
    "scipy",
    "optuna",
    "alembic",
    "plotly",
    "numpy",
    "statsmodels",
}


def loaded(code, cwd):
    """The heavy modules that are loaded after `code`."""
    report = f"\nimport sys; print(*sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, cwd=cwd, check=True)
    return set(done.stdout.splitlines()[-1].split())


def command(*words):
    return f"from ablate.terminal import cli\ntry:\n    cli.main({list(words)!r})\nexcept SystemExit:\n    pass"


@pytest.mark.parametrize("words", [("--help",), ("run", "--help"), ("help", "quickstart")])
def test_help_loads_none_of_the_heavy_libraries(words, tmp_path):
    assert set() == loaded(command(*words), tmp_path)


def test_planning_the_starter_study_loads_neither_torch_nor_pandas(tmp_path):
    code = f"from ablate.terminal import cli\n{command('init', 's.yaml')}\n{command('plan', 's.yaml')}"
    assert not loaded(code, tmp_path) & {"torch", "torchvision", "pandas", "scipy", "optuna", "plotly", "statsmodels"}


def test_listing_what_there_is_loads_no_torch(tmp_path):
    for shelf in ("tricks", "models", "datasets", "designs", "tables"):
        assert not loaded(command("list", shelf), tmp_path) & {"torch", "sqlalchemy", "scipy", "pandas"}


def test_reading_results_loads_no_torch(tmp_path):
    code = "import ablate.analysis.results, ablate.analysis.verdicts, ablate.store.store, ablate.tables.table, ablate.runs.execute"
    assert not loaded(code, tmp_path) & {"torch", "torchvision", "optuna", "plotly", "statsmodels"}
