"""How far two sessions' answers are apart: close, and the largest difference as a share of the range."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from strop.core import difference
from strop.core.difference import ABSOLUTE, RELATIVE, close, largest_difference

OUTPUTS = arrays(np.float32, (7, 3), elements=st.floats(-100, 100, width=32))


@given(OUTPUTS)
def test_an_output_is_itself(values: np.ndarray) -> None:
    assert close(values, values)
    assert largest_difference(values, values) == 0.0


@given(OUTPUTS, st.integers(0, 20), st.floats(0.01, 10))
def test_one_moved_value_is_found_wherever_it_is(values: np.ndarray, place: int, by: float) -> None:
    values = values.astype(np.float64)
    values[0, 0], values[0, 1] = -100, 100
    moved = values.copy()
    moved.reshape(-1)[place] += by
    assert largest_difference(moved, values) == pytest.approx(by / 200)


@given(OUTPUTS, OUTPUTS, st.integers(1, 200))
def test_the_size_of_a_part_does_not_matter(mine: np.ndarray, theirs: np.ndarray, size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(difference, "PART_BYTES", size)
        parted = close(mine, theirs), largest_difference(mine, theirs)
    assert parted == (close(mine, theirs), largest_difference(mine, theirs))


def test_the_tolerance_is_the_stated_one() -> None:
    theirs = np.array([0.0, 10.0])
    assert close(theirs + np.array([0.9 * ABSOLUTE, 9 * RELATIVE]), theirs)
    assert not close(theirs + np.array([1.1 * ABSOLUTE, 0.0]), theirs)
    assert not close(theirs + np.array([0.0, 11 * RELATIVE]), theirs)


def test_other_shapes_are_never_close() -> None:
    assert not close(np.zeros((2, 3)), np.zeros((2, 1)))
    with pytest.raises(ValueError, match=r"\[2, 3\] and \[2, 1\]"):
        largest_difference(np.zeros((2, 3)), np.zeros((2, 1)))


def test_what_is_no_number_equals_itself_only() -> None:
    theirs = np.array([np.nan, np.inf, 0.0, 1.0])
    assert largest_difference(theirs, theirs) == 0.0
    for mine in ([0.0, np.inf, 0.0, 1.0], [np.nan, -np.inf, 0.0, 1.0], [np.nan, np.inf, np.nan, 1.0]):
        assert largest_difference(np.array(mine), theirs) == np.inf


def test_an_output_that_never_varies_has_a_finite_share() -> None:
    assert 0 < largest_difference(np.full(3, 1.5), np.ones(3)) < np.inf
    assert largest_difference(np.array([], np.float32), np.array([], np.float32)) == 0.0


def test_whole_numbers_do_not_wrap_around() -> None:
    assert largest_difference(np.array([0, 255], np.uint8), np.array([255, 0], np.uint8)) == 1.0
