"""What is probably wrong with labels that a classifier's scores do not fit: each likely cause has its own hint. Pure."""

import numpy as np
from numpy.typing import NDArray


def label_hint(outputs: NDArray[np.generic], labels: NDArray[np.generic]) -> str:
    """The likely cause and what to do; empty where nothing about the labels themselves is odd.

    Args:
        outputs: scores, shape [examples, classes]; others give no hint.
        labels: as the data have them.
    """
    if outputs.ndim != 2 or outputs.shape[1] < 2 or labels.dtype.kind not in "iubf" or not labels.size:
        return ""
    classes, low, high = outputs.shape[1], labels.min(), labels.max()
    one_hot = labels.ndim == 2 and labels.shape[1] == classes and low == 0 and high == 1 and (labels.sum(axis=1) == 1).all()
    if one_hot:
        return f"the labels are one-hot, [examples, {classes}]: give class numbers, labels.argmax(axis=1)"
    if low == 1 and high == classes:
        return f"the labels go from 1 to {classes}, the model's classes from 0 to {classes - 1}: give labels - 1"
    if high >= classes:
        return f"the labels go up to {high:g}, the model's classes to {classes - 1}: is it the right output, or set of labels?"
    return ""
