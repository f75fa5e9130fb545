"""The figure of a learning-rate range test: the loss over the rate. Made from a test that was just done, not stored."""

from __future__ import annotations

from ablate.figures.scene import Axis, Panel, Rule, Scene, Series
from ablate.runs.rates import Tested


def scene(tested: Tested) -> Scene:
    """Loss of each batch and its smoothed course by rate, with the rates that matter."""
    found = tested.found
    # A batch at the very end may have a loss of any size; what the axis is for lies below the first one's.
    top = max(1.15 * max(found.smooth[: max(len(found.smooth) // 2, 1)]), 1.15 * found.smooth[0])
    raw = tuple(loss if loss <= top else None for loss in found.losses)
    smooth = tuple(loss if loss <= top else None for loss in found.smooth)
    hover = tuple(f"lr {rate:.3g}: {loss:.4g}" for rate, loss in zip(found.rates, found.smooth, strict=True))
    marks = (
        Series(found.rates, raw, colour="grey", dash="solid", width=0.8, faint=True, label="a batch"),
        Series(found.rates, smooth, colour="blue", dash="solid", width=1.8, label="smoothed", hover=hover),
        Rule("x", found.steepest, "dotted", "falls fastest"),
        Rule("x", found.lowest, "dashed", "lowest"),
        Rule("x", tested.own, "solid", "the study's"),
    )
    of = f"{tested.variant}, seed {tested.seed}"
    caption = (
        f"Training loss of {of} while the learning rate rises at each of {len(found.rates)} steps (range test, Smith "
        f"2017): falls fastest at {found.steepest:.2g}, lowest at {found.lowest:.2g}; the study has {tested.own:g}. "
        "One training of a few steps: no comparison rests on it."
    )
    return Scene(
        title=f"{tested.study}: learning-rate range test of {of}",
        caption=caption,
        alt=f"Line plot of training loss over learning rate. {caption}",
        panels=(Panel(x=Axis("learning rate", log=True), y=Axis("training loss", grid=True, high=top), marks=marks),),
    )
