"""How a run spends its time: what is kept for which stage, and what is left out first where it does not suffice. Pure.

The ladder, from full to rough: fewer quads, then fewer pairs, then fewer finalists down to one, then no A/A; at last no
confirmation, where answers are judged and a speed is a rough figure of the search.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from strop.core.budget import Saving

AUTO_S = (60.0, 300.0)
"""What `--budget auto` comes to, at least and at most, of models of arrays: a run that is done sooner ends sooner, and
estimates of a short one may be far off."""
AUTO_STEP_S = 10.0
TUNING_SHARE = 1 / 3
"""Of what tuning the baseline and the search have together: so of the whole budget at most as much."""
CONFIRM_SHARE, MOST_CONFIRM_SHARE = 0.25, 0.5
"""Of what is left once the reference ran: what the confirmation is kept, and at most where it is known to need more."""
PAIRS, QUADS, PAIR_S = 5, (12, 40), 1.0
"""Of a full confirmation: pairs, quads a pair at least and at most, and seconds that a pair's quads may take, unless calls are so
long that a p99 needs more of them."""
LEAST_PAIRS, LEAST_QUADS = 3, 4
"""No interval over processes is made of fewer than three pairs."""
SIZES = (24, 12, 8, 6, 4)
ROUNDS, SET_S = (4, 12), 10.0
"""Rounds of a set of a race, at least and at most, of models of arrays; and the seconds that the rounds of any set take, unless
the least of them take longer."""
REPEATS = 3
"""Processes that a finalist's memory is measured in; the first is of the search."""


class Costs(NamedTuple):
    """Seconds that measurements take, estimated from warm calls and measured starts of this run.

    pair: start, load and warm both sides. quad: of one. alone: a process that measures memory.
    """

    pair: float
    quad: float
    alone: float


class RaceCosts(NamedTuple):
    """Seconds that a set of a race takes. start: to start, load and warm everybody. round: of one."""

    start: float
    round: float


class Plan(NamedTuple):
    """Sizes of the confirmation, fixed before its first sample. No finalists: there is no confirmation."""

    finalists: int
    pairs: int
    quads: int
    second_look: bool
    with_self: bool = True


NO_CONFIRMATION = Plan(0, 0, 0, False, False)


def seconds_of(plan: Plan, costs: Costs) -> float:
    """What a confirmation of one look takes: its comparisons, and the finalists' memory in further processes."""
    comparisons = plan.finalists + int(plan.with_self)
    return comparisons * plan.pairs * (costs.pair + plan.quads * costs.quad) + plan.finalists * (REPEATS - 1) * costs.alone


def ladder(finalists: int, pairs: int, quads: int) -> list[Plan]:
    """Every plan from the full one down, without second looks; the last is none at all. Without finalists only A/A is left."""
    sizes = sorted({quads, *(size for size in SIZES if size < quads)}, reverse=True)
    found = [
        Plan(count, number, size, False)
        for count in range(finalists, 0, -1) or (0,)
        for number in range(pairs, LEAST_PAIRS - 1, -1)
        for size in sizes
    ]
    alone = [Plan(1, LEAST_PAIRS, size, False, with_self=False) for size in sizes] if finalists else []
    return [*found, *alone, NO_CONFIRMATION]


def plan_confirmation(left_s: float, finalists: int, quads: int, costs: Costs, most_pairs: int) -> Plan:
    """The first plan of the ladder that fits the time left.

    A second look, of the same size for each finalist that needs it, is planned where there is time for one.
    """
    for plan in ladder(finalists, most_pairs, quads):
        taken = seconds_of(plan, costs)
        if taken <= left_s:
            again = plan.pairs * (costs.pair + plan.quads * costs.quad)
            return plan._replace(second_look=plan.with_self and taken + again <= left_s)
    return NO_CONFIRMATION


