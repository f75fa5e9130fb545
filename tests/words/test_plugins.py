"""The door for authors of plug-ins: exactly these names, none of them fetched before it is asked for."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from ablate import plugins

PROMISED = [
    *("Trick", "Step", "Facts", "Model", "Dataset", "Design", "Task", "Run", "Format", "Figure", "cases"),
    *("Subset", "Raw", "Arrays", "as_images", "as_labels", "file_sha256", "Dropout"),
    *(
        "Chosen",
        "DesignRow",
        "LeftOut",
        "Space",
        "DesignError",
        "Completed",
        "Meaning",
        "TrickUse",
        "Registry",
        "Replacement",
    ),
    *("Count", "Size", "Positive", "NonNegative", "Share", "ShareBelowOne", "Json", "ConfigError", "DataError"),
]
"""The contracts; what data sets and networks are made of; what designs and tasks are given and hand back; parameters."""


def test_exactly_these_names_are_promised():
    assert sorted(PROMISED) == sorted(plugins.__all__) == sorted(" ".join(plugins._HOMES.values()).split())


@pytest.mark.parametrize("name", PROMISED)
def test_every_name_is_handed_out(name):
    assert getattr(plugins, name) is not None


def test_a_type_checker_sees_the_same_names_in_the_same_places():
    tree = ast.parse(Path(plugins.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    shown = {node.module: " ".join(alias.name for alias in node.names) for node in block.body}
    assert {f"ablate.{home}": names for home, names in plugins._HOMES.items()} == shown


def test_other_names_are_refused():
    with pytest.raises(ImportError, match="Trik"):
        from ablate.plugins import Trik  # noqa: F401
    with pytest.raises(AttributeError, match="it has Arrays, Chosen"):
        _ = plugins.Trik


def test_nothing_heavy_is_imported_for_a_contract():
    code = (
        "from ablate.plugins import Trick, Step, Facts, Model, Dataset, Subset, Raw, Design, Task, Run, Count\n"
        "import sys; print({'torch', 'numpy', 'pandas', 'scipy', 'matplotlib', 'plotly', 'sqlalchemy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "set()\n" == done.stdout
