"""Metrics of numbers: root mean squared error, R², quantile (pinball) loss. Several columns count equally, as in scikit-learn."""

from collections.abc import Callable

import numpy as np

from strop.core.errors import ConfigError, DataError
from strop.core.resampled import Array, Counts, Drawn, Floats, mean
from strop.core.scorers.told import Axis, Told

BLOCK = 4096
"""Columns at once: many of many draws would not fit the memory."""
CONSTANT = 1e-12
"""Labels of a draw that vary by a smaller share of their squares are constant up to rounding."""


def rmse(outputs: Array, labels: Array, _: Told) -> Drawn:
    """Root mean squared error of each column, and the mean over columns; lower is better."""
    values, truth = _columns(outputs, labels, "rmse")
    squares = np.square(values - truth)
    return _mean_of_columns(squares.shape[1], lambda at, counts, n: np.sqrt(counts @ squares[:, at] / n))


def r2(outputs: Array, labels: Array, _: Told) -> Drawn:
    """Coefficient of determination of each column, and the mean over columns.

    1 less the squared error over that of the mean of the labels. Where the labels are constant it is 1 for the right answer and 0
    for any other.
    """
    values, truth = _columns(outputs, labels, "r2")
    squares, apart = np.square(values - truth), truth - truth.mean(axis=0)

    def figure(at: slice, counts: Floats, n: Floats) -> Floats:
        error = counts @ squares[:, at]
        size = counts @ np.square(apart[:, at])
        spread = size - np.square(counts @ apart[:, at]) / n
        varies = spread > CONSTANT * size
        share = np.divide(error, spread, out=np.ones_like(error), where=varies)
        return np.asarray(np.where(varies, 1 - share, np.where(error == 0, 1.0, 0.0)))

    return _mean_of_columns(squares.shape[1], figure)


def pinball(outputs: Array, labels: Array, told: Told) -> Drawn:
    """Quantile (pinball) loss, mean over quantiles and over the values of the labels; lower is better.

    Of a level q: q × (label − answer) where the label is larger, (1 − q) × (answer − label) where it is smaller.

    Raises:
        ConfigError: no levels were given. DataError: no axis of the outputs holds them.
    """
    if not told.quantiles:
        raise ConfigError(
            "metric 'pinball' needs the level of each column of the output", "e.g. --metric-option quantiles=0.1,0.5,0.9"
        )
    values = _quantiles_last(outputs, labels, told)
    levels = np.array(told.quantiles)
    apart = np.asarray(labels, np.float64).reshape(len(labels), -1, 1) - values
    loss = np.maximum(levels * apart, (levels - 1) * apart).mean(axis=(1, 2))
    return lambda counts: mean(loss, counts)


def _quantiles_last(outputs: Array, labels: Array, told: Told) -> Floats:
    """Answers as [examples, values, quantiles]."""
    count = len(told.quantiles)
    shape, wanted = outputs.shape[1:], _without_ones(labels.shape[1:])
    fits: dict[Axis, bool] = {
        "last": bool(shape) and shape[-1] == count and _without_ones(shape[:-1]) == wanted,
        "first": bool(shape) and shape[0] == count and _without_ones(shape[1:]) == wanted,
    }
    if count == 1 and _without_ones(shape) == wanted:
        return np.asarray(outputs, np.float64).reshape(len(outputs), -1, 1)
    axis = told.axis or next((side for side in fits if fits[side]), None)
    if axis is None or not fits[axis]:
        raise DataError(
            f"metric 'pinball': outputs {list(outputs.shape)} for labels {list(labels.shape)} and {count} quantile(s)",
            "the output needs the labels' shape with one axis more, the last or the first after the examples, for the quantiles",
        )
    if told.axis is None and all(fits.values()) and len(_without_ones(shape)) > 1:
        raise DataError(
            f"metric 'pinball': in outputs {list(outputs.shape)} the quantiles may be on the first axis after the examples or on "
            "the last",
            "say which: --metric-option axis=last",
        )
    values = np.asarray(outputs, np.float64)
    return (values if axis == "last" else np.moveaxis(values, 1, -1)).reshape(len(outputs), -1, count)


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)


def _columns(outputs: Array, labels: Array, name: str) -> tuple[Floats, Floats]:
    """Both as [examples, values]."""
    if _without_ones(outputs.shape[1:]) != _without_ones(labels.shape[1:]):
        raise DataError(f"metric {name!r}: labels {list(labels.shape)} for outputs {list(outputs.shape)}", "give them one shape")
    return np.asarray(outputs, np.float64).reshape(len(outputs), -1), np.asarray(labels, np.float64).reshape(len(labels), -1)


def _mean_of_columns(columns: int, figure: Callable[[slice, Floats, Floats], Floats]) -> Drawn:
    """The mean over columns of a figure [draws, columns]."""

    def drawn(counts: Counts) -> Floats:
        weights, total = counts.astype(np.float64), np.zeros(len(counts))
        n = weights.sum(axis=1)[:, None]
        for begin in range(0, columns, BLOCK):
            total += figure(slice(begin, begin + BLOCK), weights, n).sum(axis=1)
        return total / columns

    return drawn
