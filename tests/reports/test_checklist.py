"""A venue's checklist, from the database: golden answers, and a total of compute that leaves no attempt out."""

import shutil
import sqlite3
import subprocess
from contextlib import closing

import pytest
from reported import VALUES, fill, resolved

from ablate.analysis import results
from ablate.registry import Registry
from ablate.reports import checklist, grounds, material
from ablate.runs import spent
from ablate.store.store import Store
from ablate.store.stored import Spent
from ablate.tables import views

ONCE = {name: values[:1] for name, values in VALUES.items() if name != "base"} | {"base": [79.0]}


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """The same study with three seeds, of which one run failed, with one, of somebody's own task, imported, and from
    weights that others trained, on splits of their own."""
    made = {}
    imported = resolved(task="import", imported={"file": "runs.csv", "sha256": "0" * 64})
    started = resolved()
    for i, of in enumerate(started["variants"]):
        of["config"] |= {"init": {"torchvision": "resnet18"}, "data": {"name": "digits", "dev_size": 100 + i}}
    for name, plan, values in (
        ("three", None, VALUES),
        ("one", None, ONCE),
        ("own", resolved(task="train:main"), VALUES),
        ("program", resolved(task={"command": "python train.py {flags}"}), VALUES),
        ("elsewhere", imported, VALUES),
        ("started", started, VALUES),
    ):
        path = fill(tmp_path_factory.mktemp(name) / "a.db", plan, values)
        with Store.open(path) as store:
            made[name] = material.read(store, "demo")
    return made


@pytest.mark.parametrize(
    ("study", "venue", "number", "answer", "says"),
    [
        ("three", "neurips", "1", "Partial", "1 helps, 1 is equivalent and 1 is not decided. Helps: batch norm."),
        ("three", "neurips", "2", "Yes", "All numbers are of one data set (digits), one network (vgg) and 2 to 3 seeds"),
        ("three", "neurips", "2", "Yes", "1 of 12 runs failed and is in no mean."),
        ("three", "neurips", "6", "Yes", "The same in all: epochs 4."),
        ("three", "neurips", "12", "Partial", "license of digits: CC BY 4.0. ablate is under the MIT license."),
        ("three", "mlrc", "4.1", "Yes", "Python 3.12.1; PyTorch 2.9.0; NumPy 2.1.0"),
        ("started", "neurips", "12", "Partial", "Weights: torchvision resnet18. ablate is under the MIT license."),
        ("started", "neurips", "12", "Partial", "; license of the weights, and terms of the data that they were trained on]"),
        ("started", "mlrc", "3.2", "Yes", "dev_size 103. The split is the same for every seed; choices were made on dev."),
        ("program", "mlrc", "4.2", "Partial", "What trains and evaluates is `python train.py {flags}`"),
        ("own", "neurips", "4", "Partial", "`ablate verify full:0` finds that out."),
        ("three", "neurips", "4", "Yes", "One command trains every variant and seed again"),
        ("three", "neurips", "5", "TODO", "identified by its hashes (code data:digits v1"),
        ("three", "neurips", "6", "Yes", "No hyperparameter was searched by ablate. Plan fixed before the first run."),
        ("three", "neurips", "7", "Yes", "Differences come with 95 % intervals by Student's t over paired seeds"),
        ("three", "neurips", "8", "Yes", "runs that the tables show"),
        ("three", "neurips", "9", "TODO", "[TODO: read the code of ethics, then answer]"),
        ("three", "neurips", "12", "Partial", "data: digits; SHA-256 dddddddddddd"),
        ("three", "aaai", "4.2", "NA", "[TODO: say where the values come from]"),
        ("three", "aaai", "4.7", "Yes", "Every run has a seed (seeds 0 to 2)"),
        ("three", "aaai", "4.8", "Partial", "a kind of CPU; Python 3.12.1; PyTorch 2.9.0"),
        ("three", "aaai", "4.9", "Partial", "dev_accuracy (higher is better), at the end of each run"),
        ("three", "aaai", "4.10", "Yes", "Each mean is over 2 to 3 runs with different seeds (seeds 0 to 2); 11 runs in all."),
        ("three", "aaai", "4.12", "Yes", "Holm"),
        ("three", "arr", "C1", "TODO", "failed and interrupted attempts"),
        ("three", "arr", "C4", "Partial", "a kind of CPU"),
        ("three", "mlrc", "5.2", "Yes", "Not every planned run counts: base 2 of 3."),
        ("own", "neurips", "4", "Partial", "[TODO: say whether your code gives the same numbers for the same seed]"),
        ("program", "neurips", "6", "Partial", "Each run executes `python train.py {flags}` with the options"),
        ("program", "aaai", "4.8", "Partial", "PyTorch 2.9.0 (installed for the program)"),
        ("program", "aaai", "4.12", "Yes", "own program with Python 3.12.1, PyTorch 2.9.0 and NumPy 2.1.0 installed on"),
        ("own", "neurips", "7", "Yes", "what differs between runs of one variant. [TODO: say what that is"),
        ("own", "aaai", "4.7", "Partial", "the code is given it. [TODO: say what it seeds]"),
        ("own", "aaai", "4.13", "Partial", "[TODO: list what your own code fixes"),
        ("elsewhere", "neurips", "5", "TODO", "[TODO: link to the published code and its license]"),
        ("elsewhere", "neurips", "7", "Yes", "[TODO: say what that is; the runs were trained elsewhere]"),
        ("elsewhere", "aaai", "4.2", "TODO", "[TODO: say what was searched, for the runs were trained elsewhere]"),
        ("elsewhere", "aaai", "4.9", "Partial", "[TODO: at which epoch, and of which examples]"),
        ("one", "neurips", "7", "No", "Every variant was trained once, so no number has an error bar"),
        ("one", "aaai", "4.11", "No", "Every variant was trained once"),
        ("one", "aaai", "4.12", "No", "Every variant was trained once"),
        ("one", "arr", "C3", "No", "no difference was tested"),
        ("one", "mlrc", "5.4", "No", "what looks like an effect may be the seed"),
    ],
)  # fmt: skip
def test_an_answer_is_what_the_database_can_answer_for(studies, study, venue, number, answer, says):
    of = checklist.CHECKLISTS[venue]
    (one,) = (one for one in of.answered(studies[study]) if one.item.number == number)
    assert answer == one.ground.answer
    assert says in one.ground.because
    assert (one.answer == "TODO") == (one.ground.answer not in of.words)
    assert one.answer != "TODO" or grounds.todo_in(one.ground.because)


