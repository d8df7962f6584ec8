"""What is compared without labels, and where examples lie: rules over a model's description."""

import numpy as np
import pytest

from strop.core.errors import DataError
from strop.core.measurement import Check
from strop.core.model import Origin, TensorSpec
from strop.core.task import Dataset, Task
from strop.plan.batch import batch_to_test, require_apart, require_batch_first
from strop.plan.unlabeled import unlabeled
from strop.run.answers import accuracy, unlabeled_quality
from strop.run.checking import CHECK, collapse
from strop.store.store import save

from .makers import model


def spec(name, *shape, dtype="float32"):
    return TensorSpec(name=name, dtype=dtype, shape=shape)


INPUT = spec("x", "batch", 4)


def given(*outputs, inputs=(INPUT,), **fields):
    return model().model_copy(update={"inputs": tuple(inputs), "outputs": outputs, **fields})


def origin(task):
    return Origin(kind="hf", path="m", digest="d", task=task, architecture="A", differences={}, versions={})


LOGITS, LABEL, GRID = spec("y", "batch", 10), spec("y", "batch", dtype="int64"), spec("y", "batch", 5, 256)


@pytest.mark.parametrize(
    ("found", "told", "named", "metric"),
    [
        (given(LOGITS, ends={"y": "Softmax"}), False, False, "agreement"),
        (given(spec("y", "batch", 10, 1, 1), ends={"y": "LogSoftmax"}), False, False, "agreement"),
        (given(LOGITS, ends={"y": "Gemm"}), True, False, "agreement"),
        (given(LOGITS), False, True, "agreement"),
        (given(LABEL), False, False, "agreement"),
        (given(LOGITS, origin=origin("text-classification")), False, False, "agreement"),
        (given(LOGITS, ends={"y": "Gemm"}), False, False, "difference"),
        (given(LOGITS, ends={"y": "Sigmoid"}), False, False, "difference"),
        (given(spec("y", "batch", 1), ends={"y": "Sigmoid"}), False, False, "difference"),
        (given(GRID, ends={"y": "Softmax"}), True, True, "difference"),
        (given(LOGITS, spec("boxes", "batch", 4), ends={"y": "Softmax"}), False, False, "difference"),
        (given(LOGITS, origin=origin("token-classification")), False, False, "difference"),
    ],
)
def test_agreement_only_where_answers_are_known_to_be_classes(found, told, named, metric):
    made = unlabeled(found, "y", "classification", told, named)
    assert made.metric == metric
    assert made.why.startswith("No labels were given")


@pytest.mark.parametrize(("kind", "metric"), [("boxes", "box_agreement"), ("texts", "text_agreement"), ("numbers", "difference")])
def test_the_user_says_what_an_output_holds(kind, metric):
    made = unlabeled(given(GRID), "y", "classification", False, False, holds=kind)
    assert made.metric == metric
    assert f"--output-kind says that 'y' holds {kind}" in made.why


def test_embeddings_are_compared_by_their_direction():
    assert unlabeled(given(LOGITS), "y", "feature-extraction", False, False).metric == "cosine"
    assert unlabeled(given(LOGITS), "y", "token-classification", True, False).metric == "difference"


X = spec("x", "batch", 3, 8, 8)


@pytest.mark.parametrize(
    ("inputs", "outputs", "flag"),
    [
        ([spec("x", 8, "batch", 8)], [spec("y", "batch", 10)], "x=1"),
        ([spec("x", "time", "N", 8)], [spec("y", "N", 10)], "x=1"),
        ([spec("x", "time", "s1", 8)], [spec("y", "s1", 10)], "x=1"),
        ([spec("x", 8, None, 8)], [spec("y", None, 10)], "x=1"),
        ([spec("x", "N", "T", 8), spec("h0", 2, "N", 16)], [spec("y", "N", 10), spec("hn", 2, "N", 16)], "h0=1"),
        ([spec("x", None, None, 8), spec("h0", 2, None, 16)], [spec("y", None, 10)], "h0=1"),
        ([spec("x", None, 8), spec("k", 4, 8)], [spec("y", None, 10)], "x=AXIS"),
        ([spec("x", 4, 8), spec("k", 2, 8)], [spec("y", 4, 10)], "x=AXIS"),
    ],
)
def test_examples_along_another_axis_are_refused_with_the_flag(inputs, outputs, flag):
    with pytest.raises(DataError) as refused:
        require_batch_first(given(*outputs, inputs=inputs), ())
    assert f"--batch-axis {flag}" in refused.value.hint
    require_batch_first(given(*outputs, inputs=inputs), [s.name for s in inputs])


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        ([X], [spec("y", "batch", 10)]),
        ([spec("x", 1, 3, 224, 224)], [spec("y", None, None)]),
        ([spec("x", 1, "sequence")], [spec("y", 1, "sequence", 768)]),
        ([spec("x", "batch", "sequence"), spec("m", "batch", "sequence")], [spec("y", "batch", "sequence", 8)]),
        ([spec("x", None, None)], [spec("y", None, None, 8)]),
        ([spec("x", 4, 8)], [spec("y", 4, 10)]),
        ([spec("x", None, 8), spec("threshold", 1)], [spec("y", None, 10)]),
        ([spec("x")], [spec("y")]),
    ],
)
def test_examples_along_the_first_axis_pass(inputs, outputs):
    require_batch_first(given(*outputs, inputs=inputs), ())


