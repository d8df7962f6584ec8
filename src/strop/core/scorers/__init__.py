"""Metrics for answers other than classes: one file for each kind of answer, each metric one function.

A metric is a function `(outputs, labels, told) -> Drawn`. What it needs of each example is computed once; from that a `Drawn`
gives the figure of any number of draws of the examples. The figure itself is that of a draw with every example once.
"""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from strop.core.resampled import Array, Drawn
from strop.core.scorers import detection, numbers, segmentation, sequences, several
from strop.core.scorers.told import Told

Scorer = Callable[[Array, Array, Told], Drawn]
Kept = Literal["ratio", "inverse", "complement"]
"""How the retained share comes from the figures: candidate over baseline, baseline over candidate, or (1 − candidate) over
(1 − baseline), for an error rate."""


class Ready(NamedTuple):
    """A metric: its scorer, what is retained, what its labels are, and the options of `Told` that it reads.

    labels: `numbers`; `several` classes an example; `sequences` of classes; `masks`, a class for each place; `boxes`.
    costly: so slow that a permutation test takes fewer examples. per_example: whether each example is right, where the figure is
    the share of those that are.
    """

    scorer: Scorer
    kept: Kept
    labels: Literal["numbers", "several", "sequences", "masks", "boxes"]
    options: tuple[str, ...] = ()
    costly: bool = False
    per_example: Callable[[Array, Array, Told], NDArray[np.bool_]] | None = None


READY: Mapping[str, Ready] = {
    "rmse": Ready(numbers.rmse, "inverse", "numbers"),
    "r2": Ready(numbers.r2, "ratio", "numbers"),
    "pinball": Ready(numbers.pinball, "inverse", "numbers", ("quantiles", "axis")),
    "multilabel_f1": Ready(several.multilabel_f1, "ratio", "several", ("threshold", "average")),
    "miou": Ready(segmentation.miou, "ratio", "masks", ("threshold", "axis", "ignore"), costly=True),
    "ctc_exact": Ready(sequences.exact, "ratio", "sequences", ("blank", "end"), True, sequences.right),
    "cer": Ready(sequences.cer, "complement", "sequences", ("blank", "end"), costly=True),
    "wer": Ready(sequences.wer, "complement", "sequences", ("blank", "end", "separator"), costly=True),
    "map50": Ready(detection.map50, "ratio", "boxes", ("layout", "boxes", "axis", "score", "nms"), costly=True),
    "map50_95": Ready(detection.map50_95, "ratio", "boxes", ("layout", "boxes", "axis", "score", "nms"), costly=True),
}
DETECTION = ("map50", "map50_95", "box_agreement")
"""Metrics of detections, which are made of the outputs first."""


def once(drawn: Drawn, count: int) -> float:
    """The figure over every example."""
    return float(drawn(np.ones((1, count), np.int64))[0])
