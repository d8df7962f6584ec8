"""F1 of answers that may name several classes at once."""

import numpy as np

from strop.core.classes import flat
from strop.core.errors import DataError
from strop.core.resampled import Array, Counts, Drawn, Floats
from strop.core.scorers.told import Told


def multilabel_f1(outputs: Array, labels: Array, told: Told) -> Drawn:
    """F1 of each class and its mean (macro), or of all decisions together (micro); a class that is nowhere counts 0.

    Args:
        outputs: a score for each class. labels: see `indicated`. told: its threshold is set.
    """
    yes = flat(outputs) > (told.threshold or 0.0)
    truth = indicated(labels, yes.shape[1])
    right, said = (yes & truth).astype(np.float64), yes.astype(np.float64) + truth

    def figure(counts: Counts) -> Floats:
        both, total = counts @ right, counts @ said
        if told.average == "micro":
            both, total = both.sum(axis=1, keepdims=True), total.sum(axis=1, keepdims=True)
        return np.asarray(np.divide(2 * both, total, out=np.zeros_like(both), where=total > 0).mean(axis=1))

    return figure


def indicated(labels: Array, classes: int) -> Array:
    """Labels as truth values [examples, classes]: given as 0 and 1, or as class numbers that -1 fills up.

    Raises:
        DataError: neither of the two.
    """
    rows = labels.reshape(len(labels), -1)
    if rows.shape[1] == classes and np.isin(rows, (0, 1)).all():
        return np.asarray(rows == 1)
    if rows.size and (rows.min() < -1 or rows.max() >= classes):
        raise DataError(
            f"metric 'multilabel_f1': labels {list(labels.shape)} from {rows.min()} to {rows.max()} for {classes} classes",
            f"give 0 and 1, shape [examples, {classes}], or class numbers 0 to {classes - 1}, rows filled up with -1",
        )
    found = np.zeros((len(rows), classes + 1), bool)
    np.put_along_axis(found, np.where(rows < 0, classes, rows).astype(np.int64), True, axis=1)
    return found[:, :classes]
