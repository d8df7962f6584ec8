"""Metrics of sequences: exact match, character and word error rate; of CTC outputs (greedy decoding) or of classes themselves."""

import numpy as np
from numpy.typing import NDArray

from strop.core.errors import ConfigError, DataError
from strop.core.resampled import Array, Drawn, mean
from strop.core.scorers.told import Told

Whole = NDArray[np.int64]
PART_VALUES = 1 << 24
"""Scores that are decoded at once."""


def exact(outputs: Array, labels: Array, told: Told) -> Drawn:
    """Share of examples whose sequence is the label's, whole."""
    found = right(outputs, labels, told)
    return lambda counts: mean(found, counts)


def right(outputs: Array, labels: Array, told: Told) -> NDArray[np.bool_]:
    """Whether each example's sequence is the label's, whole."""
    return same(decoded(outputs, told), reference(outputs, labels, told, "ctc_exact"))


def cer(outputs: Array, labels: Array, told: Told) -> Drawn:
    """Character error rate: insertions, deletions and substitutions over the labels' length; lower is better."""
    return _error_rate(decoded(outputs, told), reference(outputs, labels, told, "cer"))


def wer(outputs: Array, labels: Array, told: Told) -> Drawn:
    """Word error rate: the same, of words, which the class `separator` parts.

    Raises:
        ConfigError: nothing says which class that is.
    """
    if told.separator is None:
        raise ConfigError(
            "metric 'wer' needs the class that separates words",
            "--metric-option separator=NUMBER, or separator=none where each class is a word",
        )
    guess, truth = decoded(outputs, told), reference(outputs, labels, told, "wer")
    if told.separator < 0:
        return _error_rate(guess, truth)
    known: dict[tuple[int, ...], int] = {}
    return _error_rate(*(_words(rows, told.separator, known) for rows in (guess, truth)))


def decoded(outputs: Array, told: Told) -> Whole:
    """Sequences of classes, shape [examples, longest], filled up with -1.

    Args:
        outputs: scores [examples, steps, classes], of which the highest are taken, repeats joined and blanks dropped; or classes
            themselves, whole numbers [examples, steps].

    Raises:
        DataError: neither of the two.
    """
    if outputs.ndim == 2 and outputs.dtype.kind in "iu":
        return _until_end(np.asarray(outputs, np.int64), told.end)
    if outputs.ndim != 3 or outputs.dtype.kind != "f":
        raise DataError(
            f"outputs are {outputs.dtype} of shape {list(outputs.shape)}",
            "metrics of sequences take scores [examples, steps, classes], or whole numbers [examples, steps]; --output chooses "
            "another output",
        )
    if told.blank >= outputs.shape[2]:
        raise DataError(f"blank {told.blank} is none of {outputs.shape[2]} classes", "--metric-option blank=NUMBER")
    step = max(1, PART_VALUES // max(1, outputs.shape[1] * outputs.shape[2]))
    best = np.concatenate([outputs[at : at + step].argmax(axis=2) for at in range(0, len(outputs), step)])
    again = np.zeros(best.shape, bool)
    again[:, 1:] = best[:, 1:] == best[:, :-1]
    return _until_end(np.where(again | (best == told.blank), -1, best), told.end)


def reference(outputs: Array, labels: Array, told: Told, name: str) -> Whole:
    """Labels as `decoded` gives sequences.

    Raises:
        DataError: they are not rows of class numbers, or hold the blank, which no decoded sequence holds.
    """
    if labels.ndim != 2 or (labels.size and not np.array_equal(labels, np.floor(labels))):
        raise DataError(
            f"metric {name!r}: labels {list(labels.shape)} are no sequences of classes",
            "give whole numbers [examples, longest], rows filled up with -1",
        )
    if outputs.ndim == 3:
        classes = outputs.shape[2]
        if labels.size and labels.max() >= classes:
            raise DataError(
                f"metric {name!r}: label {labels.max():g} is none of {classes} classes", "--output chooses another output"
            )
        if (labels == told.blank).any():
            raise DataError(
                f"metric {name!r}: labels hold class {told.blank}, which counts as CTC's blank",
                f"say which class is the blank, often 0 or the last: --metric-option blank={classes - 1}; fill rows up with -1",
            )
    return _until_end(np.asarray(labels, np.int64), told.end)


def same(one: Whole, other: Whole) -> NDArray[np.bool_]:
    """Whether rows hold one sequence."""
    longest = max(one.shape[1], other.shape[1])
    a, b = (np.pad(rows, ((0, 0), (0, longest - rows.shape[1])), constant_values=-1) for rows in (one, other))
    return np.asarray((a == b).all(axis=1))


def edits(one: Whole, other: Whole) -> Whole:
    """Levenshtein's distance of each row's sequences; all rows at once, one class of `one` after the other."""
    lengths, places = (one >= 0).sum(axis=1), np.arange(other.shape[1] + 1)
    row = np.broadcast_to(places, (len(one), len(places))).astype(np.int64)
    for at in range(int(lengths.max(initial=0))):
        replaced = row[:, :-1] + (one[:, at, None] != other)
        cheapest = np.concatenate([row[:, :1] + 1, np.minimum(row[:, 1:] + 1, replaced)], axis=1)
        inserted = np.minimum.accumulate(cheapest - places, axis=1) + places
        row = np.where((at < lengths)[:, None], inserted, row)
    return np.asarray(np.take_along_axis(row, (other >= 0).sum(axis=1)[:, None], axis=1)[:, 0])


def _error_rate(guess: Whole, truth: Whole) -> Drawn:
    wrong, length = edits(guess, truth).astype(np.float64), (truth >= 0).sum(axis=1).astype(np.float64)
    return lambda counts: np.asarray(counts @ wrong / np.maximum(counts @ length, 1))


def _until_end(rows: Whole, end: int | None) -> Whole:
    """What is not negative moved to the left, up to the class that ends a sequence."""
    if end is not None:
        rows = np.where(np.logical_or.accumulate(rows == end, axis=1), -1, rows)
    order = np.argsort(rows < 0, axis=1, kind="stable")
    left = np.maximum(np.take_along_axis(rows, order, axis=1), -1)
    return left[:, : int((left >= 0).sum(axis=1).max(initial=0))]


def _words(rows: Whole, separator: int, known: dict[tuple[int, ...], int]) -> Whole:
    """Words by number; empty ones do not count."""
    found = []
    for row in rows.tolist():
        parts: list[list[int]] = [[]]
        for one in row:
            if one == separator:
                parts.append([])
            elif one >= 0:
                parts[-1].append(one)
        found.append([known.setdefault(tuple(part), len(known)) for part in parts if part])
    made = np.full((len(found), max(map(len, found), default=0)), -1, np.int64)
    for at, words in enumerate(found):
        made[at, : len(words)] = words
    return made
