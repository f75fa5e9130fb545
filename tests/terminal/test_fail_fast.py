"""Runs that all fail alike: `run` ends after a few, with one message."""

import pytest

from ablate.terminal import cli

STUDY = """
task: train:main
base: {lr: 0.1}
tricks: {fast: {set: {lr: 0.2}}}
seeds: 5
metric: {name: acc, better: higher}
"""


@pytest.mark.parametrize(
    ("returned", "more", "executed"),
    [
        ("config['rate']", "", 3),
        ("config['rate']", "limits: {stop_after: 5}", 5),
        ("1 if run.seed == 0 else config['rate']", "", 10),
        ("config['abcde'[run.seed] + 'xy'[config['lr'] > 0.15]]", "", 10),
        ("{}[f'rate at {run.seed_for(str(config))}']", "", 3),
    ],
    ids=["alike", "the study's number", "one is done", "each its own failure", "alike but for a number"],
)
def test_a_run_ends_when_runs_fail_alike_and_none_is_done(tmp_path, monkeypatch, capfd, returned, more, executed):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(f"def main(config, run):\n    return {{'acc': {returned}}}\n")
    (tmp_path / "s.yaml").write_text(STUDY + more)
    with pytest.raises(SystemExit) as ended:
        cli.main(["--db", "r.db", "run", "s.yaml", "--workers", "1"])
    err = capfd.readouterr().err
    assert 1 == ended.value.code
    assert executed == err.count("tells more") + (2 if "seed == 0" in returned else 0)
    assert ("failed alike and none is done" in err) == (executed < 10)
    assert executed == 10 or "KeyError: 'rate" in err.split("none is done")[1]
