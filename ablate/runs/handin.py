"""What a hand-in says: its README, and a notebook that trains, shows, plots, reports and predicts. Text only.

Whoever unpacks it has neither ablate nor the data; `run.ipynb` and the README's commands use the `ablate/` beside them.
"""

from __future__ import annotations

import json
import platform
import shlex
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ablate.records import Json
from ablate.runs.planned import folder_name
from ablate.store.stored import StoredStudy, TestUse

_BROUGHT = frozenset({"npz", "pickle", "folder", "cifar10", "cifar100", "function"})
"""Data sets that lie in files of the user's; the others come with the libraries."""


@dataclass(frozen=True)
class HandIn:
    """What its texts are made of. words: of `ablate run`, the data's folder left out; root: that folder, where all
    variants have one, else None. brought: whether the data must be brought along. predicted: the words of the last
    `ablate predict`, None where there is no test set. told: what a person must know before handing it in."""

    name: str
    question: str
    words: tuple[str, ...]
    loop: str
    trains: str
    root: str | None
    brought: bool
    tuned: bool
    predicted: tuple[str, ...] | None
    told: tuple[str, ...]

    @classmethod
    def of(cls, study: StoredStudy, uses: Sequence[TestUse], file: Path, told: tuple[str, ...]) -> HandIn:
        record = study.record
        data = [variant.config.get("data") for variant in record.variants]
        sets = [one for one in data if isinstance(one, dict)]
        roots = {one.get("root") for one in sets} if len(sets) == len(data) else set()
        root = next(iter(roots)) if len(roots) == 1 else None
        whole = root is not None and Path(root).expanduser().is_absolute()
        options = [option for option in record.overrides if root is None or not _names_root(option)]
        words = [f"{file.stem}.yaml", *(word for option in options for word in ("--set", option))]
        return cls(
            name=study.name,
            question=record.question.strip(),
            words=tuple(words),
            loop=record.facts.loop or str(record.task),
            trains=record.facts.epochs,
            root=Path(root).name if root is not None and whole else root,  # where it lay is nobody else's business
            brought=bool({one.get("name") for one in sets} & _BROUGHT),
            tuned=bool(record.tuned),
            predicted=_predicted(uses, sets),
            told=told,
        )

    @property
    def opening(self) -> str:
        return f"# {self.name}\n\n{self.question}\n"

    @property
    def data(self) -> str:
        """What to bring along; empty where the data come with the libraries."""
        if not self.brought:
            return ""
        lies = "" if self.root is None else f" (the folder `{self.root}` when the study was run)"
        other = "" if self.root is None else ", or name another folder with `--set data.root=FOLDER`"
        return _paragraph(f"The data are not in the archive. Put them where the study looks for them{lies}{other}.")


def _names_root(option: str) -> bool:
    return option.partition("=")[0] in ("data.root", "base.data.root")


def _predicted(uses: Sequence[TestUse], sets: Sequence[dict[str, Json]]) -> tuple[str, ...] | None:
    """The same prediction again; that of the best variant where nobody made one and there is a test set."""
    if uses:
        last = uses[-1]
        seed = ("--seed", str(last.seeds[0])) if len(last.seeds) == 1 else ()
        return ("predict", "--variant", last.variant, *seed, "-o", "submission.csv")
    places = [Path(str(one["root"])).expanduser() for one in sets if one.get("root") is not None]
    lies = any((root / "test.npz").is_file() or (root / "test").is_dir() for root in places)
    return ("predict", "-o", "submission.csv") if lies or any(one.get("test") for one in sets) else None


# --------------------------------------------------------------------------------------------------------------- README


def readme(how: HandIn) -> str:
    return "\n".join(_parts(how))


