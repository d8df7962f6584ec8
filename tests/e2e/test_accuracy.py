"""What accuracy is taken of: never a silently wrong figure."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from conftest import null_model, run_strop
from strop.core.errors import DataError
from strop.core.events import nobody
from strop.plan.space import by_role
from strop.run.baseline import establish
from strop.run.open_run import opened
from strop.run.optimize import plan_recipes
from strop.run.request import make_request

DATA_ERROR = 4


def test_labels_that_look_unused_are_said_first_in_a_dry_run_too(tmp_path):
    null_model(tmp_path, ["fast"])
    arrays = np.load(tmp_path / "eval.npz")
    np.savez(tmp_path / "eval.npz", x=arrays["x"], y_test=arrays["labels"])
    done = run_strop(tmp_path, "optimize", "model.null", "--data", "eval.npz", "--dry-run", "--json")
    notes = [line for line in done.err.splitlines() if line.startswith("note: ")]
    assert "holds an array 'y_test' that looks like labels and is not used: --labels y_test" in notes[0]
    assert "accuracy is the largest difference" in notes[1]
    assert [offer["name"] for offer in json.loads(done.out)] == ["plain", "idle", "fast"]


@pytest.fixture
def running_sum(tmp_path):
    """The class of an example is its highest feature over a running sum along the first axis, which is time; with labels."""
    nodes = [helper.make_node("CumSum", ["x", "zero"], ["c"]), helper.make_node("ReduceSum", ["c", "axes"], ["y"], keepdims=0)]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [6, "batch", 6])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 6])
    constants = [numpy_helper.from_array(np.array(v), n) for n, v in (("zero", 0), ("axes", [0]))]
    graph = helper.make_graph(nodes, "g", [x], [y], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "model.onnx")
    rows = np.random.default_rng(0).standard_normal((120, 6, 6)).astype(np.float32)
    np.savez(tmp_path / "rows.npz", x=rows, labels=np.cumsum(rows, axis=1).sum(axis=1).argmax(axis=1))
    return tmp_path


def test_the_axis_of_the_examples_is_found_by_its_name(running_sum):
    """Steps of a sequence are not taken for examples."""
    found, notes = accuracy(running_sum)
    assert found == 1.0
    assert any("Examples lie along axis 1 of 'x'" in note for note in notes)


def test_steps_of_a_sequence_are_not_taken_for_examples(running_sum):
    model = onnx.load(running_sum / "model.onnx")
    for value in (*model.graph.input, *model.graph.output):
        for axis in value.type.tensor_type.shape.dim:
            axis.dim_param = "s1" if axis.dim_param else ""
    for value, sizes in ((model.graph.input[0], (6, None, 6)), (model.graph.output[0], (None, 6))):
        for axis, size in zip(value.type.tensor_type.shape.dim, sizes, strict=True):
            if size is not None:
                axis.dim_value = size
    onnx.save(model, running_sum / "model.onnx")
    done = run_strop(running_sum, "optimize", "model.onnx", "--data", "rows.npz", "--dry-run")
    assert done.code == DATA_ERROR
    assert "seems to hold its examples along axis 1" in done.err
    assert "--batch-axis x=1" in done.err


def test_the_axis_of_the_examples_can_be_said(running_sum):
    """The data have it where the model has it; the data worker's own tests cover rows."""
    arrays = np.load(running_sum / "rows.npz")
    np.savez(running_sum / "rows.npz", x=arrays["x"].transpose(1, 0, 2), labels=arrays["labels"])
    assert accuracy(running_sum, batch_axis=["x=1"])[0] == 1.0


def accuracy(folder, **flags):
    """The given model's accuracy, and the notes."""
    path, data = str(folder / "model.onnx"), str(folder / "rows.npz")
    request = make_request(path, data=data, store=str(folder / "store"), threads=1, **flags)
    with opened(request, nobody, keep=False) as (run, model):
        task = run.family.read_task(run, model)
        found = establish(run, model, task, by_role(plan_recipes(run, model, task).offers, "reference")[0])
        return found.result.accuracy, run.kept


