"""A worker that takes its runs from a folder (mailbox.py): an ordinary pool of its host, started by whatever can start
a process there: a Slurm job, ssh, qsub, a Kubernetes job.

It opens no database and decides nothing about retries. Who leaves politely (its time is over, its machine is wanted
back, nothing is left to do) gives its runs back under the same token, and no attempt is spent; who falls silent costs
its runs one. One that nobody believes in any more, or that was started again elsewhere, ends its runs unheard. Where
the study was edited meanwhile it finishes what it has begun, then goes on with what the new plan imports.
"""

from __future__ import annotations

import os
import re
import secrets
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ablate.errors import AblateError, ConfigError
from ablate.pool import host, scheduler, signals, words
from ablate.pool.executor import Event, Executor, Failed, Finished, Progressed, Refused, Returned, Slot, Started
from ablate.pool.folders import LOG, shorten
from ablate.pool.mailbox import PLAN, SILENT_BEATS, Alive, Mailbox, Order, Plan, differing, this_node, versions_of
from ablate.records import Json, Reason, RunSpec
from ablate.registry import Registry
from ablate.training.provenance import provenance

LOOK_S = 0.1
"""How often a worker with a free slot looks for another run, and `LATE_S` one that has found none for a while."""
LATE_S = 1.0
REFUSED_S = 5.0
"""How long a worker takes nothing after its host had no room for a run."""
LEAVING_S = 5.0
"""What giving runs back takes at the end of a job's time, besides the grace of the runs."""


@dataclass(frozen=True)
class Terms:
    """How a worker may work. slots: runs at a time; None: as many as its job was given processors or GPUs. left_s: the
    time that its job has; None: no limit. wait_s: how long it stays with nothing to do and no dispatcher about. seen:
    what the plan must say, where who started the worker knows it. job, again: the queue's name for it, and how often
    the queue has started it before."""

    slots: int | None = None
    left_s: float | None = None
    wait_s: float = 600.0
    seen: str = ""
    job: str = ""
    again: int = 0


@dataclass
class _Run:
    order: Order
    slot: Slot
    since_s: float
    heard_s: float
    stopped: bool = False
    log_bytes: int = 0
    cut: int = 0


def of_job() -> tuple[str, int]:
    """The queue's name for the job that this process is, and how often it was started again; empty outside of one."""
    given = os.environ.get
    if given("SLURM_ARRAY_JOB_ID"):
        job = f"{given('SLURM_ARRAY_JOB_ID')}_{given('SLURM_ARRAY_TASK_ID')}"
    else:
        job = given("SLURM_JOB_ID", "")
    return job, int(given("SLURM_RESTART_COUNT") or 0)


_TIME = re.compile(r"(?:(\d+)-)?(?:(\d+):)?(?:(\d+):)?(\d+)(?:\.\d+)?")


def seconds_left(written: str | None) -> float | None:
    """`90` seconds, `90s`, `15m`, `2h`, or as queues write it: [D-][[HH:]MM:]SS; None for none, or an unknown one."""
    text = (written or "").strip()
    if re.fullmatch(r"\d+(\.\d+)?\s*[smhd]?", text):
        return float(text.rstrip("smhd ")) * {"s": 1, "m": 60, "h": 3600, "d": 86400}.get(text[-1], 1)
    match = _TIME.fullmatch(text)
    if match is None:
        if text and not re.fullmatch(r"UNLIMITED|NOT_SET|INVALID|N/A", text):
            raise AblateError(f"--time is {written!r}; it must be like 90, 90s, 15m, 2h or 1-02:30:00.")
        return None
    days, first, second, last = (int(part or 0) for part in match.groups())
    hours, minutes = (first, second) if match[3] else (0, first)
    return float(((days * 24 + hours) * 60 + minutes) * 60 + last)


def work(folder: Path, terms: Terms, say: Callable[[str], None]) -> int:
    """Execute what is handed over in `folder` until nothing more is; how many runs it was. AblateError where this place
    is not as the plan wants it, which the folder then says, too."""
    box = Mailbox(folder)
    worker = f"{terms.job or f'{this_node()}-{os.getpid()}-{secrets.token_hex(2)}'}.{terms.again}"
    deadline_s = None if terms.left_s is None else time.monotonic() + terms.left_s
    executed = 0
    while True:
        pilot = _flown(box, worker, terms, deadline_s, say)
        executed += pilot.executed
        if pilot.leaving:
            return executed
        terms = replace(terms, seen="")  # who hands over now says otherwise


