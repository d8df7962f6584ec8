"""ONNX files: parameters are the sums of their initializers, costs those of formulas worked out by hand."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import strop
from strop.core.errors import ModelError
from strop.run.reading import read_inspection
from strop_child.inspector.costs import FORMULAS, Op, peak

from .inspected import inspect, refused

KWS = next(iter(strop.__path__)) + "/demo/kws.onnx"


def value(name, *shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def weight(name, *shape, dtype=np.float32):
    return numpy_helper.from_array(np.ones(shape, dtype), name)


def write(path, nodes, inputs, outputs, weights, opset=17, domains=()):
    body = helper.make_graph(nodes, "g", inputs, outputs, weights)
    ids = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    path.write_bytes(helper.make_model(body, opset_imports=ids).SerializeToString())
    return path


def test_the_demo_model_has_the_figures_of_its_layers():
    """DS-CNN of MLPerf Tiny: five convolutions on 25 × 5 places, four of them depthwise, a linear layer, by hand."""
    found = inspect(KWS)
    weights = onnx.load(KWS).graph.initializer
    assert found["parameters"] == sum(int(np.prod(w.dims)) for w in weights if w.data_type == TensorProto.FLOAT) == 22_604
    places = 25 * 5
    assert found["macs"] == places * 64 * 10 * 4 + 4 * (places * 64 * 9 + places * 64 * 64) + 64 * 12 == 2_656_768
    assert found["activation_bytes"] == 2 * places * 64 * 4
    assert {x["role"]: x["count"] for x in found["layers"] if x["role"] != "conv"} == {"depthwise": 4, "linear": 1}
    assert (found["assumed"], found["opset"], found["family"]) == ({"batch": 1}, 17, "tensor")


def test_a_convolution_and_a_linear_layer(tmp_path):
    nodes = [
        helper.make_node("Conv", ["x", "c", "b"], ["y"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Relu", ["y"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "w", "v"], ["z"], transB=1),
    ]
    weights = [weight("c", 8, 3, 3, 3), weight("b", 8), weight("w", 10, 8), weight("v", 10)]
    found = inspect(write(tmp_path / "m.onnx", nodes, [value("x", "n", 3, 32, 32)], [value("z", "n", 10)], weights))
    assert found["macs"] == 16 * 16 * 8 * 27 + 80
    assert found["activation_bytes"] == (3 * 32 * 32 + 8 * 16 * 16) * 4  # the picture and what the convolution makes of it
    assert found["parameters"] == 216 + 8 + 80 + 10
    assert (found["modality"], found["assumed"]) == ("vision", {"n": 1})
    assert [(x["role"], x["inner"], x["parameters"]) for x in found["layers"]] == [("conv", None, 224), ("linear", 8, 90)]


def test_dynamic_axes_get_sizes_that_are_told(tmp_path):
    nodes = [helper.make_node("Gather", ["t", "input_ids"], ["e"]), helper.make_node("MatMul", ["e", "w"], ["y"])]
    ids = value("input_ids", "batch_size", "sequence_length", kind=TensorProto.INT64)
    outputs = [value("y", "batch_size", "sequence_length", 6)]
    found = inspect(write(tmp_path / "m.onnx", nodes, [ids], outputs, [weight("t", 50, 4), weight("w", 4, 6)]))
    assert found["assumed"] == {"batch_size": 1, "sequence_length": 128}
    assert (found["macs"], found["modality"]) == (128 * 24, "text")
    assert [(x["role"], x["inner"]) for x in found["layers"]] == [("embedding", 4), ("linear", 4)]
    assert found["inputs"][0]["shape"] == ["batch_size", "sequence_length"]
    unnamed = write(tmp_path / "u.onnx", nodes[1:], [value("e", None, None, 4)], [value("y", None, None, 6)], [weight("w", 4, 6)])
    assert inspect(unnamed)["assumed"] == {"e:0": 1, "e:1": 1}


def test_scales_are_no_parameters(tmp_path):
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["d"]),
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["a"]),
        helper.make_node("MatMul", ["a", "d"], ["y"]),
    ]
    weights = [weight("w", 4, 6, dtype=np.int8), weight("s"), weight("z", dtype=np.int8)]
    found = inspect(write(tmp_path / "m.onnx", nodes, [value("x", 1, 4)], [value("y", 1, 6)], weights))
    assert (found["parameters"], found["quantized"], found["macs"]) == (24, "int8 (QDQ)", 24)
    assert found["stored"] == {"int8": 25, "float32": 1}


def test_weights_in_blocks_are_counted_as_what_they_hold(tmp_path):
    node = helper.make_node("MatMulNBits", ["x", "w", "s"], ["m"], domain="com.microsoft", K=64, N=16, bits=4, block_size=32)
    nodes = [node, helper.make_node("MatMul", ["m", "v"], ["y"])]
    weights = [weight("w", 16, 2, 16, dtype=np.uint8), weight("s", 32), weight("v", 16, 3)]
    path = write(tmp_path / "m.onnx", nodes, [value("x", 2, 64)], [value("y", 2, 3)], weights, domains=["com.microsoft"])
    found = inspect(path)
    assert (found["parameters"], found["macs"]) == (16 * 64 + 48, 2 * 16 * 64 + 2 * 48)
    assert (found["stored"]["uint4"], found["stored_bytes"]["uint4"]) == (1024, 512)
    assert found["quantized"] == "int4 (MatMulNBits, block 32)"
    assert (found["layers"][0]["shape"], found["layers"][0]["inner"]) == ([16, 64], 64)


def test_what_stays_unknown_is_said(tmp_path):
    nodes = [helper.make_node("NonZero", ["x"], ["i"]), helper.make_node("Cast", ["i"], ["f"], to=1)]
    nodes += [helper.make_node("MatMul", ["x", "f"], ["y"]), helper.make_node("MatMul", ["x", "w"], ["z"])]
    outputs = [value("y", None, None), value("z", 2, 3)]
    found = inspect(write(tmp_path / "m.onnx", nodes, [value("x", 2, 2)], outputs, [weight("w", 2, 3)]))
    assert found["macs"] == 12
    assert "macs leave out 1 of 2 nodes" in " ".join(found["notes"])


@pytest.mark.parametrize(
    ("kind", "inputs", "output", "attributes", "macs"),
    [
        ("Conv", [(1, 4, 8, 8), (8, 2, 3, 3)], (1, 8, 6, 6), {"group": 2}, 8 * 36 * 18),
        ("ConvTranspose", [(1, 4, 8, 8), (4, 2, 3, 3)], (1, 2, 10, 10), {}, 4 * 64 * 18),
        ("QLinearConv", [(1, 4, 8, 8), (), (), (8, 4, 1, 1)], (1, 8, 8, 8), {}, 8 * 64 * 4),
        ("MatMul", [(2, 3, 4, 5), (5, 6)], (2, 3, 4, 6), {}, 2 * 3 * 4 * 6 * 5),
        ("Gemm", [(5, 4), (5, 6)], (4, 6), {"transA": 1}, 4 * 6 * 5),
        ("LSTM", [(7, 2, 3), (1, 16, 3), (1, 16, 4)], (7, 1, 2, 4), {}, 7 * 2 * 16 * (3 + 4)),
        ("GRU", [(7, 2, 3), (2, 12, 3), (2, 12, 4)], (7, 2, 2, 4), {}, 7 * 2 * 2 * 12 * (3 + 4)),
        ("Einsum", [(2, 3, 4), (2, 4, 5)], (2, 3, 5), {"equation": b"bij,bjk->bik"}, 2 * 3 * 4 * 5),
        ("Einsum", [(2, 3)], (3, 2), {"equation": b"ij->ji"}, None),
        ("Attention", [(1, 8, 16), (16, 48)], (1, 8, 16), {"num_heads": 4}, 8 * 16 * 48 + 2 * 8 * 8 * 16),
        ("MultiHeadAttention", [(1, 8, 16), (1, 4, 16)], (1, 8, 16), {}, 2 * 8 * 16 * 4),
        ("MatMul", [None, (5, 6)], None, {}, None),
    ],
)
def test_formulas(kind, inputs, output, attributes, macs):
    assert FORMULAS[kind](Op(kind, inputs, [output], attributes)) == macs


def test_values_die_behind_their_last_use():
    order = [(["x"], ["a"]), (["a"], ["b"]), (["a", "b"], ["c"]), (["c"], ["y"])]
    sizes = {"x": 10, "a": 1, "b": 2, "c": 4, "y": 8}
    assert peak(order, sizes, ["x"], ["y"]) == 12  # c and y
    assert peak(order, sizes, ["x"], ["y", "x"]) == 22  # an output that is an input stays


def test_external_data_is_not_read(tmp_path):
    """Two gigabytes that are a hole in a file."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4, 1 << 27], data_location=TensorProto.EXTERNAL)
    for key, told in {"location": "w.bin", "offset": "0", "length": str(1 << 31)}.items():
        tensor.external_data.add(key=key, value=told)
    with (tmp_path / "w.bin").open("wb") as f:
        f.truncate(1 << 31)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    path = write(tmp_path / "m.onnx", nodes, [value("x", 1, 4)], [value("y", 1, 1 << 27)], [tensor])
    found = inspect(path)
    assert (found["parameters"], found["macs"], found["files"]["w.bin"]) == (1 << 29, 1 << 29, 1 << 31)


