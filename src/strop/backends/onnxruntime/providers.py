"""Which execution providers are accelerators, and which of them give the CPU's answers. Child side."""

from typing import Any

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper

KINDS = {
    "CUDAExecutionProvider": ("gpu", "NVIDIA"), "TensorrtExecutionProvider": ("gpu", "NVIDIA"),
    "NvTensorRTRTXExecutionProvider": ("gpu", "NVIDIA"), "ROCMExecutionProvider": ("gpu", "AMD"),
    "MIGraphXExecutionProvider": ("gpu", "AMD"), "DmlExecutionProvider": ("gpu", ""), "WebGpuExecutionProvider": ("gpu", ""),
    "CoreMLExecutionProvider": ("npu", "Apple"), "QNNExecutionProvider": ("npu", "Qualcomm"),
    "VitisAIExecutionProvider": ("npu", "AMD"), "NnapiExecutionProvider": ("npu", ""),
    "OpenVINOExecutionProvider": ("gpu", "Intel"), "CANNExecutionProvider": ("npu", "Huawei"),
}  # fmt: skip
"""Providers that compute elsewhere than on the CPU. The wheel lists others too (Azure calls a service, XNNPACK is a CPU's)."""
TOLERANCE = 1e-2
"""Of the output's largest value: an accelerator may compute in half precision, but no more off than that."""


def accelerators() -> list[dict[str, Any]]:
    """Each provider that this build lists and that is an accelerator's, tried on one inference."""
    found = []
    for provider in ort.get_available_providers():
        if provider not in KINDS:
            continue
        kind, vendor = KINDS[provider]
        why = smoke(provider)
        name = provider.removesuffix("ExecutionProvider")
        found.append({"kind": kind, "name": name, "vendor": vendor, "usable": not why, "why": why})
    return found


def smoke(provider: str) -> str:
    """Why the provider cannot be used; empty after an inference on it that gave the CPU's answers."""
    model, x = _convolution()
    try:
        expected = _run(model, x, ["CPUExecutionProvider"])
        session = ort.InferenceSession(model, providers=[provider])
        if session.get_providers()[0] != provider:
            return "it falls back to the CPU: its libraries or its device are not there"
        got = session.run(None, {"x": x})[0]
    except Exception as error:
        return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    off = float(np.abs(got - expected).max() / np.abs(expected).max())
    return "" if off <= TOLERANCE else f"its answers differ from the CPU's by {off:.1%}"


def _run(model: bytes, x: Any, providers: list[str]) -> Any:
    return ort.InferenceSession(model, providers=providers).run(None, {"x": x})[0]


def _convolution() -> tuple[bytes, Any]:
    """A small convolution with its activation, and an input."""
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((8, 3, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]), helper.make_node("Relu", ["c"], ["y"])],
        "smoke",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 16, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8, 16, 16])],
        [helper.make_tensor("w", TensorProto.FLOAT, weight.shape, weight.tobytes(), raw=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString(), rng.standard_normal((1, 3, 16, 16)).astype(np.float32)