def test_the_total_of_compute_is_the_sum_over_every_attempt_of_the_database(tmp_path):
    path = fill(tmp_path / "a.db")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE attempt SET ended_at = started_at + 100 * id")
        database.execute("DELETE FROM cell WHERE variant = 'base' AND seed = 1")  # of an earlier plan
        database.execute("UPDATE cell SET role = 'tune' WHERE variant = 'full-h'")
        (total,) = database.execute("SELECT sum(ended_at - started_at) FROM attempt").fetchone()
    with Store.open(path) as store:
        took = spent.compute(store.spent(), "demo")
    assert abs(total - took.total.wall_s) < 1
    assert {"counted": 7, "search": 3, "failed": 1} == {k: of.attempts for k, of in took.by_kind.items() if of.attempts}
    assert 1 == took.nobodys.attempts
    with Store.open(path) as store:
        said = grounds.compute(material.read(store, "demo")).because
    assert f"Total with all of these: {spent.in_words(took.total)}." in said
    assert "preliminary ones, of earlier plans in the same database" in said


def test_gpus_and_cores_are_counted_apart_and_a_result_that_does_not_count_is_superseded():
    ours = frozenset({("s", "ablation", "a"), ("t", "ablation", "b")})
    attempts = [
        Spent("k", "cuda:0+cuda:1", 60.0, "done", None, True, ours, 4, gpus=2),
        Spent("k", "cpu", 30.0, "done", None, False, ours, 2),
        Spent("l", "cpu", 10.0, "failed", "oom", False, frozenset({("t", "ablation", "b")}), 1),
    ]
    took = spent.compute(attempts, "s")
    assert (120.0, 0.0) == (took.by_kind["counted"].gpu_s, took.by_kind["counted"].core_s)
    assert (0.0, 60.0) == (took.by_kind["superseded"].gpu_s, took.by_kind["superseded"].core_s)
    assert 10.0 == took.others.wall_s
    assert {"a": 2} == {name: of.attempts for name, of in took.by_variant.items()}


