"""Whether a session that fills texts up to a compiled length gives the answers that it gave to longer ones. Needs numpy."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strop_child.evaluation import InvalidOutput

EACH = 4
"""Batches that are compared at each length."""
CLOSE = 0.05
"""Largest difference, as a share of the output's range: other shapes have other kernels, which round differently. Tokens that no
mask hides change far more."""


def require_exact(
    session: Any, mask: str, inputs: Mapping[str, NDArray[Any]], made: Mapping[str, NDArray[Any]], batch: int
) -> None:
    """Compares examples without their padding, as they are answered at each length, with the answers that were judged.

    Args:
        session: a `Shaped`. mask: the input that hides what is padded. made: output → answers to all examples.

    Raises:
        InvalidOutput: they differ, so that filling up is not exact for this model.
    """
    lengths = np.asarray(inputs[mask]).sum(axis=1).astype(int)
    sizes = sorted(one[mask][1] for one in session.sessions.sets)
    for shorter, size in zip([0, *sizes], sizes, strict=False):
        rows = np.flatnonzero((lengths > shorter) & (lengths <= size))
        for start in range(0, min(len(rows), EACH * batch), batch):
            part = np.resize(rows[start : start + batch], batch)
            length = int(lengths[part].max())
            answer = session.run({name: np.ascontiguousarray(shard[part, :length]) for name, shard in inputs.items()})
            for name, judged in made.items():
                for got, wanted, own in zip(answer[name], judged[part], lengths[part], strict=True):
                    axis = session.sessions.crop.get(name)
                    real = (slice(None),) * ((axis or 1) - 1) + (slice(None if axis is None else int(own)),)
                    if not close({name: got[real] if got.ndim else got}, {name: wanted[real] if wanted.ndim else wanted}):
                        raise InvalidOutput(
                            f"output {name!r} of a text of {own} tokens differs where it is padded to {size}: "
                            "the model's mask does not hide what is padded"
                        )


def close(got: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    """Equal in shape, and in value up to `CLOSE` of the range expected."""
    for name, wanted in expected.items():
        one, other = np.asarray(got[name]), np.asarray(wanted)
        if one.shape != other.shape:
            return False
        if one.size and np.issubdtype(one.dtype, np.number):
            span = max(float(np.ptp(other)), 1e-6)
            if not float(np.max(np.abs(one.astype(float) - other.astype(float)))) <= CLOSE * span:
                return False
    return True
