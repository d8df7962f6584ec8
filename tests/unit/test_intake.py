"""Reading ONNX files: what is damaged, unsafe or unsupported is refused in one line; what is odd but sound is read."""

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import InferenceSession

from strop.core.errors import ModelError
from strop.plan.discover import backends
from strop.run.intake import read_model
from strop.store.store import Store
from strop.worker.call import Limits
from strop_child import onnx_file

WEIGHT = numpy_helper.from_array(np.ones((4, 3), np.float32), "w")
BYTES = 48


def value(name, *shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def model(weight=WEIGHT, op="MatMul", opset=17, listed=False):
    """y = x · w."""
    inputs = [value("x", "batch", 4), *([value("w", 4, 3)] if listed else [])]
    body = helper.make_graph([helper.make_node(op, ["x", "w"], ["y"])], "g", inputs, [value("y", "batch", 3)], [weight])
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", opset)])


def external(location, length=BYTES, name="w"):
    """A weight whose values stand in another file."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[4, 3], data_location=TensorProto.EXTERNAL)
    for key, text in {"location": location, "offset": 0, "length": length}.items():
        if text is not None:
            tensor.external_data.add(key=key, value=str(text))
    return tensor


def nested(tensor):
    """A model that holds a tensor in the branches of an If."""
    branch = helper.make_graph([helper.make_node("Identity", ["w"], ["o"])], "b", [], [value("o", 4, 3)], [tensor])
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    body = helper.make_graph([node], "g", [value("c", kind=TensorProto.BOOL)], [value("y", 4, 3)])
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)])


@pytest.fixture
def read(tmp_path):
    """Writes a model (or bytes) to its folder and reads it in a worker."""

    def run(content, name="m.onnx"):
        path = tmp_path / "models" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
        return read_model(backends(), path, tmp_path / "log.txt", Limits(120.0), Store(tmp_path / "store"))

    return run


@pytest.fixture
def beside(tmp_path) -> Path:
    """The model's folder, with a secret outside of it."""
    (tmp_path / "secret.bin").write_bytes(bytes(BYTES))
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def test_a_sound_model_is_described(read, tmp_path):
    found = read(model())
    assert [(i.name, i.dtype, i.shape) for i in found.inputs] == [("x", "float32", ("batch", 4))]
    assert [(o.name, o.shape) for o in found.outputs] == [("y", ("batch", 3))]
    assert (found.parameters, found.opset, found.weights, found.precision) == (12, 17, {"MatMul": 1}, "fp32")
    assert (found.reader, found.artifact.kind, found.artifact.files) == ("onnxruntime", "onnx", ("m.onnx",))
    assert found.artifact.bytes == (tmp_path / "models" / "m.onnx").stat().st_size


def test_a_size_of_minus_one_is_a_dynamic_axis(read):
    written = model()
    written.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -1
    found = read(written)
    assert found.inputs[0].shape == (None, 4)
    assert found.fixed_batch is None


def test_weights_listed_as_inputs_are_no_inputs(read):
    found = read(model(listed=True))
    assert [i.name for i in found.inputs] == ["x"]
    assert found.traits["listed_initializers"] == 1
    assert "1 weights are listed as inputs" in found.notes[0]


@pytest.mark.parametrize(
    ("after", "end"), [([], "MatMul"), (["Softmax"], "Softmax"), (["Sigmoid", "Identity"], "Sigmoid"), (["Relu"], "Relu")]
)
def test_the_operator_that_makes_an_output_is_named(read, after, end):
    written, last = model(), "y"
    for number, op in enumerate(after):
        written.graph.node.append(helper.make_node(op, [last], [f"y{number}"]))
        last = f"y{number}"
    written.graph.output[0].name = last
    assert read(written).ends == {last: end}


def time_major():
    """y[n] = Σ over time of a cumulative sum of x [time, n, 4], weighted; a state goes [layers, n, 3] in and out."""
    nodes = [
        helper.make_node("CumSum", ["x", "zero"], ["c"]),
        helper.make_node("MatMul", ["c", "w"], ["m"]),
        helper.make_node("ReduceSum", ["m", "zeros"], ["y"], keepdims=0),
        helper.make_node("Add", ["h", "h"], ["hn"]),
    ]
    inputs, outputs = [value("x", 5, "batch", 4), value("h", 2, "batch", 3)], [value("y", "batch", 3), value("hn", 2, "batch", 3)]
    zeros = [numpy_helper.from_array(np.array(0), "zero"), numpy_helper.from_array(np.array([0]), "zeros")]
    body = helper.make_graph(nodes, "g", inputs, outputs, [WEIGHT, *zeros])
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_a_model_is_rewritten_so_that_examples_come_first(tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(time_major(), path)
    axes = {"x": 1, "h": 1}
    found = read_model(backends(), path, tmp_path / "log.txt", Limits(120.0), Store(tmp_path / "store"), axes)
    assert [(s.name, s.shape) for s in (*found.inputs, *found.outputs)] == [
        ("x", ("batch", 5, 4)), ("h", ("batch", 2, 3)), ("y", ("batch", 3)), ("hn", ("batch", 2, 3)),
    ]  # fmt: skip
    rng = np.random.default_rng(0)
    x, h = rng.standard_normal((5, 6, 4)).astype(np.float32), rng.standard_normal((2, 6, 3)).astype(np.float32)
    y, hn = InferenceSession(path).run(None, {"x": x, "h": h})
    first = {"x": x.transpose(1, 0, 2), "h": h.transpose(1, 0, 2)}
    mine = InferenceSession(found.artifact.path).run(None, first)
    assert np.array_equal(mine[0], y)
    assert np.array_equal(mine[1], hn.transpose(1, 0, 2))


def test_an_axis_that_is_not_there_is_refused(tmp_path):
    onnx.save(time_major(), tmp_path / "m.onnx")
    for axes, what in (({"z": 1}, "has no 'z'"), ({"x": 3}, "axes 0 to 2")):
        with pytest.raises(ModelError, match=what):
            read_model(backends(), tmp_path / "m.onnx", tmp_path / "log.txt", Limits(60.0), Store(tmp_path / "store"), axes)


def test_external_data_beside_the_model_belongs_to_it(read, beside):
    (beside / "w.bin").write_bytes(bytes(BYTES))
    found = read(model(external("w.bin")))
    assert found.artifact.files == ("m.onnx", "w.bin")
    (beside / "w.bin").write_bytes(b"\1" * BYTES)
    assert read(model(external("w.bin"))).artifact.digest != found.artifact.digest


@pytest.mark.parametrize(
    "location", ["../secret.bin", "sub/../../secret.bin", "ABSOLUTE", "link.bin", "inner.bin", "linked/secret.bin", ""]
)
@pytest.mark.parametrize("make", [model, nested])
def test_external_data_outside_the_folder_or_behind_a_link_is_refused(beside, location, make):
    (beside / "sub").mkdir()
    (beside / "link.bin").symlink_to(beside.parent / "secret.bin")
    (beside / "linked").symlink_to(beside.parent)
    (beside / "real.bin").write_bytes(bytes(BYTES))
    (beside / "inner.bin").symlink_to("real.bin")
    location = str(beside.parent / "secret.bin") if location == "ABSOLUTE" else location
    onnx.save(make(external(location)), beside / "m.onnx")
    with pytest.raises(onnx_file.ModelError, match="leaves the model's folder"):
        onnx_file.describe(str(beside / "m.onnx"))


def test_a_refusal_reaches_the_user_with_file_and_hint(read, beside):
    with pytest.raises(ModelError, match="leaves the model's folder") as refused:
        read(model(external("../secret.bin")))
    assert str(beside / "m.onnx") in refused.value.message
    assert "beside the model" in refused.value.hint


@pytest.mark.parametrize("make", [model, nested])
def test_a_missing_data_file_is_refused(beside, make):
    onnx.save(make(external("w.bin")), beside / "m.onnx")
    with pytest.raises(onnx_file.ModelError, match=r"'w\.bin' is missing"):
        onnx_file.describe(str(beside / "m.onnx"))


@pytest.mark.parametrize("length", [BYTES, None])
def test_a_truncated_data_file_is_refused(beside, length):
    onnx.save(model(external("w.bin", length)), beside / "m.onnx")
    (beside / "w.bin").write_bytes(bytes(BYTES))
    assert onnx_file.describe(str(beside / "m.onnx"))["files"] == ["m.onnx", "w.bin"]
    os.truncate(beside / "w.bin", BYTES - 1)
    with pytest.raises(onnx_file.ModelError, match=r"'w\.bin' is truncated"):
        onnx_file.describe(str(beside / "m.onnx"))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (model(op="NoSuchOp"), "unknown operator 'NoSuchOp'"),
        (model(opset=99), "unknown opset 99"),
        (model().SerializeToString()[:-20], "damaged or truncated"),
        (b"this is a text, not a model", "not an ONNX model"),
        (b"", "not an ONNX model"),
    ],
)
def test_what_is_no_sound_model_is_refused(read, content, what):
    with pytest.raises(ModelError, match=what) as refused:
        read(content)
    assert refused.value.hint


