"""The example in each command's help, as somebody types it after `make run`: the demo study is the last one run."""

import re
import shlex

import called
import pytest
from snippets import ROOT, Story, parse

from ablate.terminal import cli

EXAMPLES = {
    cli._name(command): re.findall(r"^ {4,}(ablate .+)$", command.callback.__doc__, re.MULTILINE)
    for command in cli.app.registered_commands
}
NOT_RUN = {
    "run": "the demo study whole; a part of it is what the others are tried on",
    "tune": "forty CPU seconds",
    "check": "needs a text with bound numbers",
    "quick": "needs a script",
    "try": "needs a script",
    "recapture": "needs a script",
    "predict": "needs the images of a course",
    "worker": "needs an `ablate run` that hands runs over",
}
SMALL = ("--set", "seeds=[300, 301]", "--set", "epochs=1", "--set", "data.train_size=100")


@pytest.mark.slow
def test_every_example_works_after_the_demo_study(tmp_path, monkeypatch):
    monkeypatch.delenv("ABLATE_DB", raising=False)
    (tmp_path / "studies").mkdir()
    for path in (ROOT / "studies").glob("*.yaml"):
        (tmp_path / "studies" / path.name).symlink_to(path)
    story = Story(tmp_path)
    code, _, told = story.ablate(["run", "studies/batchnorm.yaml", *SMALL])
    assert 0 == code, told
    for name in sorted(
        EXAMPLES.keys() - NOT_RUN.keys(), key=lambda name: name == "import"
    ):  # it reads what export wrote
        for example in EXAMPLES[name]:
            command = example.partition(" > ")[0]
            code, _, told = story.run(command)
            assert 0 == code, f"{command} exits with {code}: {told}"


def test_list_without_a_kind_says_which_there_are(tmp_path):
    done = called.ablate(tmp_path, "list")
    assert 2 == done.returncode
    assert "`ablate list KIND`, which is tricks, models, " in done.stderr


def test_quick_takes_no_option_of_its_own_that_is_misspelt_for_a_command(tmp_path):
    done = called.ablate(tmp_path, "quick", "--metrci", "top1", "--", "python", "train.py")
    assert 2 == done.returncode
    assert "quick has no option '--metrci'; it has --seeds, " in done.stderr
    assert "Did you mean '--metric'?" in done.stderr


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_command_has_an_example_that_the_command_line_takes(name):
    assert EXAMPLES[name]
    for example in EXAMPLES[name]:
        parse(example.partition(" > ")[0])
        for file in (word for word in shlex.split(example) if re.fullmatch(r"studies/\w+\.yaml", word)):
            assert name == "init" or (ROOT / file).exists()


def test_the_list_of_commands_says_each_whole_and_names_it_in_the_order_of_a_study(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    listed = capsys.readouterr().out.partition("Commands:\n")[2].splitlines()
    assert [] == [line for line in listed if line.endswith("...")]
    assert list(cli.ORDER) == [line.split()[0] for line in listed]