def savings(plan: Plan, finalists: int, quads: int, costs: Costs, most_pairs: int) -> list[Saving]:
    """What this plan leaves out of the full one, and about how many seconds more the better one would have taken."""
    taken = seconds_of(plan, costs)
    if not finalists:
        least = Plan(0, LEAST_PAIRS, min(quads, LEAST_QUADS), False)
        return [] if plan.with_self else [Saving(what="self-comparison", more_s=round(seconds_of(least, costs), 1))]
    if plan == NO_CONFIRMATION:
        wanted = Plan(finalists, LEAST_PAIRS, min(quads, LEAST_QUADS), False)
        return [Saving(what="confirmation", count=finalists, more_s=round(seconds_of(wanted, costs), 1))]
    found = []
    if plan.finalists < finalists:
        more = seconds_of(plan._replace(finalists=finalists, with_self=True), costs) - taken
        found.append(Saving(what="finalists", count=finalists - plan.finalists, more_s=round(more, 1)))
    if not plan.with_self:
        more = seconds_of(plan._replace(with_self=True), costs) - taken
        found.append(Saving(what="self-comparison", more_s=round(more, 1)))
    if (plan.pairs, plan.quads) < (most_pairs, min(quads, QUADS[0])):
        more = seconds_of(plan._replace(pairs=most_pairs, quads=quads), costs) - taken
        found.append(Saving(what="samples", more_s=round(more, 1)))
    return found


def kept_for_confirmation(left_s: float, one_s: float, quads: int, costs: Costs, most_pairs: int) -> float:
    """Seconds of what is left that the confirmation is kept: a quarter, or as far as half where three finalists need it.

    A short budget keeps what one finalist takes. Where even that leaves no time to try a single candidate, nothing is kept:
    a rough figure of something beats the confirmation of nothing.

    Args:
        one_s: what the cheapest candidate takes to build, check and time.
    """
    full = seconds_of(Plan(3, most_pairs, quads, False), costs)
    three = seconds_of(Plan(3, LEAST_PAIRS, min(quads, LEAST_QUADS), False), costs)
    one = seconds_of(Plan(1, LEAST_PAIRS, min(quads, LEAST_QUADS), False, with_self=False), costs)
    if left_s - one < one_s:
        return 0.0
    wanted = max(CONFIRM_SHARE * left_s, min(three, MOST_CONFIRM_SHARE * left_s), one)
    return min(full, wanted, left_s - one_s)


def kept_from_tuning(left_s: float, wanted_s: Sequence[float]) -> float:
    """Seconds of what is left that tuning the baseline may not touch: two thirds, and more where recipes need it.

    Args:
        left_s: of the search and the tuning together. wanted_s: of each recipe that was asked for by name, else of the cheapest.
    """
    return min(left_s, max((1 - TUNING_SHARE) * left_s, sum(wanted_s)))


def auto_seconds(spent_s: float, rest_s: float, bounds: tuple[float, float], least_s: float) -> float:
    """What `--budget auto` comes to: the estimate of a full run, within these bounds.

    A model so large that its reference took most of that already still gets the time for one candidate.

    Args:
        spent_s: so far. rest_s: estimate for all that is left to do. least_s: what one candidate takes, packing included.
    """
    least, most = bounds
    wanted = min(most, max(least, spent_s + rest_s))
    return AUTO_STEP_S * math.ceil(max(wanted, spent_s + least_s) / AUTO_STEP_S)


def rounds_that_fit(left_s: float, costs: RaceCosts, rounds: tuple[int, int]) -> int:
    """Rounds of a set in this time; 0 where not even the least fit. A set of slow models has fewer, so that it does not last."""
    least, most = rounds
    wanted = min(most, max(least, int(SET_S / max(costs.round, 1e-9))))
    if math.isinf(left_s):
        return wanted
    fit = int((left_s - costs.start) / max(costs.round, 1e-9))
    return min(wanted, fit) if fit >= least else 0


def those_in_time(seconds: Sequence[float], rounds: int, left_s: float) -> int:
    """How many of those in line fit so many rounds more, by what each took in the last one; the first always stays."""
    count = len(seconds)
    while count > 1 and rounds > 0 and sum(seconds[:count]) * rounds > left_s:
        count -= 1
    return count
