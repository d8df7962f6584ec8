"""What a language model's answers are worth: perplexity, divergence from the given model's distributions, questions answered."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from strop.core.metrics import Array, answered, mean_interval, perplexity_error, perplexity_interval, share, student
from strop.core.statistics import paired_proportion_ratio
from strop.core.task import Task
from strop.core.verdict import EXACTLY_NONE, EXACTLY_ONE, Interval, exactly
from strop.run.answers import shifted
from strop.run.checking import check_name, open_array, shards


def looks(folder: Path, longer: int, name: str) -> Array:
    """An output of a check and of its further looks, one after another."""
    folders = [folder, *(folder.with_name(check_name(look)) for look in range(1, longer + 1))]
    found = [open_array(shards(f)[name]) for f in folders]
    return found[0] if len(found) == 1 else np.concatenate(found)


def language_quality(mine: Path, theirs: Path, task: Task, longer: int = 0) -> dict[str, Interval]:
    """Perplexity and its standard error; how far the distributions are from the given model's, and how often the tops are alike.

    Args:
        mine, theirs: folders of checks; the baseline's own is both. longer: further looks that count too.
    """
    losses, quality = looks(mine, longer, "nll"), task_quality(mine, theirs, task)
    error = perplexity_error(losses)
    if error is None:
        return quality  # a single window says nothing of the spread: no gate may pass or fail by it
    quality |= {"perplexity": perplexity_interval(losses), "perplexity_se": exactly(error)}
    if "kl" not in shards(mine):
        return quality | {"kl": EXACTLY_NONE, "kl_p99": EXACTLY_NONE, "same_top": EXACTLY_ONE}
    divergence, alike = looks(mine, longer, "kl"), looks(mine, longer, "same_top")
    worst = exactly(float(np.percentile(divergence, 99)))
    return quality | {"kl": mean_interval(divergence), "kl_p99": worst, "same_top": mean_interval(alike, most=1)}


def task_quality(mine: Path, theirs: Path, task: Task) -> dict[str, Interval]:
    """Share of the questions answered rightly, and of the baseline's, if that answers any; empty where none were asked."""
    if task.language is None or not task.language.questions:
        return {}
    right, before = right_answers(mine, task), right_answers(theirs, task)
    if not before.any():
        return {"task_accuracy": share(right)}
    retained = EXACTLY_ONE if mine == theirs else paired_proportion_ratio(right, before)
    return {"task_accuracy": share(right), "task_retained": retained}


def right_answers(folder: Path, task: Task) -> NDArray[np.bool_]:
    """Whether each question is answered rightly in this check."""
    found = shards(folder)
    return answered(open_array(found["likelihood"]), open_array(found["greedy"]), question_rows(task))


def question_rows(task: Task) -> Array:
    """What may follow each question, as `answered` takes it."""
    return open_array(Path(task.evaluation.folder) / task.evaluation.inputs["question_rows"])


def advantage(mine: Path, theirs: Path, task: Task) -> dict[str, Interval]:
    """How much better one candidate's answers are than another's, window by window, and question by question."""
    better = dict[str, Interval]()
    if task.language is not None and task.language.questions:
        better["task_retained"] = shifted(paired_proportion_ratio(right_answers(mine, task), right_answers(theirs, task)))
    for name, sign in (("kl", -1.0), ("same_top", 1.0)):
        if name in shards(mine) and name in shards(theirs):
            difference = looks(mine, 0, name).mean(axis=1) - looks(theirs, 0, name).mean(axis=1)
            better[name] = student(sign * np.asarray(difference, np.float64))
    return better
