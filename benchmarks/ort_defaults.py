"""ONNX Runtime's own quantization with its own defaults; run in a process of its own by `versus_defaults`.

python benchmarks/ort_defaults.py static|dynamic MODEL.onnx OUT.onnx CALIBRATION.npz [INPUT=ARRAY …]
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

if __package__:
    from benchmarks.independent import TYPES, read
else:
    from independent import TYPES, read  # type: ignore[import-not-found,no-redef]


class Reader(CalibrationDataReader):  # type: ignore[misc]
    """Every calibration example, as many at a time as the model takes."""

    def __init__(self, model: Path, data: Path, names: dict[str, str]) -> None:
        session = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"])
        first = session.get_inputs()[0].shape[0]
        arrays = read(data)
        inputs = {i.name: arrays[names.get(i.name, i.name)].astype(TYPES[i.type]) for i in session.get_inputs()}
        self.feeds = batches(inputs, first if isinstance(first, int) else 1)

    def get_next(self) -> dict[str, Any] | None:
        return next(self.feeds, None)


def batches(inputs: dict[str, Any], size: int) -> Iterator[dict[str, Any]]:
    count = len(next(iter(inputs.values())))
    for start in range(0, count - size + 1, size):
        yield {name: np.ascontiguousarray(array[start : start + size]) for name, array in inputs.items()}


def main(arguments: list[str]) -> int:
    kind, model, out, data = arguments[0], *(Path(a) for a in arguments[1:4])
    if kind == "dynamic":
        quantize_dynamic(model, out)
        return 0
    ready = out.with_suffix(".prepared.onnx")
    try:
        quant_pre_process(str(model), str(ready))
    except Exception:  # "Incomplete symbolic shape inference": what its own documentation says to do with transformers
        quant_pre_process(str(model), str(ready), skip_symbolic_shape=True)
    quantize_static(ready, out, Reader(ready, data, dict(pair.split("=", 1) for pair in arguments[4:])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
