"""Who is confirmed: an ordered queue by what the search found, and who is called up when a finalist falls. Pure."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from strop.core.verdict import Interval

AT_FIRST = 3
"""Finalists that are confirmed together."""
AT_MOST = 5
"""Finalists in all, those that took the place of others included."""


class Entrant(NamedTuple):
    """A candidate by its search figures; they order the queue and decide nothing.

    score: its score, with the interval. open_musts: musts on its answers or its size that these do not pass: it cannot be
    chosen, however fast, unless more text settles them. missed: musts that its other search figures miss, which fresh ones
    will hardly mend. misses_goal: whether some goal is missed by its whole interval, so that it would be provisional at most.
    outpaced: its race ended early, because another was faster.
    """

    name: str
    score: Interval
    open_musts: int = 0
    missed: int = 0
    misses_goal: bool = False
    outpaced: bool = False

    @property
    def key(self) -> tuple[int, int, bool, float]:
        return self.open_musts, self.missed, self.misses_goal, -self.score.value


class Standing(NamedTuple):
    """A confirmed candidate that may be chosen: `rank` 0 met every gate, 1 only the musts."""

    rank: int
    score: float


def in_order(entrants: Sequence[Entrant], least: float = 0.0) -> list[Entrant]:
    """Those that may score above the baseline, best first.

    Args:
        least: the baseline's own score. It is 0 unless throughput counts, which another of its settings may serve better.

    What passes the musts comes before what leaves some open; among these, what may meet every goal, as the choice prefers it.
    But the best score among those that pass the musts leads in any case: if no goal is met in the end, it is the one to choose.
    """
    field = sorted((e for e in entrants if e.score.high > least), key=lambda e: e.key)
    alike = [e for e in field if e.key[:2] == field[0].key[:2] and not e.outpaced]
    if not alike:
        return field
    leader = max(alike, key=lambda e: e.score.value)
    return [leader, *(e for e in field if e is not leader)]


def first_finalists(queue: Sequence[Entrant], count: int = AT_FIRST) -> list[Entrant]:
    """Those who are confirmed together; what was outpaced waits for somebody to fall."""
    return [e for e in queue if not e.outpaced][:count]


def next_finalist(
    queue: Sequence[Entrant], called: Collection[str], standing: Sequence[Standing], vacant: bool, settles: bool = False
) -> Entrant | None:
    """Who is confirmed next: the best of the queue that may still beat all that stand.

    As long as nobody takes the place of one that fell, it must have done better in the search than those that stand did in the
    confirmation: the best of many look better than they are, and the next one may be it.

    Args:
        called: names of those confirmed so far, fallen or not.
        vacant: whether a finalist fell whose place nobody took.
        standing: those of them that may be chosen, and the baseline.
        settles: whether more text can settle a must that the answers leave open.
    """
    if len(called) >= AT_MOST:
        return None
    best = min(standing, key=lambda s: (s.rank, -s.score), default=None)
    able = (e for e in queue if e.name not in called and (settles or not e.open_musts))
    waiting = sorted(able, key=lambda e: e.key)
    return next((e for e in waiting if best is None or _may_beat(e, best, vacant)), None)


def _may_beat(entrant: Entrant, best: Standing, vacant: bool) -> bool:
    rank = int(entrant.misses_goal)
    reach = entrant.score.high if vacant else entrant.score.value
    return (vacant and rank < best.rank) or (rank <= best.rank and reach > best.score)
