"""A study packed with what makes its numbers: `export --code FILE.zip`. Files in, the bytes of a .zip out.

In it are the study, the studies that it starts from, the code and the weights that they name, ablate itself with its
licence, the installed versions, and how to use it all (handin.py). Data are not. The same files give the same bytes.
"""

from __future__ import annotations

import ast
import importlib.metadata
import io
import os
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ablate.errors import AblateError, ConfigError
from ablate.identity import sha256_file
from ablate.records import Json, TaskUse
from ablate.registry import SHELVES, Registry
from ablate.runs import handin
from ablate.store.stored import StoredStudy, TestUse
from ablate.study import yaml_file
from ablate.study.record import VariantRecord
from ablate.study.values import one_or_more
from ablate.text import file_size
from ablate.training.task import resolve

DISTRIBUTION = "ablate-studies"

MOST_WEIGHTS = 100 * 2**20
"""The size in bytes above which a file of weights stays behind: what GitHub takes of one file, and many a course."""

_MOMENT = (1980, 1, 1, 0, 0, 0)
"""The time of every packed file: the earliest that a zip can say."""

_ABSOLUTE = re.compile(r"(?:^|[\s='\"])((?:/|~/|[A-Za-z]:[\\/])[\w.][^\s'\"]*)")


@dataclass(frozen=True)
class Packed:
    """told: what whoever hands it in must know: what stayed behind, what another machine will not find."""

    content: bytes
    told: tuple[str, ...]


def packed(study: StoredStudy, uses: Sequence[TestUse] = ()) -> Packed:
    """A stored study's .zip. uses: its predictions of the test set. AblateError where a file that it names is gone."""
    file = Path(study.record.file)
    if study.record.imported is not None or not file.name:
        raise AblateError(f"{study.name} was not run from a study file (`ablate import` made it), so it has no code.")
    own, told = _studies(file, study.text)
    packages = {name for content in own.values() for name in _imported(content)}
    if any(map(_is_of_torchvision, study.record.variants)):  # which ablate itself does without
        packages.add("torchvision")
    weights, left = _weights(study)
    told += [*left, *_absolute_in_code(own)]
    how = handin.HandIn.of(study, uses, file, tuple(told))
    files = {**weights, **own, **_ablate()}
    files["requirements.txt"] = _requirements(packages).encode()
    files["run.ipynb"] = handin.notebook(how).encode()
    files["README.md"] = handin.readme(how).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path, _MOMENT)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, files[path])
    return Packed(out.getvalue(), tuple(told))


# -------------------------------------------------------------------------------------------------- studies, their code


def _studies(file: Path, text: str) -> tuple[dict[str, bytes], list[str]]:
    """The study, the studies that it starts from, and the code that they name, by the path in the archive; and where
    they name a path of this machine."""
    files = {f"{file.stem}.yaml": text.encode()}
    told: list[str] = []
    waiting = [(text, file)]
    while waiting:
        text, path = waiting.pop(0)
        unfolded = _unfolded(text, path)
        values = unfolded.value
        told += _absolute(unfolded)
        files |= _code(values, file.parent)
        for name in _parents(values):
            places = [file.parent / name, file.parent / f"{name}.yaml", file.parent / f"{name}.yml"]
            found = next((place for place in places if place.is_file()), None)
            if found is None:
                raise AblateError(f"{file} starts from the study {name!r}, and there is no file {places[1]} to pack.")
            if found.name not in files:
                content = _read(found)
                files[found.name] = content
                waiting.append((content.decode(), found))
    return files, told


def _unfolded(text: str, file: Path) -> yaml_file.Unfolded:
    root, problems = yaml_file.read(text, str(file))
    if problems or root is None:
        raise AblateError(f"the stored text of {file} cannot be read as a study; run it again.")
    unfolded = yaml_file.unfold(root)
    assert isinstance(unfolded.value, Mapping), "a stored study is a mapping"
    return unfolded


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


# -------------------------------------------------------------------------------------------------------------- weights


