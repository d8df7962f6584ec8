"""Divergence of class probabilities: what an output is read as, and what top-1 does not see."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from strop.core.divergence import FLOOR, divergences, reading_of
from strop.core.measurement import Check
from strop.core.task import Dataset, Task
from strop.run.answers import advantage, closeness
from strop.run.checking import CHECK
from strop.store.store import save

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 3, (200, 10)).astype(np.float32)


def softmax(logits):
    values = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (values / values.sum(axis=1, keepdims=True)).astype(np.float32)


PROBABILITIES = softmax(LOGITS)


@pytest.mark.parametrize(
    ("baseline", "reading"),
    [
        (PROBABILITIES, "probabilities"),
        (PROBABILITIES[:, :, None, None], "probabilities"),
        (LOGITS, "logits"),
        (np.log(PROBABILITIES), "logits"),
        (PROBABILITIES[:, 0], "probabilities"),
        (LOGITS[:, :1], "logits"),
        (RNG.random((200, 10)), None),
        (LOGITS.argmax(axis=1), None),
        (RNG.normal(size=(200, 10, 7)), None),
        (np.zeros((0, 10), np.float32), None),
    ],
    ids=["softmax", "with axes of one", "logits", "log-softmax", "one probability", "one logit", "independent scores", "classes",
         "maps", "nothing"],
)  # fmt: skip
def test_the_baseline_says_how_an_output_is_read(baseline, reading):
    assert reading_of(baseline) == reading


def test_logits_and_their_softmax_diverge_by_the_same():
    moved = LOGITS + RNG.normal(0, 0.3, LOGITS.shape).astype(np.float32)
    by_logits, by_softmax = divergences(moved, LOGITS), divergences(softmax(moved), PROBABILITIES)
    expected = (PROBABILITIES * (np.log(PROBABILITIES) - np.log(softmax(moved)))).sum(axis=1)
    assert by_logits == pytest.approx(expected, abs=1e-4)
    assert by_softmax == pytest.approx(expected, abs=1e-4)


def test_two_classes_by_one_number_are_two_classes():
    one, other = PROBABILITIES[:, 0], PROBABILITIES[:, 1]
    both = [np.stack([1 - p, p], axis=1) for p in (one, other)]
    assert divergences(one, other) == pytest.approx(divergences(*both), abs=1e-6)
    assert divergences(LOGITS[:, :1], LOGITS[:, 1:2]) is not None


def test_a_rounded_softmax_keeps_its_top_and_diverges():
    rounded = np.round(PROBABILITIES * 255) / 255
    far = divergences(rounded.astype(np.float32), PROBABILITIES)
    assert (rounded.argmax(axis=1) == PROBABILITIES.argmax(axis=1)).mean() > 0.99
    assert np.isfinite(far).all() and far.mean() > 0.01


SOME = arrays(np.float32, (5, 4), elements=st.floats(-50, 50, width=32))


@given(SOME, SOME)
def test_it_is_finite_never_negative_and_none_from_itself(mine, theirs):
    found = divergences(mine, theirs)
    if found is not None:
        assert (found >= 0).all() and (found <= -np.log(FLOOR) + 1).all()
        assert divergences(theirs, theirs) == pytest.approx(np.zeros(5), abs=1e-9)


def folder(tmp_path, name, **outputs):
    place = tmp_path / name
    place.mkdir()
    for output, values in outputs.items():
        np.save(place / f"{output}.npy", values)
    save(place / CHECK, Check(shards={o: f"{o}.npy" for o in outputs}, examples=len(next(iter(outputs.values())))))
    return place


def task(metric, tmp_path=None, labels=None, **fields):
    known = None
    if labels is not None:
        known = "labels.npy"
        np.save(tmp_path / known, labels)
    data = Dataset(digest="d", folder=str(tmp_path or "f"), count=200, inputs={"x": "x.npy"}, labels=known)
    return Task(evaluation=data, calibration=None, metric=metric, output="y", **fields)


@pytest.mark.parametrize(
    ("metric", "shown"),
    [("top1", {"divergence"}), ("topk", {"divergence"}), ("roc_auc", {"divergence"}), ("agreement", {"divergence", "difference"}),
     ("mae", {"difference"}), ("scorer", {"difference"}), ("difference", {"agreement"}), ("unmeasured", set())],
)  # fmt: skip
def test_each_task_has_one_figure_of_how_far_the_answers_are(tmp_path, metric, shown):
    theirs = folder(tmp_path, "a", y=PROBABILITIES)
    mine = folder(tmp_path, "b", y=softmax(LOGITS + RNG.normal(0, 0.3, LOGITS.shape)))
    found = closeness(mine, theirs, task(metric))
    assert set(found) == shown
    assert all(one.low <= one.value <= one.high for one in found.values())
    itself = closeness(theirs, theirs, task(metric))
    assert all(one.value == (1.0 if name == "agreement" else 0.0) for name, one in itself.items())


def test_of_several_outputs_the_largest_difference_stands_beside(tmp_path):
    """A second output that nobody scores may be wrong while the classes are right."""
    theirs = folder(tmp_path, "a", y=PROBABILITIES, boxes=LOGITS)
    mine = folder(tmp_path, "b", y=PROBABILITIES, boxes=LOGITS + RNG.normal(0, 0.3, LOGITS.shape))
    found = closeness(mine, theirs, task("top1"))
    assert found["divergence"].value == pytest.approx(0)
    assert found["difference"].low > 0.05


def test_tokens_that_do_not_count_do_not_count(tmp_path):
    labels = np.where(np.arange(20) < 5, 1, -100)[None].repeat(200, 0)
    given = RNG.normal(size=(200, 20, 4)).astype(np.float32)
    padded = given.copy()
    padded[:, 5:] += RNG.normal(0, 5, (200, 15, 4))
    theirs, mine = folder(tmp_path, "a", y=given), folder(tmp_path, "b", y=padded)
    asked = task("token_accuracy", tmp_path, labels, kind="token-classification")
    assert closeness(mine, theirs, asked)["divergence"].value == pytest.approx(0, abs=1e-9)
    padded[:, :5] += RNG.normal(0, 1, (200, 5, 4))
    assert closeness(folder(tmp_path, "c", y=padded), theirs, asked)["divergence"].low > 0.05


def test_the_nearer_of_two_candidates_is_told_example_by_example(tmp_path):
    labels = LOGITS.argmax(axis=1)
    theirs = folder(tmp_path, "a", y=LOGITS)
    near, far = (folder(tmp_path, n, y=LOGITS + RNG.normal(0, s, LOGITS.shape)) for n, s in (("near", 0.1), ("far", 0.5)))
    asked = task("top1", tmp_path, labels)
    assert advantage(near, far, theirs, asked)["divergence"].low > 0
    assert advantage(far, near, theirs, asked)["divergence"].high < 0
