"""NNCF by its own defaults; run under OpenVINO's interpreter. Shares nothing with Strop.

PYTHON -m benchmarks.peers.nncf_peer default|accuracy MODEL.onnx OUT.xml CALIBRATION.npz '{"input": "array", …}' LABELS METRIC
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

from benchmarks.peers.metrics import METRICS, Metric


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


def validator(metric: Metric) -> Any:
    """What accuracy control asks; an item is the feeds that one label is for, and the label."""

    def validate(compiled: Any, items: Iterable[Any]) -> tuple[float, list[float] | None]:
        given, labels = zip(*items, strict=True)
        asked = [feed for group in given for feed in group]
        answers = np.concatenate([compiled(feed)[compiled.output(0)] for feed in asked])
        inputs = {n: np.concatenate([feed[n] for feed in asked]) for n in asked[0]}
        each = [metric.score(answers[[i]], {}, np.stack(labels)[[i]]) for i in range(len(labels))] if metric.group == 1 else None
        return metric.score(answers, inputs, np.stack(labels)), each

    return validate


def main(kind: str, source: str, out: str, data: str, mapping: str, labels: str, metric: str) -> int:
    model = ov.Core().read_model(source)
    given, arrays = feeds(model, data, json.loads(mapping))
    if kind == "default":
        quantized = nncf.quantize(model, nncf.Dataset(given))
    else:
        size = METRICS[metric].group
        groups = [given[i : i + size] for i in range(0, len(given) - size + 1, size)]
        pairs = nncf.Dataset(list(zip(groups, arrays[labels], strict=False)), lambda pair: pair[0][0])
        quantized = nncf.quantize_with_accuracy_control(model, nncf.Dataset(given), pairs, validator(METRICS[metric]))
    ov.save_model(quantized, out, compress_to_fp16=False)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:8]))
