"""`ablate gc`: what a database and its folder hold that no study asks for any more, and its removal.

Left alone is what executes, what belongs to another database in the same folder, and whatever is not called as ablate
calls its own. Rows go before folders, in a transaction that asks once more whether a run is needed: after a kill the
next `gc` finds folders that no attempt names, and removes those.
"""

from __future__ import annotations

import re
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from ablate.errors import AblateError
from ablate.pool import ending, groups, host
from ablate.pool.mailbox import PLAN, Mailbox
from ablate.records import Role
from ablate.registry import Registry
from ablate.runs.planned import folder_name
from ablate.runs.weights import FILES
from ablate.store.reader import Reader
from ablate.store.store import Store
from ablate.store.stored import AttemptFolder, LiveAttempt, StoredStudy, Unasked
from ablate.study import yaml_file
from ablate.text import duration, listed, many, one_of
from ablate.training.dataset import cached_of
from ablate.training.started import preload_name

KINDS = ("runs", "attempts", "weights", "scratch", "cache", "journals", "mailboxes", "groups")
SHARED = ("scratch", "cache", "journals")
"""What every database in a folder uses, and whatever executes."""
SETTLED_S = 86400.0
"""After so long an attempt of another host, which nobody here can look at, is taken to be over."""
JOURNAL = "tune.journal"
_OF_SEARCH = (JOURNAL, f"{JOURNAL}.lock", "tune.lock")
_ATTEMPT = re.compile(r"\.?\w{1,16}-([0-9a-f]{8})-\w+", re.ASCII)
"""The folder of an attempt, or one that was being copied: its group is the database."""
_KEY = re.compile("[0-9a-f]{64}")
_CACHED = re.compile("[0-9a-f]{32}")
_HALF_CACHED = re.compile(r"\.(?:[0-9a-f]{32}|flops-[0-9a-f]{20}\.json)\.\w+", re.ASCII)


@dataclass(frozen=True)
class Item:
    """One thing that may go. keys: of runs whose rows go first; paths: what of it lies on the disk; size: in bytes.
    groups: names of control groups (pool/groups.py)."""

    kind: str
    what: str
    why: str
    size: int
    paths: tuple[Path, ...] = ()
    keys: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Garbage:
    """What was found. left: what may be garbage and stays, as sentences that say why."""

    items: tuple[Item, ...]
    left: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return sum(item.size for item in self.items)


def find(store: Reader, kinds: Collection[str] = KINDS) -> Garbage:
    """All that nothing asks for any more. Changes nothing."""
    folders = [path for path in store.folder.glob("*/runs/*") if path.is_dir() and not path.is_symlink()]
    # Read after the folders were listed: an attempt is in the database before it makes its own.
    around = _around(store, folders)
    items = [
        *_runs(store, around, folders), *_attempts(store, folders), *_weights(store), *_scratch(store),
        *_cache(store, around), *_journals(store, around), *_mailboxes(store, around), *_groups(store),
    ]  # fmt: skip
    left = [item for item in items if item.kind in kinds and item.kind in SHARED and around.shut]
    if left:
        around.left.append(f"{listed(item.what for item in left)}, for {around.shut}")
    return Garbage(tuple(item for item in items if item.kind in kinds and item not in left), tuple(around.left))


def remove(garbage: Garbage, store: Store, say: Callable[[str], None]) -> int:
    """Remove it; how many bytes of the disk that freed. What is needed again by now stays. say: of what cannot go."""
    freed = 0
    for item in garbage.items:
        gone = {key[:16] for key in store.forget(item.keys)}
        for name in item.groups:
            groups.remove(name)
        unwanted = {path for one in _weights(store) for path in one.paths} if item.kind == "weights" else None
        for path in item.paths:
            if unwanted is not None and path not in unwanted:
                continue
            if item.keys and path.name.lstrip(".").partition("-")[0][:16] not in gone:
                continue
            size = _size(path)
            try:
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
                freed += size
            except OSError as error:
                say(f"{path} stays: {error.strerror}.")
            for above in (path.parent, path.parent.parent):
                with suppress(OSError):  # what still holds something stays
                    above.rmdir() if above != store.folder and store.folder in above.parents else None
    try:
        return freed + store.compact()
    except AblateError as error:
        say(f"the database keeps the space for what comes next: {error}")
        return freed


