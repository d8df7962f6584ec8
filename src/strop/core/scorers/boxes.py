"""Detections out of a detector's outputs, in the layouts that exporters write: one array [examples, most, 6] for all of them."""

from collections.abc import Mapping

import numpy as np

from strop.core.errors import ConfigError, DataError
from strop.core.resampled import Array, Floats
from strop.core.scorers.told import Axis, Corners, Layout, Told

KEPT, CONSIDERED = 300, 30_000
"""Detections of an example that are kept, as in Ultralytics' validation, and that are considered before overlapping ones go."""
COORDINATES = 4
BOXES: Mapping[Layout, Corners] = {"yolo": "cxcywh", "yolov5": "cxcywh", "nms": "xyxy", "ssd": "xyxy", "ssd-nms": "xyxy"}
"""What four numbers of a box usually are."""
NAMES = {"box": ("box", "loc", "bbox"), "class": ("class", "label", "cls"), "score": ("score", "conf", "prob")}
"""What is in the name of an output of several."""


def detections(outputs: Mapping[str, Array], scored: str, told: Told) -> Floats:
    """Shape [examples, KEPT, 6]: x1, y1, x2, y2, score, class, by falling score; a score of -1 fills up.

    Args:
        outputs: all outputs of the model. scored: the name of the one that is scored.

    Raises:
        ConfigError: no layout was given. DataError: outputs are not of that layout.
    """
    layout = told.layout
    if layout is None:
        raise ConfigError(
            "a detection metric needs the layout of the outputs", "--metric-option layout=yolo, yolov5, nms, ssd or ssd-nms"
        )
    parts = _parts(outputs, scored, layout, told.axis)
    found = np.full((len(parts[0]), KEPT, 6), -1.0)
    for row in range(len(found)):
        boxes, scores, classes = _of_one(layout, [part[row] for part in parts])
        corners = _corners(boxes, told.boxes or BOXES[layout])
        keep = np.flatnonzero(scores >= max(told.score, 0.0))
        keep = keep[np.argsort(-scores[keep], kind="stable")][:CONSIDERED]
        corners, scores, classes = corners[keep], scores[keep], classes[keep]
        if layout in ("yolo", "yolov5", "ssd"):
            first = without_overlapping(corners, classes, told.nms, KEPT)
        else:
            first = np.arange(min(len(keep), KEPT))
        found[row, : len(first), :4] = corners[first]
        found[row, : len(first), 4], found[row, : len(first), 5] = scores[first], classes[first]
    return found


def detecting(outputs: tuple[str, ...], scored: str, layout: Layout | None) -> tuple[str, ...]:
    """The outputs that detections are made of."""
    if layout in ("ssd", "ssd-nms"):
        return tuple(name for name in outputs if _role(name))
    return (scored,)


def _role(name: str) -> str:
    """`box`, `class` or `score`, by the name; empty where that says nothing."""
    return next((role for role, parts in NAMES.items() if any(part in name.lower() for part in parts)), "")


def _parts(outputs: Mapping[str, Array], scored: str, layout: Layout, axis: Axis | None) -> list[Array]:
    """The outputs that the layout is made of: one, or boxes, scores and classes. There are more boxes than numbers of each,
    unless `axis` says where these are."""
    if layout in ("yolo", "yolov5", "nms"):
        one = outputs[scored]
        one = one[:, 0] if one.ndim == 4 and one.shape[1] == 1 else one
        if one.ndim != 3 or (one.shape[2] != COORDINATES + 2 if layout == "nms" else min(one.shape[1:]) <= COORDINATES):
            wanted = "[examples, most, 6]" if layout == "nms" else "[examples, 4 + classes, boxes], or its transpose"
            raise _wrong(layout, {scored: one}, f"output {scored!r} as {wanted}")
        last = axis == "last" if axis is not None else one.shape[2] < one.shape[1]
        return [one if layout == "nms" or last else one.swapaxes(1, 2)]
    roles = ("box", "score") if layout == "ssd" else ("box", "score", "class")
    found = []
    for role in roles:
        names = [name for name in outputs if _role(name) == role]
        if len(names) != 1:
            raise _wrong(layout, outputs, f"one output each with {', '.join(roles)} in its name")
        found.append(outputs[names[0]])
    boxes = found[0] = found[0][:, :, 0] if found[0].ndim == 4 and found[0].shape[2] == 1 else found[0]
    right = boxes.ndim == 3 and boxes.shape[2] == COORDINATES and all(part.shape[:2] == boxes.shape[:2] for part in found)
    if not right or any(part.ndim != (3 if layout == "ssd" else 2) for part in found[1:]):
        form = (
            "[examples, boxes, classes], the first of them the background" if layout == "ssd" else "and classes [examples, boxes]"
        )
        raise _wrong(layout, outputs, f"boxes [examples, boxes, 4], scores {form}")
    return found


def _wrong(layout: Layout, outputs: Mapping[str, Array], wanted: str) -> DataError:
    listed = ", ".join(f"{name} {list(value.shape)}" for name, value in outputs.items())
    return DataError(
        f"layout {layout!r} takes {wanted}; found {listed}", "--metric-option layout=... names another, --output another output"
    )


def _of_one(layout: Layout, parts: list[Array]) -> tuple[Floats, Floats, Floats]:
    """Boxes, scores and classes of one example. A box is a detection of each class."""
    first = np.asarray(parts[0], np.float64)
    if layout == "nms":
        return first[:, :4], first[:, 4], first[:, 5]
    if layout == "ssd-nms":
        return first, np.asarray(parts[1], np.float64), np.asarray(parts[2], np.float64)
    if layout == "yolo":
        boxes, scores = first[:, :4], first[:, 4:]
    elif layout == "yolov5":
        boxes, scores = first[:, :4], first[:, 4:5] * first[:, 5:]
    else:
        boxes, scores = first, np.asarray(parts[1], np.float64)[:, 1:]
    count, classes = scores.shape
    return np.repeat(boxes, classes, axis=0), scores.reshape(-1), np.tile(np.arange(classes, dtype=np.float64), count)


def _corners(boxes: Floats, form: Corners) -> Floats:
    """As x1, y1, x2, y2."""
    if form == "cxcywh":
        half = boxes[:, 2:] / 2
        return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)
    return boxes if form == "xyxy" else boxes[:, [1, 0, 3, 2]]


def overlaps(one: Array, other: Array) -> Floats:
    """Intersection over union of each box with each other, shape [one, other]; 0 of two boxes without area."""
    a, b = (np.asarray(side, np.float64) for side in (one, other))
    sides = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    inside = np.maximum(sides, 0).prod(axis=2)
    areas = [np.maximum(side[:, 2:] - side[:, :2], 0).prod(axis=1) for side in (a, b)]
    union = areas[0][:, None] + areas[1][None] - inside
    return np.asarray(np.divide(inside, union, out=np.zeros_like(inside), where=union > 0))


def without_overlapping(corners: Floats, classes: Floats, most_shared: float, most: int) -> Array:
    """Indexes of the boxes that stay, by falling score: each that overlaps no better one of its class by more than `most_shared`.

    Args:
        corners: by falling score. most: so many at most.
    """
    left, kept = np.arange(len(corners)), list[int]()
    while len(left) and len(kept) < most:
        first, left = left[0], left[1:]
        kept.append(int(first))
        rivals = overlaps(corners[first][None], corners[left])[0] > most_shared
        left = left[~(rivals & (classes[left] == classes[first]))]
    return np.array(kept, np.int64)