def test_what_no_name_says_is_tested():
    assert batch_to_test(given(spec("y", "batch", 10), inputs=[X]), 8, ()) == 0
    assert batch_to_test(given(spec("y", None, 10), inputs=[spec("x", None, 8)]), 1, ()) == 2
    assert batch_to_test(given(spec("y", 8, 10), inputs=[spec("x", 8, 8)]), 8, ()) == 8
    assert batch_to_test(given(spec("y", 1, 10), inputs=[spec("x", 1, 8)]), 1, ()) == 0
    assert batch_to_test(given(spec("y", 8, 10), inputs=[spec("x", 8, 8)]), 8, ["x"]) == 0
    require_apart({"y": 0.03})
    with pytest.raises(DataError, match="depends on the others in its batch") as refused:
        require_apart({"z": 0.0, "y": 0.9})
    assert "--batch-axis" in refused.value.hint


def folder(tmp_path, name, **outputs):
    """A check's folder with these outputs."""
    place = tmp_path / name
    place.mkdir()
    for output, values in outputs.items():
        np.save(place / f"{output}.npy", values)
    check = Check(shards={output: f"{output}.npy" for output in outputs}, examples=len(next(iter(outputs.values()))))
    save(place / CHECK, check)
    return place, check


def task(metric, output="y", **fields):
    data = Dataset(digest="d", folder="f", count=200, inputs={"x": "input0.npy"})
    return Task(evaluation=data, calibration=None, metric=metric, output=output, **fields)


RNG = np.random.default_rng(0)
SCORES, BOXES = RNG.random((200, 10)), RNG.random((200, 4)) * 640


def test_the_largest_difference_is_over_all_outputs(tmp_path):
    theirs, _ = folder(tmp_path, "a", y=SCORES, boxes=BOXES)
    mine, _ = folder(tmp_path, "b", y=SCORES, boxes=np.where(np.arange(4) == 2, BOXES + 0.2 * BOXES.std(axis=0), BOXES))
    found = accuracy(mine, theirs, task("difference"))
    assert (found.value, found.retained.value) == (pytest.approx(0.2), pytest.approx(0.8))
    assert found.where == "boxes[:, 2]"
    assert unlabeled_quality(mine, theirs, task("difference"))["agreement"].value == 1.0
    assert unlabeled_quality(mine, theirs, task("agreement"))["difference"].value == pytest.approx(0.2)
    itself = accuracy(theirs, theirs, task("difference"))
    assert (itself.value, itself.retained.value) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        (task("top1"), "boxes[:, 1]"),
        (task("agreement"), "boxes[:, 1]"),
        (task("scorer", scorer="m:f"), "boxes[:, 1]"),
        (task("difference"), "boxes[:, 1]"),
        (task("top1", output="boxes"), None),
        (task("unmeasured"), None),
    ],
)
def test_an_unscored_output_that_stopped_following_the_input_is_not_valid(tmp_path, asked, what):
    dead = np.where(np.arange(4) == 1, BOXES.mean(axis=0), BOXES)
    theirs, _ = folder(tmp_path, "a", y=SCORES, boxes=BOXES)
    mine, check = folder(tmp_path, "b", y=SCORES, boxes=dead)
    found = collapse(mine, check, theirs, asked)
    assert found is None if what is None else (found[0] == "collapse" and what in found[1])
    assert collapse(mine, check, None, asked) is None