@pytest.mark.parametrize(
    ("entries", "dims", "words"),
    [
        ({"location": "../w.bin"}, [4, 3], "leaves the model's folder"),
        ({"location": "/etc/passwd"}, [4, 3], "leaves the model's folder"),
        ({"location": "w.bin", "offset": "x"}, [4, 3], "no place or type"),
        ({"location": "w.bin", "offset": "-4"}, [4, 3], "no place or type"),
        ({"location": "w.bin", "length": "4"}, [1 << 40, 3], "truncated"),
        ({"location": "w.bin"}, [-4, -3], "no place or type"),
        ({"location": "v.bin"}, [4, 3], "is missing"),
    ],
)
def test_external_data_stays_in_its_place(tmp_path, entries, dims, words):
    (tmp_path / "w.bin").write_bytes(bytes(48))
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims, data_location=TensorProto.EXTERNAL)
    for key, told in entries.items():
        tensor.external_data.add(key=key, value=told)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    refused(write(tmp_path / "m.onnx", nodes, [value("x", 1, 4)], [value("y", 1, 3)], [tensor]), words)


def test_functions_that_call_one_another_do_not_multiply(tmp_path):
    """Thirty functions of ten calls each would be 10³⁰ nodes."""
    ids = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]
    functions = []
    for i in range(30):
        kind, domain = ("Relu", "") if i == 0 else (f"f{i - 1}", "f")
        names = ["x", *(f"t{k}" for k in range(9)), "y"]
        nodes = [helper.make_node(kind, [names[k]], [names[k + 1]], domain=domain) for k in range(10)]
        functions.append(helper.make_function("f", f"f{i}", ["x"], ["y"], nodes, ids))
    node = helper.make_node("f29", ["x"], ["y"], domain="f")
    body = helper.make_graph([node], "g", [value("x", 1, 4)], [value("y", 1, 4)])
    path = tmp_path / "m.onnx"
    path.write_bytes(helper.make_model(body, opset_imports=ids, functions=functions).SerializeToString())
    assert inspect(path)["operators"] == {"f29": 1}


