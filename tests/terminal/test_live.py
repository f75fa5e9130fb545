"""What a person sees while runs execute, read from a real database."""

import io
import os
import pty
import subprocess
import sys
import threading
from dataclasses import replace

import pytest
from plans import bare
from rich.console import Console
from rich.text import Text

from ablate.pool import host
from ablate.records import Metric, TaskFacts, TaskUse
from ablate.runs import progress
from ablate.runs.moment import moment
from ablate.runs.why import why_text
from ablate.store.store import Store
from ablate.study.record import RowRecord, VariantRecord
from ablate.terminal import live, moments
from ablate.terminal.bars import ASCII, UNICODE
from ablate.terminal.live import watch
from ablate.terminal.moments import fitted

PLAN = bare(
    task=TaskUse("classify"),
    facts=TaskFacts(epochs="epochs"),
    metric=Metric("acc"),
    seeds=(0, 1),
    variants=tuple(VariantRecord(name=name, tricks=(), config={"epochs": 10}) for name in ("full", "full-a")),
    rows=(RowRecord("leave_one_out", "full", None), RowRecord("leave_one_out", "full-a", "full")),
)


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "a.db", write=True) as opened:
        keys = [(name, seed, "ablation", f"{name}{seed}") for seed in (0, 1) for name in ("full", "full-a")]
        opened.save_plan(PLAN, "", keys, {key: "{}" for *_, key in keys})
        yield opened


def start(store, key, slot=0):
    me = host.this_process()
    here = {"host": host.host(), "boot": host.boot(), "owner": str(me), "lease_s": 30.0, "log": ""}
    assert store.claim(key, f"t-{key}", device="cpu", slot=slot, **here)
    store.started(f"t-{key}", me.pid, me.started)


def finish(store, key, *values):
    start(store, key)
    for step, value in enumerate(values, 1):
        store.progress([(f"t-{key}", step, {"acc": value})])
    store.finish(f"t-{key}", {"acc": values[-1]}, {}, {})


def text(seen, width=120, height=40, glyphs=UNICODE):
    return "\n".join(line.plain for line in moments.drawn(seen, width, height, glyphs))


def test_a_running_run_is_held_against_its_comparison_at_the_same_epoch_and_seed(store):
    finish(store, "full0", 40.0, 60.0, 80.0)
    start(store, "full-a0")
    store.progress([("t-full-a0", 2, {"acc": 57.5})])
    seen = text(moment(store, "s"))
    assert "2/10  58  −2 vs full here, same seed" in seen
    assert "1 of 4 runs" in seen


def test_where_the_comparisons_seed_has_not_finished_the_mean_of_the_others_stands_in_and_says_so(store):
    finish(store, "full0", 40.0, 60.0)
    start(store, "full-a1")
    store.progress([("t-full-a1", 1, {"acc": 41.0})])
    assert "+1 vs full here, mean of 1" in text(moment(store, "s"))


def test_each_run_has_a_sign_by_row_and_seed_and_a_mean_so_far_its_n_and_no_verdict(store):
    finish(store, "full0", 80.0)
    finish(store, "full1", 82.0)
    finish(store, "full-a0", 75.5)
    start(store, "full-a1")
    lines = text(moment(store, "s")).splitlines()
    assert [
        "full    ●●                    81.0            2",
        "full-a  ●◐                    75.5      −4.5  1",
    ] == lines[3:5]
    assert "helps" not in "".join(lines)
    ascii_ = text(moment(store, "s"), glyphs=ASCII)
    assert ascii_.isascii()
    assert "full-a  */" in ascii_


@pytest.mark.parametrize(
    ("width", "ends"),
    [(9, "mean…"), (10, "mean…"), (11, "mean 98.80…"), (14, "mean 98.80 ±…"), (30, "mean 98.80 ± 0.2")],
)
def test_a_line_that_is_cut_ends_with_a_whole_word_for_half_a_number_is_another_one(width, ends):
    assert ends == fitted(Text("mean 98.80 ± 0.2"), width, UNICODE).plain


@pytest.mark.parametrize("width", [30, 40, 64, 80, 100])
def test_a_narrow_screen_shows_fewer_columns_and_every_mean_whole(store, width):
    finish(store, "full0", 80.25)
    finish(store, "full1", 82.5)
    finish(store, "full-a0", 60.25, 75.5)
    start(store, "full-a1")
    store.progress([("t-full-a1", 1, {"acc": 57.5})])
    lines = text(moment(store, "s"), width).splitlines()
    assert all(len(line) <= width for line in lines)
    assert {"81.4", "75.5"} <= set(" ".join(lines).split()), lines
    assert width < 80 or "vs full here, same seed" in "".join(lines), lines
    assert width < 100 or "━" in lines[-3], lines


