"""How often verdicts over several settings are wrong, and what they find; printed by error_rates.py.

Every row is compared with one baseline at shared seeds; the values of a setting spread by its own standard deviation:
equal, lognormal (of log-sd 0.5), or one setting 10 x the others. Differences are in units of a setting's own spread, an
effect of 1.5 likewise, so that a loud setting also has the larger effect. Examples in common: all settings are measured on
the same 200 images, on which a row's differences are the same in every setting but for a part of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import special

from ablate.analysis import across, scores
from ablate.analysis.comparisons import ALPHA, Array

SPREADS: dict[str, Callable[[np.random.Generator, int, int], Array]] = {
    "equal": lambda rng, studies, k: np.ones((studies, k)),
    "lognormal": lambda rng, studies, k: np.exp(0.5 * rng.normal(size=(studies, k))),
    "one 10 x": lambda rng, studies, k: np.concatenate(
        [np.full((studies, 1), 10.0), np.ones((studies, k - 1))], axis=1
    ),
}
SETTINGS, SEEDS, ROWS = (2, 3, 5, 7, 10), (3, 5), 8
EFFECT = 1.5
VARY = (0.0, 0.5, 1.5)
"""How much the true differences of a row vary over settings, in standard deviations of a value."""
IMAGES, ROWS_ON_IMAGES = 200, 4
LIMIT = 0.055
"""A share of studies that is promised; two standard errors are allowed for the simulation's own."""
CHUNK = 2000


@dataclass(frozen=True)
class Share:
    """How many of so many studies."""

    hits: int
    studies: int

    @property
    def value(self) -> float:
        return self.hits / self.studies

    @property
    def se(self) -> float:
        return float(np.sqrt(self.value * (1 - self.value) / self.studies))

    @property
    def holds(self) -> bool:
        return self.value <= LIMIT + 2 * self.se

    def __str__(self) -> str:
        return f"{100 * self.value:.1f} ± {100 * self.se:.1f}"


class Counts(dict[str, list[int]]):
    """Of each test how many studies it was asked about, and how many it calls."""

    def add(self, name: str, called: Array) -> None:
        """called: (studies,) or, for shares of rows, any shape."""
        found = self.setdefault(name, [0, 0])
        found[0] += int(called.sum())
        found[1] += called.size

    def share(self, name: str) -> Share:
        return Share(*self[name])


def family(p: Array) -> Array:
    """Whether Holm calls any of the rows (the last axis): whether it calls the one with the smallest p."""
    return np.asarray(np.nanmin(np.where(np.isfinite(p), p, 1.0), axis=-1) * p.shape[-1] < ALPHA)


def differences(
    rng: np.random.Generator, spread: str, settings: int, seeds: int, studies: int, effect: float, vary: float
) -> tuple[Array, Array]:
    """(studies, rows, settings) differences and V_s of each, in units of each setting's own scale times its spread."""
    scale = SPREADS[spread](rng, studies, settings)[:, None, :]
    values = rng.normal(size=(seeds, studies, ROWS + 1, settings))
    paired = values[:, :, 1:] - values[:, :, :1]
    true = effect + vary * rng.normal(size=(studies, ROWS, settings))
    return scale * (paired.mean(axis=0) + true), scale**2 * paired.var(axis=0, ddof=1) / seeds


