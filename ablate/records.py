"""The words of the glossary as frozen records. Data only: no file, no database, no clock, no outside library."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

from ablate.errors import Problem

Json = Any
"""What JSON can hold: None, bool, int, float, str, list, dict with string keys."""

Better = Literal["higher", "lower"]
State = Literal["todo", "running", "done", "failed"]
Reason = Literal[
    "error",
    "oom",
    "diverged",
    "timeout",
    "lost",
    "cancelled",
    "bad_result",
    "code_changed",
    "pruned",
    "infrastructure",
    "stalled",
]
INTERRUPTED: tuple[Reason, ...] = ("cancelled", "pruned", "infrastructure")
"""Ends of an attempt that say nothing of the run: it was stopped, or the disk was full, and counts against no limit of
attempts."""

Role = Literal["ablation", "tune", "confirm", "pretrain"]
Verdict = Literal["helps", "hurts", "equivalent", "inconclusive", "inert"]

CATEGORIES = (
    "dropout", "batchnorm", "skip", "transfer", "augmentation", "regularization", "optimization", "other",
)  # fmt: skip
"""The kinds of trick (CONTRACT, "Categories")."""

MOST_PER_GPU = 8
"""Runs that share one GPU at most where memory alone would allow more; they share its processors too."""

AHEAD = "ahead:"
"""How the device is called of a run that was handed over ahead, for a slot in which another executes still: with the
process that did it."""

GRACE_S = 10.0
"""How long a run may take to end once it is told to, where the study does not say."""

COSTS = ("train_seconds", "peak_mib")
"""Measured costs: they belong to the attempt, so tables that show them are not byte-identical."""

_COSTS = re.compile(
    r"(.*[/_. ])?(time|(run|wall|elapsed|epoch|step|batch|train|eval|data)[_ ]?time(_?s)?|runtime|\w*seconds?|sps|"
    r"\w*_per_second|fps|mfu|it/s|(samples|images|tokens|steps)[_/]?(per_)?(s|sec)|(peak|max|gpu|cuda|cpu)?_?mem(ory)?(_\w+)?|\w*_mi?b|"
    r"\w*_gi?b)",
    re.IGNORECASE,
)


def is_cost(name: str, more: Sequence[str] = ()) -> bool:
    """Whether a number is a measured cost by its name: a time, a rate, memory. No comparison of bits looks at one.

    more: globs of names that a study adds (`TaskUse.costs`).
    """
    return name in COSTS or _COSTS.fullmatch(name) is not None or any(fnmatchcase(name, glob) for glob in more)


# ---------------------------------------------------------------------------------------------------- what a study asks


@dataclass(frozen=True)
class Choice:
    """One trick that is on, at one of its levels (None for a trick without levels)."""

    trick: str
    level: str | None = None

    def __str__(self) -> str:
        return self.trick if self.level is None else f"{self.trick}={self.level}"


@dataclass(frozen=True)
class Cell:
    """A variant without its name: a base and the tricks that are on, in the file's order.

    `of` names the hand-listed variant whose changed base (`set:`) is meant; empty for the study's own base. control: a
    part whose size is taken from elsewhere in the network, while it is there; or RECALIBRATED.
    """

    on: tuple[Choice, ...] = ()
    of: str = ""
    control: str = ""

    def level(self, trick: str) -> str | Literal[False] | None:
        """False where `trick` is off, else its level (None for a trick without levels)."""
        return next((choice.level for choice in self.on if choice.trick == trick), False)

    def without(self, trick: str) -> Cell:
        return Cell(tuple(choice for choice in self.on if choice.trick != trick), self.of)

    @property
    def tricks(self) -> tuple[str, ...]:
        """The names of the tricks that are on."""
        return tuple(choice.trick for choice in self.on)


@dataclass(frozen=True)
class TrickLevel:
    """What switching a trick on does: a patch of the base (`set`), a file of the shelf (`use`, `params`), or both.

    `name` is None for a trick without levels. part: what is taken away from the network while the trick is off.
    """

    name: str | None = None
    set: Mapping[str, Json] = field(default_factory=dict)
    use: str | None = None
    params: Mapping[str, Json] = field(default_factory=dict)
    part: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class StudyTrick:
    """A trick as a study lists it. `levels` has one unnamed entry for a plain trick.

    written: the entry of the file that it comes from, where that is called otherwise (`each` makes several of one).
    """

    name: str
    levels: tuple[TrickLevel, ...]
    label: str = ""
    category: str = ""
    requires: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    written: str = ""

    @property
    def part(self) -> Mapping[str, Json]:
        """The part of the network that is there while the trick is on; nothing for any other trick."""
        return self.levels[0].part

    @property
    def choices(self) -> tuple[Choice, ...]:
        """The trick's choices in the file's order; the first is the one that `full` means."""
        return tuple(Choice(self.name, level.name) for level in self.levels)


@dataclass(frozen=True)
class HandVariant:
    """A variant listed by hand: tricks of the study, on the base changed by `set` (empty: the base as it is); `tuned`:
    what it has on top of them all, by the keys of a search."""

    name: str
    tricks: tuple[Choice, ...]
    set: Mapping[str, Json] = field(default_factory=dict)
    tuned: Mapping[str, Json] = field(default_factory=dict)

    @property
    def cell(self) -> Cell:
        return Cell(self.tricks, self.name if self.set or self.tuned else "")


@dataclass(frozen=True)
class Setting:
    """One of several settings that a study is carried out in: a named patch of the base (`across:`). unit: of the
    metric there; limits: what of it counts as 0 and as 1; where the study says so."""

    name: str
    set: Mapping[str, Json] = field(default_factory=dict)
    unit: str = ""
    limits: tuple[float, ...] = ()


@dataclass(frozen=True)
class Metric:
    """The metric of a study. `at`: "last", "best" or an epoch; `minimum_effect` in the metric's unit, or None."""

    name: str
    better: Better = "higher"
    at: str | int = "last"
    minimum_effect: float | None = None


