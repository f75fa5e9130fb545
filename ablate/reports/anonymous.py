"""What names a person or a machine, taken out of stored rows: for a double-blind review.

Hosts are numbered, users, processes, boots and commits are gone, of every absolute path a file's name stays, and times
count from the first. Where runs are executed (`engines:`, with a cluster's accounts and partitions) is left out. Names
are those of this user and host, of the repository's and the study's authors, of the hosts, nodes and home folders that
the rows tell of, and what the user gives. What is left is what tables and figures are made from.
"""

from __future__ import annotations

import getpass
import json
import re
import socket
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

from ablate.errors import AblateError
from ablate.records import Json
from ablate.store.extract import Row
from ablate.study import record
from ablate.text import in_words

_PATH = re.compile(
    r"(?P<paper>https?://(?:www\.)?(?:arxiv|doi)\.org/\S*)|"
    r"(?<![\w.])(?:~?/(?:[\w.@+ -]+/)+|(?:[A-Za-z]:[/\\]+|\\{2,})(?:[\w.@+ -]+[/\\]+)*)(?P<last>[\w@+-][\w.@+-]*)?"
)
"""A paper's place, or an absolute path: a slash between words is none, a backslash without a drive begins TeX."""
_URL = re.compile(
    r"\b(?:https?|ssh|git|s3|gs|file)://(?!(?:www\.)?(?:arxiv|doi)\.org/)[^\s\"'<>)\]}]+|\bgit@[\w.-]+:\S+"
)
"""A place on the net, but for papers."""
_ENGINES = re.compile(r"^engines:.*\n(?:(?:[ \t].*|[\]}].*)?\n)*", re.MULTILINE)
"""The section of a study file with a cluster's options."""
_SERIAL = re.compile(r"\b(MIG|GPU)-[0-9a-fA-F][0-9a-fA-F/-]{5,}")
"""Of a GPU."""
_HOME = re.compile(r"[/\\](?:home|users)[/\\]+([\w.@+-]+)", re.IGNORECASE)
"""Whose home a path leads through."""
_NO_SETTING = r"(?<![:=,\[-])(?<![:=,\[-] )"
"""In front of a number that is a name: it is no value of its own, as in `seeds: 100` and `[100, 200]`."""
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_HARMLESS = {
    "root", "user", "admin", "ubuntu", "localhost", "nobody", "runner", "vm", "docker", "imported", "dev", "test",
    "data", "guest", "student", "worker", "login", "head", "node", "ray", "slurm", "cpu", "gpu",
}  # fmt: skip
"""Names of users and hosts that name nobody, and are words of configurations (`data.root`)."""
_KEYS = frozenset(
    field.name for kind in vars(record).values() if is_dataclass(kind) for field in fields(kind)
) | {"config", "code", "data", "seed", "task", "threads", "tricks", "name"}  # fmt: skip
"""What a stored plan and a run's configuration call their own parts, whoever is called so."""
_KEPT = (
    "torch", "numpy", "python", "processor", "system", "ablate", "captured", "reruns", "cpu_seconds",
    "process_peak_mib", "energy", "gpu", "gpus",
)  # fmt: skip
"""Parts of the provenance that name nobody: no commit, no file."""


