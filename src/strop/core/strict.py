"""Strict JSON: what every JSON reader takes. Python's own would write `Infinity` and `NaN`, which JSON does not have."""

import json
import math
from typing import Annotated, Any

from pydantic import BeforeValidator

Low = Annotated[float, BeforeValidator(lambda given: -math.inf if given is None else given)]
High = Annotated[float, BeforeValidator(lambda given: math.inf if given is None else given)]
"""The ends of an interval; one that is not known is infinite, and null in JSON."""


def finite(value: Any) -> Any:
    """A plain value with None in place of every number that is not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(inner) for key, inner in value.items()}
    return [finite(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def to_json(value: Any, indent: int | None = None) -> str:
    """A plain value as JSON; a number that is not finite becomes null.

    Example:
        >>> to_json({"high": float("inf")})
        '{"high": null}'
    """
    try:
        return json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return json.dumps(finite(value), indent=indent, ensure_ascii=False, allow_nan=False)