def _size(path: Path) -> int:
    """The bytes of a file, or of all files below a folder."""
    total = 0
    for file in [path] if path.is_file() else path.rglob("*"):
        with suppress(OSError):
            total += file.lstat().st_size if file.is_file() else 0
    return total


def _item(kind: str, what: str, why: str, paths: Iterable[Path]) -> Iterator[Item]:
    """Of one thing on the disk, if it is there."""
    there = tuple(paths)
    if there:
        yield Item(kind, what, why, sum(map(_size, there)), there)


# ----------------------------------------------------------------------------------------------------- who else is here


@dataclass
class _Around:
    """What this database, and those beside it, still need of the folder. folders: of studies; data: fingerprints; keys:
    of others' runs. shut: why what all share is left alone; empty where it may go. left: what else stays, and why."""

    folders: set[str]
    data: set[str]
    keys: set[str] = field(default_factory=set)
    shut: str = ""
    left: list[str] = field(default_factory=list)


def _around(store: Reader, folders: Sequence[Path]) -> _Around:
    around = _Around(_study_folders(store), store.data_asked(store.asked()))
    known, live = {store.identity}, store.live()
    for path in _databases(store):
        try:
            with Store.open(path) as other:
                known.add(other.identity)
                live += other.live()
                around.folders |= _study_folders(other)
                around.keys |= other.asked()
                around.data |= other.data_asked(other.asked())
        except AblateError as error:
            if "not one of ablate's" not in str(error):
                around.shut = f"{path.name} beside it cannot be read ({error})"
    strangers: dict[str, list[Path]] = defaultdict(list)
    for path in folders:
        match = _ATTEMPT.fullmatch(path.name)
        if match and match[1] not in known:
            strangers[match[1]].append(path)
    for identity, theirs in sorted(strangers.items()):
        around.shut = around.shut or f"a database that is not here, {identity}, has attempts in this folder"
        around.left.append(
            f"{many(len(theirs), 'folder')} of the database {identity}, which does not lie here "
            f"({listed(sorted({str(path.parent) for path in theirs}), most=3)}): remove them by hand if it is gone"
        )
    around.shut = _busy(known, live) or around.shut
    return around


def _study_folders(store: Reader) -> set[str]:
    return {folder_name(name) for name in store.studies()}


def _databases(store: Reader) -> Iterator[Path]:
    """SQLite files beside the database, itself left out."""
    for path in sorted(store.folder.iterdir()):
        if path.is_file() and path.resolve() != store.file:
            with suppress(OSError), path.open("rb") as file:
                if file.read(16) == b"SQLite format 3\0":
                    yield path


def _busy(databases: Collection[str], live: Sequence[LiveAttempt]) -> str:
    """What executes: on this host whatever has a run's cookie of these databases, elsewhere what holds its lease."""
    if ending.found(lambda cookie: cookie.database in databases):
        return "runs execute on this host"
    hosts = sorted({attempt.host for attempt in live if host.fate(attempt) == "held"})
    return f"runs execute on {one_of(hosts)}" if hosts else ""


# --------------------------------------------------------------------------------------------------------- of each kind


