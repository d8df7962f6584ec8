"""Scorers against reference implementations (`tests/data/make_scorers.py`); what is retained; what does not fit."""

import json
from pathlib import Path

import numpy as np
import pytest

from strop.core import metrics as m
from strop.core.errors import ConfigError, DataError
from strop.core.scorers import READY, sequences
from strop.core.scorers.boxes import detections, overlaps
from strop.core.scorers.told import EXAMPLES, PARSERS, Told, told
from strop_child.labels import label_of, save_labels

from . import scored

KNOWN = json.loads((Path(__file__).parent.parent / "data" / "scorers.json").read_text())
SPACE = Told(separator=1)


def ctc(seed):
    guess, truth = scored.sequences(seed)
    return scored.as_ctc(guess, seed), scored.padded(truth)


CASES = {
    "rmse": (scored.regression, Told()),
    "r2": (scored.regression, Told()),
    "pinball": (scored.quantiles, Told(quantiles=scored.LEVELS)),
    "binary": (scored.binary, Told(threshold=0.4)),
    "multilabel_f1 macro": (scored.multilabel, Told()),
    "multilabel_f1 micro": (scored.multilabel, Told(average="micro")),
    "miou": (scored.masks, Told()),
    "ctc_exact": (ctc, SPACE),
    "cer": (ctc, SPACE),
    "wer": (ctc, SPACE),
    "map50": (scored.boxes, Told()),
    "map50_95": (scored.boxes, Told()),
}


@pytest.mark.parametrize("seed", scored.SEEDS)
@pytest.mark.parametrize("case", CASES)
def test_a_figure_is_the_reference_implementations(case, seed):
    make, options = CASES[case]
    outputs, labels = make(seed)
    found = m.score(case.split()[0], outputs, outputs, labels, told=options)
    assert found.value == pytest.approx(KNOWN[str(seed)][case], abs=1e-9)
    assert found.retained.value == pytest.approx(1.0)
    assert found.retained.low < 1 < found.retained.high


