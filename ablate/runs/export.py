"""Every run of a study with all its metrics, for a spreadsheet or for somebody's own analysis: CSV or JSON.

What `ablate export` prints. Read through the store's read side only; the same stored values give the same bytes.
"""

from __future__ import annotations

import csv
import importlib.metadata
import io
import json
import platform
import re
import shlex
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import get_args

from ablate.analysis import results
from ablate.errors import AblateError, ConfigError
from ablate.records import COSTS, Json, Role, TaskUse
from ablate.registry import SHELVES, Registry
from ablate.store.reader import Reader
from ablate.store.stored import StoredStudy
from ablate.study import yaml_file
from ablate.study.values import one_or_more
from ablate.training.task import resolve


def text(
    store: Reader,
    study: str | None = None,
    format_: str = "csv",
    *,
    spreadsheet: bool = False,
    epochs: bool = False,
) -> str:
    """`export --format csv`: a header, then a line per (study, variant, seed), in several settings per (study, setting,
    variant, seed); `json`: a list of the same records.

    A metric that a run does not report, and every metric of a run that is not done, is empty (null). Runs that adaptive
    seeds do not need any more are left out. What a run cost (train_seconds, peak_mib) differs from one execution to the
    next: it is there where the study asks for it.

    spreadsheet: names that a spreadsheet would take for formulas are quoted for it. Not by default, for then what is
    exported and imported again would not be the same. epochs: a line for each run and step instead.
    """
    names, lines = (by_epoch if epochs else records)(store, store.find(study))
    if spreadsheet:
        names, lines = [_quoted(name) for name in names], [[_quoted(cell) for cell in line] for line in lines]
    if format_ == "json":
        named = [dict(zip(names, line, strict=True)) for line in lines]
        return json.dumps(named, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(lines)  # csv writes None as an empty field
    return out.getvalue()


def _quoted(cell: Json) -> Json:
    """A text that begins like a formula, behind the apostrophe by which spreadsheets mean text. Numbers stay."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def records(store: Reader, stored: StoredStudy) -> tuple[list[str], list[list[Json]]]:
    """The names of the columns, and of every cell of the study a value for each."""
    roles = get_args(Role)
    wanted = {stored.record.metric.name, *stored.record.also}
    measured: dict[tuple[str, int], dict[str, float]] = {}
    for variant, seed, name, value in store.values(stored.name, None, roles):
        if name in wanted or name not in COSTS:
            measured.setdefault((variant, seed), {})[name] = value
    metrics = sorted({name for values in measured.values() for name in values})
    made: list[list[Json]] = []
    setting = {variant.name: variant.setting for variant in stored.record.variants}
    several = bool(stored.record.across)
    saved = results.load(store, stored.name).saved if stored.record.looks else frozenset()
    for cell in store.cells(stored.name, roles):
        if cell.run in saved:
            continue
        values = measured.get((cell.variant, cell.seed), {})
        there = setting.get(cell.variant, "")
        name = cell.variant.removeprefix(f"{there}/" if several else "")
        where = [cell.run, stored.name, *([there] * several), name, cell.seed, cell.role, cell.state, cell.reason]
        made.append([*where, cell.attempts, *(values.get(name) for name in metrics)])
    head = ["key", "study", *(["setting"] * several), "variant", "seed", "role", "state", "reason", "attempts"]
    return [*head, *metrics], made


def by_epoch(store: Reader, stored: StoredStudy) -> tuple[list[str], list[list[Json]]]:
    """The names of the columns, and of every step of every finished run what it reported. AblateError where no run
    reports anything step by step."""
    roles = get_args(Role)
    steps: dict[tuple[str, int, int], dict[str, float]] = {}
    for variant, seed, name, step, value in store.curve_values(stored.name, None, roles):
        steps.setdefault((variant, seed, step), {})[name] = value
    if not steps:
        raise AblateError(f"no finished run of {stored.name} reports a number step by step.")
    metrics = sorted({name for values in steps.values() for name in values if name not in COSTS})
    cells = {(cell.variant, cell.seed): cell for cell in store.cells(stored.name, roles)}
    lines = [
        [cells[variant, seed].run, stored.name, variant, seed, cells[variant, seed].role, step]
        + [values.get(name) for name in metrics]
        for (variant, seed, step), values in steps.items()
    ]
    return ["key", "study", "variant", "seed", "role", "epoch", *metrics], lines


DISTRIBUTION = "ablate-studies"

_MOMENT = (1980, 1, 1, 0, 0, 0)
"""The time of every packed file: the earliest that a zip can say."""


def packed(study: StoredStudy) -> bytes:
    """The .zip of a stored study. AblateError where a file that it names is gone."""
    file = Path(study.record.file)
    if study.record.imported is not None or not file.name:
        raise AblateError(f"{study.name} was not run from a study file (`ablate import` made it), so it has no code.")
    own = _studies(file, study.text)
    packages = {name for content in own.values() for name in _imported(content)}
    files = {**own, **_ablate()}
    files["requirements.txt"] = _requirements(packages).encode()
    words = [f"{file.stem}.yaml"]
    for option in study.record.overrides:
        words += ["--set", option]
    files["run.ipynb"] = _notebook(study, words).encode()
    files["README.md"] = _readme(study, words).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path, _MOMENT)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, files[path])
    return out.getvalue()


def _studies(file: Path, text: str) -> dict[str, bytes]:
    """The study, the studies that it starts from, and the code that they name; by the path in the archive."""
    files = {f"{file.stem}.yaml": text.encode()}
    waiting = [text]
    while waiting:
        values = _values(waiting.pop(), str(file))
        files |= _code(values, file.parent)
        for name in _parents(values):
            places = [file.parent / name, file.parent / f"{name}.yaml", file.parent / f"{name}.yml"]
            path = next((path for path in places if path.is_file()), None)
            if path is None:
                raise AblateError(f"{file} starts from the study {name!r}, and there is no file {places[1]} to pack.")
            if path.name not in files:
                content = _read(path)
                files[path.name] = content
                waiting.append(content.decode())
    return files


def _values(text: str, file: str) -> Mapping[str, Json]:
    root, problems = yaml_file.read(text, file)
    if problems or root is None:
        raise AblateError(f"the stored text of {file} cannot be read as a study; run it again.")
    values = yaml_file.unfold(root).value
    assert isinstance(values, Mapping), "a stored study is a mapping"
    return values


def _parents(values: Json) -> Iterator[str]:
    """The studies that `init: {study: ...}` names, wherever it stands."""
    if isinstance(values, Mapping):
        init = values.get("init")
        if isinstance(init, Mapping) and isinstance(init.get("study"), str):
            yield init["study"]
        for inner in values.values():
            yield from _parents(inner)


def _code(values: Mapping[str, Json], folder: Path) -> dict[str, bytes]:
    """The modules of the study's task and loading function, and its plug-ins."""
    found: dict[str, bytes] = {}
    plugins = one_or_more(values.get("plugins") or [])
    registry = Registry([folder / name for name in plugins])
    places = (str(folder), str(Path.cwd()))
    for written in [*([values["task"]] if "task" in values else []), *_loaders(values)]:
        try:
            sources = resolve(TaskUse.of(written), registry, places).sources()
        except ConfigError as error:
            raise AblateError("; ".join(message for _, message in error.problems)) from None
        for path in map(Path, sources):
            near = next((Path(place) for place in places if path.is_relative_to(Path(place).resolve())), path.parent)
            found[path.relative_to(near.resolve()).as_posix()] = _read(path)
    for name in plugins:
        for shelf in SHELVES:
            for path in sorted((folder / name / shelf).glob("*.py")):
                found[f"{Path(name).as_posix()}/{shelf}/{path.name}"] = _read(path)
    if any(path.startswith(("/", "../")) for path in found):
        raise AblateError(
            "`plugins:` names a folder that is not beside the study file; only what lies there is packed."
        )
    return found


def _loaders(values: Json) -> Iterator[str]:
    """`load: module:function` of every `function` data set."""
    if isinstance(values, Mapping):
        if values.get("name") == "function" and isinstance(values.get("load"), str):
            yield values["load"]
        for inner in values.values():
            yield from _loaders(inner)


def _ablate() -> dict[str, bytes]:
    """ablate itself, as it is installed here: the numbers came from this code, not from the next release."""
    root = Path(__file__).parent.parent
    files = (path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {f"ablate/{path.relative_to(root).as_posix()}": path.read_bytes() for path in files}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise AblateError(f"{path} cannot be read: {error.strerror}.") from None


def _imported(content: bytes) -> set[str]:
    """Top-level names that a source may import."""
    return set(re.findall(r"^\s*(?:import|from)\s+([A-Za-z_]\w*)", content.decode(errors="replace"), re.MULTILINE))


def _requirements(imported: set[str]) -> str:
    """What is installed here of what ablate needs and what the study's own code imports, each with its version."""
    try:
        lines = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        raise AblateError(
            f"{DISTRIBUTION} is not installed, so the versions that it runs with are not known."
        ) from None
    needed = {re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in lines if "extra ==" not in line}
    for name, distributions in importlib.metadata.packages_distributions().items():
        if name in imported and name != "ablate":
            needed |= set(distributions)
    versions = {name.lower(): importlib.metadata.version(name).partition("+")[0] for name in needed}
    return "".join(f"{name}=={version}\n" for name, version in sorted(versions.items()))


def _opening(study: StoredStudy) -> str:
    return f"# {study.name}\n\n{study.record.question.strip()}\n"


def _data(study: StoredStudy) -> str:
    """What a person must bring along; empty where the data come with the libraries."""
    names = {variant.config.get("data", {}).get("name") for variant in study.record.variants}
    if names & {"npz", "pickle", "folder", "cifar10", "cifar100", "function"}:
        return (
            "The data are not in the archive. Put them where the study looks for them, or name the place with\n"
            "`--set data.root=FOLDER`.\n"
        )
    return ""


def _readme(study: StoredStudy, words: Sequence[str]) -> str:
    return f"""{_opening(study)}
Made with Python {platform.python_version()} and the versions in requirements.txt.

    python -m pip install -r requirements.txt
    python -m ablate run {shlex.join(words)}
    python -m ablate table

`run.ipynb` does the same in a notebook, in Colab, too. `ablate/` is the tool itself, as it made the results.
{_data(study)}"""


_SET_UP = """# In Colab: upload the .zip (the folder on the left), then run this.
import subprocess, sys, zipfile
from pathlib import Path

if not Path("ablate").is_dir():
    zipfile.ZipFile(next(Path().glob("*.zip"))).extractall()

def ablate(*words):
    command = [sys.executable, "-m", "ablate", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout:
            print(line, end="")
    if process.returncode:
        raise SystemExit(process.returncode)"""

_SHOW = """from IPython.display import HTML

table = subprocess.run([sys.executable, "-m", "ablate", "table", "--format", "html"], capture_output=True, text=True)
HTML(table.stdout)"""


def _notebook(study: StoredStudy, words: Sequence[str]) -> str:
    """Notebook format 4.5."""
    arguments = ", ".join(map(repr, words))
    cells = [
        ("markdown", f"{_opening(study)}\n{_data(study)}"),
        ("code", _SET_UP),
        ("code", "%pip install -q -r requirements.txt"),
        ("code", f'ablate("plan", {arguments})'),
        ("markdown", "Stopping the next cell loses nothing: run it again and it goes on where it was."),
        ("code", f'ablate("run", {arguments})'),
        ("code", _SHOW),
    ]
    contents: list[dict[str, Json]] = [
        {"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": text.splitlines(keepends=True)}
        | ({"execution_count": None, "outputs": []} if kind == "code" else {})
        for number, (kind, text) in enumerate(cells)
    ]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    whole = {"cells": contents, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"
