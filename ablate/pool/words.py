"""A run's last word, kept in its folder as well as said: a dispatcher that dies before it has heard or stored it, or a
channel that the task has closed, takes no finished training along."""

from __future__ import annotations

import os
from pathlib import Path

from ablate.errors import GarbledError
from ablate.pool.messages import Broken, Done, decode, encode

NAME = "last_word.json"


def keep(folder: str, token: str, word: Done | Broken) -> None:
    """Written whole or not at all. OSError where it cannot be."""
    part = os.path.join(folder, f".{NAME}")
    with open(part, "wb") as file:
        file.write(token.encode() + b"\n" + encode(word) + b"\n")
    os.replace(part, os.path.join(folder, NAME))


def kept(folder: Path, token: str) -> Done | Broken | None:
    """What the attempt said last; None where it said nothing, or the word is another attempt's."""
    try:
        of, _, word = (folder / NAME).read_bytes().partition(b"\n")
        return decode(word, Done, Broken) if of == token.encode() else None
    except (OSError, GarbledError):
        return None
