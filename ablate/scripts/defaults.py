"""What options say of themselves, in what JSON holds: defaults, help."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from ablate.records import Json
from ablate.scripts.values import Member, Value


def as_json(value: Any, type_: str = "") -> tuple[Json, str]:
    """(what JSON holds of a value, ""), or (None, the expression) where only running would tell."""
    if value is argparse.SUPPRESS:
        return None, ""
    if isinstance(value, Member):
        return (value.value, "") if isinstance(value.value, str | int) else (None, f"{value.enum}.{value.name}")
    if isinstance(value, PurePath):
        return str(value), ""
    if isinstance(value, Value):
        return None, getattr(value, "text", "") or getattr(value, "name", "") or "an expression"
    if isinstance(value, str) and type_ in ("int", "float", "bool"):
        return _converted(value, type_), ""
    if isinstance(value, set | frozenset):
        value = sorted(value, key=str)
    if isinstance(value, list | tuple | range):
        items = [as_json(item) for item in value]
        text = next((text for _, text in items if text), "")
        return (None, text) if text else ([item for item, _ in items], "")
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        values, text = as_json(list(value.values()))
        return (None, text) if text or not isinstance(values, list) else (dict(zip(value, values, strict=True)), "")
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and abs(value) < float("inf")):
        return value, ""
    return None, repr(value)


def _converted(text: str, type_: str) -> Json:
    """argparse turns a default that is text into the option's type."""
    try:
        if type_ == "bool":
            return text.strip().lower() in ("true", "yes", "on", "y", "t", "1")
        return int(text) if type_ == "int" else float(text)
    except ValueError:
        return text


def help_line(text: Any, of: Mapping[str, Any]) -> str:
    """A help text in one line. of: what argparse puts in place of `%(default)s` and its like."""
    if not isinstance(text, str) or text == argparse.SUPPRESS:
        return ""
    with contextlib.suppress(TypeError, ValueError, KeyError):
        text = text % of
    return " ".join(text.split())
