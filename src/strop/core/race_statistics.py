"""What the sets of a race say: contestants compared with each other by their difference within rounds. Pure.

The set is the unit: in each, every process has a bias of its own. How large such biases are is estimated from all contestants
together, since each takes part in few sets, and never taken to be less than what was seen when models were timed against
themselves.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from strop.core.disturbance import STEAL_LIMIT, disturbed_blocks, least_usual
from strop.core.measurement import Block, Clock
from strop.core.race import BASELINE, COPY, SETS, RaceSet, Turn
from strop.core.statistics import LEVEL, MAX_EXCLUDED, block_latency, median_error, ratio_interval, rough_of, t_quantile
from strop.core.verdict import Interval

Floats = NDArray[np.float64]
CLOCKS: tuple[Clock, Clock] = ("wall time", "CPU time")

PROCESS_BIAS = 0.02
"""How far one process may be off by its layout in memory alone: four times what was seen. Both sides may, so that twice as much
is added to an interval from a single set."""
USUAL_BIAS, WEIGHT = 0.007, 3
"""The standard deviation of a difference between two processes of one program, by `python -m benchmarks aa`, and how many
degrees of freedom it counts for beside those of the race itself."""
LEAST_ROUNDS = 3
"""Rounds that hold both contestants, for a set to compare them."""
ERROR, LOOKS = 0.05, 6
"""The chance of dropping the best contestant of a race, over all rivals and so many looks: up to three sets of its own, and one
with each group of contestants that comes later, which the leader meets."""


class Comparisons:
    """Contestants by their readings: of each clock, set and round, log(nanoseconds of a call), NaN where it does not count.

    Contestants may join and leave between sets; the baseline, the first of the first set, and its second process are in all.
    """

    def __init__(self, readings: Mapping[Clock, Sequence[Mapping[str, Floats]]]) -> None:
        """
        Args:
            readings: by clock, in the order in which clocks are preferred.
        """
        self._readings = {clock: [dict(rows) for rows in sets] for clock, sets in readings.items()}
        first = next(iter(self._readings.values()))
        self.names = list(dict.fromkeys(name for rows in first for name in rows))

    def clock(self, one: str, other: str) -> Clock | None:
        """By which these two are compared: the first clock by which no more than half of the rounds are left out."""
        able = (c for c in self._readings if max(self.excluded(n, c) for n in (one, other)) <= MAX_EXCLUDED)
        return next(able, None)

    def excluded(self, name: str, clock: Clock = "wall time") -> float:
        """Share of a contestant's rounds that do not count."""
        found = [rows[name] for rows in self._readings.get(clock, []) if name in rows]
        values = np.concatenate(found) if found else np.array([])
        return float(np.isnan(values).mean()) if len(values) else 1.0

    def per_set(self, faster: str, slower: str, clock: Clock) -> list[list[float]]:
        """log(latency of `slower` / latency of `faster`), per set that holds both and round that counts."""
        found = []
        for rows in self._readings[clock]:
            if faster in rows and slower in rows:
                logs = rows[slower] - rows[faster]
                logs = logs[np.isfinite(logs)]
                found += [[float(x) for x in logs]] if len(logs) >= LEAST_ROUNDS else []
        return found

    def rounds(self, name: str, over: str) -> int:
        """Rounds that compare these two."""
        clock = self.clock(name, over)
        return sum(map(len, self.per_set(name, over, clock))) if clock is not None else 0

    def speed(self, name: str, over: str | None = None, error: float = 1 - LEVEL) -> Interval | None:
        """Speed of a contestant over another (by default the baseline), with an interval that misses with this probability.

        None where too few rounds count by any clock.
        """
        other = self.names[BASELINE] if over is None else over
        clock = self.clock(name, other)
        logs = self.per_set(name, other, clock) if clock is not None else []
        if clock is None or not logs:
            return None
        figures = [float(np.median(part)) for part in logs]
        within = float(np.mean([median_error(part) ** 2 for part in logs]))
        count, centre = len(figures), float(np.mean(figures))
        if count == 1:
            half = t_quantile(1 - error / 2, len(logs[0]) - 1) * math.sqrt(within) + 2 * PROCESS_BIAS
        else:
            variance, freedom = self.spread(clock)
            own = float(np.var(figures, ddof=1)) if count >= SETS else 0.0
            half = t_quantile(1 - error / 2, freedom) * math.sqrt(max(variance, within, own) / count)
        return Interval(value=math.exp(centre), low=math.exp(centre - half), high=math.exp(centre + half), level=1 - error)

    def beats(self, rival: str, racer: str, rivals: int) -> Interval | None:
        """Speed of a rival over a racer, at the confidence that a decision against the racer needs.

        Args:
            rivals: how many could end its race, at each of up to `LOOKS` looks; they share the error.
        """
        return self.speed(rival, racer, error=2 * ERROR / (LOOKS * max(1, rivals)))

    def spread(self, clock: Clock) -> tuple[float, int]:
        """Variance of a difference between two contestants from set to set, and its degrees of freedom.

        Each set's figures are described by one number for each contestant and one for each set; what is left over is the
        processes' bias and the rounds' noise.
        """
        if clock not in self._spread:
            rows = [
                (self.names.index(name), index, float(np.nanmedian(values)))
                for index, found in enumerate(self._readings[clock])
                for name, values in found.items()
                if np.isfinite(values).sum() >= LEAST_ROUNDS
            ]
            times = [sum(row[0] == place for row in rows) for place in range(len(self.names))]
            squares, freedom = residual([row for row in rows if times[row[0]] > 1])
            self._spread[clock] = (2 * squares + WEIGHT * USUAL_BIAS**2) / (freedom + WEIGHT), freedom + WEIGHT
        return self._spread[clock]

    @cached_property
    def _spread(self) -> dict[Clock, tuple[float, int]]:
        return {}

    def self_comparison(self) -> Interval | None:
        """The second process of the baseline over the first, by 99 %: 1, were it not for noise."""
        return self.speed(self.names[COPY], error=0.01)

    @property
    def void(self) -> bool:
        """Whether the baseline differs from itself, so that nothing of this race can be trusted."""
        found = self.self_comparison()
        return found is not None and not found.low <= 1.0 <= found.high