@pytest.mark.parametrize("content", [b"", b"\x08", b"garbage" * 99, b"\x08\x08" + b"\xff" * 50])
def test_what_is_no_onnx_is_refused(tmp_path, content):
    (tmp_path / "m.onnx").write_bytes(content)
    refused(tmp_path / "m.onnx")


def test_an_axis_beyond_all_measure_is_refused(tmp_path):
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    refused(write(tmp_path / "m.onnx", nodes, [value("x", 1 << 62)], [value("y", 1 << 62)], []), "has an axis of")


def test_a_weight_that_two_nodes_share_counts_once(tmp_path):
    """A tied embedding: the table that is gathered from is, transposed, the head."""
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["h"]),
        helper.make_node("Transpose", ["table"], ["t"]),
        helper.make_node("MatMul", ["h", "t"], ["y"]),
        helper.make_node("MatMul", ["h", "t"], ["z"]),
    ]
    outputs = [value("y", 1, 4, 100), value("z", 1, 4, 100)]
    path = write(tmp_path / "m.onnx", nodes, [value("ids", 1, 4, kind=TensorProto.INT64)], outputs, [weight("table", 100, 8)])
    found = inspect(path)
    assert found["parameters"] == 800
    assert sum(layer["parameters"] for layer in found["layers"]) == 800
    assert found["activation_bytes"] == 4 * (4 * 8 + 2 * 4 * 100)  # h and both answers; the transposed table is folded


def test_sizes_beyond_belief_are_damage(tmp_path):
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    shape = [1 << 30, 1 << 30, 1 << 30, 1 << 30]
    path = write(tmp_path / "m.onnx", nodes, [value("x", *shape)], [value("y", *shape)], [])
    with pytest.raises(ModelError, match="not a model that makes sense"):
        read_inspection(path)
