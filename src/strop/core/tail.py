"""Slow calls: how much slower than typical ones, beside the baseline's. Pure; docs/adr/0024-the-tail.md says why so."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from strop.core.measurement import Quad, Side
from strop.core.statistics import LEVEL, LOOKS, PERCENTILE_SAMPLES, SIDES, Floats, latencies
from strop.core.verdict import Interval

BINS = 2048
"""Of a histogram of calls, equally wide on a log scale."""


def tail_percentile(samples: int) -> int | None:
    """The highest percentile that this many samples carry, or None below 64."""
    fit = [p for p, need in PERCENTILE_SAMPLES.items() if samples >= need and p > 50]
    return max(fit, default=None)


def by_step(kept: Sequence[Sequence[Quad]]) -> list[list[Quad]]:
    """The same quads with the steps of a language model's answers as their calls; others as they are."""

    def stepped(quad: Quad) -> Quad:
        blocks = tuple(b.model_copy(update={"latencies_ns": b.steps_ns or b.latencies_ns}) for b in quad.blocks)
        return quad.model_copy(update={"blocks": blocks})

    return [[stepped(quad) for quad in pair] for pair in kept]


def expected_tail(typical: Floats, baseline_typical: Floats, baseline_tail: Floats) -> Floats:
    """The tail of a candidate that adds no unsteadiness to the baseline's; any unit.

    What disturbs a machine takes as long whoever runs, and meets a shorter call no more often than a longer one. So a faster
    candidate's slow calls may be as much slower than its typical ones, in milliseconds, as the baseline's are; a slower
    candidate's in proportion.

    >>> expected_tail(np.array([2.0, 20.0]), np.array([10.0, 10.0]), np.array([12.0, 12.0]))
    array([ 4., 24.])
    """
    return np.asarray(typical + (baseline_tail - baseline_typical) * np.maximum(1.0, typical / baseline_typical))


def tail_ratio(
    kept: Sequence[Sequence[Quad]], percentile: int, looks: int = LOOKS, seed: int = 0, draws: int = 1000
) -> Interval | None:
    """The candidate's tail over the one to be expected from the baseline's; 1 for a candidate that is as steady.

    The interval resamples pairs of processes first, then their quads, both sides together, since a disturbance hits
    both; the error is shared among the planned looks. Calls are counted in log-spaced bins per quad, so that a draw is a
    weighted sum of histograms.

    Args:
        kept: undisturbed quads, one list per pair of processes.
        percentile: the tail, 90, 95 or 99.
    """
    quads = [quad for pair in kept for quad in pair]
    if len(quads) < 4 or len(kept) < 2:
        return None
    logs = {side: [np.log(latencies([quad], side)) for quad in quads] for side in SIDES}
    low = min(float(part.min()) for parts in logs.values() for part in parts)
    high = max(float(part.max()) for parts in logs.values() for part in parts) + 1e-9
    edges = np.linspace(low, high, BINS + 1)
    counts = {side: np.array([np.histogram(part, edges)[0] for part in parts], dtype=float) for side, parts in logs.items()}
    weights = np.vstack([np.ones(len(quads)), _resampled(tuple(len(pair) for pair in kept), draws, seed)])

    def quantiles(side: Side) -> tuple[Floats, Floats]:
        """The median and the tail for each row of weights, nanoseconds."""
        total = np.cumsum(weights @ counts[side], axis=1)
        total /= total[:, -1:]
        middle, tail = ((total < share).sum(axis=1) for share in (0.5, percentile / 100))
        return np.exp(low + middle * (high - low) / BINS), np.exp(low + tail * (high - low) / BINS)

    (baseline_typical, baseline_tail), (typical, tail) = quantiles("A"), quantiles("B")
    ratios = tail / expected_tail(typical, baseline_typical, baseline_tail)
    value, cut = float(ratios[0]), 100 * (1 - LEVEL) / (2 * looks)
    ends = np.percentile(ratios[1:], [cut, 100 - cut])
    return Interval(value=value, low=min(float(ends[0]), value), high=max(float(ends[1]), value))


@lru_cache(maxsize=8)
def _resampled(sizes: tuple[int, ...], draws: int, seed: int) -> Floats:
    """How often each quad is drawn: pairs with replacement, then each drawn pair's quads with replacement."""
    rng = np.random.default_rng(seed)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    weights = np.zeros((draws, int(starts[-1])))
    for row in weights:
        for pair in rng.integers(0, len(sizes), len(sizes)):
            row[starts[pair] : starts[pair + 1]] += rng.multinomial(sizes[pair], np.full(sizes[pair], 1 / sizes[pair]))
    return weights