def _flown(box: Mailbox, worker: str, terms: Terms, deadline_s: float | None, say: Callable[[str], None]) -> _Pilot:
    """A worker that has left, or whose plan is not the folder's any more."""
    if not terms.seen and box.plan() is None:
        inside = sorted(str(path.parent) for path in box.folder.glob(f"*/{PLAN}"))
        if inside:
            raise AblateError(f"{box.folder} is a study's folder; runs are handed over in {inside[0]}: name that.")
        say(f"waiting for {box.folder}/plan.json, which `ablate run --executor workers` writes")
    plan = _awaited(box, terms)
    made = provenance()
    try:
        slots = _slots(plan, terms, versions_of(made))
        pool: Executor = Registry().make("executors", "local", {})
        pool.open(plan.setup)
    except AblateError as error:
        box.refuse(worker, f"worker {worker} on {this_node()}: {error}")
        raise
    try:
        alive = Alive(worker, this_node(), len(slots), terms.job, terms.again)
        pilot = _Pilot(box, plan, alive, slots, terms, deadline_s, pool, {**made, **_here(plan)})
        say(f"worker {worker}: {len(slots)} at a time of {plan.study}, from {box.folder}")
        with signals.told_to(pilot.told, hurry=False):
            pilot.run()
        return pilot
    finally:
        pool.close()
        box.part(worker)


def _awaited(box: Mailbox, terms: Terms) -> Plan:
    """The plan, once it is there."""
    until_s = time.monotonic() + terms.wait_s
    while (plan := box.plan()) is None:
        if terms.seen or time.monotonic() >= until_s:
            raise AblateError(
                f"there is no {box.folder}/plan.json: nothing is handed over there, or {this_node()} does not see the "
                "folder in which `ablate run` writes; mount it at the same path.",
                page="clusters",
            )
        time.sleep(LATE_S)
    if terms.seen and plan.seen != terms.seen and not box.names("todo"):
        raise AblateError(f"{box.folder} is another folder on {this_node()} than where `ablate run` writes.")
    return plan


