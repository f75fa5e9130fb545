"""Checklists of venues, answered from the database: each item with its answer, a justification and the evidence.

The lists are those of NeurIPS 2025, AAAI-26, ACL Rolling Review (2025) and the machine-learning reproducibility
checklist (v2.0) that the reproducibility challenge uses. Their items are named and told in short, not copied: the
venue's own form has the words. What each answer rests on is grounds.py's; what only an author knows is [TODO: ...].
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ablate.reports import grounds
from ablate.reports.grounds import TODO, Ground, Question, author
from ablate.reports.material import Material


@dataclass(frozen=True)
class Item:
    """number: as the venue counts; asks: what it asks, in short."""

    number: str
    title: str
    asks: str
    question: Question


@dataclass(frozen=True)
class Answered:
    item: Item
    answer: str
    ground: Ground


@dataclass(frozen=True)
class Checklist:
    """words: how the venue writes yes, no, not applicable and partial; without one for partial it is left to do."""

    title: str
    items: tuple[Item, ...]
    words: dict[str, str]

    def answered(self, of: Material) -> list[Answered]:
        made = []
        for item in self.items:
            ground = item.question(of)
            made.append(Answered(item, self.words.get(ground.answer, TODO), ground))
        return made


_NO_THEORY = author("state assumptions and proofs, or answer that there is no theory")
_ETHICS = author("read the code of ethics, then answer")

NEURIPS = Checklist(
    "NeurIPS paper checklist (2025)",
    (
        Item("1", "Claims", "do the claims reflect the contributions", author("compare abstract and tables")),
        Item("2", "Limitations", "are limitations discussed", grounds.limitations),
        Item("3", "Theory assumptions and proofs", "are they complete", _NO_THEORY),
        Item("4", "Experimental result reproducibility", "can the main results be reproduced", grounds.reproduce),
        Item("5", "Open access to data and code", "are both open", grounds.code),
        Item("6", "Experimental setting/details", "are all training details given", grounds.setup_and_search),
        Item("7", "Experiment statistical significance", "are there suitable error bars", grounds.error_bars),
        Item("8", "Experiments compute resources", "what did each run and the whole take", grounds.compute),
        Item("9", "Code of ethics", "does it conform", _ETHICS),
        Item("10", "Broader impacts", "are they discussed", author("discuss them, or say why there are none")),
        Item("11", "Safeguards", "against misuse of what is released", author("answer for what you release")),
        Item("12", "Licenses for existing assets", "are they credited and respected", grounds.data),
        Item("13", "New assets", "are they documented", author("answer for what you release")),
        Item("14", "Crowdsourcing and human subjects", "are instructions and pay given", author("answer")),
        Item("15", "IRB approvals", "or an equivalent", author("answer")),
        Item("16", "Declaration of LLM usage", "as a part of the method", author("answer")),
    ),
    {"Yes": "Yes", "No": "No", "NA": "NA"},
)

AAAI = Checklist(
    "AAAI reproducibility checklist (AAAI-26)",
    (
        Item("1.1", "General paper structure", "is there an outline of the methods", author("answer")),
        Item("1.2", "General paper structure", "is opinion told apart from fact", author("answer")),
        Item("1.3", "General paper structure", "are there references for the background", author("answer")),
        Item("2.1", "Theoretical contributions", "are there any, with proofs", _NO_THEORY),
        Item("3.1", "Dataset usage", "are data sets described, cited and available", grounds.data),
        Item("4.1", "Computational experiments", "does the paper have any", lambda _: Ground("Yes", "It does.")),
        Item("4.2", "Hyperparameters tried", "number and range of values, and how chosen", grounds.search),
        Item("4.3", "Code for pre-processing", "is it in the appendix", grounds.code),
        Item("4.4", "Source code of experiments", "is it in the appendix", grounds.code),
        Item("4.5", "Source code published", "with a license, on publication", grounds.code),
        Item("4.6", "Comments in new code", "with references to the paper", author("answer for your own code")),
        Item("4.7", "Seeds", "is setting them described", grounds.seeds),
        Item("4.8", "Computing infrastructure", "hardware and software", grounds.infrastructure),
        Item("4.9", "Evaluation metrics", "are they described and motivated", grounds.metrics),
        Item("4.10", "Number of runs", "behind each result", grounds.runs),
        Item("4.11", "Variation", "measures beyond a mean", grounds.error_bars),
        Item("4.12", "Significance", "by appropriate statistical tests", grounds.tests),
        Item("4.13", "Final hyperparameters", "are all listed", grounds.settings),
    ),
    {"Yes": "yes", "No": "no", "NA": "NA", "Partial": "partial"},
)

ARR = Checklist(
    "ACL Rolling Review: responsible NLP checklist (2025)",
    (
        Item("A1", "Limitations", "are they discussed", grounds.limitations),
        Item("A2", "Potential risks", "are they discussed", author("discuss them")),
        Item("B1", "Creators of artifacts", "are they cited", author("cite data sets, models and tools")),
        Item("B2", "License or terms", "are they discussed", author("answer for each artifact")),
        Item("B3", "Intended use", "is it respected", author("answer for each artifact")),
        Item("B4", "Personal or offensive data", "what was checked", author("answer for your data")),
        Item("B5", "Documentation of artifacts", "domains, languages, groups", author("answer for your data")),
        Item("B6", "Statistics of data", "numbers of examples and splits", grounds.data),
        Item("C1", "Size and budget", "parameters, compute, infrastructure", grounds.size_and_compute),
        Item("C2", "Experimental setup", "with search and best values", grounds.setup_and_search),
        Item("C3", "Descriptive statistics", "error bars; is it a mean or one run", grounds.error_bars),
        Item("C4", "Parameters for packages", "implementation and settings", grounds.infrastructure),
        Item("D1", "Instructions for participants", "full text", author("answer, or say that there were none")),
        Item("E1", "AI assistants", "in research, coding or writing", author("answer")),
    ),
    {"Yes": "Yes", "No": "No", "NA": "N/A"},
)

MLRC = Checklist(
    "Machine-learning reproducibility checklist (v2.0)",
    (
        Item("1.1", "Models and algorithms", "a clear description", author("describe the model and its setting")),
        Item("1.2", "Models and algorithms", "assumptions", author("explain them")),
        Item("1.3", "Models and algorithms", "complexity", author("analyse time, space and sample size")),
        Item("2.1", "Theoretical claims", "statement and proof", _NO_THEORY),
        Item("3.1", "Data sets", "statistics, splits, exclusions, link", grounds.data),
        Item("4.1", "Shared code", "dependencies, training and evaluation code", grounds.code),
        Item("4.2", "Shared code", "a table of results with the commands that make it", grounds.reproduce),
        Item("5.1", "Hyperparameters", "ranges, how the best were chosen, all values", grounds.setup_and_search),
        Item("5.2", "Number of runs", "of training and evaluation, exactly", grounds.runs),
        Item("5.3", "Measure", "a clear definition", grounds.metrics),
        Item("5.4", "Central tendency and variation", "mean and error bars", grounds.error_bars),
        Item("5.5", "Runtime or energy", "for each result", grounds.compute),
        Item("5.6", "Computing infrastructure", "a description", grounds.infrastructure),
    ),
    {"Yes": "yes", "No": "no", "NA": "not applicable"},
)

CHECKLISTS = {"neurips": NEURIPS, "aaai": AAAI, "arr": ARR, "mlrc": MLRC}
"""By the word that `--checklist` takes."""

HOLDS = "The answers hold where the justification, or the evidence that it names, is in the paper."


def _prose(text: str, escape: Callable[[str], str]) -> str:
    """Escaped, but for the brackets of what is to do: a person searches for `[TODO:`."""
    parts = re.split(r"\[TODO: ([^\]]*)\]", text)
    return "".join(
        f"[TODO: {escape(part)}]" if i % 2 else escape(f"-{part}-")[len(escape("-")) : -len(escape("-"))]
        for i, part in enumerate(parts)
    )


def markdown(checklist: Checklist, of: Material, escape: Callable[[str], str]) -> str:
    lines = [f"# {checklist.title}", "", f"Study: {escape(of.found.study)}. {HOLDS}"]
    for one in checklist.answered(of):
        lines += ["", f"**{one.item.number} {one.item.title}**: {one.item.asks}?", "", f"* Answer: {one.answer}"]
        lines.append(f"* Justification: {_prose(one.ground.because, escape)}")
        lines += [f"* Evidence: {escape(one.ground.evidence)}"] if one.ground.evidence else []
    return "\n".join(lines) + "\n"


_LATEX = {"Yes": r"\answerYes{}", "No": r"\answerNo{}", "NA": r"\answerNA{}", TODO: r"\answerTODO{}"}
_MACROS = "\n".join(
    rf"\providecommand{{\answer{name}}}[1][]{{\textbf{{[{shown}]}}~#1}}"
    for name, shown in (("Yes", "Yes"), ("No", "No"), ("NA", "NA"), ("TODO", "TODO"))
)


def latex(checklist: Checklist, of: Material, escape: Callable[[str], str]) -> str:
    """A section to be taken into the paper; NeurIPS' own macros are used where its style defines them."""
    lines = [
        f"% {checklist.title}. {HOLDS}",
        _MACROS,
        rf"\section*{{{escape(checklist.title)}}}",
        r"\begin{description}",
    ]
    own = checklist is NEURIPS
    for one in checklist.answered(of):
        answer = _LATEX[one.answer] if own else rf"\textbf{{{escape(one.answer)}}}"
        lines.append(rf"\item[{escape(one.item.number)} {escape(one.item.title)}] {escape(one.item.asks)}?")
        lines.append(rf"  \\ Answer: {answer}")
        lines.append(rf"  \\ Justification: {_prose(one.ground.because, escape)}")
        lines += [rf"  \\ Evidence: \texttt{{{escape(one.ground.evidence)}}}"] if one.ground.evidence else []
    return "\n".join([*lines, r"\end{description}", ""])
