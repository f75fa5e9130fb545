"""Devices and slots: which GPUs there are, who sees which, and who waits. GPUs are made up at devices.gpus; the rest is real."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from plans import bare

from ablate.errors import AblateError, ConfigError, StudyError
from ablate.pool import host
from ablate.pool.dispatcher import Dispatcher
from ablate.pool.executor import Slot
from ablate.pool.executors.local import LocalExecutor
from ablate.pool.host import Device, slots, visible
from ablate.pool.messages import Setup
from ablate.pool.scheduler import Sizes
from ablate.records import Limits, RunSpec, TaskUse
from ablate.runs import execute
from ablate.store.store import Store
from ablate.study.file import parse

THERE = (Device("0", "H", 80000, "GPU-aa1"), Device("1", "H", 80000, "GPU-bb2"))
GPUS = (Device("cuda:0", "H", 80000, "GPU-aa1"), Device("cuda:1", "H", 80000, "GPU-bb2"))
TASKS = """
import fcntl, os, time

def seen(config, run):
    (run.folder / "sees").write_text(os.environ["CUDA_VISIBLE_DEVICES"] + " " + run.device)
    together = run.folder.parent
    while len(list(together.glob("*/sees"))) < 4:
        time.sleep(0.01)
    return {"score": 1.0}

