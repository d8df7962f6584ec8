"""What is scored: a check's output shards as the task reads them, and the labels that they are held against."""

import math
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from strop.core.channels import Apart, worst
from strop.core.classes import cut_of, holds_classes, width
from strop.core.divergence import divergences
from strop.core.metrics import (
    IGNORED,
    UNLABELED,
    Accuracy,
    Array,
    agreement,
    mean_interval,
    nearness,
    score,
    share,
    student,
    tokens,
    told_of,
)
from strop.core.resampled import mean
from strop.core.scorers import DETECTION
from strop.core.scorers.boxes import detecting, detections
from strop.core.statistics import bootstrap_ratio, paired_proportion_ratio
from strop.core.task import Dataset, Task
from strop.core.verdict import EXACTLY_NONE, Interval
from strop.plan.unlabeled import EMBEDDINGS
from strop.run.checking import SCORES, open_array, shards
from strop.run.export import CLASSES
from strop.run.family import family_of
from strop_child.preprocess import embeddings, normalized

OF_CLASSES = ("top1", "binary", "f1", "roc_auc", "agreement")
"""Metrics that read one number per example as two classes."""
OF_TOKENS = ("token_accuracy", "token_f1")


def scored_array(folder: Path, task: Task, longer: int = 0) -> Array:
    """The values of one check: the scorer's, or what the task's family scores.

    Args:
        folder: the check's. longer: further looks that count too.
    Returns:
        Shape [examples, …], or [pairs] for pairs of texts that have labels.
    """
    return open_array(folder / SCORES) if task.scorer is not None else family_of(task).scored(folder, task, longer)


def of_output(folder: Path, task: Task) -> Array:
    """The scored output of one check: the cosine of each pair of texts, embeddings, or the output as it is."""
    if task.metric in DETECTION:
        return detected(folder, tuple(task.metric_options.items()), task.output, task.metric)
    output = open_array(shards(folder)[task.output])
    if task.kind not in EMBEDDINGS:
        return output
    vectors = embeddings(output, mask_of(task), task.pooling)
    if task.evaluation.group == 1 or task.evaluation.labels is None:
        return vectors
    unit = normalized(vectors)
    return np.asarray((unit[0::2] * unit[1::2]).sum(axis=1))


@lru_cache(maxsize=16)
def detected(folder: Path, options: tuple[tuple[str, str], ...], scored: str, metric: str) -> Array:
    """Detections of one check, see `boxes.detections`; kept, since several stages ask for them."""
    outputs = {name: open_array(path) for name, path in shards(folder).items()}
    return detections(outputs, scored, told_of(metric, dict(options)))


def scored_outputs(names: tuple[str, ...], task: Task) -> tuple[str, ...]:
    """The outputs that the metric reads."""
    if task.metric not in DETECTION:
        return (task.output,)
    return detecting(names, task.output, told_of(task.metric, task.metric_options).layout)


def mask_of(task: Task) -> Array | None:
    """Which tokens of the evaluation data are real, shape [examples, length]; None where nothing says so."""
    inputs: dict[str, str] = getattr(task.preprocess, "inputs", {}) if task.preprocess is not None else {}
    names = [n for n, what in inputs.items() if what == "mask"] if isinstance(inputs, dict) else []
    name = next((n for n in [*names, "attention_mask"] if n in task.evaluation.inputs), None)
    return None if name is None else open_array(Path(task.evaluation.folder) / task.evaluation.inputs[name])


def two_named(task: Task) -> bool:
    """Whether names of two classes are known."""
    path = task.ships.get(CLASSES)
    return path is not None and len(Path(path).read_text(encoding="utf-8").splitlines()) == 2


def cut_for(baseline: Path, task: Task) -> float | None:
    """Where class 1 begins, of a classifier whose scored output is one number per example; None for others."""
    if task.kind != "classification" or not (task.metric in OF_CLASSES or two_named(task)):
        return None
    values = open_array(shards(baseline)[task.output])
    threshold = told_of(task.metric, task.metric_options).threshold
    if threshold is not None and width(values) == 1:
        return threshold
    return cut_of(values) if width(values) == 1 and not holds_classes(values) else None


def labels_of(data: Dataset) -> Array | None:
    """The labels of a data set, loaded."""
    return None if data.labels is None else np.load(Path(data.folder) / data.labels, allow_pickle=False)


def apart(mine: Path, theirs: Path) -> Apart:
    """How far all outputs of one check are from the given model's."""
    got = shards(mine)
    return worst(*({name: open_array(files[name]) for name in shards(theirs)} for files in (got, shards(theirs))))


def unlabeled_quality(mine: Path, theirs: Path, task: Task) -> dict[str, Interval]:
    """Without labels: agreement and largest difference, whichever of them is not the metric already.

    Agreement only where the scored output has one value for each class, if these are classes, or a class by itself.
    """
    if task.metric not in ("agreement", "difference"):
        return {}
    values = open_array(shards(theirs)[task.output])
    if task.metric == "agreement":
        return {"difference": EXACTLY_NONE if mine == theirs else apart(mine, theirs).figure}
    scores = values.ndim > 1 and width(values) == values.shape[1] > 1
    if not scores and not holds_classes(values):
        return {}
    return {"agreement": share(agreement(open_array(shards(mine)[task.output]), values))}


