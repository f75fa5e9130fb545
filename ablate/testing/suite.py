"""What every plug-in must keep, as checks: for ablate's own shelves and for yours.

    import pytest
    from ablate.plugins import cases

    @pytest.mark.parametrize("case", cases("plugins"), ids=str)
    def test_my_plugins_conform(case):
        case.check()

A check raises AssertionError that says what does not hold. Trainings are tiny, on a CPU with one thread, in this
process; what a plug-in is good for is not checked here, only that comparisons with it can be trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ablate.records import Json
from ablate.registry import Registry
from ablate.testing import figures, planning
from ablate.testing.training import (
    at_its_defaults_it_does_something,
    data_parameters_are_checked,
    either_memory_format_computes_the_same,
    every_parameter_learns,
    first_weights_come_from_the_seed_alone,
    images_become_logits,
    it_has_a_label_and_a_category,
    it_leads_from_one_shape_to_another_or_says_why_not,
    it_shifts_no_other_random_stream,
    its_neutral_setting_reproduces_the_base_bit_for_bit,
    loading_twice_gives_the_same_arrays,
    model_parameters_are_checked,
    parameters_are_checked,
    replacement_parameters_are_checked,
    the_fingerprint_is_that_of_what_was_asked,
    the_same_seed_gives_the_same_bits,
    toggles_rename_no_parameter_and_move_no_first_weight,
    training_draws_from_no_global_stream,
)


@dataclass(frozen=True)
class Case:
    """One check of one plug-in. params: what the plug-in is made with where its defaults will not do."""

    shelf: str
    name: str
    sentence: str
    registry: Registry
    run: Callable[[Registry, str, Mapping[str, Json]], None]
    params: Mapping[str, Json]

    def check(self) -> None:
        self.run(self.registry, self.name, self.params)

    def __str__(self) -> str:
        return f"{self.shelf}/{self.name}: {self.sentence}"


def cases(folder: str | Path | None = None, params: Mapping[str, Mapping[str, Json]] | None = None) -> list[Case]:
    """The checks of every plug-in in `folder` (a study's `plugins:` folder); None: of ablate's own.

    params: by "shelf/name", parameters for plug-ins whose defaults will not do: {"datasets/mine": {"root": "data"}}.
    """
    registry = Registry([] if folder is None else [Path(folder)])
    return [
        Case(shelf, name, check.__name__.replace("_", " "), registry, check, (params or {}).get(f"{shelf}/{name}", {}))
        for shelf, checks in CHECKS.items()
        for name, entry in registry.entries(shelf).items()
        if not entry.package and entry.private == (folder is not None)
        for check in checks
    ]


CHECKS: Mapping[str, Sequence[Callable[[Registry, str, Mapping[str, Json]], None]]] = {
    "tricks": (
        parameters_are_checked,
        it_has_a_label_and_a_category,
        its_neutral_setting_reproduces_the_base_bit_for_bit,
        it_shifts_no_other_random_stream,
        at_its_defaults_it_does_something,
        the_same_seed_gives_the_same_bits,
    ),
    "models": (
        model_parameters_are_checked,
        images_become_logits,
        toggles_rename_no_parameter_and_move_no_first_weight,
        first_weights_come_from_the_seed_alone,
        every_parameter_learns,
        either_memory_format_computes_the_same,
        training_draws_from_no_global_stream,
    ),
    "datasets": (
        data_parameters_are_checked,
        loading_twice_gives_the_same_arrays,
        the_fingerprint_is_that_of_what_was_asked,
    ),
    "replacements": (
        replacement_parameters_are_checked,
        it_leads_from_one_shape_to_another_or_says_why_not,
    ),
    "designs": (
        planning.design_parameters_are_checked,
        planning.it_chooses_the_same_rows_every_time,
        planning.its_rows_may_be_and_are_compared_with_rows,
    ),
    "tasks": (
        planning.task_parameters_are_checked,
        planning.completing_twice_gives_the_same_plain_data,
    ),
    "figures": figures.CHECKS,
}
"""The checks of each shelf; a check's name is the sentence that would be false."""
