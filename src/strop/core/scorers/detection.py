"""Mean average precision of detected boxes, as COCO defines it (pycocotools), from detections that `boxes.detections` makes.

Of each class: detections of all examples by score, at most 100 of one example. Each is matched to the free box of the labels
that it overlaps most, if the overlap reaches the threshold. Precision is taken at 101 levels of recall, each the highest at that
recall or above. The mean goes over the classes that the labels have, and over the thresholds.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from strop.core.errors import DataError
from strop.core.resampled import Array, Counts, Drawn, Floats
from strop.core.scorers.boxes import overlaps
from strop.core.scorers.told import Told

MOST = 100
"""Detections of a class in an example."""
THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
MISSED = -1.0


class OfClass(NamedTuple):
    """One class's detections by falling score, and its boxes in the labels.

    example: of each detection. right: shape [thresholds, detections], whether it found a box. boxes: of each example.
    """

    example: NDArray[np.int64]
    right: NDArray[np.bool_]
    boxes: NDArray[np.int64]


def map50(outputs: Array, labels: Array, _: Told) -> Drawn:
    """Mean average precision at an overlap (IoU) of 0.5."""
    return _mean_precision(outputs, labels, THRESHOLDS[:1], "map50")


def map50_95(outputs: Array, labels: Array, _: Told) -> Drawn:
    """Mean average precision, mean over the overlaps 0.5, 0.55 … 0.95."""
    return _mean_precision(outputs, labels, THRESHOLDS, "map50_95")


def _mean_precision(outputs: Array, labels: Array, thresholds: Floats, name: str) -> Drawn:
    """
    Args:
        outputs: detections [examples, most, 6]: x1, y1, x2, y2, score, class; a score below 0 is none.
        labels: boxes [examples, most, 5]: class, x1, y1, x2, y2; a class below 0 is none.

    Raises:
        DataError: labels of another form.
    """
    require_boxes(labels, name)
    found = [_of_class(outputs, labels, one, thresholds) for one in np.unique(labels[..., 0][labels[..., 0] >= 0]).tolist()]

    def figure(counts: Counts) -> Floats:
        total, classes = np.zeros((2, len(counts)))
        for one in found:
            boxes = counts @ one.boxes
            total += np.where(boxes > 0, _precision(one, counts, boxes), 0.0)
            classes += boxes > 0
        return total / np.maximum(classes, 1)

    return figure


def require_boxes(labels: Array, name: str) -> None:
    """Raises DataError where labels are no boxes."""
    if labels.ndim != 3 or labels.shape[2] != 5:
        raise DataError(
            f"metric {name!r}: labels {list(labels.shape)} are no boxes",
            "give [examples, most boxes, 5]: class, x1, y1, x2, y2 in the units of the model's boxes; rows of class -1 fill up",
        )
    real = labels[labels[..., 0] >= 0]
    if (real[:, 1] > real[:, 3]).any() or (real[:, 2] > real[:, 4]).any():
        raise DataError(f"metric {name!r}: a box of the labels ends before it begins", "give corners: class, x1, y1, x2, y2")
    if not len(real):
        raise DataError(f"metric {name!r}: the labels hold no box", "class, x1, y1, x2, y2 of each object; class -1 is none")


def _of_class(outputs: Array, labels: Array, one: float, thresholds: Floats) -> OfClass:
    examples, scores, right, boxes = [], [], [], np.zeros(len(labels), np.int64)
    for row in range(len(labels)):
        mine = outputs[row][(outputs[row, :, 4] >= 0) & (outputs[row, :, 5] == one)]
        mine = mine[np.argsort(-mine[:, 4], kind="stable")][:MOST]
        truth = labels[row][labels[row, :, 0] == one][:, 1:]
        boxes[row] = len(truth)
        examples.append(np.full(len(mine), row))
        scores.append(mine[:, 4])
        right.append(_matched(mine[:, :4], truth, thresholds))
    order = np.argsort(-np.concatenate(scores), kind="stable")
    return OfClass(np.concatenate(examples)[order], np.concatenate(right, axis=1)[:, order], boxes)


def _matched(mine: Array, truth: Array, thresholds: Floats) -> NDArray[np.bool_]:
    """Whether each detection finds a box at each threshold; in the order of their scores, each box is found once."""
    found = np.zeros((len(thresholds), len(mine)), bool)
    if not len(truth):
        return found
    shared, least = overlaps(mine, truth), np.minimum(thresholds, 1 - 1e-10)
    taken, rows = np.zeros((len(thresholds), len(truth)), bool), np.arange(len(thresholds))
    for at in np.flatnonzero(shared.max(axis=1, initial=0) >= least[0]):
        free = np.where(taken, MISSED, shared[at])
        best = len(truth) - 1 - free[:, ::-1].argmax(axis=1)  # of equal ones the last, as pycocotools
        found[:, at] = free[rows, best] >= least
        taken[rows[found[:, at]], best[found[:, at]]] = True
    return found


def _precision(one: OfClass, counts: Counts, boxes: NDArray[np.int64]) -> Floats:
    """Average precision of each draw, mean over the thresholds. Only where a box is found can precision be the highest."""
    drawn, total = counts[:, one.example], np.zeros(len(counts))
    so_far = np.cumsum(drawn, axis=1)
    needed = _needed(boxes)
    for right in one.right:
        at = np.flatnonzero(right)
        if not len(at):
            continue
        hits = np.cumsum(drawn[:, at], axis=1)
        precision = hits / np.maximum(so_far[:, at], 1)
        best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        first = _first_at_least(hits, needed)
        reached = first < len(at)
        total += np.where(reached, np.take_along_axis(best, np.minimum(first, len(at) - 1), axis=1), 0.0).mean(axis=1)
    return total / len(one.right)


def _needed(boxes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The fewest hits of each draw that reach each recall, shape [draws, recalls]; compared as floats, as pycocotools does."""
    count = np.maximum(boxes, 1)[:, None]
    near = np.ceil(RECALLS * count).astype(np.int64)
    near = np.where(np.maximum(near - 1, 0) / count >= RECALLS, np.maximum(near - 1, 0), near)
    return np.asarray(np.where(near / count < RECALLS, near + 1, near))


def _first_at_least(hits: NDArray[np.int64], needed: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each row of `hits`, which never falls, first reaches each number; its length where it never does."""
    apart = int(max(hits.max(initial=0), needed.max(initial=0))) + 1
    offset = apart * np.arange(len(hits))[:, None]
    found = np.searchsorted((hits + offset).reshape(-1), (needed + offset).reshape(-1)).reshape(needed.shape)
    return np.asarray(found - hits.shape[1] * np.arange(len(hits))[:, None])
