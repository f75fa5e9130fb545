"""A study's evidence as one .zip: the database of its runs, every table and figure made from it, a manifest of hashes.

`verify` derives every table again from the database inside and compares. Nothing of a user's code is executed, so it
needs an empty folder and nothing else. What cannot be derived again from stored runs (the runs themselves) is said.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

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
from ablate.text import many

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


def packed(store: Store, study: str, *, anonymous: bool = False, more: tuple[str, ...] = ()) -> bytes:
    """The .zip. anonymous: without host, user, path and commit; more: further words to take out."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / DATABASE
        if anonymous:
            file = store.find(study).record.file
            scrub = Anonymous.of(more, Path(file).parent if file and Path(file).parent.is_dir() else None)
            extract(store, study, path, scrub.change, scrub.look)
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
"""


# ------------------------------------------------------------------------------------------------------------ verifying


@dataclass(frozen=True)
class Verified:
    """same: files that came out again; wrong: what is not as it should be, in sentences; not_held: what could not be
    derived here, and why."""

    study: str
    same: int
    wrong: tuple[str, ...]
    not_held: tuple[str, ...]

    @property
    def text(self) -> str:
        lines = [f"{self.study}: {self.same} tables and figures derived again from the stored runs, all the same."]
        if self.wrong:
            lines = [f"{self.study}: {self.same} derived again the same, {len(self.wrong)} not.", *self.wrong]
        return "\n".join([*lines, *(f"not derived again: {one}" for one in self.not_held)])


def verify(path: Path) -> Verified:
    """AblateError where the file is no evidence."""
    parts = _read(path)
    manifest = json.loads(parts[MANIFEST])
    study, told = str(manifest["study"]), manifest["files"]
    wrong = [
        f"{name}: its SHA-256 is not the manifest's, so it was changed."
        for name, sha in told.items()
        if name in parts and hashlib.sha256(parts[name]).hexdigest() != sha
    ]
    wrong += [f"{name}: is missing." for name in told if name not in parts]
    wrong += [f"{name}: is not in the manifest." for name in parts if name not in told and name != MANIFEST]
    not_held = [NEVER]
    if DATABASE not in parts:
        return Verified(study, 0, tuple(wrong), tuple(not_held))
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / DATABASE
        database.write_bytes(parts[DATABASE])
        Store.migrate(str(database))  # a bundle of an earlier ablate
        with Store.open(database) as store:
            again = dict(_derived(store, study))
            again["runs.csv"] = export.text(store, study).encode()
    other = manifest["ablate"] != __version__
    same = 0
    for name, content in again.items():
        if name not in parts:
            continue
        if content == parts[name] or (name.endswith(".json") and _alike(json.loads(content), _json(parts[name]))):
            same += 1
        elif name.endswith(".svg") and f"{name}: its" not in " ".join(wrong):
            not_held.append(
                f"{name}: it is drawn otherwise here (another matplotlib or ablate); its numbers are the tables'"
            )
        else:
            by = f"; the bundle is of ablate {manifest['ablate']}, this is {__version__}" * other
            wrong.append(f"{name}: the stored runs give another one{by}.")
    gone = [name for name in parts if name.startswith(("tables/", "figures/")) and name not in again]
    not_held += [f"{name}: this ablate has no such view" for name in gone]
    return Verified(study, same, tuple(dict.fromkeys(wrong)), tuple(not_held))


def _read(path: Path) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
    except OSError as error:
        raise AblateError(f"{path} cannot be read: {error.strerror}.") from None
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise AblateError(f"{path}: damaged, or no .zip: {error}.") from None
    if MANIFEST not in parts or not isinstance(_json(parts[MANIFEST]), dict):
        raise AblateError(f"{path} has no {MANIFEST}; `ablate export STUDY --evidence FILE.zip` makes one that has.")
    return parts


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
