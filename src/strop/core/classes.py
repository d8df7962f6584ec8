"""Which class an answer stands for: the highest of several scores, one number for class 1, or the class itself."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from strop.core.errors import DataError

Array = NDArray[Any]
SHOWN = 6
"""So many different labels are listed in a message."""


def flat(outputs: Array) -> Array:
    """Outputs as [examples, values]; whole numbers become floats, since their differences would wrap around."""
    values = np.asarray(outputs).reshape(len(outputs), -1)
    return values.astype(np.float64) if values.dtype.kind in "iub" else values


def width(outputs: Array) -> int:
    """Values per example."""
    return int(np.prod(outputs.shape[1:], dtype=np.int64))


def holds_classes(outputs: Array) -> bool:
    """Whether each answer is a class itself, as an ArgMax inside the model gives it: one whole number per example."""
    return outputs.dtype.kind in "iub" and width(outputs) == 1


def cut_of(baseline: Array) -> float:
    """Where class 1 begins for a model that gives one number per example: 0.5 for probabilities, 0 for logits.

    It is decided once, by all answers of the baseline: a candidate, or a part of the examples, whose logits happen to lie
    between 0 and 1 must not be read differently.
    """
    if width(baseline) != 1 or holds_classes(baseline):
        return 0.0
    values = flat(baseline)
    return 0.5 if bool((values >= 0).all() and (values <= 1).all()) else 0.0


def predicted(outputs: Array, cut: float | None = None) -> Array:
    """The class per example, shape [n].

    Args:
        cut: as `cut_of` gives it for the baseline; None: by these outputs themselves.
    """
    if holds_classes(outputs):
        return np.asarray(outputs).reshape(-1).astype(np.int64)
    scores = flat(outputs)
    if scores.shape[1] == 1:
        return (scores[:, 0] > (cut_of(outputs) if cut is None else cut)).astype(np.int64)
    return np.asarray(scores.argmax(axis=1))


def hits(outputs: Array, labels: Array, k: int, cut: float | None = None) -> NDArray[np.bool_]:
    """Whether an accepted class is among the k highest outputs. Shapes [n, classes] and [n] or [n, m] → [n]."""
    accepted = labels.reshape(len(labels), -1)
    if width(outputs) == 1:
        return np.asarray((predicted(outputs, cut)[:, None] == accepted).any(axis=1))
    best = np.argsort(-flat(outputs), axis=1, kind="stable")[:, :k]
    return np.asarray((best[:, :, None] == accepted[:, None, :]).any(axis=(1, 2)))


def class_labels(outputs: Array, labels: Array, metric: str, k: int) -> Array:
    """Labels in the numbers that `predicted` gives: -1 and 1, where they are the only ones, become 0 and 1.

    Raises:
        DataError: one number per example cannot tell that many classes apart, or the k highest cannot miss.
    """
    values = width(outputs)
    if metric == "topk" and k >= values:
        what = "holds one class per example" if holds_classes(outputs) else f"holds {values} value(s) per example"
        raise DataError(f"metric 'topk' with k={k}: the output {what}, so it has no {k} best to choose from", "use --metric top1")
    if values > 2 or holds_classes(outputs):
        return labels
    found = set(np.unique(labels).tolist())
    if labels.size == len(labels) and -1 in found and found <= {-1, 1}:
        return np.asarray(labels > 0, np.int64)
    if values == 1 and not found <= {-1, 0, 1}:
        listed = ", ".join(f"{one:g}" for one in sorted(found)[:SHOWN]) + (", …" if len(found) > SHOWN else "")
        raise DataError(
            f"metric {metric!r}: the output holds one number per example, which tells two classes apart; labels are {listed}",
            "label them 0 and 1 (or -1 and 1); for numbers use --metric mae; --output NAME scores another output",
        )
    return labels