def _parts(how: HandIn) -> Iterator[str]:
    again = [] if how.root is None or not how.brought else ["--set", "data.root=FOLDER"]
    run = shlex.join(["run", *how.words, *again])
    yield how.opening
    yield f"Made with Python {platform.python_version()} and the versions in requirements.txt.\n"
    yield _commands(("", "python -m pip install -r requirements.txt"), *_steps(how, again))
    yield _paragraph(
        "`run.ipynb` does the same in a notebook, in Colab, too. `ablate/` is the tool itself, as it made the results, "
        "under the licence `ablate/LICENSE`."
    )
    if how.data:
        yield how.data
    yield "## How to run the training loop\n"
    yield _paragraph(
        f"The training loop is `{how.loop}`. The first `run` above executes it once for every variant and seed that is "
        f"not done, each in a process of its own; stopped, it goes on with the same command. "
        f"`python -m ablate plan {shlex.quote(how.words[0])}` lists the variants."
    )
    short = ["--set", "seeds=1", *(["--set", f"{how.trains}=1"] if how.trains else [])]
    yield "To see it work in short, with a database of its own:\n"
    yield _commands(("", f"python -m ablate --db try.db {run} {shlex.join(short)}"))
    yield _paragraph("`python -m ablate verify VARIANT:SEED` trains one again and holds it against what is stored.")
    if how.told:
        yield "## What another machine lacks\n"
        yield "\n".join(f"* {sentence}" for sentence in how.told) + "\n"


def _paragraph(text: str) -> str:
    return textwrap.fill(text, 110, break_long_words=False, break_on_hyphens=False) + "\n"


def _steps(how: HandIn, again: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What each command does, and the command."""
    words = shlex.join([*how.words, *again])
    yield "train what is missing, print the table", f"python -m ablate run {words}"
    if how.tuned:
        yield "search the settings", f"python -m ablate tune {words}"
    yield "the ablation table", "python -m ablate table"
    yield f"every figure, into results/{folder_name(how.name)}", "python -m ablate plot"
    yield "the report", "python -m ablate report -o report.pdf"
    if how.predicted is not None:
        yield "the test set", f"python -m ablate {shlex.join(how.predicted)}"


def _commands(*steps: tuple[str, str]) -> str:
    wide = max(len(command) for _, command in steps)
    lines = [f"    {command:{wide}}  # {what}" if what else f"    {command}" for what, command in steps]
    return "\n".join([*lines, ""])


# ------------------------------------------------------------------------------------------------------------- notebook

_SET_UP = """# In Colab: upload the .zip (the folder on the left), then run this.
import subprocess, sys, zipfile
from pathlib import Path

for file in Path().glob("*.zip") if not Path("ablate").is_dir() else ():
    with zipfile.ZipFile(file) as archive:
        if "ablate/__main__.py" in archive.namelist():
            archive.extractall()

def ablate(*words):
    command = [sys.executable, "-m", "ablate", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout:
            print(line, end="")
    if process.returncode:
        raise SystemExit(process.returncode)"""

_DATA = """# The folder of the data, which are not in the archive.
DATA = {root!r}
assert Path(DATA).expanduser().is_dir(), f"there is no folder {{DATA}}: put the data there, or name another above\""""

_SHOW = """from IPython.display import HTML

table = subprocess.run([sys.executable, "-m", "ablate", "table", "--format", "html"], capture_output=True, text=True)
HTML(table.stdout)"""

_PLOT = """from IPython.display import Image, display

ablate("plot", "--format", "png")
for file in sorted(Path("results", {folder!r}).glob("*.png")):
    display(Image(file))"""


def notebook(how: HandIn) -> str:
    """Notebook format 4.5."""
    contents: list[dict[str, Json]] = [
        {"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": text.splitlines(keepends=True)}
        | ({"execution_count": None, "outputs": []} if kind == "code" else {})
        for number, (kind, text) in enumerate(_cells(how))
    ]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    whole = {"cells": contents, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _cells(how: HandIn) -> Iterator[tuple[str, str]]:
    words = ", ".join(map(repr, how.words))
    there = how.brought and how.root is not None
    if there:
        words += ', "--set", f"data.root={DATA}"'
    yield "markdown", f"{how.opening}\n{how.data}"
    yield "code", _SET_UP
    yield "code", "%pip install -q -r requirements.txt"
    if there:
        yield "code", _DATA.format(root=how.root)
    yield "code", f'ablate("plan", {words})'
    yield "markdown", "Stopping the next cell loses nothing: run it again and it goes on where it was."
    yield "code", f'ablate("run", {words})'
    if how.tuned:
        yield "code", f'ablate("tune", {words})'
    yield "code", _SHOW
    yield "code", _PLOT.format(folder=folder_name(how.name))
    yield "markdown", "The report, into `report.pdf`; your own paragraphs with `--notes FILE`."
    yield "code", 'ablate("report", "-o", "report.pdf")'
    if how.predicted is not None:
        yield "markdown", "The test set. A competition's own header and order: `--sample sample_submission.csv`."
        yield "code", f"ablate({', '.join(map(json.dumps, how.predicted))})"
