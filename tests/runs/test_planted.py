"""A network of which it is known what each part does: studies/planted.yaml finds that, and nothing else."""

import json
import sys
from pathlib import Path

import pytest
from commands import ablate

STUDY = Path(__file__).parent.parent.parent / "studies/planted.yaml"


@pytest.mark.slow
def test_what_is_planted_is_found_and_nothing_else(tmp_path):
    ablate(sys.executable, tmp_path, "run", str(STUDY))
    table = json.loads(ablate(sys.executable, tmp_path, "table", "planted", "--format", "json")[0])
    verdicts = {(row["design"], row["label"]): row["verdict"] for row in table["rows"]}
    out = {name: verdicts["leave_one_out", f"- {name}"] for name in ("one branch", "other branch", "block", "constant")}
    assert [name for name, verdict in out.items() if verdict == "helps"] == ["block"]
    assert "hurts" not in out.values()
    into = {name: verdicts["add_one_in", f"+ {name}"] for name in out}
    assert [name for name, verdict in into.items() if verdict == "helps"] == ["one branch", "other branch"]
    assert verdicts["leave_one_out", "control of block"] == "equivalent"
    assert verdicts["beyond size", "- block"] == "helps"
    shown, _ = ablate(sys.executable, tmp_path, "table", "planted", "--view", "interactions", "--format", "json")
    first = json.loads(shown)["interactions"][0]
    assert first["tricks"] == ["one branch", "other branch"]
    assert first["ci_high"] < -10
