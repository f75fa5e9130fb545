"""`ablate show VARIANT --model`: the parts of a network, and what each trick takes."""

import pytest
from typer.testing import CliRunner

from ablate.errors import AblateError
from ablate.runs.planned import find
from ablate.terminal.cli import app
from ablate.terminal.printed import network_text

STUDY = """
base: {model: {name: resnet, depth: 8, width: 8}, data: {name: digits, train_size: 60}, epochs: 1}
tricks: {block: {part: stage1_block1}, mixup: }
"""


def test_the_parts_of_a_variants_network_are_those_that_it_has_and_each_trick_says_what_it_takes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.yaml").write_text(STUDY)
    planned = find("s.yaml", "s.db")
    full, without = network_text(planned, "full"), network_text(planned, "base+mixup")
    assert "stage1_block1.branch.first.conv" in full
    assert "stage1_block1.branch.first.conv" not in without
    assert "block: with stage1_block1 goes " in full
    assert "% of the parameters, " in full
    with pytest.raises(AblateError, match="no variant is called 'ful'"):
        network_text(planned, "ful")


def test_a_studys_file_is_enough_to_see_the_paths_of_its_network(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.yaml").write_text(STUDY)
    shown = CliRunner().invoke(app, ["--db", "s.db", "show", "s.yaml", "--model"])
    assert "stage1_block1.branch.first.conv" in shown.output
    assert shown.output.startswith("FLOPs: of one forward pass of two images, in training mode.")
