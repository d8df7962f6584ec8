"""Every metric against values worked out by hand; retained shares; what counts as better than chance."""

import numpy as np
import pytest

from strop.core import metrics as m
from strop.core.errors import ConfigError, DataError

OUTPUTS = np.array([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.2, 0.3, 0.5], [0.6, 0.3, 0.1]])
LABELS = np.array([1, 1, 2, 2])


def test_top1_and_topk():
    assert m.metric("top1").figure(OUTPUTS, LABELS) == 0.5
    assert m.metric("topk", k=2).figure(OUTPUTS, LABELS) == 0.75
    assert m.metric("topk", k=3).figure(OUTPUTS, LABELS) == 1.0


def test_any_accepted_alternative_counts_and_padding_never_does():
    labels = np.array([[1, -1], [1, 0], [0, -1], [-1, -1]])
    assert m.hits(OUTPUTS, labels, 1).tolist() == [True, True, False, False]


def test_whole_number_outputs_do_not_wrap_around():
    scores = np.array([[0, 5, 200]], np.uint8)
    assert m.hits(scores, np.array([2]), 1).all()
    assert not m.hits(scores, np.array([0]), 2).any()
    assert m.hits(np.array([[-128, 5]], np.int8), np.array([1]), 1).all()
    assert m.mae(np.array([[1]], np.uint8), np.array([3], np.uint8)) == 2.0


def test_f1_of_two_classes_is_that_of_class_one():
    outputs = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.6, 0.4]])
    assert m.f1(outputs, np.array([0, 1, 0, 1])) == pytest.approx(2 * 1 / (2 + 2))


def test_f1_of_a_single_output_reads_probabilities_and_logits():
    truth = np.array([0, 1, 1, 0])
    assert m.f1(np.array([[0.2], [0.9], [0.4], [0.1]]), truth) == pytest.approx(2 * 1 / (1 + 2))
    assert m.f1(np.array([[-2.0], [3.0], [0.4], [-1.0]]), truth) == 1.0


def test_f1_of_several_classes_is_their_mean():
    """guess 1 0 2 0, truth 1 1 2 2: class 0: 0/2, class 1: 2/3, class 2: 2/3."""
    assert m.f1(OUTPUTS, LABELS) == pytest.approx((0 + 2 / 3 + 2 / 3) / 3)


def test_roc_auc_counts_ties_half():
    outputs, labels = np.array([0.1, 0.5, 0.5, 0.9]), np.array([0, 0, 1, 1])
    assert m.roc_auc(outputs, labels) == pytest.approx((1 + 1 + 0.5 + 1) / 4)
    assert m.roc_auc(np.full(4, 0.5), labels) == 0.5
    assert m.roc_auc(outputs, np.zeros(4)) == 0.5


def test_roc_auc_of_two_columns_takes_the_second():
    two = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
    assert m.roc_auc(two, np.array([0, 1, 1])) == 1.0


def test_mae_and_spearman():
    assert m.mae(np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 1.0])) == pytest.approx(4 / 3)
    assert m.spearman(np.array([1.0, 2.0, 9.0]), np.array([10.0, 20.0, 21.0])) == pytest.approx(1.0)
    assert m.spearman(np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 1.0])) == pytest.approx(-0.5)
    assert m.spearman(np.ones(3), np.arange(3.0)) == 0.0


def test_agreement_is_the_same_class():
    assert m.agreement(OUTPUTS, OUTPUTS[[0, 0, 2, 3]]).tolist() == [True, False, True, True]
    assert m.agreement(np.array([1.0, 0.2, -9.0]), np.array([1.0, 2.0, 3.0])).tolist() == [True, True, False]
    assert m.agreement(np.array([3, 1, 2]), np.array([3, 2, 2])).tolist() == [True, False, True]


PROBABILITIES = np.array([[0.2], [0.9], [0.6], [0.1]])
TWO = np.array([0, 1, 1, 0])


@pytest.mark.parametrize("name", ["top1", "f1", "roc_auc"])
@pytest.mark.parametrize("labels", [TWO, 2 * TWO - 1], ids=["0 and 1", "-1 and 1"])
@pytest.mark.parametrize("shape", [(4, 1), (4,), (4, 1, 1)])
def test_one_number_per_example_tells_two_classes_apart(name, labels, shape):
    logits = np.log(PROBABILITIES / (1 - PROBABILITIES))
    for outputs in (PROBABILITIES, logits):
        assert m.score(name, outputs.reshape(shape), outputs.reshape(shape), labels).value == 1.0


def test_probability_or_logit_is_decided_by_the_baseline():
    """A candidate whose logits happen to lie between 0 and 1 is not read as probabilities, and the other way round."""
    logits = np.array([[-2.0], [3.0], [0.4], [-1.0]])
    assert m.score("top1", np.array([[0.0], [0.9], [0.4], [0.0]]), logits, TWO).value == 1.0
    assert m.score("top1", np.array([[0.2], [1.1], [0.6], [-0.1]]), PROBABILITIES, TWO).value == 1.0


