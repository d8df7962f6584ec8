"""What the columns of a weight are multiplied with, expert by expert; a plain weight is one expert. Child side, needs numpy."""

import ctypes as c
from typing import Any

import numpy as np
from numpy.typing import NDArray


def numbers_of(tensor: Any, kind: Any) -> NDArray[Any]:
    """A tensor's numbers where they lie, outermost axis first; ggml names the innermost first."""
    shape, steps = (tensor.n3, tensor.n2, tensor.n1, tensor.n0), (tensor.b3, tensor.b2, tensor.b1, tensor.b0)
    size = sum((many - 1) * step for many, step in zip(shape, steps, strict=True)) + tensor.b0
    return np.ndarray(shape, kind, (c.c_char * size).from_address(tensor.data), 0, steps)


def by_expert(
    values: NDArray[np.float32], experts: NDArray[np.int32], many: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:  # fmt: skip
    """Sums of squares by expert and column, [experts, columns], and how many rows each expert got.

    Args:
        values: [tokens, 1 or chosen, columns]. experts: [tokens, chosen]. many: experts that there are.
    """
    sums, counts = np.zeros((many, values.shape[2])), np.zeros(many, np.int64)
    for place, chosen in enumerate(experts.T):
        rows = values[:, place % values.shape[1]].astype(np.float64)
        for expert in np.unique(chosen):
            mine = chosen == expert
            sums[expert] += np.square(rows[mine]).sum(axis=0)
            counts[expert] += int(mine.sum())
    return sums, counts


def means(sums: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float32]:
    """Mean square of each column's input, one expert after another; all columns weigh the same for one that got no token."""
    seen = counts[:, None] > 0
    return np.where(seen, sums / np.maximum(counts, 1)[:, None], 1.0).astype(np.float32).ravel()