@dataclass
class Anonymous:
    """Changes rows of one study. hosts: seen so far, in order. names: words that name somebody."""

    names: set[str] = field(default_factory=set)
    hosts: list[str] = field(default_factory=list)
    parts: set[str] = field(default_factory=set)
    """Parts of persons' names, which count only as they are written: `Page` is one, `page` a word."""
    first_s: float | None = None
    """The earliest time that a row tells of."""
    taken: set[str] = field(default_factory=set)
    """Names that were found and taken out."""
    _became: dict[tuple[str, str], str] = field(default_factory=dict)
    """Of each column by which rows are found, and its text now, the one before."""

    @classmethod
    def of(cls, more: Iterable[str] = (), folder: Path | None = None) -> Anonymous:
        """more: further words to take out, such as an author's name. folder: the study's, whose repository's author is
        one."""
        try:
            user = getpass.getuser()
        except (KeyError, OSError):
            user = ""
        new = cls()
        authors = list(_authors(folder or Path()))
        new._add(user, socket.gethostname(), *more, *authors)
        new._persons(authors)
        return new

    def look(self, table: str, row: Row) -> None:
        """Take note of the names that a row tells of, before any row is changed: another one may repeat them."""
        if table == "attempt":
            told = json.loads(row["provenance"] or "{}")
            # A place is called HOST, HOST/JOB or HOST/ENGINE/PROCESS; or ENGINE:STUDY, which names nobody.
            # An imported run has none.
            host = "" if ":" in row["host"] else row["host"].partition("/")[0]
            self._add(host, str(told.get("node", "")))
        if table == "study":
            authors = json.loads(row["resolved"] or "{}").get("words", {}).get("authors", ())
            self._add(*authors)
            self._persons(authors)
        for column in _TIMES.get(table, ()):
            if (told_s := row.get(column)) is not None:
                self.first_s = told_s if self.first_s is None else min(told_s, self.first_s)
        for column in (*_TEXTS.get(table, ()), *_PLACES.get(table, ())):
            homes = _HOME.findall(row[column] or "")
            self._add(*(name for name in homes if not name.isdecimal()))  # a number is no name, and may be a setting

    def _add(self, *words: str) -> None:
        every = {*words, *(word.split(".")[0] for word in words)}
        self.names |= {word for word in every if len(word) > 2 and word.lower() not in _HARMLESS}

    def _persons(self, names: Iterable[str]) -> None:
        """Whose first or family name may stand alone."""
        self.parts |= {part for name in names if " " in name for part in name.split() if len(part) > 2}

    def text(self, text: str) -> str:
        """A text without paths, addresses and names. A name that is a number stays where it is a setting's value."""
        clean = _PATH.sub(_file, _MAIL.sub("ADDRESS", _URL.sub("URL", _SERIAL.sub(r"\1", text))))
        for name in sorted(self.names, key=len, reverse=True):
            word = rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])"
            if name.isdecimal():
                number = rf"(?<![.,]){word}(?![.,]?\d)"
                lines = (line.partition("#") for line in clean.split("\n"))
                clean = "\n".join(
                    re.sub(_NO_SETTING + number, self._out(name), said)
                    + sign
                    + re.sub(number, self._out(name), comment)
                    for said, sign, comment in lines
                )
            else:
                clean = re.sub(word, self._out(name), clean, flags=re.IGNORECASE)
        for part in self.parts:
            clean = re.sub(rf"(?<![A-Za-z0-9]){re.escape(part)}(?![A-Za-z0-9])", self._out(part), clean)
        return clean

    def _out(self, name: str) -> Callable[[re.Match[str]], str]:
        def taken(_: re.Match[str]) -> str:
            self.taken.add(name)
            return "NAME"

        return taken

    def _told(self, text: str) -> str:
        """A text, or JSON: its texts and names, and no number of it."""
        try:
            value = json.loads(text)
        except ValueError:
            return self.text(text)
        return json.dumps(self._within(value), ensure_ascii=False) if isinstance(value, dict | list) else text

    def _within(self, value: Json) -> Json:
        if isinstance(value, dict):
            return {
                key if key in _KEYS else self.text(key): self._within(of)
                for key, of in value.items()
                if key != "engines"
            }
        if isinstance(value, list):
            return [self._within(one) for one in value if not (isinstance(one, str) and one.startswith("engines."))]
        return self.text(value) if isinstance(value, str) else value

    def change(self, table: str, row: Row) -> Row:
        """A row of a table of the database."""
        changed: dict[str, Any] = dict(row)
        for column in _TEXTS.get(table, ()):
            if changed.get(column):
                changed[column] = self._told(changed[column])
        for column in (name for name in _NAMES.get(table, ()) if name in row):
            changed[column] = self.text(row[column])
            before = self._became.setdefault((column, changed[column]), row[column])
            if before != row[column]:
                raise AblateError(
                    f"without {in_words(sorted(self.taken))} the {column}s {before!r} and {row[column]!r} would both "
                    f"be {changed[column]!r}. Rename one in the study and run it again (nothing is trained anew), or "
                    "leave out that --without."
                )
        for column in _TIMES.get(table, ()):
            if changed.get(column) is not None:
                changed[column] -= self.first_s or 0.0
        if table == "study":
            changed["text"] = self.text(_ENGINES.sub("", row["text"]))
        if table == "example_set":
            changed["ids"] = self._ids(row["ids"])
        if table == "attempt":
            changed |= {
                "host": self._host(row["host"]),
                "boot": "",
                "owner": "",
                "log": "",
                "pid": None,
                "pid_started": None,
            }
            changed["token"] = f"attempt-{row['id']}"
            provenance = json.loads(row["provenance"] or "{}")
            kept = {name: value for name, value in provenance.items() if name in _KEPT}
            changed["provenance"] = self._told(json.dumps(kept))
        return changed

    def _ids(self, ids: str) -> str:
        """Of examples: where two would become the same, by which they could not be told apart, numbers."""
        known = json.loads(ids)
        clean = [self.text(one) if isinstance(one, str) else one for one in known]
        if len(set(map(str, clean))) < len(clean):
            clean = [f"example-{i + 1}" for i in range(len(clean))]
        return json.dumps(clean, ensure_ascii=False)

    def _host(self, host: str) -> str:
        if host not in self.hosts:
            self.hosts.append(host)
        return f"host-{self.hosts.index(host) + 1}"


def _authors(folder: Path) -> Iterator[str]:
    """Who commits in a folder's repository, and who did last: names, and what stands before the @ of addresses."""
    for words in (["config", "user.name"], ["config", "user.email"], ["log", "-1", "--format=%an%n%ae"]):
        with suppress(OSError, subprocess.SubprocessError):
            done = subprocess.run(
                ["git", "-C", str(folder), *words], capture_output=True, text=True, check=True, timeout=10
            )
            yield from (line.partition("@")[0].strip() for line in done.stdout.splitlines())


def _file(path: re.Match[str]) -> str:
    """What is left of a path: a file's name, which tells of code; a folder's may be somebody's."""
    last = path["last"] or ""
    if path["paper"]:
        return path[0]
    return last if "." in last.strip(".") else "FOLDER"


_NAMES = {
    "study": ("name",), "cell": ("study", "variant"), "test_use": ("study", "variant"), "metric": ("name",),
    "curve": ("name",), "example": ("metric",), "attempt": ("device",),
}  # fmt: skip
"""Columns by which rows are found, which change as texts do, so that a name is the same everywhere."""
_TIMES = {
    "study": ("planned_at",), "attempt": ("started_at", "ended_at", "lease_until"), "test_use": ("made_at",),
}  # fmt: skip
_PLACES = {"attempt": ("log", "provenance")}
"""Further columns whose paths may lead through a home."""
_TEXTS = {
    "study": ("text", "resolved"),
    "run": ("config",),
    "attempt": ("message", "detail", "late", "outputs"),
    "example_set": ("groups", "classes"),
}
"""Columns that may hold what a person wrote or a machine said."""
