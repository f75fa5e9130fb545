"""What a study rests on that others made, and what it hands on: data, pretrained weights, code; and whose license.

Answers to reviewers' questions, like those of grounds.py. A license is named only where a part of ablate knows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ablate.records import COMMAND, Json
from ablate.registry import Registry
from ablate.reports import appendix
from ablate.reports.document import Terms, plain
from ablate.reports.grounds import TODO, Ground, command_of, known_versions, study_command
from ablate.reports.material import Material
from ablate.reports.setup import setup_and_search
from ablate.text import in_words

# ----------------------------------------------------------------------------------------------------------------- data


def data(of: Material) -> Ground:
    """Which data: by name, hash, source, sizes and split, license."""
    named = [f"data: {in_words(_names(of))}"] * bool(_names(of))
    parts = [*named, *_prints(of), *_evaluated(of), *_sources(of), *_splits(of), *_licenses(of)]
    lacks = ["source"] * (not _sources(of)) + ["license"] * (not _licenses(of))
    lacks += ["how train, dev and test were split"] * (not _splits(of))
    asks = f"; {in_words(lacks)}" if lacks else ""
    rest = f"[TODO: cite the data and say where they can be had{asks}]"
    return Ground("Partial" if parts else TODO, f"{'; '.join(parts)}. {rest}" if parts else rest, _settings(of))


def licenses(of: Material) -> Ground:
    """Licenses of data, of weights that runs start from, and of the code that was executed."""
    known = data(of)
    told = known.because.partition("[TODO: ")[0]
    weights = _pretrained(of)
    said = f" Weights: {in_words(weights)}." if weights else ""
    ours = " ablate is under the MIT license." * _all_ours(of)
    asks = "credit these in the paper, with version and license of every other asset that it uses"
    asks += "; license of the weights, and terms of the data that they were trained on" * bool(weights)
    return Ground(known.answer, f"{told.strip()}{said}{ours} [TODO: {asks}]".strip(), known.evidence)


def statistics(of: Material) -> Ground:
    """How many examples there are."""
    known = [*_evaluated(of), *_splits(of), *_classes(of)]
    if not known:
        return Ground(TODO, "[TODO: numbers of examples, of each class and split]")
    return Ground("Partial", f"{'; '.join(known)}. [TODO: what the data are of]", _settings(of))


def splits(of: Material) -> Ground:
    """How data were split into training, dev and test."""
    known = _splits(of)
    if not known:
        return Ground(TODO, "[TODO: how train, dev and test were split]")
    same = f"The split is the same for every {'variant and ' * (len(known) == 1)}seed"
    return Ground("Yes", f"{'; '.join(known)}. {same}; choices were made on dev.", _settings(of))


def exclusions(of: Material) -> Ground:
    """What was left out of the data, and what was done to them."""
    if not of.found.record.facts.pairs:
        return Ground(TODO, "[TODO: what was left out of the data, and how they were prepared]")
    text = (
        "Images are normalised by the mean and deviation of each channel over the training images; augmentation is a "
    )
    return Ground("Partial", f"{text}trick, and listed as one. [TODO: what was left out of the data]", _settings(of))


def link(of: Material) -> Ground:
    """Where the data can be had."""
    known = _sources(of)
    asks = "[TODO: link to the data]"
    return Ground("Partial" if known else TODO, f"{'; '.join(known)}. {asks}" if known else asks)


def setup_of_all(of: Material) -> Ground:
    """Data and split, settings, the search."""
    one, known = setup_and_search(of), [*_evaluated(of), *_splits(of)]
    return replace(one, because=f"{one.because} Data: {'; '.join(known)}." if known else one.because)


def _configs(of: Material) -> list[Mapping[str, Json]]:
    """The `data:` of every variant, each once."""
    found: dict[str, Mapping[str, Json]] = {}
    for variant in of.found.record.variants:
        config = variant.config.get("data")
        if isinstance(config, Mapping) and "name" in config:
            found[str(dict(config))] = config
    return list(found.values())


def _names(of: Material) -> list[str]:
    return list(dict.fromkeys(str(config["name"]) for config in _configs(of)))


def _prints(of: Material) -> list[str]:
    prints = sorted({str(run["data"])[:12] for run in of.asked.values() if run.get("data")})
    return [f"SHA-256 {in_words(prints)}"] * bool(prints)


def _evaluated(of: Material) -> list[str]:
    examples = sorted({row.examples.n for row in of.table.rows if row.examples is not None})
    return [f"{in_words(list(map(str, examples)))} evaluation examples"] * bool(examples)


def _classes(of: Material) -> list[str]:
    told = of.found.predictions()
    counts = sorted({len(one.classes) for one in told.sets.values() if one.classes}) if told is not None else []
    return [f"{in_words(list(map(str, counts)))} classes"] if counts else []


def _parts(of: Material) -> list[tuple[str, Any]]:
    """The data sets that are ablate's own, by name: a study's own plug-in of the name is not."""
    private = {name for run in of.asked.values() for name, sha in run.get("code", {}).items() if isinstance(sha, str)}
    shelf = Registry()
    ours = [name for name in _names(of) if f"data:{name}" not in private and name in shelf.entries("datasets")]
    return [(name, shelf.load("datasets", name)) for name in ours]


def _sources(of: Material) -> list[str]:
    return [f"source of {name}: {part.paper}" for name, part in _parts(of) if part.paper]


def _licenses(of: Material) -> list[str]:
    return [f"license of {name}: {part.license}" for name, part in _parts(of) if part.license]


_OF_A_SPLIT = {"train_size", "dev_size", "test_size", "dev_fraction", "dev"}
"""Settings of a data set that tell how it is split; without one, its files do."""


def _splits(of: Material) -> list[str]:
    """The sizes and seeds that the study gives, where a part of ablate makes the split."""
    hidden = {name: {"name", "root", "cache", *part.infrastructure} for name, part in _parts(of)}
    said = []
    for config in _configs(of):
        name = str(config["name"])
        given = {
            k: v for k, v in config.items() if k not in hidden.get(name, config) and v not in (None, False, [], ())
        }
        if given.keys() & _OF_A_SPLIT:
            said.append(f"split of {name}: " + ", ".join(f"{key} {value}" for key, value in given.items()))
    return said


def _settings(of: Material) -> str:
    return f"ablate table {study_command(of)} --view configurations"


# ----------------------------------------------------------------------------------------------------- weights and code


def _pretrained(of: Material) -> list[str]:
    """What variants start from, that this study did not train."""
    inits = [v.config.get("init") for v in of.found.record.variants]
    said = []
    for init in inits:
        if isinstance(init, Mapping):
            said += [f"{kind} {init[kind]}" for kind in ("torchvision", "weights", "study") if init.get(kind)]
    return list(dict.fromkeys(said))


def _all_ours(of: Material) -> bool:
    """Whether every part that was executed is ablate's."""
    codes = [run.get("code") or {} for run in of.asked.values()]
    return bool(codes) and all(code and all(isinstance(v, int) for v in code.values()) for code in codes)


