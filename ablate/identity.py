"""What was asked, as bytes: canonical JSON, run keys and hashes of files.

A run's key is a hash of what was asked (task, configuration, tricks, seed, threads, data, code), never of how it ran.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

KEY_VERSION = 1
"""Raised when the meaning of a key changes; every stored result is then asked for anew."""


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no spaces and no NaN: equal values give equal text.

    Floats print as `repr` (shortest text that reads back as the same float). Raises ValueError for NaN and infinity,
    TypeError for what JSON cannot hold.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256(data: bytes | str) -> str:
    """The SHA-256 of bytes or of UTF-8 text, as 64 hexadecimal digits."""
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def run_key(*, seed: int, **asked: Any) -> str:
    """The key of one run; `run_keys` says of what."""
    return run_keys(**asked)(seed)


def run_keys(
    *,
    task: Any,
    config: Mapping[str, Any],
    tricks: Iterable[tuple[str, Mapping[str, Any]]],
    threads: int,
    data: str | None,
    code: Mapping[str, Any],
    parent: str | None = None,
) -> Callable[[int], str]:
    """The keys of runs that differ in their seed alone (CONTRACT, "Runs"), which are many: all but it is read once.

    task: as a study file writes it, shortest. config: all patches applied, defaults filled in, infrastructure fields
    removed. tricks: (file, full parameters) in the order in which they are applied; never the study's own names. data:
    the data fingerprint. code: a version for each part of ablate that the run uses, a source hash for private parts.
    parent: the key of the run it starts from.
    """
    before: dict[str, Any] = {"key_version": KEY_VERSION, "config": config, "data": data, "code": code}
    if parent is not None:
        before["parent"] = parent
    after = {"task": task, "tricks": [[name, parameters] for name, parameters in tricks], "threads": threads}
    # The canonical JSON of all of it: its keys are sorted, and the seed's stands between these two.
    head, tail = canonical_json(before)[:-1], canonical_json(after)[1:]
    return lambda seed: sha256(f'{head},"seed":{seed},{tail}')
