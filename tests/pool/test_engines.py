"""What engines do about nodes, by what a queue that is made up says, and what a node says of itself."""

import os
from types import SimpleNamespace

import pytest

from ablate.errors import AblateError
from ablate.pool.executor import Finished, Needs
from ablate.pool.executors import ray
from ablate.pool.executors.slurm import Slurm
from ablate.pool.mailbox import Alive, Mailbox, Plan, versions_of
from ablate.pool.messages import Setup, encode
from ablate.records import TaskUse
from ablate.training.provenance import provenance

SETUP = Setup(TaskUse.of("mine:score"), database="aaaa")
NODES = [(True, {"CPU": 4.0, "GPU": 1.0}), (True, {"CPU": 2.0}), (False, {"CPU": 8.0, "GPU": 8.0}), (True, {})]
PROGRAMS = {"sbatch": 'echo "$@" >> submitted; cat > /dev/null; echo 17', "squeue": "cat queue", "scancel": "true"}


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """The three programs of Slurm: what sbatch was asked is in `submitted`, what squeue tells in `queue`."""
    for name, does in PROGRAMS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\ncd {tmp_path}\n{does}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "queue").touch()
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("ABLATE_BEAT_S", "0.05")
    return tmp_path


@pytest.mark.parametrize("deaths", [2, 3])
def test_a_node_on_which_three_workers_died_is_left_out_by_further_jobs_and_that_is_said(queue, deaths):
    said = []
    one = Slurm(jobs=4).open(SETUP, Needs("s", str(queue / "study"), made={"torch": "2"}, say=said.append))
    one.slots((), 8)
    ended = "".join(f"17_{job}|FAILED|n1\n" for job in range(1, deaths + 1))
    (queue / "queue").write_text(f"17_0|RUNNING|n2\n{ended}")
    for _ in range(200):  # one came, so this is no study whose jobs all fail
        if one.living:
            break
        one.box.live(Alive("17_0.0", "n2", 1, job="17_0"))
        one.poll(0.05)
    assert one.living, "it told 200 times that it lives"
    one.slots((), 8)
    first, further = (queue / "submitted").read_text().splitlines()
    assert "--exclude" not in first
    assert further.endswith("--exclude=n1") == bool(said) == (deaths == 3)
    assert said in ([], ["3 workers on node n1 ended without a word; further jobs exclude it."])


def test_a_worker_that_came_and_left_unseen_is_no_job_that_failed(queue):
    one = Slurm(jobs=1).open(SETUP, Needs("s", str(queue / "study"), made={"torch": "2"}, say=print))
    one.slots((), 8)
    (queue / "queue").write_text("17_0|COMPLETED|n1\n")
    out = one.box.folder / "jobs" / "17_0.out"
    out.write_text("left after 0 runs\n")
    one.slots((), 8)
    assert 2 == len((queue / "submitted").read_text().splitlines()), "another worker in its place"
    assert not one.deaths


def failing(queue, **how):
    """An executor whose jobs all end before a worker comes."""
    one = Slurm(jobs=2, sbatch=("--partition=gpu",)).open(
        SETUP, Needs("s", str(queue / "study"), made={"torch": "2"}, **how)
    )
    one.slots((), 8)
    (queue / "queue").write_text("17_0|FAILED|n1\n17_1|FAILED|n1\n")
    return one


def test_jobs_that_all_fail_are_told_of_also_where_an_earlier_command_had_workers(queue):
    box = Mailbox(queue / "study" / "slurm")
    box.make(Plan(SETUP, "s", {}))
    box.say("16_0.0", [Finished("t", {"score": 1.0})])
    one = failing(queue)
    (one.box.folder / "jobs" / "17_0.out").write_text("exec: /nowhere/python: not found\n")
    with pytest.raises(AblateError, match="2 jobs ended on n1 before a worker came; its last line: exec: /nowhere/"):
        one.slots((), 8)


def test_what_sbatch_refuses_names_the_nodes_that_are_left_out(queue):
    said = []
    one = failing(queue, say=said.append)
    one.deaths["n2"] = 3
    (queue / "sbatch").write_text("#!/bin/sh\necho 'Requested node configuration is not available' >&2; exit 1\n")
    (queue / "queue").write_text("")
    with pytest.raises(AblateError, match=r"not available \(arguments: --partition=gpu --exclude=n2\)"):
        one.slots((), 8)


def test_a_node_of_ray_that_does_not_see_the_folder_or_has_another_torch_says_so(tmp_path):
    probe, made = tmp_path / "study" / ".probe-1", versions_of(provenance())
    asked = encode(SETUP)
    assert f"does not see {probe.parent}, which runs need; mount it" in ray._wrong_here(str(probe), made, asked)
    probe.parent.mkdir()
    probe.write_text(probe.name)
    assert "" == ray._wrong_here(str(probe), made, asked)
    other = ray._wrong_here(str(probe), {**made, "torch": "9.9.9"}, asked)
    assert f"is not what the plan was made with: torch {made['torch']}, the plan 9.9.9." in other


@pytest.mark.parametrize(
    ("takes", "runs", "says"),
    [
        ({"num_cpus": 2.0, "num_gpus": 0.0}, 3, ""),
        ({"num_cpus": 3.0, "num_gpus": 0.0}, 1, ""),
        ({"num_cpus": 1.0, "num_gpus": 1 / 49}, 4, ""),
        ({"num_cpus": 5.0, "num_gpus": 0.0}, 0, "that has 5 CPUs, which"),
        ({"num_cpus": 1.0, "num_gpus": 2.0, "memory": 3.0 * 2**30}, 0, "that has 1 CPU, 2 GPUs, 3 GiB, which"),
    ],
)
def test_runs_on_ray_fit_on_single_nodes_and_where_none_has_what_one_takes_that_is_said(takes, runs, says):
    nodes = [{"Alive": alive, "Resources": has} for alive, has in NODES]
    one = ray.Ray()
    one._ray, one._takes, one._slots, one._asked_s = SimpleNamespace(nodes=lambda: nodes), takes, (), float("-inf")
    assert 2 * runs == len(one.slots((), 8)), "as many wait as run"
    assert (says in one.awaits) if says else one.awaits == ""


def test_an_own_part_of_a_gpu_is_there_as_often_as_it_was_divided():
    assert list(range(1, 200)) == [ray._fitting({"GPU": 1.0}, {"GPU": 1 / n}) for n in range(1, 200)]


def test_why_workers_did_not_begin_is_told_once_however_many_and_not_beside_the_error_that_says_it(queue):
    said = []
    one = failing(queue, say=said.append)
    for job in (0, 1):
        one.box.refuse(f"17_{job}.0", f"worker 17_{job}.0 on n1: it has torch 9.9.9")
    one.poll(0)
    assert [] == said
    with pytest.raises(AblateError, match=r"nothing was started: worker 17_0\.0 on n1: it has torch 9\.9\.9"):
        one.slots((), 8)
    one.box.live(Alive("17_2.0", "n2", 1, job="17_2"))
    one._looked_s = float("-inf")
    one.poll(0)
    assert ["worker 17_0.0 on n1: it has torch 9.9.9"] == said
