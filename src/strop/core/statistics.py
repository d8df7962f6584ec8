"""From raw samples to figures with intervals. Pure; every rule here is explained in docs/explanation/measurement.md."""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from strop.core.disturbance import STEAL_LIMIT, disturbed, least_parallelism
from strop.core.measurement import Block, Pair, Quad, Side, VoidQuad
from strop.core.verdict import Interval

Floats = NDArray[np.float64]

LEVEL = 0.95
LOOKS = 2
"""Planned looks at a confirmation: the first, and one more where a gate is still open. Each spends half of the error."""
MIN_PAIRS = 3
MAX_EXCLUDED = 0.5
"""With more of the quads disturbed than this there is no figure that decides a gate, only a rough one."""
ROUGH_LEAST, ROUGH_ALONE = math.log(1.05), math.log(1.15)
"""Least half-width of a rough figure, from several pairs of processes and from a single one."""
SIDES: tuple[Side, Side] = ("A", "B")
DRAWS, MOST_DRAWN = 1000, 200_000
"""Of a bootstrap over examples; examples of all draws that are counted at once: what fits a cache is twice as fast."""
PERCENTILE_SAMPLES = {50: 1, 90: 64, 95: 130, 99: 662}
"""Samples a percentile needs before it is printed (MLPerf LoadGen's early-stopping counts)."""


@lru_cache(maxsize=1024)
def t_quantile(probability: float, freedom: int) -> float:
    """Quantile of Student's t, by bisection on its distribution function (error below 1e-9).

    Args:
        probability: in (0.5, 1).
        freedom: degrees of freedom, ≥ 1.
    """
    low, high = 0.0, 1e6
    for _ in range(120):
        middle = (low + high) / 2
        low, high = (middle, high) if _t_cdf(middle, freedom) < probability else (low, middle)
    return (low + high) / 2


