"""What a run draws depends on its seed alone, wherever the generator was made."""

import json
import subprocess
import sys

import pytest

from ablate.pool.seeding import unseeded


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("rng = np.random.default_rng()", ["rng"]),
        ("rng = default_rng(None)\nother = random.Random()", ["rng", "other"]),
        ("class Net:\n    rng = np.random.Generator(np.random.PCG64())", ["Net.rng"]),
        ("rng = np.random.default_rng(7)", []),
        ("rng = RandomState(seed=3)", []),
        ("def main():\n    rng = default_rng()", []),
    ],
)
def test_a_generator_of_a_module_without_a_seed_is_found(source, names):
    assert names == list(unseeded(source))


STUDY = """
task: drawing:main
base: {x: 0}
variants: {plain: []}
seeds: 3
metric: {name: score, better: higher}
"""


def scores(folder, name, task):
    """The score of each seed, of a study run in a process of its own."""
    (folder / "drawing.py").write_text(task)
    (folder / "s.yaml").write_text(STUDY)
    command = [sys.executable, "-m", "ablate", "--db", f"{name}.db"]
    subprocess.run([*command, "run", "s.yaml"], cwd=folder, check=True, capture_output=True)
    told = subprocess.run([*command, "export", "--format", "json"], cwd=folder, check=True, capture_output=True).stdout
    return [run["score"] for run in json.loads(told)]


@pytest.mark.parametrize(
    "task",
    [
        "import numpy as np\nrng = np.random.default_rng()\ndef main(config, run):\n    return {'score': rng.normal()}",
        "import random\nrng = random.Random()\ndef main(config, run):\n    return {'score': rng.random()}",
        "import numpy as np\nrng = np.random.RandomState()\ndef main(config, run):\n    return {'score': rng.normal()}",
        "def main(config, run):\n    import numpy\n    return {'score': numpy.random.normal()}",
        "def main(config, run):\n    import torch\n    return {'score': torch.rand(()).item()}",
    ],
    ids=["module's Generator", "module's Random", "module's RandomState", "late numpy", "late torch"],
)
def test_seeds_draw_different_numbers_and_the_same_ones_again(tmp_path, task):
    first = scores(tmp_path, "one", task)
    assert len(set(first)) == 3
    assert first == scores(tmp_path, "two", task)


def test_the_order_of_a_set_of_texts_is_the_same_in_two_runs_of_the_command(tmp_path):
    task = "def main(config, run):\n    return {'score': float(int(list({'a', 'b', 'c', 'd', 'e'})[0], 16))}"
    assert scores(tmp_path, "one", task) == scores(tmp_path, "two", task)
