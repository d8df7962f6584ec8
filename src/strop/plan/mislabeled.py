"""Why the given model looks no better than chance on its labels: what the labels and the output hold. Pure."""

import numpy as np
from numpy.typing import NDArray

from strop.core.classes import class_labels, hits, width
from strop.core.errors import DataError

Array = NDArray[np.generic]
MOSTLY = 0.6


def held(array: Array) -> str:
    """Shape, type and range of an array: `float32 [998, 10] from -3.2 to 17`."""
    shown = f"{array.dtype} {list(array.shape)}"
    if array.dtype.kind not in "iubf" or not array.size:
        return shown
    return f"{shown} from {float(array.min()):.4g} to {float(array.max()):.4g}"


def likely_cause(metric: str, outputs: Array, labels: Array) -> str:
    """What is most likely wrong, by the labels and the answers of the given model.

    Args:
        outputs: shape [examples, …]. labels: shape [examples, …], class numbers.
    """
    if labels.ndim == 2 and labels.shape[1] == outputs.shape[-1] > 1 and labels.dtype.kind in "iubf" and _one_hot(labels):
        return f"the labels are one-hot, [examples, {labels.shape[1]}]: give class numbers, labels.argmax(axis=1)"
    unknown = "wrong preprocessing, wrong labels or the wrong output? fix the data and run again"
    if metric not in ("top1", "topk", "f1", "roc_auc") or labels.dtype.kind not in "iub" or labels.size != len(labels):
        return unknown
    classes, flat = max(2, width(outputs)), labels.reshape(-1).astype(np.int64)
    low, high = int(flat.min()), int(flat.max())
    try:
        known = class_labels(outputs, flat, "top1", 1)
    except DataError:
        return unknown
    if low > 0 and _right(outputs, known - 1) > MOSTLY:
        return f"labels count from {low}, the output from 0: subtract 1 from the labels"
    if classes == 2 and _right(outputs, 1 - known) > MOSTLY:
        return "the two classes are swapped: the output says 1 where the labels say 0"
    if high >= classes:
        return f"labels go up to {high}, the output has {classes} values, for classes 0 to {classes - 1}: --output names another"
    if len(outputs) > 1 and (np.ptp(outputs.reshape(len(outputs), -1).astype(float), axis=0) == 0).all():
        return "the output is the same for every example: are the inputs scaled as in training?"
    return unknown


def _right(outputs: Array, labels: Array) -> float:
    return float(hits(outputs, labels, 1).mean())


def _one_hot(labels: Array) -> bool:
    values = labels.astype(np.float64)
    return bool(np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all())
