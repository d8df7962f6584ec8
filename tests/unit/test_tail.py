"""The tail of a candidate beside the baseline's: what disturbs both is held against neither."""

import numpy as np
import pytest

from strop.core.tail import by_step, tail_ratio

from .makers import MS, quad


def noisy_quads(seed: int, tail: float = 1.0):
    """Three pairs of four quads with log-normal latencies; the candidate's slowest tenth is `tail` times slower."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(12):
        blocks = []
        for one in quad().blocks:
            ns = MS * np.exp(rng.normal(0, 0.05, 100))
            if one.side == "B":
                ns[:10] *= tail
            blocks.append(one.model_copy(update={"latencies_ns": tuple(int(x) for x in ns)}))
        found.append(quad().model_copy(update={"blocks": tuple(blocks)}))
    return [found[:4], found[4:8], found[8:]]


def test_the_tail_of_a_language_model_is_of_its_steps():
    """Requests are alike; one step in ten of the candidate's is three times slower."""
    step = [10_000] * 100
    slow = [30_000 if i % 10 == 0 else 10_000 for i in range(100)]
    quads = []
    for _ in range(12):
        blocks = [b.model_copy(update={"steps_ns": tuple(slow if b.side == "B" else step)}) for b in quad().blocks]
        quads.append(quad().model_copy(update={"blocks": tuple(blocks)}))
    kept = [quads[:4], quads[4:8], quads[8:]]
    assert tail_ratio(kept, 99).value == 1.0
    assert tail_ratio(by_step(kept), 99).value == pytest.approx(3, rel=0.01)
    assert by_step([[quad()]]) == [[quad()]], "a model without steps has calls"


def test_tail_ratio_of_alike_sides_is_about_one():
    figure = tail_ratio(noisy_quads(1), 99)
    assert figure.value == pytest.approx(1.0, abs=0.05)
    assert figure.low <= 1.0 <= figure.high


def test_tail_ratio_of_equal_samples_is_one():
    assert tail_ratio([[quad()] * 3] * 2, 99).value == 1.0


def test_tail_ratio_shows_a_longer_tail():
    figure = tail_ratio(noisy_quads(2, tail=3.0), 99)
    assert figure.value == pytest.approx(3.0, rel=0.1)
    assert figure.low > 2.0


def test_tail_ratio_needs_two_pairs_and_four_quads():
    assert tail_ratio([[quad()] * 9], 99) is None
    assert tail_ratio([[quad()], [quad()] * 2], 99) is None


def test_tail_ratio_is_wider_for_more_looks():
    once, twice = (tail_ratio(noisy_quads(4), 99, looks) for looks in (1, 2))
    assert once.value == twice.value
    assert twice.low <= once.low
    assert twice.high >= once.high


def disturbed_quads(seed: int, speedup: float, own: float = 0.0):
    """Three pairs of eight quads. Of the time, disturbances of 2 ms take their part, whoever runs.

    Args:
        own: milliseconds that each tenth call of the candidate takes longer by itself.
    """
    rng, found = np.random.default_rng(seed), []
    for _ in range(24):
        blocks = []
        for one in quad().blocks:
            typical = 10 * MS / (speedup if one.side == "B" else 1)
            calls = typical * np.exp(rng.normal(0, 0.01, 40)) + 2 * MS * rng.poisson(0.1, 40)
            if one.side == "B":
                calls[::10] += own * MS
            blocks.append(one.model_copy(update={"latencies_ns": tuple(int(x) for x in calls)}))
        found.append(quad().model_copy(update={"blocks": tuple(blocks)}))
    return [found[:8], found[8:16], found[16:]]


@pytest.mark.parametrize("speedup", [0.5, 1, 2, 5, 20])
def test_the_machines_own_disturbances_are_held_against_no_candidate(speedup):
    figure = tail_ratio(disturbed_quads(5, speedup), 95)
    assert figure.high < 1.5


@pytest.mark.parametrize("speedup", [1, 2, 5])
def test_a_candidate_that_is_unsteady_by_itself_is_seen(speedup):
    """Each tenth of its calls takes as long as the baseline's typical one longer."""
    figure = tail_ratio(disturbed_quads(6, speedup, own=10), 95)
    assert figure.low > 1.5


def test_a_slower_candidates_tail_may_grow_in_proportion():
    """The answer is the same if both sides are slowed down by the same factor, and if only the candidate is."""
    both = noisy_quads(3)
    assert tail_ratio(slowed(both, ("B",), 4), 99).value == pytest.approx(tail_ratio(both, 99).value, rel=0.02)
    assert tail_ratio(slowed(both, ("A", "B"), 4), 99).value == pytest.approx(tail_ratio(both, 99).value, rel=0.02)


def slowed(kept, sides, factor):
    def one(found):
        blocks = (
            b.model_copy(update={"latencies_ns": tuple(factor * x for x in b.latencies_ns)}) if b.side in sides else b
            for b in found.blocks
        )
        return found.model_copy(update={"blocks": tuple(blocks)})

    return [[one(q) for q in pair] for pair in kept]
