"""The ladder from a full run to a rough answer, and what a budget keeps for which stage: pure."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strop.core.budget import BudgetUse, Saving
from strop.plan.ladder import (
    AUTO_S,
    LEAST_PAIRS,
    NO_CONFIRMATION,
    ROUNDS,
    Costs,
    Plan,
    RaceCosts,
    auto_seconds,
    kept_for_confirmation,
    kept_from_tuning,
    ladder,
    plan_confirmation,
    rounds_that_fit,
    savings,
    seconds_of,
    those_in_time,
)
from strop.report.budget import budget_line, budget_notes
from strop.run.families.language import FAMILY

LANGUAGE = FAMILY.pace

FAST, SLOW = Costs(pair=2.0, quad=0.05, alone=1.0), Costs(pair=20.0, quad=16.0, alone=25.0)
costs = st.builds(Costs, st.floats(0.1, 60), st.floats(0.01, 30), st.floats(0.1, 60))
seconds = st.floats(0, 5000)


def plan_of(left: float, finalists: int = 3, each: Costs = FAST) -> Plan:
    return plan_confirmation(left, finalists, 12, each, 5)


def test_the_rungs_come_in_this_order():
    """Fewer quads, fewer pairs, fewer finalists, no A/A, none: as the time shrinks, each gives way before the next does."""
    rungs = [plan_of(left)._replace(second_look=False) for left in (1000, 53, 40, 20, 13, 9, 3)]
    assert rungs[0] == Plan(3, 5, 12, False)
    assert rungs[1] == Plan(3, 5, 6, False)
    assert (rungs[2].finalists, rungs[2].pairs) == (3, 3)
    assert rungs[3] == Plan(1, 4, 4, False)
    assert rungs[4] == Plan(1, 3, 12, False, with_self=False)
    assert rungs[5] == Plan(1, 3, 6, False, with_self=False)
    assert rungs[6] == NO_CONFIRMATION


def test_a_second_look_is_planned_only_where_it_fits():
    full = seconds_of(Plan(3, 5, 12, False), FAST)
    assert not plan_of(full).second_look
    assert plan_of(2 * full).second_look
    assert plan_of(math.inf) == Plan(3, 5, 12, True)


def test_without_finalists_the_baseline_against_itself_is_left():
    assert plan_of(1000, finalists=0) == Plan(0, 5, 12, True)
    assert plan_of(0, finalists=0) == NO_CONFIRMATION


@given(seconds, st.integers(0, 3), costs)
def test_a_plan_fits_its_time_and_is_never_below_three_pairs(left, finalists, each):
    plan = plan_of(left, finalists, each)
    assert seconds_of(plan, each) <= left
    assert plan == NO_CONFIRMATION or plan.pairs >= LEAST_PAIRS


@given(seconds, seconds, costs)
def test_more_time_is_never_a_lower_rung(one, other, each):
    rungs = [plan._replace(second_look=False) for plan in ladder(3, 5, 12)]
    places = [rungs.index(plan_of(left, 3, each)._replace(second_look=False)) for left in sorted((one, other))]
    assert places[1] <= places[0]


@given(seconds, st.integers(1, 3), costs)
def test_what_is_left_out_is_told_with_what_more_time_would_buy(left, finalists, each):
    plan = plan_of(left, finalists, each)
    told = {saving.what: saving for saving in savings(plan, finalists, 12, each, 5)}
    assert ("confirmation" in told) == (plan == NO_CONFIRMATION)
    assert ("finalists" in told) == (0 < plan.finalists < finalists)
    assert (not told) == (plan._replace(second_look=False) == Plan(finalists, 5, 12, False))
    assert all(saving.more_s > 0 for saving in told.values())


@given(seconds, st.floats(0.1, 300), costs)
def test_the_confirmation_keeps_at_most_half_unless_one_finalist_needs_more_and_leaves_room_for_a_candidate(left, one, each):
    kept = kept_for_confirmation(left, one, 12, each, 5)
    least = seconds_of(Plan(1, 3, 4, False, with_self=False), each)
    assert 0 <= kept <= max(left / 2, least)
    assert kept == 0 or (kept >= least * 0.999 and left - kept >= one * 0.999)


def test_where_not_even_one_finalist_could_be_confirmed_the_search_has_all():
    assert kept_for_confirmation(200, 60, 12, SLOW, 3) == 0
    assert kept_for_confirmation(1000, 60, 12, SLOW, 3) > 0


@given(seconds, st.lists(st.floats(0, 500), max_size=5))
def test_tuning_has_at_most_a_third_and_nothing_of_what_was_asked_for_by_name(left, named):
    tuning = left - kept_from_tuning(left, named)
    assert 0 <= tuning <= left / 3 + 1e-6
    assert tuning <= max(0.0, left - sum(named)) + 1e-6


@pytest.mark.parametrize(
    ("spent", "rest", "bounds", "least", "expected"),
    [
        (4, 51, AUTO_S, 9, 60),
        (4, 5000, AUTO_S, 9, 300),
        (20, 5000, LANGUAGE.auto_s, 60, 600),
        (700, 5000, LANGUAGE.auto_s, 95, 800),
    ],
    ids=["what it takes", "five minutes", "ten minutes", "a giant still has one candidate"],
)
def test_auto(spent, rest, bounds, least, expected):
    assert auto_seconds(spent, rest, bounds, least) == expected


@given(
    st.floats(0, 500), st.builds(RaceCosts, st.floats(0.1, 60), st.floats(0.01, 30)), st.sampled_from([ROUNDS, LANGUAGE.rounds])
)
def test_a_set_fits_or_is_not_begun(left, each, bounds):
    rounds, (least, most) = rounds_that_fit(left, each, bounds), bounds
    assert rounds == 0 or (least <= rounds <= most and each.start + rounds * each.round <= left * 1.0001)
    assert least <= rounds_that_fit(math.inf, each, bounds) <= most


def test_a_set_of_slow_models_has_few_rounds():
    assert rounds_that_fit(math.inf, RaceCosts(1.0, 0.1), ROUNDS) == ROUNDS[1]
    assert rounds_that_fit(math.inf, RaceCosts(1.0, 60.0), ROUNDS) == ROUNDS[0]


def test_the_last_in_line_are_given_up_where_rounds_take_too_long_and_never_the_first():
    assert those_in_time([10, 10, 10], 2, 60) == 3
    assert those_in_time([10, 10, 10], 2, 59) == 2
    assert those_in_time([10, 10, 10], 2, 1) == 1
    assert those_in_time([10, 10, 10], 0, 1) == 3
    assert those_in_time([], 3, 0) == 0


def test_notes_say_what_was_left_out_and_what_more_time_would_buy():
    assert budget_notes(BudgetUse(asked=60.0, seconds=60.0)) == []
    assert budget_notes(BudgetUse(asked=None, left_out=(Saving(what="samples"),))) == []
    left_out = (Saving(what="candidates", count=1, more_s=300), Saving(what="confirmation", count=3, more_s=138))
    (note,) = budget_notes(BudgetUse(asked="auto", seconds=60, left_out=left_out))
    assert note == (
        "To keep the budget of 60 s (auto): 1 candidate was not reached; about 5 min more would try it. There was no "
        "confirmation: speeds are rough figures of the search, and gates on time are unmeasured; about 2 min more would confirm "
        "3 finalists."
    )


def test_the_budget_in_a_line():
    assert budget_line(90.0, 90.0, None) == "90 s"
    assert budget_line("auto", 300.0, 1500.0) == "300 s (auto); --budget none measures everything, in about 25 min"
    assert "estimated" in budget_line("auto", 180.0, 172.0)
