"""What runs ask of a network's parts: `{part: layer3.1, instead: linear}`, decided on the network and put into words.

The decision, a path and what stands there for each part, is what a run's key holds and what its child executes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from ablate.errors import AblateError, ConfigError, TogetherError
from ablate.identity import canonical_json
from ablate.records import Json
from ablate.text import did_you_mean, in_words, many, one_of
from ablate.training.cuts import MEAN, Cut, operate
from ablate.training.initial import drawn
from ablate.training.narrow import narrow
from ablate.training.parts import Found, ReplacementError, SurgeryError
from ablate.training.recipe import Recipe, plain
from ablate.training.replacement import MADE, used
from ablate.training.sizes import sizes, taken
from ablate.training.statistics import Batches, averaged, norms, renewed
from ablate.training.surgery import Theatre
from ablate.training.task import PartSize, Place, asked_part
from ablate.training.trace import Example, copied, trace
from ablate.training.trick import Facts, Trick
from ablate.training.widths import widths


@dataclass(frozen=True)
class Decided:
    """parts: a path and what stands there, of each. notes: the same for people, and what they would not expect. places:
    by `task.asked_part`, where what was asked for stands in the network."""

    parts: tuple[Mapping[str, Json], ...]
    notes: tuple[str, ...]
    places: Mapping[str, Place] = field(default_factory=dict)


def cuts_of(
    theatre: Theatre, asked: Sequence[Mapping[str, Json]], trained: bool = False
) -> tuple[list[Cut], list[str]]:
    """The cuts that are asked for, and what each means. ConfigError (keys `0`, `1`): which of them cannot be made.

    trained: they are made after the training, in its weights."""
    cuts: dict[str, Cut] = {}
    notes: list[str] = []
    problems: list[tuple[str, str]] = []
    for i, one in enumerate(asked):
        if "control" in one or "widths" in one:
            continue
        try:
            made, found = _made(theatre, one)
        except SurgeryError as error:
            place = f"{i}.instead.use" if isinstance(error, ReplacementError) else str(i)
            problems += [(place, line) for line in str(error).splitlines()]
            continue
        notes += (*_told(made, trained), *_sizes(theatre, made), *found.notes)
        cuts |= {cut.decision.path: cut for cut in made}
    if problems:
        raise ConfigError(problems)
    # What lies inside of another part goes with it, whichever of the two was asked for first.
    return [cut for path, cut in cuts.items() if not _within(path, [outer for outer in cuts if outer != path])], notes


def _made(theatre: Theatre, one: Mapping[str, Any]) -> tuple[list[Cut], Found]:
    """The cuts of one part that is asked for."""
    _check_form(one)
    replacement = one.get(MADE)
    instead = one.get("instead") if replacement is None else replacement
    cuts, found = theatre.cuts(one["part"], kind=one.get("kind"), instead=instead, heads=one.get("heads") or ())
    if replacement is not None:
        written = {"use": used(one)[0], "with": plain(replacement)}
        cuts = [replace(cut, written=written) for cut in cuts]
    return cuts, found


_FORM: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "part": (lambda of: bool(of) and all(isinstance(one, str) for one in _many(of)), "a path or a pattern, or several"),
    "kind": (lambda of: of is None or isinstance(of, str), "the name of a class"),
    "instead": (
        lambda of: of is None or isinstance(of, str | Mapping),
        "identity, zero, the name of an activation, {input: 1} or {use: NAME}, say",
    ),
    "heads": (lambda of: isinstance(of, list | tuple) and all(type(one) is int for one in of), "a list such as [0, 2]"),
}
"""How a part is asked for, and what each key may be. Those of a study were checked; not so what `use: without` says."""


def _check_form(one: Mapping[str, Any]) -> None:
    for key, value in {**one, "part": one.get("part")}.items():
        if key in (MADE, "control", "seed"):
            continue
        if key not in _FORM:
            raise SurgeryError(f"a part has no {key!r}; it has {one_of(_FORM)}.{did_you_mean(key, _FORM)}")
        fits, allowed = _FORM[key]
        if not fits(value):
            raise SurgeryError(f"{key} of a part is {value!r}; it must be {allowed}.")


def _many(of: Any) -> Sequence[Any]:
    return of if isinstance(of, list | tuple) else [of]


def decide(theatre: Theatre, asked: Sequence[Mapping[str, Json]], trained: bool = False) -> Decided:
    """Decide and try. ConfigError where a part cannot go, TogetherError where each can alone and not all at once.

    trained: as of `cuts_of`."""
    cuts, notes = cuts_of(theatre, asked, trained)
    try:
        theatre.check(cuts)
    except SurgeryError as error:
        raise ConfigError([("0", str(error))]) if len(asked) == 1 else TogetherError([("", str(error))]) from None
    places = {asked_part(one): theatre.place(one["part"], one.get("kind")) for one in asked if "part" in one}
    kept: dict[str, int] = {}
    wanted = {i: one for i, one in enumerate(asked) if "control" in one}
    if wanted and cuts:
        theatre = theatre.without(cuts)
    for i, one in wanted.items():
        try:
            others, narrowed, note = _controlled(theatre, one)
        except SurgeryError as error:
            raise ConfigError([(str(i), str(error))]) from None
        cuts += others
        kept |= narrowed
        notes.append(note)
    return Decided((*map(_resolved, cuts), *([{"widths": kept}] if kept else [])), tuple(notes), places)


def _controlled(theatre: Theatre, one: Mapping[str, Json]) -> tuple[list[Cut], dict[str, int], str]:
    """What a control is: another part that goes, or widths that are smaller (units kept); and that in words."""
    control, (cuts, _) = one["control"], _made(theatre, one)
    names = in_words([cut.decision.path for cut in cuts], most=3)
    try:
        if control == "another":
            other = theatre.another(cuts, one.get("seed", 0))
            path = other.decision.path
            return [other], {}, f"control of {names}: {path} goes, drawn from parts of the same class, role and size."
        found = theatre.control(cuts, control)
    except SurgeryError as error:
        raise SurgeryError(f"{names} has no control: {error}") from None
    return [], dict(found.kept), f"control of {names}: {found}."


def _resolved(cut: Cut) -> dict[str, Json]:
    if cut.heads:
        return {"part": cut.decision.path, "heads": list(cut.heads)}
    if cut.written:
        return {"part": cut.decision.path, "instead": cut.written}
    # Which input identity hands on matters only where there are several.
    several = cut.off == "identity" and len(cut.decision.given) > 1
    return {"part": cut.decision.path, "instead": {"input": cut.decision.input} if several else cut.off}


def _told(cuts: Sequence[Cut], trained: bool) -> list[str]:
    """What goes, those of a class that go alike in one line."""
    goes = "taken away after training" if trained else "taken away"
    groups: dict[tuple[str, str, str], list[str]] = {}
    for cut in cuts:
        heads = _heads(cut) if cut.heads else ""
        reason = cut.decision.reason * (cut.said == cut.decision.off)  # else what was asked for stands there
        groups.setdefault((cut.decision.kind, heads or cut.said, reason), []).append(cut.decision.path)
    lines = []
    for (kind, off, reason), paths in groups.items():
        because = f", for {reason}" * (bool(reason) and len(paths) == 1)
        what = (
            f"{in_words(paths, most=3)} ({kind})"
            if len(paths) == 1
            else f"{in_words(paths, most=3)} ({many(len(paths), kind)})"
        )
        lines.append(f"{goes}: {what}: {off}{because}.")
    return lines


def _heads(cut: Cut) -> str:
    return f"head{'s' * (len(cut.heads) > 1)} {in_words([str(head) for head in cut.heads])}"


def _sizes(theatre: Theatre, cuts: Sequence[Cut]) -> list[str]:
    """How much goes. Where other shapes come out, what is behind computes more or less, which is counted anew."""
    which = in_words([f"{_heads(cut)} of " * bool(cut.heads) + cut.decision.path for cut in cuts], most=3)
    if all(
        cut.off in ("zero", "one", "linear", "heads", "instead", MEAN)
        or cut.decision.given[cut.decision.input] == cut.decision.made
        for cut in cuts
    ):
        several = len(cuts) > 1 or len(cuts[0].heads) > 1
        return [f"with {which} {'go' if several else 'goes'} {taken(theatre.trace, cuts)}."]
    before, after = (next(sizes(one)).flops for one in (theatre.trace, theatre.after(cuts)))
    return [f"without {which} the network takes {after / before:.3g} times the FLOPs."]


# ------------------------------------------------------------------------------------------------------------ classify

_known: dict[str, tuple[Theatre, dict[str, Decided | ConfigError]]] = {}
"""Networks of this process's plan, each followed once, and what was decided on it; a plan asks for a cell twice."""


