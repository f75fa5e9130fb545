"""Numbers that a script gives TensorBoard, MLflow or W&B, by these libraries themselves."""

import random

import pytest
from commands import ablate, python_with

START = """
import argparse, random
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--seed", type=int, default=0)
options = parser.parse_args()
random.seed(options.seed)
scores = [random.random() + options.lr for _ in range(3)]
"""
SCRIPTS = {
    "tensorboard": """
from torch.utils.tensorboard import SummaryWriter
writer = SummaryWriter()
for step, score in enumerate(scores):
    writer.add_scalar("score", score, step)
writer.add_text("note", "a text")
writer.close()
""",
    "mlflow": """
import mlflow
with mlflow.start_run():
    for step, score in enumerate(scores):
        mlflow.log_metric("score", score, step=step)
    mlflow.log_metric("odd", float("nan"))
""",
    "wandb": """
import wandb
run = wandb.init(project="x", mode="offline")
for score in scores:
    wandb.log({"score": score, "deep": {"loss": 0.5}})
run.finish()
""",
}
STUDY = """
task: {command: "python train.py {flags}"}
base: {lr: 0.1}
tricks: {high: {set: {lr: 0.5}}}
seeds: 2
metric: score
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    return python_with(
        tmp_path_factory.mktemp("python"), "tensorboard", "mlflow-skinny", "sqlalchemy", "alembic", "wandb"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("library", "place"),
    [("tensorboard", "tensorboard runs/"), ("mlflow", "mlflow mlflow.db"), ("wandb", "ablate.log")],
)
def test_what_a_library_is_told_is_found_with_its_steps_and_nothing_else_is(tmp_path, python, library, place):
    (tmp_path / "train.py").write_text(START + SCRIPTS[library])
    (tmp_path / "s.yaml").write_text(STUDY)
    said, _ = ablate(python, tmp_path, "try", "s.yaml")
    random.seed(0)
    score = [random.random() + 0.5 for _ in range(3)][-1]
    found = {line.split()[0]: line for line in said.splitlines() if line.startswith("  ")}
    assert f"{score:.5f}" in found["score"]
    assert place in found["score"]
    assert found["score"].endswith("3 steps")
    assert set(found) <= {"score", "deep.loss"}
    table, told = ablate(python, tmp_path, "-q", "run", "s.yaml", "--workers", "2")
    assert "| - high    |   2 |" in table, told
