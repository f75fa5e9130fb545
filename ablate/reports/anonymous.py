"""What names a person or a machine, taken out of stored rows: for a double-blind review.

Hosts are numbered, users, processes, boots and commits are gone, and of every absolute path the last part stays. What
is left is what tables and figures are made from.
"""

from __future__ import annotations

import getpass
import json
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ablate.store.extract import Row

_PATH = re.compile(r"(?<![\w.])(?:~|[A-Za-z]:)?[/\\]{1,2}(?:[\w.@+ -]+[/\\]{1,2})+(?=[\w.@+-])")
"""An absolute path up to its last part; a slash between words, as in a unit, is none."""
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_HARMLESS = {"root", "user", "admin", "ubuntu", "localhost", "nobody", "runner", "vm", "docker"}
"""Names of users and hosts that name nobody, and are words of configurations (`data.root`)."""
_KEPT = ("torch", "numpy", "python", "processor", "system", "ablate", "captured", "reruns")
"""Parts of the provenance that name nobody: no commit, no file."""


@dataclass
class Anonymous:
    """Changes rows of one study. hosts: seen so far, in order. names: words that name somebody."""

    names: set[str] = field(default_factory=set)
    hosts: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, hosts: Iterable[str], more: Iterable[str] = ()) -> Anonymous:
        """hosts: of the attempts. more: further words to take out, such as an author's name."""
        try:
            user = getpass.getuser()
        except (KeyError, OSError):
            user = ""
        words = {user, socket.gethostname(), *hosts, *more}
        words |= {word.split(".")[0] for word in words}
        return cls({word for word in words if len(word) > 2 and word.lower() not in _HARMLESS})

    def text(self, text: str) -> str:
        """A text without paths, addresses and names."""
        clean = _MAIL.sub("ADDRESS", _PATH.sub("", text))
        for name in sorted(self.names, key=len, reverse=True):
            clean = re.sub(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", "NAME", clean, flags=re.IGNORECASE)
        return clean

    def change(self, table: str, row: Row) -> Row:
        """A row of a table of the database."""
        changed: dict[str, Any] = dict(row)
        for column in _TEXTS.get(table, ()):
            if changed.get(column):
                changed[column] = self.text(changed[column])
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

    def _host(self, host: str) -> str:
        if host not in self.hosts:
            self.hosts.append(host)
        return f"host-{self.hosts.index(host) + 1}"


_TEXTS = {
    "study": ("text", "resolved"),
    "run": ("config",),
    "attempt": ("message", "detail", "late", "outputs"),
}
"""Columns that may hold what a person wrote or a machine said."""
