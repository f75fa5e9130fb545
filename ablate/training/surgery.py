"""Take parts of a network away: `remove(model, "layer3.1", example=batch)`, in place, for any loop.

What stands there afterwards is a stand-in at the same path (standins.py), chosen by the rule (rule.py) or by `instead`;
every other name, bit and index stays. Before the network is touched a copy is tried without the part, in training and
in evaluation: that it runs, gives the same shapes, goes through the stand-in both times, and still tells two inputs
apart. Do it before the optimizer is made.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor, nn

from ablate.errors import ConfigError
from ablate.rng import seed_for
from ablate.text import listed, many, one_line
from ablate.training.cuts import MEAN, Cut, InPlace, cut_of, head_count, heads_of, operate
from ablate.training.narrow import Measure, Narrowed, control_of, narrow
from ablate.training.parts import Found, Kinds, ReplacementError, SurgeryError, find
from ablate.training.replacement import Replacement
from ablate.training.rule import Decision, decide, written_later
from ablate.training.sizes import reaching, sizes, taken
from ablate.training.task import Place
from ablate.training.trace import Example, Trace, copied, follow, trace
from ablate.training.trying import Counts, counted, passed, tensors, two, untouched, wake
from ablate.training.widths import Width, widths


def remove(
    model: nn.Module,
    part: str | Sequence[str],
    example: Example,
    *,
    kind: str | None = None,
    instead: InPlace | None = None,
    heads: Sequence[int] = (),
    seed: int = 0,
) -> nn.Module:
    """The model, in place, without the parts that a path or pattern names (parts.py says how).

    example: what the model is called with: a tensor, positional arguments, or a mapping of named ones. kind: of these
    only modules of this class. heads: only these heads of an attention, counted from 0. seed: that a layer put instead
    ("linear") is drawn from, each parameter by its own name. SurgeryError where a part cannot go; the model is then
    as it was.
    """
    if instead == MEAN:
        raise SurgeryError("instead is 'mean', which needs training images; a study has them, with `when: trained`.")
    theatre = Theatre(model, example)
    cuts, _ = theatre.cuts(part, kind=kind, instead=instead, heads=heads)
    theatre.check(cuts)
    operate(model, cuts, seed)
    return model


class Theatre:
    """A network with an example, followed once and copied once: every question about its parts is asked here."""

    def __init__(self, model: nn.Module, example: Example) -> None:
        with untouched(model):
            self.trace: Trace = trace(model, example)
            if not self.trace.outputs:
                raise SurgeryError(
                    "what the network returns holds no tensor; a tuple, a list or a dict of them will do."
                )
            self.copy = copied(model)
            wake(self.copy)
        self.model, self.example = model, example
        self.kinds = kinds_of(model)
        self.inputs = two(example)

    @cached_property
    def evaluated(self) -> Trace:
        """The network followed in evaluation, which may write in place where training makes a new tensor: dropout hands
        its input on."""
        with untouched(self.model):
            return follow(copied(self.copy).eval(), *self.inputs[0])

    @cached_property
    def whole(self) -> tuple[list[str], list[bool]]:
        """The shapes that the network gives as built, and of each result whether it tells two inputs apart.

        SurgeryError where none does. Not asked by a run, whose parts were tried before.
        """
        with untouched(self.model):
            shapes, results = self._tried(self.copy, {})
        telling = [not torch.equal(a, b) for a, b in results]
        if not any(telling):
            raise SurgeryError("two inputs give one output as built, so no check would see what cuts the inputs off.")
        return shapes, telling

    def found(self, part: str | Sequence[str], kind: str | None) -> tuple[str, ...]:
        """The paths that a pattern names."""
        return find([part] if isinstance(part, str) else part, self.kinds, kind).paths

    def called(self, path: str) -> int:
        """When a part is first called, a parameter first read: the order of depth, which may be another than that of
        the names."""
        calls = self.trace.calls_of.get(path)
        if calls:
            return calls[0].start
        return next((number for number, value in enumerate(self.trace.values) if path in value.names), -1)

    def place(self, part: str | Sequence[str], kind: str | None) -> Place:
        """The first part that a pattern names, in the order of their calls, and when it is called."""
        first = min(self.found(part, kind), key=self.called)
        return self.called(first), first

    def cuts(
        self,
        part: str | Sequence[str],
        *,
        kind: str | None = None,
        instead: InPlace | Replacement | None = None,
        heads: Sequence[int] = (),
    ) -> tuple[list[Cut], Found]:
        """What taking away these parts means. SurgeryError names every one that is refused.

        Of several parts that a pattern names, those that do nothing as built are left out.
        """
        found = find([part] if isinstance(part, str) else part, self.kinds, kind)
        cuts: list[Cut] = []
        refused: list[SurgeryError] = []
        idle: list[SurgeryError] = []
        for path in found.paths:
            decision = self.decided(path)
            try:
                layer = copied(instead) if isinstance(instead, nn.Module) and len(found.paths) > 1 else instead
                cuts.append(self._cut(decision, layer, heads))
            except SurgeryError as error:
                (idle if decision.why == "nothing" else refused).append(error)
        if refused or not cuts:
            raise type((refused or idle)[0])("\n".join(map(str, refused or idle)))
        notes = [f"{many(len(idle), 'more')} would change nothing and is left out."] if idle else []
        shared = [cut.decision for cut in cuts if len(cut.decision.places) > 1]
        notes += [f"{one.path} is also {listed(one.places[1:])}; it goes in all places." for one in shared]
        return cuts, replace(found, notes=(*found.notes, *notes))

    def decided(self, path: str) -> Decision:
        """What the rule says of a part in training, with what evaluation adds: a later write in place, or that it acts
        in evaluation alone."""
        decision = decide(self.trace, path)
        if decision.why == "nothing" and decide(self.evaluated, path).off == "identity":
            decision = replace(decision, off="identity", why="", reason="it stands in series and acts in evaluation")
        return replace(decision, copies=decision.copies or written_later(self.evaluated, decision.path))

    def _cut(self, decision: Decision, instead: InPlace | Replacement | None, heads: Sequence[int]) -> Cut:
        if instead == MEAN and decision.made and not self._is_of_each(decision.path):
            made = "x".join(map(str, decision.made))
            raise SurgeryError(
                f"{decision.path} ({decision.kind}): it makes {made}, which is not one thing for each image, so it has "
                "no mean over images."
            )
        if isinstance(instead, Replacement):
            return self._replaced(decision, instead)
        if not heads:
            return cut_of(decision, instead)
        if decision.kind == "Parameter":
            raise SurgeryError(f"{decision.path} is a parameter; heads are of an attention.")
        module = self.model.get_submodule(decision.path)
        inside = [name for name, part in module.named_modules(prefix=decision.path) if head_count(part)]
        return heads_of(self.trace, decision, heads, head_count(module), inside)

    def _is_of_each(self, path: str) -> bool:
        """Whether a part makes one thing for each image: of two and of three as many."""
        return all(decide(of, path).made[:1] == of.values[of.inputs[0]].shape[:1] for of in (self.trace, self._of_more))

    @cached_property
    def _of_more(self) -> Trace:
        """The network followed with an image more."""
        assert isinstance(self.example, Tensor), "only networks of images have means"
        with untouched(self.model):
            return trace(self.model, torch.cat([self.example, self.example[:1]]))

    def _replaced(self, decision: Decision, replacement: Replacement) -> Cut:
        """A layer of the shelf in a part's place, built for its shapes and tried alone."""
        cut = cut_of(decision, nn.Identity())
        if decision.kind == "Parameter" or not decision.given:
            raise ReplacementError(f"{decision.path} ({decision.kind}) gets no tensor that a layer could use.")
        given = decision.given[decision.input]
        of = self.trace.values[decision.calls[0].given[decision.input]]
        where = f"{decision.path} ({decision.kind})"
        with untouched(self.model), torch.no_grad():
            torch.manual_seed(seed_for(0, "build", decision.path))
            try:
                layer = replacement.build(given, decision.made)
                out = copied(layer).eval()(torch.zeros(given, dtype=of.dtype))
            except ConfigError as error:
                raise ReplacementError(f"{where}: {error.problems[0][1]}") from None
            except Exception as error:  # whatever the code of a replacement does
                said = f"{type(error).__name__}: {one_line(str(error))}"
                raise ReplacementError(f"{where}: {type(replacement).__name__} does not work there: {said}") from error
        shape = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        if shape != decision.made:
            raise ReplacementError(
                f"{where}: {type(replacement).__name__} makes {shape} of {given}, and {decision.made} must come out."
            )
        return replace(cut, layer=layer)

    def after(self, cuts: Sequence[Cut]) -> Trace:
        """The network without these parts, followed as the whole one was."""
        network = copied(self.model)
        operate(network, cuts, 0)
        with untouched(self.model):
            return trace(network, self.example)

    def check(self, cuts: Sequence[Cut]) -> None:
        """Try the network without these parts. SurgeryError says what goes wrong; nothing of the network is touched."""
        own = [replace(cut, layer=copied(cut.layer) if cut.layer is not None else None) for cut in cuts]
        names = listed((cut.decision.path for cut in cuts), most=4)
        self._check(lambda network: operate(network, own, 0), f"without {names}")

    def without(self, cuts: Sequence[Cut]) -> Theatre:
        """The network without these parts, as one of its own."""
        network = copied(self.model)
        operate(network, cuts, 0)
        return Theatre(network, self.example)

    def another(self, cuts: Sequence[Cut], seed: int) -> Cut:
        """Another part that may go, of the same class, role and size, drawn by a seed. SurgeryError: there is none."""
        if len(cuts) != 1 or cuts[0].heads or cuts[0].layer is not None:
            raise SurgeryError("another part may stand for one whole part only, and by the rule.")
        part, size = cuts[0].decision, {one.path: (one.parameters, one.flops) for one in sizes(self.trace)}
        alike = []
        for path, kind in self.trace.kinds.items():
            near = f"{path}.".startswith(f"{part.path}.") or f"{part.path}.".startswith(f"{path}.")
            if not path or kind != part.kind or size[path] != size[part.path] or near:
                continue
            other = decide(self.trace, path)
            if (other.off, other.reason, other.why) == (part.off, part.reason, part.why):
                alike.append(path)
        random.Random(seed_for(seed, "control", part.path)).shuffle(alike)
        instead: InPlace | None = None if cuts[0].off == part.off else cuts[0].off
        if part.why == "inputs":
            instead = {"input": part.input}
        for path in alike:
            try:
                found, _ = self.cuts(path, instead=instead)
                self.check(found)
            except SurgeryError:
                continue
            return found[0]
        raise SurgeryError(f"no other {part.kind} has its role, {size[part.path][0]:,} parameters and as many FLOPs.")

    @cached_property
    def widths(self) -> list[Width]:
        """The widths of the network that can be made smaller."""
        return widths(self.trace)

    def control(self, cuts: Sequence[Cut], measure: Measure) -> Narrowed:
        """Which widths of the other parts lose as much as goes with these. SurgeryError where there is no control."""
        goes, of = taken(self.trace, cuts), reaching(self.trace, ())
        amount, whole = (
            (goes.parameters, goes.of_parameters) if measure == "parameters" else (goes.flops, goes.of_flops)
        )
        parts = {cut.decision.path for cut in cuts} | {place for cut in cuts for place in cut.decision.places}
        found = control_of(self.trace, self.widths, parts, amount, whole, measure, of, self._runs)
        self._check(lambda network: narrow(network, self.widths, found.kept), "with its control's widths")
        return found

    def _runs(self, kept: Mapping[str, int]) -> bool:
        try:
            self._check(lambda network: narrow(network, self.widths, kept), "", telling=False)
        except SurgeryError:
            return False
        return True

    def _check(self, change: Callable[[nn.Module], None], how: str, telling: bool = True) -> None:
        """Try a copy that was changed. telling: whether two inputs must still give two outputs."""
        before, tells = self.whole
        with untouched(self.model):
            network = copied(self.copy)
            change(network)
            counts = counted(network)
            try:
                shapes, results = self._tried(network, counts)
            except SurgeryError:
                raise
            except Exception as error:  # whatever the network's own code meets without its part
                said = f"{type(error).__name__}: {one_line(str(error))}"
                raise SurgeryError(f"{how} the network does not run: {said}") from error
        if shapes != before:
            raise SurgeryError(f"{how} the network gives {listed(shapes)} instead of {listed(before)}.")
        for (a, b), told in zip(results, tells, strict=True):
            if telling and told and torch.equal(a, b):
                raise SurgeryError(f"{how} nothing of the inputs reaches the output: two inputs give one.")

    def _tried(self, network: nn.Module, counts: Counts) -> tuple[list[str], list[tuple[Tensor, Tensor]]]:
        """The shapes of a copy's results, and the results for two inputs, in evaluation. One pass trains before."""
        (args, kwargs), (others, named) = self.inputs
        with torch.no_grad():
            modes = [network.train()(*args, **kwargs)]
            passed(counts, "training")
            modes.append(network.eval()(*args, **kwargs))
            passed(counts, "evaluation")
            other = network(*others, **named)
        trained, first, second = (tensors(result) for result in (*modes, other))
        shapes = ["x".join(map(str, tensor.shape)) for tensor in (*trained, *first)]
        return shapes, list(zip(first, second, strict=True))


def kinds_of(model: nn.Module) -> Kinds:
    """Every part by path: the classes of a module, none for a parameter. A parameter stands behind its module."""
    kinds: dict[str, tuple[str, ...]] = {}
    for path, module in model.named_modules():
        bases = type(module).__mro__
        if path:
            kinds[path] = tuple(kind.__name__ for kind in bases[: bases.index(nn.Module)])
        for name, _ in module.named_parameters(prefix=path, recurse=False):
            kinds[name] = ()
    return kinds
