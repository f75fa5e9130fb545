"""What is found wrong with names and references of a study file, each at its place, and where names are looked up."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

from ablate.errors import PluginError, Problem
from ablate.records import Json
from ablate.registry import Registry
from ablate.study.form import StudyForm
from ablate.study.structure import Finding, check, keys
from ablate.study.yaml_file import Trail, Unfolded, dotted, said
from ablate.text import did_you_mean
from ablate.training.task import Task


class Findings:
    """Reads one study. What is wrong goes into `findings`, what is worth knowing into `notes`.

    damaged: sections and their entries whose structure is wrong. broken: tricks that cannot be on, for what was found;
    nothing is tried with them, and a reference to one is no further mistake.
    """

    def __init__(self, given: Unfolded, text: str, file: str, folder: Path | None) -> None:
        self.given, self.text, self.file, self.folder = given, text, file, folder
        self.form, self.findings = check(given.value)
        self.damaged = {finding.path[:2] for finding in self.findings}
        self.broken: set[str] = set()
        self.notes: list[str] = []
        self.task: Task | None = None
        self.registry = self._registry()

    def wrong(self, path: Trail, message: str, on_key: bool = False, page: str = "") -> None:
        self.findings.append(Finding(path, message, on_key, page))

    def problems(self, read: Sequence[Problem] = ()) -> list[Problem]:
        """What was found, each at its place; not what only follows from what was wrong with reading (`read`)."""
        places = {(problem.file, problem.line, problem.column) for problem in read}
        dropped = {problem.path for problem in read}
        problems = []
        for finding in self.findings:
            place, message = self.given.at(finding.path, finding.on_key), finding.message
            if (place.line and (place.file, place.line, place.column) in places) or (
                finding.on_key and dotted(finding.path) in dropped
            ):
                continue
            if not place.line and finding.path[:1] == ("base",) and "Did you mean" not in message:
                message += did_you_mean(str(finding.path[-1]), keys(StudyForm))  # `--set seed=3`
            problems.append(place.problem(finding.path, message, finding.page))
        return problems

    def _registry(self) -> Registry:
        folders, start = [], self.folder or Path.cwd()
        for i, name in enumerate(self.form.plugins):
            if (start / name).is_dir():
                folders.append(start / name)
            else:
                self.wrong(
                    ("plugins", i), f"is {said(name)}, and {start / name} is no folder; plug-ins lie in folders."
                )
        registry = Registry(folders, () if self.folder is None else [self.folder])
        try:
            for shelf in ("tricks", "designs", "tasks"):
                registry.entries(shelf)
        except PluginError as error:
            self.wrong(("plugins",), str(error))
            return Registry()
        return registry

    def _written(self, section: str) -> Mapping[str, Json]:
        """A section as it stands in the file, whatever was wrong with it."""
        given = self.given.value.get(section)
        return given if isinstance(given, dict) else {}

    def _items(self, path: Trail, items: Sequence[Json]) -> list[tuple[Trail, Json]]:
        """The items of a list with their places; a lone value that stands for a list of one has its key's."""
        alone = (*path, 0) not in self.given.values
        return [(path if alone else (*path, i), item) for i, item in enumerate(items)]

    def _check_name(self, path: Trail, name: str, what: str) -> None:
        bad = next((c for c in name if unicodedata.category(c) in ("Cc", "Zl", "Zp")), None)
        if bad is not None:
            self.wrong(path, f"the name of {what} holds the control character U+{ord(bad):04X}; remove it.", True)
        elif not 1 <= len(name) <= 64 or name != name.strip():
            self.wrong(path, f"the name of {what} must have 1 to 64 characters and no space at either end.", True)


def parts(key: str) -> Trail:
    """A dotted key of a plug-in's parameters as a trail; numbers are indices."""
    return tuple(int(part) if part.isdecimal() else part for part in key.split(".")) if key else ()
