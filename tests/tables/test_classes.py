"""The accuracy of each class, from what runs said of each example."""

import json

import numpy as np
import pytest
from plans import bare

from ablate.analysis import results
from ablate.errors import AblateError
from ablate.records import Metric
from ablate.registry import Registry
from ablate.store.store import Store
from ablate.study.record import RowRecord, VariantRecord
from ablate.tables import views
from ablate.tables.table import TableOptions
from ablate.training.examples import Examples, ExampleSet, of_classes

OF = ExampleSet(tuple("abcdef"), (0, 0, 0, 0, 1, 1), (), ("cat", "<b>"))
SAID = {"base": [(0, 0, 0, 1, 1, 1), (0, 0, 1, 1, 1, 0)], "more": [(0, 0, 0, 0, 1, 1), (0, 0, 0, 0, 0, 0)]}


@pytest.fixture
def loaded(tmp_path):
    """Two variants with two seeds on four cats and two of another class."""
    keys = {f"{variant}{seed}": (variant, seed) for variant in SAID for seed in (0, 1)}
    record = bare(
        "s",
        metric=Metric("acc"),
        variants=tuple(VariantRecord(name=name, tricks=(), config={}) for name in SAID),
        rows=(RowRecord("d", "base", None), RowRecord("d", "more", "base", ("more",))),
    )
    with Store.open(tmp_path / "a.db", write=True) as store:
        store.save_plan(record, "", [(*at, "ablation", key) for key, at in keys.items()], dict.fromkeys(keys, "{}"))
        for slot, (key, (variant, seed)) in enumerate(keys.items()):
            store.claim(key, key, host="h", boot="b", owner="1:1", log="", lease_s=30.0, device="cpu", slot=slot)
            column = of_classes("acc", np.array(SAID[variant][seed]), np.array(OF.labels), 2, 100.0)
            store.finish(key, {"acc": column.values().mean()}, {}, {}, Examples(OF.fingerprint, OF.text, (column,)))
        yield results.load(store, "s")


def shown(loaded, format_):
    return Registry().make("tables", format_, {}).render(views.view(loaded, "classes"), TableOptions())


def test_each_class_has_its_accuracy_and_what_a_trick_does_to_it(loaded):
    cat, other = json.loads(shown(loaded, "json"))["classes"]
    assert ("cat", 4, 62.5, 37.5) == (cat["class"], cat["n"], cat["rows"][0]["accuracy"], cat["rows"][1]["delta"])
    assert ("<b>", 2, 75.0, -25.0) == (
        other["class"],
        other["n"],
        other["rows"][0]["accuracy"],
        other["rows"][1]["delta"],
    )
    assert "among the 6 that acc is measured on" in shown(loaded, "markdown")


@pytest.mark.parametrize("format_", Registry().names("tables"))
def test_the_view_renders_in_every_format_with_hostile_classes_as_text(loaded, format_):
    text = shown(loaded, format_)
    assert "cat" in text
    assert ("<b>" in text) == (format_ in ("csv", "json", "typst"))


def test_which_class_was_taken_for_which_is_counted(loaded):
    said = loaded.predictions().of("base")
    assert [[3.0, 1.0], [0.0, 2.0]] == said[0].confusion().tolist()
    assert [[2.0, 2.0], [1.0, 1.0]] == said[1].confusion().tolist()


def test_a_study_whose_runs_told_no_class_is_told_how_to_find_it_out(tmp_path):
    with Store.open(tmp_path / "a.db", write=True) as store:
        store.save_plan(bare("s"), "", [], {})
        with pytest.raises(AblateError, match="no run of s told the class of each example; `ablate examples s`"):
            views.view(results.load(store, "s"), "classes")