def test_a_good_binary_classifier_is_better_than_chance():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 200)
    right = np.where(rng.random(200) < 0.95, labels, 1 - labels)
    assert m.better_than_chance("top1", np.where(right, 0.8, 0.3)[:, None], labels)[0]


def test_a_class_by_itself_is_right_or_wrong():
    truth = np.arange(200) % 10
    classes = np.where(np.arange(200) < 20, (truth + 1) % 10, truth)
    for outputs in (classes, classes[:, None], classes.astype(np.int32)):
        scored = m.score("top1", outputs, truth, truth)
        assert (scored.value, scored.retained.value) == (0.9, pytest.approx(0.9))
    assert m.better_than_chance("top1", classes, truth)[0]


@pytest.mark.parametrize(
    ("name", "outputs", "labels", "what"),
    [
        ("topk", np.arange(4), np.arange(4), "holds one class per example"),
        ("topk", OUTPUTS, LABELS, "k=5: the output holds 3"),
        ("top1", PROBABILITIES, np.array([0, 1, 2, 3]), "tells two classes apart; labels are 0, 1, 2, 3"),
        ("roc_auc", PROBABILITIES, np.array([1, 2, 1, 2]), "labels are 1, 2"),
    ],
)
def test_what_cannot_be_scored_as_classes_is_refused(name, outputs, labels, what):
    with pytest.raises(DataError, match=what) as refused:
        m.score(name, outputs, outputs, labels)
    assert refused.value.hint


def test_unknown_metric_is_refused():
    with pytest.raises(ConfigError, match="unknown metric 'top7'"):
        m.metric("top7")


def test_score_without_data_or_labels():
    assert m.score("unmeasured", OUTPUTS, OUTPUTS, None) == m.Accuracy(None, None)
    with pytest.raises(DataError, match="needs labels"):
        m.score("top1", OUTPUTS, OUTPUTS, None)
    agreed = m.score("agreement", OUTPUTS, OUTPUTS, None)
    assert agreed.value == 1.0
    assert agreed.retained.low < 1.0 == agreed.retained.high


@pytest.mark.parametrize("name", ["top1", "topk", "f1", "roc_auc", "mae", "spearman"])
def test_the_baseline_against_itself_retains_one(name):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 200)
    scores = np.where(rng.random(200) < 0.8, labels, 1 - labels) + rng.normal(0, 0.1, 200)
    outputs = scores[:, None] if name in ("mae", "spearman", "roc_auc") else np.stack([0.5 - scores, scores - 0.5], axis=1)
    retained = m.score(name, outputs, outputs, labels, k=1).retained
    assert retained.value == 1.0
    assert retained.low < 1.0 < retained.high


def test_a_smaller_error_retains_more_than_all():
    labels = np.arange(50.0)
    retained = m.score("mae", labels + 1.0, labels + 2.0, labels).retained
    assert retained.value == pytest.approx(2.0)


def skewed(rng, count=300):
    return (rng.random(count) < 0.1).astype(int)


def test_a_constant_answer_is_chance_however_often_right():
    labels = skewed(np.random.default_rng(1))
    constant = np.tile([1.0, 0.0], (len(labels), 1))
    for name in ("top1", "f1", "roc_auc"):
        assert not m.better_than_chance(name, constant, labels)[0]


def test_a_working_classifier_of_skewed_data_is_better_than_chance():
    """It is right less often than the constant answer, and still knows something."""
    rng = np.random.default_rng(2)
    labels = skewed(rng)
    guess = np.where(labels == 1, rng.random(300) < 0.9, rng.random(300) < 0.15).astype(int)
    better, chance = m.better_than_chance("top1", np.eye(2)[guess], labels)
    assert better
    assert np.mean(guess == labels) > chance


def test_good_predictors_are_better_than_chance_and_random_ones_not():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 4, 200)
    assert m.better_than_chance("top1", np.eye(4)[labels], labels)[0]
    assert not m.better_than_chance("top1", rng.random((200, 4)), labels)[0]
    numbers = rng.random(100)
    assert m.better_than_chance("mae", numbers + 0.1, numbers)[0]
    assert not m.better_than_chance("mae", np.full(100, 0.5), numbers)[0]
    assert not m.better_than_chance("spearman", -numbers, numbers)[0]


@pytest.mark.parametrize("name", ["token_accuracy", "token_f1", "f1", "top1"])
def test_what_a_metric_takes_of_the_outputs_gives_the_same_figure(name):
    rng = np.random.default_rng(0)
    outputs, labels = rng.random((20, 7, 5)), rng.integers(0, 5, (20, 7))
    labels[:, 5:] = m.IGNORED
    if not name.startswith("token"):
        outputs, labels = outputs[:, 0], labels[:, 0]
    chosen = m.metric(name)
    assert chosen.figure(chosen.reduced(outputs), labels) == chosen.figure(outputs, labels)


def test_two_dimensional_scores_are_no_classes_of_tokens():
    with pytest.raises(DataError):
        m.token_accuracy(np.ones((3, 4)), np.ones((3, 4), np.int64))