def _t_cdf(t: float, freedom: int) -> float:
    """For t ≥ 0, by the finite series for whole degrees of freedom (Abramowitz & Stegun 26.7.3 and 26.7.4)."""
    theta = math.atan(t / math.sqrt(freedom))
    cos2, term, total = math.cos(theta) ** 2, 1.0, 0.0
    if freedom % 2:
        term = math.cos(theta)
        for k in range(1, (freedom - 1) // 2 + 1):
            total += term
            term *= cos2 * (2 * k) / (2 * k + 1)
        area = 2 / math.pi * (theta + math.sin(theta) * total)
    else:
        for k in range(freedom // 2):
            total += term
            term *= cos2 * (2 * k + 1) / (2 * k + 2)
        area = math.sin(theta) * total
    return 0.5 + area / 2


def median_error(values: Sequence[float]) -> float:
    """Standard error of a median, from the order statistics around it (McKean & Schrader 1984); 0 for a single value."""
    count = len(values)
    if count < 2:
        return 0.0
    ordered = sorted(values)
    reach = max(1, round((count + 1) / 2 - 1.96 * math.sqrt(count / 4)))
    return (ordered[count - reach] - ordered[reach - 1]) / (2 * 1.96)


def geometric_interval(values: Sequence[float]) -> Interval:
    """Geometric mean of at least two figures, with Student's interval of their logarithms."""
    logs = np.log(np.asarray(values, dtype=float))
    half = t_quantile(1 - (1 - LEVEL) / 2, len(logs) - 1) * float(logs.std(ddof=1)) / math.sqrt(len(logs))
    low, value, high = (math.exp(x) for x in (logs.mean() - half, logs.mean(), logs.mean() + half))
    return Interval(value=value, low=low, high=high, level=LEVEL)


def block_latency(block: Block) -> float:
    """The block's typical latency, nanoseconds."""
    return float(np.median(block.latencies_ns))


def quad_log_ratio(quad: Quad) -> float:
    """log(baseline latency / candidate latency) of one quad: positive where the candidate is faster."""
    logs: dict[Side, list[float]] = {"A": [], "B": []}
    for block in quad.blocks:
        logs[block.side].append(math.log(block_latency(block)))
    return sum(logs["A"]) / 2 - sum(logs["B"]) / 2


def cpu_log_ratio(attempt: Quad | VoidQuad) -> float | None:
    """log(CPU time of a baseline's call / of a candidate's) over all blocks of a quad; None where a side has none."""
    blocks = (*attempt.blocks, *attempt.refused)
    found: dict[Side, float] = {}
    for side in SIDES:
        mine = [b for b in blocks if b.side == side]
        calls, spent = sum(len(b.latencies_ns) for b in mine), sum(b.cpu_ns for b in mine)
        if not calls or spent <= 0:
            return None
        found[side] = math.log(spent / calls)
    return found["A"] - found["B"]


class Ratios:
    """The kept quads of a comparison and their log-ratios, per pair of processes, and what was left out and why."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self.pairs = pairs
        counts = pairs[0].threads if pairs else (1, 1)
        threads: dict[Side, int] = dict(zip(SIDES, counts, strict=True))
        least = {side: least_parallelism(pairs, side, count) for side, count in threads.items()}
        self.per_pair: list[list[float]] = []
        self.kept: list[list[Quad]] = []
        self.reasons: dict[str, int] = {}
        self.total = 0
        for pair in pairs:
            reasons = [disturbed(quad, least, threads) for quad in pair.quads]
            quads = [quad for quad, reason in zip(pair.quads, reasons, strict=True) if reason is None]
            left_out = [reason for reason in reasons if reason is not None] + [void.why for void in pair.voids]
            self.total += len(quads) + len(left_out)
            for reason in left_out:
                self.reasons[reason] = self.reasons.get(reason, 0) + 1
            if quads:
                self.per_pair.append([quad_log_ratio(quad) for quad in quads])
                self.kept.append(quads)

    @property
    def excluded(self) -> float:
        """Share of the quads that were disturbed or void."""
        return 1 - sum(map(len, self.kept)) / self.total if self.total else 1.0

    @property
    def usable(self) -> bool:
        return self.excluded <= MAX_EXCLUDED and len(self.per_pair) >= MIN_PAIRS

    @property
    def refused(self) -> dict[Side, int]:
        """Blocks of each side that were disturbed and taken again."""
        found = [block for pair in self.pairs for quad in pair.attempts for block in quad.refused]
        return {side: sum(block.side == side for block in found) for side in SIDES}

    @property
    def taken(self) -> dict[Side, int]:
        """Blocks of each side that were not."""
        found = [block for pair in self.pairs for quad in pair.attempts for block in quad.blocks]
        return {side: sum(block.side == side for block in found) for side in SIDES}

    def speedup(self, looks: int = LOOKS) -> Interval | None:
        """Speed-up of candidate over baseline with its interval, or None where too much was disturbed."""
        return ratio_interval(self.per_pair, looks) if self.usable else None

    def by_cpu_time(self, looks: int = LOOKS) -> Interval | None:
        """Speed-up by the CPU time of the same calls, of all blocks: one log-ratio per quad, which disturbances do not touch.

        None at several threads, whose waiting counts, where a hypervisor took over 5 % of the time, and from too few pairs.
        """
        attempts = [attempt for pair in self.pairs for attempt in pair.attempts]
        blocks = [b for attempt in attempts for b in (*attempt.blocks, *attempt.refused)]
        stolen_ns = sum(b.steal_ms or 0.0 for b in blocks) * 1e6
        alone = all(pair.threads == (1, 1) for pair in self.pairs)
        if not alone or stolen_ns > STEAL_LIMIT * sum(b.wall_ns for b in blocks):
            return None
        per_pair = [[log for a in pair.attempts if (log := cpu_log_ratio(a)) is not None] for pair in self.pairs]
        per_pair = [logs for logs in per_pair if logs]
        return ratio_interval(per_pair, looks) if len(per_pair) >= MIN_PAIRS else None

    def rough(self) -> Interval | None:
        """Speed-up from all blocks, the disturbed ones too: ranks candidates on a busy machine and decides no gate.

        Two readings of the same blocks err in different ways: the lower quartile of a side's calls, since a disturbance only ever
        adds time; and at one thread the CPU time of a call, which does not count waiting. The value is that of CPU time where
        there is one, and the interval spans both.
        """
        readings = [r for take in (quick_calls, cpu_calls) if (r := rough_interval(self.pairs, take)) is not None]
        if not readings:
            return None
        low, high = min(r.low for r in readings), max(r.high for r in readings)
        return Interval(value=readings[-1].value, low=low, high=high)


Reading = Callable[[Pair], dict[Side, float] | None]


def rough_interval(pairs: Sequence[Pair], take: Reading) -> Interval | None:
    """Speed-up by one reading of each pair. The interval spans what the pairs show, and never less than `ROUGH_LEAST`: what is
    common to all of them it does not show."""
    return rough_of([math.log(found["A"] / found["B"]) for pair in pairs if (found := take(pair)) is not None])


def rough_of(logs: Sequence[float]) -> Interval | None:
    """From log-ratios, one for each pair or set of processes; None without any."""
    if not logs:
        return None
    centre, half = float(np.mean(logs)), ROUGH_ALONE
    if len(logs) > 1:
        half = max(ROUGH_LEAST, t_quantile(0.975, len(logs) - 1) * float(np.std(logs, ddof=1)) / math.sqrt(len(logs)))
    return Interval(value=math.exp(centre), low=math.exp(centre - half), high=math.exp(centre + half))


def quick_calls(pair: Pair) -> dict[Side, float] | None:
    """Lower quartile of each side's calls over all blocks of a pair, nanoseconds; None where a side has none."""
    calls = {side: all_latencies([pair], side) for side in SIDES}
    return {side: float(np.percentile(found, 25)) for side, found in calls.items()} if all(map(len, calls.values())) else None


def cpu_calls(pair: Pair) -> dict[Side, float] | None:
    """CPU time of a call of each side over all blocks of a pair, nanoseconds; None at several threads, whose waiting counts."""
    blocks = {side: [b for quad in pair.attempts for b in (*quad.blocks, *quad.refused) if b.side == side] for side in SIDES}
    if pair.threads != (1, 1) or not all(blocks.values()):
        return None
    found = {side: sum(b.cpu_ns for b in each) / sum(len(b.latencies_ns) for b in each) for side, each in blocks.items()}
    return found if all(value > 0 for value in found.values()) else None


def uneven(pairs: Sequence[Pair]) -> bool:
    """Whether one side's blocks were refused significantly more often than the other's (Student's t over pairs, p < 1 %): blocks
    of one pair share their disturbances. At one thread only, where blocks are refused."""
    gaps = [refused_share(pair, "A") - refused_share(pair, "B") for pair in pairs if pair.threads == (1, 1)]
    if len(gaps) < MIN_PAIRS:
        return False
    mean = sum(gaps) / len(gaps)
    spread = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / (len(gaps) - 1) / len(gaps))
    return abs(mean) > t_quantile(0.995, len(gaps) - 1) * spread and mean != 0


def refused_share(pair: Pair, side: Side) -> float:
    """The share of a side's blocks that were refused."""
    refused = sum(b.side == side for quad in pair.attempts for b in quad.refused)
    taken = sum(b.side == side for quad in pair.attempts for b in quad.blocks)
    return refused / max(refused + taken, 1)


def ratio_interval(per_pair: Sequence[Sequence[float]], looks: int = 1, level: float = LEVEL) -> Interval:
    """t-interval over pairs of processes, exponentiated.

    Every process has a bias of its own, so the pair, not the quad, is the unit; its figure is the median of its quads,
    since a neighbour on the same core slows a block by half and more, now and then. The variance of a pair's figure is
    taken from the spread between pairs, and never below what the quads within the pairs imply: three pairs that
    agree by luck would else give an interval that is too narrow.

    Args:
        per_pair: log-ratios, one list per pair of processes; at least two pairs.
        looks: planned looks; each is given an equal part of the error (Bonferroni).
        level: confidence over all looks together.
    """
    figures = [float(np.median(logs)) for logs in per_pair]
    count = len(figures)
    between = float(np.var(figures, ddof=1))
    within = float(np.mean([median_error(logs) ** 2 for logs in per_pair]))
    error = math.sqrt(max(between, within) / count)
    half = t_quantile(1 - (1 - level) / (2 * looks), count - 1) * error
    centre = float(np.mean(figures))
    return Interval(value=math.exp(centre), low=math.exp(centre - half), high=math.exp(centre + half), level=level)


def latencies(quads: Sequence[Quad], side: Side) -> Floats:
    """All single-call latencies of one side, nanoseconds."""
    return np.array([ns for quad in quads for b in quad.blocks if b.side == side for ns in b.latencies_ns], dtype=float)


def all_latencies(pairs: Sequence[Pair], side: Side) -> Floats:
    """All single-call latencies of one side, the disturbed blocks' too, nanoseconds."""
    blocks = [b for pair in pairs for quad in pair.attempts for b in (*quad.blocks, *quad.refused)]
    return np.array([ns for b in blocks if b.side == side for ns in b.latencies_ns], dtype=float)


def latency_interval(kept: Sequence[Sequence[Quad]], side: Side, looks: int = LOOKS) -> Interval | None:
    """Typical latency of one side, milliseconds, by the spread between its own processes (unlike a paired ratio, it drifts)."""
    logs = [
        [math.log(float(np.mean([block_latency(b) for b in quad.blocks if b.side == side])) / 1e6) for quad in pair]
        for pair in kept
    ]
    return ratio_interval(logs, looks) if len(logs) >= MIN_PAIRS else None


def percentiles(samples: Floats) -> dict[int, float]:
    """Those of p50, p90, p95, p99 that there are enough samples for."""
    return {p: float(np.percentile(samples, p)) for p, need in PERCENTILE_SAMPLES.items() if len(samples) >= need}


def product(one: Interval, other: Interval) -> Interval:
    """Product of two independent ratio figures; half-widths add in quadrature on the log scale."""
    return combine(one, Interval(value=1 / other.value, low=1 / other.high, high=1 / other.low))


def combine(numerator: Interval, denominator: Interval) -> Interval:
    """Ratio of two independent ratio figures; half-widths add in quadrature on the log scale."""

    def half(interval: Interval) -> float:
        return math.log(interval.high / interval.low) / 2 if interval.low > 0 else math.inf

    value, spread = numerator.value / denominator.value, math.hypot(half(numerator), half(denominator))
    return Interval(value=value, low=value * math.exp(-spread), high=value * math.exp(spread))


def range_ratio(candidate: Sequence[float], baseline: Sequence[float], resolution: float) -> Interval:
    """candidate / baseline from a few repeats: medians, and the extremes that the repeats and the resolution allow.

    Args:
        candidate, baseline: repeats of one figure, same unit.
        resolution: the smallest difference that means anything, same unit; within it the ratio's interval holds 1.
    """
    top, bottom = float(np.median(candidate)), max(float(np.median(baseline)), 1.0)
    low = max(min(candidate) - resolution, 0.0) / max(max(baseline), 1.0)
    high = (max(candidate) + resolution) / max(min(baseline), 1.0)
    value = top / bottom
    return Interval(value=value, low=min(low, value), high=max(high, value))


def wilson(successes: float, count: int, z: float) -> tuple[float, float]:
    """Wilson's score interval for a proportion (Wilson 1927)."""
    centre = (successes + z * z / 2) / (count + z * z)
    half = z / (count + z * z) * math.sqrt(max(successes * (count - successes) / count + z * z / 4, 0.0))
    return max(centre - half, 0.0), min(centre + half, 1.0)


def paired_proportion_ratio(candidate: NDArray[np.bool_], baseline: NDArray[np.bool_]) -> Interval:
    """Ratio of two proportions over the same examples, by Bonett & Price's hybrid Wilson interval.

    Source: Bonett, Price (2006), "Confidence intervals for a ratio of binomial proportions based on paired data",
    Statistics in Medicine 25:3039–3047. It stays honest where no example differs, which a bootstrap does not.

    Args:
        candidate, baseline: shape [examples], whether each example was right.
    """
    both = int(np.sum(candidate & baseline))
    only_candidate = int(np.sum(candidate & ~baseline))
    only_baseline = int(np.sum(~candidate & baseline))
    right_c, right_b = both + only_candidate, both + only_baseline
    value = right_c / max(right_b, 1e-9)
    count = both + only_candidate + only_baseline + 2
    p_c, p_b = (right_c + 1) / count, (right_b + 1) / count
    a = math.sqrt((only_candidate + only_baseline + 2) / ((right_c + 1) * (right_b + 1)))
    b, c = math.sqrt((1 - p_c) / (right_c + 1)), math.sqrt((1 - p_b) / (right_b + 1))
    z = NormalDist().inv_cdf(1 - (1 - LEVEL) / 2) * a / (b + c)
    low_c, high_c = wilson(right_c + 1, count, z)
    low_b, high_b = wilson(right_b + 1, count, z)
    return Interval(value=value, low=min(low_c / high_b, value), high=max(high_c / max(low_b, 1e-12), value))


def bootstrap_ratio(score: Callable[[NDArray[np.int64]], tuple[Floats, Floats]], count: int, seed: int = 0) -> Interval:
    """Percentile bootstrap over examples of candidate / baseline, never narrower than 3/n to each side.

    Args:
        score: from how often each example was drawn, shape [draws, examples], to numerators and denominators of the retained
            share, shape [draws].
        count: number of examples.
    """
    rng = np.random.default_rng(seed)
    (top,), (bottom,) = score(np.ones((1, count), np.int64))
    value, found = float(top / bottom) if bottom else 0.0, []
    for begin in range(0, DRAWS, most := max(1, MOST_DRAWN // count)):
        counts = np.array([np.bincount(rng.integers(0, count, count), minlength=count) for _ in range(min(most, DRAWS - begin))])
        tops, bottoms = score(counts)
        found.append(tops[bottoms != 0] / bottoms[bottoms != 0])
    drawn = np.concatenate(found)
    drawn = drawn[np.isfinite(drawn)]
    low, high = np.percentile(drawn, [2.5, 97.5]) if len(drawn) else (value, value)
    floor = 3 / count * abs(value)
    return Interval(value=value, low=min(float(low), value - floor), high=max(float(high), value + floor))