def test_a_file_cut_anywhere_is_refused(tmp_path):
    whole, path = model().SerializeToString(), tmp_path / "m.onnx"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(onnx_file.ModelError):
            onnx_file.describe(str(path))


def test_a_model_without_inputs_or_outputs_is_refused(tmp_path):
    node = helper.make_node("Identity", ["w"], ["y"])
    for inputs, outputs, what in (([], [value("y", 4, 3)], "no inputs"), ([value("x", 4)], [], "no outputs")):
        body = helper.make_graph([node], "g", inputs, outputs, [WEIGHT])
        onnx.save(helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "m.onnx")
        with pytest.raises(onnx_file.ModelError, match=what):
            onnx_file.describe(str(tmp_path / "m.onnx"))


def test_an_unknown_operator_in_a_branch_is_found(tmp_path):
    inner = nested(WEIGHT)
    for attribute in inner.graph.node[0].attribute:
        attribute.g.node[0].op_type = "NoSuchOp"
    onnx.save(inner, tmp_path / "m.onnx")
    with pytest.raises(onnx_file.ModelError, match="NoSuchOp"):
        onnx_file.describe(str(tmp_path / "m.onnx"))


def test_indices_of_an_embedding_have_its_bounds(tmp_path):
    node = helper.make_node("Gather", ["w", "ids"], ["y"])
    ids = value("ids", "batch", "sequence", kind=TensorProto.INT64)
    body = helper.make_graph([node], "g", [ids], [value("y", "batch", "sequence", 3)], [WEIGHT])
    onnx.save(helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "m.onnx")
    assert onnx_file.describe(str(tmp_path / "m.onnx"))["bounds"] == {"ids": [0, 3]}