@pytest.mark.parametrize("width", [40, 80, 100])
def test_no_line_of_a_live_view_is_wider_than_the_screen_and_quiet_rows_give_way(store, width):
    names = [f"full-{i:02}" for i in range(40)]
    rows = tuple(RowRecord("leave_one_out", name, "full") for name in names)
    variants = tuple(VariantRecord(name=name, tricks=(), config={"epochs": 10}) for name in ("full", *names))
    many = replace(PLAN, study="forty", variants=variants, rows=(PLAN.rows[0], *rows))
    cells = [(name, 0, "ablation", f"{name}0") for name in ("full", *names)]
    store.save_plan(many, "", cells, {key: "{}" for *_, key in cells})
    finish(store, "full0", 80.0)
    finish(store, "full-000", 81.0)
    start(store, "full-010")
    start(store, "full-020", slot=1)
    store.fail("t-full-020", "oom", "no memory", again=False)
    seen = text(moment(store, "forty"), width, height=24)
    assert all(len(line) <= width for line in seen.splitlines())
    assert len(seen.splitlines()) <= 24
    assert "38 rows more: 1 is done, 37 wait" in seen
    assert width < 80 or "seed 0: out of memory" in seen


def test_before_anything_has_finished_the_epochs_tell_how_long_it_takes(store):
    start(store, "full0")
    assert moment(store, "s").left_s is None
    store.progress([("t-full0", 5, {"acc": 1.0})])
    seen = moment(store, "s")
    assert seen.basis == "by the epochs so far"
    assert seen.left_s is not None


def test_a_failure_is_there_at_once_with_its_reason(store):
    start(store, "full0")
    store.fail("t-full0", "oom", "no memory", again=False)
    seen = text(moment(store, "s"))
    assert "1 failed" in seen
    assert "seed 0: out of memory" in seen


def test_watching_ends_when_nothing_is_to_come_and_speaks_only_of_changes(store, tmp_path, monkeypatch):
    monkeypatch.setattr(live, "LOOK_S", 0.01)
    for key in ("full0", "full-a0", "full1"):
        finish(store, key, 1.0)
    with open(tmp_path / "out", "w+") as file:
        start(store, "full-a1")

        def end():
            with Store.open(tmp_path / "a.db", write=True) as other:
                other.finish("t-full-a1", {"acc": 1.0}, {}, {})

        threading.Timer(0.3, end).start()
        assert not watch(store, "s", Console(file=file, width=100), idle_s=60).waits
        file.seek(0)
        lines = file.read().splitlines()
    assert ["s: 4 runs: 3 done, 1 running, 0 to do.", "s: 4 runs: 4 done, 0 to do."] == lines


def test_watching_what_nobody_runs_gives_up(store, monkeypatch):
    monkeypatch.setattr(live, "LOOK_S", 0.01)
    assert watch(store, "s", Console(file=io.StringIO()), idle_s=0.05).waits


TASK = """
import time

def train(config, run):
    for step in range(3):
        time.sleep(0.1)
        yield {"score": step + config["x"]}
"""
STUDY = "task: mine:train\nbase: {x: 0}\ntricks: {ex: {set: {x: 1}}}\nseeds: 2\nmetric: {name: score}\n"


def test_on_a_terminal_run_draws_what_runs_where_and_leaves_the_table(tmp_path):
    (tmp_path / "mine.py").write_text(TASK)
    (tmp_path / "study.yaml").write_text(STUDY)
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "ablate", "run", "study.yaml", "--workers", "1"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LC_ALL": "C.UTF-8"}
    process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=theirs, env=environment)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the terminal's other side was closed: the command has ended
            break
        if not part:
            break
        shown += part
    assert b"base+ex" in process.communicate()[0]
    assert 0 == process.returncode
    os.close(ours)
    assert b"of 4 runs" in shown
    assert b"cpu/0" in shown


def test_off_a_terminal_a_long_run_says_now_and_then_how_far_it_is_and_quiet_nothing(tmp_path):
    (tmp_path / "mine.py").write_text(TASK)
    (tmp_path / "study.yaml").write_text(STUDY)
    code = "from ablate.terminal import cli, live; live.LINE_S = 0.2; cli.main({words!r})"
    said = []
    for words in (["run", "study.yaml"], ["--quiet", "run", "study.yaml", "--set", "seeds=3"]):
        command = [sys.executable, "-c", code.format(words=words)]
        said.append(subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stderr)
    assert "of 4 runs" in said[0]
    assert "" == said[1]


def test_status_and_why_say_whose_runs_use_the_slots_and_which_run_needs_a_device_to_itself(store):
    store.save_plan(replace(PLAN, study="other"), "", [("mine", 3, "ablation", "z")], {"z": "{}"})
    start(store, "z")
    start(store, "full0", slot=1)
    store.fail("t-full0", "oom", "out of memory", again=True)
    slots = f"Slots that runs of other studies use: cpu/0 of {host.host()} (other: mine, seed 3)."
    alone = "Waiting for a device that nothing else uses, after they ran out of memory: full, seed 0."
    assert [slots, alone] == progress.standing(store, "s")["waits_for"]
    assert [slots, alone] == why_text(store, "full0").splitlines()[5:7]
    start(store, "full-a0", slot=1)
    assert "1 run of s is executed now; the others take their turn.\n" + slots in why_text(store, "full-a1")
