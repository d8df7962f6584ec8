"""Figures over many draws at once are those of one draw after the other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strop.core import resampled
from strop.core.metrics import metric, one_by_one

NAMES = ("roc_auc", "mae", "spearman", "pearson")
ONCE = np.ones((1, 4), np.int64)


def test_ranks_share_ties():
    assert resampled.ranks(np.array([10.0, 20.0, 20.0, 5.0]), ONCE).tolist() == [[2.0, 3.5, 3.5, 1.0]]


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 10_000), count=st.integers(2, 40), values=st.integers(1, 5))
def test_all_draws_at_once_give_the_figures_of_each(name, seed, count, values):
    """Few different values, so that many tie and some draws hold one value only."""
    rng, chosen = np.random.default_rng(seed), metric(name)
    outputs, labels = rng.integers(0, values, count) / 10, rng.integers(0, 2, count)
    counts = rng.multinomial(count, np.full(count, 1 / count), size=7)
    expected = one_by_one(chosen)(outputs, labels, counts)
    np.testing.assert_allclose(chosen.over_draws(outputs, labels, counts), expected, atol=1e-9)


def test_correlation_is_the_usual_one():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 50))
    found = resampled.pearson(a, a + b, np.ones((1, 50), np.int64))
    assert found[0] == pytest.approx(np.corrcoef(a, a + b)[0, 1])


def test_a_constant_correlates_with_nothing():
    """Its mean is not exactly itself in floating point."""
    assert resampled.pearson(np.full(4, 0.1), np.arange(4.0), ONCE)[0] == 0.0
