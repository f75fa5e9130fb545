"""A stored plan for tests to which its parts do not matter, and a study measured on one metric."""

import numpy as np

from ablate.analysis.measured import Measured
from ablate.records import Metric, TaskUse
from ablate.study.record import PlanRecord, RowRecord


def bare(study="s", **parts):
    """A plan of nothing, but for the parts that are named."""
    nothing = {"seeds": (), "tricks": (), "variants": (), "rows": ()}
    return PlanRecord(**{"study": study, "task": TaskUse.of("m:f"), "metric": Metric("m"), **nothing, **parts})


def measured(values, rows=None, *, minimum_effect=None, tricks=None, better="higher", planned=None, **more):
    """A study measured on metric `m`: variant -> values; by default every other variant is compared with the first."""
    names = list(values)
    rows = rows or [RowRecord("d", name, None if name == names[0] else names[0]) for name in names]
    tricks = tricks or {name: () if name == names[0] else (name,) for name in names}
    array = np.array([values[name] for name in names], float)
    return Measured(
        variants=tuple(names),
        tricks=tuple(tricks[name] for name in names),
        seeds=tuple(range(array.shape[1])),
        values={"m": array},
        planned=tuple(planned or [array.shape[1]] * len(names)),
        failures=more.pop("failures", ({},) * len(names)),
        asked=tuple(rows),
        metric=Metric("m", better, "last", minimum_effect),
        **more,
    )
