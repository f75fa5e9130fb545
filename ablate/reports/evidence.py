"""A study's evidence as one .zip: the database of its runs, every table and figure made from it, a manifest of hashes.

`verify` derives every table again from the database inside and compares. Nothing of a user's code is executed, so it
needs an empty folder and nothing else. What cannot be derived again from stored runs (the runs themselves) is said.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

from ablate._version import __version__
from ablate.analysis import results
from ablate.errors import AblateError, FigureError
from ablate.figures import files, source
from ablate.records import Json
from ablate.registry import Registry
from ablate.reports.anonymous import Anonymous
from ablate.runs import export
from ablate.store.extract import extract
from ablate.store.store import Store
from ablate.tables import views
from ablate.text import in_words, many

DATABASE, MANIFEST, README = "evidence.db", "MANIFEST.json", "README.md"
_MOMENT = (1980, 1, 1, 0, 0, 0)
"""The earliest that a .zip knows: no time enters."""

_FORMATS = {"variants": ("markdown", "latex", "csv", "json")}
_OTHERS = ("markdown", "json")
"""Formats of the other views."""

NEVER = (
    "the runs themselves: training needs the code and the data (`ablate export STUDY --code`); `ablate verify RUN` "
    "there holds one against these numbers"
)


# -------------------------------------------------------------------------------------------------------------- packing


def packed(
    store: Store,
    study: str,
    *,
    anonymous: bool = False,
    more: tuple[str, ...] = (),
    say: Callable[[str], None] = lambda _: None,
) -> bytes:
    """The .zip. anonymous: without host, user, path and commit; more: further words to take out. say: is told which
    names were found."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / DATABASE
        if anonymous:
            file = store.find(study).record.file
            scrub = Anonymous.of(more, Path(file).parent if file and Path(file).parent.is_dir() else None)
            extract(store, study, path, scrub.change, scrub.look)
            study = scrub.text(study)
            if scrub.taken:
                say(f"taken out wherever they stand: {in_words(sorted(scrub.taken))}")
        else:
            extract(store, study, path)
        with Store.open(path) as own:
            parts: dict[str, bytes] = dict(_derived(own, study))
            text = own.find(study).text
            parts["runs.csv"] = export.text(own, study).encode()
            about = _about(own, study)
        parts[DATABASE] = path.read_bytes()
        parts["study.yaml"] = text.encode()
        parts[README] = about.encode()
    manifest = {
        "study": study,
        "ablate": __version__,
        "anonymous": anonymous,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(parts.items())},
    }
    parts[MANIFEST] = (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in sorted(parts):
            entry = zipfile.ZipInfo(name, _MOMENT)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, parts[name])
    return out.getvalue()


def _derived(store: Store, study: str) -> Iterator[tuple[str, bytes]]:
    """Every table and figure that the study allows, by its place in the .zip."""
    loaded, shelf = results.load(store, study), Registry()
    for view in views.VIEWS:
        for format_ in _FORMATS.get(view, _OTHERS):
            try:
                text = views.text(loaded, format_, view)
            except AblateError:
                break
            yield f"tables/{view}{shelf.make('tables', format_, {}).endings[0]}", text.encode()
    of = source.source_of(store, loaded)
    for figure in shelf.names("figures"):
        try:
            scene = source.draw(of, figure)
        except FigureError:
            continue
        yield f"figures/{figure}.svg", files.drawn(scene, "svg", 2).content


def _about(store: Store, study: str) -> str:
    cells = store.cells(study, ("ablation", "tune", "confirm", "pretrain"))
    runs = {cell.run: cell.state for cell in cells}
    attempts = sum(len(store.attempts(run)) for run in runs)
    done = sum(state == "done" for state in runs.values())
    return f"""# Evidence of the study {study}

`{DATABASE}` (SQLite) holds the study's plan, {many(len(runs), "run")} ({done} done) with every attempt
({attempts}), what each was made with, metrics, curves, and results for each example where they were kept. `tables/` and
`figures/` were made from it and from nothing else; `runs.csv` has a line for each run; `study.yaml` is the study file.

    pip install ablate-studies=={__version__}
    ablate verify THIS.zip

derives every table and figure again and compares, byte by byte. It cannot derive again {NEVER}.
Nothing is signed: that this is what its authors made is shown by the SHA-256 of `{MANIFEST}`, where they published it.
"""


# ------------------------------------------------------------------------------------------------------------ verifying


@dataclass(frozen=True)
class Verified:
    """same: tables and figures that came out again, of `derived`; wrong: what is not as it should be, in sentences;
    not_held: what could not be derived here, and why. sha256: of the manifest, which stands for the whole bundle."""

    study: str
    same: int
    wrong: tuple[str, ...]
    not_held: tuple[str, ...]
    derived: int = 0
    sha256: str = ""

    @property
    def text(self) -> str:
        lines = [f"{self.study}: {self.same} tables and figures derived again from the stored runs, all the same."]
        if self.wrong:
            count = many(len(self.wrong), "thing")
            again = f"{self.same} of {self.derived} tables and figures derived again the same" if self.derived else ""
            nothing = "no table and no figure could be derived again"
            lines = [f"{self.study}: {count} wrong; {again or nothing}.", *self.wrong]
        lines += [f"not derived again: {one}" for one in self.not_held]
        return "\n".join([*lines, f"not shown: {UNSIGNED}{self.sha256}"])


UNSIGNED = (
    "who made it. Nothing is signed, so whoever changed runs, tables and manifest alike would not be found out. Hold "
    "what the authors published against the SHA-256 of this manifest: "
)


