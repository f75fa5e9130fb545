"""Devices and slots: which GPUs there are, who sees which, and who waits. GPUs are made up at devices.gpus; the rest is real."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from ablate import devices
from ablate.devices import Device, slots, visible
from ablate.dispatcher import Dispatcher
from ablate.errors import AblateError
from ablate.executor import Slot
from ablate.executors.local import LocalExecutor
from ablate.records import Limits, RunSpec
from ablate.store import Store
from ablate.warm import Setup

THERE = (Device("0", "H", 80000, "GPU-aa1"), Device("1", "H", 80000, "GPU-bb2"))
GPUS = (Device("cuda:0", "H", 80000, "GPU-aa1"), Device("cuda:1", "H", 80000, "GPU-bb2"))
TASKS = """
import os, time

def seen(config, run):
    (run.folder / "sees").write_text(os.environ["CUDA_VISIBLE_DEVICES"] + " " + run.device)
    together = run.folder.parent
    while len(list(together.glob("*/sees"))) < 4:
        time.sleep(0.01)
    return {"score": 1.0}

def liar(config, run):
    run.folder.joinpath("tried").touch()
    first = not run.folder.joinpath("failed").exists()
    if first:
        while len(list(run.folder.parent.glob("*/tried"))) < 2:
            time.sleep(0.01)
        run.folder.joinpath("failed").touch()
        raise RuntimeError("CUDA out of memory. Tried to allocate 48.00 GiB")
    return {"score": float(config["batch"])}
"""


class Deaf:
    def changed(self, dispatcher):
        pass

    def ended(self, work, event, *, again):
        pass


def dispatch(folder, function, count, pool):
    (folder / "gpu_tasks.py").write_text(TASKS)
    one = RunSpec("", f"gpu_tasks:{function}", {"batch": 512}, (), 0, 1, "", "", metric="score")
    specs = {f"k{i}": replace(one, key=f"k{i}", seed=i, folder=str(folder / f"k{i}")) for i in range(count)}
    executor = LocalExecutor(Setup(task=one.task, path=(str(folder),)))
    try:
        with Store.open(folder / "a.db", write=True) as store:
            cells = [("v", i, "ablation", key) for i, key in enumerate(specs)]
            store.save_plan("s", "", {}, "", cells, dict.fromkeys(specs, "{}"))
            Dispatcher(store, executor, pool, specs, Limits(), listener=Deaf()).run()
    finally:
        executor.close()
    with closing(sqlite3.connect(folder / "a.db")) as connection:
        return connection.execute(
            "SELECT run, device, slot, coalesce(reason, outcome), started_at, ended_at FROM attempt ORDER BY started_at"
        ).fetchall()


def overlapping(attempts, place):
    """The most attempts that shared a place at one time."""
    return max(
        sum(place(other) == place(one) and other[4] <= one[4] < other[5] for other in attempts) for one in attempts
    )


def test_cuda_visible_devices_chooses_and_renumbers_as_cuda_does():
    assert ("cuda:0", "GPU-bb2") == (visible(THERE, "1,0")[0].name, visible(THERE, "1,0")[0].visible)
    assert ["GPU-aa1"] == [device.visible for device in visible(THERE, "GPU-aa,7,1")]
    assert () == visible(THERE, "")
    assert 2 == len(visible(THERE, None))


def test_each_gpu_gives_as_many_slots_as_runs_share_it_and_takes_turns(monkeypatch):
    monkeypatch.setattr(devices, "gpus", lambda: GPUS)
    asked = {"gpus_per_run": 1, "runs_per_gpu": 2, "threads": 1}
    both = (Slot("cuda:0", 0), Slot("cuda:1", 0), Slot("cuda:0", 1), Slot("cuda:1", 1))
    assert both == slots(**asked, workers=None)
    assert both[:3] == slots(**asked, workers=3)
    assert both[1::2] == slots(**asked, workers=None, asked=["cuda:1"])
    assert 4 == len(slots(**asked, workers=64)), "no device beyond capacity"
    with pytest.raises(AblateError, match="there is no device 'cuda:2'"):
        slots(**asked, workers=None, asked=["cuda:2"])


def test_more_gpus_than_there_are_is_refused(monkeypatch):
    monkeypatch.setattr(devices, "gpus", lambda: ())
    with pytest.raises(AblateError, match=r"resources.gpus is 1, but this host has no GPU; set it to 0."):
        slots(gpus_per_run=1, runs_per_gpu=1, threads=1, workers=None)


def test_a_child_sees_its_slots_gpu_and_no_other_and_no_slot_is_used_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "gpus", lambda: GPUS)
    pool = slots(gpus_per_run=1, runs_per_gpu=2, threads=1, workers=None)
    attempts = dispatch(tmp_path, "seen", 8, pool)
    assert ["done"] * 8 == [attempt[3] for attempt in attempts]
    names = {device.name: device.visible for device in GPUS}
    for run, device, *_ in attempts:
        assert f"{names[device]} cuda:0" == (tmp_path / run / "sees").read_text()
    assert {"cuda:0", "cuda:1"} == {attempt[1] for attempt in attempts}
    assert 1 == overlapping(attempts, lambda attempt: attempt[1:3])
    assert 2 == overlapping(attempts, lambda attempt: attempt[1])


def test_two_that_take_more_memory_than_there_is_fail_once_and_finish_alone_as_they_were(tmp_path, monkeypatch):
    """Both claim half of one GPU and together take more than all of it."""
    monkeypatch.setattr(devices, "gpus", lambda: GPUS[:1])
    attempts = dispatch(tmp_path, "liar", 2, slots(gpus_per_run=1, runs_per_gpu=2, threads=1, workers=None))
    assert ["done", "done", "oom", "oom"] == sorted(attempt[3] for attempt in attempts)
    assert 1 == overlapping([attempt for attempt in attempts if attempt[3] == "done"], lambda attempt: attempt[1])
    with Store.open(tmp_path / "a.db") as store:
        assert [512.0, 512.0] == [value for *_, value in store.values("s")]