# ------------------------------------------------------------------------------------------------------ what a run does


@dataclass(frozen=True)
class TrickUse:
    """A file of the tricks' shelf with its full parameters, as a run uses it."""

    name: str
    params: Mapping[str, Json] = field(default_factory=dict)


WITHOUT = "without"
"""The trick file that takes parts of the network away; it alone also changes a function, at `run.model`."""

TRAINED = "trained_without"
"""The trick file that takes parts of a trained network away, before it is measured: `when: trained`."""

RECALIBRATED = " recalibrated"
"""What `Cell.control` is of a network whose batch statistics are taken anew and that has all its parts: what one
without a part and with statistics taken anew is compared with. No trick's name begins with a space."""

COMMAND = "command"
"""The task that a mapping without a `name` means, and the parameter by which it is told."""


@dataclass(frozen=True)
class TaskUse:
    """A file of the tasks' shelf with the parameters that a study gives it: what each of its runs executes.

    A study file writes a name, a mapping with a `name`, `package.module:function`, short for the task `function`, or a
    mapping with a `command`, short for the task `command`.
    """

    name: str
    params: Mapping[str, Json] = field(default_factory=dict)

    @property
    def costs(self) -> tuple[str, ...]:
        """Globs of names that the study adds to the measured costs."""
        given = self.params.get("costs")
        return tuple(map(str, given)) if COMMAND in self.params and isinstance(given, list) else ()

    @staticmethod
    def of(written: Json) -> TaskUse:
        """What a study file writes. KeyError, TypeError or ValueError where it is none of these."""
        if isinstance(written, str):
            return TaskUse("function", {"target": written}) if ":" in written else TaskUse(written)
        params = dict(written)
        name = params.pop("name", COMMAND if COMMAND in params else None)
        if not isinstance(name, str):
            raise TypeError(name)
        return TaskUse(name, params)

    @property
    def written(self) -> Json:
        """As a study file writes it, shortest: what keys hash and the database keeps."""
        target = self.params.get("target")
        if self.params and isinstance(target, str) and TaskUse.of(target) == self:
            return target
        if COMMAND in self.params and TaskUse.of(self.params) == self:
            return dict(self.params)
        return {"name": self.name, **self.params} if self.params else self.name

    def __str__(self) -> str:
        return self.written if isinstance(self.written, str) else self.name


