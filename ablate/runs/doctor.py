"""`ablate doctor`: is this machine, this database and this study fit to run? Says what it found; changes nothing."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

from ablate import identity
from ablate._version import __version__
from ablate.errors import AblateError
from ablate.pool import groups, host
from ablate.runs import execute, planned, progress
from ablate.runs.packed import DISTRIBUTION
from ablate.store import schema
from ablate.store.store import Store
from ablate.text import one_of
from ablate.training.provenance import processor_kind
from ablate.training.recipe import SAFE_TORCH, torch_version

PACKAGES = ("torch", "torchvision", "sqlalchemy", "optuna", "pandas", "plotly", "scikit-learn")


def findings(db: str, study: str | None, overrides: Sequence[str]) -> tuple[str, bool]:
    """What was found, line by line, and whether nothing stands in the way."""
    lines = [_line("ablate", f"{__version__}, Python {platform.python_version()} on {platform.platform()}")]
    lines += [_line("answered", line) for line in answered(os.environ.get("PATH", ""))]
    versions = [f"{name} {_version(name)}" for name in PACKAGES]
    lines.append(_line("packages", ", ".join(versions)))
    if torch_version() < SAFE_TORCH:
        lines.append(_line("torch", "below 2.10, which may execute files of weights: `init: {weights}` is refused"))
    cores = host.processors()
    lines.append(_line("processors", f"{cores} usable, {processor_kind()}"))
    gpus = [f"{gpu.name}: {gpu.kind}, {gpu.memory_mib} MiB" for gpu in host.gpus()]
    lines.append(_line("GPUs", "; ".join(gpus) or "none that NVML sees; runs train on the processors"))
    if platform.system() == "Linux":
        lines.append(_line("groups", _groups()))
    else:
        lines.append(
            _line("system", "not Linux: children are not killed with a killed dispatcher, and this is unmeasured")
        )
    healthy = True
    checks: dict[str, Callable[[], str]] = {
        "database": lambda: _database(db),
        "study": lambda: _study(db, study, overrides),
    }
    for name, check in checks.items():
        try:
            lines.append(_line(name, check()))
        except AblateError as error:
            lines.append(_line(name, f"NOT USABLE\n{error}"))
            healthy = False
    return "\n".join(lines), healthy


def answered(path: str) -> list[str]:
    """Which program and module answered, and who else has their name: two other tools install a command `ablate` or a
    module of that name. path: where a shell looks for commands."""
    module = Path(__file__).parents[1]
    lines = [f"{Path(sys.argv[0]).name}, by the module {module}; `ablate-studies` and `python -m ablate` mean it, too"]
    commands = [Path(folder) / "ablate" for folder in path.split(os.pathsep) if folder]
    there = [command for command in commands if command.is_file() and os.access(command, os.X_OK)]
    if there and not _is_ours(there[0]):
        lines.append(f"`ablate` is another program here, {there[0]}: type `ablate-studies`, or change PATH")
    others = set(metadata.packages_distributions().get("ablate", ())) - {DISTRIBUTION}
    if others:
        lines.append(f"{one_of(sorted(others))} has a module `ablate`, too: uninstall it, or give each an environment")
    return lines


def _is_ours(command: Path) -> bool:
    """Whether a command is the script that our entry point became."""
    return b"ablate.terminal.cli" in command.read_bytes()[:4096]


def _groups() -> str:
    where = groups.home()
    if where is None:
        return "no control group may be made here: what throws its environment away may outlive a killed server"
    return f"each run is in a control group of its own, below {where}"


def _line(name: str, text: str) -> str:
    return f"{name:<12}{text}"


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "MISSING"


def _database(db: str) -> str:
    if "://" not in db and not Path(db).exists():
        return f"{db} does not exist yet; the first `ablate run` makes it"
    with Store.open(db) as store:
        names = store.studies()
        live = len(store.live())
    kind = "" if "://" in db else f"; SQLite {sqlite3.sqlite_version}, journal mode {_journal(Path(db))}"
    kind += f"; on {store.network}, where only one host may run" if store.network else ""
    return f"{store.shown}: {len(names)} studies, {live} attempts under way{kind}"


def _journal(path: Path) -> str:
    mode = schema.journal_mode(path)
    if mode == "WAL" and not schema.wal_is_safe(sqlite3.sqlite_version_info):
        return "WAL, which this SQLite can damage when two processes write at once (3.51.3 and later cannot)"
    return mode


def _study(db: str, study: str | None, overrides: Sequence[str]) -> str:
    if study is None:
        return "none named; `ablate doctor studies/batchnorm.yaml` checks one"
    planned_study = planned.find(study, db, overrides)
    slots = execute.slots_for(planned_study.study, execute.Options())
    data = {
        identity.canonical_json(v.completed.config.get("data")): v.completed.config for v in planned_study.plan.variants
    }
    of_data = [
        text for config in data.values() for text in planned_study.task.data_warnings(config, planned_study.registry)
    ]
    warnings = (*planned_study.study.notes, *planned_study.plan.notes, *planned_study.plan.left_out, *of_data)
    notes = [f"\n            - {note}" for note in dict.fromkeys(warnings)]
    runs = progress.count(planned_study.plan, {}, (), 1).total
    return f"{planned_study.study.name} is in order: {runs} runs on {len(slots)} slots" + "".join(notes)