def code(of: Material) -> Ground:
    """Code: what was executed is known; whether it is published is not."""
    link = "[TODO: link to the published code and its license]"
    if of.found.record.imported is not None:
        return Ground(TODO, link)
    prints = _fingerprints(of)
    known = f"The code that was executed is identified by its hashes ({prints}). " if prints else ""
    ours = "All of it is ablate's (MIT license) but the study file. " * _all_ours(of)
    return Ground(TODO, f"{known}{ours}{link}", f"ablate export {study_command(of)} --code code.zip")


def _fingerprints(of: Material) -> str:
    blocks = appendix.blocks(of.found.record, of.found.cells, of.asked, of.found.provenance, None)
    terms = [term for block in blocks if isinstance(block, Terms) for term in block.items]
    return "; ".join(f"{name} {plain(value)}" for name, value in terms if name in ("code", "environment"))


def dependencies(of: Material) -> Ground:
    """What has to be installed, with versions."""
    known = known_versions(of, ("python", "torch", "numpy"))
    if not known:
        return Ground(TODO, "[TODO: the libraries and their versions]")
    asks = " [TODO: the libraries of your program]" if COMMAND in of.found.record.task.params else ""
    packed = "The archive of the code has every installed version in its requirements.txt: "
    return Ground(
        "Partial" if asks else "Yes", f"{packed}{known}.{asks}", f"ablate export {study_command(of)} --code code.zip"
    )


def training_code(of: Material) -> Ground:
    """Whether the code that trains (and evaluates, which is the same) is shared."""
    if of.found.record.imported is not None:
        return Ground(TODO, "[TODO: link to the code of the imported runs]")
    command = command_of(of)
    loop = f"`{command}`" if command else of.found.record.facts.loop or str(of.found.record.task)
    text = f"What trains and evaluates is {loop}; `ablate export --code` packs it with the study file."
    return Ground(
        "Partial",
        f"{text} [TODO: publish that archive, and link to it]",
        f"ablate export {study_command(of)} --code code.zip",
    )


def preparation_code(of: Material) -> Ground:
    """Whether the code that prepares data is shared."""
    if not of.found.record.facts.pairs:
        return Ground(TODO, "[TODO: is the code that prepares the data in the appendix]")
    text = "Data are read, split and normalised by the data sets of the archive that `ablate export --code` packs."
    return Ground("Partial", f"{text} [TODO: add code that made the files]", training_code(of).evidence)


def publication(of: Material) -> Ground:  # noqa: ARG001
    """Whether the code will be public."""
    return Ground(TODO, "[TODO: will the code be public, where, and under which license]")


def weights(of: Material) -> Ground:
    """Whether trained weights are shared."""
    start = _pretrained(of)
    text = f"Runs start from {in_words(start)}. " if start else ""
    return Ground(TODO, f"{text}[TODO: say whether trained weights are published, and where]")


def new_assets(of: Material) -> Ground:
    """What is new and may be released."""
    text = "A bundle of evidence documents the study: plan, every attempt, tables, figures, a README and hashes."
    asks = (
        "[TODO: say which of it, of the code and of the trained weights you release, under which license; NA if none]"
    )
    return Ground(TODO, f"{text} {asks}", f"ablate export {study_command(of)} --evidence evidence.zip")
