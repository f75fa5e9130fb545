"""Every plug-in of the shelves keeps what comparisons rest on, and the suite finds those that do not."""

import pytest

from ablate.testing.suite import cases


def needs_files(case):
    """Data sets that are read from somewhere, and the function as a task; tests of their own give them files."""
    return case.shelf in ("datasets", "tasks") and any(
        p.required for p in case.registry.parameters(case.shelf, case.name)
    )


@pytest.mark.parametrize("case", [case for case in cases() if not needs_files(case)], ids=str)
def test_every_plug_in_conforms(case):
    case.check()


HEAD = """'''A plug-in that is wrong on purpose.'''
from dataclasses import dataclass
import numpy as np
import torch
from torch import nn
from ablate.plugins import Arrays, Chosen, Completed, Dataset, Design, DesignRow, Model, Task, Trick

@dataclass(frozen=True)
"""
BAD = {
    "tricks": {
        "draws from a global generator": """
class Bad(Trick):
    def batch(self, images, targets, step):
        return images + torch.randn(images.shape), targets
""",
        "is inert": """
class Bad(Trick):
    label = "inert"
""",
        "accepts": """
class Bad(Trick):
    __pydantic_config__ = {"extra": "forbid"}
    strength: float = 0.5
""",
        "at {'strength': 0.0} changes": """
class Bad(Trick):
    neutral = {"strength": 0.0}
    strength: float = 0.5
    def batch(self, images, targets, step):
        return images * 1.001, targets
""",
        "starts from other values": """
class Bad(Trick):
    def model(self, model, facts):
        with torch.no_grad():
            model.linear.weight.mul_(2)
        return model
""",
    },
    "models": {
        "renames": """
class Bad(Model):
    toggles = {"norm": (False, True)}
    norm: bool = False
    def build(self, image, classes):
        norm = [nn.BatchNorm2d(image[0])] if self.norm else []
        return nn.Sequential(*norm, nn.Flatten(), nn.Linear(image[0] * image[1] * image[2], classes))
""",
        "nn.Dropout?": """
class Bad(Model):
    def build(self, image, classes):
        return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(image[0] * image[1] * image[2], classes))
""",
        "is drawn by the constructor": """
class Bad(Model):
    def build(self, image, classes):
        network = nn.Sequential(nn.Flatten(), nn.Linear(image[0] * image[1] * image[2], classes))
        network.register_parameter("scale", nn.Parameter(torch.randn(1)))
        return network
""",
        "became (3, 7)": """
class Bad(Model):
    def build(self, image, classes):
        return nn.Sequential(nn.Flatten(), nn.Linear(image[0] * image[1] * image[2], 7))
""",
    },
    "datasets": {
        "size changes the data and not the fingerprint": """
class Bad(Dataset):
    size: int = 8
    def fingerprint(self):
        return "always"
    def arrays(self):
        images, labels = np.zeros((self.size, 8, 8, 1), np.uint8), np.zeros(self.size, np.int64)
        return Arrays.of((images, labels), (images, labels), ("only",))
""",
        "train_images differs between two loads": """
class Bad(Dataset):
    def fingerprint(self):
        return "always"
    def arrays(self):
        images = np.random.default_rng().integers(0, 256, (8, 8, 8, 1), dtype=np.uint8)
        return Arrays.of((images, np.zeros(8, np.int64)), (images, np.zeros(8, np.int64)), ("only",))
""",
    },
    "designs": {
        "may not be (skip requires norm)": """
class Bad(Design):
    def choose(self, space):
        single = [space.add(space.base, trick.choices[0]) for trick in space.tricks]
        return Chosen((DesignRow(space.base, None), *(DesignRow(cell, space.base) for cell in single)))
""",
        "which is no row": """
class Bad(Design):
    def choose(self, space):
        return Chosen((DesignRow(space.base, None), DesignRow(space.full, space.add(space.base, space.full.on[0]))))
""",
    },
    "tasks": {
        "completing twice gives two configurations": """
class Bad(Task):
    def complete(self, config, tricks, registry):
        config = {"drawn": np.random.default_rng().random(), **config}
        return Completed(config, config, (), {"task": 1})
    def execute(self, run):
        return {"loss": 0.0}
""",
    },
}


@pytest.mark.parametrize(("shelf", "complaint"), [(shelf, text) for shelf in BAD for text in BAD[shelf]])
def test_the_suite_finds_a_plug_in_that_is_wrong(shelf, complaint, tmp_path):
    (tmp_path / shelf).mkdir()
    (tmp_path / shelf / "bad.py").write_text(HEAD + BAD[shelf][complaint])
    found = []
    for case in cases(tmp_path):
        try:
            case.check()
        except AssertionError as error:
            found.append(str(error))
    assert any(complaint in text for text in found), found
