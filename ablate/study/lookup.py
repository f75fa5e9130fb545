"""From the form of a study file to a Study: names looked up on the shelves, references resolved, defaults filled in.

It needs no configuration, and collects everything that is wrong with names and references.
Structure was checked by structure.py; file.py asks the task about configurations.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from ablate.errors import ConfigError, PluginError
from ablate.records import (  # fmt: skip
    COSTS,
    MOST_PER_GPU,
    Better,
    DesignUse,
    Json,
    Limits,
    Metric,
    Resources,
    Setting,
    Study,
    StudyTrick,
)
from ablate.registry import unknown
from ablate.study.findings import parts
from ablate.study.sections import TuneForm
from ablate.study.tricks import TrickLookup
from ablate.study.values import wrong_limits
from ablate.study.yaml_file import Trail, dotted, said
from ablate.training.task import Task


class Lookup(TrickLookup):
    """Reads one study, tricks and variants as TrickLookup does."""

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
            across=self._across(metric.better),
            engines=self._engines(),
            words=self._words(tricks),
        )

    def _words(self, tricks: Sequence[StudyTrick]) -> dict[str, Json]:
        """The authors' words; of tricks that there are (which variants there are is known to the plan)."""
        names = list(dict.fromkeys([*(trick.name for trick in tricks), *self.form.tricks]))
        for name in self.form.notes.tricks:
            if name not in names:
                self.wrong(("notes", "tricks", name), unknown("trick", name, names), on_key=True)
        words: dict[str, Json] = self.form.notes.model_dump(exclude_defaults=True)
        return words

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

    def _across(self, better: Better) -> tuple[Setting, ...]:
        """The settings, and what cannot stand beside them."""
        settings, units = self.form.across, {} if self.form.metric is None else self.form.metric.units
        for name in settings:
            self._check_name(("across", name), name, "a setting")
            if "/" in name:
                self.wrong(("across", name), "holds a slash, which stands between a setting and a variant.", True)
        for name in units:
            if name not in settings:
                self.wrong(("metric", "units", name), unknown("setting", name, list(settings)), True)
        limits = self._scales(settings, better)
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
        return tuple(
            Setting(name, patch, units.get(name, ""), limits.get(name, ())) for name, patch in settings.items()
        )

    def _scales(self, settings: Collection[str], better: Better) -> dict[str, tuple[float, ...]]:
        """Of each setting what counts there as 0 and as 1."""
        given = None if self.form.metric is None else self.form.metric.limits
        if given is None:
            return {}
        at: Trail = ("metric", "limits")
        if not settings:
            self.wrong(at, "is for `--view iqm`, which is over the settings of `across:`; the study has none.", True)
        each: dict[str, list[float]] = given if isinstance(given, dict) else dict.fromkeys(settings, given)
        for name, (worst, best) in given.items() if isinstance(given, dict) else [("", given)]:
            here: Trail = (*at, name) if name else at
            if name and name not in settings:
                self.wrong(here, unknown("setting", name, list(settings)), True)
            if wrong := wrong_limits(worst, best, better):
                self.wrong(here, f"is {said([worst, best])}; {wrong}.")
        return {name: (float(worst), float(best)) for name, (worst, best) in each.items()}

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
            said = unknown("design", use.name, names) + self.registry.unnamed("designs", use.name)
            first = use.name.replace("(", " ").split(" ")[0]
            if first in names:  # `leave_one_out of [A, B]`
                options = "".join(f", {one.name}: ..." for one in self.registry.parameters("designs", first))
                said += f" Options stand beside the name: {{name: {first}{options}}}." * bool(options)
            self.wrong(named, said)
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


def _asked(tune: TuneForm) -> dict[str, Json]:
    space = {key: given.model_dump(exclude_unset=True) for key, given in tune.space.items()}
    return {**tune.model_dump(exclude_none=True), "space": space}


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
