"""What a database can say to a reviewer's question, and on what that rests; what it cannot know is a [TODO: ...].

Each function answers one question of any checklist (checklist.py has the lists): a word, sentences, and the evidence.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ablate.analysis import reruns
from ablate.analysis.results import Results
from ablate.records import COMMAND, Row
from ablate.reports import claims, methods
from ablate.reports import material as materials
from ablate.reports.material import Material
from ablate.reports.report import methods_text
from ablate.runs import spent
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


def study_command(of: Material) -> str:
    """The study as a command takes it."""
    return shlex.quote(of.found.study)


def command_of(of: Material) -> str:
    """What a run of somebody's own program executes; empty of another task."""
    command = of.found.record.task.params.get(COMMAND)
    return command if isinstance(command, str) else shlex.join(map(str, command or ()))


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
    return f"ablate table {study_command(of)}"


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
    shown = f"Means are shown with the standard deviation over {over} (ddof 1), which is not the standard error."
    parts = [shown, *_intervals(of), *_assumed(of), _captured(of)]
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


def _assumed(of: Material) -> list[str]:
    tests = {row.test for row in _rows(of) if row.delta_ci_low is not None}
    said = ["Those by t take what differs from run to run as about normal."] * any(" t" in (t or "") for t in tests)
    return said + ["Sign flips take differences as symmetric."] * ("sign flip" in tests)


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
    return Ground("Yes", methods_text(of), f"ablate report {study_command(of)} --methods")


# ---------------------------------------------------------------------------------------------------- compute, versions


def compute(of: Material) -> Ground:
    """What it took: each run, and in all with failed, preliminary and superseded ones."""
    if of.found.record.imported is not None:
        return Ground(TODO, "[TODO: the runs were trained elsewhere; say what they took]")
    took = spent.compute(of.found.spent(), of.found.study)
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
        "Yes",
        f"{text} [TODO: add what was tried outside of this database]",
        f"ablate table {study_command(of)} --view cost",
    )


def _hardware(found: Results, took: spent.Hours) -> str:
    """What runs were executed on, where its name is known."""
    processors = in_words(_known(found, "gpu" if took.gpu_s else "processor"))
    return processors or f"[TODO: the {'GPU' if took.gpu_s else 'processor'}]"


def _known(found: Results, kind: str) -> list[str]:
    return [value for value in found.provenance.get(kind, {}) if value != "unknown"]


_VERSIONS = {"processor": "", "gpu": "", "system": "", "python": "Python ", "torch": "PyTorch ", "numpy": "NumPy "}


def known_versions(of: Material, kinds: Iterable[str]) -> str:
    """What runs were made with, as far as it is known: `Python 3.12.1; PyTorch 2.9.0`."""
    installed = " (installed for the program)" if COMMAND in of.found.record.task.params else ""
    return "; ".join(
        f"{_VERSIONS[kind]}{in_words(values)}{installed * (kind in ('torch', 'numpy'))}"
        for kind in kinds
        if (values := _known(of.found, kind))
    )


def infrastructure(of: Material) -> Ground:
    """Hardware and versions."""
    known = known_versions(of, _VERSIONS)
    peak = max((one.peak_mib for one in of.found.spent() if one.peak_mib), default=0.0)
    took = f"; a run's process took at most {peak:.0f} MiB of memory" if peak else ""
    lacks = "amount of memory" + ", and GPU models where there are any" * (not _known(of.found, "gpu"))
    text = f"{known}{took}; [TODO: {lacks}]" if known else "[TODO: hardware]"
    return Ground("Partial" if known else TODO, text, f"ablate report {study_command(of)}")


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


