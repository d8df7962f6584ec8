"""What makes a model's answers stays in floating point: found by the graph alone, on graphs of every usual ending."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from strop.backends.onnxruntime.ending import ending
from strop.backends.onnxruntime.steps import calibrate, quantize_static

RNG = np.random.default_rng(0)


def graph(nodes, *outputs, weights=()):
    """A model of these (kind, inputs, output) nodes, named by their output; weights by (name, shape)."""
    made = []
    for kind, inputs, output in nodes:
        attributes = {"kernel_shape": [2, 2]} if kind in ("AveragePool", "MaxPool") else {}
        made.append(helper.make_node(kind, inputs.split(), [output], name=output, **attributes))
    stored = [numpy_helper.from_array((RNG.normal(size=shape) / 4).astype(np.float32), name) for name, shape in weights]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 8, 8])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    return helper.make_graph(made, "g", [x], ends, stored)


BODY = [("Conv", "x w0", "c0"), ("Relu", "c0", "r0"), ("Conv", "r0 w1", "c1"), ("Relu", "c1", "r1")]
WEIGHTS = [
    ("w0", (16, 3, 3, 3)), ("w1", (16, 16, 3, 3)), ("v", (16, 10)), ("b", (10,)), ("h", (4, 16, 1, 1)), ("heavy", (16, 16, 3, 3)),
]  # fmt: skip
OPERATORS = ["Conv", "Gemm", "MatMul", "Relu", "GlobalAveragePool", "Flatten", "Softmax"]
POOLED = [*BODY, ("GlobalAveragePool", "r1", "pool"), ("Flatten", "pool", "flat")]


@pytest.mark.parametrize(
    ("nodes", "outputs", "left", "results"),
    [
        ([*POOLED, ("Softmax", "flat", "y")], ["y"], {"y", "flat", "pool"}, set()),
        (POOLED, ["flat"], {"flat", "pool"}, set()),
        ([*POOLED, ("Gemm", "flat v b", "logits"), ("Softmax", "logits", "y")], ["y"], {"y"}, {"logits"}),
        ([*POOLED, ("Gemm", "flat v b", "y")], ["y"], set(), {"y"}),
        ([*POOLED, ("MatMul", "flat v", "m"), ("Add", "m b", "y")], ["y"], {"y"}, {"m"}),
        ([*BODY, ("Conv", "r1 h", "y")], ["y"], {"y"}, set()),
        ([*BODY, ("Conv", "r1 h", "c2"), ("Sigmoid", "c2", "y")], ["y"], {"y", "c2"}, set()),
        ([*BODY, ("Conv", "r1 heavy", "y")], ["y"], set(), set()),
        ([*BODY, ("Conv", "r1 h", "a"), ("Conv", "r0 h", "b0"), ("Sigmoid", "b0", "s")], ["a", "s"], {"a", "b0", "s"}, set()),
        ([*BODY, ("Add", "r1 r1", "sum"), ("Relu", "sum", "y")], ["y"], {"y", "sum"}, set()),
        ([*POOLED, ("Gemm", "flat v b", "g"), ("Exp", "g", "e"), ("ReduceSum", "e", "s"), ("Div", "e s", "y")], ["y"],
         {"y", "e", "s"}, {"g"}),
        ([*BODY, ("MaxPool", "r1", "y")], ["y"], {"y", "r1"}, set()),
        ([("MatMul", "x x", "m"), ("Softmax", "m", "y")], ["y"], {"y", "m"}, set()),
    ],
    ids=["pooling", "pooling without a softmax", "gemm", "gemm without a softmax", "bias apart", "convolution", "sigmoid",
         "a convolution that is most of the model", "two heads", "residual sum", "softmax in pieces", "max pooling",
         "product of two values"],
)  # fmt: skip
def test_what_makes_the_answers_is_found(nodes, outputs, left, results):
    found = ending(graph(nodes, *outputs, weights=WEIGHTS))
    assert (set(found.left), set(found.results)) == (left, results)


def build(nodes, output, tmp_path, answers):
    model = helper.make_model(graph(nodes, output, weights=WEIGHTS), opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path / "model.onnx"
    onnx.save(onnx.shape_inference.infer_shapes(model), path)
    np.save(tmp_path / "x.npy", RNG.normal(size=(16, 3, 8, 8)).astype(np.float32))
    data = {"inputs": {"x": str(tmp_path / "x.npy")}, "count": 16}
    ready, made = tmp_path / "ready", tmp_path / answers
    ready.mkdir(exist_ok=True)
    made.mkdir()
    calibrate(str(path), str(ready / "model.onnx"), data, "MinMax", 16)
    told = quantize_static(
        str(ready / "model.onnx"), str(made / "model.onnx"), data, activation="uint8", weight="int8", per_channel=True,
        exclude="none", reduce_range=False, operators=OPERATORS, answers=answers,
    )  # fmt: skip
    return path, made / told["file"], told["notes"]


@pytest.mark.parametrize("last", ["gemm", "softmax"])
def test_operands_are_quantized_and_the_answers_are_not_rounded(tmp_path, last):
    nodes = [*POOLED, ("Gemm", "flat v b", "g"), *([("Softmax", "g", "y")] if last == "softmax" else [])]
    output = "y" if last == "softmax" else "g"
    given, rounded, _ = build(nodes, output, tmp_path, "quantized")
    _, kept, notes = build(nodes, output, tmp_path, "float")
    made = onnx.load(kept).graph
    assert notes == [f"kept in floating point, since it makes the answers: {'Softmax, ' if last == 'softmax' else ''}"
                     "the result of the last Gemm"]  # fmt: skip
    gemm = next(n for n in made.node if n.op_type == "Gemm")
    makers = {o: n.op_type for n in made.node for o in n.output}
    assert [makers[i] for i in gemm.input[:2]] == ["DequantizeLinear"] * 2
    assert not [n for n in made.node if n.op_type == "QuantizeLinear" and n.input[0] == gemm.output[0]]
    x = np.load(tmp_path / "x.npy")
    wanted, coarse, fine = (ort.InferenceSession(p, providers=["CPUExecutionProvider"]).run([output], {"x": x})[0]
                            for p in (given, rounded, kept))  # fmt: skip
    assert np.abs(fine - wanted).max() < np.abs(wanted).max() / 10
    assert len(np.unique(fine)) > len(np.unique(coarse)), "its values are not those of 8 bits"
