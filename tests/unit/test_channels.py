"""The difference from the baseline channel by channel: what it is, what it finds, and what it must not accuse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strop.core import channels
from strop.core.channels import lost, worst

RNG = np.random.default_rng(0)
EXAMPLES = 200
POSE = RNG.standard_normal((EXAMPLES, 4)) + np.array([100, 3, 0, -2])


def detections(rng=RNG):
    """Boxes on a grid, in pixels, and scores from 0 to 1: [examples, 5, places]."""
    boxes = 5 * np.arange(128.0) + 8 * rng.random((EXAMPLES, 4, 128))
    return np.concatenate([boxes, rng.random((EXAMPLES, 1, 128))], axis=1).astype(np.float32)


def figure(mine, theirs):
    return worst({"y": mine}, {"y": theirs}).figure.value


def test_the_difference_is_the_error_over_the_spread_of_its_channel():
    theirs = np.array([[0.0, 10.0], [2.0, 30.0]])  # spreads: 1 and 10
    mine = theirs + np.array([0.5, 1.0])
    found = worst({"y": mine}, {"y": theirs})
    assert (found.figure.value, found.where) == (pytest.approx(0.5), "y[:, 0]")


@given(st.integers(0, 3), st.floats(0.01, 2))
def test_noise_in_any_value_is_found_at_its_size(column, size):
    mine = POSE.copy()
    mine[:, column] += size * np.random.default_rng(1).standard_normal(EXAMPLES)
    found = worst({"y": mine}, {"y": POSE})
    assert found.where == f"y[:, {column}]"
    assert found.figure.value == pytest.approx(size, rel=0.25)
    assert found.figure.low <= found.figure.value <= found.figure.high


@pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
def test_dead_scores_beside_boxes_in_pixels_are_found(last):
    theirs = detections()
    mine = theirs.copy()
    mine[:, 4] = 0
    place = "y[..., 4]" if last else "y[:, 4]"
    mine, theirs = (x.transpose(0, 2, 1) if last else x for x in (mine, theirs))
    found = worst({"y": mine}, {"y": theirs})
    assert found.where == place
    assert found.figure.low > 1
    assert place in lost("y", mine, theirs)


@pytest.mark.parametrize("mantissa", [10, 7], ids=["fp16", "bf16"])
def test_floating_point_of_half_the_width_passes(mantissa):
    theirs = detections()
    mantissas, exponents = np.frexp(theirs)
    mine = np.ldexp(np.round(mantissas * 2 ** (mantissa + 1)) / 2 ** (mantissa + 1), exponents)
    assert figure(mine, theirs) < 0.01
    assert lost("y", mine, theirs) is None


def test_quantization_noise_is_small_and_loses_nothing():
    theirs = detections()
    for channel in range(5):
        scale = np.ptp(theirs[:, channel]) / 255
        mine = theirs.copy()
        mine[:, channel] = np.round(theirs[:, channel] / scale) * scale
        assert figure(mine, theirs) < 0.02
        assert lost("y", mine, theirs) is None


def test_a_dead_one_of_very_many_channels_is_found():
    """[examples, tokens, width]: the channels are on the longer axis."""
    theirs = RNG.standard_normal((EXAMPLES, 8, 128)) * RNG.uniform(0.2, 1, 128)
    mine = theirs.copy()
    weakest = int(theirs.std(axis=(0, 1)).argmin())
    mine[..., weakest] = 0
    found = worst({"y": mine}, {"y": theirs})
    assert (found.where, found.figure.value) == (f"y[..., {weakest}]", pytest.approx(1, abs=0.01))


def test_a_box_in_the_middle_of_its_cell_says_nothing():
    theirs = detections()
    mine = theirs.copy()
    mine[:, 0] = theirs[:, 0].mean(axis=0)
    assert "y[:, 0] does not follow the input" in lost("y", mine, theirs)


def test_whole_numbers_name_things():
    theirs = np.random.default_rng(3).integers(0, 10, EXAMPLES)
    mine = np.where(np.arange(EXAMPLES) < 10, (theirs + 1) % 10, theirs)
    assert worst({"y": mine}, {"y": theirs}).figure.value == pytest.approx(0.05)
    assert lost("y", mine, theirs) is None
    assert "is constant" in lost("y", np.zeros_like(theirs), theirs)
    assert "no more often than chance" in lost("y", RNG.permutation(theirs), theirs)
    assert figure(theirs > 5, theirs > 4) == (theirs == 5).mean()


def test_the_worst_of_all_outputs_counts():
    labels = np.arange(EXAMPLES) % 3
    theirs = {"a": POSE, "b": labels}
    assert worst(theirs, theirs).figure.value == 0
    found = worst({"a": POSE, "b": np.zeros_like(labels)}, theirs)
    assert (found.where, found.figure.value) == ("b", pytest.approx(133 / 200))


def test_a_small_spread_on_a_large_value_is_information():
    """Latitudes of one city, pressure in pascals: an answer that is always the mean is as wrong as one can be."""
    theirs = 52.52 + 0.04 * RNG.standard_normal((EXAMPLES, 2))
    assert figure(np.full_like(theirs, 52.52), theirs) > 0.9


def test_a_value_that_is_infinite_on_one_side_only_is_infinitely_far():
    theirs = np.array(POSE)
    masked = np.where(np.arange(theirs.shape[1]) == 0, -np.inf, theirs)
    assert figure(masked, masked) == 0.0
    assert figure(theirs, masked) > 1e6
    assert figure(masked, theirs) > 1e6


@pytest.mark.parametrize(
    ("theirs", "mine"),
    [
        (np.full((EXAMPLES, 3), 7.0), np.full((EXAMPLES, 3), 7.004)),
        (np.full((EXAMPLES, 3), 7.0) + 1e-6 * RNG.standard_normal((EXAMPLES, 3)), np.full((EXAMPLES, 3), 7.0)),
        (np.zeros((EXAMPLES, 3)), np.zeros((EXAMPLES, 3))),
        (np.hstack([POSE, np.zeros((EXAMPLES, 1))]), np.hstack([POSE, 1e-7 * np.ones((EXAMPLES, 1))])),
    ],
    ids=["constant", "nearly constant", "zeros", "one column of zeros"],
)
def test_what_does_not_vary_is_judged_by_its_size(theirs, mine):
    assert figure(mine, theirs) < 0.01
    assert lost("y", mine, theirs) is None


def test_a_constant_that_changed_is_found():
    assert figure(np.zeros((EXAMPLES, 3)), np.full((EXAMPLES, 3), 7.0)) == pytest.approx(1)


@pytest.mark.parametrize("count", [1, 2, 9])
def test_a_few_examples_decide_nothing(count):
    found = worst({"y": POSE[:count] + 0.1}, {"y": POSE[:count]}).figure
    assert found.low <= 0.05 < found.high
    assert lost("y", 0 * POSE[:count], POSE[:count]) is None


def test_a_rare_event_that_is_missed_is_no_lost_channel():
    theirs = POSE.copy()
    theirs[:, 2] = 0
    theirs[7, 2] = 1
    mine = theirs.copy()
    mine[:, 2] = 0
    assert lost("y", mine, theirs) is None


def test_a_faint_channel_is_no_lost_channel():
    theirs = np.hstack([POSE, 1e-5 * RNG.random((EXAMPLES, 1))])
    assert lost("y", np.hstack([POSE, np.zeros((EXAMPLES, 1))]), theirs) is None


def test_a_constant_offset_loses_nothing():
    assert lost("y", POSE + 5, POSE) is None


def test_infinities_that_both_have_are_left_out():
    theirs = POSE.copy()
    theirs[::3, 1] = -np.inf
    assert figure(theirs.copy(), theirs) == 0
    assert figure(np.where(np.isinf(theirs), -3e38, theirs), theirs) == 0


def test_parts_change_no_figure(monkeypatch):
    theirs, mine = detections(), detections(np.random.default_rng(5))
    whole = worst({"y": mine}, {"y": theirs})
    monkeypatch.setattr(channels, "PART_VALUES", 100)
    parts = worst({"y": mine}, {"y": theirs})
    assert (parts.where, parts.figure.value) == (whole.where, pytest.approx(whole.figure.value))
    assert parts.figure.high == pytest.approx(whole.figure.high)