def closeness(mine: Path, theirs: Path, task: Task) -> dict[str, Interval]:
    """How far the answers are from the given model's, which a metric may be blind to, and what `unlabeled_quality` says.

    Of scores of classes it is the divergence; of anything else, and of a model with several outputs, the largest difference over
    all outputs, unless that is the metric. Nothing where inputs were generated.
    """
    found = unlabeled_quality(mine, theirs, task)
    if task.metric in ("unmeasured", "difference"):
        return found
    if len(shards(theirs)) > 1 and "difference" not in found:
        found |= {"difference": EXACTLY_NONE if mine == theirs else difference_of(mine, theirs, task).figure}
    each = divergence_of(mine, theirs, task)
    if each is not None:
        return found | {"divergence": EXACTLY_NONE if mine == theirs else mean_divergence(each)}
    if "difference" in found:
        return found
    return found | {"difference": EXACTLY_NONE if mine == theirs else difference_of(mine, theirs, task).figure}


def divergence_of(mine: Path, theirs: Path, task: Task) -> NDArray[np.float64] | None:
    """Divergence of the class probabilities of each example, nats, of tokens their mean; None where there are no classes."""
    if task.metric not in (*OF_CLASSES, *OF_TOKENS, "topk"):
        return None
    outputs, baseline = (open_array(shards(folder)[task.output]) for folder in (mine, theirs))
    if task.metric in OF_TOKENS:
        labels = labels_of(task.evaluation)
        assert labels is not None
        return _of_tokens(outputs, baseline, labels)
    return divergences(outputs, baseline)


def mean_divergence(each: NDArray[np.float64]) -> Interval:
    """Over examples, nats; of a single one nothing is claimed."""
    found = mean_interval(each[:, None])
    return found if len(each) > 1 else found.model_copy(update={"low": 0.0, "high": math.inf})


def _of_tokens(outputs: Array, baseline: Array, labels: Array) -> NDArray[np.float64] | None:
    """The mean over the tokens of each example that count; examples without one are left out."""
    counted = labels != IGNORED
    each = divergences(tokens(outputs, labels)[0], tokens(baseline, labels)[0])
    if each is None or not len(each):
        return None
    of, lengths = np.repeat(np.arange(len(labels)), counted.sum(axis=1)), counted.sum(axis=1)
    return np.asarray((np.bincount(of, each, len(labels))[lengths > 0]) / lengths[lengths > 0])


def difference_of(mine: Path, theirs: Path, task: Task) -> Apart:
    """The largest difference of all outputs; of texts that of their embeddings, since what pads them says nothing."""
    if task.kind not in EMBEDDINGS:
        return apart(mine, theirs)
    got, wanted = (embeddings(open_array(shards(folder)[task.output]), mask_of(task), task.pooling) for folder in (mine, theirs))
    return worst({task.output: got}, {task.output: wanted})


def difference(mine: Path, theirs: Path) -> Accuracy:
    """The largest difference of all outputs; what is retained is the rest up to 1."""
    found = apart(mine, theirs)
    low, value, high = (min(1.0, max(0.0, 1 - x)) for x in (found.figure.high, found.figure.value, found.figure.low))
    return Accuracy(found.figure.value, Interval(value=value, low=low, high=high), found.where, found.figure)


def accuracy(mine: Path, theirs: Path, task: Task, longer: int = 0) -> Accuracy:
    """Metric and retained share of one check over the baseline's; both are folders of checks."""
    if task.metric == "difference":
        return difference(mine, theirs)
    values, baseline = scored_array(mine, task, longer), scored_array(theirs, task, longer)
    labels = np.zeros(len(values)) if task.scorer is not None else labels_of(task.evaluation)
    return score(task.metric, values, baseline, labels, task.k, told_of(task.metric, task.metric_options))


def advantage(mine: Path, theirs: Path, baseline: Path, task: Task) -> dict[str, Interval]:
    """How much better one candidate's answers are than another's, example by example; 0 is no difference.

    Ratios are given less 1, differences as they are; each is positive where `mine` is better.

    Args:
        mine, theirs, baseline: folders of checks over the same evaluation data.
    """
    if task.metric == "unmeasured":
        return {}
    if task.metric in UNLABELED:
        found: Interval | None = _nearer(task, *(scored_array(folder, task) for folder in (mine, theirs, baseline)))
    else:
        found = accuracy(mine, theirs, task).retained
    better = {"accuracy_retained": shifted(found)} if found is not None else {}
    return better | family_of(task).advantage(mine, theirs, baseline, task)


def nearer_by_divergence(mine: Path, theirs: Path, baseline: Path, task: Task) -> dict[str, Interval]:
    """By how much less one candidate's probabilities are from the baseline's than another's, nats."""
    one, other = (divergence_of(folder, baseline, task) for folder in (mine, theirs))
    return {"divergence": student(other - one)} if one is not None and other is not None else {}


def _nearer(task: Task, mine: Array, theirs: Array, baseline: Array) -> Interval:
    """Mean agreement (or cosine) with the baseline over the other's, paired by example."""
    told = told_of(task.metric, task.metric_options)
    one, other = (nearness(task.metric, side, baseline, told) for side in (mine, theirs))
    if all(np.isin(values, (0, 1)).all() for values in (one, other)):
        return paired_proportion_ratio(one == 1, other == 1)
    return bootstrap_ratio(lambda drawn: (mean(one, drawn), mean(other, drawn)), len(one))


def shifted(ratio: Interval) -> Interval:
    """A ratio as a difference: 0 where it is 1."""
    return ratio.model_copy(update={"value": ratio.value - 1, "low": ratio.low - 1, "high": ratio.high - 1})
