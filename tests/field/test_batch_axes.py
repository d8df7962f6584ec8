"""Where examples lie: the batch axis of each input by its name, outputs that have no row for each example."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto as T
from onnx import helper, numpy_helper

from strop.bundle import infer_template
from strop.core.model import Artifact, Model, TensorSpec
from strop.plan.batch import named_axes
from strop_child import onnx_file
from strop_child.evaluation import Evaluation, InvalidOutput


def given(*inputs: tuple[int | str | None, ...]) -> Model:
    specs = tuple(TensorSpec(name=f"x{k}", dtype="float32", shape=shape) for k, shape in enumerate(inputs))
    artifact = Artifact(kind="onnx", path="/m.onnx", digest="d", bytes=1, files=("m.onnx",))
    return Model(artifact=artifact, reader="onnxruntime", inputs=specs, outputs=specs[:1], parameters=1)


@pytest.mark.parametrize(
    ("inputs", "axes"),
    [
        ([("batch", 3, 8)], {}),
        ([(8, "batch", 8)], {"x0": 1}),
        ([("time", "N", 8)], {"x0": 1}),
        ([("batch", "T", 8), (2, "batch", 16)], {"x1": 1}),
        ([("batch", "batch", 8)], {}),
        ([(8, None, 8)], {}),
        ([("time", "s1", 8)], {}),
    ],
)
def test_an_axis_that_is_named_as_batches_are_holds_the_examples(inputs, axes):
    assert named_axes(given(*inputs), {}) == axes
    assert named_axes(given(*inputs), {"x0": 0}) == {}


class Detector:
    """As many boxes as the first feature says, and one score for each example; a scalar beside them."""

    def run(self, feed):
        boxes = [np.full((int(row[0]), 4), row[0]) for row in feed["x"]]
        return {"boxes": np.concatenate(boxes), "score": feed["x"][:, :1] * 2, "scale": np.float32(3)}


@pytest.mark.parametrize(("counts", "batch"), [([1, 3, 2, 1], 1), ([1, 1, 4, 2], 2), ([2, 0, 1, 3], 2)])
def test_an_output_of_as_many_rows_by_chance_has_no_row_for_each_example(tmp_path, counts, batch):
    x = np.array(counts, np.float32)[:, None]
    found = Evaluation(Detector(), {"x": x}, len(x), batch, str(tmp_path))
    found.run()
    assert list(found.made) == ["score"]
    np.testing.assert_array_equal(found.made["score"][1], x * 2)


def test_a_type_that_changes_is_no_honest_output(tmp_path):
    class Session:
        def run(self, feed):
            return {"y": feed["x"].astype(np.float64 if feed["x"][0, 0] > 4 else np.float32)}

    x = np.arange(8, dtype=np.float32)[:, None]
    with pytest.raises(InvalidOutput, match="differs from earlier batches"):
        Evaluation(Session(), {"x": x}, 8, 1, str(tmp_path)).run()


@pytest.mark.parametrize("counts", [[1, 3, 2], [1, 1, 1]])
def test_a_bundle_returns_what_has_no_row_for_each_example_as_a_list(counts):
    bundle = infer_template.Bundle.__new__(infer_template.Bundle)
    bundle.manifest, bundle.counted, bundle.filled = {"by_call": ["boxes", "scale"]}, "x", False
    bundle.run = Detector().run
    x = np.array(counts, np.float32)[:, None]
    found = bundle.run_in_batches({"x": x}, 1)
    np.testing.assert_array_equal(found["score"], x * 2)
    assert [part.shape for part in found["boxes"]] == [(n, 4) for n in counts]
    assert found["scale"] == [3, 3, 3]
    assert set(infer_template.flat({"a": [x, x], "b": x})) == {"a.0", "a.1", "b"}


def test_a_number_that_decides_a_branch_is_generated_as_what_it_is_compared_with(tmp_path):
    nodes = [helper.make_node("Equal", ["rate", "r"], ["is"]), helper.make_node("Identity", ["x"], ["y"])]
    inputs = [helper.make_tensor_value_info("x", T.FLOAT, ["n", 4]), helper.make_tensor_value_info("rate", T.INT64, [])]
    outputs = [helper.make_tensor_value_info("y", T.FLOAT, ["n", 4])]
    body = helper.make_graph(nodes, "g", inputs, outputs, [numpy_helper.from_array(np.array(16000), "r")])
    onnx.save(helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "m.onnx")
    assert onnx_file.describe(str(tmp_path / "m.onnx"))["bounds"] == {"rate": [16000, 16000]}


def test_text_with_a_row_for_each_example_is_joined_as_such():
    class Session:
        def run(self, feed):
            return {"label": np.array(["cat"] * len(feed["x"]), object)}

    bundle = infer_template.Bundle.__new__(infer_template.Bundle)
    bundle.manifest, bundle.counted, bundle.filled, bundle.run = {"by_call": []}, "x", False, Session().run
    found = bundle.run_in_batches({"x": np.ones((3, 1), np.float32)}, 2)
    assert found["label"].tolist() == ["cat"] * 3
    assert infer_template.flat(found)["label"].dtype.kind == "U"
