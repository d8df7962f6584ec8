"""Whether a session's answer to one example depends on the others in its batch. Needs numpy; lives in the child."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strop_child.shards import feed_of

Feed = dict[str, NDArray[Any]]


def mixing(session: Any, shards: Mapping[str, NDArray[Any]], count: int, batch: int) -> dict[str, float]:
    """Output → how much the answers of kept examples change when the others are replaced, as a share of how answers differ.

    From 0, where the first axis is that of the examples, to 1; as when the steps of a sequence were fed as examples. Empty where
    there are too few examples, or the session refuses the batch.
    """
    if batch < 2 or count < 2 * batch:
        return {}
    kept = np.arange(batch)
    try:
        together = answers(session, shards, kept, batch)
        changed: dict[str, tuple[float, float]] = {}
        for odd in (0, 1):
            rows = np.where(kept % 2 == odd, kept, kept + batch)
            other = answers(session, shards, rows, batch)
            for name, value in together.items():
                moved, apart = changed.get(name, (0.0, 0.0))
                same, away = kept % 2 == odd, kept % 2 != odd
                moved = max(moved, rms(other[name][same] - value[same])) if name in other else moved
                changed[name] = moved, max(apart, rms(other[name][away] - value[away])) if name in other else apart
    except Exception:  # the batch is only a question here: where it is refused, nothing is known
        return {}
    return {name: moved / max(moved, apart) for name, (moved, apart) in changed.items() if moved or apart}


def answers(session: Any, shards: Mapping[str, NDArray[Any]], rows: NDArray[Any], batch: int) -> dict[str, NDArray[Any]]:
    """Numeric outputs with a row for each example."""
    found = session.run(feed_of(shards, rows))
    arrays = {name: np.asarray(value) for name, value in found.items()}
    numeric = {n: a for n, a in arrays.items() if a.ndim and len(a) == batch and np.issubdtype(a.dtype, np.number)}
    return {name: np.nan_to_num(np.asarray(a, np.float64)) for name, a in numeric.items()}


def rms(values: NDArray[Any]) -> float:
    return float(np.sqrt(np.mean(np.square(values)))) if values.size else 0.0
