"""What a run's clock leaves to each stage."""

import math
import time

import pytest

from strop.core.budget import Saving
from strop.core.errors import BudgetError
from strop.run.budget import CAUTION, PACE, PACK_S, Budget, least_of

HOUR = 3600.0


def test_without_a_budget_nothing_ends():
    for asked in (None, "auto"):
        budget = Budget(asked)
        assert (budget.left(), budget.deadline) == (math.inf, None)
        budget.share(3)
        assert not budget.share_spent


def test_each_stage_has_what_is_left_less_what_those_after_it_keep():
    budget = Budget(HOUR)
    budget.keep("delivery", 100)
    budget.keep("beside", 10)
    budget.keep("confirmation", 1000)
    budget.keep("search", 500)
    lefts = {}
    for stage in ("reference", "tuning", "search", "confirmation", "beside", "delivery"):
        budget.enter(stage)
        lefts[stage] = round(budget.left(), -1)
    assert lefts == {"reference": 1990, "tuning": 1990, "search": 2490, "confirmation": 3490, "beside": 3500, "delivery": 3600}


def test_what_runs_is_ended_at_the_stage_s_deadline_but_delivery_is_not():
    start = time.monotonic()
    budget = Budget(HOUR, start)
    assert budget.deadline == start + HOUR - PACK_S
    budget.enter("search")
    budget.keep("confirmation", 600)
    assert budget.deadline == start + HOUR - PACK_S - 600
    budget.enter("delivery")
    assert budget.deadline is None


def test_auto_has_no_deadline_until_it_is_settled_and_counts_from_the_start():
    start = time.monotonic() - 50
    budget = Budget("auto", start)
    assert budget.deadline is None
    budget.settle(300, 1200)
    assert budget.deadline == start + 300 - PACK_S
    assert (budget.asked, budget.total, budget.estimate) == ("auto", 300, 1200)


def test_a_tiny_budget_keeps_a_quarter_for_packing():
    assert Budget(4.0, time.monotonic()).left() == pytest.approx(3, abs=0.5)


def test_shares_end_and_what_has_its_share_may_not_repeat():
    budget = Budget(PACK_S, time.monotonic() - HOUR)
    budget.share(2)
    assert budget.share_spent


def test_estimates_are_corrected_by_what_was_measured():
    budget = Budget(HOUR)
    assert budget.pace == CAUTION
    budget.observe(CAUTION * 10, 20)
    assert budget.pace == pytest.approx(2)
    budget.observe(2 * 10, 20)
    assert budget.pace == pytest.approx(2)
    for _ in range(9):
        budget.observe(budget.pace * 10, 1000)
    assert budget.pace == PACE[1]


def test_what_was_left_out_is_known():
    budget = Budget(60.0)
    budget.savings.append(Saving(what="confirmation", count=3))
    assert budget.lacks("confirmation")
    assert not budget.lacks("finalists")


def test_the_refusal_names_the_budget_and_what_did_not_fit():
    words = "a budget of 3 s is below one build and one check of the given model"
    with pytest.raises(BudgetError, match=words) as refused, least_of(3.0):
        raise BudgetError("the time budget ended")
    assert "--budget" in refused.value.hint
