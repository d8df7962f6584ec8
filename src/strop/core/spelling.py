"""Public functions refuse a keyword that they do not know and name the nearest that they do; their signature shows them all."""

import functools
import inspect
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, ParamSpec, TypeVar, Unpack, get_args, get_origin, get_type_hints

P = ParamSpec("P")
R = TypeVar("R")


def spelled(function: Callable[P, R]) -> Callable[P, R]:
    """For a public function: an unknown keyword raises TypeError with the nearest known name.

    Keywords of a `**flags: Unpack[...]` are parameters of the signature, so that `help()` and editors list them with their types.
    """
    signature = signature_of(function)
    known = [p.name for p in signature.parameters.values() if p.kind not in (p.VAR_POSITIONAL, p.POSITIONAL_ONLY)]

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        odd = next((name for name in kwargs if name not in known), None)
        if odd is not None:
            near = get_close_matches(odd, known, 1) or [name for name in known if odd in name or name in odd][:1]
            hint = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(known)}"
            raise TypeError(f"{function.__name__}() got an unexpected keyword argument {odd!r}; {hint}")
        return function(*args, **kwargs)

    called.__signature__ = signature  # type: ignore[attr-defined]
    return called


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """Its signature, with the keywords of an unpacked typed dictionary in its place."""
    plain = inspect.signature(function)
    parameters = list(plain.parameters.values())
    if not parameters or parameters[-1].kind is not inspect.Parameter.VAR_KEYWORD:
        return plain
    packed = get_type_hints(function).get(parameters[-1].name)
    if get_origin(packed) is not Unpack:
        return plain
    keywords = get_type_hints(get_args(packed)[0])
    more = [inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=t) for n, t in keywords.items()]
    return plain.replace(parameters=[*parameters[:-1], *more])
