"""A stored plan in words: what each trick changes, and what is said of bases."""

from plans import bare

from ablate.records import TrickUse
from ablate.reports.variants import apart, bases, changes, configuration, part
from ablate.study.record import TrickRecord, VariantRecord


def variant(name, *tricks, of="", uses=(), **config):
    return VariantRecord(name=name, tricks=tricks, config=config, uses=tuple(TrickUse(*use) for use in uses), of=of)


def plan(*variants, tricks=("bn", "opt")):
    levels = {"opt": ("adamw",)}
    return bare(tricks=tuple(TrickRecord(name=t, levels=levels.get(t, ())) for t in tricks), variants=variants)


def test_a_trick_is_told_by_the_two_variants_that_differ_by_it_alone():
    vgg, sgd = {"name": "vgg", "norm": "none"}, {"name": "sgd", "lr": 0.1}
    adamw = {"name": "adamw", "lr": 0.001}
    found = changes(
        plan(
            variant("base", model=vgg, optimizer=sgd),
            variant("base+bn", "bn", model={**vgg, "norm": "batch"}, optimizer=sgd),
            variant("full", "bn", "opt=adamw", model={**vgg, "norm": "batch"}, optimizer=adamw),
        )
    )
    assert [("model.norm: none → batch",), ("optimizer: sgd → adamw (lr 0.001)",)] == [change.lines for change in found]


def test_a_file_of_the_shelf_is_told_with_its_parameters():
    off, on = variant("base", x=1), variant("base+bn", "bn", uses=[("mixup", {"alpha": 0.2})], x=1)
    assert ("mixup (alpha 0.2)",) == changes(plan(off, on, tricks=["bn"]))[0].lines


def test_a_part_of_the_network_is_told_with_what_stands_there_without_it():
    a, b = {"part": "a", "instead": "zero"}, {"part": "b", "heads": [0, 2]}
    rows = [variant("x", *on, uses=[("without", {"parts": gone})] if gone else ()) for on, gone in (
        (("bn", "opt"), []), (("opt",), [a]), (("bn",), [b]), ((), [a, b]),
    )]  # fmt: skip
    found = changes(bare(tricks=(TrickRecord(name="bn"), TrickRecord(name="opt")), variants=tuple(rows)))
    assert [("a: zero → there",), ("b (heads 0, 2): zero → there",)] == [change.lines for change in found]
    assert found == changes(bare(tricks=(TrickRecord(name="bn"), TrickRecord(name="opt")), variants=tuple(rows[::-1])))


def test_a_trick_that_never_stands_alone_is_not_guessed_at():
    both = variant("full", "bn", "opt=adamw", x=2)
    assert [(), ()] == [change.lines for change in changes(plan(variant("base", x=1), both))]


def test_no_folder_is_told():
    data = {"name": "npz", "root": "/home/me/secret", "train": "/tmp/x/train.npz"}
    assert [("data", "npz")] == configuration({"data": data, "root": "/home/me"})


def test_what_is_off_is_left_out_of_a_base_and_told_of_a_change():
    options = {"name": "crop", "flip": False, "padding": 4}
    assert [("x", "crop (padding 4)")] == configuration({"x": options})
    assert "crop (flip false, padding 4)" == part(options)


def test_bases_are_told_apart_by_what_differs_and_without_what_tricks_set():
    def on(name, width, *tricks):
        norm = "batch" if "bn" in tricks else "none"
        return variant(name, *tricks, of=name[0], model={"width": width, "norm": norm}, epochs=5)

    found = bases(plan(on("A", 8, "bn"), on("A-bn", 8), on("B", 16, "bn"), tricks=["bn"]))
    assert [("A", "A-bn"), ("B", "B")] == [(base.name, base.variant) for base in found]
    assert [("A", "model width 8"), ("B", "model width 16")] == apart(found)
