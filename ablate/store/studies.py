"""Which studies the database holds: their files and plans as they were last run, and what used the test set."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import sqlalchemy as sa

from ablate.errors import AblateError
from ablate.store import schema
from ablate.store.opened import Opened, json_object
from ablate.store.stored import StoredStudy, TestUse
from ablate.study.changes import name_in
from ablate.study.record import PlanRecord
from ablate.text import did_you_mean, one_of


class Studies(Opened):
    """An open database, asked for studies."""

    def studies(self) -> list[str]:
        """The names of all stored studies, the one last run first."""
        with self._reading() as connection:
            query = sa.select(schema.study.c.name).order_by(schema.study.c.planned_at.desc(), schema.study.c.name)
            return list(connection.execute(query).scalars())

    def study(self, name: str | None) -> StoredStudy | None:
        """A stored study, or the one last run; None where there is none."""
        query = sa.select(schema.study).order_by(schema.study.c.planned_at.desc(), schema.study.c.name).limit(1)
        if name is not None:
            query = query.where(schema.study.c.name == name)
        with self._reading() as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        return StoredStudy(row.name, row.text, _plan_of(row.resolved, row.name), row.sha, row.planned_at)

    def find(self, name: str | None) -> StoredStudy:
        """The study of that name, or whose file lies at that path; None: the one last run. AblateError where there is
        none, with the names of those that there are."""
        stored = self.study(name)
        if stored is None and name is not None and is_path(name):
            stored = self._of_path(Path(name))
        if stored is not None:
            return stored
        names = self.studies()
        if not names or name is None:
            raise AblateError(
                f"{self.shown} holds no study yet; `ablate run STUDY` makes the first one.", page="quickstart"
            )
        place = Path(name)
        lacking = "" if place.exists() else ", and there is no such file"
        lacking = ", and a folder is none" if place.is_dir() else lacking * is_path(name)
        raise AblateError(
            f"no study is called {name!r}{lacking}; {self.shown} has {one_of(names)}.{did_you_mean(name, names)} "
            "A study file is named by its path.",
            page="quickstart",
        )

    def _of_path(self, path: Path) -> StoredStudy | None:
        """The study that was run from this file; or, where the file was moved, the one that is called as it says."""
        stored = self._of_file(path.resolve())
        if stored is None:
            text = path.read_text(errors="replace") if path.is_file() else ""
            stored = self.study(name_in(text, path.stem))
            if stored is not None:
                stored.refuse_another(path)
        return stored

    def _of_file(self, file: Path) -> StoredStudy | None:
        """The study that was run from a file. Plans that do not name it are not read: a damaged one stands in nobody's
        way."""
        of = schema.study.c
        query = sa.select(of.name).where(of.resolved.contains(json.dumps(str(file)), autoescape=True))
        with self._reading() as connection:
            names = list(connection.execute(query.order_by(of.planned_at.desc(), of.name)).scalars())
        stored = (self.study(name) for name in names)
        return next((study for study in stored if study is not None and study.record.file == str(file)), None)

    def test_uses(self, study: str) -> list[TestUse]:
        """Every different prediction of the test set that the study's variants made, the first one first."""
        use = schema.test_use.c
        query = sa.select(use.variant, use.seeds).where(use.study == study).order_by(use.id)
        with self._reading() as connection:
            return [TestUse(variant, tuple(json.loads(seeds))) for variant, seeds in connection.execute(query)]


def is_path(name: str) -> bool:
    """Whether a study is named by its file."""
    return name.endswith((".yaml", ".yml")) or "/" in name or Path(name).is_file()


@lru_cache(maxsize=2)  # a command asks several times; of 2,048 variants a plan takes 0.2 CPU s to read
def _plan_of(resolved: str, name: str) -> PlanRecord:
    return PlanRecord.of(json_object(resolved), name)
