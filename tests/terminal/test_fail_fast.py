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
        ("config[f'rate{run.seed}{config}']", "", 10),
    ],
    ids=["alike", "the study's number", "one is done", "each its own failure"],
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
    assert ("KeyError: 'rate'. Mend it" in err) == (executed < 10)
