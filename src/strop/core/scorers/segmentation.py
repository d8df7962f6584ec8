"""Mean intersection over union of answers that name a class for each place."""

import numpy as np

from strop.core.errors import DataError
from strop.core.resampled import Array, Counts, Drawn, Floats
from strop.core.scorers.told import Told


def miou(outputs: Array, labels: Array, told: Told) -> Drawn:
    """IoU of each class over all places of all examples; the mean over the classes that are in labels or answers.

    Places whose label is `told.ignore` or negative do not count.

    Args:
        outputs: as `classes_at` takes them. labels: shape [examples, …].
    """
    axis = class_axis(outputs.shape, labels.shape, told)
    several = axis is not None and outputs.shape[axis] > 1
    classes = int(outputs.shape[axis or 0]) if several else 2
    counted = labels[(labels >= 0) & (labels != told.ignore)]
    named = int(outputs.max(initial=0)) + 1 if axis is None and _whole(outputs) else 0
    classes = max(classes, named, int(counted.max(initial=0)) + 1)
    both, either = np.zeros((2, len(labels), classes))
    for row in range(len(labels)):
        truth = labels[row].reshape(-1)
        known = (truth >= 0) & (truth != told.ignore)
        guess = classes_at(outputs[row : row + 1], axis, told).reshape(-1)[known]
        truth = truth[known].astype(np.int64)
        both[row] = np.bincount(truth[truth == guess], minlength=classes)
        either[row] = np.bincount(truth, minlength=classes) + np.bincount(guess, minlength=classes) - both[row]

    def figure(counts: Counts) -> Floats:
        inside, total = counts @ both, counts @ either
        share = np.divide(inside, total, out=np.zeros_like(inside), where=total > 0)
        return np.asarray(share.sum(axis=1) / np.maximum((total > 0).sum(axis=1), 1))

    return figure


def class_axis(shape: tuple[int, ...], wanted: tuple[int, ...], told: Told) -> int | None:
    """The axis of the outputs that holds the scores of classes; None where there is none and each place has one value.

    Raises:
        DataError: outputs do not fit the labels, or in two ways.
    """
    if shape == wanted:
        return None
    fits = [axis for axis in dict.fromkeys((1, len(shape) - 1)) if len(shape) > 2 and shape[:axis] + shape[axis + 1 :] == wanted]
    told_axis = {"first": 1, "last": len(shape) - 1, None: None}[told.axis]
    if told_axis is not None and told_axis in fits:
        return told_axis
    if len(fits) == 1 and told.axis is None:
        return fits[0]
    if fits and told.axis is None:
        hint = "say where the classes are, after the examples: --metric-option axis=first (or last)"
        raise DataError(f"metric 'miou': in outputs {list(shape)} the classes may be on axis 1 or on the last", hint)
    raise DataError(
        f"metric 'miou': labels {list(wanted)} for outputs {list(shape)}",
        "give one class for each place: the output's shape without its axis of classes, in the output's resolution",
    )


def classes_at(outputs: Array, axis: int | None, told: Told) -> Array:
    """The class at each place: the highest score, whether a lone one is above the threshold, or the class itself."""
    if axis is not None and outputs.shape[axis] > 1:
        return np.asarray(outputs.argmax(axis=axis))
    if _whole(outputs):
        return np.asarray(outputs, np.int64)
    return np.asarray(outputs > (told.threshold or 0.0), np.int64)


def _whole(outputs: Array) -> bool:
    return outputs.dtype.kind in "iub"