def _weights(study: StoredStudy) -> tuple[dict[str, bytes], list[str]]:
    """The files that `init: {weights: FILE}` names, by the path in the archive; of those that stay behind, why.

    AblateError where one is gone, or is no longer what the runs started from.
    """
    expected: dict[str, str] = {}
    for variant in study.record.variants:
        name = (variant.config.get("init") or {}).get("weights")
        if name is not None:
            start = variant.starts_from
            expected[name] = start.sha256 if start is not None and start != "pending" else ""
    files: dict[str, bytes] = {}
    told = list(dict.fromkeys(_torchvisions(study)))
    for name, digest in sorted(expected.items()):
        path = Path(name)
        found = sha256_file(path) if path.is_file() else ""
        if not found:
            raise AblateError(
                f"{study.name} starts from the weights {name}, and there is no such file to pack: paths are from where "
                "ablate runs, so give the command in the folder where you ran the study."
            )
        if digest and found != digest:
            raise AblateError(
                f"{name} is no longer what the runs started from (SHA-256 {digest[:12]}; now {found[:12]}). Bring that "
                "file back, or run the study again."
            )
        inside = os.path.normpath(name)
        if path.stat().st_size > MOST_WEIGHTS:
            told.append(
                f"The weights {name} ({file_size(path.stat().st_size)}, SHA-256 {found}) are too large to be packed: "
                f"hand them in apart, to lie at {inside}."
            )
        elif path.is_absolute() or inside.startswith(".."):
            files[f"weights/{path.name}"] = _read(path)
            told.append(f"The weights {name} are packed as weights/{path.name}: name them so in the study file.")
        else:
            files[Path(inside).as_posix()] = _read(path)
    return files, told


def _is_of_torchvision(variant: VariantRecord) -> bool:
    """Whether its network, its first weights or the download of its data is torchvision's."""
    sections = [part for part in variant.config.values() if isinstance(part, Mapping)]
    return any(
        part.get("name") == "torchvision" or part.get("torchvision") or part.get("download") for part in sections
    )


def _torchvisions(study: StoredStudy) -> Iterator[str]:
    """Weights that torchvision brings, and how another machine comes by them."""
    for variant in study.record.variants:
        init, start = variant.config.get("init") or {}, variant.starts_from
        if init.get("torchvision") is not None and start is not None and start != "pending":
            how = "another machine downloads them" if init.get("download") else "add `download: true` to its `init:`"
            yield f"The weights of {start.origin} are not packed: {how}."


# ------------------------------------------------------------------------------------------------ paths of this machine


def _absolute(unfolded: yaml_file.Unfolded) -> Iterator[str]:
    """Where a study names a path of this machine. Words of the author's are none."""
    for trail, place in unfolded.values.items():
        value = unfolded.get(trail)
        if isinstance(value, str) and trail[0] not in ("question", "notes"):
            for path in _ABSOLUTE.findall(value):
                root = " The notebook's DATA and --set data.root=FOLDER name another." if trail[-1] == "root" else ""
                where = f"{Path(place.file).name}:{place.line}:{place.column}: {yaml_file.dotted(trail)}"  # as packed
                yield f"{where} names the absolute path {path}, which no other machine has.{root}"


def _absolute_in_code(files: Mapping[str, bytes]) -> Iterator[str]:
    """Where the study's own code names a file or folder of this machine."""
    for name, content in files.items():
        if not name.endswith(".py"):
            continue
        try:
            tree = ast.parse(content)
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_there(node.value):
                yield f"{name}:{node.lineno}: names the absolute path {node.value}, which no other machine has."


def _is_there(text: str) -> bool:
    """Whether a text in code is an absolute path of this machine: many look like one."""
    try:
        return len(text) > 1 and text[0] in "/~" and Path(text).expanduser().exists()
    except (OSError, RuntimeError, ValueError):
        return False


# ----------------------------------------------------------------------------------------------------- ablate, versions


def _ablate() -> dict[str, bytes]:
    """ablate itself, as it is installed here, under its licence: the numbers came from this code, not from the next
    release's."""
    root = Path(__file__).parent.parent
    files = (path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    made = {f"ablate/{path.relative_to(root).as_posix()}": path.read_bytes() for path in files}
    return {"ablate/LICENSE": _licence(root), **made}


def _licence(root: Path) -> bytes:
    """Of a source tree beside the package, of an installed one among its metadata; what was packed has it inside."""
    installed = []
    for file in _installed().files or []:
        if file.name == "LICENSE":
            installed.append(Path(str(file.locate())))
    found = next((path for path in (root / "LICENSE", root.parent / "LICENSE", *installed) if path.is_file()), None)
    if found is None:
        raise AblateError(
            f"{DISTRIBUTION} is installed without its LICENSE, without which its source is not to be given on."
        )
    return found.read_bytes()


def _installed() -> importlib.metadata.Distribution:
    try:
        return importlib.metadata.distribution(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        raise AblateError(
            f"{DISTRIBUTION} is not installed, so the versions that it runs with are not known."
        ) from None


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
    lines = _installed().requires or []
    needed = {re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in lines if "extra ==" not in line}
    for name, distributions in importlib.metadata.packages_distributions().items():
        if name in imported and name != "ablate":
            needed |= set(distributions)
    versions = {name.lower(): importlib.metadata.version(name).partition("+")[0] for name in needed}
    return "".join(f"{name}=={version}\n" for name, version in sorted(versions.items()))
