"""One contestant in a process of its own, under the interpreter of its runtime. Shares nothing with Strop.

    PYTHON side.py MODEL|BUNDLE DATA.npz '{"input": "array", …}'

Answers JSON lines: {"op": "warm"}, {"op": "block", "calls": n}, {"op": "answers", "out": file.npy}. One thread.
"""

import gc
import importlib.util
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

FEEDS, WARM_S = 32, 0.4
TYPES = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(int64)": "int64", "tensor(int32)": "int32",
         "tensor(uint8)": "uint8", "tensor(int8)": "int8", "tensor(bool)": "bool"}  # fmt: skip
Feed = dict[str, Any]
Opened = tuple[Callable[[Feed], Any], dict[str, str], int]
"""call (feed → first output), input types, examples in a call."""


def open_onnx(path: str) -> Opened:
    """All graph optimisations, as ONNX Runtime does by default; one thread."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    inputs = session.get_inputs()
    first = [session.get_outputs()[0].name]
    batch = inputs[0].shape[0] if inputs[0].shape else 1
    return (
        lambda feed: session.run(first, feed)[0],
        {i.name: TYPES[i.type] for i in inputs},
        batch if isinstance(batch, int) else 1,
    )


def open_ir(path: str) -> Opened:
    """As OpenVINO compiles by default for low latency; one thread."""
    import openvino as ov

    compiled = ov.Core().compile_model(path, "CPU", {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": 1})
    request, output = compiled.create_infer_request(), compiled.output(0)
    types = {p.get_any_name(): str(np.dtype(p.get_element_type().to_dtype())) for p in compiled.inputs}
    batch = compiled.inputs[0].get_partial_shape()[0]
    return lambda feed: request.infer(feed, share_inputs=True)[output], types, 1 if batch.is_dynamic else batch.get_length()


def open_bundle(folder: str) -> Opened:
    """By its own infer.py."""
    spec: Any = importlib.util.spec_from_file_location("infer", Path(folder) / "infer.py")
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True
    spec.loader.exec_module(module)
    bundle = module.load(folder)
    return lambda feed: next(iter(bundle.run(feed).values())), {n: str(t) for n, t in bundle.inputs.items()}, bundle.fixed or 1


class Side:
    def __init__(self, path: str, data: str, names: dict[str, str]) -> None:
        opened = open_bundle(path) if Path(path).is_dir() else open_ir(path) if path.endswith(".xml") else open_onnx(path)
        self.call, types, self.batch = opened
        with np.load(data, allow_pickle=False) as arrays:
            self.inputs = {n: arrays[names.get(n, n)].astype(t) for n, t in types.items()}
        self.count = len(next(iter(self.inputs.values())))
        self.feeds = [self.feed(i) for i in range(min(FEEDS, -(-self.count // self.batch)))]
        self.next = 0

    def feed(self, index: int) -> Feed:
        rows = np.arange(index * self.batch, (index + 1) * self.batch) % self.count
        return {n: np.ascontiguousarray(a[rows]) for n, a in self.inputs.items()}

    def calls(self, count: int) -> list[int]:
        found = []
        for _ in range(count):
            feed = self.feeds[self.next % len(self.feeds)]
            self.next += 1
            begin = time.perf_counter_ns()
            self.call(feed)
            found.append(time.perf_counter_ns() - begin)
        return found

    def warm(self) -> float:
        """Median call of the last third, nanoseconds."""
        found, end = self.calls(3), time.perf_counter() + WARM_S
        while time.perf_counter() < end:
            found += self.calls(3)
        return statistics.median(found[-len(found) // 3 :])

    def block(self, calls: int) -> float:
        """Median of some calls after two that are not timed, nanoseconds."""
        gc.collect()
        self.calls(2)
        return statistics.median(self.calls(calls))

    def answers(self, out: str) -> None:
        """The first output of every example, shape [examples, …]."""
        parts = [np.array(self.call(self.feed(i))) for i in range(-(-self.count // self.batch))]
        np.save(out, np.concatenate(parts)[: self.count])


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    side = Side(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
    print(json.dumps({"ok": True}), file=answers)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps({"ok": getattr(side, request.pop("op"))(**request)}), file=answers)


if __name__ == "__main__":
    main()