@dataclass(frozen=True)
class Meaning:
    """What a number of a task means. unit: "%", "s", "MiB", or none. dev: measured on the data by which one chooses."""

    better: Better
    unit: str = ""
    dev: bool = False


@dataclass(frozen=True)
class TaskFacts:
    """What it takes to know of a task to read its numbers; `Task` in training/task.py says what each field means.

    Kept with the plan, so that showing results loads no task and none of a user's code.
    """

    metrics: Mapping[str, Meaning] = field(default_factory=dict)
    epochs: str = ""
    pairs: bool = False
    loop: str = ""
    example: str = ""

    def unit(self, metric: str) -> str:
        """The unit of a metric where its task or its name says it."""
        if metric in self.metrics:
            return self.metrics[metric].unit
        return "s" if metric.endswith("_seconds") else "MiB" if metric.endswith("_mib") else ""

    def dev(self, metric: str) -> bool:
        return metric in self.metrics and self.metrics[metric].dev


@dataclass(frozen=True)
class Parent:
    """The run of another study whose weights a variant starts from, as the study file names it.

    study: a name or a path. variant: a name, or "best". seed: None for the other study's first.
    """

    study: str
    variant: str = "best"
    seed: int | None = None


@dataclass(frozen=True)
class Start:
    """Weights that a run starts from. file: where they lie, which is no part of a key; sha256: of the file's bytes.

    origin: where they come from, for people. run: the key of the run that made them; empty where none of ours did.
    """

    file: str
    sha256: str
    origin: str
    run: str = ""


@dataclass(frozen=True)
class Left:
    """What an earlier attempt of a run left. gone: its process is known to have ended, so its files are nobody's."""

    folder: str
    gone: bool


@dataclass(frozen=True)
class RunSpec:
    """Everything that a child process needs to execute a run; JSON-able by `dataclasses.asdict`.

    sources: the user's files (path to SHA-256) that the plan was made from; edited: others that earlier executions of
    it were found to execute and that were edited since. folder: where log, checkpoints and weights go, which each
    attempt has for itself; earlier: what attempts before it left, the newest first. plugins: folders of private
    plug-ins. metric, also: what the study asks for; a value of these that is not finite ends the run as diverged. path:
    folders in which a task's modules are found, before all others.
    data: the fingerprint of the data that the plan was made from. start: the weights that it starts from; None: those
    that its seed draws. evaluates: the key of the run whose final weights it measures anew, by tricks that only act on
    predictions, evaluates_in: that run's folder, and evaluates_weights: their hash; where they do not lie there it
    trains them itself and comes to the same numbers. Empty for a run that trains anyway. keep: whether it leaves its
    weights in its folder. best: whether the study takes its metric at the best epoch, so that the examples are kept as
    they were then, too.

    What attempts left (earlier, evaluates_in, evaluates_weights) no plan knows; the dispatcher asks the database.
    """

    key: str
    task: TaskUse
    config: Mapping[str, Json]
    tricks: tuple[TrickUse, ...]
    seed: int
    threads: int
    folder: str
    cache: str
    plugins: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    metric: str = ""
    also: tuple[str, ...] = ()
    data: str | None = None
    start: Start | None = None
    evaluates: str = ""
    evaluates_in: str = ""
    evaluates_weights: str = ""
    earlier: tuple[Left, ...] = ()
    keep: bool = True
    edited: Mapping[str, str] = field(default_factory=dict)
    best: bool = False


# ------------------------------------------------------------------------------------------------------- what comes out


@dataclass(frozen=True)
class AlsoValue:
    """Mean and standard deviation (ddof 1) of a further metric of a row."""

    mean: float | None
    std: float | None
    better: Better


