"""How to train a study's runs again and check them: commands, seeds, fingerprints, requirements. Pure.

Everything comes from the database: what was asked (the runs' stored configurations) and what it was made with. No path,
time or host enters; a folder that was given on the command line stands as FOLDER.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ablate.identity import sha256
from ablate.records import Json
from ablate.registry import Registry
from ablate.reports.document import Block, Bullets, Code, Line, Paragraph, Span, Terms, code, line
from ablate.study.record import ImportRecord, PlanRecord
from ablate.text import listed, seeds_in_words

if TYPE_CHECKING:
    from ablate.store.stored import StoredCell


def blocks(
    record: PlanRecord,
    cells: Sequence[StoredCell],
    configs: Mapping[str, Mapping[str, Json]],
    provenance: Mapping[str, Mapping[str, int]],
    best: str | None,
) -> tuple[Block, ...]:
    """best: the variant whose run is named as the one to verify. configs: of each run what it was asked, by key."""
    if record.imported is not None:
        return _imported(record.study, record.imported)
    example = best or (cells[0].variant if cells else "")
    seeds = seeds_in_words(record.seeds).removeprefix("seeds ").removeprefix("seed ")
    facts = [("seeds", line(seeds)), *_fingerprints(configs, provenance)]
    return (
        Paragraph(_loop(record, configs)),
        Code(_commands(record, provenance, example)),
        Terms(tuple(facts)),
    )


def _loop(record: PlanRecord, configs: Mapping[str, Mapping[str, Json]]) -> Line:
    where = code(record.facts.loop or str(record.task))
    elsewhere = line(" Where its data lie elsewhere: ", code("--set data.root=FOLDER"), ".")
    return line(
        "The training loop is ", where, "; ", code(f"ablate run {_file(record)}"), " runs it for every variant and "
        "seed that is not done.", *(elsewhere if any(map(_has_root, configs.values())) else ()),
        " On the same kind of machine the same seed gives the same bits, which ", code("ablate verify"), " checks; ",
        code("ablate export --code FILE.zip"), " packs the study, its code, ablate and the versions that it was made "
        "with.",
    )  # fmt: skip


def _has_root(asked: Mapping[str, Json]) -> bool:
    """Whether a run reads its data from a folder that the study names."""
    config = asked.get("config")
    data = config.get("data") if isinstance(config, Mapping) else None
    return isinstance(data, Mapping) and "root" in data


def _file(record: PlanRecord) -> str:
    """The study's file, without the folder that it lies in."""
    return shlex.quote(re.split(r"[/\\]", record.file)[-1] or f"{record.study}.yaml")


def _commands(record: PlanRecord, provenance: Mapping[str, Mapping[str, int]], example: str) -> str:
    options = "".join(f" --set {_option(given)}" for given in record.overrides)
    pinned = " ".join(
        f"{name}=={versions[0]}"
        for name in ("torch", "numpy")
        if len(versions := [v for v in provenance.get(name, {}) if v != "unknown"]) == 1
    )
    name = shlex.quote(record.study)
    install = [f"pip install {pinned}"] if pinned else []
    tune = [f"ablate tune {name}"] if record.tuned else []
    return "\n".join([
        *install,
        f"ablate run {_file(record)}{options}",
        *tune,
        f"ablate table {name}",
        f"ablate verify {shlex.quote(f'{example}:{record.seeds[0]}')}",
        f"ablate report {name}",
    ])  # fmt: skip


def _option(given: str) -> str:
    key, _, text = given.partition("=")
    path = "/" in text or "\\" in text or text.startswith("~")
    return shlex.quote(f"{key}=FOLDER" if path else given)


def _fingerprints(
    configs: Mapping[str, Mapping[str, Json]], provenance: Mapping[str, Mapping[str, int]]
) -> Iterable[tuple[str, Line]]:
    data = sorted({str(run["data"]) for run in configs.values() if run.get("data")})
    parts = {str(name): version for run in configs.values() for name, version in run.get("code", {}).items()}
    threads = sorted({str(run["threads"]) for run in configs.values() if run.get("threads")})
    if data:
        yield "data", line("SHA-256 ", *_listed(map(_short, data)))
    if parts:
        yield "code", line(listed((f"{name} {_version(parts[name])}" for name in sorted(parts)), most=40))
    if configs:
        yield (
            "runs",
            line(
                f"{len(configs)} keys, SHA-256 of their sorted list ",
                code(_short(sha256(chr(10).join(sorted(configs))))),
            ),
        )
    environment = [
        f"{what}: {listed(map(_short, values), most=4)}"
        for kind, what in _ENVIRONMENT.items()
        if (values := [value for value in provenance.get(kind, {}) if value != "unknown"])
    ]
    if threads:
        environment.append(f"threads per run: {', '.join(threads)}")
    if environment:
        yield "environment", line("; ".join(environment))


_ENVIRONMENT = {
    "ablate": "ablate's source", "git": "git commit of the study", "python": "Python", "torch": "torch",
    "numpy": "numpy", "processor": "processor", "system": "system",
}  # fmt: skip


def _listed(hashes: Iterable[str]) -> Line:
    spans: list[Line] = [(code(text),) for text in hashes]
    more = len(spans) - 4
    kept = spans[:4] + ([line(f"and {more} more")] if more > 0 else [])
    return tuple(span for i, one in enumerate(kept) for span in (line(", ") if i else ()) + one)


def _version(version: Json) -> str:
    """`v1` for a part of ablate; for a study's own files their names and the start of their hashes."""
    if isinstance(version, list):
        return ", ".join(f"{name} {_short(str(sha))}" for name, sha in version)
    return _short(version) if isinstance(version, str) else f"v{version}"


def _short(value: str) -> str:
    """A hash by its first twelve digits; anything else as it is."""
    hashed = len(value) >= 40 and all(c in "0123456789abcdef" for c in value[:40])
    return value[:12] + "+" * value.endswith("+") if hashed else value


def _imported(study: str, imported: ImportRecord) -> tuple[Block, ...]:
    file, sha = re.split(r"[/\\]", imported.file)[-1], imported.sha256
    sentence = line(
        "The runs were trained elsewhere and imported from ",
        code(file),
        *(line(", SHA-256 ", code(_short(sha))) if sha else ()),
        ".",
    )
    name = shlex.quote(study)
    return (
        Paragraph(sentence),
        Bullets(
            (line("The analysis again: ", code(f"ablate table {name}"), " and ", code(f"ablate report {name}"), "."),)
        ),
    )


_SHELVES = {"model": "models", "data": "datasets", "trick": "tricks", "replacement": "replacements"}

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


def papers(configs: Iterable[Mapping[str, Json]], registry: Registry) -> list[Paper]:
    """The papers of all parts that these runs (as they were asked) use: models, data, tricks; each part once."""
    parts: dict[tuple[str, str], str] = {}
    for run in configs:
        for name, version in run.get("code", {}).items():
            kind, _, part = name.partition(":")
            if kind in _SHELVES:
                parts[kind, part] = version if isinstance(version, str) else ""
        if "loop" in run.get("code", {}):  # ablate's own: what its settings are called is the shelf's matter
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