class Race(Comparisons):
    """The sets of a race, compared, and the samples behind it."""

    def __init__(self, sets: Sequence[RaceSet]) -> None:
        self.sets = list(sets)
        super().__init__({clock: [readings(one, clock) for one in self.sets] for clock in CLOCKS})

    def looks(self, name: str) -> int:
        """Sets that a contestant took part in."""
        return sum(name in one.contestants for one in self.sets)

    def turns(self, name: str) -> list[Turn]:
        """All turns of a contestant."""
        return [turn for one in self.sets if name in one.contestants for turn in turns_at(one, one.contestants.index(name))]

    def calls(self, name: str, disturbed: bool) -> Floats:
        """Latencies of a contestant's calls, nanoseconds; with those of disturbed blocks, or without."""
        found = [b for turn in self.turns(name) for b in (attempts(turn) if disturbed else [turn.block]) if b is not None]
        return np.array([ns for block in found for ns in block.latencies_ns], dtype=float)

    def reasons(self, name: str) -> dict[str, int]:
        """Why turns of a contestant do not count, and how many."""
        found = [why for one in self.sets if name in one.contestants for why in faults(one, one.contestants.index(name)) if why]
        return {why: found.count(why) for why in dict.fromkeys(found)}

    def rough(self, name: str, over: str) -> Interval | None:
        """Speed over another by the lower quartile of all calls, the disturbed ones too; it ranks and decides nothing."""
        logs = []
        for one in self.sets:
            if {name, over} <= set(one.contestants):
                alone = Race([one])
                mine, theirs = (alone.calls(who, disturbed=True) for who in (name, over))
                logs += [math.log(np.percentile(theirs, 25) / np.percentile(mine, 25))] if len(mine) and len(theirs) else []
        return rough_of(logs)

    def energy(self, name: str, over: str) -> Interval | None:
        """Energy of a call over another's, from the package counters; a rough one from few sets; None where there are none."""
        per_set = []
        for one in self.sets:
            if {name, over} <= set(one.contestants):
                each = [energy_of(turns_at(one, one.contestants.index(who))) for who in (name, over)]
                per_set += [[math.log(each[0] / each[1])]] if each[0] and each[1] else []
        return ratio_interval(per_set) if len(per_set) >= SETS else rough_of([log for logs in per_set for log in logs])