@dataclass(frozen=True)
class Here:
    """What the seeds alone show of a row: what holds on the examples that it was measured on."""

    delta_ci_low: float | None
    delta_ci_high: float | None
    p: float | None
    p_adjusted: float | None
    p_equivalent: float | None
    verdict: Verdict | None

    @staticmethod
    def only(verdict: Verdict | None, here: Here | None) -> str:
        """What holds on these examples of a row whose `verdict` beyond them is open; else empty."""
        held = here.verdict if here is not None and verdict == "inconclusive" else None
        return held if held in ("helps", "hurts", "equivalent") else ""


@dataclass(frozen=True)
class OverExamples:
    """What the examples say of a row and its comparison.

    ids: the fingerprint of the set of examples; empty where runs share a part of their sets. n: examples that every run
    has, in so many groups (0: none are told). se_seeds, se_examples, se_noise: the standard errors over seeds, over
    examples, and of the noise that both hold. share: of the variance, what is due to seeds. helped, broken, both,
    neither: examples on which the row alone, its comparison alone, both or none are right, on average over seeds.
    ci_low, ci_high: with one or two seeds, the difference of these very weights on other examples.
    """

    ids: str
    n: int
    groups: int
    se_seeds: float | None = None
    se_examples: float | None = None
    se_noise: float | None = None
    share: float | None = None
    helped: float | None = None
    broken: float | None = None
    both: float | None = None
    neither: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None


RowKind = Literal["", "control", "beyond", "trained"]
"""What a row asks of parts, if that is not what a trick usually is asked; each kind is a family by itself."""

_READS: Mapping[tuple[str, str | None], str] = {
    ("control", "hurts"): "its size matters",
    ("control", "helps"): "better without its size",
    ("beyond", "helps"): "matters beyond its size",
    ("beyond", "hurts"): "worth less than its size",
    ("beyond", "equivalent"): "worth its size",
    ("trained", "helps"): "relied on",
    ("trained", "hurts"): "better without it",
    ("trained", "equivalent"): "not relied on",
}
"""Verdicts that read otherwise in rows of controls, of parts against them, and of parts of trained weights."""


def in_a_sentence(variant: str, label: str, compared_with: str | None) -> str:
    """What a row that is called `- random crops` under its base is called elsewhere: `full without random crops`; the
    study's own base and full model have names that are shorter."""
    if variant in ("base", "full"):
        return variant
    for sign, word in (("- ", "without"), ("+ ", "with")):
        if label.startswith(sign) and compared_with:
            return f"{compared_with} {word} {label.removeprefix(sign)}"
    return label


