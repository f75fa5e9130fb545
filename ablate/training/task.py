"""The contract of a task: what a run executes. `classify` is built in; a study may name a Python function instead.

A task checks and completes a configuration without training (in the plan), and executes one run (in a child process).
It never opens the database: it hands back numbers.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, cast

from ablate.errors import AblateError, ConfigError
from ablate.identity import canonical_json
from ablate.records import Json, Meaning, Parent, RunSpec, Start, TaskFacts, TaskUse, TrickUse
from ablate.registry import Plugin, Registry
from ablate.rng import seed_for
from ablate.training.examples import At, Examples, Given

Values = Mapping[str, float]
"""Metrics by name. A value that is NaN or infinite makes the run `diverged`."""


@dataclass(frozen=True)
class Report:
    """Metrics of a step that has a number of its own. They make curves; the result is what the task returns at its end.
    A mapping that is yielded bare is the next step, and a result as far as it goes."""

    number: int
    values: Values


Place = tuple[int, str]
"""Where a part of a network stands: when it is first called, counted in values that the network makes; its path."""


def asked_part(part: Mapping[str, Json]) -> str:
    """Which part is asked for, whatever stands there instead."""
    return canonical_json([part["part"], part.get("kind")])


@dataclass(frozen=True)
class Completed:
    """A configuration that a task accepted.

    config: every default filled in. asked: the same without infrastructure fields (data.root, cache folders, workers),
    which is what the key hashes. tricks: full parameters, in the order of application. code: part -> version.
    data: the data fingerprint, or None for a task that names no data. start: the weights that it starts from, if any;
    parent: whose weights those will be, where another study makes them: the plan then finds the start.
    evaluation_only: the trick files among `tricks` that change predictions and no weight: a run of the same without
    them has the weights already. notes: what whoever reads the plan must know of it. task: what a key hashes of the
    task where that is not all that the study writes of it. places: of parts that it goes without, by `asked_part`.
    """

    config: Mapping[str, Json]
    asked: Mapping[str, Json]
    tricks: tuple[TrickUse, ...]
    code: Mapping[str, Json]
    data: str | None = None
    start: Start | None = None
    parent: Parent | None = None
    evaluation_only: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    task: Json = None
    places: Mapping[str, Place] = field(default_factory=dict)

    def started(self, starts: Starts) -> Completed:
        """The configuration with the weights that it waits for, where they are there."""
        start = starts.get(self.parent) if self.parent is not None else None
        return replace(self, start=start) if isinstance(start, Start) else self

    @property
    def pending(self) -> Parent | None:
        """The run of another study whose weights this waits for."""
        return self.parent if self.start is None else None

    @property
    def asked_of_start(self) -> Mapping[str, Json]:
        """What a key hashes: `asked`, and of weights that a run starts from their content, not where they lie."""
        return self.asked if self.start is None else {**self.asked, "starts_from": self.start.sha256}

    @property
    def kept_start(self) -> dict[str, Json]:
        """What the database keeps of the start; nothing where the run's seed is the start."""
        if self.start is not None:
            return {"starts_from": {"origin": self.start.origin, "run": self.start.run, "sha256": self.start.sha256}}
        return {} if self.parent is None else {"starts_from": "pending"}


NOT_TRAINED = "it is not trained yet"

Starts = Mapping[Parent, Start | str]
"""The weights of other studies' runs; for those that are not there yet, why."""


@dataclass(frozen=True)
class Predicted:
    """Test images as a run's weights see them. ids and probabilities (one row of class probabilities each) in the data
    set's order."""

    ids: tuple[str, ...]
    probabilities: tuple[tuple[float, ...], ...]
    class_names: tuple[str, ...]


