"""Statistics of comparisons with the baseline, in pairs of processes and in races."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from strop.core.candidate import Timing
from strop.core.errors import BaselineError, BudgetError, WorkerError
from strop.core.measurement import Pair
from strop.core.race import BASELINE
from strop.core.race_statistics import PROCESS_BIAS, Race
from strop.core.statistics import (
    LOOKS,
    SIDES,
    Ratios,
    all_latencies,
    latencies,
    latency_interval,
    median_error,
    percentiles,
    ratio_interval,
    t_quantile,
    uneven,
)  # fmt: skip
from strop.core.tail import by_step, tail_percentile, tail_ratio
from strop.core.verdict import Interval
from strop.run.context import Run
from strop.run.family import family_named
from strop.run.pairing import Subject, pair_from

SEARCH_PAIRS = 3
SEARCH_QUADS = 12


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
    quads = min(quads, family_named(a.family).pace.most_quads.get(stage, quads))
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
    """Statistics of a comparison from its raw samples; pure but for naming where they lie.

    Where the machine was too busy for wall time, the speed-up is taken by CPU time, if one thread is all that either side has.
    """
    ratios = Ratios(pairs)
    by_wall = ratios.speedup(looks) if stage == "confirmation" else search_interval(ratios)
    speedup = by_wall if by_wall is not None else ratios.by_cpu_time(looks if stage == "confirmation" else 1)
    quads = [quad for pair in ratios.kept for quad in pair]
    sides = {side: latencies(quads, side) if by_wall is not None else all_latencies(pairs, side) for side in SIDES}
    steps = by_step(ratios.kept)
    calls = min(sum(len(latencies(pair, side)) for pair in steps) for side in SIDES)
    tail = tail_percentile(calls) if stage == "confirmation" else None
    refused = ratios.refused
    return Timing(
        stage=stage, speedup=speedup, clock="wall time" if by_wall is not None or speedup is None else "CPU time",
        tail_percentile=tail, rough=ratios.rough() if speedup is None else None,
        refused=(refused["A"], refused["B"]), uneven=uneven(pairs),
        latency=latency_interval(ratios.kept, "B", looks) if stage == "confirmation" and by_wall is not None else None,
        tail_ratio=tail_ratio(steps, tail, looks) if tail is not None and by_wall is not None else None,
        latency_ms=_milliseconds(percentiles(sides["B"])), baseline_latency_ms=_milliseconds(percentiles(sides["A"])),
        pairs=len(pairs), quads=len(quads), excluded=round(ratios.excluded, 4), excluded_why=ratios.reasons,
        mode=pairs[0].mode if pairs else "side by side", samples=str(place), energy_ratio=energy_ratio(pairs),
    )  # fmt: skip


def timing_of_race(race: Race, name: str, place: Path | str, over: str | None = None) -> Timing:
    """What a race says of a contestant, for display, ranking and dropping; it never enters a verdict.

    Args:
        over: another contestant than the baseline.
    """
    other = race.names[BASELINE] if over is None else over
    clock, speedup = race.clock(name, other), race.speed(name, other)
    turns = {"A": race.turns(other), "B": race.turns(name)}
    calls = {side: race.calls(who, disturbed=clock != "wall time") for side, who in (("A", other), ("B", name))}
    return Timing(
        stage="search", speedup=speedup, clock=clock or "wall time", rough=race.rough(name, other) if speedup is None else None,
        refused=(sum(len(t.refused) for t in turns["A"]), sum(len(t.refused) for t in turns["B"])),
        latency_ms=_milliseconds(percentiles(calls["B"])), baseline_latency_ms=_milliseconds(percentiles(calls["A"])),
        pairs=race.looks(name), quads=race.rounds(name, other), excluded=round(race.excluded(name), 4),
        excluded_why=race.reasons(name), mode="race", samples=str(place), energy_ratio=race.energy(name, other),
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
    half = t_quantile(0.995, max(1, len(logs) - 1)) * error + 2 * PROCESS_BIAS
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


def refuse_baseline_failure(error: WorkerError, baseline: str) -> None:
    """A comparison in which the baseline failed says nothing about the candidate.

    Raises:
        BaselineError: the error happened on the baseline's side.
    """
    if error.subject == baseline:
        raise BaselineError(
            f"the baseline {baseline!r} failed while it was timed: {error.message}", "see its log in the run's folder"
        ) from error