@pytest.mark.parametrize("case", CASES)
def test_figures_of_draws_are_those_of_the_drawn_examples(case):
    """Each draw of the bootstrap is what scoring the drawn examples would give."""
    make, options = CASES[case]
    outputs, labels = make(0)
    if case.startswith("map"):  # of equal scores the order decides
        outputs[..., 4] += (outputs[..., 4] >= 0) * np.random.RandomState(2).rand(*outputs.shape[:2]) * 1e-3
    chosen = m.metric(case.split()[0], cut=0.5, told=options)
    counts = np.random.RandomState(1).multinomial(len(labels), np.full(len(labels), 1 / len(labels)), size=4)
    expected = m.one_by_one(chosen)(outputs, labels, counts)
    np.testing.assert_allclose(chosen.figures(outputs, labels)(counts), expected, atol=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_a_working_model_beats_chance_and_shuffled_labels_do_not(case):
    make, options = CASES[case]
    outputs, labels = make(0)
    if case == "r2":
        labels = labels[:, :2]
        outputs = outputs[:, :2]
    name = case.split()[0]
    assert m.better_than_chance(name, outputs, labels, told=options)[0]
    order = np.random.RandomState(5).permutation(len(labels))
    assert not m.better_than_chance(name, outputs, labels[order], told=options)[0]


def test_what_is_retained():
    labels = np.arange(20.0)
    better, worse = labels + 1, labels + 2
    assert m.score("rmse", worse, better, labels).retained.value == pytest.approx(0.5)
    assert m.score("r2", better, better, labels).retained.value == pytest.approx(1)
    truth = np.array([[1, 2, 3, 4]] * 20)
    half = np.where(np.arange(20)[:, None] < 10, truth, [1, 2, 9, 9])
    found = m.score("cer", half, truth, truth)
    assert (found.value, found.retained.value) == (0.25, pytest.approx(0.75))  # 75 % of the characters are kept
    assert m.score("ctc_exact", half, truth, truth).retained.value == pytest.approx(0.5)


def test_labels_of_several_classes_are_truth_values_or_numbers():
    outputs = np.array([[0.9, 0.1, 0.8], [0.2, 0.7, 0.1], [0.1, 0.1, 0.1]])
    for labels in ([[1, 0, 1], [0, 1, 0], [0, 0, 0]], [[0, 2, -1], [1, -1, -1], [-1, -1, -1]]):
        assert m.score("multilabel_f1", outputs, outputs, np.array(labels)).value == 1.0
    with pytest.raises(DataError, match="from 0 to 3 for 3 classes"):
        m.score("multilabel_f1", outputs, outputs, np.array([[3, 0, 0]] * 3))


def test_scores_as_whole_numbers_need_a_threshold():
    """A fully quantized model gives 0 to 255, which are no classes."""
    outputs, labels = np.array([[10], [200], [140], [90]], np.uint8), np.array([0, 1, 1, 0])
    for name, truth in (("binary", labels), ("multilabel_f1", labels[:, None])):
        with pytest.raises(DataError, match="whole numbers up to 200"):
            m.score(name, outputs, outputs, truth)
        assert m.score(name, outputs, outputs, truth, told=Told(threshold=128)).value == 1.0
    for truth in (labels, 2 * labels - 1):
        assert m.score("binary", labels[:, None], labels[:, None], truth).value == 1.0
    with pytest.raises(DataError, match="from 0 to 2"):
        m.score("binary", labels[:, None], labels[:, None], 2 * labels)


def test_masks_of_one_score_a_place_and_of_classes():
    labels = np.random.RandomState(0).randint(0, 2, (6, 4, 5))
    for outputs in (labels[:, None] * 8.0 - 4, labels[:, None] * 0.8 + 0.1, labels, np.eye(2)[labels]):
        assert m.score("miou", outputs, outputs, labels).value == 1.0
    with pytest.raises(DataError, match="axis 1 or on the last"):
        m.score("miou", np.zeros((6, 4, 4, 4)), np.zeros((6, 4, 4, 4)), labels[..., :4])
    with pytest.raises(DataError, match=r"labels \[6, 4, 5\] for outputs \[6, 2, 8, 8\]"):
        m.score("miou", np.zeros((6, 2, 8, 8)), np.zeros((6, 2, 8, 8)), labels)


def test_ctc_joins_repeats_and_drops_blanks():
    path = np.array([[1, 1, 0, 1, 2, 2, 0, 0, 3]])
    assert sequences.decoded(np.eye(4)[path], Told()).tolist() == [[1, 1, 2, 3]]
    assert sequences.decoded(np.eye(4)[path], Told(blank=3)).tolist() == [[1, 0, 1, 2, 0]]
    assert sequences.decoded(np.array([[5, 6, 2, 7]]), Told(end=2)).tolist() == [[5, 6]]


def test_labels_that_hold_the_blank_are_refused():
    scores = np.eye(4, dtype=np.float32)[np.array([[0, 1, 3]])]
    with pytest.raises(DataError) as caught:
        m.score("cer", scores, scores, np.array([[0, 1]]))
    assert "blank=3" in caught.value.hint
    assert m.score("cer", scores, scores, np.array([[0, 1]]), told=Told(blank=3)).value == 0.0


def test_quantiles_and_word_separators_must_be_told():
    with pytest.raises(ConfigError, match="level of each column"):
        m.score("pinball", np.zeros((3, 2)), np.zeros((3, 2)), np.zeros(3))
    with pytest.raises(ConfigError, match="separates words"):
        m.score("wer", np.ones((3, 2), int), np.ones((3, 2), int), np.ones((3, 2), int))
    with pytest.raises(DataError, match="first axis after the examples or on the last"):
        m.score("pinball", np.zeros((3, 2, 2)), np.zeros((3, 2, 2)), np.zeros((3, 2)), told=Told(quantiles=(0.1, 0.9)))


def test_options_are_read_and_refused():
    assert told({"quantiles": "0.1, 0.9", "separator": "none"}) == Told(quantiles=(0.1, 0.9), separator=-1)
    assert set(PARSERS) == set(EXAMPLES) == set(Told._fields)
    for name, text in EXAMPLES.items():
        told({name: text})
    assert {option for ready in READY.values() for option in ready.options} == set(Told._fields)
    with pytest.raises(ConfigError, match="'rmse' has no option 'threshold'"):
        m.told_of("rmse", {"threshold": "0.5"})
    for name, option in m.NEEDED.items():
        with pytest.raises(ConfigError, match=f"needs its option '{option}'"):
            m.told_of(name, {})
    for name, text in (("threshold", "nan"), ("layout", "yolo9000"), ("quantiles", "1.5"), ("blank", "-1"), ("nms", "2")):
        with pytest.raises(ConfigError, match="expected"):
            told({name: text})


BOX = [[10.0, 20.0, 30.0, 60.0], [50.0, 50.0, 60.0, 60.0]]
CENTERS = [[20.0, 40.0, 20.0, 40.0], [55.0, 55.0, 10.0, 10.0]]
SCORES = [[0.1, 0.9], [0.8, 0.2]]
FOUND = [[*BOX[0], 0.9, 1.0], [*BOX[1], 0.8, 0.0], [*BOX[1], 0.2, 1.0], [*BOX[0], 0.1, 0.0]]


def layouts():
    yolo = np.concatenate([CENTERS, SCORES], axis=1)
    yolo = np.concatenate([yolo, np.zeros((10, 6))])[None]
    v5 = np.concatenate([yolo[..., :4], np.full((1, 12, 1), 0.5), 2 * yolo[..., 4:]], axis=2)
    flipped = np.array(BOX)[:, [1, 0, 3, 2]][None]
    ready = np.array(FOUND)[None]
    return {
        "yolo": (Told(layout="yolo"), {"o": yolo}),
        "yolo transposed": (Told(layout="yolo"), {"o": yolo.swapaxes(1, 2)}),
        "yolov5": (Told(layout="yolov5"), {"o": v5}),
        "nms": (Told(layout="nms"), {"o": ready}),
        "ssd": (Told(layout="ssd", boxes="yxyx"), {"boxes": flipped, "scores": np.insert(SCORES, 0, 0.5, axis=1)[None]}),
        "ssd-nms": (Told(layout="ssd-nms"), {
            "detection_scores": ready[..., 4], "detection_classes": ready[..., 5], "detection_boxes": ready[..., :4],
            "num": np.ones(1),
        }),
    }  # fmt: skip


@pytest.mark.parametrize("name", layouts())
def test_detections_of_each_layout(name):
    options, outputs = layouts()[name]
    found = detections(outputs, "o", options)[0]
    np.testing.assert_allclose(found[:4], FOUND)
    assert (found[4:, 4] == -1).all()


def test_the_weaker_of_overlapping_boxes_goes_if_of_one_class():
    row = [[50, 50, 20, 20, 0.9, 0.0], [51, 50, 20, 20, 0.8, 0.7], [10, 10, 5, 5, 0.5, 0.0], [0, 0, 0, 0, 0, 0]] + [[0] * 6] * 5
    found = detections({"o": np.array([row], float)}, "o", Told(layout="yolo"))[0]
    assert [(one[4], one[5]) for one in found if one[4] > 0] == [(0.9, 0), (0.7, 1), (0.5, 0)]


def test_boxes_without_area_overlap_nothing():
    assert overlaps(np.zeros((1, 4)), np.zeros((1, 4))).tolist() == [[0.0]]


def test_outputs_and_labels_that_are_no_boxes_are_refused():
    with pytest.raises(ConfigError, match="layout"):
        detections({"o": np.zeros((1, 9, 6))}, "o", Told())
    with pytest.raises(DataError, match=r"found o \[1, 9, 7\]"):
        detections({"o": np.zeros((1, 9, 7))}, "o", Told(layout="nms"))
    with pytest.raises(DataError, match="one output each with box, score in its name"):
        detections({"o": np.zeros((1, 9, 7))}, "o", Told(layout="ssd"))
    found, labels = scored.boxes(0)
    with pytest.raises(DataError, match="are no boxes"):
        m.score("map50", found, found, labels[..., :4])
    with pytest.raises(DataError, match="ends before it begins"):
        m.score("map50", found, found, labels[..., [0, 3, 4, 1, 2]])


def test_labels_of_tables(tmp_path):
    kept = [label_of(text, "boxes", []) for text in ("[[1, 0, 0, 5, 5], [0, 1, 1, 2, 2]]", "[]")]
    assert np.load(tmp_path / save_labels(kept, "boxes", str(tmp_path))).tolist()[1] == [[-1] * 5] * 2
    kept = [label_of(text, "several", ["cat", "dog"]) for text in ("dog;cat", "")]
    assert np.load(tmp_path / save_labels(kept, "several", str(tmp_path))).tolist() == [[1, 0, -1], [-1, -1, -1]]
    kept = [label_of(text, "sequences", []) for text in ("3 1 2", "4")]
    assert np.load(tmp_path / save_labels(kept, "sequences", str(tmp_path))).tolist() == [[3, 1, 2], [4, -1, -1]]
    with pytest.raises(ValueError, match="five numbers"):
        label_of("[[1, 2]]", "boxes", [])
