"""Reading an OpenVINO IR: what it is and whether it is whole. Child side."""

import os
from typing import Any

import openvino as ov

from .runner import name_of

WEIGHTED = {"Convolution": "Conv", "GroupConvolution": "Conv", "MatMul": "MatMul", "Gather": "Gather"}
"""OpenVINO's name of an operator with weights → the name that recipes are chosen by."""
LOW = {"i8": "int8", "u8": "int8", "i4": "int4", "u4": "int4", "nf4": "int4"}


class ModelError(Exception):
    """The model is refused; `hint` says what to do next."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def describe(path: str) -> dict[str, Any]:
    """Everything the parent needs to know, as plain values."""
    weights = os.path.splitext(path)[0] + ".bin"
    if not os.path.isfile(weights):
        raise ModelError(f"{path}: {os.path.basename(weights)} is missing", "keep an IR's .bin beside its .xml")
    for file in (path, weights):
        if os.path.islink(file):
            raise ModelError(f"{path}: {os.path.basename(file)} is a link", "give plain files")
    try:
        model = ov.Core().read_model(path)
    except Exception as error:
        text = str(error).strip().splitlines()[-1]
        raise ModelError(f"{path}: not a whole OpenVINO IR: {text}", "save it again with openvino.save_model") from error
    if not model.inputs or not model.outputs:
        raise ModelError(f"{path}: the model has no inputs or no outputs", "give a model that takes and returns tensors")
    operators: dict[str, int] = {}
    constants: dict[str, int] = {}
    weighted: dict[str, int] = {}
    for node in model.get_ops():
        kind = node.get_type_name()
        operators[kind] = operators.get(kind, 0) + 1
        if kind == "Constant" and node.get_output_size():
            size = 1
            for d in node.get_output_shape(0):
                size *= d
            element = node.get_output_element_type(0).get_type_name()
            constants[element] = constants.get(element, 0) + size
        if kind in WEIGHTED and node.get_input_size() > 1:
            place = 0 if kind == "Gather" else 1
            if _is_constant(node.input_value(place).get_node()):
                name = WEIGHTED[kind]
                weighted[name] = weighted.get(name, 0) + 1
    return {
        "files": [os.path.basename(path), os.path.basename(weights)],
        "inputs": [_spec(p, "input", i) for i, p in enumerate(model.inputs)],
        "outputs": [_spec(p, "output", i) for i, p in enumerate(model.outputs)],
        "parameters": sum(constants.values()),
        "operators": operators,
        "weights": weighted,
        "depthwise": operators.get("GroupConvolution", 0),
        "precision": precision(operators, constants),
        "ends": {name_of(p, "output", i): _end(p) for i, p in enumerate(model.outputs)},
        "notes": [],
    }


def precision(operators: dict[str, int], constants: dict[str, int]) -> str:
    """What most of the weights are: quantized files hold a few large low-precision constants."""
    largest = max(constants, key=lambda kind: constants[kind], default="f32")
    if largest in LOW:
        return LOW[largest]
    if "FakeQuantize" in operators:
        return "int8"
    return {"f16": "fp16", "bf16": "bf16"}.get(largest, "fp32")


def _is_constant(node: Any) -> bool:
    """Whether a value is a constant, maybe converted or scaled on its way."""
    while node.get_type_name() in ("Convert", "Multiply", "Subtract", "FakeQuantize", "Reshape", "Transpose"):
        node = node.input_value(0).get_node()
    return bool(node.get_type_name() == "Constant")


def _end(port: Any) -> str:
    """The operator that makes an output, behind what only converts it; in ONNX's words."""
    node = port.get_node().input_value(0).get_node()
    while node.get_type_name() in ("Convert", "Squeeze", "FakeQuantize"):
        node = node.input_value(0).get_node()
    kind = str(node.get_type_name())
    return {"SoftMax": "Softmax"}.get(kind, kind)


def _spec(port: Any, kind: str, index: int) -> dict[str, Any]:
    shape = port.get_partial_shape()
    if shape.rank.is_dynamic:
        raise ModelError(f"{kind} {index} has no fixed number of dimensions", "reshape the model first")
    dims = [None if d.is_dynamic else d.get_length() for d in shape]
    return {"name": name_of(port, kind, index), "dtype": str(port.get_element_type().to_dtype()), "shape": dims}