@dataclass(frozen=True)
class Row:
    """A row of the table: one variant in one design (CONTRACT, "Rows of a table" defines the fields down to `also`).

    identical: every shared value equals the comparison's. no_spread: all differences are equal, not zero, so there is
    no t test. low, high, delta_low, delta_high: the range, which is all that n = 2 allows. seeds_better, seeds_worse:
    shared seeds at which the row (not the trick) is better and worse. collapsed: seeds far worse than the row's others.
    differs: the tricks that differ from the comparison; more than one and the verdict is about them together.
    placebo: it changes nothing against its comparison but the random streams. kind: a row of a "control", which
    lacks a part's size elsewhere, or of a part "beyond" it, compared with its control; or "trained": the comparison's
    own trained weights, measured without a part.
    p_equivalent: of two one-sided tests within the minimum effect, adjusted; equivalence_ci: the interval that they
    speak of, of 90 % where `confidence` is 95 %. qualifier: what the verdict holds for, or by how much.
    here, examples: where the verdict speaks of other examples too, what seeds alone show, and what the examples are.
    confidence: what the intervals cover. look: with adaptive seeds, the look that judged the row last, from 1, and 0
    before the first is over; None without. stopped_early: settled there, so it gets no further seeds.
    """

    variant: str
    design: str
    tricks: tuple[str, ...]
    compared_with: str | None
    planned: int
    n: int
    failed: int
    pairs: int
    mean: float | None
    std: float | None
    ci_low: float | None
    ci_high: float | None
    delta: float | None
    delta_ci_low: float | None
    delta_ci_high: float | None
    p: float | None
    p_adjusted: float | None
    test: str
    verdict: Verdict | None
    also: Mapping[str, AlsoValue] = field(default_factory=dict)
    more_seeds: int | None = None
    p_equivalent: float | None = None
    equivalence_ci_low: float | None = None
    equivalence_ci_high: float | None = None
    qualifier: str | None = None
    placebo: bool = False
    identical: bool = False
    no_spread: bool = False
    low: float | None = None
    high: float | None = None
    delta_low: float | None = None
    delta_high: float | None = None
    seeds_better: int = 0
    seeds_worse: int = 0
    collapsed: tuple[int, ...] = ()
    differs: tuple[str, ...] = ()
    failures: Mapping[str, int] = field(default_factory=dict)
    label: str = ""
    confidence: float = 0.95
    look: int | None = None
    stopped_early: bool = False
    here: Here | None = None
    examples: OverExamples | None = None
    kind: RowKind = ""

    @property
    def judged(self) -> str:
        """The verdict with its qualifier: `helps among finished runs, by less than 0.5`, `inconclusive (here: helps)`;
        empty where there is none."""
        if self.only_here:
            return f"{self.verdict} (here: {self.only_here})"
        between = " " if (self.qualifier or "").startswith("among") else ", "
        same_parts = self.kind == "trained" and not self.differs  # and other batch statistics
        word = _READS.get(("" if same_parts else self.kind, self.verdict), self.verdict or "")
        return word + (between + self.qualifier if self.qualifier else "")

    @property
    def named(self) -> str:
        """Its variant, and of a part against its control both: the variant alone would be another row."""
        return f"{self.variant} against {self.compared_with}" if self.kind == "beyond" else self.variant

    @property
    def spoken(self) -> str:
        """Its name in a sentence: `full without random crops`, `stage 1 beyond its size`."""
        if self.kind == "beyond":
            return f"{(self.label or self.variant).removeprefix('- ')} beyond its size"
        return in_a_sentence(self.variant, self.label, self.compared_with) or self.variant

    @property
    def only_here(self) -> str:
        """The verdict over seeds on these examples, of a row that is open beyond them; else empty."""
        return Here.only(self.verdict, self.here)

    @property
    def several(self) -> bool:
        """Whether it differs from its comparison by several tricks, so that the verdict is about them together."""
        return len(self.differs) > 1

    @property
    def interval_here(self) -> tuple[float, float] | None:
        """The interval over seeds alone, of a row whose own speaks of other examples too."""
        if self.here is None or self.here.delta_ci_low is None or self.here.delta_ci_high is None:
            return None
        return self.here.delta_ci_low, self.here.delta_ci_high

    @property
    def lopsided(self) -> bool:
        """Whether the verdict holds among finished runs only, for the sides differ in failures: it is never bold."""
        return (self.qualifier or "").startswith("among")

    @property
    def corrected_away(self) -> bool:
        """Whether the interval of this row alone leaves out 0 and the correction over all rows leaves it open."""
        low, high = self.delta_ci_low, self.delta_ci_high
        return self.verdict == "inconclusive" and low is not None and high is not None and (low > 0 or high < 0)


# ----------------------------------------------------------------------------------------------------- the study itself


@dataclass(frozen=True)
class DesignUse:
    """A design as a study asks for it: its file's name and its options."""

    name: str
    options: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Resources:
    """What one run takes. gpus: None means 1 where a GPU is visible, else 0. runs_per_gpu: the most runs that share one
    GPU. memory_gib: of the device; "auto": as much as the variant's first run took; None: devices are shared by count.
    start: whether runs are forked from a process that has imported everything, or import it each.
    """

    gpus: int | None = None
    runs_per_gpu: int = 1
    threads: int = 1
    memory_gib: float | Literal["auto"] | None = None
    start: Literal["fork", "spawn"] = "fork"


@dataclass(frozen=True)
class Limits:
    """attempts: executions of one run before it is given up (1 to 20); timeout_s: seconds per attempt, or None;
    stop_after: runs that fail alike, while none is done, before all the others are left alone; grace_s: seconds from
    SIGTERM to SIGKILL for a run that is to end; database_s: how long a database that is away is waited for; log_mib: of
    a run's log that are kept; silence_s: how long a run may report no step and print nothing, or None;
    infrastructure_s: how long a run that meets nothing but full disks, or the like, is tried again."""

    attempts: int = 3
    timeout_s: float | None = None
    stop_after: int = 3
    grace_s: float = GRACE_S
    database_s: float = 900.0
    log_mib: float = 64.0
    silence_s: float | None = None
    infrastructure_s: float = 43200.0


