"""What names a person or a machine, taken out of stored rows: for a double-blind review.

Hosts are numbered, users, processes, boots and commits are gone, and of every absolute path the last part stays. Names
are those of this user and host, of the repository's author, of the hosts, nodes and home folders that the rows tell of,
and what the user gives. What is left is what tables and figures are made from.
"""

from __future__ import annotations

import getpass
import json
import re
import socket
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ablate.store.extract import Row

_PATH = re.compile(r"(?<![\w.])(?:~|[A-Za-z]:)?[/\\]{1,2}(?:[\w.@+ -]+[/\\]{1,2})+(?=[\w.@+-])")
"""An absolute path up to its last part; a slash between words, as in a unit, is none."""
_HOME = re.compile(r"[/\\](?:home|users)[/\\]+([\w.@+-]+)", re.IGNORECASE)
"""Whose home a path leads through."""
_NO_SETTING = r"(?<![:=,\[-])(?<![:=,\[-] )"
"""In front of a number that is a name: it is no value of its own, as in `seeds: 100` and `[100, 200]`."""
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_HARMLESS = {"root", "user", "admin", "ubuntu", "localhost", "nobody", "runner", "vm", "docker"}
"""Names of users and hosts that name nobody, and are words of configurations (`data.root`)."""
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

    @classmethod
    def of(cls, more: Iterable[str] = (), folder: Path | None = None) -> Anonymous:
        """more: further words to take out, such as an author's name. folder: the study's, whose repository's author is
        one."""
        try:
            user = getpass.getuser()
        except (KeyError, OSError):
            user = ""
        new = cls()
        new._add(user, socket.gethostname(), *more, *_authors(folder or Path()))
        return new

    def look(self, table: str, row: Row) -> None:
        """Take note of the names that a row tells of, before any row is changed: another one may repeat them."""
        if table == "attempt":
            told = json.loads(row["provenance"] or "{}")
            # A place is called HOST, HOST/JOB or HOST/ENGINE/PROCESS; or ENGINE:STUDY, which names nobody.
            host = "" if ":" in row["host"] else row["host"].partition("/")[0]
            self._add(host, str(told.get("node", "")))
        if table == "study":
            self._add(*json.loads(row["resolved"] or "{}").get("words", {}).get("authors", ()))
        for column in (*_TEXTS.get(table, ()), *_PLACES.get(table, ())):
            homes = _HOME.findall(row[column] or "")
            self._add(*(name for name in homes if not name.isdecimal()))  # a number is no name, and may be a setting

    def _add(self, *words: str) -> None:
        every = {*words, *(word.split(".")[0] for word in words)}
        self.names |= {word for word in every if len(word) > 2 and word.lower() not in _HARMLESS}

    def text(self, text: str) -> str:
        """A text without paths, addresses and names. A name that is a number stays where it is a setting's value."""
        clean = _MAIL.sub("ADDRESS", _PATH.sub("", text))
        for name in sorted(self.names, key=len, reverse=True):
            word = rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])"
            if name.isdecimal():
                number = rf"(?<![.,]){word}(?![.,]?\d)"
                lines = (line.partition("#") for line in clean.split("\n"))
                clean = "\n".join(
                    re.sub(_NO_SETTING + number, "NAME", said) + sign + re.sub(number, "NAME", comment)
                    for said, sign, comment in lines
                )
            else:
                clean = re.sub(word, "NAME", clean, flags=re.IGNORECASE)
        return clean

    def change(self, table: str, row: Row) -> Row:
        """A row of a table of the database."""
        changed: dict[str, Any] = dict(row)
        for column in _TEXTS.get(table, ()):
            if changed.get(column):
                changed[column] = self.text(changed[column])
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
            changed["provenance"] = self.text(json.dumps(kept))
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


_PLACES = {"attempt": ("log", "provenance")}
"""Further columns whose paths may lead through a home."""
_TEXTS = {
    "study": ("text", "resolved"),
    "run": ("config",),
    "attempt": ("message", "detail", "late", "outputs"),
    "example_set": ("groups", "classes"),
}
"""Columns that may hold what a person wrote or a machine said."""
