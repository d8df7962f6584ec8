"""What is scored: a check's output shards as the task reads them, and the labels that they are held against."""

from pathlib import Path

import numpy as np

from strop.core.metrics import Accuracy, Array, mean_interval, perplexity_error, perplexity_interval, score
from strop.core.task import Dataset, Task
from strop.core.verdict import EXACTLY_NONE, EXACTLY_ONE, Interval, exactly
from strop.run.checking import SCORES, open_array, shards
from strop.worker.child.preprocess import embeddings, normalized


def scored_array(folder: Path, task: Task) -> Array:
    """The values of one check: the scorer's, the cosine of each pair of texts, embeddings, or the output as it is.

    Args:
        folder: the check's.
    Returns:
        Shape [examples, …], or [pairs] for pairs of texts that have labels.
    """
    if task.scorer is not None:
        return open_array(folder / SCORES)
    if task.language is not None:
        return open_array(shards(folder)["nll"])
    output = open_array(shards(folder)[task.output])
    if task.kind not in ("sentence-similarity", "feature-extraction"):
        return output
    vectors = embeddings(output, mask_of(task), task.pooling)
    if task.evaluation.group == 1 or task.evaluation.labels is None:
        return vectors
    unit = normalized(vectors)
    return np.asarray((unit[0::2] * unit[1::2]).sum(axis=1))


def mask_of(task: Task) -> Array | None:
    """Which tokens of the evaluation data are real, shape [examples, length]; None where nothing says so."""
    inputs: dict[str, str] = getattr(task.preprocess, "inputs", {}) if task.preprocess is not None else {}
    names = [n for n, what in inputs.items() if what == "mask"] if isinstance(inputs, dict) else []
    name = next((n for n in [*names, "attention_mask"] if n in task.evaluation.inputs), None)
    return None if name is None else open_array(Path(task.evaluation.folder) / task.evaluation.inputs[name])


def labels_of(data: Dataset) -> Array | None:
    """The labels of a data set, loaded."""
    return None if data.labels is None else np.load(Path(data.folder) / data.labels, allow_pickle=False)


def language_quality(mine: Path) -> dict[str, Interval]:
    """Perplexity and its standard error; how far the distributions are from the baseline's, and how often the tops are alike.

    A check without divergences is the one that the others' are taken from.
    """
    found = {name: open_array(file) for name, file in shards(mine).items()}
    error = perplexity_error(found["nll"])
    quality = {"perplexity": perplexity_interval(found["nll"])} | ({"perplexity_se": exactly(error)} if error is not None else {})
    if "kl" not in found:
        return quality | {"kl": EXACTLY_NONE, "kl_p99": EXACTLY_NONE, "same_top": EXACTLY_ONE}
    worst = exactly(float(np.percentile(found["kl"], 99)))
    return quality | {"kl": mean_interval(found["kl"]), "kl_p99": worst, "same_top": mean_interval(found["same_top"])}


def accuracy(mine: Path, theirs: Path, task: Task) -> Accuracy:
    """Metric and retained share of one check over the baseline's; both are folders of checks."""
    values, baseline = scored_array(mine, task), scored_array(theirs, task)
    labels = np.zeros(len(values)) if task.scorer is not None else labels_of(task.evaluation)
    return score(task.metric, values, baseline, labels, task.k)
