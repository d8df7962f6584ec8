"""What is compared without labels by the kind of output: places, masks, texts, boxes; a dead or noisy answer is seen."""

import numpy as np
import pytest

from strop.core import metrics as m
from strop.core.errors import ConfigError
from strop.core.scorers.alike import ALIKE, KINDS
from strop.core.scorers.boxes import detections
from strop.core.scorers.told import Told

from . import scored

RNG = np.random.RandomState(0)
LAST = Told(axis="last")


def test_places_count_one_by_one():
    theirs = RNG.rand(10, 20, 6)
    mine = theirs.copy()
    mine[:, :5] = -mine[:, :5]
    assert m.score("place_agreement", theirs, theirs, None, told=LAST).value == 1.0
    assert m.score("place_agreement", mine, theirs, None, told=LAST).value == pytest.approx(0.75)
    with pytest.raises(ConfigError, match="axis 1 or on the last"):
        m.score("place_agreement", mine, theirs, None)


def test_masks_are_compared_by_their_overlap():
    theirs = np.full((8, 1, 4, 4), -3.0)
    theirs[:, :, :2] = 3
    mine = theirs.copy()
    mine[:, :, 0] = -3
    mine[0] = theirs[0] = -3  # empty on both sides
    assert m.score("mask_iou", mine, theirs, None).value == pytest.approx((1 + 7 * 0.5) / 8)


def test_a_good_text_recognizer_agrees_although_its_scores_differ():
    """96 % of the texts are equal; the classes of single steps say nothing of that."""
    rows = [[2, 3, 4, 2], [5, 5, 3], [7, 2]] * 33 + [[2, 2]]
    theirs, mine = scored.as_ctc(rows, 0), scored.as_ctc([[3, *row[1:]] if at < 4 else row for at, row in enumerate(rows)], 0)
    found = m.score("text_agreement", mine, theirs, None)
    assert found.value == pytest.approx(0.96)
    assert found.retained.low < 0.96 < found.retained.high


def test_a_detector_whose_scores_are_dead_agrees_in_nothing():
    theirs = np.zeros((12, 5, 64))
    theirs[:, :2], theirs[:, 2:4] = RNG.rand(12, 2, 64) * 300, 20
    theirs[:, 4, :3] = 0.9
    dead = theirs.copy()
    dead[:, 4] = 0
    told = m.told_of("box_agreement", {"layout": "yolo"})
    mine, base = (detections({"y": side}, "y", told) for side in (dead, theirs))
    assert m.score("box_agreement", base, base, None, told=told).value == 1.0
    assert m.score("box_agreement", mine, base, None, told=told).value == 0.0
    near = base.copy()
    near[..., :4] += (near[..., 4:5] >= 0) * 1.0
    assert m.score("box_agreement", near, base, None, told=told).value == 1.0
    far = base.copy()
    far[:, 0, :4] += 500
    assert 0.5 < m.score("box_agreement", far, base, None, told=told).value < 0.9


def test_every_kind_has_a_metric_without_labels():
    assert set(KINDS.values()) == set(m.UNLABELED)
    assert set(ALIKE) < set(KINDS.values())
