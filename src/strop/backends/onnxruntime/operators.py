"""Per-operator times of ONNX Runtime, from its own profiler. Run in the worker; never part of a bundle."""

import json
import os
import tempfile
from typing import Any

from . import runner

LAYOUT = ("ReorderInput", "ReorderOutput", "Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze")
PRECISION = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Cast")
TYPES = {"float": "fp32", "float16": "fp16", "bfloat16": "bf16", "double": "fp64", "uint8": "int8", "int8": "int8"}
STANDARD = {
    "QGemm": "MatMul", "Gemm": "MatMul", "FusedGemm": "MatMul", "FusedMatMul": "MatMul", "DynamicQuantizeMatMul": "MatMul",
    "MatMulInteger": "MatMul", "MatMulIntegerToFloat": "MatMul", "QLinearMatMul": "MatMul", "MatMulNBits": "MatMul",
    "FusedConv": "Conv", "QLinearConv": "Conv", "ConvInteger": "Conv", "QAttention": "Attention", "BiasGelu": "Gelu",
    "FastGelu": "Gelu", "QuickGelu": "Gelu", "SkipLayerNormalization": "LayerNormalization",
    "EmbedLayerNormalization": "LayerNormalization", "DynamicQuantizeLSTM": "LSTM", "GlobalAveragePool": "AveragePool",
    "QLinearGlobalAveragePool": "AveragePool", "GlobalMaxPool": "MaxPool",
}  # fmt: skip
"""Fused and quantized operators by the ONNX operator whose work they do."""
QUANTIZED = {
    "MatMulNBits": "int4",
    "DynamicQuantizeMatMul": "int8",
    "DynamicQuantizeLSTM": "int8",
    "MatMulIntegerToFloat": "int8",
}


class Session:
    """A session whose runtime writes down what every operator takes."""

    def __init__(self, path: str, settings: dict[str, Any]) -> None:
        self.folder = tempfile.mkdtemp()
        options = runner.session_options(settings)
        options.enable_profiling = True
        options.profile_file_prefix = os.path.join(self.folder, "profile")
        self.inner = runner.Session(path, settings, options)
        self.before = 0
        self.runs = 0

    def run(self, feed: dict[str, Any]) -> Any:
        self.runs += 1
        return self.inner.run(feed)

    def begin(self) -> None:
        """What follows counts; warm-up does not."""
        self.before = self.runs

    def operators(self, runs: int) -> list[dict[str, Any]]:
        """Each node: name, operator, kernel, precision, kind, nanoseconds a call."""
        with open_file(self.inner.session.end_profiling()) as f:
            events = json.load(f)
        starts = sorted(e["ts"] for e in events if e["name"] == "model_run")
        begin = starts[self.before] if self.before < len(starts) else float("inf")
        nodes: dict[str, dict[str, Any]] = {}
        for event in events:
            if event.get("cat") != "Node" or event["ts"] < begin or not event["name"].endswith("_kernel_time"):
                continue
            name = event["name"].removesuffix("_kernel_time")
            entry = nodes.setdefault(name, {"name": name, **described(event["args"]), "ns": 0.0, "calls": runs})
            entry["ns"] += 1000 * event["dur"] / runs
        return list(nodes.values())


def open_file(path: str) -> Any:
    return os.fdopen(os.open(path, os.O_RDONLY), encoding="utf-8")


def described(event: dict[str, Any]) -> dict[str, str]:
    """Operator, kernel, precision and kind from an event's arguments."""
    kernel = event["op_name"]
    types = [kind for tensor in event.get("input_type_shape", []) for kind in tensor]
    precision = QUANTIZED.get(kernel) or (TYPES.get(types[0], types[0]) if types else "")
    kind = "layout" if kernel in LAYOUT else "precision" if kernel in PRECISION else "compute"
    operator = STANDARD.get(kernel) or kernel.removeprefix("QLinear").removeprefix("Fused")
    return {"operator": operator, "kernel": kernel, "precision": precision, "kind": kind}


def open(path: str, settings: dict[str, Any]) -> Session:
    """A profiled session on the model at `path` with these settings."""
    return Session(path, settings)
