"""Per-operator times of OpenVINO, from its own counters. Run in the worker; never part of a bundle."""

from typing import Any

from . import runner

LAYOUT = ("Reorder", "Transpose", "Reshape", "Squeeze", "Unsqueeze")
PRECISION = ("FakeQuantize", "Convert")
STANDARD = {
    "Convolution": "Conv", "GroupConvolution": "Conv", "Deconvolution": "ConvTranspose", "FullyConnected": "MatMul",
    "FullyConnectedCompressed": "MatMul", "FullyConnectedQuantized": "MatMul", "FullyConnectedQuantizedLegacy": "MatMul",
    "FakeQuantize": "QuantizeLinear", "Convert": "Cast", "MVN": "LayerNormalization", "AvgPool": "AveragePool",
    "Multiply": "Mul", "Subtract": "Sub", "Divide": "Div", "Clamp": "Clip", "Ceiling": "Ceil", "Select": "Where",
    "ShapeOf": "Shape", "LSTMSequence": "LSTM", "GRUSequence": "GRU", "ScaledDotProductAttention": "Attention",
    "MulAdd": "Mul", "PowerStatic": "Pow",
}  # fmt: skip
"""OpenVINO's operators by the ONNX operator whose work they do; what is not here has the same name or no counterpart."""
TYPES = {"f32": "fp32", "f16": "fp16", "bf16": "bf16", "i8": "int8", "u8": "int8", "i32": "int32", "i64": "int64"}


class Session:
    """A session whose runtime counts what every operator takes."""

    def __init__(self, path: str, settings: dict[str, Any]) -> None:
        kind = runner.LanguageSession if "context" in settings else runner.Session
        self.inner: Any = kind(path, settings, {"PERF_COUNT": True})
        self.properties = self.inner.properties
        self.runs = 0
        self.warm: dict[str, float] = {}

    def run(self, feed: dict[str, Any]) -> Any:
        self.runs += 1
        return self.inner.run(feed)

    def reset(self) -> None:
        self.inner.reset()

    def step(self, tokens: Any, want: str = "last") -> Any:
        """Of a language model: a request is many of them."""
        self.runs += 1
        return self.inner.step(tokens, want)

    def totals(self) -> dict[str, float]:
        """Nanoseconds of each node over all calls so far: OpenVINO gives their mean, in whole microseconds."""
        return {p.node_name: p.real_time.total_seconds() * 1e9 * self.runs for p in self.inner.request.profiling_info}

    def begin(self) -> None:
        """What follows counts; warm-up does not."""
        self.warm = self.totals()

    def operators(self, runs: int) -> list[dict[str, Any]]:
        """Each node that ran: name, operator, kernel, precision, kind, nanoseconds a call."""
        totals = self.totals()
        return [
            {"name": p.node_name, **described(p.node_type, p.exec_type), "calls": runs,
             "ns": max(0.0, totals[p.node_name] - self.warm.get(p.node_name, 0.0)) / runs}
            for p in self.inner.request.profiling_info
            if str(p.status).endswith("EXECUTED")
        ]  # fmt: skip


def described(node: str, kernel: str) -> dict[str, str]:
    """Operator, kernel, precision and kind from OpenVINO's own words."""
    kind = "layout" if node in LAYOUT else "precision" if node in PRECISION else "compute"
    ending = kernel.rpartition("_")[2].lower()
    return {"operator": STANDARD.get(node, node), "kernel": f"{node} {kernel}", "precision": TYPES.get(ending, ""), "kind": kind}


def open(path: str, settings: dict[str, Any]) -> Session:
    """A profiled session on the model at `path` with these settings."""
    return Session(path, settings)
