"""The contract of a style: one way in which scripts declare options, read from their source.

`read` is what everybody calls: it parses the script and what it imports of the user's, and executes none of it.
"""

from __future__ import annotations

import ast
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, cast

from ablate.errors import AblateError
from ablate.registry import Plugin, Registry
from ablate.training.script import Option, Script


@dataclass
class Found:
    """What a style found in a script: its options, and what it could not read."""

    options: list[Option] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Source:
    """A script as text and tree. folders: where its modules are looked for after its own folder."""

    path: Path
    text: str
    tree: ast.Module
    folders: tuple[Path, ...] = ()


class Style(Plugin):
    """One way to declare options. last: whether only a script of no other style is looked at."""

    last: ClassVar[bool] = False

    @abstractmethod
    def read(self, source: Source) -> Found | None:
        """The options of a script, None where it declares none in this way. Executes nothing."""


def read(path: Path, folders: Sequence[Path] = (), style: str = "") -> Script:
    """The options of the script at `path`. style: the one that is meant, where a study names it; else the first that
    finds any. AblateError where the file cannot be read."""
    try:
        source = Source(path, *_parsed(path), tuple(folders))
    except (OSError, UnicodeError) as error:
        raise AblateError(f"the script {str(path)!r} cannot be read: {error}.") from None
    except SyntaxError as error:
        return Script(str(path), unread=(f"{path}:{error.lineno}: {error.msg}",), files=(str(path),))
    registry = Registry()
    styles = [
        cast(Style, registry.make("styles", name, {})) for name in ([style] if style else registry.names("styles"))
    ]
    for known in sorted(styles, key=lambda s: s.last):
        found = known.read(source)
        if found is not None:
            name = type(known).__module__.rpartition(".")[2]
            files = tuple(dict.fromkeys([str(path), *found.files]))
            return Script(str(path), name, tuple(found.options), tuple(dict.fromkeys(found.unread)), files)
    return Script(str(path), files=(str(path),))


def _parsed(path: Path) -> tuple[str, ast.Module]:
    data = path.read_bytes()
    return data.decode("utf-8", "replace"), ast.parse(data)
