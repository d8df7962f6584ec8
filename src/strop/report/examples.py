"""Where baseline and candidate answer differently. Pure: arrays in, examples out."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from strop.core.classes import class_labels, cut_of, flat, holds_classes, predicted
from strop.core.difference import parts
from strop.core.metrics import Array
from strop.core.outcome import Outcome
from strop.core.scorers import READY
from strop.core.scorers.alike import ALIKE
from strop.report.evidence import Answer, Example, Examples
from strop.report.verdict import ordered

SHOWN = 12
NUMBERS = 3
"""How many values of a numeric answer are shown."""
NUMERIC = ("mae", "spearman", "pearson", "cosine", "scorer", "difference", *READY, *ALIKE)


def candidate_to_compare(outcome: Outcome) -> str | None:
    """The choice where it was changed by a step, else the fastest measured candidate that was.

    None for language models: what they write is set side by side instead.
    """
    if outcome.task.language is not None:
        return None
    changed = [r.name for r in ordered(outcome) if r.status == "measured" and r.candidate.recipe.steps]
    return changed[0] if changed and outcome.task.metric != "unmeasured" else None


def compare(
    name: str, baseline: Array, candidate: Array, labels: Array | None, metric: str, names: Mapping[str, str] | None = None
) -> Examples:
    """Examples on which the two differ, those first where only one of them is right.

    Args:
        name: the candidate's.
        baseline, candidate: outputs, shape [examples, …].
        labels: shape [examples] or [examples, alternatives] for classes, the outputs' shape for numbers; None without labels.
        metric: the task's, which says whether answers are classes or numbers.
        names: class → what it is called.

    Example:
        >>> compare("int8", np.eye(2), np.eye(2), np.array([0, 1]), "top1").differ
        0
    """
    if metric in NUMERIC:
        return _numbers(name, baseline, candidate, labels)
    known = class_labels(baseline, labels, metric, 1) if labels is not None else None
    return _classes(name, baseline, candidate, known, names or {})


def _classes(name: str, baseline: Array, candidate: Array, labels: Array | None, names: Mapping[str, str]) -> Examples:
    cut = cut_of(baseline)
    theirs, mine = predicted(baseline, cut), predicted(candidate, cut)
    right_before, right_now = _right(theirs, labels), _right(mine, labels)
    differ = np.flatnonzero(theirs != mine)
    lost, won = right_before & ~right_now, right_now & ~right_before
    order = sorted(differ.tolist(), key=lambda i: (not lost[i], not won[i], i))

    def answer(guess: Array, outputs: Array, right: NDArray[np.bool_], row: int) -> Answer:
        scores = flat(outputs[row : row + 1])[0]
        score = None if holds_classes(outputs) else float(scores[0] if len(scores) == 1 else scores[guess[row]])
        return Answer(text=_called(guess[row], names), score=score, right=bool(right[row]) if labels is not None else None)

    shown = tuple(
        Example(
            index=i,
            label=_label(labels, i, names),
            baseline=answer(theirs, baseline, right_before, i),
            candidate=answer(mine, candidate, right_now, i),
        )
        for i in order[:SHOWN]
    )
    return Examples(
        candidate=name, compared=len(theirs), differ=len(differ), lost=int(lost.sum()), won=int(won.sum()), shown=shown
    )


def _numbers(name: str, baseline: Array, candidate: Array, labels: Array | None) -> Examples:
    apart = np.concatenate([np.abs(flat(b) - flat(c)).mean(axis=1) for c, b in parts(candidate, baseline)])
    order = np.argsort(-apart, kind="stable")[:SHOWN]
    shown = tuple(
        Example(
            index=int(i),
            label="" if labels is None else _values(labels.reshape(len(labels), -1)[i]),
            baseline=Answer(text=_values(flat(baseline[i : i + 1])[0])),
            candidate=Answer(text=_values(flat(candidate[i : i + 1])[0])),
        )
        for i in order
        if apart[i] > 0
    )
    return Examples(candidate=name, compared=len(apart), differ=int((apart > 0).sum()), classes=False, shown=shown)


def _right(guess: Array, labels: Array | None) -> NDArray[np.bool_]:
    if labels is None:
        return np.zeros(len(guess), dtype=bool)
    return np.asarray((guess[:, None] == labels.reshape(len(labels), -1)).any(axis=1))


def _label(labels: Array | None, row: int, names: Mapping[str, str]) -> str:
    if labels is None:
        return ""
    accepted = [value for value in labels.reshape(len(labels), -1)[row] if value >= 0]
    return " or ".join(_called(value, names) for value in accepted)


def _called(value: float, names: Mapping[str, str]) -> str:
    number = str(int(value))
    return f"{names[number]} ({number})" if number in names else number


def _values(row: Array) -> str:
    text = ", ".join(f"{value:.4g}" for value in row[:NUMBERS])
    return text + (", …" if len(row) > NUMBERS else "")
