"""Figures over many draws of examples at once, for bootstrap intervals: how often each example was drawn is all that counts."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
"""Shape [draws, examples]: how often each example was drawn."""
OverDraws = Callable[[Array, Array, Counts], Floats]
"""(values, labels, counts) → the figure of each draw; values and labels have shape [examples]."""
Drawn = Callable[[Counts], Floats]
"""The same, of values and labels that it knows."""
ROUNDING = 1e-12
"""Of the largest value: a mean is off by about so much, so that a constant seems to vary."""


def mean(values: Array, counts: Counts) -> Floats:
    """Mean of one value an example; shape [draws]."""
    return np.asarray(counts @ np.asarray(values, np.float64) / counts.sum(axis=1))


def ranks(values: Array, counts: Counts) -> Floats:
    """Rank of each example among those drawn, from 1, ties sharing their mean rank; shape [draws, examples].

    >>> ranks(np.array([3.0, 1.0, 1.0]), np.array([[1, 1, 1], [2, 1, 0]]))
    array([[3. , 1.5, 1.5],
           [2.5, 1. , 1. ]])
    """
    _, inverse = np.unique(values, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    starts = np.flatnonzero(np.diff(inverse[order], prepend=-1))
    drawn = np.add.reduceat(counts[:, order], starts, axis=1)
    ends = np.cumsum(drawn, axis=1)
    return np.asarray((ends - (drawn - 1) / 2)[:, inverse])


def correlation(one: Floats, other: Floats, counts: Counts) -> Floats:
    """Linear correlation of each draw; 0 where one of the two does not vary. Values of shape [examples] or [draws, examples]."""
    total = counts.sum(axis=1)

    def centred(values: Floats) -> Floats:
        values = np.broadcast_to(values, counts.shape)
        apart = values - ((counts * values).sum(axis=1) / total)[:, None]
        return np.where(np.abs(apart) > ROUNDING * np.abs(values).max(initial=0.0), apart, 0.0)

    a, b = centred(one), centred(other)
    spread = np.sqrt((counts * a * a).sum(axis=1) * (counts * b * b).sum(axis=1))
    return np.asarray(np.divide((counts * a * b).sum(axis=1), spread, out=np.zeros(len(counts)), where=spread > 0))


def pearson(values: Array, labels: Array, counts: Counts) -> Floats:
    """Linear correlation."""
    return correlation(np.asarray(values, np.float64), np.asarray(labels, np.float64), counts)


def spearman(values: Array, labels: Array, counts: Counts) -> Floats:
    """Rank correlation."""
    return correlation(ranks(values, counts), ranks(labels, counts), counts)


def roc_auc(values: Array, labels: Array, counts: Counts) -> Floats:
    """Area under the ROC curve, ties counted half; 0.5 where a draw holds one class only."""
    positive = labels == 1
    ones = counts[:, positive].sum(axis=1)
    pairs = ones * (counts.sum(axis=1) - ones)
    above = (counts * ranks(values, counts))[:, positive].sum(axis=1) - ones * (ones + 1) / 2
    return np.asarray(np.divide(above, pairs, out=np.full(len(counts), 0.5), where=pairs > 0))
