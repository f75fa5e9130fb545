"""`ablate try`: one run of a command, traced: which numbers are found and where, what is read, what is written.

Where nothing is changed the run is an ordinary one of the study and counts; with --set it is executed apart.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from ablate.errors import AblateError, NoDatabaseError
from ablate.programs.commanded import Command, globbed
from ablate.records import Json
from ablate.runs import execute
from ablate.runs.planned import Planned
from ablate.runs.progress import Watcher
from ablate.runs.recapture import Again, besides, numbers, read_again, recapture
from ablate.store.store import Store
from ablate.study.yaml_file import edited
from ablate.text import duration, listed, many, one_of

_NUMBER = r"[-+]?[0-9.]+(?:e[-+]?[0-9]+)?"


@dataclass(frozen=True)
class Tried:
    """What one run showed. apart: it counts nowhere. unkeyed: files that it read and that no key holds; outside: files
    that it wrote elsewhere than in its folder. wrong: why it failed, where it did."""

    variant: str
    seed: int
    apart: bool
    again: Again
    asked: tuple[str, ...]
    unkeyed: tuple[str, ...]
    outside: tuple[str, ...]
    seconds: float | None
    peak_mib: float | None
    printed: Mapping[str, float] = field(default_factory=dict)
    """Besides what was found."""
    wrong: str = ""

    @property
    def text(self) -> str:
        how = "it counts" if not self.apart else "it counts nowhere, for --set changed it"
        peak = "" if self.peak_mib is None else f", {self.peak_mib:.0f} MiB"
        took = "" if self.seconds is None else f" in {duration(self.seconds)}{peak}"
        lines = [f"{self.variant}, seed {self.seed}: {self.wrong or f'done{took}; {how}.'}"]
        lines += numbers(self.again, self.printed, self.asked)
        lines += [f"  {name} is not found." for name in self.asked if name not in self.again.values]
        lines += [f"  {problem}{'' if problem.endswith('?') else '.'}" for problem in self.again.problems]
        if self.again.examples is not None:
            count, of = len(self.again.examples.whole().ids), self.again.examples.columns
            lines.append(
                f"  {many(count, 'example')}, one by one: {listed(column.metric for column in of)} is their mean."
            )
        if self.unkeyed:
            lines.append(f"Read and not in the key: {listed(self.unkeyed)}; add them to task.sources, or say --write.")
        if self.outside:
            lines.append(f"Written outside the run's folder: {listed(self.outside)}.")
        return "\n".join(lines)


def attempt(planned: Planned, db: str, watcher: Watcher) -> Tried:
    """Execute the comparison's first run, or read what it left where it is done. AblateError where the task is no
    command."""
    task, study = planned.task, planned.study
    if not isinstance(task, Command):
        raise AblateError(f"{study.name} is no study of a command; `ablate try` traces one.", page="own-code")
    run, apart = planned.plan.runs[0], bool(planned.overrides)
    with ExitStack() as stack:
        if apart:
            db = str(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ablate-try-"))) / "try.db")
        else:
            with suppress(NoDatabaseError):
                recapture(planned, db, (run.key,))  # its metric may have been named since
        ended = execute.execute(planned, db, execute.Options(workers=1, only=(run.key,)), watcher)
        if ended.stopped_by is not None:
            raise KeyboardInterrupt
        with Store.open(db) as store:
            attempts = store.attempts(run.key)
        last = next((one for one in attempts if one.counted), attempts[-1])
        folder = Path(last.log).resolve()
        again = read_again(planned, folder, task.wanted((study.metric.name, *study.also)))
        printed = besides(again, folder)
    peak = last.provenance.get("process_peak_mib")
    home = task.home.resolve()
    keyed = {os.path.realpath(path) for path in planned.sources} | _data(task)
    kept = str(folder.parent) + os.sep  # of all runs of the study
    unkeyed = [path for path in again.read if os.path.realpath(path) not in keyed and not path.startswith(kept)]
    left = [Path(path) for path in again.written if not Path(path).is_relative_to(folder)]
    outside = [str(path) for path in left if path.exists()]  # what is gone was for a moment
    return Tried(
        variant=run.variant, seed=run.seed, apart=apart, again=again, asked=(study.metric.name, *study.also),
        unkeyed=_relative(unkeyed, home), outside=_relative(outside, home), seconds=last.seconds,
        peak_mib=peak if isinstance(peak, float) else None,
        printed=printed, wrong="" if last.counted else f"{last.reason}: {last.message}",
    )  # fmt: skip


def _data(task: Command) -> set[str]:
    return {str(path) for path in globbed(task.data, task.home, "data")}


def _relative(paths: Iterable[str], home: Path) -> tuple[str, ...]:
    return tuple(sorted({os.path.relpath(path, home) for path in paths}))


def write(planned: Planned, tried: Tried) -> list[str]:
    """Put where the numbers are, and what was read, into the study's file; what was written, as sentences."""
    file = Path(planned.study.path)
    text, params = file.read_text(encoding="utf-8-sig"), planned.study.task.params
    changes: dict[tuple[str | int, ...], Json] = {}
    told = []
    if not params.get("metrics") and tried.again.values:
        places, unpinned = _pinned(tried)
        if unpinned:
            told.append(f"task.metrics stays automatic: no pattern can bear the name {one_of(map(repr, unpinned))}")
        elif places:
            changes["task", "metrics"] = places
            told.append(f"task.metrics: {listed(next(iter(place.values())) for place in places)}")
    inside = [path for path in tried.unkeyed if not path.startswith("..")]
    if inside:
        before = params.get("sources", [])
        changes["task", "sources"] = [*([before] if isinstance(before, str) else before), *inside]
        told.append(f"task.sources: {listed(inside)}")
    if changes:
        file.write_text(edited(text, changes, "", ""), encoding="utf-8")
    return [f"{file}: {one}" for one in told] or [f"{file}: nothing to write."]


def _pinned(tried: Tried) -> tuple[list[dict[str, str]], list[str]]:
    """Places of `metrics:` at which every number that was found is found again, files before what is printed; and names
    that are printed and can be no pattern's: `val/acc`."""
    files: dict[str, None] = {}
    printed: list[dict[str, str]] = []
    unpinned: list[str] = []
    for name, place in tried.again.places.items():
        kind, _, rest = place.partition(" ")
        if place.startswith("stdout "):
            words = re.escape(rest.partition(" as ")[0].strip("'")).replace(r"\ ", r"[ _/.-]")
            printed.append({"regex": rf"(?i)\b{words}(?:\W|\bis\b){{1,12}}?(?P<{name}>{_NUMBER})"})
            if not re.fullmatch(r"[A-Za-z_]\w*", name):
                unpinned.append(name)
        elif kind != "derived:" and not rest.startswith("ablate.log"):
            files[_glob(re.sub(r"^(lines )", "", rest).partition(" as ")[0])] = None
    return [*({"file": glob} for glob in files), *printed], unpinned


def _glob(path: str) -> str:
    """A file as another run calls it: in whatever folder, with other numbers in its name."""
    name = re.sub(r"\d{3,}[\d.]*", "*", path.rpartition("/")[2])
    return f"**/{name}" if "/" in path else name
