"""Comparisons with the baseline: search pairs with early dropping, and the fixed-size confirmation."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from strop.core.candidate import Timing
from strop.core.errors import BudgetError
from strop.core.measurement import Pair
from strop.core.statistics import (
    LOOKS,
    SIDES,
    Ratios,
    all_latencies,
    by_step,
    latencies,
    latency_interval,
    median_error,
    percentiles,
    ratio_interval,
    t_quantile,
    tail_percentile,
    tail_ratio,
    uneven,
)  # fmt: skip
from strop.core.verdict import Interval
from strop.run.context import Run
from strop.run.pairing import LANGUAGE_QUADS, Subject, pair_from

SEARCH_PAIRS = 3
SEARCH_QUADS = 12
LANGUAGE_PAIRS = 1
"""A language model takes seconds to start and to load: the search, which decides nothing, takes one pair of processes."""
LANGUAGE_SEARCH_QUADS = 4
"""Quads of that pair at most: each call is a whole request."""
PROCESS_BIAS = 0.02
"""How far one process may lie off by layout alone: four times what was seen, for decisions from a single pair."""


def measure(
    run: Run,
    a: Subject,
    b: Subject,
    stage: Literal["search", "confirmation"],
    pairs: range,
    quads: int,
    stop: Callable[[Sequence[Pair]], bool] = lambda _: False,
    folder: str | None = None,
) -> list[Pair]:
    """Pairs of fresh processes, those measured before in this run included; ends early where `stop` says so.

    Raises:
        WorkerError: a side failed. BudgetError: the budget ended first; the search keeps the pairs that it has.
    """
    place = run.folder.candidate(b.name) / (folder or stage)
    most = LANGUAGE_SEARCH_QUADS if stage == "search" else LANGUAGE_QUADS[1]
    quads = quads if a.language is None else min(quads, most)
    cap = run.request.memory_limit_mb
    done: list[Pair] = []
    for index in pairs:
        fresh = not (place / f"pair-{index}.json").exists()
        try:
            pair = pair_from(
                place, a, b, index, quads, run.request.seed, run.limits(session=True), cap * 1_000_000 if cap else None
            )
        except BudgetError:
            if stage == "search" and done:
                break
            raise
        done.append(pair)
        if fresh:
            run.emit("pair-measured", candidate=b.name, stage=stage, index=index)
        if stop(done):
            break
    return done


def timing_of(pairs: Sequence[Pair], stage: Literal["search", "confirmation"], place: Path | str, looks: int = LOOKS) -> Timing:
    """Statistics of a comparison from its raw samples; pure but for naming where they lie."""
    ratios = Ratios(pairs)
    speedup = ratios.speedup(looks) if stage == "confirmation" else search_interval(ratios)
    quads = [quad for pair in ratios.kept for quad in pair]
    sides = {side: latencies(quads, side) if speedup is not None else all_latencies(pairs, side) for side in SIDES}
    steps = by_step(ratios.kept)
    calls = min(sum(len(latencies(pair, side)) for pair in steps) for side in SIDES)
    tail = tail_percentile(calls) if stage == "confirmation" else None
    refused = ratios.refused
    return Timing(
        stage=stage, speedup=speedup, tail_percentile=tail, rough=ratios.rough() if speedup is None else None,
        refused=(refused["A"], refused["B"]), uneven=uneven(pairs),
        latency=latency_interval(ratios.kept, "B", looks) if stage == "confirmation" and speedup is not None else None,
        tail_ratio=tail_ratio(steps, tail, looks) if tail is not None and speedup is not None else None,
        latency_ms=_milliseconds(percentiles(sides["B"])), baseline_latency_ms=_milliseconds(percentiles(sides["A"])),
        pairs=len(pairs), quads=len(quads), excluded=round(ratios.excluded, 4), excluded_why=ratios.reasons,
        mode=pairs[0].mode if pairs else "side by side", samples=str(place), energy_ratio=energy_ratio(pairs),
    )  # fmt: skip


def _milliseconds(found: dict[int, float]) -> dict[str, float]:
    return {f"p{p}": round(ns / 1e6, 6) for p, ns in found.items()}


def search_interval(ratios: Ratios) -> Interval | None:
    """For dropping and ranking only, never for a verdict: wide, since it may rest on a single pair."""
    if not ratios.per_pair or ratios.excluded > 0.5:
        return None
    if len(ratios.per_pair) >= SEARCH_PAIRS:
        return ratio_interval(ratios.per_pair, looks=1)
    logs = [value for pair in ratios.per_pair for value in pair]
    centre = float(np.median(logs))
    error = median_error(logs) if len(logs) > 1 else 0.1
    half = t_quantile(0.995, max(1, len(logs) - 1)) * error + PROCESS_BIAS
    return Interval(value=math.exp(centre), low=math.exp(centre - half), high=math.exp(centre + half), level=0.99)


def energy_ratio(pairs: Sequence[Pair]) -> Interval | None:
    """Energy per call, candidate over baseline, from the package counters; None where there are none."""
    per_pair = []
    for pair in pairs:
        logs = []
        for quad in pair.quads:
            used = {side: [b for b in quad.blocks if b.side == side] for side in ("A", "B")}
            if any(b.energy_uj is None for b in quad.blocks):
                continue
            each = {s: sum(b.energy_uj or 0 for b in bs) / sum(len(b.latencies_ns) for b in bs) for s, bs in used.items()}
            if all(v > 0 for v in each.values()):
                logs.append(math.log(each["B"] / each["A"]))
        if logs:
            per_pair.append(logs)
    return ratio_interval(per_pair) if len(per_pair) >= SEARCH_PAIRS else None