@dataclass(frozen=True)
class Study:
    """A study file, checked and with every default filled in.

    text: the file as it was. question: its opening comment. path: the file as it was named; modules and plug-ins are
    found beside it. `designs` is empty only where every variant is listed by hand.
    positions: where each dotted place of the file was written, (line, column) from 1, for messages.
    flat: whether a key of the base is one name, dots and all, as it is for a command's options. written_base: the base
    as it was written. across: the settings that it is carried out in; empty: the base alone. setting: the one of them
    that is being planned. engines: of executors by name, the parameters that they get; part of no key.
    words: what `notes:` holds, the authors' own; part of no key either.
    """

    name: str
    path: str
    text: str
    question: str
    task: TaskUse
    base: Mapping[str, Json]
    tricks: tuple[StudyTrick, ...]
    variants: tuple[HandVariant, ...]
    designs: tuple[DesignUse, ...]
    seeds: tuple[int, ...]
    metric: Metric
    also: Mapping[str, Better] = field(default_factory=dict)
    baseline: str | None = None
    resources: Resources = Resources()
    limits: Limits = Limits()
    plugins: tuple[str, ...] = ()
    analysis: Mapping[str, Json] = field(default_factory=dict)
    rules: Mapping[str, Json] = field(default_factory=dict)
    tune: Mapping[str, Json] = field(default_factory=dict)
    weights: Literal["all", "best", "none"] = "all"
    notes: tuple[str, ...] = ()
    positions: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    flat: bool = False
    written_base: Mapping[str, Json] = field(default_factory=dict)
    across: tuple[Setting, ...] = ()
    setting: Setting | None = None
    engines: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    words: Mapping[str, Any] = field(default_factory=dict)

    def on(self, cell: Cell) -> Iterator[tuple[tuple[str, ...], TrickLevel]]:
        """What is on in a cell, in the file's order: the path at which it was written, and what it does."""
        on = {choice.trick: choice.level for choice in cell.on}
        for trick in self.tricks:
            for level in trick.levels:
                if trick.name in on and on[trick.name] == level.name:
                    yield ("tricks", trick.name, *(() if level.name is None else ("levels", level.name))), level

    def without(self, cell: Cell) -> Iterator[tuple[tuple[str, ...], Mapping[str, Json]]]:
        """The parts of the network that a cell goes without: the place of each trick that is off, and its part."""
        for trick in self.tricks:
            place, part = ("tricks", trick.written or trick.name), {**trick.part}
            control = part.pop("control", None)
            if part and cell.level(trick.name) is False:
                yield place, part
            elif part and cell.control == trick.name:
                drawn = {"seed": self.seeds[0]} if control == "another" else {}
                yield place, {**part, "control": control, **drawn}

    def problem(self, path: str, message: str, page: str = "") -> Problem:
        """A problem at the dotted place `path` or, where there is none, at the nearest around it."""
        place = path
        while place and place not in self.positions:
            place = place.rpartition(".")[0]
        line, column = self.positions.get(place, (0, 0))
        return Problem(self.path or self.name, line, column, path, message, page)


@dataclass(frozen=True)
class Quarter:
    """The mean of all cells in which a pair of tricks stands at one of its four settings, with a 95 % interval."""

    first: bool
    second: bool
    mean: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Interaction:
    """Two tricks of a factorial. estimate: half the difference of the differences; p_adjusted: Benjamini-Hochberg.

    aliases: interactions that a fraction cannot tell apart from it.
    """

    tricks: tuple[str, str]
    quarters: tuple[Quarter, ...]
    estimate: float
    ci_low: float | None = None
    ci_high: float | None = None
    p_adjusted: float | None = None
    aliases: tuple[str, ...] = ()
