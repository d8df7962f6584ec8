"""How far a candidate's class probabilities are from the given model's, which the highest class alone does not show. Pure.

The figure of an example is the Kullback-Leibler divergence of the candidate's distribution over the classes from the given
model's, in nats: 0 is the same distribution. Good INT8 models are near 0.01.

An output of probabilities is taken as it is, one of logits through a softmax. A number per example is the probability, or the
logit, of class 1. Which of them it is, the given model's answers decide for all candidates. No probability counts as less than
`FLOOR`: an INT8 softmax answers 0 for many classes, and the logarithm of that says nothing.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from strop.core.classes import cut_of, width

Array = NDArray[Any]
Floats = NDArray[np.float64]
Reading = Literal["probabilities", "logits"]
FLOOR = 2.0**-23
"""The resolution of float32 beside 1."""
UNEVEN = 1e-2
"""Probabilities of an example sum to 1 up to this."""
LARGEST = 1e30
PART_VALUES = 1 << 20


def reading_of(baseline: Array) -> Reading | None:
    """What the baseline's outputs are, shape [n, classes] (further axes of 1 allowed) or one number per example.

    None where they are no distribution: classes by themselves, several scores that are independent of one another, or maps.
    """
    if baseline.dtype.kind != "f" or not baseline.size:
        return None
    if width(baseline) == 1:
        return "probabilities" if cut_of(baseline) else "logits"
    if width(baseline) != baseline.shape[1]:
        return None
    values = np.asarray(baseline, np.float64).reshape(len(baseline), -1)
    if float(values.min()) < 0 or float(values.max()) > 1 + UNEVEN:
        return "logits"
    return "probabilities" if bool((np.abs(values.sum(axis=1) - 1) <= UNEVEN).all()) else None


def divergences(outputs: Array, baseline: Array) -> Floats | None:
    """Of each example, nats, shape [n]; None where the outputs hold no distribution over classes.

    Args:
        outputs, baseline: one shape; may be memory-mapped, they are read a part at a time.
    """
    reading = reading_of(baseline)
    if reading is None:
        return None
    found = np.empty(len(baseline))
    step = max(1, PART_VALUES // max(1, width(baseline)))
    for at in range(0, len(baseline), step):
        mine, theirs = (np.log(_distributions(side[at : at + step], reading)) for side in (outputs, baseline))
        found[at : at + step] = (np.exp(theirs) * (theirs - mine)).sum(axis=1)
    return np.maximum(found, 0.0)


def _distributions(outputs: Array, reading: Reading) -> Floats:
    """Shape [n, classes], at least two; none below about `FLOOR`, each sums to 1."""
    values = np.clip(np.asarray(outputs, np.float64).reshape(len(outputs), -1), -LARGEST, LARGEST)
    if values.shape[1] == 1:
        values = np.hstack([1 - values if reading == "probabilities" else np.zeros_like(values), values])
    if reading == "logits":
        values = np.exp(values - values.max(axis=1, keepdims=True))
        values /= values.sum(axis=1, keepdims=True)
    values = np.maximum(values, FLOOR)
    return np.asarray(values / values.sum(axis=1, keepdims=True))
