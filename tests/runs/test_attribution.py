"""Many runs of a script that writes one and the same file: no number of another run is ever counted."""

import pytest

from ablate.runs import execute
from ablate.runs.planned import find
from ablate.store.store import Store
from ablate.terminal.live import View

SCRIPT = """
import argparse, json, time
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=int)
parser.add_argument("--seed", type=int)
options = parser.parse_args()
score = options.seed + 1000 * options.lr + 0.5
with open("result.json", "w") as file:
    json.dump({"score": score}, file)
time.sleep(0.02 * (options.seed % 3))
"""
STUDY = """
task:
  command: python train.py {flags}
  cwd: CWD
base: {lr: 1}
tricks: {high: {set: {lr: 2}}}
seeds: SEEDS
metric: score
limits: {attempts: 1, stop_after: 1000}
"""


@pytest.mark.parametrize(
    ("cwd", "seeds"), [(".", 4), ("run", 4), *(pytest.param(cwd, 100, marks=pytest.mark.slow) for cwd in (".", "run"))]
)
def test_each_run_is_right_or_refused_and_with_a_folder_of_its_own_all_are_right(tmp_path, monkeypatch, cwd, seeds):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "result.json").write_text('{"score": -1}')
    (tmp_path / "s.yaml").write_text(STUDY.replace("CWD", cwd).replace("SEEDS", str(seeds)))
    planned = find("s.yaml", "a.db")
    with View(quiet=True) as view:
        execute.execute(planned, "a.db", execute.Options(workers=4), view)
    with Store.open("a.db") as store:
        cells = store.cells("s")
        scores = {(variant, seed): value for variant, seed, _, value in store.values("s", ["score"])}
        said = {attempt.message for cell in cells for attempt in store.attempts(cell.run) if attempt.message}
    assert len(cells) == 2 * seeds
    assert scores == {(v, seed): seed + 1000 * (2 if "high" in v else 1) + 0.5 for v, seed in scores}
    assert all(cell.state == "done" or cell.reason == "bad_result" for cell in cells)
    assert (len(scores) == len(cells)) if cwd == "run" else all("written by another run" in one for one in said)