@dataclass
class Run:
    """What a task gets: its specification, its named streams and a folder of its own.

    A function task is called as `function(config, run)`; it reads `run.seed`, or draws `run.seed_for("shuffle")`.
    """

    spec: RunSpec
    registry: Registry
    device: str = "cpu"
    outputs: dict[str, str] = field(default_factory=dict)
    """Hashes of what the run made (final weights, dev predictions); equal ones are how a trick is found inert. And
    `dev_images`, how many an accuracy is measured on."""
    per_example: Given | Examples | None = None
    """What it got right, example by example: `examples` has it from a function, `classify` packs its own."""
    provenance: dict[str, Json] = field(default_factory=dict)
    """What is worth knowing of how it ran: no comparison looks at it."""
    executed: dict[str, str] = field(default_factory=dict)
    """Files of the user's that it was made of and that its plan did not know, by their path from the study's folder,
    with their SHA-256: an edit of one asks anew."""

    logged: dict[str, float] = field(default_factory=dict)
    """The last number of each name that `log` was given."""
    report: Callable[[int, Values], Values] | None = None
    """Who hears of `log`, and what was heard; set by the worker."""
    stop_asked: Callable[[], bool] = bool
    """Whether somebody wants the run to end; set by the worker."""

    remover: Callable[[Any, Any], Any] | None = None
    """What `model` does where parts of the network are to go; set by the task."""

    @property
    def config(self) -> Mapping[str, Json]:
        return self.spec.config

    def model(self, model: Any, example: Any) -> Any:
        """The network without the parts that this run is asked to leave out; call it before the optimizer is made.

        example: what the network is called with: a tensor, a list of arguments, or a mapping of named ones.
        """
        return model if self.remover is None else self.remover(model, example)

    @property
    def tricks(self) -> Sequence[TrickUse]:
        return self.spec.tricks

    @property
    def seed(self) -> int:
        return self.spec.seed

    @property
    def folder(self) -> Path:
        """Made before the run starts; a retry finds what an earlier attempt left."""
        return Path(self.spec.folder)

    def log(self, step: int, /, **numbers: float) -> None:
        """Tell numbers of a step, for curves; the last of each name is a result of the run, unless the function gives
        another one back. Instead of yielding, or beside it."""
        self.logged |= self.report(int(step), numbers) if self.report is not None else numbers

    @property
    def should_stop(self) -> bool:
        """Whether the run is to end now (Ctrl-C, a timeout, a search that gives it up). Who looks at it is not torn
        out of a step by SIGTERM: write what a further attempt needs, and return within half of `limits.grace`."""
        return self.stop_asked()

    def examples(self, *, ids: Any, correct: Any = None, loss: Any = None, groups: Any = None) -> None:
        """Tell what the run got right, for each example it is measured on, so that verdicts speak of other examples
        too. The last call counts; it is looked at when the run is over.

        ids: a name for each, the same in every run. correct: 0 or 1, or any number; loss: any number. The mean of each
        must be a metric of the run (that of `correct` as it is, or in percent). groups: what each belongs to, where
        several are no independent draws, such as images of one patient.
        """
        self.per_example = Given(ids, correct, loss, groups)

    def seed_for(self, *name: str | int) -> int:
        """The seed of this run's stream called `name`: an integer in [0, 2**63)."""
        return seed_for(self.spec.seed, *name)


@dataclass(frozen=True)
class PartSize:
    """One part of a network: the shape of what it makes, its parameters, each counted once, and the FLOPs of its calls
    in one forward pass; parts inside of it included. path: empty for the whole network."""

    path: str
    kind: str
    made: tuple[int, ...]
    parameters: int
    flops: int


