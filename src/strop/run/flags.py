"""The flags of `optimize`, `build` and `bench` as keywords: which each takes, of what type. Declared once, for the CLI too."""

import operator
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, SupportsFloat, SupportsIndex

DATA = (
    "data", "calibration", "labels", "column", "classes", "preset", "tokenizer", "task", "map", "metric", "k", "output",
    "batches", "batch_axis", "size", "shape",
)  # fmt: skip
LANGUAGE = ("questions", "eval_tokens", "prompt_tokens", "output_tokens", "context")
LIMITS = ("threads", "memory_limit_mb", "time_limit_s", "store", "seed")
LOAD = ("concurrency", "streams")
GATES = ("must", "goal", "strict", "prefer")

BENCH = (*DATA, *LIMITS)
BUILD = (*DATA, *LANGUAGE, *LOAD, *LIMITS, "target", "must", "goal", "strict", "olive_config", "out", "replace")
OPTIMIZE_FOR = (
    *DATA, *LANGUAGE, *LOAD, *LIMITS, *GATES,
    "purpose", "backends", "recipes", "olive_config", "budget", "fresh", "replace", "profile", "other_shapes",
)  # fmt: skip
OPTIMIZE = (*OPTIMIZE_FOR, "target", "out")
"""`list_recipes` takes the same, so that one set of keywords serves both."""


def _text(value: Any) -> str:
    if isinstance(value, str | os.PathLike):
        return os.fspath(value)
    raise TypeError("a text")


def _texts(value: Any) -> list[str]:
    if isinstance(value, str | os.PathLike):
        return [_text(value)]
    if isinstance(value, Mapping):
        return [f"{_text(name)}={item}" for name, item in value.items()]
    if isinstance(value, Iterable):
        return [_text(item) for item in value]
    raise TypeError("a text or a list of texts")


def _shapes(value: Any) -> list[str]:
    """Shapes by input, each as a text or as numbers."""
    if not isinstance(value, Mapping):
        return _texts(value)
    return [f"{_text(n)}={s if isinstance(s, str) else 'x'.join(map(str, _wholes(s)))}" for n, s in value.items()]


def _weights(value: Any) -> str:
    return ",".join(_texts(value)) if isinstance(value, Mapping) else _text(value)


def _whole(value: Any) -> int:
    if isinstance(value, SupportsIndex) and not isinstance(value, bool):
        return operator.index(value)
    raise TypeError("a whole number")


def _wholes(value: Any) -> list[int]:
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
        return [_whole(item) for item in value]
    return [_whole(value)]


def _number(value: Any) -> float:
    if isinstance(value, bool | str) or not isinstance(value, SupportsFloat):
        raise TypeError("a number")
    return float(value)


def _duration(value: Any) -> str:
    return value if isinstance(value, str) else format(_number(value), "f")


def _switch(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise TypeError("True or False")


FORMS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("column", "map", "batch_axis", "size", "must", "goal", "backends", "recipes"), _texts),
    **dict.fromkeys(
        ("k", "eval_tokens", "prompt_tokens", "output_tokens", "context", "threads", "memory_limit_mb", "seed", *LOAD), _whole
    ),
    **dict.fromkeys(("strict", "fresh", "replace", "profile"), _switch),
    "batches": _wholes, "shape": _shapes, "time_limit_s": _number, "budget": _duration, "prefer": _weights,
}  # fmt: skip
"""What a flag's value is turned into; a text where nothing is said."""


def formed(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Flags in the form that a request is made from: one text for a list of them, a number for a duration, a path.

    Raises:
        TypeError: a value of another type; says what was given and what is expected.
    """
    made = {}
    for name, value in flags.items():
        try:
            form: Callable[[Any], Any] = FORMS.get(name, _text)
            made[name] = None if value is None else form(value)
        except TypeError as error:
            raise TypeError(f"{name}={value!r} is {type(value).__name__}; expected {error}") from None
    return made
