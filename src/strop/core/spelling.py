"""Public functions refuse a keyword that they do not know, and name the nearest that they do."""

import functools
import inspect
from collections.abc import Callable
from difflib import get_close_matches
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def spelled(*flags: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """For a public function: an unknown keyword raises TypeError with the nearest known name.

    Args:
        flags: what it takes as `**flags`, beside its own parameters.
    """

    def wrap(function: Callable[P, R]) -> Callable[P, R]:
        own = inspect.signature(function).parameters.values()
        named = [p.name for p in own if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL, p.POSITIONAL_ONLY)]
        known = [*named, *flags]

        @functools.wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> R:
            odd = next((name for name in kwargs if name not in known), None)
            if odd is not None:
                near = get_close_matches(odd, known, 1) or [name for name in known if odd in name or name in odd][:1]
                hint = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(known)}"
                raise TypeError(f"{function.__name__}() got an unexpected keyword argument {odd!r}; {hint}")
            return function(*args, **kwargs)

        return called

    return wrap
