"""The built-in task: train an image classifier and measure it on dev images after every epoch.

`complete` checks a configuration and fills in its defaults without importing torch; `execute` runs in a child process
and leaves best.pt and last.pt in the run's folder. The loop itself is trainer.py; what `base:` may hold is recipe.py.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from ablate.errors import AblateError, ChangedError, DataError, PausedError
from ablate.identity import canonical_json, sha256
from ablate.records import TRAINED, WITHOUT, Json, Meaning, TrickUse
from ablate.registry import Registry
from ablate.training.completing import completed, network_of
from ablate.training.dataset import warnings
from ablate.training.examples import At, Column, Examples, of_classes, of_numbers
from ablate.training.recipe import Init, Recipe, parse, plain
from ablate.training.replacement import made, names_of, ready
from ablate.training.schedules import Rising
from ablate.training.task import Completed, PartSize, Predicted, Run, Task, Values
from ablate.training.trick import Trick

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ablate.training.dataset import Arrays
    from ablate.training.trainer import Training

_OF_EPOCHS = ("dev_accuracy", "dev_loss", "train_loss", "train_accuracy")
"""What tells which epoch is the best."""

TRAINED_FILE = "training.json"
"""What a training leaves beside its weights: their hash, the metrics of its epochs, what it cost."""


@dataclass(frozen=True)
class Classify(Task):
    """No parameters: everything is in the study's `base:`."""

    version: ClassVar[int] = 1
    vital: ClassVar[tuple[str, ...]] = ("train_loss", "dev_loss")
    imports: ClassVar[tuple[str, ...]] = (
        "torch",
        "torch._dynamo",
        "torch.utils.serialization",
        "ablate.training.layers",
        "ablate.training.trainer",
        "ablate.training.checkpoint",
        "ablate.training.transfer",
        "ablate.training.removal",
    )
    """Whatever a training would import later. torch._dynamo: an optimizer imports it at its first step (2.2 CPU s)."""

    metrics: ClassVar[Mapping[str, Meaning]] = {
        "dev_accuracy": Meaning("higher", "%", dev=True),
        "dev_loss": Meaning("lower", dev=True),
        "train_loss": Meaning("lower"),
        "train_accuracy": Meaning("higher", "%"),
        "epochs_trained": Meaning("lower"),
        "train_seconds": Meaning("lower", "s"),
        "parameters": Meaning("lower"),
        "flops": Meaning("lower"),
        "peak_mib": Meaning("lower", "MiB"),
    }
    epochs: ClassVar[str] = "epochs"
    ends_early: ClassVar[str] = "early_stopping"
    pairs: ClassVar[bool] = True
    loop: ClassVar[str] = "ablate/training/trainer.py"
    example: ClassVar[str] = "image"
    has_canary: ClassVar[bool] = True

    def complete(self, config: Mapping[str, Json], tricks: Sequence[TrickUse], registry: Registry) -> Completed:
        return completed(config, tricks, registry, version=self.version)

    def parts(
        self, config: Mapping[str, Json], asked: Mapping[str, Json], registry: Registry
    ) -> tuple[Sequence[str], Sequence[str]]:
        from ablate.training import removal

        return removal.able_of(*network_of(parse(config, registry), []), ready([asked], registry)[0])

    def network(self, config: Mapping[str, Json], tricks: Sequence[TrickUse], registry: Registry) -> Sequence[PartSize]:
        from ablate.training import removal

        away = (WITHOUT, TRAINED)
        others = [(use, registry.make("tricks", use.name, use.params)) for use in tricks if use.name not in away]
        parts = [part for use in tricks if use.name in away for part in use.params["parts"]]
        return removal.network_of(*network_of(parse(config, registry), others), ready(parts, registry))

    def data_warnings(self, config: Mapping[str, Json], registry: Registry) -> Sequence[str]:
        """Exact duplicates between train and dev or test, and classes of very different sizes."""
        return warnings(parse(config, registry).data.arrays())

    def class_names(self, config: Mapping[str, Json], registry: Registry) -> Sequence[str]:
        return parse(config, registry).data.arrays().class_names

    def warm(self) -> None:
        """Make the validators of a configuration, which would cost every child 60 CPU ms, imports included."""
        parse({}, Registry())

    def execute(self, run: Run) -> Generator[Values, None, Values]:
        """Yields the metrics of every epoch; returns those of the whole training.

        best.pt is of the best epoch by the study's metric (the first of equals), last.pt of the last. A training that
        an earlier attempt left (killed, or asked to pause) goes on from its checkpoint, after yielding once more what
        its epochs were. Where another run has trained these weights, nothing is trained.
        """
        from ablate.training import checkpoint, trainer

        if run.spec.evaluates:
            finished = _trained(run)
            if finished is None:
                finished = yield from _trained_here(self, run)
                return (yield from _measured_anew(run, finished, told=True))
            run.outputs["evaluates"] = run.spec.evaluates
            return (yield from _measured_anew(run, finished))
        training, arrays = _prepared(run)
        checkpoints = checkpoint.Checkpoints(run.folder)
        so_far = checkpoints.resume(training)
        yield from so_far.history
        by = run.spec.metric if run.spec.metric in _OF_EPOCHS else "dev_accuracy"
        sign = 1 if self.metrics[by].better == "higher" else -1
        for epoch in trainer.train(training, so_far.history):
            if not so_far.best or sign * epoch.values[by] > so_far.best_value:
                so_far.best_value, so_far.best = sign * epoch.values[by], checkpoint.state_of(epoch.model)
                so_far.best_seen = trainer.seen(training, epoch.logits) if run.spec.best else {}
            so_far.history.append(dict(epoch.values))
            over = training.recipe.over(so_far.history)
            if not over:
                checkpoints.offer(training, so_far)
            try:
                yield epoch.values
            except PausedError:
                if not over:
                    checkpoints.write(training, so_far)
                raise
        last = checkpoint.state_of(epoch.model)
        run.outputs["weights"] = checkpoint.tensors_sha256(last)
        run.outputs["best_weights"] = checkpoint.tensors_sha256(so_far.best)
        run.outputs["predictions"] = checkpoint.tensors_sha256({"dev": epoch.logits})
        run.outputs["dev_images"] = str(len(training.dev_images))
        run.per_example = _packed(arrays, last=trainer.seen(training, epoch.logits), best=so_far.best_seen)
        costs = {
            "train_seconds": training.train_seconds,
            "parameters": sum(p.numel() for p in training.model.parameters() if p.requires_grad),
            "peak_mib": trainer.peak_mib(run.device),
            **_flops(run, training),
            **_ended(training.recipe, so_far.history),
        }
        if run.spec.keep:
            left = json.dumps([run.outputs["weights"], so_far.history, costs]).encode()
            try:
                checkpoint.save(so_far.best, run.folder / "best.pt")
                checkpoint.save(last, run.folder / "last.pt")
                checkpoint.write_whole(run.folder / TRAINED_FILE, lambda file: file.write(left))
            except (OSError, RuntimeError) as error:  # torch says it in its own words; the numbers need no file
                with suppress(OSError):
                    print(f"the weights cannot be written: {error}; `ablate retry --weights` trains them again")
        with suppress(OSError):
            checkpoints.remove()
        return {**epoch.values, **costs}

    def canary(self, run: Run) -> Mapping[str, str]:
        """The training's first and last step, both on its first batch, then one dev batch.

        The last step, too, so that a schedule that starts like another one shows; `steps` is how many there would be,
        so that a longer training shows, and what the epochs' values would decide. What else differs only in between may
        still look equal.
        """
        from ablate.training import checkpoint, trainer

        training, _ = _prepared(run)
        index = trainer.batch_order(training, 0)[: training.batch_size]
        for number in (0, training.facts.steps - 1):
            trainer.take_step(training, index, number)
        training.images = training.images[index]  # what is measured over all of them is tried on a batch
        batch = training.dev_images[: training.recipe.loop.eval_batch_size]
        model, logits = trainer.evaluate(training, batch)
        return {
            "weights": checkpoint.tensors_sha256(checkpoint.state_of(model)),
            "predictions": checkpoint.tensors_sha256({"dev": logits}),
            "steps": f"{training.facts.steps}{_ends(training.recipe)}",
        }

    def rising(self, run: Run, rates: Sequence[float]) -> Iterator[tuple[float, float]]:
        import torch

        from ablate.training import trainer

        torch.set_num_threads(run.spec.threads)
        training, _ = _prepared(run)
        recipe, facts = training.recipe, training.facts
        training.recipe = replace(recipe, schedule=Rising(factors=tuple(rate / recipe.optimizer.lr for rate in rates)))
        training.facts = replace(facts, steps=len(rates), epochs=-(-len(rates) // training.steps_per_epoch))
        for number, rate in enumerate(rates):
            epoch, batch = divmod(number, training.steps_per_epoch)
            order = trainer.batch_order(training, epoch)
            index = order[batch * training.batch_size : (batch + 1) * training.batch_size]
            yield rate, float(trainer.take_step(training, index, number)[0])

    def examine(self, run: Run, weights: Mapping[At, Path]) -> Examples:
        """The dev images, through the stored weights and the tricks that act on a prediction."""
        import torch

        from ablate.training import trainer

        torch.set_num_threads(run.spec.threads)
        seen: dict[str, Mapping[str, Tensor]] = {}
        for at, file in weights.items():
            training, arrays = _restored(run, file, _expected(run, file))
            seen[at] = trainer.seen(training, trainer.evaluate(training, training.dev_images)[1])
        return _packed(arrays, **seen)

    def predict(self, run: Run, weights: Path) -> Predicted:
        """The test images, through the stored weights and the tricks that act on a prediction (several views, say)."""
        import torch

        from ablate.training import trainer

        torch.set_num_threads(run.spec.threads)
        training, arrays = _restored(run, weights, _expected(run, weights))
        if not len(arrays.test_images):
            return Predicted((), (), arrays.class_names)
        images = torch.from_numpy(arrays.test_images).to(training.facts.device)
        _, logits = trainer.evaluate(training, images)
        rows = tuple(tuple(row) for row in logits.double().softmax(1).tolist())
        return Predicted(arrays.test_ids, rows, arrays.class_names)


def _ended(recipe: Recipe, history: Sequence[Values]) -> dict[str, float]:
    """How many epochs a training had; where it stopped early the log says why."""
    stopping = recipe.early_stopping
    if stopping is not None and len(history) < recipe.loop.epochs:
        print(stopping.said([values[stopping.metric] for values in history], recipe.loop.epochs))
    return {"epochs_trained": float(len(history))}


def _ends(recipe: Recipe) -> str:
    """What two steps cannot show of a recipe: what it makes of the epochs' values."""
    return "".join(f" {one}" for one in recipe.watching.values())


def _prepared(run: Run, *, trained: bool = False) -> tuple[Training, Arrays]:
    """The training that a run asks for, and its data. trained: its own weights will be loaded, not those of `init`."""
    from ablate.training import trainer
    from ablate.training.dataset import load_cached

    trainer.settle(run.device)
    recipe: Recipe = parse(run.config, run.registry)
    tricks = [(use.name, made(use, run.registry)) for use in run.tricks]
    for _, trick in tricks:
        recipe = trick.recipe(recipe)
    if run.spec.data is not None and recipe.data.fingerprint() != run.spec.data:
        raise ChangedError("the data changed since the plan was made; run the same command again to plan anew.")
    code = run.registry.code("datasets", run.config["data"]["name"])
    arrays = load_cached(recipe.data, code, Path(run.spec.cache) if run.spec.cache else None)
    load = None if recipe.init is None or trained else partial(_load, run, recipe.init)
    return trainer.prepare(recipe, _distinct(tricks), arrays, run.seed, run.device, load), arrays


def _flops(run: Run, training: Training) -> dict[str, float]:
    """FLOPs of one forward pass of one image (sizes.py). The first run of a variant counts them, which takes up to 0.3
    CPU s, and leaves them for its others in the cache. Empty, and a line in the log, where the network's code cannot be
    followed."""
    from ablate.training import checkpoint, removal
    from ablate.training.sizes import sizes
    from ablate.training.trace import trace

    image, classes = training.facts.image, training.facts.classes
    tricks: list[Json] = [[use.name, use.params, run.registry.code("tricks", use.name)] for use in run.tricks]
    tricks += [run.registry.code("replacements", name) for name in names_of(run.tricks)]
    model = [run.registry.code("models", run.config["model"]["name"]), plain(training.recipe.model)]
    asked = canonical_json([model, tricks, list(image), classes, metadata.version("torch")])
    file = Path(run.spec.cache or run.folder) / f"flops-{sha256(asked)[:20]}.json"
    with suppress(OSError, ValueError):
        return {"flops": float(json.loads(file.read_text()))}
    try:
        two = removal.example_of(image).to(training.facts.device)
        flops = next(sizes(trace(training.model, two))).flops / len(two)
    except Exception as error:  # whatever a network's code does with tensors that hold no numbers
        print(f"FLOPs cannot be counted: {type(error).__name__}: {error}")
        return {}
    if run.spec.cache:
        with suppress(OSError):
            checkpoint.write_whole(file, lambda written: written.write(json.dumps(flops).encode()))
    return {"flops": flops}


_HASHES = {"last.pt": "weights", "best.pt": "best_weights"}
"""Under which name a run's outputs hold the hash of the weights in a file."""


def _expected(run: Run, weights: Path) -> str:
    return run.outputs.get(_HASHES.get(weights.name, ""), "")


def _restored(run: Run, weights: Path, expected: str) -> tuple[Training, Arrays]:
    """A finished training with its stored weights, ready to be evaluated, and its data."""
    from ablate.training import checkpoint

    training, arrays = _prepared(run, trained=True)
    training.model.load_state_dict(checkpoint.weights(weights, expected, training.facts.device))
    # The stored weights are those of the network that was evaluated: what averages weights has done its work.
    training.hooks = {**training.hooks, "eval_model": ()}
    return training, arrays


@dataclass(frozen=True)
class _Finished:
    """What a training left for runs that measure its weights anew. weights: their hash; history: the metrics of every
    epoch; training, arrays: with those weights in it, and its data."""

    weights: str
    history: tuple[Mapping[str, float], ...]
    costs: Mapping[str, float]
    training: Training
    arrays: Arrays


def _trained(run: Run) -> _Finished | None:
    """The training whose weights this run measures anew; None where it must train them itself."""
    folder = Path(run.spec.evaluates_in or "nowhere")
    try:
        weights, history, costs = json.loads((folder / TRAINED_FILE).read_text(encoding="utf-8"))
        training, arrays = _restored(run, folder / "last.pt", run.spec.evaluates_weights or weights)
    except (OSError, ValueError, DataError) as error:
        print(f"run {run.spec.evaluates[:8]} left no training to measure ({error}); training anew")
        return None
    return _Finished(weights, tuple(history), costs, training, arrays)


def _trained_here(task: Classify, run: Run) -> Generator[Values, None, _Finished]:
    """The training that a run measures and that left nothing: as it was asked, without this run's tricks of evaluation,
    for what they make of the dev images must not steer it. Yields what `_measured_anew` does before its last."""
    kept = tuple(use for use in run.tricks if not _evaluates_only(run.registry, use))
    whole = replace(run, spec=replace(run.spec, tricks=kept, evaluates="", keep=True), outputs={})
    steps, last = task.execute(whole), None
    for values in steps:
        if last is not None:
            try:
                yield _of_training(last)
            except PausedError as paused:  # the training writes what a further attempt goes on from
                with suppress(StopIteration):
                    steps.throw(paused)
                raise
        last = values
    weights, history, costs = json.loads((run.folder / TRAINED_FILE).read_text(encoding="utf-8"))
    training, arrays = _restored(run, run.folder / "last.pt", weights)
    if not run.spec.keep:
        for file in ("best.pt", "last.pt", TRAINED_FILE):
            (run.folder / file).unlink(missing_ok=True)
    return _Finished(weights, tuple(history), costs, training, arrays)


def _evaluates_only(registry: Registry, use: TrickUse) -> bool:
    return cast(type[Trick], registry.load("tricks", use.name)).evaluation_only


def _of_training(values: Values) -> Values:
    return {name: values[name] for name in ("train_loss", "train_accuracy", "lr") if name in values}


def _measured_anew(run: Run, finished: _Finished, told: bool = False) -> Generator[Values, None, Values]:
    """The final weights of another run, as this run's tricks predict with them. Of the epochs before the last only what
    was trained is known, not what these tricks would have made of the dev images.

    Costs are those of the training: without it there would be nothing to measure. told: the epochs before were yielded.
    """
    from ablate.training import checkpoint, trainer

    training, arrays = finished.training, finished.arrays
    for values in finished.history[:-1] if not told else ():
        yield _of_training(values)
    _, logits = trainer.evaluate(training, training.dev_images)
    values = {**finished.history[-1], **trainer.dev_metrics(training, logits)}
    yield values
    if run.spec.keep:
        checkpoint.save(checkpoint.state_of(training.model), run.folder / "last.pt")
    run.outputs["weights"] = finished.weights
    run.outputs["predictions"] = checkpoint.tensors_sha256({"dev": logits})
    run.outputs["dev_images"] = str(len(training.dev_images))
    run.per_example = _packed(arrays, last=trainer.seen(training, logits))
    return {**values, **finished.costs}


def _packed(arrays: Arrays, **seen: Mapping[str, Tensor]) -> Examples:
    """The dev images as a run saw them at its last and its best epoch (`trainer.seen`; empty: not asked for)."""
    columns: list[Column] = []
    for at, held in seen.items():
        if held:
            predicted, count = held["predicted"].numpy(), len(arrays.class_names)
            columns += [
                of_classes("dev_accuracy", predicted, arrays.dev_labels, count, 100.0, cast(At, at)),
                of_numbers("dev_loss", held["loss"].numpy(), at=cast(At, at)),
            ]
    return replace(arrays.dev_examples, columns=tuple(columns))


def _load(run: Run, init: Init, model: nn.Module) -> frozenset[str]:
    """Put the weights that the run starts from into its network; what was and was not loaded is logged and kept."""
    from ablate.training import transfer

    start = run.spec.start
    if start is None:
        raise AblateError(f"the weights of `init` ({init.said()}) are not known yet; `ablate run` trains them first.")
    loaded = transfer.fit(model, transfer.read(Path(start.file), start.sha256), init.head)
    print(f"weights of {start.origin} ({start.file}): {loaded}")
    run.outputs["start"] = str(loaded)
    return frozenset(loaded.loaded)


def _distinct(tricks: Sequence[tuple[str, Trick]]) -> list[tuple[str, Trick]]:
    """Names for streams and memories: a file that is used twice is `cutout` and `cutout 2`."""
    seen: dict[str, int] = {}
    named = []
    for name, trick in tricks:
        seen[name] = seen.get(name, 0) + 1
        named.append((name if seen[name] == 1 else f"{name} {seen[name]}", trick))
    return named
