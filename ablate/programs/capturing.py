"""The numbers of one run of a command: from its files, its output and what it said by name, while it runs and after.

Two kinds of place: `metrics:` in their order, or automatic, where a file wins over what was printed, for that is
rounded. Nothing is guessed: what is there in two ways, or was written by another run as well, is refused and said.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ablate.programs.attribution import KEPT, Life, Trace
from ablate.programs.capture import HEAD_BYTES, Capture, Reading
from ablate.programs.printed import NameReader, Stream
from ablate.programs.wanted import Wanted
from ablate.registry import Registry
from ablate.text import listed, many

SAID = "metrics.jsonl"
"""What `$ABLATE_METRICS` names, below KEPT."""

ELSEWHERE = "elsewhere"
"""Below KEPT: copies of the run's own files that lie outside its folder, for `ablate recapture`."""

_MOST_FILES = 20_000
_LARGEST_COPY = 16 << 20
_SHARE = 20
"""Files are looked at again after so many times what the last look took."""

Values = dict[str, float]
Rank = tuple[int, int]
_SAID: Rank = (-1, 0)
"""What a program said by `ablate.log`, or to W&B: before all else."""


@dataclass
class _Taken:
    """A name's numbers at the best place so far. ways: each place, with its last number."""

    rank: Rank
    ways: dict[str, float] = field(default_factory=dict)


@dataclass
class _File:
    """A file as it was when it was read last."""

    seen: tuple[int, int]
    kind: Capture | None
    readings: list[Reading] = field(default_factory=list)


def read_by(registry: Registry) -> list[Capture]:
    """A capture for each kind of file that is read; made once a process, and for those that are forked from it."""
    if registry.folders not in _kinds:
        _kinds[registry.folders] = [registry.make("captures", name, {}) for name in registry.names("captures")]
    return _kinds[registry.folders]


_kinds: dict[tuple[Path, ...], list[Capture]] = {}