def _slots(plan: Plan, terms: Terms, versions: dict[str, str]) -> Sequence[Slot]:
    """Where runs execute here. AblateError where this place differs from the plan."""
    differs = differing(plan.versions, versions)
    if differs:
        raise AblateError(f"it is not what the plan was made with: {'; '.join(differs)}.", page="clusters")
    threads = plan.setup.threads
    if plan.setup.unseen:
        raise AblateError(f"it does not see {plan.setup.unseen}, which runs need; mount it at the same path.")
    most = terms.slots
    gpus = plan.gpus if plan.gpus is not None else min(1, len(host.gpus()))
    if plan.memory_gib is not None and not gpus:
        fit = max(1, int(host.memory_mib("cpu") // (plan.memory_gib * 1024)))
        most = min(fit, most or max(1, host.processors() // threads))
    try:
        slots = host.slots(
            gpus_per_run=gpus, runs_per_gpu=plan.runs_per_gpu, threads=threads, workers=most, several=True
        )
    except ConfigError as error:
        raise AblateError("; ".join(f"{key} {message}" for key, message in error.problems)) from None
    return slots[: host.most_runs(len(slots))]


def _here(plan: Plan) -> dict[str, Json]:
    """What results are made with besides the versions: the machine and its GPUs."""
    kinds = sorted({gpu.kind for gpu in host.gpus()}) if plan.gpus != 0 else []
    return {"node": this_node(), **({"gpu": ", ".join(kinds)} if kinds else {})}


class _Pilot:
    """The loop of a worker."""

    def __init__(
        self,
        box: Mailbox,
        plan: Plan,
        alive: Alive,
        slots: Sequence[Slot],
        terms: Terms,
        deadline_s: float | None,
        pool: Executor,
        made: dict[str, Json],
    ) -> None:
        self.box, self.plan, self.alive, self.pool, self.made = box, plan, alive, pool, made
        self.terms, self.deadline_s = terms, deadline_s
        self.free = list(slots)
        self.runs: dict[str, _Run] = {}
        self.executed = 0
        self.leaving = ""
        self.outdated = False
        self.believed = True
        self._unsaid: list[Event] = []
        self._given_back: list[Order] = []
        now_s = time.monotonic()
        self.usual_s = 0.0
        self._names: deque[str] = deque()
        self._listed_s = self._beat_s = self._stops_s = float("-inf")
        self._idle_s = now_s

    def run(self) -> None:
        self.box.live(self.alive)
        while self.runs or not (self.leaving or self.outdated):
            self._beat()
            self._hear_stops()
            self._watch_time()
            if not (self.leaving or self.outdated):
                self._take()
            pause_s = LOOK_S if self.free and time.monotonic() - self._idle_s < 5 else LATE_S / 2
            self._tell(self.pool.poll(pause_s) if self.runs else _nap(pause_s))

    def told(self, number: int) -> None:
        """Somebody asks it to end by this signal. A queue may send it twice; who is in a hurry has SIGKILL."""
        self._go(f"its machine is wanted back ({signal.Signals(number).name})")

    def _go(self, why: str) -> None:
        """Take nothing more, and give back what runs."""
        self.leaving = self.leaving or why

    # ----------------------------------------------------------------------------------------------------- what is due

    def _beat(self) -> None:
        now_s = time.monotonic()
        if now_s - self._beat_s < self.plan.beat_s:
            return
        self._beat_s = now_s
        with suppress(OSError):  # the file server is away: it sees no sign of life from anybody then
            self.believed = self.believed and self.box.beat(self.alive.worker)
            later = f"{self.alive.job}.{self.alive.again + 1}"
            if self.alive.job and (self.box.folder / "alive" / later).exists():
                self._go("its job was started again elsewhere")
            if not self.believed:
                self._go("it was given up: it had been silent for too long")
            mine = self.box.taken()
            for token in self.runs:
                if mine.get(token) != self.alive.worker:  # its run may be executed under a new token by now
                    self._stop(token, "lost", "the run was given up")
            for run in self.runs.values():
                log = Path(run.order.spec.folder) / LOG
                run.cut = shorten(log, int(self.plan.limits.log_mib * 2**20), run.cut)
                with suppress(OSError):
                    if (size := log.stat().st_size) != run.log_bytes:
                        run.log_bytes, run.heard_s = size, now_s

    def _hear_stops(self) -> None:
        now_s = time.monotonic()
        if not self.runs or now_s - self._stops_s < LATE_S / 2:
            return
        self._stops_s = now_s
        with suppress(OSError):
            for token, (reason, message) in self.box.stops().items():
                if token in self.runs:
                    self._stop(token, reason, message)
        for token, run in self.runs.items():
            over = scheduler.overdue(run.since_s, run.heard_s, self.plan.limits, now_s)
            if over is not None:
                self._stop(token, *over)

    def _stop(self, token: str, reason: Reason, message: str) -> None:
        run = self.runs[token]
        if not run.stopped:
            run.stopped = reason != "pruned"
            self.pool.stop(token, reason, message)

    def _watch_time(self) -> None:
        """Leave before the end of the job's time, or where nothing comes any more."""
        now_s = time.monotonic()
        margin_s = self.plan.limits.grace_s + LEAVING_S
        if self.deadline_s is not None and now_s >= self.deadline_s - margin_s:
            self._go("its time is over")
        if self.deadline_s is not None and not self.runs and not self._fits(now_s):
            self._go("its time is nearly over")
        if self.runs:
            self._idle_s = now_s
        elif now_s - self._idle_s >= self.terms.wait_s and not self._looked_after():
            self._go("nothing is left to do")
        if self.leaving:
            for token, run in self.runs.items():
                if not run.stopped:
                    run.stopped = True
                    self.pool.stop(token, "cancelled", self.leaving)

    def _fits(self, now_s: float) -> bool:
        """Whether a run as long as the longest here so far would end in time."""
        margin_s = self.plan.limits.grace_s + LEAVING_S
        return self.deadline_s is None or now_s + self.usual_s + margin_s < self.deadline_s

    def _looked_after(self) -> bool:
        """Whether a dispatcher gave a sign of life of late, by the file server's time."""
        with suppress(OSError):
            mine = (self.box.folder / "alive" / self.alive.worker).stat().st_mtime
            return bool(self.box.dispatchers(mine, SILENT_BEATS * self.plan.beat_s))
        return False

    # --------------------------------------------------------------------------------------------------------- taking

    def _take(self) -> None:
        now_s = time.monotonic()
        if any(run.order.alone for run in self.runs.values()):
            return
        while self.free and self._fits(now_s):
            if not self._names:
                if now_s - self._listed_s < LOOK_S:
                    return
                self._listed_s = now_s
                self._list()
                if not self._names:
                    return
            elif now_s - self._listed_s > LATE_S:  # what was given back stands before all these by now
                self._names.clear()
                self._listed_s = float("-inf")
                continue
            name = self._names.popleft()
            if name.endswith(".alone.json") and self.runs:
                continue
            order = self.box.take(name, self.alive.worker)
            if order is not None:
                self._begin(order)
                if order.alone:
                    return

    def _list(self) -> None:
        """What waits, by the plan that this worker has. The plan is read after the names: who writes both writes it
        first."""
        with suppress(OSError):
            names = self.box.todo()
            plan = self.box.plan() if names else None
            self.outdated = plan is not None and replace(plan, seen=self.plan.seen) != self.plan
            self._names = deque(() if self.outdated else names)

    def _begin(self, order: Order) -> None:
        asked = self.box.stops().get(order.token) if (self.box.folder / "stop" / order.token).exists() else None
        if asked is not None and asked[0] != "pruned":
            self._say([Failed(order.token, *asked)])
            return
        now_s = time.monotonic()
        with suppress(OSError):  # of an execution that was given back: it is not this one's last word
            (Path(order.spec.folder) / words.NAME).unlink()
        slot = self.free.pop(0)
        self.runs[order.token] = _Run(order, slot, now_s, now_s)
        self.pool.start(order.token, _fresh(order.spec), slot)

    # -------------------------------------------------------------------------------------------------------- telling

    def _tell(self, events: Sequence[Event]) -> None:
        said: list[Event] = []
        for event in events:
            run = self.runs[event.token]
            run.heard_s = time.monotonic()
            match event:
                case Started():
                    run.since_s = run.heard_s
                    said.append(replace(event, where={"node": self.alive.node, "worker": self.alive.worker}))
                case Finished():
                    self.usual_s = max(self.usual_s, event.seconds or 0.0)
                    said.append(replace(event, provenance={**self.made, **event.provenance}))
                case Failed(token, reason) if self.leaving and reason == "cancelled":
                    self._given_back.append(run.order)
                    said.append(Returned(token, self.leaving))
                case Refused(token, message):
                    self._given_back.append(run.order)
                    said.append(Returned(token, message))
                    self._names.clear()
                    self._listed_s = time.monotonic() + REFUSED_S
                case Failed():
                    said.append(replace(event, provenance={**self.made, **event.provenance}))
                case Progressed():
                    said.append(event)
            if not isinstance(event, Started | Progressed):
                del self.runs[event.token]
                self.free.append(run.slot)
                self.executed += isinstance(event, Finished | Failed)
        self._say(said)

    def _say(self, events: Sequence[Event]) -> None:
        """Say it, with what could not be said before: the disk was full, or the file server away."""
        self._unsaid += events
        with suppress(OSError):
            if self._unsaid and self.believed:
                self.box.say(self.alive.worker, self._unsaid)
            self._unsaid = []
            while self._given_back:  # after the word: who takes it next says that it started
                self.box.give_back(self._given_back[0], self.alive.worker)
                del self._given_back[0]


def _fresh(spec: RunSpec) -> RunSpec:
    """A run that was given back goes on in its own folder, whatever attempts before this one left."""
    return replace(spec, earlier=()) if Path(spec.folder).is_dir() else spec


def _nap(seconds: float) -> Sequence[Event]:
    time.sleep(seconds)
    return ()
