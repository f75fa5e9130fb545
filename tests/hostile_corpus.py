"""Bad inputs and what each is told: studies, options, addresses, databases, files to import, plug-in data.

`make reliability` prints how many there are; test_hostile.py tries each. Nothing of them executes, none gives a
traceback, and every one ends with exit code 2. (The texts of bad study files stand in bad_studies/cases.txt.)
"""

from __future__ import annotations

import pickle
import re
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import called
from plans import bare

from ablate.errors import StudyError
from ablate.store.store import Store
from ablate.study.file import parse

HERE = Path(__file__).parent
STUDY = "base: {epochs: 1}\ntricks: {mixup: }\nseeds: 2\n"
MARK = "executed"
"""A file that whatever is executed would leave behind."""


@dataclass(frozen=True)
class Bad:
    """make: writes the input into a folder. words: the command line. told: a piece of what it must say."""

    name: str
    told: str
    words: Sequence[str]
    make: Callable[[Path], object] = lambda folder: None


class _Evil:
    def __reduce__(self):
        return open, (MARK, "w")


def bad_studies() -> list[str]:
    """The study files of cases.txt; what each is told stands there and is checked by test_study.py."""
    corpus = (HERE / "bad_studies/cases.txt").read_text(encoding="utf-8")
    return re.findall(r"^=== [^\n]*\n(.*?)^--- is told", corpus, re.MULTILINE | re.DOTALL)


def _study(text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "s.yaml").write_text(text)


def _database(*statements: str) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        with Store.open(folder / "a.db", write=True) as store:
            store.save_plan(bare(seeds=(0,)), STUDY, [("base", 0, "ablation", "k")], {"k": "{}"})
        with closing(sqlite3.connect(folder / "a.db")) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    return make


DB = ("--db", "a.db")
CORPUS = [
    *(
        Bad(f"--set {given}", told, ("plan", "s.yaml", "--set", given), _study(STUDY))
        for given, told in {
            "seeds": "KEY=VALUE",
            "=3": "KEY=VALUE",
            "seeds=-1": "seeds",
            "seeds=[1, 1]": "seeds",
            "seeds=!!python/object/apply:os.system [id]": "tag",
            "epochs=nan": "epochs",
            "nothing.here=1": "nothing",
            "limits.attempts=99": "limits.attempts",
            "resources.memory_gib=-1": "resources.memory_gib",
        }.items()
    ),
    *(
        Bad(f"address {url}", told, ("--db", url, "status"))
        for url, told in {
            "postgresql://me:hunter2@127.0.0.1:1/none": "cannot be reached",
            "postgresql://me:hunter2@127.0.0.1:port/none": "neither a path nor a URL",
            "mysql://me:hunter2@127.0.0.1/none": "ablate knows sqlite and postgresql",
            "oracle://me:hunter2@127.0.0.1/none": "ablate knows sqlite and postgresql",
            "none.db": "there is no database",
        }.items()
    ),
    Bad("a folder as database", "cannot be opened", (*DB, "status"), lambda f: (f / "a.db").mkdir()),
    Bad("text as database", "no SQLite database", (*DB, "status"), lambda f: (f / "a.db").write_text("no" * 999)),
    Bad("a pickle as database", "no SQLite database", (*DB, "table"),
        lambda f: (f / "a.db").write_bytes(pickle.dumps(_Evil()) * 99)),
    Bad("another program's database", "not one of ablate's", (*DB, "status"),
        lambda f: sqlite3.connect(f / "a.db").execute("CREATE TABLE t (x)").connection.close()),
    Bad("no version", "not one of ablate's", (*DB, "status"), _database("DELETE FROM schema_version")),
    Bad("a newer schema", "newer ablate", (*DB, "run", "s.yaml"),
        lambda f: (_study(STUDY)(f), _database("UPDATE schema_version SET version = 99")(f))),
    Bad("no table of runs", "not one of ablate's", (*DB, "status"), _database("DROP TABLE run")),
    Bad("a column less", "not one of this ablate's", (*DB, "status"), _database("ALTER TABLE cell DROP COLUMN position")),
    *(
        Bad(f"the plan is {text[:20]!r}", "damaged", (*DB, "table"), _database(f"UPDATE study SET resolved = '{text}'"))
        for text in ("{", "{}", '{"metric": 1}', "", "null", "[]", "7", '"text"', "[" * 100_000)
    ),
    *(
        Bad(f"import of {name}", told, ("import", "--metric", "acc", name), lambda f, n=name, d=data: (f / n).write_bytes(d))
        for name, data, told in [
            ("empty.csv", b"", ""),
            ("header.csv", b"variant,seed,acc\n", ""),
            ("pickle.csv", pickle.dumps(_Evil()), ""),
            ("nul.csv", b"variant,seed,acc\na,0,\0\n", ""),
            ("words.csv", b"variant,seed,acc\na,0,high\n", ""),
            ("short.csv", b"variant,seed,acc\na,0\n", ""),
            ("twice.csv", b"variant,variant,acc\na,a,1\n", ""),
            ("nothing.csv", b"\xff\xfe\x00\x00", ""),
            ("other.csv", b"variant,seed,loss\na,0,1\n", ""),
        ]
    ),
]  # fmt: skip


def wrong(bad: Bad, folder: Path) -> str:
    """What is wrong with what a bad input was told; empty where nothing is."""
    bad.make(folder)
    done = called.ablate(folder, *bad.words, ABLATE_DB="")
    said = done.stdout + done.stderr
    fine = done.returncode == 2 and bad.told in said and "Traceback" not in said and "hunter2" not in said
    return "" if fine and not (folder / MARK).exists() else f"exit code {done.returncode}: {said}"


def tried() -> tuple[int, int]:
    """How many bad inputs there are, and how many were not refused as they should be."""
    missed = 0
    for bad in CORPUS:
        with tempfile.TemporaryDirectory() as name:
            missed += wrong(bad, Path(name)) != ""
    for text in bad_studies():
        with suppress(StudyError):
            parse(text, "s.yaml")
            missed += 1
    return len(CORPUS) + len(bad_studies()), missed