def test_examples_that_mix_are_seen_where_no_name_says_it(running_sum):
    """Axes without names, as some exporters leave them: steps would be taken for examples."""
    model = onnx.load(running_sum / "model.onnx")
    for value in (*model.graph.input, *model.graph.output):
        for axis in value.type.tensor_type.shape.dim[:2]:
            axis.Clear()
    model.graph.node[1].CopyFrom(helper.make_node("Identity", ["c"], ["y"]))
    model.graph.output[0].type.CopyFrom(model.graph.input[0].type)
    onnx.save(model, running_sum / "model.onnx")
    np.savez(running_sum / "rows.npz", x=np.load(running_sum / "rows.npz")["x"])
    with pytest.raises(DataError, match="depends on the others in its batch") as refused:
        accuracy(running_sum)
    assert "--batch-axis" in refused.value.hint


def passing(folder, outputs, **arrays):
    """A model that gives its inputs back, one for each output, and the data."""
    nodes = [helper.make_node("Identity", [f"x_{name}"], [name]) for name in outputs]
    shapes = {name: list(value.shape[1:]) for name, value in outputs.items()}
    ports = [
        [helper.make_tensor_value_info(f"{before}{name}", TensorProto.FLOAT, ["batch", *shape]) for name, shape in shapes.items()]
        for before in ("x_", "")
    ]
    graph = helper.make_graph(nodes, "g", *ports)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "model.onnx")
    given = {f"x_{name}": value.astype(np.float32) for name, value in outputs.items()}
    np.savez(folder / "rows.npz", **given, **arrays)
    return folder


def test_detections_of_two_outputs_are_scored_together(tmp_path):
    """Boxes and scores of an SSD; half of the examples have a box that is not found."""
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 50, (40, 3, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(10, 30, (40, 3, 2))], axis=2)
    kinds = rng.integers(0, 2, (40, 3))
    scores = np.concatenate([np.full((40, 3, 1), 0.1), 0.8 * np.eye(2)[kinds]], axis=2)
    labels = np.concatenate([kinds[..., None], boxes], axis=2)
    passing(tmp_path, {"boxes": boxes, "scores": scores}, labels=labels)
    told = {"metric": "map50", "metric_option": {"layout": "ssd", "nms": "1", "score": "0.5"}}
    assert accuracy(tmp_path, **told)[0] == pytest.approx(1.0)
    labels[::2, 0, 1:] += 500
    passing(tmp_path, {"boxes": boxes, "scores": scores}, labels=labels)
    assert 0.6 < accuracy(tmp_path, **told)[0] < 0.9


def test_sequences_of_classes_are_decoded(tmp_path):
    rng = np.random.default_rng(0)
    path = rng.integers(0, 6, (60, 12))
    labels = np.full((60, 12), -1)
    for row, steps in zip(labels, path, strict=True):
        kept = [one for at, one in enumerate(steps) if one and (at == 0 or steps[at - 1] != one)]
        row[: len(kept)] = kept
    passing(tmp_path, {"y": np.eye(6)[path]}, labels=labels)
    assert accuracy(tmp_path, metric="cer")[0] == 0.0
    assert accuracy(tmp_path, metric="ctc_exact", metric_option={"blank": "0"})[0] == 1.0


def test_what_an_output_holds_decides_what_is_compared(tmp_path):
    passing(tmp_path, {"y": np.random.default_rng(0).random((40, 12, 6))})
    value, notes = accuracy(tmp_path, output_kind={"y": "texts"})
    assert value == 1.0
    assert any("text agreement with the given model's answers, not correctness" in note for note in notes)
    with pytest.raises(DataError, match="is no kind of output"):
        accuracy(tmp_path, output_kind={"y": "faces"})
    with pytest.raises(DataError, match="has no output 'z'"):
        accuracy(tmp_path, output_kind={"z": "texts"})