def hungry(config, run):
    # Takes memory of the GPU that it sees, by a ledger that all share, and fails where there is not enough.
    ledger = run.folder.parent / os.environ["CUDA_VISIBLE_DEVICES"]
    ledger.mkdir(exist_ok=True)

    def meet(mark):
        (ledger / (mark + str(run.seed))).touch()
        while run.seed >= config["first"] and len(list(ledger.glob(mark + "*"))) < config["together"]:
            time.sleep(0.01)

    meet("came")
    mine = ledger / ("takes" + str(run.seed))
    with open(ledger / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fits = sum(int(entry.read_text()) for entry in ledger.glob("takes*")) + config["takes"] <= 80000
        if fits:
            mine.write_text(str(config["takes"]))
    meet("asked")
    time.sleep(config["holds"])
    if not fits:
        raise RuntimeError("CUDA out of memory. Tried to allocate 46.87 GiB")
    mine.unlink()
    return {"score": float(config["batch"]), "peak_mib": float(config["takes"])}

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

    def warn(self, text):
        pass

    def ended(self, work, event, *, again):
        pass


def dispatch(folder, function, count, pool, sizes=None, **config):
    (folder / "gpu_tasks.py").write_text(TASKS)
    one = RunSpec("", TaskUse.of(f"gpu_tasks:{function}"), {"batch": 512, **config}, (), 0, 1, "", "", metric="score")
    specs = {f"k{i}": replace(one, key=f"k{i}", seed=i, folder=str(folder / f"k{i}")) for i in range(count)}
    executor = LocalExecutor().open(Setup(task=one.task, path=(str(folder),)))
    try:
        with Store.open(folder / "a.db", write=True) as store:
            cells = [("v", i, "ablation", key) for i, key in enumerate(specs)]
            store.save_plan(bare(), "", cells, dict.fromkeys(specs, "{}"))
            Dispatcher(store, executor, pool, specs, Limits(), listener=Deaf(), sizes=sizes).run()
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
    monkeypatch.setattr(host, "gpus", lambda: GPUS)
    asked = {"gpus_per_run": 1, "runs_per_gpu": 2, "threads": 1}
    both = (Slot("cuda:0", 0), Slot("cuda:1", 0), Slot("cuda:0", 1), Slot("cuda:1", 1))
    assert both == slots(**asked, workers=None)
    assert both[:3] == slots(**asked, workers=3)
    assert both[1::2] == slots(**asked, workers=None, devices=["cuda:1"])
    assert 4 == len(slots(**asked, workers=64)), "no device beyond capacity"
    with pytest.raises(AblateError, match="there is no device 'cuda:2'"):
        slots(**asked, workers=None, devices=["cuda:2"])


def test_a_command_may_have_several_gpus_and_sees_them_all(monkeypatch):
    three = (*GPUS, Device("cuda:2", "x", 8, "GPU-cc3"))
    monkeypatch.setattr(host, "gpus", lambda: three)
    asked = {"gpus_per_run": 2, "runs_per_gpu": 1, "threads": 1, "workers": None}
    (pair,) = slots(**asked, several=True)
    assert pair == Slot("cuda:0+cuda:1", 0)
    assert host.environment(pair)["CUDA_VISIBLE_DEVICES"] == ",".join(device.visible for device in GPUS)
    assert host.memory_mib(pair.device) == sum(device.memory_mib or 0 for device in GPUS)
    assert [host.share(pair.device, other) for other in ("cuda:1", "cuda:2", pair.device)] == [True, False, False]
    with pytest.raises(ConfigError, match="only a command may take several"):
        slots(**asked)
    with pytest.raises(ConfigError, match="--devices names 1"):
        slots(**asked, several=True, devices=["cuda:2"])


def test_more_gpus_than_there_are_is_refused(monkeypatch):
    monkeypatch.setattr(host, "gpus", lambda: ())
    asked = parse("tricks: {mixup: }\nresources: {gpus: 1}", "s.yaml")
    with pytest.raises(StudyError, match=r"s:2:13: resources.gpus: is 1, but this host has no GPU; set it to 0."):
        execute.slots_for(asked, execute.Options())


def test_a_child_sees_its_slots_gpu_and_no_other_and_no_slot_is_used_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(host, "gpus", lambda: GPUS)
    pool = slots(gpus_per_run=1, runs_per_gpu=2, threads=1, workers=None)
    attempts = dispatch(tmp_path, "seen", 8, pool)
    assert ["done"] * 8 == [attempt[3] for attempt in attempts]
    names = {device.name: device.visible for device in GPUS}
    for run, device, *_ in attempts:
        (seen,) = tmp_path.glob(f"{run}-*/sees")  # in the attempt's folder
        assert f"{names[device]} cuda:0" == seen.read_text()
    assert {"cuda:0", "cuda:1"} == {attempt[1] for attempt in attempts}
    assert 1 == overlapping(attempts, lambda attempt: attempt[1:3])
    assert 2 == overlapping(attempts, lambda attempt: attempt[1])


def test_two_that_take_more_memory_than_there_is_fail_once_and_finish_alone_as_they_were(tmp_path, monkeypatch):
    """Both claim half of one GPU and together take more than all of it."""
    monkeypatch.setattr(host, "gpus", lambda: GPUS[:1])
    attempts = dispatch(tmp_path, "liar", 2, slots(gpus_per_run=1, runs_per_gpu=2, threads=1, workers=None))
    assert ["done", "done", "oom", "oom"] == sorted(attempt[3] for attempt in attempts)
    assert 1 == overlapping([attempt for attempt in attempts if attempt[3] == "done"], lambda attempt: attempt[1])
    with Store.open(tmp_path / "a.db") as store:
        assert [512.0, 512.0] == [value for *_, value in store.values("s")]


def test_liars_that_claim_30_percent_and_take_60_run_out_once_and_finish_alone_as_they_were(tmp_path, monkeypatch):
    """Three fit by what they claim; one is served, two run out, and from then on the truth is known."""
    monkeypatch.setattr(host, "gpus", lambda: GPUS[:1])
    pool = slots(gpus_per_run=1, runs_per_gpu=8, threads=1, workers=None)
    claim = Sizes({"cuda:0": 80000}, asked_mib=24000)
    attempts = dispatch(tmp_path, "hungry", 5, pool, claim, takes=48000, together=3, first=0, holds=0)
    assert ["done"] * 5 + ["oom"] * 2 == sorted(attempt[3] for attempt in attempts)
    assert 3 == overlapping(attempts, lambda attempt: attempt[1])
    assert 1 == overlapping(attempts[3:], lambda attempt: attempt[1])
    with Store.open(tmp_path / "a.db") as store:
        scores = [value for _, _, name, value in store.values("s") if name == "score"]
        assert [512.0] * 5 == scores, "the batch is never changed"


def test_memory_that_is_to_be_learned_is_learned_from_a_first_run_alone_and_then_shared(tmp_path, monkeypatch):
    monkeypatch.setattr(host, "gpus", lambda: GPUS[:1])
    pool = slots(gpus_per_run=1, runs_per_gpu=8, threads=1, workers=None)
    sizes = Sizes({"cuda:0": 80000})
    attempts = dispatch(tmp_path, "hungry", 7, pool, sizes, takes=20000, together=4, first=1, holds=0)
    assert ["done"] * 7 == [attempt[3] for attempt in attempts]
    assert all(attempts[0][5] <= other[4] for other in attempts[1:]), "the first one has the GPU to itself"
    assert 3 == overlapping(attempts, lambda attempt: attempt[1])


class Idle:
    """An executor whose runs go on and on."""

    place, keeps, engine, queues = "", False, False, False

    def slots(self, here, wanted):
        return here

    def __init__(self):
        self.started = []

    def start(self, token, spec, slot, *, alone):
        self.started.append((spec.key, slot))

    def poll(self, timeout_s):
        return []


def test_a_dispatcher_looks_again_as_it_claims_so_that_two_never_take_more_than_there_is(tmp_path):
    """Both have looked when nothing was started; the second one's slots and runs are free still, the memory is not."""
    one = RunSpec("", TaskUse.of("t:f"), {}, (), 0, 1, "", "")
    specs = {f"k{i}": replace(one, key=f"k{i}", seed=i, folder=str(tmp_path / f"k{i}")) for i in range(4)}
    pools = ([Slot("cuda:0", 0), Slot("cuda:0", 1)], [Slot("cuda:0", 2), Slot("cuda:0", 3)])
    with Store.open(tmp_path / "a.db", write=True) as first, Store.open(tmp_path / "a.db", write=True) as second:
        cells = [("v", i, "ablation", key) for i, key in enumerate(specs)]
        first.save_plan(bare(), "", cells, dict.fromkeys(specs, "{}"))
        idle = [Idle(), Idle()]
        both = [
            Dispatcher(store, executor, pool, specs, Limits(), listener=Deaf(), sizes=Sizes({"cuda:0": 80000}, 30000))
            for store, executor, pool in zip((first, second), idle, pools, strict=True)
        ]
        for dispatcher in both:
            dispatcher.look_around()
        for dispatcher in both:
            dispatcher.step(0)
    assert [[("k0", pools[0][0]), ("k1", pools[0][1])], []] == [executor.started for executor in idle]


def test_memory_that_no_device_has_is_refused(monkeypatch):
    monkeypatch.setattr(host, "gpus", lambda: GPUS)
    asked = parse("tricks: {mixup: }\nresources: {memory_gib: 100}", "s.yaml")
    assert 8 == asked.resources.runs_per_gpu
    with pytest.raises(AblateError, match=r"resources.memory_gib: is 100, but cuda:0 has 78.1 GiB; a run would never"):
        execute.slots_for(asked, execute.Options())
    fits = replace(asked, resources=replace(asked.resources, memory_gib=20.0, runs_per_gpu=2))
    assert 4 == len(execute.slots_for(fits, execute.Options()))
