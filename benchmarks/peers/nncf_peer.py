"""NNCF by its own defaults; run under OpenVINO's interpreter. Shares nothing with Strop.

PYTHON nncf_peer.py default|accuracy MODEL.onnx OUT.xml CALIBRATION.npz '{"input": "array", …}' LABELS
"""

import json
import os
import sys
from collections.abc import Iterable
from typing import Any

os.environ.update(CI="true", NNCF_CI="1")

import nncf
import numpy as np
import openvino as ov


def feeds(model: Any, data: str, names: dict[str, str]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Calibration examples as the model takes them, one batch each, and all arrays."""
    with np.load(data, allow_pickle=False) as found:
        arrays = {n: found[n] for n in found.files}
    batch = model.inputs[0].get_partial_shape()[0]
    size = 1 if batch.is_dynamic else batch.get_length()
    inputs = {p.get_any_name(): np.dtype(p.get_element_type().to_dtype()) for p in model.inputs}
    whole = {n: arrays[names.get(n, n)].astype(t) for n, t in inputs.items()}
    count = len(next(iter(whole.values())))
    return [{n: a[i : i + size] for n, a in whole.items()} for i in range(0, count - size + 1, size)], arrays


def main(kind: str, source: str, out: str, data: str, mapping: str, labels: str) -> int:
    model = ov.Core().read_model(source)
    given, arrays = feeds(model, data, json.loads(mapping))
    if kind == "default":
        quantized = nncf.quantize(model, nncf.Dataset(given))
    else:
        wanted = arrays[labels].reshape(len(arrays[labels]), -1)[: len(given)]

        def validate(compiled: Any, items: Iterable[Any]) -> tuple[float, list[float]]:
            scores = [float(np.argmax(compiled(x)[compiled.output(0)]) in set(y.tolist())) for x, y in items]
            return float(np.mean(scores)), scores

        pairs = nncf.Dataset(list(zip(given, wanted, strict=True)), lambda pair: pair[0])
        quantized = nncf.quantize_with_accuracy_control(model, nncf.Dataset(given), pairs, validate)
    ov.save_model(quantized, out, compress_to_fp16=False)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:7]))