def _runs(store: Reader, around: _Around, folders: Sequence[Path]) -> Iterator[Item]:
    """Runs that no study asks for: their numbers, and the folders of all their attempts."""
    needed = _keys_in(store.folder.glob(f"*/{JOURNAL}"))
    for record in (store.find(name).record for name in store.studies()):
        starts = [made.starts_from for made in record.variants]
        needed |= {start.run for start in starts if start is not None and start != "pending"}
    attempts, on_disk = _by_run(store.folders()), _by_start(folders, store.identity)
    groups: dict[str, list[Unasked]] = defaultdict(list)
    unsettled = 0
    for run in store.unasked(needed):
        if all(map(_is_settled, attempts[run.key])):
            groups[attempts[run.key][-1].folder.parent.parent.name if attempts[run.key] else ""].append(run)
        else:
            unsettled += 1
    if unsettled:
        around.left.append(f"{many(unsettled, 'run')} that no study asks for: another host may still be executing them")
    for where, runs in sorted(groups.items()):
        paths = [path for run in runs for path in on_disk[run.key[:16]]]
        if not around.shut:  # a folder of 0.1.0 has no database's name, and may be another one's as well
            old = {attempt.folder for run in runs for attempt in attempts[run.key] if attempt.folder.name == run.key}
            paths += sorted(old.intersection(folders) - {path for path in old if path.name in around.keys})
        what = f"{many(len(runs), 'run')} ({listed((run.key[:8] for run in runs), most=4)})"
        what += f", {duration(sum(run.seconds for run in runs))} of training" if where else ", never executed"
        why = f"no study asks for them{f' since {where} was changed' if where in around.folders else ''}"
        size = sum(run.size for run in runs) + sum(map(_size, paths))
        yield Item("runs", what, why, size, tuple(paths), tuple(run.key for run in runs))


def _attempts(store: Reader, folders: Sequence[Path]) -> Iterator[Item]:
    """Folders of attempts that do not count and that no later one will take over; and of those that no row names."""
    named, superseded = set(), set()
    for attempts in _by_run(store.folders()).values():
        named |= {attempt.folder for attempt in attempts}
        last = next((attempt for attempt in attempts if attempt.counts), None)
        # Without a result the newest that is there is what the next attempt goes on from.
        last = last or next((attempt for attempt in reversed(attempts) if attempt.folder.is_dir()), None)
        superseded |= {one.folder for one in attempts if one is not last and _is_settled(one)}
        named |= {one.folder.with_name(f".{one.folder.name}") for one in attempts if not _is_settled(one)}
    own = [path for path in folders if _is_of(path, store.identity)]
    over = [path for path in own if path in superseded]
    yield from _item(
        "attempts", many(len(over), "folder"), "another attempt of the run counts, or went on from it", over
    )
    lost = [path for path in own if path not in named]
    yield from _item("attempts", many(len(lost), "folder"), "no attempt in the database has it", lost)


def _weights(store: Reader) -> Iterator[Item]:
    """Weights of runs of which every study that asks for them says `weights: none`, and on which no other run leans."""
    studies = [store.find(name) for name in store.studies()]
    if any(made.starts_from == "pending" for stored in studies for made in stored.record.variants):
        return  # whose weights those will start from is known once it is trained
    saying_none = {stored.name for stored in studies if _weights_of(stored) == "none"}
    cells = {stored.name: {cell.run for cell in store.cells(stored.name, get_args(Role))} for stored in studies}
    wanted = {key for name, keys in cells.items() if name not in saying_none for key in keys} | store.used()
    for name in sorted(saying_none):
        left = store.kept(cells[name] - wanted)
        files = [kept.folder / file for _, kept in sorted(left.items()) for file in FILES]
        there = [file for file in files if file.is_file()]
        wanted |= cells[name]
        runs = len({file.parent for file in there})
        yield from _item("weights", f"weights of {many(runs, 'run')}", f"{name} says `weights: none`", there)


def _weights_of(stored: StoredStudy) -> str:
    """What a study says of weights, as it was last run."""
    for word in reversed(stored.record.overrides):
        key, _, value = word.partition("=")
        if key.strip() == "weights":
            return value.strip()
    root, problems = yaml_file.read(stored.text, stored.record.file)
    values = None if problems or root is None else yaml_file.unfold(root).value
    return str(values.get("weights", "all")) if isinstance(values, Mapping) else "all"


def _scratch(store: Reader) -> Iterator[Item]:
    """What a kill left of canaries, of weights that were trained again, and of what was being cached."""
    trials = [path for name in ("canary", "weights") for path in sorted(store.folder.glob(f"*/{name}/*"))]
    trials = [path for path in trials if _KEY.fullmatch(path.name)]
    trials += [path for path in sorted(store.folder.glob(".cache/.*")) if _HALF_CACHED.fullmatch(path.name)]
    yield from _item("scratch", f"{many(len(trials), 'folder')} of trials", "a kill left it half made", trials)


