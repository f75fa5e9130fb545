"""Plug-ins found by file name; what is wrong with one is told by its file and line."""

import pytest

from ablate.errors import ConfigError, PluginError
from ablate.registry import Registry

MODEL = """from ablate.plugins import Model

class Own(Model):
    \"\"\"Mine.\"\"\"

    width: int = 4

    def build(self, image, classes):
        return None
"""


def test_a_plug_in_that_is_no_dataclass_is_told_by_its_line(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models/own.py").write_text(MODEL)
    with pytest.raises(
        PluginError, match=r"own\.py:3: Own has no `@dataclass\(frozen=True\)` above it, so width is no"
    ):
        Registry([tmp_path]).make("models", "own", {})


def test_a_net_that_torchvision_has_not_is_refused_before_anything_is_built():
    with pytest.raises(ConfigError, match=r"torchvision has no net of that name\. Did you mean 'resnet18'\?"):
        Registry().make("models", "torchvision", {"net": "resnet19"}, "model")
