"""Weights, scores and the choice; ties are settled by memory, then by safety."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strop.core.choose import AXES, DEFAULT_WEIGHTS, Contender, choose, parse_weights, score
from strop.core.errors import ConfigError

from .makers import interval, intervals


def contender(name, speed, low=None, high=None, *, rank=0, safety=0, memory=None):
    return Contender(name=name, rank=rank, safety=safety, speedup=interval(speed, low, high), memory=memory)


def test_default_weights_sum_to_one():
    assert parse_weights(None) == DEFAULT_WEIGHTS
    assert math.isclose(sum(DEFAULT_WEIGHTS.values()), 1.0)


@given(st.permutations(AXES), st.integers(0, 100))
def test_weights_read_back_as_written(axes, hundredth):
    one, other, *_ = axes
    weights = parse_weights(f"{one}={hundredth / 100}, {other} = {1 - hundredth / 100}")
    assert weights == {one: hundredth / 100, other: 1 - hundredth / 100}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "speed",
        "speed=",
        "speed=x",
        "beauty=1",
        "speed=0.5",
        "speed=2,memory=-1",
        "speed=nan",
        "speed=inf",
        "speed=0.5,speed=0.5",
    ],
)
def test_bad_weights_are_refused_with_a_hint(text):
    with pytest.raises(ConfigError, match="--prefer") as refused:
        parse_weights(text)
    assert refused.value.hint


def test_score_is_the_weighted_sum_of_logs():
    one = contender("a", 2.0, 1.9, 2.1, memory=interval(0.5, 0.4, 0.6))
    figure = score(one, {"speed": 0.6, "memory": 0.4})
    assert figure.value == pytest.approx(0.6 * math.log(2) + 0.4 * math.log(2))
    assert figure.high - figure.low == pytest.approx(0.6 * math.log(2.1 / 1.9))


def test_a_difference_within_its_interval_counts_as_none():
    doubtful = contender("a", 1.0, memory=interval(0.9, 0.7, 1.1))
    assert score(doubtful, {"memory": 1.0}).value == 0.0
    assert score(contender("b", 1.0), {"memory": 1.0}).value == 0.0


def test_nobody_to_choose_from():
    assert choose([], DEFAULT_WEIGHTS) is None


def test_meeting_every_gate_beats_any_score():
    choice = choose([contender("fast", 9.0, rank=1), contender("good", 1.1)], DEFAULT_WEIGHTS)
    assert (choice.name, choice.tied) == ("good", ())
    assert set(choice.scores) == {"fast", "good"}


def test_a_clear_lead_decides():
    choice = choose([contender("slow", 1.5, 1.4, 1.6), contender("fast", 3.0, 2.9, 3.1, safety=9)], {"speed": 1.0})
    assert (choice.name, choice.tied) == ("fast", ())
    assert "highest score" in choice.reason


def test_a_tie_goes_to_less_memory_then_to_the_safer_recipe():
    small, large = interval(0.3, 0.28, 0.32), interval(0.6, 0.58, 0.62)
    bold = contender("bold", 2.008, 1.8, 2.4, safety=5, memory=small)
    tame = contender("tame", 2.0, 1.7, 2.3, safety=1, memory=large)
    choice = choose([tame, bold], {"speed": 1.0})
    assert (choice.name, choice.tied) == ("bold", ("tame",))
    assert "tame" in choice.reason
    alike = bold.model_copy(update={"memory": interval(0.6, 0.5, 0.7)})
    assert choose([tame, alike], {"speed": 1.0}).name == "tame"


def test_the_reason_names_what_settled_the_tie():
    lean, fat = (interval(v, v - 0.01, v + 0.01) for v in (0.5, 1.0))
    by_memory = choose([contender("a", 1.0, 0.9, 1.1, memory=lean), contender("b", 1.0, 0.9, 1.1, memory=fat)], {"speed": 1.0})
    by_safety = choose([contender("a", 1.0, 0.9, 1.1, safety=3), contender("b", 1.0, 0.9, 1.1)], {"speed": 1.0})
    assert by_memory.reason.endswith("it needs less memory")
    assert by_safety.reason.endswith("memory does not settle it, and it is the safer recipe")


def test_a_wide_interval_makes_no_tie_of_a_lead():
    lead, tame = contender("lead", 2.2, 1.5, 3.0, safety=9), contender("tame", 2.0, 1.5, 2.6)
    choice = choose([tame, lead], {"speed": 1.0})
    assert (choice.name, choice.tied) == ("lead", ())


def test_scores_half_a_percent_apart_are_no_tie_however_wide_their_intervals():
    lead, tame = contender("lead", 2.02, 1.0, 3.0, safety=9), contender("tame", 2.0, 1.0, 3.0)
    assert choose([tame, lead], {"speed": 1.0}).name == "lead"


def test_an_uncertain_leader_draws_nobody_in_whom_another_surely_beats():
    uncertain, sure, slow = contender("uncertain", 2.5, 1.0, 4.0), contender("sure", 2.0), contender("slow", 1.0, safety=-1)
    choice = choose([uncertain, sure, slow], {"speed": 1.0})
    assert "slow" not in (choice.name, *choice.tied)


contenders = st.lists(
    st.builds(
        Contender, name=st.uuids().map(str), rank=st.integers(0, 1), safety=st.integers(0, 3), speedup=intervals(0.5, 4.0),
        memory=st.none() | intervals(0.2, 2.0),
    ),
    min_size=1, max_size=6,
)  # fmt: skip


@given(contenders)
def test_the_choice_is_of_the_best_rank_and_nobody_there_surely_beats_it(field):
    choice = choose(field, DEFAULT_WEIGHTS)
    by = {c.name: c for c in field}
    best = min(c.rank for c in field)
    assert by[choice.name].rank == best
    assert choice.name not in choice.tied
    mine = choice.scores[choice.name]
    assert not any(c.rank == best and choice.scores[c.name].low > mine.high for c in field)
    assert all(by[name].rank == best for name in choice.tied)


@given(contenders)
def test_the_order_of_the_candidates_does_not_matter_for_a_clear_winner(field):
    choice = choose(field, DEFAULT_WEIGHTS)
    if not choice.tied:
        assert choose(field[::-1], DEFAULT_WEIGHTS).name == choice.name
