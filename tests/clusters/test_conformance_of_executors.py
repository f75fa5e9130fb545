"""Every executor keeps the contract: on this host, and through a folder with a worker that was started by hand."""

import pytest
import sites

from ablate.testing.executors import CHECKS

FEW = {
    "local": "every_run_ends_in_exactly_one_way",
    "workers": "what_is_left_goes_on_and_is_told_once_to_who_adopts_it",
}
"""Of each executor's checks the one that is fast and holds most."""
CASES = [
    pytest.param(kind, check, id=f"{kind.__name__}-{check.__name__}", marks=marks)
    for kind in (sites.local, sites.workers)
    for check in CHECKS
    for marks in [[] if FEW[kind.__name__] == check.__name__ else [pytest.mark.slow]]
]


@pytest.mark.parametrize(("kind", "check"), CASES)
def test_an_executor(kind, check, tmp_path):
    with kind() as site:
        check(site, tmp_path / "study")