def of_recipe(
    recipe: Recipe, named: Json, tricks: Sequence[Trick], asked: Sequence[Mapping[str, Json]], trained: bool = False
) -> Decided:
    """What taking parts of a recipe's network away means, with the tricks that change it. named: both, as JSON.
    trained: as of `cuts_of`."""
    theatre, answers = _theatre(recipe, named, tricks)
    key = canonical_json([trained, *map(_said, asked)])
    if key not in answers:
        try:
            answers[key] = decide(theatre, asked, trained)
        except ConfigError as error:
            answers[key] = error
    answer = answers[key]
    if isinstance(answer, ConfigError):
        raise answer
    return answer


def _said(one: Mapping[str, Any]) -> dict[str, Any]:
    """A part that is asked for, as JSON: of its replacement the file, for folders may each have one of its name."""
    return {name: type(of).__module__ if name == MADE else of for name, of in one.items()}


def of_trained(
    recipe: Recipe, named: Json, tricks: Sequence[Trick], asked: Sequence[Mapping[str, Json]], *, recalibrate: bool
) -> Decided:
    """The same of a network that is trained by then. ConfigError (key `recalibrate`) where no statistics would be
    taken anew."""
    decided = of_recipe(recipe, named, tricks, asked, trained=True)
    gone = [one["part"] for one in decided.parts if "heads" not in one]
    kept = [path for path in norms(_theatre(recipe, named, tricks)[0].model) if not _within(path, gone)]
    if recalibrate and not kept:
        raise ConfigError(
            [("recalibrate", "would change nothing: the network has no batch norm with statistics left.")]
        )
    anew = [f"the statistics of {many(len(kept), 'batch norm')} are taken anew over the training images."] * recalibrate
    return replace(decided, notes=(*decided.notes, *anew))


