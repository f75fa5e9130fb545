"""Which paper each part of a study comes from: models, data sets and tricks, with those that a setting switches on.

A part's paper is the class attribute `paper` of its file on ablate's own shelves. A study's private plug-ins are named
and not imported: a report runs no code of a study.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ablate.records import Json
from ablate.registry import Registry
from ablate.reports.document import Line, Span

_SHELVES = {"model": "models", "data": "datasets", "trick": "tricks"}

SETTINGS: tuple[tuple[str, Json, str], ...] = (
    ("model.norm", "batch", "batchnorm"),
    ("model.norm", "group", "groupnorm"),
    ("model.skip", True, "skip_connections"),
    ("model.squeeze_excite", True, "squeeze_excitation"),
    ("model.stochastic_depth", ..., "stochastic_depth"),
    ("model.dropout", ..., "dropout"),
    ("optimizer.name", "adamw", "adamw"),
    ("optimizer.name", "muon", "muon"),
    ("optimizer.nesterov", True, "nesterov"),
    ("schedule.name", "onecycle", "onecycle"),
    ("schedule.name", "cosine", "cosine"),
)
"""A setting of the built-in task, its value (...: any but 0) and the trick of the shelf that is the same thing."""


@dataclass(frozen=True)
class Paper:
    """Where a part comes from. part: what people call it; paper: empty where none is known. private: the SHA-256 of a
    study's own plug-in; empty for ablate's."""

    kind: str
    part: str
    paper: str
    private: str = ""


def papers(asked: Iterable[Mapping[str, Json]], registry: Registry) -> list[Paper]:
    """The papers of all parts that these runs (as they were asked) use: models, data, tricks; each part once."""
    parts: dict[tuple[str, str], str] = {}
    for run in asked:
        for name, version in run.get("code", {}).items():
            kind, _, part = name.partition(":")
            if kind in _SHELVES:
                parts[kind, part] = version if isinstance(version, str) else ""
        if run.get("task") == "classify":
            parts |= {("trick", name): "" for name in _switched_on(run["config"]) if ("trick", name) not in parts}
    order = list(_SHELVES)
    return [
        _paper(kind, part, private, registry)
        for (kind, part), private in sorted(parts.items(), key=lambda item: (order.index(item[0][0]), item[0][1]))
    ]


def _switched_on(config: Mapping[str, Json]) -> Iterable[str]:
    for key, wanted, trick in SETTINGS:
        part, _, option = key.partition(".")
        found = (config.get(part) or {}).get(option)
        if found == wanted if wanted is not ... else found:
            yield trick


def _paper(kind: str, part: str, private: str, registry: Registry) -> Paper:
    shelf = _SHELVES[kind]
    if private or part not in registry.entries(shelf):
        return Paper(kind, part, "", private)
    cls = registry.load(shelf, part)
    return Paper(kind, getattr(cls, "label", "") or part, cls.paper)


def cited(paper: str) -> Line:
    """A paper's line with its arXiv numbers as links."""
    spans: list[Span] = []
    at = 0
    for match in re.finditer(r"arXiv:(\d{4}\.\d{4,5})", paper):
        spans += [Span(paper[at : match.start()]), Span(match.group(), href=f"https://arxiv.org/abs/{match.group(1)}")]
        at = match.end()
    return tuple(span for span in (*spans, Span(paper[at:])) if span.text)
