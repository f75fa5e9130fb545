"""Every executor keeps the contract: on this host, through a folder with a worker that was started by hand or by a job
of Slurm's, and on a cluster of Ray's."""

import contextlib
import warnings

import pytest
import ray_nodes
import sites
import slurm

from ablate.testing.executors import CHECKS

FEW = {
    "local": "every_run_ends_in_exactly_one_way",
    "workers": "what_is_left_goes_on_and_is_told_once_to_who_adopts_it",
}
"""Of these executors' checks the one that is fast and holds most; all others, and engines, are for `make test-cluster`."""
CASES = [
    pytest.param(kind, check, id=f"{kind}-{check.__name__}", marks=marks)
    for kind in ("local", "workers", "slurm", "ray")
    for check in CHECKS
    for marks in [[pytest.mark.cluster] if FEW.get(kind) == check.__name__ else [pytest.mark.cluster, pytest.mark.slow]]
]


@pytest.fixture(scope="module")
def engines():
    """Clusters by name, each started by the first check that asks for it: a function of the name."""
    running, clusters = contextlib.ExitStack(), {}

    def engine(kind):
        module = {"slurm": slurm, "ray": ray_nodes}[kind]
        why = module.missing()
        if why:
            warnings.warn(f"nothing was tried on {kind}: {why}", stacklevel=1)
            pytest.skip(why)
        if kind not in clusters:
            clusters[kind] = running.enter_context(module.running(1))
        return clusters[kind]

    with running:
        yield engine


@pytest.mark.parametrize(("kind", "check"), CASES)
def test_an_executor(kind, check, engines, tmp_path):
    there = () if kind in FEW else (engines(kind),)
    with getattr(sites, kind)(*there) as site:
        check(site, tmp_path / "study")
