"""Candidates by ONNX Runtime's own API, in a process of its own. Shares nothing with Strop.

    PYTHON -m benchmarks.by_hand.in_onnxruntime clean MODEL.onnx OUT.onnx
    PYTHON -m benchmarks.by_hand.in_onnxruntime static CLEAN.onnx OUT.onnx CALIBRATION.npz [INPUT=ARRAY …]
    PYTHON -m benchmarks.by_hand.in_onnxruntime qdq STATIC.onnx OUT.onnx CALIBRATION.npz [INPUT=ARRAY …]

`clean`: weights taken out of the inputs, and ONNX Runtime's basic optimizations, which every runtime understands. `static`: every
input has the shape of the data. `qdq`: INT8, u8 activations and s8 weights per channel, of the operators that gain by it.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import onnxruntime as ort
from onnx import version_converter
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from benchmarks.independent import read
from benchmarks.ort_defaults import Reader

IR, OPSET, QUANTIZABLE_OPSET = 8, 17, 13
CONVOLUTIONAL, OTHER = ["Conv", "Relu", "MaxPool", "Concat"], ["MatMul", "Gemm"]


def clean(source: str, out: str) -> None:
    model = onnx.load(source)
    weights = {weight.name for weight in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    model.ir_version = max(model.ir_version, IR)
    if next(o.version for o in model.opset_import if o.domain == "") < QUANTIZABLE_OPSET:
        model = version_converter.convert_version(model, OPSET)
    optimize(model, out)


def static(source: str, out: str, data: str, *mapping: str) -> None:
    model, arrays, names = onnx.load(source), read(Path(data)), dict(pair.split("=", 1) for pair in mapping)
    for value in model.graph.input:
        sizes = value.type.tensor_type.shape.dim
        shape = [max(sizes[0].dim_value, 1), *arrays[names.get(value.name, value.name)].shape[1:]]
        for size, found in zip(sizes, shape, strict=True):
            size.dim_value = found
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    optimize(model, out)


def optimize(model: onnx.ModelProto, out: str) -> None:
    """As far as the file stays plain ONNX: constants are folded, batch norm too, and what does nothing goes."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = out
    ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def qdq(source: str, out: str, data: str, *mapping: str) -> None:
    ready = str(Path(out).with_suffix(".prepared.onnx"))
    quant_pre_process(source, ready, skip_symbolic_shape=True)
    found = {node.op_type for node in onnx.load(ready).graph.node}
    reader = Reader(Path(ready), Path(data), dict(pair.split("=", 1) for pair in mapping))
    quantize_static(
        ready, out, reader, quant_format=QuantFormat.QDQ, per_channel=True, activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8, op_types_to_quantize=CONVOLUTIONAL if "Conv" in found else OTHER,
    )  # fmt: skip


def main(kind: str, *arguments: str) -> int:
    kinds: dict[str, Callable[..., None]] = {"clean": clean, "static": static, "qdq": qdq}
    kinds[kind](*arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