def test_gpus_are_told_by_the_device_or_by_who_executed_and_energy_by_what_was_measured(tmp_path):
    path = fill(tmp_path / "a.db")
    measured = '{"energy": {"cpu_kwh": 0.25, "gpu_kwh": 0.5}, "gpus": 4}'
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE attempt SET ended_at = started_at + 60")
        database.execute("UPDATE attempt SET device = 'cuda:0+cuda:1' WHERE id = 1")
        database.execute("UPDATE attempt SET device = 'slurm', provenance = ? WHERE id = 2", [measured])
        (count,) = database.execute("SELECT count(*) FROM attempt").fetchone()
    with Store.open(path) as store:
        took = spent.compute(store.spent(), "demo")
        loaded = results.load(store, "demo")
        view = views.view(loaded, "cost")
    assert (6 * 60, (count - 2) * 60) == (took.study.gpu_s, took.study.core_s)
    assert (0.75, 1, 1) == (took.study.kwh, took.study.cpu_metered, took.study.gpu_metered)
    assert [0.75, None] == sorted({row["energy_kwh"] for row in view.records}, key=str)
    assert any(f"No energy of all parts for {count - 1} attempts of {count}" in note for note in view.notes)


@pytest.mark.parametrize("venue", checklist.CHECKLISTS)
def test_what_is_left_to_do_can_be_searched_for_and_no_name_is_markup(studies, venue):
    for kind, render in (("latex", checklist.latex), ("markdown", checklist.markdown)):
        text = render(checklist.CHECKLISTS[venue], studies["three"], Registry().make("tables", kind, {}).text)
        assert "[TODO: " in text
        assert kind == "markdown" or r"\input{/etc" not in text.replace(r"\textbackslash{}input", "")
        assert "<script>" not in text


def test_no_backtick_of_a_name_ends_the_code_that_it_stands_in(studies):
    shown = grounds.Ground("Yes", "It is.", "ablate show 'a`<script>' --model")
    asked = checklist.Checklist("t", (checklist.Item("1", "t", "is it", lambda _: shown),), {"Yes": "Yes"})
    text = checklist.markdown(asked, studies["three"], Registry().make("tables", "markdown", {}).text)
    assert "* Evidence: ``ablate show 'a`<script>' --model``" in text


def test_code_in_an_answer_is_code_and_what_is_left_is_counted_by_how_much_of_it(studies):
    asked = checklist.CHECKLISTS["mlrc"]
    for kind, render, code in (
        ("latex", checklist.latex, r"\texttt{python train.py \{flags\}}"),
        ("markdown", checklist.markdown, "`python train.py {flags}`"),
    ):
        assert code in render(asked, studies["program"], Registry().make("tables", kind, {}).text)
    said = checklist.counted(checklist.CHECKLISTS["neurips"].answered(studies["three"]))
    assert said.startswith("16 items: 2 answered from the database, 7 as far as it knows, 7 left to you")


@pytest.mark.slow
@pytest.mark.parametrize("program", ["pdflatex", "lualatex"])
def test_every_checklist_compiles(studies, tmp_path, program):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed: apt-get install texlive-latex-extra texlive-luatex")
    escape = Registry().make("tables", "latex", {}).text
    body = "\n".join(checklist.latex(of, studies["three"], escape) for of in checklist.CHECKLISTS.values())
    head = "\\documentclass{article}\\ifdefined\\directlua\\else\\usepackage[T1]{fontenc}\\fi\\begin{document}\n"
    (tmp_path / "c.tex").write_text(f"{head}{body}\\end{{document}}\n")
    done = subprocess.run(
        [program, "-halt-on-error", "-interaction=nonstopmode", "c.tex"], cwd=tmp_path, capture_output=True, text=True
    )
    assert 0 == done.returncode, done.stdout[-2000:]
