"""A stored plan for tests to which its parts do not matter."""

from ablate.records import Metric
from ablate.study.record import PlanRecord


def bare(study="s", **parts):
    """A plan of nothing, but for the parts that are named."""
    nothing = {"seeds": (), "tricks": (), "variants": (), "rows": ()}
    return PlanRecord(**{"study": study, "task": "m:f", "metric": Metric("m"), **nothing, **parts})
