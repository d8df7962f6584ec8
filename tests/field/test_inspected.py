"""What `inspect` and the reader of `optimize` say of models out of the field: the same, and what a person would count."""

from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto as T
from onnx import helper, numpy_helper

from strop.core.errors import DataError
from strop.core.model import Artifact, Model
from strop.plan.batch import require_batch_first
from strop_child import onnx_file
from strop_child.forked import useful_line
from strop_child.inspector import onnx_shapes
from strop_child.inspector import work as inspector
from strop_child.inspector.answer import Answer
from strop_child.inspector.tflite_file import _describe
from strop_child.inspector.tflite_tables import Graph, Operator, Tensor
from strop_child.refusal import ModelError

MODELS = Path(onnx.__file__).parent / "backend" / "test" / "data"
FLOATS = (T.FLOAT, T.DOUBLE, T.FLOAT16, T.BFLOAT16)


@cache
def packaged() -> list[Path]:
    return sorted(path for path in MODELS.rglob("*.onnx"))


def value(name, *shape, kind=T.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def counted(model: onnx.ModelProto) -> int:
    """Values of all constant tensors of floats; a single one is arithmetic."""
    held = [*model.graph.initializer]
    held += [a.t for n in onnx_file.nodes(model.graph) if n.op_type == "Constant" for a in n.attribute if a.name == "value"]
    sizes = [int(np.prod(t.dims)) for t in held if t.data_type in FLOATS and t.dims]
    return sum(sizes) - sum(n == 1 for n in sizes[len(model.graph.initializer) :])


def test_the_onnx_projects_own_models_are_read_and_taken_or_refused_by_name():
    """Ports by name, type and rank, parameters counted; the reader of `optimize` says the same or names what it cannot feed."""
    assert len(packaged()) > 140
    for path in packaged():
        model, found = onnx.load(path, load_external_data=False), inspector.inspect(str(path))
        weights = {t.name for t in model.graph.initializer}
        given = [v for v in model.graph.input if v.name not in weights]
        assert [p["name"] for p in found["inputs"]] == [v.name for v in given], path
        for port, said in zip(found["inputs"] + found["outputs"], [*given, *model.graph.output], strict=True):
            assert port["dtype"] == onnx_file.type_name(said.type) != "undefined", path
            assert len(port["shape"]) == len(said.type.tensor_type.shape.dim) or port["shape"] == ["..."], path
        assert found["parameters"] == counted(model), path
        taken_or_refused(path, found)


def taken_or_refused(path: Path, found: dict) -> None:
    try:
        raw = onnx_file.describe(str(path))
    except ModelError as refused:
        assert "'" in str(refused) and refused.hint, path
        return
    assert (raw["inputs"], raw["outputs"], raw["parameters"]) == (found["inputs"], found["outputs"], found["parameters"]), path
    artifact = Artifact(kind="onnx", path=str(path), digest="", bytes=1, files=tuple(raw.pop("files")))
    model = Model(artifact=artifact, reader="onnxruntime", **raw)
    try:
        require_batch_first(model, ())
    except DataError as refused:
        assert "--batch-axis" in refused.hint, path


def branch(name: str) -> onnx.GraphProto:
    weight = numpy_helper.from_array(np.ones((4, 3), np.float32), f"{name}_w")
    return helper.make_graph([helper.make_node("MatMul", ["x", f"{name}_w"], [name])], name, [], [value(name, "n", 3)], [weight])


def test_weights_in_branches_are_parameters_for_both_readers(tmp_path):
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch("a"), else_branch=branch("b"))
    body = helper.make_graph([node], "g", [value("x", "n", 4), value("c", kind=T.BOOL)], [value("y", "n", 3)])
    onnx.save(helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "m.onnx")
    path = str(tmp_path / "m.onnx")
    assert onnx_file.describe(path)["parameters"] == inspector.inspect(path)["parameters"] == 24