class Capturing:
    """Collects; `fresh` gives steps as they come, `result` what is there at the end."""

    def __init__(
        self, wanted: Wanted, registry: Registry, folder: Path, life: Life, trace: Trace, *, again: bool = False
    ) -> None:
        """again: the run is over, and files elsewhere are read from the copies that it left."""
        self._again = again
        self.wanted, self.folder, self.life, self.trace = wanted, folder, life, trace
        self.cwd = Path(life.cwd)
        self._kinds = read_by(registry)
        printed = {i: source.reader for i, source in enumerate(wanted.sources) if source.reader is not None}
        if wanted.automatic:
            printed = {1: NameReader(wanted.looked_for, wanted.step)}
        self._ranks = list(printed)
        self._stream = Stream(list(printed.values()))
        self._files: dict[str, _File] = {}
        self._taken: dict[str, _Taken] = {}
        self._count: dict[tuple[str, str], int] = {}
        self._steps: dict[int, Values] = {}
        self._by_rank: dict[str, dict[Rank, dict[int, float]]] = {}
        self._owner: dict[str, Rank] = {}
        self._curves: dict[int, Values] = {}
        self._normal = {normal(name): name for name in wanted.looked_for}
        self._next_look_s = 0.0
        self.refused: dict[str, str] = {}

    # ---------------------------------------------------------------------------------------------------------- while

    def printed(self, data: bytes, *, last: bool = False) -> None:
        """A piece of the program's output."""
        for i, reading, where in self._stream.feed(data, last=last):
            exact = not self.wanted.automatic or normal(where.partition(" ")[2].strip("'")) == normal(reading.name)
            self._take((self._ranks[i], not exact), reading, where)

    def look(self, *, last: bool = False) -> None:
        """Read files that changed. last: the program is over, so what is there is all."""
        began_s = time.monotonic()
        if not last and began_s < self._next_look_s:
            return
        for rank, path, shown in self._candidates():
            self._read(rank, path, shown, last=last)
        self._next_look_s = time.monotonic() + max(0.3, _SHARE * (time.monotonic() - began_s))

    def fresh(self) -> Iterator[tuple[int, Values]]:
        """Steps that came since this was asked last, derived numbers with them."""
        steps, self._steps = self._steps, {}
        for step in sorted(steps):
            known = self._curves.setdefault(step, {})
            known |= steps[step]
            derived = {name: value for name, value in self._derived(known) if known.get(name) != value}
            known |= derived
            yield step, {**steps[step], **derived}

    # ---------------------------------------------------------------------------------------------------------- after

    def result(self) -> tuple[Values, dict[str, str], list[str]]:
        """Each name's last number, where it was taken from, and sentences about what was not taken, and why."""
        self._check_again()
        values: Values = {}
        places: dict[str, str] = {}
        problems = []
        for name, taken in self._taken.items():
            ways = taken.ways
            if name in self.wanted.looked_for and self._ambiguous(taken):
                shown = listed(f"{where} ({value:g})" for where, value in ways.items())
                problems.append(f"{name} is there in {many(len(ways), 'way')}: {shown}; say which under `metrics:`")
                continue
            where = next(reversed(ways))
            values[name], places[name] = ways[where], where
        for name, value in self._derived(values):
            values[name] = value
            places[name] = f"derived: {dict(self.wanted.derive)[name].text}"
        return values, places, [*problems, *dict.fromkeys(self.refused.values())]

    def own(self, glob: str) -> list[Path]:
        """The attempt's own files that match a glob, those in its folder first."""
        return [path for path, shown in self._own(of_any_kind=True) if self._matches(glob, path, shown)]

    def _check_again(self) -> None:
        """Files elsewhere are asked for once more: who writes one says so before, so what was read before was ours."""
        for name, kept in self.trace.written().items() if not self._again else ():
            why = self.trace.refused(name, kept) if name in self._files else ""
            if why and not Path(name).is_relative_to(self.folder):
                self._refuse(name, why)

    def _ambiguous(self, taken: _Taken) -> bool:
        """Whether several places of equal right say something else. A study's own pattern says which it means."""
        if not self.wanted.automatic or len(taken.ways) < 2:
            return False
        return taken.rank[0] == 1 or len(set(taken.ways.values())) > 1

    def keep(self, more: Iterable[Path] = ()) -> None:
        """Copy the run's own files that lie elsewhere, and hold numbers, into its folder; and `more` of them."""
        kept = self.folder / KEPT / ELSEWHERE
        for path in {*(Path(path) for path, file in self._files.items() if file.kind is not None), *more}:
            if path.is_relative_to(self.folder) or str(path) in self.refused:
                continue
            with suppress(OSError):
                if path.stat().st_size <= _LARGEST_COPY:
                    copy = kept / self._relative(path).replace("../", "").lstrip("/")
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(path, copy)

    # -------------------------------------------------------------------------------------------------------- reading

    def _derived(self, values: Mapping[str, float]) -> Iterator[tuple[str, float]]:
        if not self.wanted.derive:
            return
        by_name = {**{re.sub(r"\W", "_", name): value for name, value in values.items()}, **values}
        for name, formula in self.wanted.derive:
            value = formula.value(by_name)
            if value is not None:
                yield name, value

    def _take(self, rank: Rank, reading: Reading, where: str) -> None:
        name = reading.name
        asked = self._normal.get(normal(name))
        if self.wanted.automatic and asked is not None and name not in self.wanted.looked_for:
            name, rank, where = asked, (rank[0], 1), f"{where} as {reading.name}"
        self._count[name, where] = count = self._count.get((name, where), 0) + 1
        step = count if reading.step is None and where.startswith("stdout") else reading.step
        if step is not None:
            self._step(name, rank, step, reading.value)
        taken = self._taken.get(name)
        if taken is None or rank < taken.rank:
            taken = self._taken[name] = _Taken(rank)
        if rank == taken.rank:
            taken.ways[where] = reading.value

    def _step(self, name: str, rank: Rank, step: int, value: float) -> None:
        """Whoever had steps first has the curve; a better place takes it over where it has all of them, for one that
        counts otherwise would mix epochs with iterations."""
        ranks = self._by_rank.setdefault(name, {})
        mine = ranks.setdefault(rank, {})
        mine[step] = value
        owner = self._owner.setdefault(name, rank)
        if rank == owner:
            self._steps.setdefault(step, {})[name] = value
        elif rank < owner and (rank == _SAID or ranks[owner].keys() <= mine.keys()):
            self._owner[name] = rank
            for at, known in mine.items():
                self._steps.setdefault(at, {})[name] = known

    def _read(self, rank: int, path: Path, shown: str, *, last: bool) -> None:
        try:
            stat = path.stat()
        except OSError:
            return
        key, now = str(path), (stat.st_size, stat.st_mtime_ns)
        before = self._files.get(key)
        if before is not None and before.seen == now:
            return
        kind = before.kind if before is not None and before.kind is not None else self._kind(path)
        file = self._files[key] = _File(now, kind, before.readings if before else [])
        if kind is None:
            return
        try:
            found = list(kind.read(path, self.wanted.step))
        except (OSError, ValueError, RecursionError) as error:
            if last:
                self.refused[key] = f"{shown} cannot be read as {kind.label}: {error}"
            else:
                file.seen = (-1, -1)  # it was being written
            return
        known = len(file.readings) if found[: len(file.readings)] == file.readings else 0
        file.readings = found
        for reading in found[known:]:
            self._take((rank, 0), reading, f"{kind.label} {shown}")

    def _kind(self, path: Path) -> Capture | None:
        try:
            with path.open("rb") as file:
                head = file.read(HEAD_BYTES)
        except OSError:
            return None
        return next((kind for kind in self._kinds if head and kind.recognises(path, head)), None)

    # ----------------------------------------------------------------------------------------------------- which files

    def _candidates(self) -> Iterator[tuple[int, Path, str]]:
        """(rank, file, as it is called) of files that count as this attempt's."""
        said = self.folder / KEPT / SAID
        yield _SAID[0], said, "ablate.log"
        besides = self.wanted.besides
        own = [(path, name) for path, name in self._own() if not (besides and self._matches(besides, path, name))]
        if self.wanted.automatic:
            yield from ((0, path, shown) for path, shown in own)
            return
        for rank, source in enumerate(self.wanted.sources):
            if source.glob:
                yield from ((rank, path, shown) for path, shown in own if self._matches(source.glob, path, shown))

    def _own(self, of_any_kind: bool = False) -> list[tuple[Path, str]]:
        """The attempt's own files, as they are called. of_any_kind: also those elsewhere that hold no numbers."""
        inside = [(path, path.relative_to(self.folder).as_posix()) for path in self._inside()]
        return inside + [(path, self._relative(path)) for path in self._outside(of_any_kind)]

    def _matches(self, glob: str, path: Path, shown: str) -> bool:
        if os.path.isabs(glob):
            return matches(glob, str(path))
        below = [home for home in (self.cwd, self.folder / "work") if path.is_relative_to(home)]
        return matches(glob, shown) or any(matches(glob, path.relative_to(home).as_posix()) for home in below)

    def _relative(self, path: Path) -> str:
        copies = self.folder / KEPT / ELSEWHERE
        if path.is_relative_to(copies):
            return path.relative_to(copies).as_posix()
        return Path(os.path.relpath(path, self.cwd)).as_posix()

    def _inside(self) -> Iterable[Path]:
        """Files of the run's folder that were written since the attempt began, in a fixed order."""
        found = []
        for top, folders, names in os.walk(self.folder):
            if top == str(self.folder):
                folders[:] = [name for name in folders if name != KEPT]
                names = [name for name in names if name != "log.txt"]
            folders.sort()
            for name in sorted(names):
                path = Path(top, name)
                with suppress(OSError):
                    if not path.is_symlink() and path.stat().st_mtime_ns >= self.life.began_ns:
                        found.append(path)
            if len(found) > _MOST_FILES:
                break
        return found

    def _outside(self, of_any_kind: bool) -> Iterator[Path]:
        """Files elsewhere that this attempt's own processes opened for writing, and no other run's."""
        if self._again:
            yield from sorted(path for path in (self.folder / KEPT / ELSEWHERE).rglob("*") if path.is_file())
            return
        for name, kept in sorted(self.trace.written().items()):
            path = Path(name)
            if path.is_relative_to(self.folder) or not path.is_file() or path.name.endswith((".pyc", ".lock")):
                continue
            if any(part.startswith(".") for part in self._relative(path).split("/") if part not in (".", "..")):
                continue  # what libraries keep for themselves, such as ~/.config/mlflow/telemetry.json
            if not of_any_kind and self._kind(path) is None and path.stat().st_size:
                continue  # an empty one may have been emptied by another run just now
            why = self.trace.refused(name, kept)
            if not why:
                yield path
            else:
                self._refuse(name, why)

    def _refuse(self, name: str, why: str) -> None:
        """Take nothing from a file, and nothing that was taken from it."""
        remedy = "let each run write into a folder of its own: `cwd: run`, or an option with {folder}"
        self.refused[name] = f"{why}; {remedy}"
        file = self._files.pop(name, None)
        if file is None or file.kind is None:
            return
        where = f"{file.kind.label} {self._relative(Path(name))}"
        for metric, taken in list(self._taken.items()):
            for way in [way for way in taken.ways if way == where or way.startswith(f"{where} as ")]:
                del taken.ways[way]
            if not taken.ways:
                del self._taken[metric]


_SEPARATORS = re.compile(r"[\s/.\-]+")


def normal(name: str) -> str:
    """A name as it is compared: `val/acc`, `val acc` and `val-acc` are `val_acc`."""
    return _SEPARATORS.sub("_", name.strip().lower())


def matches(glob: str, path: str) -> bool:
    """Whether a path matches a glob; `**/` stands for any folders, or none."""
    pattern = re.escape(glob).replace(r"\*\*/", "(?:.*/)?").replace(r"\*\*", ".*")
    pattern = pattern.replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
    return re.fullmatch(pattern, path) is not None
