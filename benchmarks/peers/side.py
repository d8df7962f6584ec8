"""One contestant in a process of its own, under the interpreter of its runtime. Shares nothing with Strop.

    PYTHON -m benchmarks.peers.side MODEL|BUNDLE DATA.npz '{"input": "array", …}'

Answers JSON lines: {"op": "warm"}, {"op": "block", "count": n}, {"op": "answers", "out": file.npy}. One thread.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.independent import Model, Side, open_bundle, open_onnx


def open_ir(path: Path) -> Model:
    """As OpenVINO compiles by default for low latency; one thread, and the properties of a .json beside it, if there is one."""
    import openvino as ov

    beside = path.with_suffix(".json")
    more = json.loads(beside.read_text(encoding="utf-8")) if beside.exists() else {}
    compiled = ov.Core().compile_model(str(path), "CPU", {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": 1, **more})
    request, output = compiled.create_infer_request(), compiled.output(0)
    types = {p.get_any_name(): str(np.dtype(p.get_element_type().to_dtype())) for p in compiled.inputs}
    batch = compiled.inputs[0].get_partial_shape()[0]
    size = 1 if batch.is_dynamic else batch.get_length()
    return Model(lambda feed: {"first": request.infer(feed, share_inputs=True)[output]}, types, size)


def open_any(path: Path) -> Model:
    if path.is_dir():
        return open_bundle(path)
    return open_ir(path) if path.suffix == ".xml" else open_onnx(path, 1, as_is=False, spinning=False)


def answer(side: Side, op: str, out: str = "", **arguments: Any) -> Any:
    """`answers` writes the first output of every example, shape [examples, …]; the rest is the stopwatch's own."""
    if op == "answers":
        return np.save(out, next(iter(side.answers().values())))
    return getattr(side, op)(**arguments)


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    sys.dont_write_bytecode = True
    side = Side(open_any(Path(sys.argv[1])), Path(sys.argv[2]), json.loads(sys.argv[3]))
    print(json.dumps({"ok": True}), file=answers)
    for line in sys.stdin:
        print(json.dumps({"ok": answer(side, **json.loads(line))}), file=answers)


if __name__ == "__main__":
    main()
