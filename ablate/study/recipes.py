"""Recipes: small programs in the ways in which people write them, each with a study of it, to copy and to run.

They lie in `studies/examples/` of the repository, a folder each, and travel with the package as `ablate/recipes`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ablate.errors import AblateError
from ablate.text import did_you_mean

HOME = Path(__file__).parent.parent / "recipes"


@dataclass(frozen=True)
class Recipe:
    """One of them: its folder, whose study bears the folder's name."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def files(self) -> list[Path]:
        """By their paths within the folder, the study first."""
        found = [path for path in self.folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        study = f"{self.name}.yaml"
        return sorted((path.relative_to(self.folder) for path in found), key=lambda path: (str(path) != study, path))

    @property
    def _first_line(self) -> str:
        with (self.folder / f"{self.name}.yaml").open(encoding="utf-8") as file:
            return file.readline().lstrip("# ").rstrip()

    @property
    def question(self) -> str:
        return self._first_line.partition("  (")[0]

    @property
    def needs(self) -> str:
        """The command that installs what it takes beside ablate; empty where it takes nothing."""
        found = re.search(r"\((pip install [^)]+)\)", self._first_line)
        return found[1] if found else ""

    def write(self, folder: Path) -> list[Path]:
        """Copy it into a folder, which is made; the files written. AblateError where one is there already."""
        targets = [folder / path for path in self.files]
        there = next((path for path in targets if path.exists()), None)
        if there is not None:
            raise AblateError(f"{there} exists already; name an empty folder: ablate init FOLDER --recipe {self.name}.")
        for path, target in zip(self.files, targets, strict=True):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((self.folder / path).read_bytes())
        return targets


def recipes() -> list[Recipe]:
    """All of them, by name. AblateError where they are not there."""
    return [Recipe(folder) for folder in sorted(_home().iterdir()) if (folder / f"{folder.name}.yaml").is_file()]


def _home() -> Path:
    """The folder that holds them. In a checkout without symbolic links (Windows, some archives) the link is a file that
    says where it leads; what is packed from such a one has no recipes."""
    home = HOME.parent / HOME.read_text(encoding="utf-8").strip() if HOME.is_file() else HOME
    if not home.is_dir():
        raise AblateError(
            f"the recipes are not in {HOME}: this ablate was packed from a checkout without symbolic links. Copy one "
            "from studies/examples of the repository, or install a released package."
        )
    return home


def recipe(name: str) -> Recipe:
    """The one of that name. AblateError lists them all."""
    every = {one.name: one for one in recipes()}
    if name not in every:
        listed = "\n".join(f"  {one.name:<12} {one.question}" for one in every.values())
        raise AblateError(f"there is no recipe {name!r}.{did_you_mean(name, every)} There is\n{listed}")
    return every[name]
