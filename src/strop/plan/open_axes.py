"""Sizes of the axes that a model leaves open, for inputs that are generated. Pure."""

import re
from collections.abc import Mapping

from strop.core.errors import DataError
from strop.core.model import Dimension, Model, TensorSpec
from strop.core.shapes import text_of

LENGTH = 64
"""Tokens of a generated text."""
TOKENS = re.compile(r"(^|[^a-z])(input_?ids|token|attention_mask|input_mask|segment_ids|position_ids)", re.IGNORECASE)
LONG = re.compile(r"seq|len|token", re.IGNORECASE)


def sized(model: Model, sizes: Mapping[str, int]) -> tuple[Model, tuple[str, ...]]:
    """The model with a size for each open axis beside the batch, and the axes that were taken for a text's length.

    Args:
        sizes: by the axes' names, as the user gives them.

    Raises:
        DataError: nothing says how large an axis is; a time measured at size 1 would say nothing.
    """
    specs, taken, missing = [], [], []
    for spec in model.inputs:
        shape: list[Dimension] = list(spec.shape)
        for k, dim in enumerate(spec.shape):
            if not k or isinstance(dim, int):
                continue
            if isinstance(dim, str) and dim in sizes:
                shape[k] = sizes[dim]
            elif _is_length(spec, dim):
                shape[k] = LENGTH
                taken.append(dim or f"{spec.name}, axis {k}")
            else:
                missing.append(spec)
        specs.append(spec.model_copy(update={"shape": tuple(shape)}))
    if missing:
        unique = list({spec.name: spec for spec in missing}.values())
        raise DataError(
            f"no data were given, and the model leaves sizes open: {', '.join(map(_shown, unique))}",
            f"say how it is called: --shape {missing[0].name}={text_of(_example(missing[0]))}, or give --data",
        )
    return model.model_copy(update={"inputs": tuple(specs)}), tuple(dict.fromkeys(taken))


def _is_length(spec: TensorSpec, dim: Dimension) -> bool:
    """Whether an axis is the length of a text."""
    tokens = len(spec.shape) == 2 and spec.dtype.startswith("int") and TOKENS.search(spec.name) is not None
    return tokens or (isinstance(dim, str) and LONG.search(dim) is not None)


def _example(spec: TensorSpec) -> tuple[int, ...]:
    """A shape as a hint may show it."""
    side = 224 if len(spec.shape) == 4 else 16
    return tuple(dim if isinstance(dim, int) else side if k else 1 for k, dim in enumerate(spec.shape))


def _shown(spec: TensorSpec) -> str:
    return f"{spec.name} [{', '.join('?' if d is None else str(d) for d in spec.shape)}]"