def attempts(turn: Turn) -> list[Block]:
    """The blocks of a turn, those that were refused too."""
    return [*([turn.block] if turn.block is not None else []), *turn.refused]


def energy_of(turns: Sequence[Turn]) -> float | None:
    """Microjoules of a call; None where a block has none."""
    blocks = [turn.block for turn in turns if turn.block is not None]
    if not blocks or any(b.energy_uj is None for b in blocks):
        return None
    return sum(b.energy_uj or 0 for b in blocks) / max(1, sum(len(b.latencies_ns) for b in blocks)) or None


def residual(rows: Sequence[tuple[int, int, float]]) -> tuple[float, int]:
    """Sum of squares left by an additive model of (contestant, set, value), and its degrees of freedom."""
    if not rows:
        return 0.0, 0
    people = {name: place for place, name in enumerate(dict.fromkeys(name for name, _, _ in rows))}
    sets = {index: place for place, index in enumerate(dict.fromkeys(index for _, index, _ in rows))}
    design = np.zeros((len(rows), len(people) + len(sets)))
    for row, (name, index, _) in enumerate(rows):
        design[row, people[name]] = design[row, len(people) + sets[index]] = 1.0
    values = np.array([value for _, _, value in rows])
    solution, _, rank, _ = np.linalg.lstsq(design, values, rcond=None)
    return float(np.sum((values - design @ solution) ** 2)), len(rows) - int(rank)


def readings(one: RaceSet, clock: Clock) -> dict[str, Floats]:
    """Of each contestant: log(nanoseconds of a call) by round, NaN where none of its turns counts; two turns as their mean."""
    take = wall_times if clock == "wall time" else cpu_times
    found: dict[str, Floats] = {}
    for place, name in enumerate(one.contestants):
        by_round: list[list[float]] = [[] for _ in one.rounds]
        where = [index for index, order in enumerate(one.rounds) for turn in order if turn.place == place]
        for index, value in zip(where, take(one, place), strict=True):
            by_round[index] += [value] if math.isfinite(value) else []
        found[name] = np.array([sum(part) / len(part) if part else math.nan for part in by_round], dtype=float)
    return found


def turns_at(one: RaceSet, place: int) -> list[Turn]:
    """The turns of one place of a set, in order."""
    return [turn for order in one.rounds for turn in order if turn.place == place]


def wall_times(one: RaceSet, place: int) -> list[float]:
    """log of the typical latency of each turn, nanoseconds; NaN where it was disturbed."""
    return [
        math.log(max(block_latency(turn.block), 1.0)) if turn.block is not None and not why else math.nan
        for turn, why in zip(turns_at(one, place), faults(one, place), strict=True)
    ]


def cpu_times(one: RaceSet, place: int) -> list[float]:
    """log of the CPU time of a call in each turn, over all its attempts, nanoseconds.

    NaN at several threads, whose waiting counts, and where a hypervisor took over 5 % of the time.
    """
    parts = [attempts(turn) for turn in turns_at(one, place)]
    blocks = [block for part in parts for block in part]
    stolen_ns = sum(b.steal_ms or 0.0 for b in blocks) * 1e6
    if one.threads[place] != 1 or stolen_ns > STEAL_LIMIT * sum(b.wall_ns for b in blocks):
        return [math.nan] * len(parts)
    found = []
    for part in parts:
        calls, spent = sum(len(b.latencies_ns) for b in part), sum(b.cpu_ns for b in part)
        found.append(math.log(spent / calls) if calls and spent > 0 else math.nan)
    return found


def faults(one: RaceSet, place: int) -> list[str]:
    """Why each turn at a place was disturbed; an empty text for those that count."""
    turns, threads = turns_at(one, place), one.threads[place]
    blocks = [turn.block for turn in turns if turn.block is not None]
    shares = [b.cpu_ns / max(b.wall_ns, 1) for b in blocks]
    least = least_usual(shares, threads, any(b.delay_ns is not None for b in blocks))

    def fault(block: Block | None) -> str:
        if block is None:
            return "delay"
        return disturbed_blocks([block], [threads]) or ("cpu" if block.cpu_ns < least * block.wall_ns else "")

    return [fault(turn.block) for turn in turns]
