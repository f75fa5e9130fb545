"""From the form of a study file to a Study: names looked up on the shelves, references resolved, defaults filled in.

Beside `study` because it is half of the work and needs no configuration: it collects everything that is wrong with
names and references. Structure was checked by structure.py; file.py asks the task about configurations.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

from ablate.errors import ConfigError, PluginError, Problem
from ablate.records import (  # fmt: skip
    COSTS,
    MOST_PER_GPU,
    Better,
    Choice,
    DesignUse,
    HandVariant,
    Json,
    Limits,
    Metric,
    Resources,
    Setting,
    Study,
    StudyTrick,
    TrickLevel,
)
from ablate.registry import Registry, unknown
from ablate.study.cells import Space, closure, patched
from ablate.study.form import LevelForm, StudyForm, TrickForm, TuneForm
from ablate.study.structure import Finding, check, keys, said
from ablate.study.yaml_file import Trail, Unfolded, dotted
from ablate.text import did_you_mean, one_of
from ablate.training.task import Task


class Lookup:
    """Reads one study. What is wrong goes into `findings`, what is worth knowing into `notes`.

    damaged: sections and their entries whose structure is wrong. broken: tricks that cannot be on, for what was found;
    nothing is tried with them, and a reference to one is no further mistake.
    """

    def __init__(self, given: Unfolded, text: str, file: str, folder: Path | None) -> None:
        self.given, self.text, self.file, self.folder = given, text, file, folder
        self.form, self.findings = check(given.value)
        self.damaged = {finding.path[:2] for finding in self.findings}
        self.broken: set[str] = set()
        self.notes: list[str] = []
        self.task: Task | None = None
        self.registry = self._registry()

    def wrong(self, path: Trail, message: str, on_key: bool = False, page: str = "") -> None:
        self.findings.append(Finding(path, message, on_key, page))

    def problems(self, read: Sequence[Problem] = ()) -> list[Problem]:
        """What was found, each at its place; not what only follows from what was wrong with reading (`read`)."""
        places = {(problem.file, problem.line, problem.column) for problem in read}
        dropped = {problem.path for problem in read}
        problems = []
        for finding in self.findings:
            place, message = self.given.at(finding.path, finding.on_key), finding.message
            if (place.line and (place.file, place.line, place.column) in places) or (
                finding.on_key and dotted(finding.path) in dropped
            ):
                continue
            if not place.line and finding.path[:1] == ("base",) and "Did you mean" not in message:
                message += did_you_mean(str(finding.path[-1]), keys(StudyForm))  # `--set seed=3`
            problems.append(place.problem(finding.path, message, finding.page))
        return problems

    def study(self, task: Task | None) -> Study:
        """The study as far as it can be read; complete where nothing was found. task: None where it is unknown."""
        self.task = task
        form, tricks, designs, metric = self.form, self._tricks(), self._designs(), self._metric(task)
        return Study(
            name=self._study_name(),
            path=str(self.folder / Path(self.file).name) if self.folder is not None else "",
            text=self.text,
            question=_question(self.text),
            task=form.task,
            base=form.base,
            tricks=tricks,
            variants=self._variants({trick.name: trick for trick in tricks}),
            designs=designs,
            seeds=form.seeds.seeds if task is None or task.seeded else form.seeds.seeds[:1],
            metric=metric,
            also=self._also(task, metric),
            baseline=self._baseline(designs),
            resources=self._resources(),
            limits=self._limits(),
            plugins=tuple(form.plugins),
            analysis=self._analysis(),
            rules=form.rules.model_dump(exclude_none=True),
            tune=_asked(form.tune) if form.tune else {},
            weights=form.weights,
            positions={dotted(path): (place.line, place.column) for path, place in self.given.places()},
            flat=task is not None and task.flat,
            across=self._across(),
            engines=self._engines(),
        )

    def _limits(self) -> Limits:
        given = self.form.limits
        return Limits(
            attempts=given.attempts, timeout_s=given.timeout, stop_after=given.stop_after, grace_s=given.grace,
            database_s=given.database, log_mib=given.log, silence_s=given.silence,
            infrastructure_s=given.infrastructure,
        )  # fmt: skip

    def _resources(self) -> Resources:
        given = self.form.resources.model_dump()
        if given["runs_per_gpu"] is None:
            given["runs_per_gpu"] = 1 if given["memory_gib"] is None else MOST_PER_GPU
        return Resources(**given)

    def _engines(self) -> dict[str, Mapping[str, Json]]:
        names = self.registry.names("executors")
        for name, params in self.form.engines.items():
            if name not in names:
                self.wrong(("engines", name), unknown("executor", name, names), on_key=True)
                continue
            try:
                self.registry.make("executors", name, params)
            except ConfigError as error:
                for key, message in error.problems:
                    self.wrong(("engines", name, *key.split(".")), message)
        return {name: params for name, params in self.form.engines.items() if name in names}

    def all_notes(self) -> tuple[str, ...]:
        """What was noted, and every bare on or off that stays text."""
        switches = [
            f"{dotted(path)} is the text {self.given.get(path)!r}; write true or false for a boolean, quotes for text."
            for path in self.given.switches
        ]
        return (*self.notes, *switches)

    # the study as a whole

    def _registry(self) -> Registry:
        folders, start = [], self.folder or Path.cwd()
        for i, name in enumerate(self.form.plugins):
            if (start / name).is_dir():
                folders.append(start / name)
            else:
                self.wrong(
                    ("plugins", i), f"is {said(name)}, and {start / name} is no folder; plug-ins lie in folders."
                )
        registry = Registry(folders, () if self.folder is None else [self.folder])
        try:
            for shelf in ("tricks", "designs", "tasks"):
                registry.entries(shelf)
        except PluginError as error:
            self.wrong(("plugins",), str(error))
            return Registry()
        return registry

    def _study_name(self) -> str:
        name = Path(self.file).stem if self.form.study is None else self.form.study
        if not re.fullmatch(r"[\w][\w .+-]{0,63}", name) or name[-1] in " .":
            rule = "a study's name has 1 to 64 letters, digits and . _ + - or spaces, and begins with a letter or digit"
            origin = "" if self.form.study is not None else " (the file's stem); give the study a name with `study:`"
            self.wrong(("study",), f"is {said(name)}{origin}; {rule}.")
        return name

    def _analysis(self) -> dict[str, Json]:
        analysis: dict[str, Json] = self.form.analysis.model_dump(exclude_unset=True)
        error, looks = analysis.get("error", "own"), len(self.form.seeds.looks or ()) > 1
        if looks:  # one look is a plan like any other
            analysis["looks"] = self.form.seeds.looks
        if looks and error != "own":
            self.wrong(
                ("analysis", "error"), f"is {error!r}, and `seeds.looks` needs 'own': rows that stop would choose."
            )
        if analysis.get("test") == "sign_flip" and (looks or error != "own"):
            self.wrong(("analysis", "test"), "is 'sign_flip', which goes by own pairs and by all seeds at once.")
        if self.form.placebo:
            analysis["placebo"] = True
        return analysis

    def _across(self) -> tuple[Setting, ...]:
        """The settings, and what cannot stand beside them."""
        settings, units = self.form.across, {} if self.form.metric is None else self.form.metric.units
        for name in settings:
            self._check_name(("across", name), name, "a setting")
            if "/" in name:
                self.wrong(("across", name), "holds a slash, which stands between a setting and a variant.", True)
        for name in units:
            if name not in settings:
                self.wrong(("metric", "units", name), unknown("setting", name, list(settings)), True)
        if self._written("across") and len(self._written("across")) < 2:
            self.wrong(("across",), "has one setting; list two or more, or write its patch under `base:`.", True)
        apart: dict[Trail, bool] = {
            ("seeds", "looks"): bool(self.form.seeds.looks),
            ("tune",): self.form.tune is not None,
        }
        for path, given in apart.items():
            if settings and given:
                self.wrong(
                    path, "stands beside `across:`; it is for one setting, so give that a study of its own.", True
                )
        if settings and self.form.weights == "best":
            self.wrong(("weights",), "is best, and no variant is the best of several settings; write all or none.")
        if not settings and "across" in self.form.analysis.model_fields_set:
            self.wrong(
                ("analysis", "across"), "is how settings are put together, and the study has no `across:`.", True
            )
        return tuple(Setting(name, patch, units.get(name, "")) for name, patch in settings.items())

    def _baseline(self, designs: Sequence[DesignUse]) -> str | None:
        name, known = self.form.baseline, list(self._written("variants"))
        if name is not None and not designs and name not in known:
            self.wrong(("baseline",), unknown("variant", name, known))
        return name

    def _metric(self, task: Task | None) -> Metric:
        form = self.form.metric
        if form is None:
            name, meaning = next(iter(task.metrics.items()), ("", None)) if task is not None else ("", None)
            if task is not None and meaning is None and self.given.value.get("metric") is None:
                self.wrong(("metric",), "is missing; name the number of your function that decides: `metric: NAME`.")
            return Metric(name, meaning.better if meaning is not None else "higher")
        at: Trail = ("metric", "name") if isinstance(self.given.value["metric"], dict) else ("metric",)
        self._check_metric(at, form.name, task)
        better = form.better or self._better(form.name, task)
        self._check_better(("metric", "better"), form.name, form.better, task)
        if form.better is None and better == "higher" and "acc" not in form.name.lower():
            self.notes.append(
                f"higher is taken for better of {form.name}; if not: {{name: {form.name}, better: lower}}."
            )
        return Metric(form.name, better, form.at, form.minimum_effect)

    def _check_metric(self, path: Trail, name: str, task: Task | None) -> None:
        known = dict.fromkeys([*task.metrics, *COSTS]) if task is not None and task.metrics else {}
        if known and name not in known:
            self.wrong(path, unknown("metric", name, list(known)))
        else:
            self._check_name(path, name, "a metric")

    def _check_better(self, path: Trail, name: str, better: str | None, task: Task | None) -> None:
        """The task knows its own metrics: a loss for which higher were better would turn every verdict round."""
        known = task.metrics.get(name) if task is not None else None
        if known and better not in (None, known.better):
            self.wrong(path, f"is {better}, but of {name} {known.better} is better; leave `better` out.")

    def _better(self, name: str, task: Task | None) -> Better:
        known = task.metrics.get(name) if task is not None else None
        if known:
            return known.better
        return "lower" if re.search("loss|error|seconds|mib|parameters", name.lower()) else "higher"

    def _also(self, task: Task | None, metric: Metric) -> dict[str, Better]:
        also: dict[str, Better] = {}
        for path, item in self._items(("also",), self.form.also):
            given: Json = {"name": item} if isinstance(item, str) else item
            name, better = (given.get("name"), given.get("better")) if isinstance(given, dict) else (None, None)
            stray = isinstance(given, dict) and given.keys() - {"name", "better"}
            if not isinstance(name, str) or stray or better not in (None, "higher", "lower"):
                self.wrong(path, f"is {said(item)}; it must look like dev_loss or {{name: f1, better: higher}}.")
                continue
            self._check_metric((*path, "name") if isinstance(item, dict) else path, name, task)
            self._check_better((*path, "better"), name, better, task)
            if name == metric.name:
                self.notes.append(f"also: {name} is the study's metric and shown anyway.")
            else:
                also[name] = better or self._better(name, task)
        return also

    def _designs(self) -> tuple[DesignUse, ...]:
        given, hand = self.form.designs, self._written("variants")
        if ("tricks",) in self.damaged:
            return ()
        if not self._written("tricks") and (given or not hand):
            self.wrong(("tricks",), "lists no trick, so there is nothing to compare; list some, or `variants:`.", True)
            return ()
        if given is None:
            return () if hand else (DesignUse("leave_one_out"),)
        if not given and not hand:
            self.wrong(("designs",), "is empty, and no variant is listed by hand; name a design or list `variants:`.")
        uses: dict[str, DesignUse] = {}
        for path, item in self._items(("designs",), given):
            options = {"name": item} if isinstance(item, str) else item
            name = options.get("name") if isinstance(options, dict) else None
            if not isinstance(name, str):
                self.wrong(
                    path, f"is {said(item)}; it must look like leave_one_out or {{name: fractional, resolution: 4}}."
                )
                continue
            use = DesignUse(name, {key: value for key, value in options.items() if key != "name"})
            at = (*path, "name") if isinstance(item, dict) else path
            if self._design_works(path, at, use, hand) and uses.setdefault(repr(use), use) is not use:
                self.wrong(path, f"is {name} again; list a design once.")
        return tuple(uses.values())

    def _design_works(self, path: Trail, named: Trail, use: DesignUse, hand: Mapping[str, Json]) -> bool:
        names = self.registry.names("designs")
        if use.name not in names:
            self.wrong(named, unknown("design", use.name, names))
            return False
        try:
            self.registry.make("designs", use.name, use.options)
        except ConfigError as error:
            for key, message in error.problems:
                self.wrong((*path, *parts(key)), message, " has no " in message)
            return False
        except PluginError as error:
            self.wrong(path, str(error), page=error.page)
            return False
        of = use.options.get("of")
        unlisted = [name for name in of if name not in hand] if isinstance(of, list) else []
        for name in unlisted:
            message = unknown("variant listed by hand", name, list(hand))
            self.wrong((*path, "of", use.options["of"].index(name)), message)
        return not unlisted

    # tricks

    def _tricks(self) -> tuple[StudyTrick, ...]:
        read: list[StudyTrick] = []
        for name, form in self.form.tricks.items():
            if form.part is not None or form.each is not None:
                read += self._parts(name, form)
            elif (trick := self._trick(name, form)) is not None:
                read.append(trick)
        by_name = {trick.name: trick for trick in read}
        for trick in read:
            needed = closure(trick.name, by_name)
            clash = [(a, b) for a in needed for b in by_name[a].conflicts if b in needed]
            if trick.requires and clash:
                one, other = clash[0]
                message = f"can never be met: {one} and {other} would both be on, and {one} conflicts with {other}."
                self.wrong(("tricks", trick.name, "requires"), message, True)
                self.broken.add(trick.name)
        return tuple(read)

    def _trick(self, name: str, form: TrickForm) -> StudyTrick | None:
        path: Trail = ("tricks", name)
        self._check_name(path, name, "a trick")
        if form.levels is None:
            levels = [self._level(form, None, name, path)]
        else:
            for key in sorted({"set", "use", "with_"} & form.model_fields_set):
                self.wrong((*path, key.strip("_")), "stands beside `levels:`; move it into each level.", True)
            if not form.levels:
                self.wrong((*path, "levels"), "is empty; list levels, or write set or use without `levels:`.")
            for level in form.levels:
                self._check_name((*path, "levels", level), level, "a level")
            levels = [self._level(given, at, at, (*path, "levels", at)) for at, given in form.levels.items()]
        requires, conflicts = self._others(name, "requires", form), self._others(name, "conflicts", form)
        whole = [level for level in levels if level is not None]
        if len(whole) < len(levels):
            self.broken.add(name)
        if not whole:
            return None
        used = [self.registry.load("tricks", level.use) for level in whole if level.use]
        label = form.label or (str(getattr(used[0], "label", "")) if used and len(levels) == 1 else "")
        category = form.category or (str(getattr(used[0], "category", "")) if used else "")
        return StudyTrick(name, tuple(whole), label, category, requires, conflicts)

    def _parts(self, name: str, form: TrickForm) -> list[StudyTrick]:
        """The trick of a part, or those of `each`: on, the network is as built; off, the part is away."""
        path: Trail = ("tricks", name)
        self._check_name(path, name, "a trick")
        beside = {"set", "use", "with_", "levels"} | ({"each"} if form.part is not None else set())
        for key in sorted(beside & form.model_fields_set):
            other = "part" if form.part is not None else "each"
            self.wrong((*path, key.strip("_")), f"stands beside `{other}:`, which is a change by itself.", True)
        if beside & form.model_fields_set:
            self.broken.add(name)
            return []
        asked = {key: value for key in ("kind", "instead", "heads") if (value := getattr(form, key)) is not None}
        asked = {"part": form.part if form.part is not None else form.each, **asked}
        named = {name: asked} if form.part is not None else self._each(name, asked)
        requires, conflicts = self._others(name, "requires", form), self._others(name, "conflicts", form)
        return [
            StudyTrick(one, (TrickLevel(part=part),), form.label, form.category or "", requires, conflicts, name)
            for one, part in named.items()
        ]

    def _each(self, name: str, asked: Mapping[str, Json]) -> dict[str, Json]:
        """A part for every path that a pattern names; those that cannot go are left out and noted."""
        if self.task is None:
            return {}
        path: Trail = ("tricks", name, "each")
        try:
            paths, refused = self.task.parts(self._first_base(), asked, self.registry)
        except ConfigError as error:
            for key, message in error.problems:
                self.wrong(path if key == "0" else ("base", *parts(key)), message, page="parts" if key == "0" else "")
            return {}
        taken = [one for one in paths if one in self.form.tricks and one != name]
        for one in taken:
            self.wrong(path, f"makes a trick {one!r}, and the study has one already; rename that.")
        self.notes += [f"{name}: left out is {why}" for why in refused]
        return {one: {**asked, "part": one} for one in paths if one not in taken}

    def _first_base(self) -> dict[str, Json]:
        """The base, of several settings in the first: a part that another setting lacks is left out there."""
        return patched(patched({}, self.form.base), next(iter(self.form.across.values()), {}))

    def _level(self, form: LevelForm, level: str | None, stem: str, path: Trail) -> TrickLevel | None:
        """What `set`, `use` and `with` at `path` do; where none is there, the shelf's file called `stem` is meant."""
        names, use = self.registry.names("tricks"), form.use
        if use is None and not form.set:
            if stem not in names:
                own = " One of your own says what it changes: `set:`, or `use:` with a file."
                if path[:2] not in self.damaged:
                    self.wrong(path, unknown("trick", stem, names) + own, True)
                return None
            use = stem
        elif use is not None and use not in names:
            self.wrong((*path, "use"), unknown("trick", use, names))
            return None
        if use is None and form.with_:
            self.wrong((*path, "with"), "gives parameters, but no file is used; say which with `use:`.", True)
            return None
        try:
            if use is not None:
                self.registry.make("tricks", use, form.with_)
        except ConfigError as error:
            for key, message in error.problems:
                self.wrong((*path, "with", *parts(key)), message, " has no " in message)
            return None
        except PluginError as error:
            self.wrong((*path, "use"), str(error), page=error.page)
            return None
        return TrickLevel(level, form.set, use, form.with_)

    def _others(self, name: str, key: str, form: TrickForm) -> tuple[str, ...]:
        """The tricks that `requires` or `conflicts` names."""
        others = []
        for path, other in self._items(("tricks", name, key), getattr(form, key)):
            if other == name:
                self.wrong(path, f"is the trick {name!r} itself; name others.")
            elif isinstance(other, str) and other in self._written("tricks"):
                if other in self.form.tricks:
                    others.append(other)
            else:
                self.wrong(path, self._no_trick(other))
        return tuple(dict.fromkeys(others))

    def _no_trick(self, name: Json) -> str:
        known = list(self._written("tricks"))
        if not isinstance(name, str):
            return f"is {said(name)}; it must name a trick of this study: {one_of(known) or 'it has none'}."
        listed = f"it has {one_of(known)}" if known else "it has none"
        return f"no trick of this study is called {name!r}; {listed}.{did_you_mean(name, known)}"

    # variants listed by hand

    def _variants(self, tricks: Mapping[str, StudyTrick]) -> tuple[HandVariant, ...]:
        space, variants, seen = Space(tuple(tricks.values())), [], dict[str, str]()
        for name, form in self.form.variants.items():
            path: Trail = ("variants", name)
            is_whole = path not in self.damaged
            self._check_name(path, name, "a variant")
            inside = path if isinstance(self._written("variants")[name], list) else (*path, "tricks")
            choices: dict[str, Choice] = {}
            for at, item in self._items(inside, form.tricks):
                choice = self._choice(at, item, tricks)
                if choice is None or choice.trick in self.broken:
                    is_whole = False
                elif choices.setdefault(choice.trick, choice) is not choice:
                    self.wrong(at, f"is the trick {choice.trick!r} again; a variant has it once.")
            on = tuple(choices[trick] for trick in tricks if trick in choices)
            variant = HandVariant(name, on, form.set, form.tuned)
            if is_whole:
                self._check_tuned(variant, tricks)
                self._check_variant(variant, space, seen)
            variants.append(variant)
        return tuple(variants)

    def _check_tuned(self, variant: HandVariant, tricks: Mapping[str, StudyTrick]) -> None:
        for key in variant.tuned:
            named = max((name for name in tricks if key.startswith(f"tricks.{name}.")), key=len, default=None)
            if named is not None and named not in variant.cell.tricks:
                self.wrong(("variants", variant.name, "tuned", key), f"is of {named!r}, which is off here.", True)

    def _check_variant(self, variant: HandVariant, space: Space, seen: dict[str, str]) -> None:
        path: Trail = ("variants", variant.name)
        cells = {"base": ("no trick", space.base), "full": ("every trick at its first level", space.full)}
        what, meant = cells.get(variant.name, ("", variant.cell))
        why, names = space.forbidden(variant.cell), variant.cell.tricks
        first = seen.setdefault(repr((variant.tricks, variant.set, variant.tuned)), variant.name)
        if why:
            missing = [name for on in variant.tricks for name in space.trick(on.trick).requires if name not in names]
            remedy = f"list {missing[0]} too, or leave the other out" if missing else "leave one of them out"
            self.wrong(path, f"cannot be: {why}; {remedy}.", True)
        elif variant.cell != meant and (
            variant.name == "base" or 1 < len(space.tricks) == len(self._written("tricks"))
        ):
            self.wrong(
                path, f"is a name that means the variant with {what} and no `set:`; name this one otherwise.", True
            )
        elif first != variant.name:
            self.wrong(path, f"is the same as {first!r}; list a variant once.", True)

    def _choice(self, path: Trail, item: Json, tricks: Mapping[str, StudyTrick]) -> Choice | None:
        """The trick that `name`, `name=level` or {name: level} means; None where it is wrong or the trick is."""
        name, level = item, None
        if isinstance(item, dict) and len(item) == 1:
            name, level = next(iter(item.items()))
            path = (*path, name)
        elif isinstance(item, str) and item not in self._written("tricks") and "=" in item:
            cuts = [i for i, letter in enumerate(item) if letter == "=" and item[:i] in self._written("tricks")]
            name, level = (item[: cuts[-1]], item[cuts[-1] + 1 :]) if cuts else (item.partition("=")[0], "")
        if not isinstance(name, str) or name not in self._written("tricks"):
            self.wrong(path, self._no_trick(name))
            return None
        if name not in tricks:
            return None
        levels = [given.name for given in tricks[name].levels if given.name is not None]
        wanted = None if level is None else str(level)
        if wanted is not None and wanted not in levels:
            listed = f"it has {one_of(levels)}" if levels else f"it has none, write {name}"
            self.wrong(path, f"{name} has no level {wanted!r}; {listed}.{did_you_mean(wanted, levels)}")
        elif wanted is None and levels:
            self.wrong(path, f"{name} has levels; write {one_of(f'{name}={one}' for one in levels)}.")
        else:
            return Choice(name, wanted)
        return None

    # small things

    def _written(self, section: str) -> Mapping[str, Json]:
        """A section as it stands in the file, whatever was wrong with it."""
        given = self.given.value.get(section)
        return given if isinstance(given, dict) else {}

    def _items(self, path: Trail, items: Sequence[Json]) -> list[tuple[Trail, Json]]:
        """The items of a list with their places; a lone value that stands for a list of one has its key's."""
        alone = (*path, 0) not in self.given.values
        return [(path if alone else (*path, i), item) for i, item in enumerate(items)]

    def _check_name(self, path: Trail, name: str, what: str) -> None:
        bad = next((c for c in name if unicodedata.category(c) in ("Cc", "Zl", "Zp")), None)
        if bad is not None:
            self.wrong(path, f"the name of {what} holds the control character U+{ord(bad):04X}; remove it.", True)
        elif not 1 <= len(name) <= 64 or name != name.strip():
            self.wrong(path, f"the name of {what} must have 1 to 64 characters and no space at either end.", True)


def _asked(tune: TuneForm) -> dict[str, Json]:
    space = {key: given.model_dump(exclude_unset=True) for key, given in tune.space.items()}
    return {**tune.model_dump(exclude_none=True), "space": space}


def parts(key: str) -> Trail:
    """A dotted key of a plug-in's parameters as a trail; numbers are indices."""
    return tuple(int(part) if part.isdecimal() else part for part in key.split(".")) if key else ()


def _question(text: str) -> str:
    """The comment that opens the file, as one line; lines meant for an editor are no part of it."""
    lines: list[str] = []
    for line in map(str.strip, text.splitlines()):
        if line.startswith("#"):
            words = line.lstrip("#").strip()
            lines += [words] if words and not re.match(r"yaml-language-server:|vim:|-\*-", words) else []
        elif lines or (line and not line.startswith(("---", "%"))):
            break
    return " ".join(lines)
