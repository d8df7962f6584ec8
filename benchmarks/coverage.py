"""Do 95 % intervals cover 95 %? A simulation of `ratio_interval`, no processes: `python -m benchmarks coverage`.

Every process has a bias of its own, every quad noise; true ratios are known. Exits 1 where less than 93 % are covered.
"""

import itertools
import math
import operator
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.options import Options
from benchmarks.results import Figures
from strop.core.statistics import LOOKS, ratio_interval
from strop.core.verdict import Interval

DRAWS = 4000
LEAST = 0.93
SLOW = math.log(1.5)
SLOW_SHARE = 0.3
STAY = 0.5
"""Correlation of neighbouring blocks of a quad under contamination: a disturbance outlasts a block now and then."""
BOUND = 2.0
NEAR = (0.98, 0.99, 1.0, 1.01, 1.02)
"""True ratios of the second-look simulation, over the bound."""

Floats = NDArray[np.float64]


class Setting(NamedTuple):
    """One simulated machine and plan. bias: sd of a process, log scale. noise: sd of a quad, or "contaminated"."""

    bias: float
    noise: float | str
    pairs: int
    quads: int


def settings() -> Iterator[Setting]:
    noises: tuple[float | str, ...] = (0.01, 0.1, "contaminated")
    for bias, noise, pairs, quads in itertools.product((0.005, 0.02), noises, (3, 5), (12, 36)):
        yield Setting(bias, noise, pairs, quads)


def draw(rng: np.random.Generator, setting: Setting, draws: int, pairs: int) -> Floats:
    """Log-ratios around 0, shape [draws, pairs, quads]."""
    bias = rng.normal(0, setting.bias, (draws, pairs, 2))
    return np.asarray(quad_noise(rng, setting, (draws, pairs, setting.quads)) + (bias[..., 0] - bias[..., 1])[..., None])


def quad_noise(rng: np.random.Generator, setting: Setting, shape: tuple[int, int, int]) -> Floats:
    """Normal, or 1 % a block with 30 % of the blocks half as slow again, in ABBA or BAAB order."""
    if not isinstance(setting.noise, str):
        return rng.normal(0, setting.noise, shape)
    slow = np.empty((*shape, 4), dtype=bool)
    slow[..., 0] = rng.random(shape) < SLOW_SHARE
    for i in range(1, 4):
        again = np.where(slow[..., i - 1], SLOW_SHARE + STAY * (1 - SLOW_SHARE), SLOW_SHARE * (1 - STAY))
        slow[..., i] = rng.random(shape) < again
    blocks = rng.normal(0, 0.01, slow.shape) + SLOW * slow
    order = rng.choice((-1.0, 1.0), shape)
    return np.asarray(order * (blocks[..., 0] + blocks[..., 3] - blocks[..., 1] - blocks[..., 2]) / 2)


def covers(interval: Interval, truth: float) -> bool:
    return interval.low <= truth <= interval.high


def one_setting(rng: np.random.Generator, setting: Setting, draws: int) -> dict[str, Any]:
    """Coverage of 1.0 by the interval of a single look, and by the wider one of the first of two planned looks."""
    sample = draw(rng, setting, draws, setting.pairs).tolist()
    found = {looks: [ratio_interval(pairs, looks) for pairs in sample] for looks in (1, LOOKS)}
    halves = [math.log(i.high / i.low) / 2 for i in found[LOOKS]]
    return {
        **setting._asdict(),
        "one_look": share(covers(i, 1.0) for i in found[1]),
        "two_looks": share(covers(i, 1.0) for i in found[LOOKS]),
        "half_width": round(float(np.median(halves)), 5),
    }


def second_look(rng: np.random.Generator, setting: Setting, ratio: float, draws: int) -> dict[str, Any]:
    """What the run does: twice the pairs only where the first interval straddles the bound; the last interval counts."""
    truth, covered, wrong, again = BOUND * ratio, 0, 0, 0
    for pairs in (draw(rng, setting, draws, LOOKS * setting.pairs) + math.log(truth)).tolist():
        interval = ratio_interval(pairs[: setting.pairs], LOOKS)
        if interval.low < BOUND <= interval.high:
            again += 1
            interval = ratio_interval(pairs, LOOKS)
        covered += covers(interval, truth)
        wrong += interval.low >= BOUND > truth or interval.high < BOUND <= truth
    return {
        **setting._asdict(), "ratio": truth, "coverage": round(covered / draws, 4), "wrong_verdicts": round(wrong / draws, 4),
        "second_looks": round(again / draws, 4),
    }  # fmt: skip


def share(hits: Iterator[bool]) -> float:
    return round(float(np.mean(list(hits))), 4)


def run(options: Options) -> int:
    draws = 100 if options.smoke else DRAWS
    rng = np.random.default_rng(0)
    single = [one_setting(rng, setting, draws) for setting in settings()]
    joint = [second_look(rng, s, ratio, draws) for s in settings() if s.quads == 12 for ratio in NEAR]
    worst = {
        "one_look": min(row["one_look"] for row in single),
        "two_looks": min(row["two_looks"] for row in single),
        "second_look": min(row["coverage"] for row in joint),
        "wrong_verdicts": max(row["wrong_verdicts"] for row in joint),
    }
    options.write("coverage", {"draws": draws, "least": LEAST, "worst": worst, "single": single, "second_look": joint})
    low = min(worst["one_look"], worst["two_looks"], worst["second_look"])
    print(f"coverage: worst {worst}")
    return 0 if low >= LEAST or options.smoke else 1


def noise_text(noise: float | str) -> str:
    return noise if isinstance(noise, str) else f"{noise:.0%}"


def render(figures: Figures) -> list[str]:
    worst = figures["worst"]
    lines = [
        f"{figures['draws']:,} simulated comparisons a row, of a true ratio that is known; claimed is 95 %, and the command",
        f"fails below {figures['least']:.0%}. *One look*: the plain interval. *Two planned*: the interval of the first of two",
        "planned looks, each with half of the error. *Contaminated*: 30 % of the blocks run half as slow again, and a",
        "disturbed block's neighbour is likelier to be disturbed too.",
        "",
        "| process bias | quad noise | pairs | quads | one look | two planned | half-width |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {r['bias']:.1%} | {noise_text(r['noise'])} | {r['pairs']} | {r['quads']} "
        f"| {r['one_look']:.1%} | {r['two_looks']:.1%} | {r['half_width']:.2%} |"
        for r in figures["single"]
    ]
    lines += [
        "",
        f"A second look, with twice the pairs, is taken only where the first straddles the bound of {BOUND}. The last interval",
        f"counts. Lowest coverage: {worst['second_look']:.1%}; most verdicts on the wrong side: {worst['wrong_verdicts']:.1%}.",
        f"Each row is the worst over true ratios from {BOUND * NEAR[0]:g} to {BOUND * NEAR[-1]:g}.",
        "",
        "| process bias | quad noise | pairs | quads | coverage | wrong verdicts | second looks |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    by = operator.itemgetter("bias", "noise", "pairs", "quads")
    for key, group in itertools.groupby(figures["second_look"], key=by):
        rows = list(group)
        lines.append(
            f"| {key[0]:.1%} | {noise_text(key[1])} | {key[2]} | {key[3]} | {min(r['coverage'] for r in rows):.1%} "
            f"| {max(r['wrong_verdicts'] for r in rows):.1%} | {max(r['second_looks'] for r in rows):.0%} |"
        )
    return lines
