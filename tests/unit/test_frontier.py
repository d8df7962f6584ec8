"""The Pareto frontier: nobody on it is dominated, everybody off it is."""

from hypothesis import given
from hypothesis import strategies as st

from strop.core.frontier import Figures, dominates, frontier

from .makers import interval, intervals

few = st.sampled_from([0.5, 1.0, 2.0]).map(interval)
figures = st.builds(Figures, few | intervals(), st.none() | few, st.none() | few, st.none() | few)
fields = st.dictionaries(st.sampled_from("abcdefgh"), figures, max_size=8)


@given(fields)
def test_the_frontier_is_exactly_what_nobody_dominates(candidates):
    kept = frontier(candidates)
    for name, mine in candidates.items():
        beaten = any(dominates(other, mine) for key, other in candidates.items() if key != name)
        assert (name in kept) != beaten


@given(fields)
def test_whoever_is_off_the_frontier_is_dominated_by_a_member(candidates):
    kept = frontier(candidates)
    assert bool(kept) == bool(candidates)
    for name in candidates.keys() - set(kept):
        assert any(dominates(candidates[member], candidates[name]) for member in kept)


@given(fields)
def test_fastest_first(candidates):
    speeds = [candidates[name].speedup.value for name in frontier(candidates)]
    assert speeds == sorted(speeds, reverse=True)


@given(figures, figures)
def test_domination_is_one_way(one, other):
    assert not dominates(one, one)
    assert not (dominates(one, other) and dominates(other, one))


def test_a_missing_figure_never_wins():
    measured = Figures(interval(1.0), interval(0.9), interval(0.5), interval(0.7))
    for axis in ("accuracy", "memory", "energy"):
        missing = measured._replace(**{axis: None})
        assert not dominates(missing, measured)
        assert dominates(measured, missing)


def test_memory_and_energy_are_better_low():
    small, large = (Figures(interval(1.0), interval(1.0), interval(m)) for m in (0.5, 1.0))
    assert dominates(small, large)
    assert frontier({"large": large, "small": small}) == ["small"]
