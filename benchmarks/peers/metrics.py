"""How answers are scored, the same for all contestants. Imports numpy only, and shares nothing with Strop."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
IGNORED = -100
"""The label of a step that does not count."""


class Metric(NamedTuple):
    """score: first output [examples, …], inputs and other arrays by name, labels → one number, higher is better.

    group: examples that one label is for. title: the table's column. percent: how it is shown.
    """

    score: Callable[[Array, dict[str, Array], Array], float]
    group: int
    title: str
    percent: bool


def top1(answers: Array, _arrays: dict[str, Array], labels: Array) -> float:
    """The share of examples whose largest answer is one of its classes; `labels` [examples] or [examples, alternatives]."""
    best = answers.reshape(len(labels), -1).argmax(axis=1)
    return float(np.mean((best[:, None] == labels.reshape(len(labels), -1)).any(axis=1)))


def spearman(answers: Array, arrays: dict[str, Array], labels: Array) -> float:
    """Rank correlation of `labels` [pairs] with the cosine of embeddings, the means of `answers` [2 × pairs, length, size]
    over `attention_mask`; the two examples of a pair follow one another."""
    mask = arrays["attention_mask"][..., None].astype(np.float64)
    means = (answers * mask).sum(axis=1) / mask.sum(axis=1)
    unit = means / np.linalg.norm(means, axis=1, keepdims=True)
    cosines = (unit[0::2] * unit[1::2]).sum(axis=1)
    return float(np.corrcoef(ranks(cosines), ranks(labels))[0, 1])


def token_accuracy(answers: Array, _arrays: dict[str, Array], labels: Array) -> float:
    """The share of steps whose largest answer, of [examples, steps, classes], is their class; steps labeled -100 do not count."""
    counted = labels != IGNORED
    return float((answers.argmax(axis=-1) == labels)[counted].mean()) if counted.any() else 0.0


def ranks(values: Array) -> Array:
    """Places from 1; equal values share the mean of theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    shared: Array = (np.cumsum(count) - (count - 1) / 2)[place]
    return shared


METRICS = {
    "top1": Metric(top1, 1, "top-1", True),
    "spearman": Metric(spearman, 2, "Spearman", False),
    "token_accuracy": Metric(token_accuracy, 1, "accuracy of steps", True),
}
