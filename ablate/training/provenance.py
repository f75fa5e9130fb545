"""What a result was made with, besides what its key says: versions, processor, ablate's own sources, the commit.

Nothing is imported to learn a version.
"""

from __future__ import annotations

import platform
import subprocess
from functools import cache
from pathlib import Path

from ablate.identity import sha256
from ablate.records import Json


@cache
def processor_kind() -> str:
    """The processor's name, as numbers may differ between kinds."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


@cache
def source_hash() -> str:
    """A hash of ablate's own sources; recipes are programs to copy, and a link in a checkout."""
    root = Path(__file__).parent.parent
    files = sorted(p for p in root.rglob("*.py") if not p.is_relative_to(root / "recipes"))
    text = "".join(f"{p.relative_to(root)}\0{sha256(p.read_bytes())}\n" for p in files)
    return sha256(text)


@cache
def git_commit(folder: str) -> str | None:
    """The commit that `folder` is at, with `+` where tracked files differ from it; None outside a repository."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return commit + "+" * bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: str, *words: str) -> str:
    done = subprocess.run(["git", "-C", folder, *words], capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()


def provenance(study: str | None = None) -> dict[str, Json]:
    """What results are made with in this process; study: its file, whose repository's commit is named too."""
    from importlib import metadata

    versions: dict[str, Json] = {"python": platform.python_version(), "processor": processor_kind()}
    for name in ("torch", "numpy"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    of_process: dict[str, Json] = versions | {
        "ablate": source_hash(),
        "system": f"{platform.system()} {platform.machine()}",
    }
    return of_process if study is None else of_process | {"git": git_commit(str(Path(study).resolve().parent))}
