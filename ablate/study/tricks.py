"""The tricks of a study file and the variants listed by hand, with every reference to a trick resolved."""

from __future__ import annotations

from collections.abc import Mapping

from ablate.errors import ConfigError, PluginError
from ablate.records import Choice, HandVariant, Json, StudyTrick, TrickLevel
from ablate.registry import unknown
from ablate.study.cells import Space, closure, patched
from ablate.study.findings import Findings, parts
from ablate.study.form import LevelForm, TrickForm
from ablate.study.yaml_file import Trail, said
from ablate.text import did_you_mean, one_of

OF_PARTS = ("kind", "instead", "heads", "when", "recalibrate", "control")
"""The keys that say more of a part."""


class TrickLookup(Findings):
    """Looks up what the study changes; the rest of it is Lookup's."""

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
        for key in (key for key in OF_PARTS if getattr(form, key) is not None):
            self.wrong(
                (*path, key), "is of a part of the network; say which: `part:`, or `each:` for every match.", True
            )
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
        asked = {key: value for key in OF_PARTS if (value := getattr(form, key)) is not None}
        if wrong := self._wrong_when(form):
            for key, message in wrong.items():
                self.wrong((*path, key), message, True)
            self.broken.add(name)
            return []
        if not self._replacement_works(path, form):
            self.broken.add(name)
            return []
        asked = {"part": form.part if form.part is not None else form.each, **asked}
        named = {name: asked} if form.part is not None else self._each(name, asked)
        requires, conflicts = self._others(name, "requires", form), self._others(name, "conflicts", form)
        return [
            StudyTrick(one, (TrickLevel(part=part),), form.label, form.category or "", requires, conflicts, name)
            for one, part in named.items()
        ]

    def _replacement_works(self, path: Trail, form: TrickForm) -> bool:
        """Whether the file that `instead: {use: ...}` names is there and takes what it is given."""
        if not isinstance(form.instead, Mapping) or "use" not in form.instead:
            return True
        name, names, place = form.instead["use"], self.registry.names("replacements"), (*path, "instead")
        if name not in names:
            said = " One of yours lies in a folder that `plugins:` lists, in replacements/."
            yours = self.registry.unnamed("replacements", name.removesuffix(".py"))
            self.wrong((*place, "use"), unknown("replacement", name.removesuffix(".py"), names) + (yours or said))
            return False
        return self._takes("replacements", name, form.instead.get("with") or {}, place)

    def _takes(self, shelf: str, name: str, params: Mapping[str, Json], path: Trail) -> bool:
        """Whether the file that `use` at `path` names can be loaded and takes what `with` beside it gives."""
        try:
            self.registry.make(shelf, name, params)
        except ConfigError as error:
            for key, message in error.problems:
                self.wrong((*path, "with", *parts(key)), message, " has no " in message)
            return False
        except PluginError as error:
            self.wrong((*path, "use"), str(error), page=error.page)
            return False
        return True

    def _wrong_when(self, form: TrickForm) -> dict[str, str]:
        """By key: what only trained weights can be asked, and what they cannot."""
        if form.when is None:
            needs = "it needs `when: trained`."
            mean = f"is mean, which is of the part's output over training images, so of a trained network; {needs}"
            return {
                **({"instead": mean} if form.instead == "mean" else {}),
                **({"recalibrate": f"is of trained weights; {needs}"} if form.recalibrate is not None else {}),
            }
        found = {}
        at = "last" if self.form.metric is None else self.form.metric.at
        if at != "last":
            found["when"] = (
                f"measures the last weights of a training, and the study takes its metric at {at} (`metric.at`), so "
                "the row and its comparison would not have the same weights; take `at: last`."
            )
        if form.instead == "linear":
            fits = "it may be identity, zero, one, mean or relu, say."
            found["instead"] = f"is linear, a layer that nothing would have trained; {fits}"
        if isinstance(form.instead, Mapping) and "use" in form.instead:
            found["instead"] = (
                "is a layer that nothing would have trained; leave `when` out, or take mean or zero, say."
            )
        if form.control is not None:
            said = "is of networks that are trained with as much less; `when: trained` trains none. Leave one out."
            found["control"] = said
        return found

    def _each(self, name: str, asked: Mapping[str, Json]) -> dict[str, Json]:
        """A part for every path that a pattern names; those that cannot go are left out and noted."""
        if self.task is None:
            return {}
        path: Trail = ("tricks", name, "each")
        try:
            paths, refused = self.task.parts(self._first_base(), asked, self.registry)
        except ConfigError as error:
            for key, message in error.problems:
                number, _, asked_for = key.partition(".")
                place = ("task",) if key == "task" else ("base", *parts(key))
                if number == "0":  # the pattern itself, or what else was asked of the parts
                    place = (*path[:-1], *parts(asked_for)) if asked_for else path
                self.wrong(place, message, page="parts" if number in ("0", "task") else "")
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
                own = self.registry.unnamed("tricks", stem)
                own = own or " One of your own says what it changes: `set:`, or `use:` with a file."
                if path[:2] not in self.damaged:
                    self.wrong(path, unknown("trick", stem, names) + own, True)
                return None
            use = stem
        elif use is not None and use not in names:
            self.wrong((*path, "use"), unknown("trick", use, names) + self.registry.unnamed("tricks", use))
            return None
        if use is None and form.with_:
            self.wrong((*path, "with"), "gives parameters, but no file is used; say which with `use:`.", True)
            return None
        if use is not None and not self._takes("tricks", use, form.with_, path):
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
