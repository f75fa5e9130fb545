"""What a database can say to a reviewer's question, and on what that rests; what it cannot know is a [TODO: ...].

Each function answers one question of any checklist (checklist.py has the lists): a word, sentences, and the evidence.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ablate.analysis.results import Results
from ablate.errors import StudyError
from ablate.records import COMMAND, Json, Row
from ablate.reports import appendix, methods
from ablate.reports.document import Terms, plain
from ablate.reports.material import Material
from ablate.reports.report import methods_text
from ablate.runs import spent
from ablate.study import changes, yaml_file
from ablate.text import in_words, joined, many, seeds_in_words

TODO = "TODO"
"""The answer where only an author knows."""


@dataclass(frozen=True)
class Ground:
    """answer: Yes, No, NA, Partial or TODO. because: sentences for the paper. evidence: where to look it up."""

    answer: str
    because: str
    evidence: str = ""


Question = Callable[[Material], Ground]


def author(what: str) -> Question:
    """A question that no database can answer."""
    return lambda _: Ground(TODO, f"[TODO: {what}]")


def _name(of: Material) -> str:
    return of.found.study


def _rows(of: Material) -> Sequence[Row]:
    return of.table.rows


# -------------------------------------------------------------------------------------------------- runs and statistics


def runs(of: Material) -> Ground:
    """How many runs are behind each number."""
    counts = {row.n for row in _rows(of)}
    seeds = seeds_in_words(of.found.record.seeds)
    if of.found.measured.given is not None:
        return Ground("Yes", f"Each mean is over {_span(counts)} runs, as the imported file says.", _table(of))
    named = f" with different seeds ({seeds})" * methods.shared_seeds(of.found.measured)
    each = f"{_span(counts)} run{'s' * (counts != {1})}{named}"
    lacking = [f"{row.variant} {row.n} of {row.planned}" for row in _rows(of) if row.n != row.planned]
    missing = f" Not every planned run counts: {in_words(lacking)}." if lacking else ""
    done = len({cell.run for cell in of.found.cells if cell.state == "done"})
    return Ground("Yes", f"Each mean is over {each}; {many(done, 'run')} in all.{missing}", _table(of))


def _span(counts: set[int]) -> str:
    return str(min(counts)) if len(counts) == 1 else f"{min(counts)} to {max(counts)}"


def _table(of: Material) -> str:
    return f"ablate table {_name(of)}"


def error_bars(of: Material) -> Ground:
    """Whether results have error bars, of what, and how they are computed."""
    most = max((row.n for row in _rows(of)), default=0)
    if most < 2:
        return Ground(
            "No",
            "Every variant was trained once, so no number has an error bar and no difference was tested; what looks "
            "like an effect may be the seed.",
            _table(of),
        )
    if most < 3:
        return Ground("No", "Two runs a variant give a range, no interval and no test.", _table(of))
    over = "seeds" if methods.shared_seeds(of.found.measured) else "runs"
    parts = [f"Means are shown with the standard deviation over {over} (ddof 1).", *_intervals(of), _captured(of)]
    return Ground("Yes", " ".join(parts), _table(of))


def _intervals(of: Material) -> list[str]:
    """How the intervals of differences are made; which rows have too few runs for one."""
    compared = [row for row in _rows(of) if row.compared_with is not None]
    known = [row for row in compared if row.delta_ci_low is not None]
    if not known:
        return ["No difference has an interval."]
    how = in_words([words for test, words in _BY.items() if test in {row.test for row in known}])
    widest = f", the widest of three: over {_over_examples(of)}" * (of.table.speaks_of == "seeds_and_examples")
    lacking = in_words(list(dict.fromkeys(row.variant for row in compared if row.delta_ci_low is None)))
    return [
        f"Differences come with {_confidence(of)} intervals by {how}{widest}.",
        *[f"Without an interval, for too few runs: {lacking}."] * bool(lacking),
    ]


_BY = {
    "paired t": "Student's t over paired seeds",
    "Welch t": "Welch's t",
    "sign flip": "sign flips of paired seeds",
    "moderated t": "a moderated t over paired seeds",
    "pooled t": "Student's t with one error pooled over all variants",
}
"""By the test of a row."""


def _over_examples(of: Material) -> str:
    word = of.found.measured.tested.evidence.word
    return f"seeds, over {word}s, and over both"


def _captured(of: Material) -> str:
    """Which factors vary between the runs of a variant, as far as the task is known."""
    examples = of.table.speaks_of == "seeds_and_examples"
    if not of.found.record.facts.pairs:
        said = "The intervals capture what differs between runs of one variant"
        whose = (
            "the runs were trained elsewhere" if of.found.record.imported is not None else "your own code decides it"
        )
        return f"{said}{', and the choice of evaluation examples' * examples}. [TODO: say what that is; {whose}]"
    captures = "initialisation, order of the data and augmentation, which each run's seed draws"
    captures += ", and the choice of evaluation examples" * examples
    fixed = "the training data" if examples else "the split of the data, the evaluation examples"
    return f"The intervals capture {captures}; {fixed} and hyperparameters are fixed."


def _confidence(of: Material) -> str:
    return joined(dict.fromkeys(f"{100 * row.confidence:.3g} %" for row in _rows(of)))


def tests(of: Material) -> Ground:
    """Whether differences were tested, how, and corrected for how many."""
    tested = [row for row in _rows(of) if row.p_adjusted is not None]
    if not tested:
        few = error_bars(of)
        why = few.because if few.answer == "No" else "No difference could be tested."
        return Ground("No", why, _table(of))
    return Ground("Yes", methods_text(of), f"ablate report {_name(of)} --methods")


# ------------------------------------------------------------------------------------------------------------- settings


def settings(of: Material) -> Ground:
    """Whether every setting that was used is listed."""
    if of.found.record.imported is not None:
        return Ground(TODO, "[TODO: the runs were trained elsewhere; list their settings]")
    text = (
        "Every setting of every variant is listed in the appendix of settings; the study file is part of the evidence."
    )
    where = f"ablate table {_name(of)} --view configurations"
    if of.found.record.facts.pairs:
        return Ground("Yes", text, where)
    command = of.found.record.task.params.get(COMMAND)
    shown = command if isinstance(command, str) else shlex.join(map(str, command or ()))
    told = f" Each run executes `{shown}` with the options that its settings give." if command else ""
    return Ground(
        "Partial", f"{text}{told} [TODO: list what your own code fixes and the study file does not name]", where
    )


def search(of: Material) -> Ground:
    """What was searched: ranges, trials, how the winner was chosen."""
    entries = of.found.record.tuned
    if of.found.record.imported is not None:
        return Ground(TODO, "[TODO: say what was searched, for the runs were trained elsewhere]")
    if not entries:
        if of.tuned:
            return Ground("Partial", "A search was begun and is not finished. [TODO: finish `ablate tune`]")
        fixed = changes.sentence(of.found.record.registered, len({cell.run for cell in of.found.cells}))
        said = f"No hyperparameter was searched by ablate. {fixed}".strip()
        return Ground("NA", f"{said} [TODO: say where the values come from]", "the study file")
    ranges = _ranges(of.text)
    parts = [
        f"{entry.variant}: {entry.trials} trials by {entry.sampler} on {seeds_in_words(entry.seeds)}, "
        f"{many(entry.runs, 'run')}; chosen by the best {of.table.metric} ({entry.value:.4g}), then "
        f"trained anew on fresh {seeds_in_words(entry.fresh)}: "
        + ", ".join(f"{key} {_shown(value)}" for key, value in entry.settings.items())
        for entry in entries
    ]
    return Ground("Yes", f"Searched: {ranges}. {'; '.join(parts)}.", f"ablate plot {_name(of)} --figure tuning")


def _ranges(text: str) -> str:
    """The space as the study file writes it."""
    try:
        root, _ = yaml_file.read(text, "study", located=False)
    except StudyError:
        return "[TODO: the ranges; the stored study file cannot be read]"
    space = (yaml_file.unfold(root).value.get("tune") or {}).get("space", {}) if root is not None else {}
    return "; ".join(f"{key} {_range(of)}" for key, of in space.items()) or "[TODO: the ranges]"


def _range(of: Json) -> str:
    if isinstance(of, dict) and "low" in of:
        return f"{_shown(of['low'])} to {_shown(of['high'])}" + (", on a log scale" if of.get("log") else "")
    choices = of.get("choices", of) if isinstance(of, dict) else of
    return f"one of {in_words([_shown(value) for value in choices])}" if isinstance(choices, list) else str(choices)


def _shown(value: Json) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


# ---------------------------------------------------------------------------------------------------- compute, versions


def compute(of: Material) -> Ground:
    """What it took: each run, and in all with failed, preliminary and superseded ones."""
    if of.found.record.imported is not None:
        return Ground(TODO, "[TODO: the runs were trained elsewhere; say what they took]")
    took = spent.compute(of.found.spent(), _name(of))
    counted = took.by_kind["counted"]
    per_run = counted.wall_s / counted.attempts if counted.attempts else 0.0
    kinds = [
        f"{spent.KINDS[kind]}: {spent.in_words(hours)} ({many(hours.attempts, 'attempt')})"
        for kind, hours in took.by_kind.items()
        if hours.attempts
    ]
    text = (
        f"A run takes {per_run:.3g} s on average on {_hardware(of.found, counted)}. In all "
        f"{spent.in_words(took.study)}: {'; '.join(kinds)}."
    )
    if took.nobodys.wall_s:
        text += (
            " Runs that no study asks for any more (preliminary ones, of earlier plans in the same database): "
            f"{spent.in_words(took.nobodys)} ({many(took.nobodys.attempts, 'attempt')})."
        )
    if took.others.wall_s:  # imported runs took nothing here
        text += f" Other studies of the same database: {spent.in_words(took.others)}."
    text += f" Total with all of these: {spent.in_words(took.total)}."
    if took.study.kwh is not None:
        parts = (("processors", took.study.cpu_kwh), ("GPUs", took.study.gpu_kwh))
        known = in_words([f"{spent.energy(kwh)} of {what}" for what, kwh in parts if kwh])
        metered = max(took.study.cpu_metered, took.study.gpu_metered)
        of_all = f"{metered} of the study's {took.study.attempts} attempts"
        text += f" Electricity, estimated from counters for {of_all}: {known}."
    return Ground(
        "Yes", f"{text} [TODO: add what was tried outside of this database]", f"ablate table {_name(of)} --view cost"
    )


def _hardware(found: Results, took: spent.Hours) -> str:
    """What runs were executed on, where its name is known."""
    processors = in_words(_known(found, "gpu" if took.gpu_s else "processor"))
    return processors or f"[TODO: the {'GPU' if took.gpu_s else 'processor'}]"


def _known(found: Results, kind: str) -> list[str]:
    return [value for value in found.provenance.get(kind, {}) if value != "unknown"]


def infrastructure(of: Material) -> Ground:
    """Hardware and versions."""
    beside = " (installed for the program)" if COMMAND in of.found.record.task.params else ""
    names = [
        *(("processor", "", ""), ("gpu", "", ""), ("system", "", ""), ("python", "Python ", "")),
        *(("torch", "PyTorch ", beside), ("numpy", "NumPy ", beside)),
    ]
    known = "; ".join(
        f"{word}{in_words(values)}{more}" for kind, word, more in names if (values := _known(of.found, kind))
    )
    lacks = "amount of memory" + ", and GPU models where there are any" * (not _known(of.found, "gpu"))
    text = f"{known}; [TODO: {lacks}]" if known else "[TODO: hardware]"
    return Ground("Partial" if known else TODO, text, f"ablate report {_name(of)}")


def seeds(of: Material) -> Ground:
    """How randomness is seeded."""
    if of.found.record.imported is not None:
        return Ground(TODO, "[TODO: how the seeds of the imported runs were set]")
    text = f"Every run has a seed ({seeds_in_words(of.found.record.seeds)}), the same for all variants"
    where = f"ablate verify {of.found.measured.variants[0]}:{of.found.record.seeds[0]}"
    if of.found.record.facts.pairs:
        streams = (
            "initialisation, data order and each trick draw from streams of their own that the seed and a name fix"
        )
        return Ground("Yes", f"{text}; {streams}, so a trick that is toggled shifts no other.", where)
    return Ground("Partial", f"{text}; the code is given it. [TODO: say what it seeds]", f"{where} --seeds")


def code(of: Material) -> Ground:
    """Code: what was executed is known; whether it is published is not."""
    link = "[TODO: link to the published code and its license]"
    if of.found.record.imported is not None:
        return Ground(TODO, link)
    prints = _fingerprints(of)
    known = f"The code that was executed is identified by its hashes ({prints}). " if prints else ""
    return Ground(TODO, f"{known}{link}", f"ablate export {_name(of)} --code code.zip")


def _fingerprints(of: Material) -> str:
    blocks = appendix.blocks(of.found.record, of.found.cells, of.asked, of.found.provenance, None)
    terms = [term for block in blocks if isinstance(block, Terms) for term in block.items]
    return "; ".join(f"{name} {plain(value)}" for name, value in terms if name in ("code", "environment"))


def reproduce(of: Material) -> Ground:
    """What it takes to get the same numbers again."""
    if of.found.record.imported is not None:
        return Ground(TODO, "[TODO: the runs were trained elsewhere; say how to train them again]")
    text = (
        "One command trains every variant and seed again and prints the table, and a bundle of evidence derives every "
        "table from the stored runs."
    )
    where = f"ablate export {_name(of)} --evidence evidence.zip"
    if of.found.record.facts.pairs:
        return Ground("Yes", f"{text} On the same kind of machine the same seed gives the same numbers.", where)
    return Ground("Partial", f"{text} [TODO: say whether your code gives the same numbers for the same seed]", where)


def data(of: Material) -> Ground:
    """Which data, as the database knows them."""
    names = list(
        dict.fromkeys(str(d["name"]) for v in of.found.record.variants if (d := v.config.get("data")) and "name" in d)
    ) if all(isinstance(v.config.get("data", {}), dict) for v in of.found.record.variants) else []  # fmt: skip
    prints = sorted({str(run["data"])[:12] for run in of.asked.values() if run.get("data")})
    examples = {row.examples.n for row in _rows(of) if row.examples is not None}
    known = [f"data: {in_words(names)}"] * bool(names)
    known += [f"SHA-256 {in_words(prints)}"] * bool(prints)
    known += [f"{in_words([str(n) for n in sorted(examples)])} evaluation examples"] * bool(examples)
    rest = "[TODO: source, license, number of training examples, how train, dev and test were split]"
    return Ground("Partial" if known else TODO, f"{'; '.join(known)}; {rest}" if known else rest)


def parameters(of: Material) -> Ground:
    """How many parameters the models have."""
    known = [size for *_, size in of.found.reported(["parameters"]) if size is not None]
    if not known:
        return Ground(TODO, "[TODO: number of parameters]", f"ablate show {of.found.measured.variants[0]} --model")
    low, high = min(known), max(known)
    span = f"{low:,.0f}" if low == high else f"{low:,.0f} to {high:,.0f}"
    return Ground("Yes", f"The models have {span} parameters.", f"ablate table {_name(of)} --view cost")


def size_and_compute(of: Material) -> Ground:
    """Parameters, compute and infrastructure in one."""
    one, other = parameters(of), compute(of)
    answer = "Yes" if one.answer == other.answer == "Yes" else TODO
    return Ground(answer, f"{one.because} {other.because}", other.evidence)


def setup_and_search(of: Material) -> Ground:
    """Settings, ranges and the best values in one."""
    one, other = settings(of), search(of)
    return Ground(one.answer, f"{one.because} {other.because}", one.evidence)


def limitations(of: Material) -> Ground:
    """What the numbers do not show: a beginning for the paper's own section."""
    said = methods.limits(of.found.record, of.found.measured, _rows(of), of.uses, tuned=of.tuned)
    return Ground(
        TODO, f"{' '.join(said)} [TODO: say so in the paper, and what else limits it]", f"ablate report {_name(of)}"
    )


def metrics(of: Material) -> Ground:
    """Which number is reported, and from when."""
    metric = of.found.measured.metric
    at = {"last": "at the end of each run", "best": "at each run's best epoch, which is optimistic"}.get(
        str(metric.at), f"at epoch {metric.at}"
    )
    at = at if of.found.record.imported is None else "[TODO: at which epoch, and of which examples]"
    margin = "" if metric.minimum_effect is None else f", differences below {metric.minimum_effect:g} do not matter"
    return Ground(
        "Partial",
        f"{metric.name} ({metric.better} is better), {at}{margin}. [TODO: why this measure]",
        "the study file",
    )


def todo_in(text: str) -> list[str]:
    return re.findall(r"\[TODO: [^\]]*\]", text)