def simulate(spread: str, settings: int, seeds: int, studies: int, seed: int = 20260101) -> Counts:
    """A line: without any difference, with differences that vary about nothing, and with EFFECT in every setting."""
    rng = np.random.default_rng([seed, list(SPREADS).index(spread), settings, seeds])
    counts = Counts()
    for begun in range(0, studies, CHUNK):
        count = min(CHUNK, studies - begun)
        for vary in VARY:
            e, v = differences(rng, spread, settings, seeds, count, 0.0, vary)
            if vary == 0:
                _nothing(counts, e, v, seeds)
            if settings >= across.LIKE_THESE:
                counts.add(f"like {vary}", family(across.like_these(e).p))
                some = slice(max(count // 20, 1))  # iterated, and no promise
                counts.add(f"reml {vary}", across.reml(e[some], v[some]).p < ALPHA)
        e, v = differences(rng, spread, settings, seeds, max(count // 10, 1), EFFECT, 0.0)
        df = np.full(e.shape, seeds - 1.0)
        counts.add("found", across.mean(e, v, df).p * ROWS < ALPHA)
        alone = across.by_t(e, v, df).p
        counts.add("found alone", alone * ROWS < ALPHA)
        counts.add("found standardised", across.standardised(e, alone)[1] * ROWS < ALPHA)
    return counts


def _nothing(counts: Counts, e: Array, v: Array, seeds: int) -> None:
    """Every test where nothing is true."""
    df = np.full(e.shape, seeds - 1.0)
    counts.add("mean", family(across.mean(e, v, df).p))
    own = across.by_t(e.mean(axis=-1), v.mean(axis=-1) / v.shape[-1], across.satterthwaite(v, df))
    counts.add("own", family(own.p))
    counts.add("standardised", family(across.standardised(e, across.by_t(e, v, df).p)[1]))
    counts.add("f", across.welch_f(e, v, df) < ALPHA)
    w = 1 / v
    centre = (w * e).sum(axis=-1) / w.sum(axis=-1)
    q = (w * (e - centre[..., None]) ** 2).sum(axis=-1)
    counts.add("q", special.chdtrc(v.shape[-1] - 1, q) < ALPHA)


def on_images(settings: int, seeds: int, studies: int, common: float, seed: int = 20260102) -> Counts:
    """A line of settings that share their images. common: the share of an image's difference that settings share."""
    rng = np.random.default_rng([seed, settings, seeds, round(100 * common)])
    counts, size = Counts(), max(CHUNK * 10 // settings // 10, 1)
    for begun in range(0, studies, size):
        e, v, blocks = _images(rng, settings, seeds, min(size, studies - begun), common)
        df = np.full(e.shape, seeds - 1.0)
        for name, beyond in (*blocks.items(), ("seeds", None)):
            counts.add(name, family(across.mean(e, v, df, beyond).p))
    return counts


def _images(
    rng: np.random.Generator, settings: int, seeds: int, studies: int, common: float
) -> tuple[Array, Array, dict[str, across.Beyond]]:
    """Differences, V_s, and what examples say: averaged per image first, and added up as if the images were others."""
    shape = (studies, ROWS_ON_IMAGES + 1, settings, IMAGES)
    each = np.float32(np.sqrt(1 - common)) * rng.standard_normal(shape, np.float32)
    each += np.float32(np.sqrt(common)) * rng.standard_normal((studies, ROWS_ON_IMAGES + 1, 1, IMAGES), np.float32)
    # A cell's own noise has the same spread as an image's difference; of `seeds` cells only the mean is needed here.
    each += rng.standard_normal(shape, np.float32) / np.float32(np.sqrt(seeds))
    b = each[:, 1:] - each[:, :1]
    noise = 2.0 / seeds / IMAGES  # of a difference: known well, by (seeds - 1) x (images - 1) degrees of freedom
    over_seeds = rng.normal(size=(seeds, studies, ROWS_ON_IMAGES + 1, settings)) * 0.05
    over_seeds += rng.normal(size=over_seeds.shape) * np.sqrt(1 / IMAGES)
    drawn = over_seeds[:, :, 1:] - over_seeds[:, :, :1]
    v = drawn.var(axis=0, ddof=1) / seeds
    # The noise of a cell is in b already: what seeds add to the mean is their own part.
    own = rng.normal(size=(studies, ROWS_ON_IMAGES + 1, settings)) * 0.05 / np.sqrt(seeds)
    e = b.mean(axis=-1, dtype=np.float64) + own[:, 1:] - own[:, :1]
    averaged = b.mean(axis=2, dtype=np.float64).var(axis=-1, ddof=1)[..., None] / IMAGES
    added = b.astype(np.float64).var(axis=-1, ddof=1) / IMAGES / settings**2
    return (
        e,
        v,
        {
            "averaged": across.Beyond(averaged, np.full(averaged.shape, noise / settings), np.full(1, IMAGES - 1.0)),
            "added": across.Beyond(added, np.full(added.shape, noise / settings**2), np.full(settings, IMAGES - 1.0)),
        },
    )


def uneven(settings: int, seeds: int, studies: int, seed: int = 20260105) -> Share:
    """How often Welch's F errs, of single rows without any difference, where spreads are lognormal of log-sd 1."""
    rng = np.random.default_rng([seed, settings, seeds])
    scale = np.exp(rng.normal(size=(studies, settings)))[:, None, :]
    values = rng.normal(size=(seeds, studies, ROWS + 1, settings))
    paired = scale * (values[:, :, 1:] - values[:, :, :1])
    v = paired.var(axis=0, ddof=1) / seeds
    counts = Counts()
    counts.add("f", across.welch_f(paired.mean(axis=0), v, np.full(v.shape, seeds - 1.0)) < ALPHA)
    return counts.share("f")


def covered(settings: int, seeds: int, studies: int, seed: int = 20260103) -> Share:
    """How often the interval of an interquartile mean over seeds holds its value: normal scores, settings' means as far
    apart as a setting's scores."""
    rng = np.random.default_rng([seed, settings, seeds])
    rng.normal(size=settings)
    hits = 0
    for _ in range(studies):
        means = rng.normal(size=settings)
        truth = scores.iqm([mean + rng.normal(size=4000) for mean in means])
        ends = scores.interval(scores.iqm, [mean + rng.normal(size=seeds) for mean in means], resamples=1000)
        assert ends is not None, "three seeds or more"
        hits += bool(ends[0] <= truth <= ends[1])
    return Share(hits, studies)


def report_uneven(studies: int) -> None:
    print(
        f"\nWelch's F where settings spread by a log-sd of 1, twice that of the lines above: single rows without any "
        f"difference, in % ({ROWS} rows in {studies:,} studies a line), wherever the table prints it.\n"
    )
    print("| settings | seeds | F |\n|--:|--:|--:|")
    worst = 0.0
    for settings, seeds in ((2, 3), (3, 3), (3, 5), (5, 5), (5, 10), (7, 10), (10, 10)):
        found = uneven(settings, seeds, studies)
        worst = max(worst, found.value)
        print(f"| {settings} | {seeds} | {found} |")
    print(f"\nIn at most {100 * worst:.1f} %, where the rule is 6 % of studies with spreads as above.")


def report_covered(studies: int) -> None:
    print(
        f"\n`--view iqm`: how often the 95 % interval of an interquartile mean holds its value, in % of {studies:,} studies "
        "with normal scores.\n"
    )
    print("| settings | seeds | holds |\n|--:|--:|--:|")
    for seeds in (3, 5, 10):
        for settings in (2, 3, 5, 10, 26):
            print(f"| {settings} | {seeds} | {covered(settings, seeds, studies)} |")


# ------------------------------------------------------------------------------------------------------------ the report


def report(studies: int) -> list[str]:
    """Print the part about settings; the promises that do not hold come back."""
    print(
        f"\nSeveral settings, {ROWS} rows against one baseline in each, no difference anywhere: in % of studies, any row "
        "called (± standard error). mean: of the differences, by the smaller of two degrees of freedom; own: by the row's "
        f"own alone. Like these: a t over the settings' differences, which vary by 0 to {VARY[-1]:g} standard deviations of "
        "a value about no mean; REML: with Hartung and Knapp's interval, a single test. F, Q: single tests that a trick does the same in "
        f"every setting, Welch's (in brackets where the table does not print it) and Cochran's by own variances. Found: of "
        f"rows with {EFFECT:g} standard deviations in every setting, by the mean, by the standardised mean, in a table "
        "of one setting.\n"
    )
    vary = [f"{value:g}" for value in VARY]
    head = ["spreads", "settings", "seeds", "mean", "own", "standardised", *(f"like these, {v}" for v in vary)]
    head += [*(f"REML, {v}" for v in vary), "F", "Q", "found", "standardised", "one setting"]
    print(f"| {' | '.join(head)} |\n|:--|{'--:|' * (len(head) - 1)}")
    wrong = []
    for spread in SPREADS:
        for settings in SETTINGS:
            for seeds in SEEDS:
                found = simulate(spread, settings, seeds, studies)
                wrong += [f"{spread}, {settings} x {seeds}: {what}" for what in broken(found, settings, seeds)]
                print(_line(spread, settings, seeds, found))
    print(
        f"\nSettings that share their {IMAGES} images, {ROWS_ON_IMAGES} rows, equal spreads, no difference on other images: "
        "in % of studies, any row called. common: how much of an image's difference is the same in all settings. "
        "Averaged per image first, as the table does; added up as if the images were others; seeds only.\n"
    )
    print("| common | settings | seeds | averaged | added | seeds only |\n|--:|--:|--:|--:|--:|--:|")
    for common in (0.0, 0.5, 1.0):
        for settings in (2, 5, 10):
            for seeds in SEEDS:
                found = on_images(settings, seeds, studies // 4, common)
                said = " | ".join(str(found.share(name)) for name in ("averaged", "added", "seeds"))
                print(f"| {common:.0%} | {settings} | {seeds} | {said} |")
                if not found.share("averaged").holds:
                    wrong.append(
                        f"common {common:.0%}, {settings} x {seeds}: the mean errs in {found.share('averaged')} %"
                    )
    report_uneven(max(studies // 5, 1))
    report_covered(max(studies // 50, 1))
    return wrong


def broken(found: Counts, settings: int, seeds: int) -> Iterator[str]:
    """The promises of a line that do not hold."""
    for name in ["mean", *(f"like {vary}" for vary in VARY if settings >= across.LIKE_THESE)]:
        if not found.share(name).holds:
            yield f"{name} errs in {found.share(name)} %"
    if across.f_holds(settings, seeds) and found.share("f").value > 0.06 + 2 * found.share("f").se:
        yield f"F errs in {found.share('f')} %"


def _line(spread: str, settings: int, seeds: int, found: Counts) -> str:
    many = settings >= across.LIKE_THESE
    cells = [spread, str(settings), str(seeds), *(str(found.share(name)) for name in ("mean", "own", "standardised"))]
    cells += [str(found.share(f"{kind} {vary}")) if many else "" for kind in ("like", "reml") for vary in VARY]
    cells.append(str(found.share("f")) if across.f_holds(settings, seeds) else f"({found.share('f')})")
    cells.append(str(found.share("q")))
    cells += [str(found.share(name)) for name in ("found", "found standardised", "found alone")]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(bool(report(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)))