def _within(path: str, outer: Sequence[str]) -> bool:
    return any(f"{path}.".startswith(f"{one}.") for one in outer)


def network_of(
    recipe: Recipe, named: Json, tricks: Sequence[Trick], parts: Sequence[Mapping[str, Json]]
) -> list[PartSize]:
    """The sizes of a recipe's network, without parts that were decided before."""
    return sizes_of(_theatre(recipe, named, tricks)[0], parts)


def sizes_of(theatre: Theatre, parts: Sequence[Mapping[str, Json]]) -> list[PartSize]:
    """The sizes of a network without parts that were decided before."""
    if not parts:
        return list(sizes(theatre.trace))
    return list(sizes(trace(_taken(copied(theatre.model), theatre, parts, theatre.example), theatre.example)))


def able_of(
    recipe: Recipe, named: Json, tricks: Sequence[Trick], asked: Mapping[str, Json]
) -> tuple[list[str], list[str]]:
    """`able`, of a recipe's network."""
    return able(_theatre(recipe, named, tricks)[0], asked, lambda _, parts: of_recipe(recipe, named, tricks, parts))


def able(
    theatre: Theatre,
    asked: Mapping[str, Json],
    decide: Callable[[Theatre, Sequence[Mapping[str, Json]]], Decided] = decide,
) -> tuple[list[str], list[str]]:
    """The paths of the parts that a pattern names and that can go, each by itself, in the order in which they are
    called; and why others cannot. decide: one that may know the answers."""
    asked = {key: value for key, value in asked.items() if key not in ("control", "when", "recalibrate")}
    paths, refused = [], []
    try:
        found = theatre.found(asked["part"], asked.get("kind"))
    except SurgeryError as error:
        raise ConfigError([("0", str(error))]) from None
    for path in sorted(found, key=theatre.called):
        try:
            decide(theatre, [{**asked, "part": path}])
        except ConfigError as error:
            refused.append(error.problems[0][1])
        else:
            paths.append(path)
    if not paths:
        raise ConfigError([("0", f"none of these can go: {' '.join(refused[:3])}")])
    return paths, refused