def reproduce(of: Material) -> Ground:
    """What it takes to get the same numbers again."""
    if of.found.record.imported is not None:
        return Ground(TODO, "[TODO: the runs were trained elsewhere; say how to train them again]")
    file = shlex.quote(re.split(r"[/\\]", of.found.record.file)[-1] or f"{of.found.study}.yaml")
    versions = known_versions(of, ("python", "torch", "numpy"))
    text = (
        f"One command trains every variant and seed again and prints the table (`ablate run {file}`"
        f"{f', with {versions}' * bool(versions)}), and a bundle of evidence derives every table from the stored runs."
    )
    where = f"ablate export {study_command(of)} --evidence evidence.zip"
    again = "".join(
        f" {one}" for one in reruns.sentences(of.found.reruns, of.found.measured.metric, ()) if one[0] != "!"
    )
    if of.found.record.facts.pairs:
        return Ground("Yes", f"{text} On the same kind of machine the same seed gives the same numbers.{again}", where)
    if again:
        return Ground("Yes", f"{text}{again}", where)
    asks = "[TODO: say whether your code gives the same numbers for the same seed]"
    first = shlex.quote(f"{of.found.measured.variants[0]}:{of.found.record.seeds[0]}")
    return Ground("Partial", f"{text} {asks} `ablate verify {first}` finds that out.", where)


def parameters(of: Material) -> Ground:
    """How many parameters the models have."""
    known = [size for *_, size in of.found.reported(["parameters"]) if size is not None]
    if not known:
        show = f"ablate show {shlex.quote(of.found.measured.variants[0])} --model" * bool(of.found.record.facts.example)
        return Ground(TODO, "[TODO: number of parameters]", show)
    low, high = min(known), max(known)
    span = f"{low:,.0f}" if low == high else f"{low:,.0f} to {high:,.0f}"
    return Ground("Yes", f"The models have {span} parameters.", f"ablate table {study_command(of)} --view cost")


def size_and_compute(of: Material) -> Ground:
    """Parameters, compute and infrastructure in one."""
    one, other = parameters(of), compute(of)
    answer = "Yes" if one.answer == other.answer == "Yes" else TODO
    return Ground(answer, f"{one.because} {other.because}", other.evidence)


def claimed(of: Material) -> Ground:
    """What the table's rows support, and what they do not: a paper may claim the first."""
    told = materials.comparisons(of)
    said = [claims.tally(told)] if told else ["Nothing is compared."]
    for verdict in ("helps", "hurts", "equivalent", "inert", "inconclusive"):
        subjects = claims.decided(told, verdict)
        said += [f"{claims.HEADINGS[verdict]}: {in_words(subjects)}."] * bool(subjects)
    said.append(f"That is of {_studied(of)}.")
    asks = "[TODO: claim no more than this in abstract and introduction; `ablate cite` prints each number, bound]"
    return Ground("Partial", f"{' '.join(said)} {asks}", _table(of))


def limitations(of: Material) -> Ground:
    """What the numbers do not show: a beginning for the paper's own section."""
    said = [f"All numbers are of {_studied(of)}."]
    done, failed = (len({cell.run for cell in of.found.cells if cell.state == state}) for state in ("done", "failed"))
    if failed:
        said.append(f"{failed} of {many(done + failed, 'run')} failed and {'is' if failed == 1 else 'are'} in no mean.")
    said += methods.limits(of.found.record, of.found.measured, _rows(of), of.uses, tuned=of.tuned)
    asks = "[TODO: name the section that says so; add what limits the method itself]"
    return Ground("Yes", f"{' '.join(said)} {asks}", f"ablate report {study_command(of)}")


def _studied(of: Material) -> str:
    """`one data set (digits), one network (vgg) and 10 seeds`."""
    parts = []
    for key, what in (("data", "data set"), ("model", "network")):
        configs = [variant.config.get(key) for variant in of.found.record.variants]
        names = dict.fromkeys(str(one["name"]) for one in configs if isinstance(one, dict) and "name" in one)
        if names:
            parts.append(
                f"{'one' if len(names) == 1 else len(names)} {what}{'s' * (len(names) > 1)} ({in_words(list(names))})"
            )
    counts = {row.n for row in _rows(of)}
    return in_words([*parts, f"{_span(counts)} seed{'s' * (counts != {1})} a variant"] if counts else parts)


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
        _table(of),
    )


def todo_in(text: str) -> list[str]:
    return re.findall(r"\[TODO: [^\]]*\]", text)
