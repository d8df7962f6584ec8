"""Per-operator times of PyTorch, from its own profiler. Run in the worker; never part of a bundle."""

from typing import Any

import torch

from . import runner

LAYOUT = ("aten::transpose", "aten::permute", "aten::reshape", "aten::view", "aten::contiguous", "aten::clone", "aten::copy_",
          "aten::expand", "aten::unsqueeze", "aten::squeeze", "aten::slice", "aten::cat", "aten::t")  # fmt: skip
PRECISION = ("aten::to", "aten::_to_copy")
STANDARD = {
    "addmm": "MatMul", "mm": "MatMul", "bmm": "MatMul", "linear": "MatMul", "matmul": "MatMul", "baddbmm": "MatMul",
    "_scaled_dot_product_flash_attention_for_cpu": "Attention", "scaled_dot_product_attention": "Attention",
    "_scaled_dot_product_attention_math": "Attention", "mul": "Mul", "add": "Add", "sub": "Sub", "div": "Div", "silu": "Swish",
    "gelu": "Gelu", "tanh": "Tanh", "pow": "Pow", "mean": "ReduceMean", "rsqrt": "Reciprocal", "softmax": "Softmax",
    "_softmax": "Softmax", "layer_norm": "LayerNormalization", "native_layer_norm": "LayerNormalization", "embedding": "Gather",
    "index_select": "Gather", "cat": "Concat", "copy_": "Identity", "cos": "Cos", "sin": "Sin", "neg": "Neg", "_to_copy": "Cast",
    "slice": "Slice", "transpose": "Transpose", "reshape": "Reshape", "view": "Reshape", "where": "Where",
}  # fmt: skip
"""PyTorch's operators by the ONNX operator whose work they do; what is not here has no counterpart."""


class Session:
    """A session under PyTorch's profiler from `begin` on. `most_calls`: it keeps every event, thousands a request."""

    most_calls = 3

    def __init__(self, path: str, settings: dict[str, Any]) -> None:
        self.inner = runner.Session(path, settings)
        self.properties = self.inner.properties
        self.profiler = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU])

    def reset(self) -> None:
        self.inner.reset()

    def step(self, tokens: Any, want: str = "last") -> Any:
        return self.inner.step(tokens, want)

    def begin(self) -> None:
        """What follows counts; warm-up does not."""
        self.profiler.__enter__()

    def operators(self, runs: int) -> list[dict[str, Any]]:
        """Each kind of operator that ran: PyTorch tells no nodes apart. Nanoseconds a call are its own, without what it calls."""
        self.profiler.__exit__(None, None, None)
        precision = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}.get(self.properties["precision"], "")
        return [
            {"name": e.key, **described(e.key, precision), "calls": runs, "ns": e.self_cpu_time_total * 1000 / runs}
            for e in self.profiler.key_averages()
            if e.self_cpu_time_total > 0
        ]  # fmt: skip


def described(name: str, precision: str) -> dict[str, str]:
    """Operator, kernel, precision and kind by PyTorch's own name, as `aten::addmm`."""
    short = name.rpartition("::")[2]
    kind = (
        "layout" if name in LAYOUT else "precision" if name in PRECISION else "compute" if name.startswith("aten::") else "other"
    )
    return {
        "operator": STANDARD.get(short, short),
        "kernel": name,
        "precision": precision if kind == "compute" else "",
        "kind": kind,
    }


def open(path: str, settings: dict[str, Any]) -> Session:
    """A profiled session on the model at `path` with these settings."""
    return Session(path, settings)
