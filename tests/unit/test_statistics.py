"""Intervals against tables and simulation, exclusion by counters only, percentiles by sample count."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strop.core import statistics as s
from strop.core.measurement import VoidQuad
from strop.core.tail import tail_percentile

from .makers import MS, block, intervals, pair, quad

TABLE = [(0.975, 1, 12.7062), (0.975, 2, 4.3027), (0.975, 4, 2.7764), (0.9875, 4, 3.4954), (0.975, 30, 2.0423), (0.95, 3, 2.3534)]
logs = st.lists(st.lists(st.floats(-1, 1), min_size=1, max_size=8), min_size=3, max_size=6)


@pytest.mark.parametrize(("probability", "freedom", "expected"), TABLE)
def test_t_quantile_is_the_tables(probability, freedom, expected):
    assert s.t_quantile(probability, freedom) == pytest.approx(expected, abs=1e-4)


def test_t_quantile_tends_to_the_normal():
    assert s.t_quantile(0.975, 10_001) == pytest.approx(1.95996, abs=1e-3)


@given(logs)
def test_ratio_interval_contains_its_value(per_pair):
    figure = s.ratio_interval(per_pair)
    assert figure.low <= figure.value <= figure.high


@given(logs)
def test_swapping_the_sides_gives_the_reciprocal(per_pair):
    figure, swapped = s.ratio_interval(per_pair), s.ratio_interval([[-x for x in part] for part in per_pair])
    assert math.log(swapped.value) == pytest.approx(-math.log(figure.value), abs=1e-9)
    assert math.log(swapped.low) == pytest.approx(-math.log(figure.high), rel=1e-9, abs=1e-9)


@given(logs)
def test_more_looks_never_narrow_the_interval(per_pair):
    once, twice = s.ratio_interval(per_pair, looks=1), s.ratio_interval(per_pair, looks=2)
    assert twice.low <= once.low
    assert twice.high >= once.high


def test_more_looks_widen_an_interval_with_spread():
    once, twice = (s.ratio_interval([[0.1], [0.2], [0.4]], looks) for looks in (1, 2))
    assert twice.high / twice.low > once.high / once.low


def test_pairs_that_agree_by_luck_keep_the_width_that_their_quads_imply():
    noisy = [-0.3, -0.2, 0.0, 0.2, 0.3]
    figure = s.ratio_interval([noisy, noisy, noisy])
    assert figure.high / figure.low > 1.3


def test_coverage_in_simulation():
    """The true ratio lies inside about 95 of 100 intervals; far fewer would mean confidence without ground."""
    rng, truth, covered = np.random.default_rng(7), math.log(1.3), 0
    for _ in range(400):
        bias = rng.normal(truth, 0.05, 5)
        figure = s.ratio_interval([list(rng.normal(b, 0.02, 8)) for b in bias])
        covered += math.log(figure.low) <= truth <= math.log(figure.high)
    assert covered >= 0.92 * 400


def test_quad_log_ratio_is_baseline_over_candidate():
    assert s.quad_log_ratio(quad(2 * MS, MS)) == pytest.approx(math.log(2))


def test_ratios_count_what_they_leave_out():
    ratios = s.Ratios([pair([quad(2 * MS, MS)] * 3 + [quad(cpu=0.1)], index) for index in range(3)])
    assert (ratios.total, ratios.excluded, ratios.reasons) == (12, 0.25, {"cpu": 3})
    assert ratios.speedup().value == pytest.approx(2.0)


def test_void_quads_count_as_left_out_and_refused_blocks_by_side():
    refused = quad().model_copy(update={"refused": (block("B"), block("B"), block("A"))})
    void = VoidQuad(why="delay", blocks=(block("A"),), refused=(block("B"),) * 5)
    ratios = s.Ratios([pair([quad(), quad(), refused], index).model_copy(update={"voids": (void,)}) for index in range(3)])
    assert (ratios.total, ratios.excluded, ratios.reasons) == (12, 0.25, {"delay": 3})
    assert ratios.refused == {"A": 3, "B": 21}
    assert ratios.taken == {"A": 21, "B": 18}


def test_a_rough_figure_where_every_quad_is_void():
    void = VoidQuad(why="delay", blocks=(block("A", 2 * MS),), refused=(block("B", MS),) * 5)
    ratios = s.Ratios([pair([], index).model_copy(update={"voids": (void,) * 4}) for index in range(3)])
    assert ratios.speedup() is None
    rough = ratios.rough()
    assert rough.value == pytest.approx(2.0)
    assert rough.low < 2.0 / 1.04
    assert s.Ratios([pair([])]).rough() is None


def test_a_rough_figure_does_not_take_waiting_for_work():
    """Slices of 3 ms: a call of 4 ms is interrupted more often than one of 2 ms; its CPU time is not."""
    blocks = (block("A", 7 * MS, cpu=4 / 7), block("B", 2 * MS), block("B", 2 * MS), block("A", 7 * MS, cpu=4 / 7))
    void = VoidQuad(why="delay", blocks=(), refused=blocks)
    rough = s.Ratios([pair([], index).model_copy(update={"voids": (void,) * 4}) for index in range(3)]).rough()
    assert rough.value == pytest.approx(2.0, rel=1e-3)
    assert rough.high > 3.5


def refusing(a, b, index):
    return pair([quad().model_copy(update={"refused": (block("A"),) * a + (block("B"),) * b})] * 4, index)


def test_refusals_that_differ_in_every_pair_are_told_and_those_of_one_burst_are_not():
    assert s.uneven([refusing(0, 3, i) for i in range(5)])
    assert not s.uneven([refusing(0, 3 if i == 2 else 0, i) for i in range(5)])
    assert not s.uneven([refusing(1, 1, i) for i in range(5)])
    assert not s.uneven([refusing(0, 3, i) for i in range(2)])


def test_a_rough_figure_of_a_single_pair_is_the_widest():
    one, three = (s.Ratios([pair([quad(2 * MS, MS)], i) for i in range(n)]).rough() for n in (1, 3))
    assert one.high / one.low > three.high / three.low > 1.09


def test_no_number_where_most_quads_were_disturbed_or_pairs_are_few():
    busy = [pair([quad(), quad(steal_ms=9.0), quad(steal_ms=9.0)], index) for index in range(3)]
    assert s.Ratios(busy).speedup() is None
    assert s.Ratios([pair([quad()] * 9)] * 2).speedup() is None
    assert s.Ratios([]).speedup() is None


@pytest.mark.parametrize(
    ("count", "known"), [(1, {50}), (63, {50}), (64, {50, 90}), (130, {50, 90, 95}), (662, {50, 90, 95, 99})]
)
def test_percentiles_need_their_samples(count, known):
    assert set(s.percentiles(np.arange(count, dtype=float))) == known
    assert tail_percentile(count) == max(known - {50}, default=None)


def test_latency_interval_is_in_milliseconds_and_needs_three_pairs():
    kept = [[quad(2 * MS, MS)], [quad(2 * MS, MS)], [quad(2 * MS, MS)]]
    assert s.latency_interval(kept, "A").value == pytest.approx(2.0)
    assert s.latency_interval(kept, "B").value == pytest.approx(1.0)
    assert s.latency_interval(kept[:2], "A") is None


right = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=200).filter(lambda p: any(b for _, b in p))


@given(right)
def test_paired_proportions_contain_their_ratio(answers):
    candidate, baseline = (np.array(side) for side in zip(*answers, strict=True))
    figure = s.paired_proportion_ratio(candidate, baseline)
    assert figure.value == pytest.approx(candidate.sum() / baseline.sum())
    assert figure.low <= figure.value <= figure.high
    assert figure.low < figure.high


@given(right.filter(lambda p: any(a for a, _ in p)))
def test_paired_proportions_swap_to_the_reciprocal(answers):
    candidate, baseline = (np.array(side) for side in zip(*answers, strict=True))
    one, other = s.paired_proportion_ratio(candidate, baseline), s.paired_proportion_ratio(baseline, candidate)
    assert one.value == pytest.approx(1 / other.value)
    assert one.low == pytest.approx(1 / other.high)
    assert one.high == pytest.approx(1 / other.low)


def test_no_discordant_example_still_leaves_doubt_that_shrinks_with_examples():
    few, many = (s.paired_proportion_ratio(*[np.arange(n) % 10 != 0] * 2) for n in (50, 5000))
    assert few.low < 1.0 < few.high
    assert few.high - few.low > many.high - many.low > 0


def test_paired_proportions_cover_the_truth():
    """Candidate right on 0.86, baseline on 0.90 of the examples, mostly the same ones."""
    rng, covered = np.random.default_rng(3), 0
    for _ in range(300):
        baseline = rng.random(300) < 0.9
        candidate = np.where(baseline, rng.random(300) < 0.94, rng.random(300) < 0.14)
        figure = s.paired_proportion_ratio(candidate, baseline)
        covered += figure.low <= 0.86 / 0.9 <= figure.high
    assert covered >= 0.92 * 300


def test_wilson_against_a_known_value():
    assert s.wilson(81, 263, 1.959964) == pytest.approx((0.2553, 0.3662), abs=1e-4)


def test_range_ratio_holds_one_within_the_resolution():
    same = s.range_ratio([100e6, 101e6], [100e6, 100.5e6], resolution=2e6)
    assert same.low <= 1.0 <= same.high
    half = s.range_ratio([50e6, 51e6], [100e6, 101e6], resolution=2e6)
    assert half.value == pytest.approx(0.5025, abs=1e-3)
    assert half.high < 0.54


positive = st.lists(st.floats(1, 1e9), min_size=1, max_size=5)


@given(positive, positive, st.floats(0, 1e6))
def test_range_ratio_contains_its_value_and_widens_with_resolution(candidate, baseline, resolution):
    figure, exact = s.range_ratio(candidate, baseline, resolution), s.range_ratio(candidate, baseline, 0.0)
    assert figure.low <= figure.value <= figure.high
    assert figure.low <= exact.low
    assert figure.high >= exact.high


@given(intervals(), intervals())
def test_combine_divides_and_is_wider_than_either(one, other):
    ratio = s.combine(one, other)
    assert ratio.value == pytest.approx(one.value / other.value)
    assert ratio.low <= ratio.value <= ratio.high
    wide = math.log(ratio.high / ratio.low)
    assert wide >= max(math.log(one.high / one.low), math.log(other.high / other.low)) - 1e-9


@given(intervals(), intervals())
def test_product_multiplies_and_commutes(one, other):
    there, back = s.product(one, other), s.product(other, one)
    assert there.value == pytest.approx(one.value * other.value)
    assert (there.low, there.high) == (pytest.approx(back.low), pytest.approx(back.high))


def test_bootstrap_is_never_narrower_than_three_examples():
    figure = s.bootstrap_ratio(lambda drawn: (np.full(len(drawn), 0.5), np.full(len(drawn), 0.5)), 60)
    assert (figure.value, figure.low, figure.high) == (1.0, 0.95, 1.05)


def test_bootstrap_without_a_denominator_retains_nothing():
    assert s.bootstrap_ratio(lambda drawn: (np.full(len(drawn), 0.5), np.zeros(len(drawn))), 60).value == 0.0
