"""How near each answer is to the given model's where there are no labels, from 0 to 1, by what the answers are."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from strop.core.classes import flat
from strop.core.errors import ConfigError
from strop.core.resampled import Array, Floats
from strop.core.scorers.boxes import overlaps
from strop.core.scorers.segmentation import classes_at
from strop.core.scorers.sequences import decoded, same
from strop.core.scorers.told import Told

OVERLAP = 0.5
"""Boxes that share so much of their union (IoU) are the same."""
SURE = "0.25"
"""Below this score a detection says nothing, unless the user names another."""


def texts(outputs: Array, baseline: Array, told: Told) -> Floats:
    """1 where the decoded sequence is the baseline's, else 0."""
    return same(decoded(outputs, told), decoded(baseline, told)).astype(np.float64)


def places(outputs: Array, baseline: Array, told: Told) -> Floats:
    """Share of the places of each example with the baseline's class.

    Raises:
        ConfigError: nothing says which axis holds the scores of classes.
    """
    axis = _class_axis(baseline, told)
    found = np.empty(len(baseline))
    for row in range(len(baseline)):
        mine, theirs = (classes_at(side[row : row + 1], axis, told) for side in (outputs, baseline))
        found[row] = (mine == theirs).mean()
    return found


def masks(outputs: Array, baseline: Array, told: Told) -> Floats:
    """IoU of the places above the threshold with the baseline's; 1 where neither has any."""
    cut = told.threshold or 0.0
    mine, theirs = flat(outputs) > cut, flat(baseline) > cut
    both, either = (mine & theirs).sum(axis=1), (mine | theirs).sum(axis=1)
    return np.where(either > 0, both / np.maximum(either, 1), 1.0)


def boxes(outputs: Array, baseline: Array, _: Told) -> Floats:
    """Of each example twice the matched boxes over all boxes of both sides (F1); 1 where neither has any.

    Each box, by falling score, is matched to the free one of its class in the baseline that it overlaps most, if they share half.

    Args:
        outputs, baseline: detections, as `core/scorers/boxes.py` makes them.
    """
    found = np.ones(len(baseline))
    for row in range(len(baseline)):
        mine, theirs = (side[row][side[row, :, 4] >= 0] for side in (outputs, baseline))
        if not len(mine) + len(theirs):
            continue
        shared = np.where(mine[:, None, 5] == theirs[None, :, 5], overlaps(mine[:, :4], theirs[:, :4]), 0.0)
        matched = 0
        for at in range(len(mine) if len(theirs) else 0):
            best = int(shared[at].argmax())
            if shared[at, best] >= OVERLAP:
                matched += 1
                shared[:, best] = 0
        found[row] = 2 * matched / (len(mine) + len(theirs))
    return found


def _class_axis(baseline: Array, told: Told) -> int | None:
    """The axis that holds the scores of classes; None where each place has one value."""
    if baseline.dtype.kind in "iub" or baseline.ndim < 3:
        return None
    if 1 in (baseline.shape[1], baseline.shape[-1]):
        return None
    if told.axis is None:
        raise ConfigError(
            f"metric 'place_agreement': the classes of outputs {list(baseline.shape)} may be on axis 1 or on the last",
            "say where they are, after the examples: --metric-option axis=first (or last)",
        )
    return 1 if told.axis == "first" else baseline.ndim - 1


class Alike(NamedTuple):
    """A metric without labels: the function, and the options of `Told` that it reads."""

    near: Callable[[Array, Array, Told], Floats]
    options: tuple[str, ...]


DETECTED = ("layout", "boxes", "axis", "score", "nms")
ALIKE: Mapping[str, Alike] = {
    "place_agreement": Alike(places, ("axis", "threshold")),
    "mask_iou": Alike(masks, ("threshold",)),
    "text_agreement": Alike(texts, ("blank", "end")),
    "box_agreement": Alike(boxes, DETECTED),
}
KINDS: Mapping[str, str] = {
    "classes": "agreement", "places": "place_agreement", "masks": "mask_iou", "texts": "text_agreement", "boxes": "box_agreement",
    "embeddings": "cosine", "numbers": "difference",
}  # fmt: skip
"""What the user says that an output holds → the metric without labels."""