def test_a_path_that_is_no_model_is_refused(tmp_path):
    (tmp_path / "m.pkl").write_text("")
    (tmp_path / "folder.onnx").mkdir()
    refusals = {
        "no.onnx": "no such file", "m.pkl": "pickled weights are not opened", "folder.onnx": "no model of a known format in it",
    }  # fmt: skip
    for name, what in refusals.items():
        with pytest.raises(ModelError, match=what):
            read_model(backends(), tmp_path / name, tmp_path / "log.txt", Limits(60.0), Store(tmp_path / "store"))


def first_operator(op, constants, **attributes):
    """y = op(x, constants…), x floats."""
    weights = [numpy_helper.from_array(np.asarray(c), f"c{i}") for i, c in enumerate(constants)]
    node = helper.make_node(op, ["x", *(w.name for w in weights)], ["y"], **attributes)
    body = helper.make_graph([node], "g", [value("x", "batch", 3)], [value("y", "batch", 3)], weights)
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)])


FLOAT = np.float32


@pytest.mark.parametrize(
    ("op", "constants", "expected"),
    [
        ("Clip", [FLOAT(-2), FLOAT(6)], (-2, 6)),
        ("QuantizeLinear", [FLOAT(0.5), np.uint8(10)], (-5, 122.5)),
        ("QuantizeLinear", [FLOAT(0.5), np.int8(0)], (-64, 63.5)),
        ("Sub", [np.array([123.7, 116.8, 103.9], FLOAT)], (0, 255)),
        ("Sub", [np.array([0.485, 0.456, 0.406], FLOAT)], (0, 1)),
        ("Div", [FLOAT(255)], (0, 255)),
        ("Mul", [FLOAT(1 / 255)], (0, 255)),
        ("BatchNormalization", [np.ones(3, FLOAT), np.zeros(3, FLOAT), np.array([0, 1, 2], FLOAT), np.ones(3, FLOAT)], (-2, 4)),
        ("Clip", [FLOAT(0)], None),
        ("Sub", [FLOAT(-3)], None),
        ("Div", [FLOAT(3)], None),
        ("Mul", [FLOAT(2)], None),
    ],
)
def test_the_first_operator_declares_a_range(read, op, constants, expected):
    found = read(first_operator(op, constants)).bounds
    assert found == ({} if expected is None else {"x": pytest.approx(expected, rel=1e-6)})
