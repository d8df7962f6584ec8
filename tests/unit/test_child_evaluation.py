"""Which examples are answered in larger batches: only where that gives the same answers, bit for bit, in less time."""

import time

import numpy as np
import pytest

from strop_child.evaluation import PROBE, Evaluation, InvalidOutput

X = np.random.default_rng(0).standard_normal((301, 6)).astype(np.float32)


class Session:
    """Answers by a function of the batch; a call takes some time, and each example more."""

    def __init__(self, answer, call_s=0.001, example_s=0.0):
        self.answer, self.call_s, self.example_s = answer, call_s, example_s
        self.sizes = []

    def run(self, feed):
        x = feed["x"]
        self.sizes.append(len(x))
        time.sleep(self.call_s + self.example_s * len(x))
        return {"y": self.answer(x)}


def quantized(x):
    """One scale for the whole batch."""
    scale = np.abs(x).max() / 127
    return np.round(x / scale) * scale


def fixed(x):
    if len(x) != 1:
        raise RuntimeError("got invalid dimensions")
    return np.tanh(x)


def evaluate(tmp_path, session, together, batch=1, x=X):
    made = Evaluation(session, {"x": x}, len(x), batch, str(tmp_path))
    return made, made.run(together)


def test_the_same_answers_come_in_larger_batches(tmp_path):
    session = Session(np.tanh)
    made, batched = evaluate(tmp_path, session, 32)
    assert batched == 32
    assert np.array_equal(made.made["y"][1], np.tanh(X))
    assert len(made.durations) == PROBE, "how long a single call takes is told by single calls"
    assert session.sizes.count(32) == 2 + -(-(len(X) - PROBE) // 32)


@pytest.mark.parametrize(
    "session",
    [
        Session(quantized),
        Session(fixed),
        Session(lambda x: x - x.mean(axis=0) if len(x) > 1 else x),
        Session(lambda x: np.tanh(x)[:1]),
        Session(lambda x: np.tanh(x).astype(np.float64 if len(x) > 1 else np.float32)),
        Session(np.tanh, example_s=0.001, call_s=0.0),
        Session(lambda x: np.where(np.abs(x) < 0.001, -np.abs(x) * 0.0 if len(x) > 1 else 0.0, x)),
    ],
    ids=[
        "scaled together",
        "of a fixed size",
        "normalized together",
        "without rows",
        "of another type",
        "no faster",
        "signed zero",
    ],
)
def test_otherwise_every_example_is_answered_alone(tmp_path, session):
    x = X.copy()
    x[:, 0] = 0.0001
    alone = Session(session.answer, 0.0)
    first, size = evaluate(tmp_path, alone, 0, x=x)
    wanted = np.array(first.made["y"][1])
    made, batched = evaluate(tmp_path, session, 32, x=x)
    assert (size, batched) == (1, 1)
    assert np.array_equal(made.made["y"][1], wanted)
    assert len(made.durations) == len(x)


def test_a_batch_that_was_asked_for_is_kept(tmp_path):
    session = Session(quantized, 0.0)
    made, batched = evaluate(tmp_path, session, 32, batch=4)
    assert batched == 4
    assert set(session.sizes) == {4}
    assert np.array_equal(made.made["y"][1][:4], quantized(X[:4]))


def test_answers_that_change_are_refused(tmp_path):
    rng = np.random.default_rng(1)
    with pytest.raises(InvalidOutput, match="not deterministic"):
        evaluate(tmp_path, Session(lambda x: rng.random(x.shape)), 32)
