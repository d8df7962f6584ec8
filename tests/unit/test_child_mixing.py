"""Whether examples of a batch mix, seen by the answers of sessions that keep them apart and of some that do not."""

import numpy as np
import pytest

from strop_child.mixing import mixing

X = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32)


class Session:
    """Answers by a function of the batch."""

    def __init__(self, answer):
        self.answer = answer

    def run(self, feed):
        return {"y": self.answer(feed["x"])}


def quantized(x):
    """One scale for the whole batch."""
    scale = np.abs(x).max() / 127
    return np.round(x / scale) * scale


@pytest.mark.parametrize("batch", [2, 8])
@pytest.mark.parametrize(
    ("answer", "mixes"),
    [
        (np.tanh, False),
        (quantized, False),
        (lambda x: np.cumsum(x, axis=0), True),
        (lambda x: x - x.mean(axis=0), True),
        (lambda x: np.exp(x) / np.exp(x).sum(axis=0), True),
        (lambda x: x[::-1], True),
    ],
    ids=["apart", "scaled together", "as steps", "normalized together", "softmax over the batch", "reversed"],
)
def test_examples_that_mix_are_seen(batch, answer, mixes):
    assert (mixing(Session(answer), {"x": X}, 40, batch)["y"] > 0.1) is mixes


def test_where_nothing_can_be_seen_nothing_is_said():
    def refuses(_x):
        raise RuntimeError("only one at a time")

    assert mixing(Session(refuses), {"x": X}, 40, 2) == {}
    assert mixing(Session(np.tanh), {"x": X}, 40, 1) == {}
    assert mixing(Session(np.tanh), {"x": X}, 3, 2) == {}
    assert mixing(Session(lambda x: x.sum()), {"x": X}, 40, 2) == {}
    assert mixing(Session(lambda x: np.zeros(len(x))), {"x": X}, 40, 2) == {}
