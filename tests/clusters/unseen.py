"""A folder that a command does not see, as on a node where nothing is mounted in its place."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path


def blind(folder: Path, command: Sequence[str]) -> list[str]:
    """A command that sees an empty folder in the place of this one. Who is not root is root in a namespace of its own,
    where the machine lets users have one, and then who he was: daemons ask."""
    alone, again = ["unshare", "--mount"], []
    if os.getuid():
        alone.append("--map-root-user")
        again = ["unshare", f"--map-user={os.getuid()}", f"--map-group={os.getgid()}"]
    return [*alone, "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', str(folder), *again, *command]


def why_not(folder: Path) -> str:
    """Why nobody can be made blind here; empty where it works."""
    if shutil.which("unshare") is None:
        return "there is no unshare here"
    tried = subprocess.run(blind(folder, ["true"]), capture_output=True, text=True)
    return f"a folder cannot be hidden from a process here: {tried.stderr.strip()}" if tried.returncode else ""