def _cache(store: Reader, around: _Around) -> Iterator[Item]:
    """Data that no run is about, and the preload of another ablate."""
    cache = store.folder / ".cache"
    entries = [path for path in sorted(cache.glob("*")) if _CACHED.fullmatch(path.name) and path.is_dir()]
    unread = [path for path in entries if not around.data & cached_of(path)]
    yield from _item("cache", many(len(unread), "data set"), "no study asks for these data", unread)
    old = [path for path in sorted(cache.glob("preload-*")) if path.name != preload_name()]
    yield from _item("cache", many(len(old), "preload"), "this ablate has another", old)


def _journals(store: Reader, around: _Around) -> Iterator[Item]:
    """Searches of studies that no database here has."""
    places = [
        path.parent for path in sorted(store.folder.glob(f"*/{JOURNAL}")) if path.parent.name not in around.folders
    ]
    for place in places:
        files = [place / name for name in _OF_SEARCH if (place / name).is_file()]
        yield from _item("journals", f"the search in {place.name}", "the database has no such study", files)


def _mailboxes(store: Reader, around: _Around) -> Iterator[Item]:
    """Folders through which runs were handed to workers, where none is at work nor anybody about, and no job waits in a
    queue: the database has all that was said there."""
    if any(host.keeps(attempt.host) for attempt in store.live()):
        return
    boxes = []
    for folder in (path.parent for path in sorted(store.folder.glob(f"*/*/{PLAN}"))):
        box, now_s = Mailbox(folder), time.time()
        with suppress(AblateError):
            plan = box.plan()
            about = [seen_s for _, seen_s in box.living().values() if now_s - seen_s < SETTLED_S]
            ours = plan is not None and plan.setup.database == store.identity
            if plan is None or not ours or about or box.dispatchers(now_s, SETTLED_S):
                continue
            why = _queued(folder.name.removesuffix(f"-{store.identity}"), plan.study, store.identity)
            if why:
                around.left.append(f"{folder}, for {why}")
            else:
                boxes.append(folder)
    yield from _item("mailboxes", many(len(boxes), "folder"), "what workers said there is in the database", boxes)


def _queued(engine: str, study: str, database: str) -> str:
    """Why a queue still needs a mailbox; empty where it does not."""
    shelf = Registry()
    try:
        jobs = shelf.make("executors", engine, {}).queued(study, database) if engine in shelf.names("executors") else 0
    except AblateError as error:
        return str(error)
    return f"{engine} has {many(jobs, 'job')} of {study} in its queue (`ablate stop {study}` cancels)" if jobs else ""


def _groups(store: Reader) -> Iterator[Item]:
    """Control groups of runs whose dispatcher was killed. They hold nothing, and a host has room for so many."""
    names = tuple(ending.empty_groups(store.identity))
    if names:
        yield Item("groups", many(len(names), "control group"), "their dispatcher is dead", 0, groups=names)


def _by_run(attempts: Iterable[AttemptFolder]) -> dict[str, list[AttemptFolder]]:
    """Of each run, the oldest first."""
    by_run: dict[str, list[AttemptFolder]] = defaultdict(list)
    for attempt in attempts:
        by_run[attempt.run].append(attempt)
    return by_run


def _by_start(folders: Iterable[Path], identity: str) -> dict[str, list[Path]]:
    """This database's folders, by the first digits of the run's key."""
    by_start: dict[str, list[Path]] = defaultdict(list)
    for path in folders:
        if _is_of(path, identity):
            by_start[path.name.lstrip(".").partition("-")[0]].append(path)
    return by_start


def _is_of(path: Path, identity: str) -> bool:
    match = _ATTEMPT.fullmatch(path.name)
    return match is not None and match[1] == identity


def _is_settled(attempt: AttemptFolder) -> bool:
    """Whether nobody can be writing into its folder any more."""
    return not attempt.live and (host.is_over(attempt.whose) or attempt.ended_s > SETTLED_S)


def _keys_in(files: Iterable[Path]) -> set[str]:
    """Every run's key that these files of text name."""
    keys: set[str] = set()
    for file in files:
        with suppress(OSError):
            keys |= {key.decode() for key in re.findall(rb"\b[0-9a-f]{64}\b", file.read_bytes())}
    return keys