class Task(Plugin):
    """A task: how its configuration is completed and how one run of it is executed."""

    imports: ClassVar[tuple[str, ...]] = ()
    """Modules that the warm server imports before the first run, so that children inherit them."""

    vital: ClassVar[tuple[str, ...]] = ()
    """Metrics that a run cannot go on without: where one is not finite, the run has diverged, whoever asked for it."""

    metrics: ClassVar[Mapping[str, Meaning]] = {}
    """What every run of this task reports; a study that names no metric is judged by the first. Empty: not known in
    advance."""

    epochs: ClassVar[str] = ""
    """The key of the configuration that holds how many epochs a run trains; empty: a step is no epoch."""

    ends_early: ClassVar[str] = ""
    """The key of the configuration that lets a run end before its last epoch; empty: none does."""

    pairs: ClassVar[bool] = False
    """Whether runs of equal seeds share initialisation and the order of batches, whatever else they differ in."""

    loop: ClassVar[str] = ""
    """The file of the loop, for people; empty: the task as the study names it."""

    example: ClassVar[str] = ""
    """What every run is measured on and keeps its results for, one by one (`image`); empty: what a task tells of."""

    free_form: ClassVar[bool] = False
    """Whether the configuration is whatever `base:` holds. Then a key that only `set:` names is a mistake, for what
    nothing reads changes nothing."""

    flat: ClassVar[bool] = False
    """Whether a key of the configuration is one name, dots and all. Then, too, what `set:` names stands in the base."""

    has_canary: ClassVar[bool] = False

    folders: tuple[str, ...] = ()
    """The study's folder and the one where ablate was started, for what the task looks for; set by `resolve`."""

    own_code: Mapping[str, Json] = {}  # never changed in place
    """`task:NAME` and the hash of its file where that is the user's own; set by `resolve`."""

    @property
    def seeded(self) -> bool:
        """Whether the seed of a run reaches it. Else one seed is planned, whatever the study says."""
        return True

    @property
    def has_examples(self) -> bool:
        """Whether `examine` finds out what stored weights get right."""
        return type(self).examine is not Task.examine

    @property
    def facts(self) -> TaskFacts:
        """What readers of results need; a task whose parameters decide some of it says it here."""
        return TaskFacts(self.metrics, self.epochs, self.pairs, self.loop, self.example)

    def completed(self, config: Mapping[str, Json], tricks: Sequence[TrickUse], registry: Registry) -> Completed:
        """`complete`, with the task's own file among the code, so that no author can forget it."""
        done = self.complete(config, tricks, registry)
        return replace(done, code={**done.code, **self.own_code})

    @abstractmethod
    def complete(self, config: Mapping[str, Json], tricks: Sequence[TrickUse], registry: Registry) -> Completed:
        """Check and complete a configuration. Imports no torch. Raises ConfigError (dotted keys of the configuration;
        parameters of trick `i` as `tricks.{i}.NAME`)."""

    @abstractmethod
    def execute(self, run: Run) -> Values | Iterator[Values] | Iterator[Values | Report]:
        """Execute one run: return its metrics, or yield one mapping per step (the last one is the result; a generator's
        return value, where there is one, is added to it)."""

    def sources(self) -> Mapping[str, str]:
        """The user's files that the task is made of: absolute path to SHA-256. They are part of what was planned."""
        return {}

    def warm(self) -> None:
        """Import what `execute` needs, once, in the process that forks the children. Runs no tensor operation."""

    def canary(self, run: Run) -> Mapping[str, str]:
        """Two steps on one batch: hashes of what came out (equal hashes: the variants do not differ). May raise."""
        raise NotImplementedError

    def parts(
        self, config: Mapping[str, Json], asked: Mapping[str, Json], registry: Registry
    ) -> tuple[Sequence[str], Sequence[str]]:
        """The paths of the parts of a network that a pattern names and that can go, and why others cannot.

        ConfigError, with the key `0`, where there is none, or no network that a plan could look at.
        """
        raise ConfigError(
            [("0", "needs a network that the plan can make: the task classify has one; list parts by name.")]
        )

    def network(self, config: Mapping[str, Json], tricks: Sequence[TrickUse], registry: Registry) -> Sequence[PartSize]:
        """The parts of the network of a completed configuration, the whole of it first."""
        raise AblateError("only the task classify has a network that can be made without a run.", page="parts")

    def rising(self, run: Run, rates: Sequence[float]) -> Iterator[tuple[float, float]]:
        """A training of a step at each of these learning rates: the rate, and the loss of its batch before the step."""
        raise AblateError("only the task classify has a loop whose learning rate ablate can raise.", page="tuning")

    def data_warnings(self, config: Mapping[str, Json], registry: Registry) -> Sequence[str]:
        """What a person should know of the data before trusting a result: sentences. Loads the data."""
        return ()

    def class_names(self, config: Mapping[str, Json], registry: Registry) -> Sequence[str]:
        """What the data's classes are called, by number; empty where the task has none. Loads the data."""
        return ()

    def examine(self, run: Run, weights: Mapping[At, Path]) -> Examples:
        """What stored weights, of the last epoch or of the best, get right for each example that a run is measured on.
        Tasks that can say how; of the others `has_examples` is False."""
        raise NotImplementedError

    def predict(self, run: Run, weights: Path) -> Predicted:
        """The test set of a run's data set, predicted with stored weights. Only tasks that have a test set can."""
        raise AblateError(f"the task {str(run.spec.task)!r} has no test set to predict.", page="course-brief")


Function = Callable[[Any, Run], Values | Iterator[Values] | None]
"""A function task: of its configuration, as a mapping or as the class that it is annotated with, and its run."""


def plain_names(registry: Registry) -> list[str]:
    """The tasks that a study names by one word: those that need no parameter."""
    names = registry.names("tasks")
    return [name for name in names if not any(p.required for p in registry.parameters("tasks", name))]


def resolve(use: TaskUse, registry: Registry, folders: Sequence[str] = ()) -> Task:
    """The task that a study names. folders: `Task.folders`. ConfigError (keys below `task`) for wrong parameters,
    PluginError where no such task is on the shelf."""
    task = cast(Task, registry.make("tasks", use.name, use.params, at="task"))
    object.__setattr__(task, "folders", tuple(folders))
    if registry.entry("tasks", use.name).private:
        object.__setattr__(task, "own_code", {f"task:{use.name}": registry.code("tasks", use.name)})
    return task