def _theatre(recipe: Recipe, named: Json, tricks: Sequence[Trick]) -> tuple[Theatre, dict[str, Decided | ConfigError]]:
    facts = facts_of(recipe)
    key = canonical_json([named, list(facts.image), facts.classes])
    if key not in _known:
        model = drawn(recipe, [("", trick) for trick in tricks], facts, 0)
        if len(_known) > 3:  # networks of several bases; what a search plans is not kept for good
            _known.clear()
        try:
            theatre = Theatre(model, example_of(facts.image))
            assert theatre.whole, "it is asked for its mistakes"
            _known[key] = theatre, {}
        except AblateError as error:
            raise ConfigError([("0", str(error))]) from None
    return _known[key]


_facts: dict[str, Facts] = {}
"""By the data's fingerprint, of this process's plan, which asks for every cell: the answer takes all images."""


def facts_of(recipe: Recipe) -> Facts:
    """What a network, and the tricks that change it, are told without a training: the data's shapes, and one step."""
    key = recipe.data.fingerprint()
    if key not in _facts:
        arrays = recipe.data.arrays()
        height, width, channels = arrays.train_images.shape[1:]
        pixel = torch.zeros(1, channels, 1, 1)
        _facts[key] = Facts(
            (channels, height, width), len(arrays.class_names), 1, 1, pixel, pixel, len(arrays.train_images),
            torch.device("cpu"),
        )  # fmt: skip
    return _facts[key]


def example_of(image: tuple[int, int, int]) -> torch.Tensor:
    return torch.randn(2, *image, generator=torch.Generator().manual_seed(0))


def take(model: nn.Module, parts: Sequence[Mapping[str, Json]], example: Example) -> nn.Module:
    """The network, in place, without parts that were decided and tried before."""
    return _taken(model, None, parts, example)


def _taken(
    model: nn.Module, theatre: Theatre | None, parts: Sequence[Mapping[str, Json]], example: Example, seed: int = 0
) -> nn.Module:
    if any("widths" not in one for one in parts):
        cuts, _ = cuts_of(theatre or Theatre(model, example), parts)
        operate(model, cuts, seed)
    kept = {name: units for one in parts for name, units in one.get("widths", {}).items()}
    if kept:
        narrow(model, widths(trace(model, example)), kept)
    return model


def measured(
    model: nn.Module,
    parts: Sequence[Mapping[str, Json]],
    image: tuple[int, int, int],
    batches: Batches,
    *,
    recalibrate: bool,
) -> nn.Module:
    """A copy of a trained network, ready to be measured without parts that were decided before. batches: all training
    images. recalibrate: whether batch norms' statistics are taken anew, with the parts away."""
    network = copied(model).eval()
    device = next(model.parameters()).device
    cuts, _ = cuts_of(Theatre(network, example_of(image).to(device)), parts)
    operate(network, averaged(network, cuts, batches), 0)
    if recalibrate:
        renewed(network, batches)
    return network.eval()


def take_tried(model: nn.Module, parts: Sequence[Mapping[str, Json]], example: Example, seed: int) -> nn.Module:
    """The same for a network that may be another one than the plan saw, such as one of another seed: SurgeryError or
    ConfigError where a part cannot go. seed: what a layer in a part's place is drawn by, for nobody draws it later."""
    theatre = Theatre(model, example)
    theatre.check(cuts_of(theatre, parts)[0])
    return _taken(model, theatre, parts, example, seed)
