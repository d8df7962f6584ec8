"""How far the answers of two sessions are apart. Arrays may be memory-mapped: they are read a part at a time."""

from collections.abc import Iterator

import numpy as np

from strop.core.metrics import Array

RELATIVE, ABSOLUTE = 1e-4, 1e-5
"""Outputs are equal where each value differs by at most ABSOLUTE + RELATIVE × the other value."""
PART_BYTES = 32 << 20
LEAST_RANGE = 1e-6
"""Of an output that hardly varies; a share of less would mean nothing."""


def parts(mine: Array, theirs: Array) -> Iterator[tuple[Array, Array]]:
    """The same rows of both, some PART_BYTES at a time."""
    step = max(1, PART_BYTES // max(1, theirs[:1].nbytes))
    for at in range(0, len(theirs), step):
        yield mine[at : at + step], theirs[at : at + step]


def close(mine: Array, theirs: Array) -> bool:
    """Whether two outputs are equal within RELATIVE and ABSOLUTE.

    Example:
        >>> close(np.array([1.0]), np.array([1.00001]))
        True
    """
    return mine.shape == theirs.shape and all(
        np.allclose(a, b, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True) for a, b in parts(mine, theirs)
    )


def largest_difference(mine: Array, theirs: Array) -> float:
    """The largest distance of two values at one place, as a share of the range of `theirs`.

    Args:
        mine, theirs: numbers of one shape, [examples, …]. NaN and infinity equal themselves only.

    Returns:
        0 where all values are equal; infinity where one side has NaN or infinity and the other has not.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> largest_difference(np.array([0.0, 1.0]), np.array([0.0, 2.0]))
        0.5
    """
    if mine.shape != theirs.shape:
        raise ValueError(f"shapes {list(mine.shape)} and {list(theirs.shape)} differ")
    worst, low, high = 0.0, np.inf, -np.inf
    for part in parts(mine, theirs):
        a, b = (side.astype(np.float64) for side in part)
        finite = b[np.isfinite(b)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
        apart = ~((a == b) | (np.isnan(a) & np.isnan(b)))
        if apart.any():
            distance = np.abs(a[apart] - b[apart])
            worst = max(worst, float(np.where(np.isnan(distance), np.inf, distance).max()))
    return worst / max(high - low, LEAST_RANGE) if worst else 0.0
