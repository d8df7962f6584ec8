"""Public functions: paths are taken as texts, and a keyword or a value that cannot be meant is refused with a hint.

Their signature shows the keywords of a `**flags: Unpack[...]`, so that `help()` and editors list them with their types.
"""

import functools
import inspect
import os
import reprlib
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from types import UnionType
from typing import Any, ParamSpec, SupportsIndex, TypeVar, Unpack, get_args, get_origin, get_type_hints

from strop.core.errors import ArgumentError

P = ParamSpec("P")
R = TypeVar("R")
PathText = str | os.PathLike[str]
"""A path as callers give it."""
NAMES = {str: "a text", os.PathLike: "a path", bool: "True or False", int: "a whole number", float: "a number"}


def spelled(function: Callable[P, R]) -> Callable[P, R]:
    """For a public function: its own arguments are checked against their annotations, and paths become texts.

    The called function raises ArgumentError for an unknown keyword, with the nearest known name, and for a value of another type.
    """
    signature = signature_of(function)
    known = [p.name for p in signature.parameters.values() if p.kind not in (p.VAR_POSITIONAL, p.POSITIONAL_ONLY)]
    own = inspect.signature(function)

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        odd = next((name for name in kwargs if name not in known), None)
        if odd is not None:
            near = nearest(odd, known)
            hint = f"did you mean {near!r}?" if near else f"it takes {', '.join(known)}"
            raise ArgumentError(f"{function.__name__}() got an unexpected keyword argument {odd!r}", hint)
        try:
            bound = own.bind(*args, **kwargs)
        except TypeError as error:
            raise ArgumentError(
                f"{function.__name__}(): {error}", f"help(strop.{function.__name__}) shows what it takes"
            ) from None
        hints = get_type_hints(function)
        flags = next((p.name for p in own.parameters.values() if p.kind is p.VAR_KEYWORD), None)
        for name, value in bound.arguments.items():
            if name != flags:
                bound.arguments[name] = checked(function.__name__, name, value, hints.get(name, Any))
        return function(*bound.args, **bound.kwargs)

    called.__signature__ = signature  # type: ignore[attr-defined]
    return called


def known_names(odd: str, known: Iterable[str], what: str = "known") -> str:
    """A hint for a name that is not known: the one that was probably meant, and all there are."""
    names = list(known)
    near = nearest(odd, names)
    return (f"did you mean {near!r}? " if near else "") + f"{what}: {', '.join(names)}"


def nearest(odd: str, known: list[str]) -> str | None:
    """The known name that was probably meant."""
    close = get_close_matches(odd, known, 1) or [name for name in known if odd and (odd in name or name in odd)][:1]
    return close[0] if close else None


def checked(function: str, name: str, value: Any, hint: Any) -> Any:
    """A value of the annotated type; a path becomes a text. Annotations that are not of simple types are not checked.

    Raises:
        ArgumentError: of another type.
    """
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    plain = [get_origin(kind) or kind for kind in kinds]
    if isinstance(value, os.PathLike) and (str in plain or os.PathLike in plain):
        return os.fspath(value)
    simple = [kind for kind in plain if kind in NAMES]
    if not simple or len(simple) + (type(None) in plain) < len(plain):
        return value
    if (value is None and type(None) in plain) or any(isinstance(value, kind) for kind in simple if kind is not int):
        return value
    if int in simple and isinstance(value, SupportsIndex) and not isinstance(value, bool):
        return int(value)
    expected = " or ".join(NAMES[kind] for kind in simple)
    what = "save or export it to a file first, and give the path" if os.PathLike in simple else f"see help(strop.{function})"
    raise ArgumentError(f"{name}={reprlib.repr(value)} is {type(value).__name__}; expected {expected}", what)


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