@pytest.mark.parametrize(
    ("shape", "sides"),
    [
        (("n", 3, "ancho", "alto"), (2, 3)), (("n", 3, None, None), (2, 3)), (("n", "rows", "cols", 3), (1, 2)),
        ((1, 1, "DynamicDimension.0", "DynamicDimension.1"), (2, 3)),
    ],
)  # fmt: skip
def test_pictures_are_estimated_by_a_pictures_size_whatever_their_axes_are_called(shape, sides):
    body = helper.make_graph([], "g", [value("x", *shape)], [])
    onnx_shapes.assume(body, set())
    dims = [d.dim_value for d in body.input[0].type.tensor_type.shape.dim]
    assert [dims[k] for k in sides] == [onnx_shapes.SIDE] * 2 and max(dims[k] for k in range(4) if k not in sides) <= 3


def test_a_sequence_is_shown_by_its_type(tmp_path):
    sequence = helper.make_sequence_type_proto(helper.make_tensor_type_proto(T.FLOAT, None))
    optional = helper.make_optional_type_proto(sequence)
    body = helper.make_graph(
        [helper.make_node("SequenceAt", ["s", "i"], ["y"])], "g",
        [helper.make_value_info("s", sequence), value("i", kind=T.INT64), helper.make_value_info("o", optional)],
        [helper.make_value_info("y", helper.make_tensor_type_proto(T.FLOAT, None))],
    )  # fmt: skip
    onnx.save(helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "m.onnx")
    found = inspector.inspect(str(tmp_path / "m.onnx"))
    assert [(p["dtype"], p["shape"]) for p in found["inputs"] + found["outputs"]] == [
        ("sequence(float32)", []), ("int64", []), ("optional(sequence(float32))", []), ("float32", ["..."]),
    ]  # fmt: skip


@pytest.mark.parametrize("unpacking", [["DEQUANTIZE"], ["DENSIFY"], ["DENSIFY", "DEQUANTIZE"], []])
def test_layers_of_a_tflite_file_are_seen_behind_what_unpacks_their_weights(unpacking):
    def tensor(shape, size=0, dtype="float32"):
        return Tensor("t", dtype, shape, size, False, [])

    stored, steps = 2, []
    tensors = [tensor((1, 8)), tensor((1, 4)), tensor((4, 8), 64, "float16"), tensor((4,), 16)]
    for kind in unpacking:
        tensors.append(tensor((4, 8)))
        steps.append(Operator(kind, [stored], [len(tensors) - 1]))
        stored = len(tensors) - 1
    answer = Answer(format="tflite")
    _describe(answer, [Graph(tensors, [*steps, Operator("FULLY_CONNECTED", [0, stored, 3], [1])], [0], [1])])
    assert [(layer.role, layer.shape, layer.parameters) for layer in answer.layers] == [("linear", (4, 8), 36)]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[ONNXRuntimeError] : 1 : FAIL : /onnxruntime_src/onnxruntime/core/graph/model.cc:256 onnxruntime::Model::Model(onnx::"
         "ModelProto&&, const onnxruntime::logging::Logger&) Unsupported model IR version: 99, max supported IR version: 13\n",
         "[ONNXRuntimeError] : 1 : FAIL : Unsupported model IR version: 99, max supported IR version: 13"),
        ("[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Got invalid dimensions for input: x for the following indices\n index: 1 "
         "Got: 2 Expected: 3\n Please fix either the inputs/outputs or the model.",
         "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Got invalid dimensions for input: x for the following indices index: 1 "
         "Got: 2 Expected: 3 Please fix either the inputs/outputs or the model."),
        ("Exception from src/inference/src/cpp/core.cpp:93:\nException from src/frontends/onnx.cpp:10:\nno operator Foo\nmore",
         "no operator Foo"),
        ("plain\nmore", "plain"), ("", ""), ("only:\n", "only:"),
    ],
)  # fmt: skip
def test_the_line_of_an_error_that_says_what_is_wrong_is_kept(text, line):
    assert useful_line(text) == line
