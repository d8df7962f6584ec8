"""Throughput: examples a second with so many requests in flight, from raw samples. Pure."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from strop.core.candidate import Throughput
from strop.core.disturbance import STEAL_LIMIT, THROTTLED_LIMIT, least_parallelism, parallelism
from strop.core.gate_metrics import named
from strop.core.measurement import Block, Pair, Quad, Side
from strop.core.statistics import (
    MAX_EXCLUDED,
    MIN_PAIRS,
    ROUGH_ALONE,
    SIDES,
    Ratios,
    latencies,
    percentiles,
    ratio_interval,
)
from strop.core.verdict import Gate, Interval

GATES = named("load")
AXIS = "throughput"
SEVERAL = 2
"""Threads: under load the rule for several holds even on one core, since its callers take turns there."""


def counts(gates: Sequence[Gate], weights: Mapping[str, float]) -> bool:
    """Whether throughput has a gate or a weight, so that the search must know it and nobody may be dropped for latency alone."""
    return weights.get(AXIS, 0) > 0 or any(gate.metric in GATES for gate in gates)


class Load(NamedTuple):
    """What a call is worth: `concurrency` requests in flight, of `batch` inputs with `each` examples (or tokens) an input."""

    concurrency: int
    batch: int
    each: int = 1
    unit: Literal["examples", "tokens"] = "examples"


def rate_of(block: Block, load: Load) -> float:
    """Examples a second. Of one call after another: the batch over their mean latency."""
    if block.completed is None:
        return load.batch * load.each * len(block.latencies_ns) / max(sum(block.latencies_ns), 1) * 1e9
    return load.batch * load.each * block.completed / block.wall_ns * 1e9


def throughput_of(
    pairs: Sequence[Pair], load: Load, stage: Literal["search", "confirmation"], over: str, looks: int = 1, samples: str = ""
) -> Throughput:  # fmt: skip
    """What a comparison says of its candidate (side B).

    As for latency, the log-ratio of a quad's rates is the observation, a pair's figure is the median of its quads, and the
    interval is Student's over pairs. A search may have fewer than three pairs; a confirmation then has no figure.

    Args:
        over: name of the baseline that the pairs hold. looks: among which the error is shared.
    """
    kept, excluded = undisturbed(pairs, load)
    least = MIN_PAIRS if stage == "confirmation" else 1
    usable = len(kept) >= least and excluded <= MAX_EXCLUDED
    quads = [quad for pair in kept for quad in pair]
    calls = latencies(quads, "B") if load.concurrency > 1 else np.array([])
    return Throughput(
        concurrency=load.concurrency, batch=load.batch, unit=load.unit, stage=stage, over=over,
        rate=interval_over(kept, lambda quad: log_rate(quad, "B", load), looks) if usable else None,
        ratio=interval_over(kept, lambda quad: log_rate(quad, "B", load) - log_rate(quad, "A", load), looks) if usable else None,
        latency_ms={f"p{p}": round(ns / 1e6, 6) for p, ns in percentiles(calls).items()} if len(calls) else {},
        pairs=len(pairs), quads=len(quads), excluded=round(excluded, 4), samples=samples,
    )  # fmt: skip


def baseline_throughput(pairs: Sequence[Pair], load: Load, stage: Literal["search", "confirmation"], name: str) -> Throughput:
    """The baseline's own, from its side (A) of comparisons with any candidates."""
    turned = [pair.model_copy(update={"quads": tuple(map(turn, pair.quads))}) for pair in pairs]
    one = Interval(value=1.0, low=1.0, high=1.0)
    return throughput_of(turned, load, stage, name).model_copy(update={"ratio": one})


def turn(quad: Quad) -> Quad:
    """The same quad with its sides exchanged."""
    other: dict[Side, Side] = {"A": "B", "B": "A"}
    one, two, three, four = (block.model_copy(update={"side": other[block.side]}) for block in quad.blocks)
    return quad.model_copy(update={"blocks": (one, two, three, four)})


def log_rate(quad: Quad, side: Side, load: Load) -> float:
    """Mean log-rate of one side's blocks."""
    rates = [rate_of(block, load) for block in quad.blocks if block.side == side]
    return sum(math.log(max(rate, 1e-9)) for rate in rates) / len(rates)


def interval_over(kept: Sequence[Sequence[Quad]], figure: Callable[[Quad], float], looks: int) -> Interval:
    """exp of the figure's mean over pairs; of a single pair, which tells no spread between processes, 15 % to either side."""
    logs = [[figure(quad) for quad in pair] for pair in kept]
    if len(logs) > 1:
        return ratio_interval(logs, looks)
    centre = float(np.median(logs[0]))
    return Interval(value=math.exp(centre), low=math.exp(centre - ROUGH_ALONE), high=math.exp(centre + ROUGH_ALONE))


def undisturbed(pairs: Sequence[Pair], load: Load) -> tuple[list[list[Quad]], float]:
    """Quads that count, of pairs that have any, and the share of those left out.

    With one request in flight the samples and the rules are those of the latency. Under load the callers wait for one another, so
    that pressure and run-queue delay tell nothing of other processes. What tells of them is what the hypervisor or a quota took,
    and CPU time that falls short of a side's usual.
    """
    if load.concurrency == 1:
        ratios = Ratios(pairs)
        return ratios.kept, ratios.excluded
    threads = max((SEVERAL, *(count for pair in pairs for count in pair.threads)))
    least = {side: least_parallelism(pairs, side, threads) for side in SIDES}
    total = sum(len(pair.attempts) for pair in pairs)
    kept = [found for pair in pairs if (found := [quad for quad in pair.quads if not hindered(quad, least)])]
    return kept, 1 - sum(map(len, kept)) / total if total else 1.0


def hindered(quad: Quad, least: Mapping[Side, float]) -> bool:
    """Whether something outside the process took CPU time from a quad under load; never told by its rate."""
    wall_ns = sum(block.wall_ns for block in quad.blocks)
    stolen = sum(b.steal_ms or 0.0 for b in quad.blocks) * 1e6 > STEAL_LIMIT * wall_ns
    throttled = sum(b.throttled_us or 0 for b in quad.blocks) * 1e3 > THROTTLED_LIMIT * wall_ns
    return stolen or throttled or any(parallelism(quad, side) < share for side, share in least.items())
