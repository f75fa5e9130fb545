"""What the plan asks of a training: its configuration with every default, its tricks in order, what its key holds.

Torch is imported only where a trick changes the network, or where torchvision knows the name of a file of weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from ablate.errors import AblateError, ConfigError, OutputsError, PluginError, TogetherError, UnfitError
from ablate.identity import canonical_json, sha256_file
from ablate.records import TRAINED, WITHOUT, Json, Parent, Start, TrickUse
from ablate.registry import Registry
from ablate.training.recipe import SAFE_TORCH, Init, Recipe, changes, filled_in, parse, plain, torch_version
from ablate.training.replacement import made, names_of, ready
from ablate.training.task import Completed, Place
from ablate.training.trick import Trick, has_hook

if TYPE_CHECKING:
    from ablate.training.removal import Decided

Parts = list[tuple[TrickUse, Trick]]


def completed(config: Mapping[str, Json], tricks: Sequence[TrickUse], registry: Registry, *, version: int) -> Completed:
    """Task.complete of the built-in task. version: of its loop. ConfigError with every mistake that was found."""
    recipe, parts, start = _made(config, tricks, registry)
    places = {id(trick): f"tricks.{i}" for i, (_, trick) in enumerate(parts)}
    parts.sort(key=lambda pair: (pair[1].order, pair[0].name))
    _check_together(recipe, [(places[id(trick)], use.name, trick) for use, trick in parts])
    _check_outputs(recipe, parts, registry.code("models", filled_in(config, recipe)["model"]["name"]))
    _check_taken(recipe, parts, places)
    parts, told, stand = _with_decided(recipe, parts, places, registry)
    full = filled_in(config, recipe)
    names = {"model": full["model"]["name"], "data": full["data"]["name"]}
    code = {
        "loop": version,
        f"model:{names['model']}": registry.code("models", names["model"]),
        f"data:{names['data']}": registry.code("datasets", names["data"]),
    }
    code |= {f"trick:{use.name}": registry.code("tricks", use.name) for use, _ in parts}
    replacements = names_of(use for use, _ in parts)
    code |= {f"replacement:{name}": registry.code("replacements", name) for name in replacements}
    identifying = full | {"data": {"name": names["data"], **recipe.data.asked()}}
    parent = None
    if recipe.init is not None:  # not by which name: the plan adds which weights
        identifying |= {"init": {"head": recipe.init.head}}
        if recipe.init.study is not None:
            parent = Parent(recipe.init.study, recipe.init.variant or "best", recipe.init.seed)
    return Completed(
        config=full,
        asked=identifying,
        tricks=tuple(use for use, _ in parts),
        code=code,
        data=recipe.data.fingerprint(),
        start=start,
        parent=parent,
        evaluation_only=tuple(use.name for use, trick in parts if trick.evaluation_only),
        notes=(*recipe.data.passed_over(), *told, *_steered(network_of(recipe, parts)[0])),
        places=stand,
    )


def _steered(recipe: Recipe) -> Iterator[str]:
    """That a training looks at the dev images, on which it is judged."""
    for name, watching in recipe.watching.items():
        if watching.metric.startswith("dev_"):
            yield (
                f"with {name} the dev images steer the training (by {watching.metric}), so what is measured on them "
                "flatters such variants; only test images are new to them."
            )


def _made(
    config: Mapping[str, Json], tricks: Sequence[TrickUse], registry: Registry
) -> tuple[Recipe, Parts, Start | None]:
    """The recipe, the tricks in the order in which they are asked, and the weights to start from."""
    problems: list[tuple[str, str]] = []
    recipe = None
    try:
        recipe = parse(config, registry)
    except ConfigError as error:
        problems += error.problems
    parts: Parts = []
    for i, use in enumerate(tricks):
        try:
            trick = registry.make("tricks", use.name, use.params, at=f"tricks.{i}")
            parts.append((TrickUse(use.name, plain(trick)), trick))
        except ConfigError as error:
            problems += error.problems
        except PluginError as error:
            problems.append((f"tricks.{i}", str(error)))
    start = None
    if recipe is not None and recipe.init is not None:
        try:
            start = _start(recipe.init)
        except AblateError as error:
            problems.append((f"init.{'weights' if recipe.init.weights else 'torchvision'}", str(error)))
    if problems or recipe is None:
        raise ConfigError(problems)
    return recipe, parts, start


def _check_together(recipe: Recipe, tricks: Sequence[tuple[str, str, Trick]]) -> None:
    """ConfigError where a trick refuses the recipe, or two tricks would overwrite what the other one did.

    tricks: (key, name, trick) in the order in which they act. A trick may change what is inside of a section that an
    earlier one replaced (AdamW, then its weight decay), not the other way round.
    """
    problems: list[tuple[str, str]] = []
    writers: dict[str, str] = {}
    for place, name, trick in tricks:
        try:
            after = trick.recipe(recipe)
        except ConfigError as error:
            problems += [(key or place, message) for key, message in error.problems]
            continue
        written = [
            *changes(recipe, after),
            *(["the network that is evaluated"] if has_hook(trick, "eval_model") else []),
        ]
        for key in written:
            earlier = next((writers[k] for k in writers if k == key or k.startswith(f"{key}.")), None)
            if earlier is not None:
                problems.append(
                    (place, f"sets {key}, which {earlier!r} sets too; use one of them, or make them levels.")
                )
            writers[key] = name
        recipe = after
    if problems:
        raise ConfigError(problems)


def _check_outputs(recipe: Recipe, parts: Parts, code: Json) -> None:
    """OutputsError at a private network that gives another number of outputs than the data has classes, where no trick
    changes it: one may give it another head. code: what keys say of it; ours are known to be right, and a private one
    has loaded torch already."""
    if isinstance(code, str) and not any(has_hook(trick, "model") for _, trick in parts):
        from ablate.training import taking

        after, named, _ = network_of(recipe, parts)
        wrong = taking.outputs(after, canonical_json([named[0], code, after.data.asked()]))
        if wrong:
            raise OutputsError([("model.name", wrong)])


def _check_taken(recipe: Recipe, parts: Parts, places: Mapping[int, str]) -> None:
    """UnfitError at a trick that the network cannot take."""
    changing = {
        canonical_json([use.name, use.params]): trick
        for use, trick in parts
        if use.name not in (WITHOUT, TRAINED) and has_hook(trick, "model")
    }
    if not changing:
        return
    from ablate.training import taking

    after, named, _ = network_of(recipe, parts)
    refused = taking.refusal(after, canonical_json(named[0]), changing)
    if refused is not None:
        use, message = refused
        raise UnfitError([(places[id(changing[use])], message)])


def _with_decided(
    recipe: Recipe, parts: Parts, places: Mapping[int, str], registry: Registry
) -> tuple[Parts, tuple[str, ...], dict[str, Place]]:
    """The tricks, those that take parts of the network away as one that says what stands in their place, before the
    training and after it; notes; and where these parts stand.

    Only where there are such is the network made and followed. ConfigError at the part that cannot go.
    """
    kept: Parts = [(use, trick) for use, trick in parts if use.name not in (WITHOUT, TRAINED)]
    told: list[str] = []
    stand: dict[str, Place] = {}
    for name in (WITHOUT, TRAINED):
        going = [(use, places[id(trick)]) for use, trick in parts if use.name == name]
        asked = [(f"{place}.parts.{i}", part) for use, place in going for i, part in enumerate(use.params["parts"])]
        anew = any(use.params.get("recalibrate") for use, _ in going)
        if not asked:
            kept += [(use, trick) for use, trick in parts if use.name == name]
            continue
        if recipe.init is not None:
            _check_fits([(place, part) for place, part in asked if part.get("control") in ("parameters", "flops")])
        asked = [(place, _ready(part, registry, place)) for place, part in asked]
        try:
            decided = _decided(network_of(recipe, kept), name, asked, going[0][1], anew)
        except ConfigError as error:
            if name == TRAINED and told:  # of a network that lacks parts already; in the whole it may go
                why = error.problems[0][1].partition(" Did you mean")[0].rstrip(".")
                raise TogetherError([("", f"without the parts that go before the training, {why}")]) from None
            raise
        params = {"parts": list(decided.parts), **({"recalibrate": anew} if name == TRAINED else {})}
        one = TrickUse(name, params)
        kept = [*kept, (one, made(one, registry))]
        told += decided.notes
        stand |= decided.places
    return (kept if told else parts), tuple(told), stand


def _decided(
    network: tuple[Recipe, Json, list[Trick]],
    name: str,
    asked: Sequence[tuple[str, Mapping[str, Json]]],
    place: str,
    anew: bool,
) -> Decided:
    """What taking parts away means. asked: each with its key; place: of the trick; anew: whether to recalibrate."""
    from ablate.training import removal

    parts = [part for _, part in asked]
    try:
        if name == TRAINED:
            return removal.of_trained(*network, parts, recalibrate=anew)
        return removal.of_recipe(*network, parts)
    except TogetherError:
        raise
    except ConfigError as error:
        raise ConfigError((_placed(key, asked, place), message) for key, message in error.problems) from None


def _ready(part: Mapping[str, Json], registry: Registry, place: str) -> Mapping[str, Json]:
    """A part with its replacement made. ConfigError, below its place."""
    try:
        return ready([part], registry)[0]
    except ConfigError as error:
        raise ConfigError((_placed(key, [(place, part)], place), why) for key, why in error.problems) from None


def _placed(key: str, asked: Sequence[tuple[str, Mapping[str, Json]]], place: str) -> str:
    """`0.instead.use` as a key of the first part that is asked for; any other as one of the trick."""
    number, _, rest = key.partition(".")
    return ".".join(filter(None, (asked[int(number)][0], rest))) if number.isdecimal() else f"{place}.{key}"


def _check_fits(narrowing: Sequence[tuple[str, Mapping[str, Json]]]) -> None:
    """ConfigError at controls that make widths smaller, where the training starts from weights of the full widths."""
    if narrowing:
        raise ConfigError(
            (
                place,
                f"`control: {part['control']}` makes widths of other parts smaller, and the trained weights of `init:` "
                "would not fit there; take `control: another`, or leave one of the two out.",
            )
            for place, part in narrowing
        )


def network_of(recipe: Recipe, tricks: Parts) -> tuple[Recipe, Json, list[Trick]]:
    """What makes a network: the recipe as tricks leave it, its name among others, and the tricks that change it."""
    for _, trick in tricks:
        recipe = trick.recipe(recipe)
    model = [type(recipe.model).__module__, plain(recipe.model)]
    changing = [(use, trick) for use, trick in tricks if has_hook(trick, "model")]
    return recipe, [model, [[use.name, use.params] for use, _ in changing]], [trick for _, trick in changing]


def _start(init: Init) -> Start | None:
    """The weights that are there already; None for those of another study's run, which the plan finds."""
    if init.study is not None:
        return None
    if init.torchvision is not None:
        from ablate.training import transfer  # loads torch in the plan: only torchvision knows the names of its files

        path = transfer.torchvision_file(init.torchvision, download=init.download)
        digest = _digest(path)
        return Start(str(path.resolve()), digest, f"torchvision's {init.torchvision} (sha256 {digest[:8]})")
    path = Path(init.weights or "")
    if torch_version() < SAFE_TORCH:
        raise AblateError(
            f"is a file that others may have made, and torch {metadata.version('torch')} may execute what is in "
            f"it; from {SAFE_TORCH[0]}.{SAFE_TORCH[1]} on it does not: upgrade torch, or start from a run (`study:`)."
        )
    try:
        digest = _digest(path)
    except OSError as error:
        raise AblateError(
            f"is {str(path)!r}, which cannot be read: {error.strerror}. Paths are from where ablate runs."
        ) from None
    return Start(str(path.resolve()), digest, f"the file {path.name} (sha256 {digest[:8]})")


def _digest(path: Path) -> str:
    """The SHA-256 of a file; a plan asks once for every variant, so it is read once while it stays as it is."""
    stat = path.stat()
    return _digest_of(path, stat.st_mtime_ns, stat.st_size)


@cache
def _digest_of(path: Path, modified_ns: int, size: int) -> str:  # noqa: ARG001  # what tells one state from another
    return sha256_file(path)
