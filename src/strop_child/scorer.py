"""The user's own scorer over the outputs of a session. Needs numpy."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from strop_child.preprocess import DataError, call_user, user_function


def score(
    scorer: str,
    folder: str,
    inputs: dict[str, str],
    outputs: dict[str, str],
    labels: str | None,
    group: int,
    out: str,
    few: bool = False,
) -> None:
    """The user's `scorer(outputs, labels, inputs)`: one number an example (or group), higher is better, written to `out`.

    folder: where its module is. outputs, inputs: name → shard; labels: shard or None; the function gets arrays.
    few: whether it is only tried, on so few examples that its numbers need not be finite.
    """
    given, answered = opened(inputs), opened(outputs)
    truth = np.load(labels, allow_pickle=False) if labels is not None else None
    scores = np.asarray(call_user(user_function(scorer, folder), scorer, answered, truth, given))
    wanted = len(next(iter(given.values()))) // group
    if scores.shape != (wanted,) or scores.dtype.kind not in "fiub" or not (few or np.isfinite(scores).all()):
        raise DataError(
            f"{scorer} gave {scores.dtype}{list(scores.shape)}, {wanted} finite numbers are needed", "one for each example"
        )
    np.save(out, scores.astype(np.float64))


def load_code(functions: list[str], folder: str) -> None:
    """Loads each `module:function` of the user's. Raises DataError where one does not load."""
    for name in functions:
        user_function(name, folder)


def opened(shards: dict[str, str]) -> dict[str, NDArray[Any]]:
    return {name: np.load(path, mmap_mode="r", allow_pickle=False) for name, path in shards.items()}