def fingerprint(content: bytes) -> str:
    """Of a bundle, by its manifest: the same whatever packed the .zip."""
    return _sha256(_read(io.BytesIO(content), "the bundle").files[MANIFEST])


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def verify(path: Path) -> Verified:
    """AblateError where the file is no evidence."""
    read = _read(path, str(path))
    parts, damaged = read.files, read.damaged
    study, version, told = _manifest(path, parts[MANIFEST])
    wrong = [f"{name}: {why}" for name, why in damaged.items()]
    wrong += [
        f"{name}: its SHA-256 is not the manifest's, so it was changed."
        for name, sha in told.items()
        if name in parts and _sha256(parts[name]) != sha
    ]
    wrong += [f"{name}: is missing." for name in told if name not in parts and name not in damaged]
    wrong += [f"{name}: is not in the manifest." for name in parts if name not in told and name != MANIFEST]
    not_held, sha = [NEVER], _sha256(parts[MANIFEST])
    if DATABASE not in parts:
        return Verified(study, 0, tuple(wrong), tuple(not_held), 0, sha)
    try:
        again = _again(parts[DATABASE], study)
    except AblateError as error:
        by = f" It is of ablate {version}: pip install ablate-studies=={version}." * (version != __version__)
        wrong.append(f"{DATABASE}: nothing can be derived from it: {error}{by}")
        return Verified(study, 0, tuple(wrong), tuple(not_held), 0, sha)
    same, changed = 0, {one.partition(": ")[0] for one in wrong}
    for name, content in again.items():
        if name not in parts:
            continue
        if content == parts[name] or (name.endswith(".json") and _alike(json.loads(content), _json(parts[name]))):
            same += 1
        elif name.endswith(".svg") and name not in changed:
            not_held.append(
                f"{name}: it is drawn otherwise here (another matplotlib or ablate); its numbers are the tables'"
            )
        else:
            by = f"; the bundle is of ablate {version}, this is {__version__}" * (version != __version__)
            wrong.append(f"{name}: the stored runs give another one{by}.")
    gone = [name for name in parts if name in told and _of_tables(name) and name not in again]
    not_held += [f"{name}: this ablate has no such view" for name in gone]
    return Verified(study, same, tuple(dict.fromkeys(wrong)), tuple(not_held), len(again), sha)


def _of_tables(name: str) -> bool:
    return name.startswith(("tables/", "figures/"))


def _again(database: bytes, study: str) -> dict[str, bytes]:
    """Every table and figure anew, of the database's bytes alone."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / DATABASE
        path.write_bytes(database)
        try:
            Store.migrate(str(path))  # a bundle of an earlier ablate
        except AblateError as error:
            raise AblateError(re.sub(rf"^{re.escape(str(path))}:? ", "", str(error))) from None
        with Store.open(path) as store:
            if study not in (names := store.studies()):
                raise AblateError(f"it has no study {study!r}, which the manifest names, but {in_words(names)}.")
            return {**dict(_derived(store, study)), "runs.csv": export.text(store, study).encode()}


def _manifest(path: Path, content: bytes) -> tuple[str, str, dict[str, str]]:
    """The study, ablate's version, and the SHA-256 of each file. AblateError where it is no manifest."""
    told = _json(content)
    files = told.get("files") if isinstance(told, dict) else None
    if isinstance(told, dict) and isinstance(files, dict) and {"study", "ablate"} <= told.keys():
        return str(told["study"]), str(told["ablate"]), {name: str(sha) for name, sha in files.items()}
    raise AblateError(f"{path}: its {MANIFEST} lacks study, ablate or files, so it is not what `ablate export` wrote.")


@dataclass(frozen=True)
class _Parts:
    """files: their content by name; damaged: why of others the content cannot be read."""

    files: dict[str, bytes]
    damaged: dict[str, str]


def _read(path: Path | IO[bytes], called: str) -> _Parts:
    """Nothing is written anywhere, so names that lead out of a folder lead nowhere."""
    files: dict[str, bytes] = {}
    damaged: dict[str, str] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if entry.is_dir():
                    continue
                if entry.filename in files:
                    damaged[entry.filename] = "stands in the .zip twice."
                    continue
                try:
                    files[entry.filename] = archive.read(entry)
                except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
                    damaged[entry.filename] = f"its bytes are damaged ({str(error).rstrip('.')})."
    except OSError as error:
        raise AblateError(f"{called} cannot be read: {error.strerror}.") from None
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise AblateError(f"{called}: damaged or cut short, or no .zip: {str(error).rstrip('.')}.") from None
    if MANIFEST not in files:
        files, damaged = _within(files), _within(damaged)  # packed anew by a program that adds the folder
    if MANIFEST not in files:
        told = f": {damaged[MANIFEST]}" if MANIFEST in damaged else ""
        raise AblateError(
            f"{called} has no {MANIFEST}{told or ';'} `ablate export STUDY --evidence FILE.zip` makes one that has."
        )
    return _Parts(files, damaged)


T = TypeVar("T")


def _within(files: dict[str, T]) -> dict[str, T]:
    """Names without the one folder that all are in; as they are where there is none."""
    folders = {name.partition("/")[0] for name in files if "/" in name}
    if len(folders) != 1 or any("/" not in name for name in files):
        return files
    return {name.partition("/")[2]: content for name, content in files.items()}


def _json(content: bytes) -> Json:
    try:
        return json.loads(content)
    except ValueError:
        return None


def _alike(one: Json, other: Json) -> bool:
    """Equal, but for the last digits of numbers: another build of a library may round them otherwise."""
    if isinstance(one, float | int) and isinstance(other, float | int) and not isinstance(one, bool):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_alike(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_alike, one, other))
    return bool(one == other)
