"""Checklists of venues, answered from the database: each item with its answer, a justification and the evidence.

The lists are those of NeurIPS 2025, AAAI-26, ACL Rolling Review (2025) and the machine-learning reproducibility
checklist (v2.0) that the reproducibility challenge uses. Their items are named and told in short, not copied: the
venue's own form has the words. What each answer rests on is grounds.py's; what only an author knows is [TODO: ...].
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ablate.reports import assets, grounds, setup
from ablate.reports.grounds import TODO, Ground, Question, author
from ablate.reports.material import Material
from ablate.text import code_span


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


_THEORY = author("is there a theorem? NA if there is none; else, where are its assumptions and its proof")
_PEOPLE = author("did people take part or annotate for you? NA if none did; else answer here")
_WORKS = author("answer for each work that you use or release: data, weights, code")
_LLM = author("was a language model part of the method, or used beyond editing? NA if not; else say for what")

NEURIPS = Checklist(
    "NeurIPS paper checklist (2025)",
    (
        Item("1", "Claims", "do the claims reflect the contributions", grounds.claimed),
        Item("2", "Limitations", "are limitations discussed", grounds.limitations),
        Item("3", "Theory assumptions and proofs", "are they complete", _THEORY),
        Item("4", "Experimental result reproducibility", "can the main results be reproduced", grounds.reproduce),
        Item("5", "Open access to data and code", "are both open", assets.code),
        Item("6", "Experimental setting/details", "are all training details given", assets.setup_of_all),
        Item("7", "Experiment statistical significance", "are there suitable error bars", grounds.error_bars),
        Item("8", "Experiments compute resources", "what did each run and the whole take", grounds.compute),
        Item("9", "Code of ethics", "does it conform", author("read the code of ethics, then answer")),
        Item(
            "10", "Broader impacts", "are they discussed",
            author("who may be harmed or helped by it? NA if it leads to no use; else, in which section"),
        ),
        Item(
            "11", "Safeguards", "against misuse of what is released",
            author("do you release data or models that could be misused? NA if not; else, what guards them"),
        ),
        Item("12", "Licenses for existing assets", "are they credited and respected", assets.licenses),
        Item("13", "New assets", "are they documented", assets.new_assets),
        Item("14", "Crowdsourcing and human subjects", "are instructions and pay given", _PEOPLE),
        Item("15", "IRB approvals", "or an equivalent", _PEOPLE),
        Item("16", "Declaration of LLM usage", "as a part of the method", _LLM),
    ),
    {"Yes": "Yes", "No": "No", "NA": "NA"},
)  # fmt: skip

_GENERAL, _THEORETICAL = "General paper structure", "Theoretical contributions"
_DATA, _COMPUTED = "Dataset usage", "Computational experiments"
_NOVEL = author("is a data set new here? NA if none is; else answer for it")

AAAI = Checklist(
    "AAAI reproducibility checklist (AAAI-26)",
    (
        Item("1.1", _GENERAL, "is there an outline of the methods", author("in which section")),
        Item("1.2", _GENERAL, "is opinion told apart from fact", author("is it")),
        Item("1.3", _GENERAL, "are there references for the background", author("are there")),
        Item("2.1", _THEORETICAL, "are there any, with proofs", _THEORY),
        *(
            Item(f"2.{number}", _THEORETICAL, asks, author("leave out where 2.1 is no; else answer"))
            for number, asks in enumerate(
                (
                    "are assumptions stated", "are claims stated formally", "are proofs included",
                    "are there sketches of proofs", "are tools cited", "do claims hold in experiments",
                    "is code that disproves claims included",
                ),
                2,
            )
        ),
        Item("3.1", _DATA, "does it rely on data sets", assets.data),
        Item("3.2", _DATA, "why these", author("why these data")),
        Item("3.3", _DATA, "are new ones in an appendix", _NOVEL),
        Item("3.4", _DATA, "will new ones be public, with a license", _NOVEL),
        Item("3.5", _DATA, "are existing ones cited", assets.link),
        Item("3.6", _DATA, "are existing ones public", assets.licenses),
        Item("3.7", _DATA, "are others described, and why they are needed", author("are any not public? NA if not")),
        Item("4.1", _COMPUTED, "does the paper have any", lambda _: Ground("Yes", "It does.")),
        Item("4.2", "Hyperparameters tried", "number and range of values, and how chosen", setup.search),
        Item("4.3", "Code for pre-processing", "is it in the appendix", assets.preparation_code),
        Item("4.4", "Source code of experiments", "is it in the appendix", assets.training_code),
        Item("4.5", "Source code published", "with a license, on publication", assets.publication),
        Item("4.6", "Comments in new code", "with references to the paper", author("answer for your own code")),
        Item("4.7", "Seeds", "is setting them described", grounds.seeds),
        Item("4.8", "Computing infrastructure", "hardware and software", grounds.infrastructure),
        Item("4.9", "Evaluation metrics", "are they described and motivated", grounds.metrics),
        Item("4.10", "Number of runs", "behind each result", grounds.runs),
        Item("4.11", "Variation", "measures beyond a mean", grounds.error_bars),
        Item("4.12", "Significance", "by appropriate statistical tests", grounds.tests),
        Item("4.13", "Final hyperparameters", "are all listed", setup.settings),
    ),
    {"Yes": "yes", "No": "no", "NA": "NA", "Partial": "partial"},
)  # fmt: skip

ARR = Checklist(
    "ACL Rolling Review: responsible NLP checklist (2025)",
    (
        Item("A1", "Limitations", "are they discussed", grounds.limitations),
        Item("A2", "Potential risks", "are they discussed", author("which risks, and in which section")),
        Item("B1", "Creators of artifacts", "are they cited", assets.data),
        Item("B2", "License or terms", "are they discussed", assets.licenses),
        Item("B3", "Intended use", "is it respected", _WORKS),
        Item("B4", "Personal or offensive data", "what was checked", author("what do the data hold of persons")),
        Item("B5", "Documentation of artifacts", "domains, languages, groups", _WORKS),
        Item("B6", "Statistics of data", "numbers of examples and splits", assets.statistics),
        Item("C1", "Size and budget", "parameters, compute, infrastructure", grounds.size_and_compute),
        Item("C2", "Experimental setup", "with search and best values", setup.setup_and_search),
        Item("C3", "Descriptive statistics", "error bars; is it a mean or one run", grounds.error_bars),
        Item("C4", "Parameters for packages", "implementation and settings", grounds.infrastructure),
        Item("D1", "Instructions for participants", "full text", _PEOPLE),
        Item("D2", "Recruitment and payment", "of participants", _PEOPLE),
        Item("D3", "Consent", "of those whose data are used", _PEOPLE),
        Item("D4", "Ethics review", "of the collection of data", _PEOPLE),
        Item("D5", "Characteristics of annotators", "as far as they matter", _PEOPLE),
        Item("E1", "AI assistants", "in research, coding or writing", _LLM),
    ),
    {"Yes": "Yes", "No": "No", "NA": "N/A"},
)

_MODELS, _CLAIMS, _SETS, _CODE = "Models and algorithms", "Theoretical claims", "Data sets", "Shared code"

MLRC = Checklist(
    "Machine-learning reproducibility checklist (v2.0)",
    (
        Item("1.1", _MODELS, "a clear description", author("in which section is the model described")),
        Item("1.2", _MODELS, "assumptions", author("what does the method take for granted")),
        Item("1.3", _MODELS, "complexity", grounds.parameters),
        Item("2.1", _CLAIMS, "statement", _THEORY),
        Item("2.2", _CLAIMS, "proof", _THEORY),
        Item("3.1", _SETS, "statistics", assets.statistics),
        Item("3.2", _SETS, "splits", assets.splits),
        Item("3.3", _SETS, "exclusions and preparation", assets.exclusions),
        Item("3.4", _SETS, "a link", assets.link),
        Item("3.5", _SETS, "how new data were collected", _NOVEL),
        Item("4.1", _CODE, "dependencies", assets.dependencies),
        Item("4.2", _CODE, "training code", assets.training_code),
        Item("4.3", _CODE, "evaluation code", assets.training_code),
        Item("4.4", _CODE, "trained models", assets.weights),
        Item("4.5", _CODE, "a table of results with the commands that make it", grounds.reproduce),
        Item("5.1", "Hyperparameters", "ranges, how the best were chosen, all values", setup.setup_and_search),
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


def _prose(text: str, escape: Callable[[str], str], code: Callable[[str], str]) -> str:
    """Escaped, but for code between backticks, and the brackets of what is to do: a person searches for `[TODO:`."""

    def plain(part: str) -> str:  # blanks at the ends stay
        return escape(f"-{part}-")[len(escape("-")) : -len(escape("-"))]

    def spans(part: str) -> str:
        return "".join(code(span) if i % 2 else plain(span) for i, span in enumerate(part.split("`")))

    parts = re.split(r"\[TODO: ([^\]]*)\]", text)
    return "".join(f"[TODO: {spans(part)}]" if i % 2 else spans(part) for i, part in enumerate(parts))


def counted(answered: Sequence[Answered]) -> str:
    """`16 items: 4 answered from the database, 3 begun, 9 for you ([TODO: ...]).`"""
    open_ = [one for one in answered if grounds.todo_in(one.ground.because)]
    only = [one for one in open_ if re.fullmatch(r"\[TODO: [^\]]*\]", one.ground.because)]
    begun = len(open_) - len(only)
    return (
        f"{len(answered)} items: {len(answered) - len(open_)} answered from the database, {begun} as far as it knows, "
        f"{len(only)} left to you; what is left stands as [TODO: ...]."
    )


def markdown(checklist: Checklist, of: Material, escape: Callable[[str], str]) -> str:
    lines = [f"# {checklist.title}", "", f"Study: {escape(of.found.study)}. {HOLDS}"]
    for one in checklist.answered(of):
        lines += ["", f"**{one.item.number} {one.item.title}**: {one.item.asks}?", "", f"* Answer: {one.answer}"]
        lines.append(f"* Justification: {_prose(one.ground.because, escape, code_span)}")
        lines += [f"* Evidence: {code_span(one.ground.evidence)}"] if one.ground.evidence else []
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
        r"\begin{description}\raggedright",
    ]
    own = checklist is NEURIPS

    def code(text: str) -> str:
        return rf"\texttt{{{escape(text)}}}"

    for one in checklist.answered(of):
        answer = _LATEX[one.answer] if own else rf"\textbf{{{escape(one.answer)}}}"
        lines.append(rf"\item[{escape(one.item.number)} {escape(one.item.title)}] {escape(one.item.asks)}?")
        lines.append(rf"  \\ Answer: {answer}")
        lines.append(rf"  \\ Justification: {_prose(one.ground.because, escape, code)}")
        lines += [rf"  \\ Evidence: {code(one.ground.evidence)}"] if one.ground.evidence else []
    return "\n".join([*lines, r"\end{description}", ""])
