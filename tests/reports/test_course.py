"""The report of a course, from the manual's own page: two pages with 300 words of notes, and all that a brief asks."""

import random
import re
import subprocess
import sys
from dataclasses import replace

import pytest
from snippets import MANUAL, blocks

from ablate.reports import material, report
from ablate.reports.document import Bullets, Model, Models, Paragraph, Picture, Table, line, plain
from ablate.reports.formats.pdf import Pdf
from ablate.reports.layouts import fitting, layout_of
from ablate.reports.setter import Setter
from ablate.runs import planned, saving
from ablate.store.store import Store

MADE_WITH = {"torch": "2.9.0", "numpy": "2.1.0", "python": "3.12.1", "processor": "a kind of CPU", "ablate": "ab" * 32}
WORDS = (
    "The plain net is the smallest idea that works, so we expected its norm to matter most; dropout was meant to stop "
    "it from leaning on single features, but in so few epochs it mainly slows the learning down. "
)
SAID = (
    "notes:\n"
    "  title: Three small nets\n"
    "  authors: [Ada L., Alan T.]\n"
    f"  text: {WORDS * 3}\n"
    "  variants:\n"
    f"    A: '**Highlight:** cheap. *Intuition:* {WORDS}'\n"
    f"    B: '**Highlight:** fast. *Intuition:* {WORDS}'\n"
    f"    C: '**Highlight:** deep. *Intuition:* {WORDS}'\n"
    "  tricks:\n"
    f"    batchnorm: {WORDS}\n"
    f"    onecycle: {WORDS}\n"
)
"""All that is the students' own: eight times 41 words."""


def train(plan: planned.Planned, store: Store) -> None:
    """What a training would have left of each run: without batch norm 15 points less."""
    for run in plan.plan.runs:
        noise = random.Random(f"{run.variant} {run.seed}").gauss(0, 0.7)
        value = {"A": 50, "B": 58, "C": 54}[run.variant[0]] - 15 * run.variant.endswith("-batchnorm") + noise
        slot = {"host": "h", "boot": "b", "owner": "1:1", "log": "l", "lease_s": 30.0, "device": "cpu", "slot": 0}
        token = f"{run.variant} {run.seed}"
        store.claim(run.key, token, **slot)
        for epoch in range(1, 11):
            curve = {"dev_accuracy": value * (1 - 0.5**epoch), "dev_loss": 2 / epoch + noise / 9}
            store.progress([(token, epoch, curve | {"train_loss": 1.8 / epoch})])
        last = {"dev_accuracy": value, "dev_loss": 0.2 + noise / 9, "parameters": 10000.0}
        store.finish(token, last, {"weights": run.key}, MADE_WITH)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The course page's own files, its study with 300 words of notes, and its runs."""
    folder = tmp_path_factory.mktemp("course")
    files = {block.info: block.text for block in blocks(MANUAL / "course-brief.md") if block.language != "sh"}
    (folder / "make_data.py").write_text(files["make_data.py"])
    subprocess.run([sys.executable, "make_data.py"], cwd=folder, check=True)
    study = re.sub(r"\nnotes:.*\n( .*\n|\n)*", "\n", files["brief.yaml"]).replace("root: .", f"root: {folder}")
    (folder / "brief.yaml").write_text(f"{study}\n{SAID}")
    with Store.open(folder / "a.db", write=True) as store:
        plan = planned.find(str(folder / "brief.yaml"), str(folder / "a.db"))
        saving.save(plan, store)
        train(plan, store)
        return report.document(material.read(store, "brief"))


def text(blocks):
    return "\n".join(plain(one.text) for one in blocks if isinstance(one, Paragraph))


def test_300_words_of_notes_and_all_that_a_brief_asks_for_fit_two_pages(made, tmp_path):
    assert 300 <= len(text(made.own).split())
    (pdf,) = Pdf().files(made, "r.pdf").values()
    assert 2 == len(re.findall(rb"/Type\s*/Page\b", pdf))
    layout = fitting(Setter(made, tmp_path).length)
    assert layout is not None
    assert not {"question", "variants", "models", "words", "table", "best", "support", "reproduce"} & layout.without
    assert layout.also
    (table, *_) = made.section("table").blocks
    assert isinstance(table, Table)
    assert len(table.data.rows) <= layout.rows, "no row of the ablation is cut"


def test_a_courses_report_holds_highlights_tables_the_best_models_curves_and_how_to_train(made):
    (models,) = made.section("models").blocks
    assert isinstance(models, Models)
    assert ["A", "B", "C"] == [one.name for one in models.models if "Highlight:" in text(one.blocks)]
    (table, *_) = made.section("table").blocks
    assert {"A-batchnorm", "B-skip", "C-onecycle"} <= {row.variant for row in table.data.rows}
    sentence, picture = made.section("best").blocks
    assert isinstance(picture, Picture)
    assert ("best_variant", "The best model: B") == (picture.name, made.section("best").title)
    assert re.search(r"dev accuracy 5\d\.\d+\s±\s\d.*\s%\s\(n\s=\s3\); dev loss 0\.\d+\s±\s", plain(sentence.text))
    loop = text(made.section("reproduce").blocks)
    assert "The training loop is ablate/training/trainer.py; ablate run brief.yaml runs it" in loop
    assert "--set data.root=FOLDER" in loop


def test_what_a_trick_is_worth_over_all_models_stands_in_the_answer_and_in_the_sentences(made):
    said = r"batch norm helps on the mean over A, B and C: without it.* −1[45]\."
    for section in ("question", "support"):
        items = [plain(item) for one in made.section(section).blocks if isinstance(one, Bullets) for item in one.items]
        assert any(re.match(said, item) for item in items), section


def test_each_model_is_told_with_the_settings_that_are_its_own(made):
    (models,) = made.section("models").blocks
    said = {model.name: model.said for model in models.models}
    assert "optimizer sgd (lr 0.05, " in said["A"]
    assert "optimizer sgd (lr 0.1, " in said["B"]


def test_a_model_without_words_stands_below_the_others_and_leaves_no_hole(made, tmp_path):
    models = Models((Model("N0", "a small net"), Model("A", "", (Paragraph(line("Cheap.")),))))
    typst = Setter(made, tmp_path)._block(models, layout_of(()))
    assert "(1fr,) * 1" in typst
    assert typst.index("Cheap.") < typst.index("N0")


def test_tricks_are_the_rows_where_they_are_more_than_the_models(made):
    *_, tricks = made.section("variants").brief
    assert ("trick", "kind", "A", "B", "C", "what it changes") == tricks.data.header
    assert ("skip connections", "skip", "", "✓", "✓", "model.skip: false → true") in tricks.data.rows


def test_a_table_whose_words_are_wider_than_its_column_is_set_smaller(made, tmp_path):
    *_, tricks = made.section("variants").brief
    wide = replace(tricks, data=replace(tricks.data, header=("trick", "kind", *["Verbindungen" * 3] * 4)))
    narrow, wider = (Setter(made, tmp_path)._block(one, layout_of(())) for one in (tricks, wide))
    least = [float(re.match(r"#fitted\((\d+)pt\)", typst).group(1)) for typst in (narrow, wider)]
    assert least[0] < 250 < least[1]
