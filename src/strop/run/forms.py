"""Forms of an option's value: as Python gives it, as the command line or a file does, as a request holds it, and told again."""

import operator
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, SupportsFloat, SupportsIndex

from pydantic import Field

from strop.core.budget import Asked
from strop.core.choose import parse_weights
from strop.core.errors import ArgumentError, UsageError
from strop.core.metrics import UNLABELED, metric
from strop.core.shapes import Shape, text_of
from strop.core.spelling import known_names
from strop.core.verdict import Gate
from strop.run.devices import is_path

MOST = 1 << 40
"""Of any whole number that is given."""
CODE = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"
"""`module:function`."""
Whole = Annotated[int, Field(ge=1, le=MOST)]
COLUMN = Literal["file", "text", "text_pair", "label"]


@dataclass(frozen=True)
class Form:
    """What the values of an option are.

    python: a keyword's value → what the command line gives: a text, a number, a list; raises TypeError with what it expects.
    flag: the type on the command line; None where there is no flag. keyword: that of the keyword, in source code.
    toml: the type in strop.toml. read: the flag's name and what the command line gives → the value of the request.
    configured: the value in strop.toml and the folder of that file → the same. written: the value → the texts of its flags.
    metavar: what the value is, in `--help`.
    """

    python: Callable[[Any], Any]
    flag: Any
    keyword: str
    toml: Any
    read: Callable[[str, Any], Any] = lambda _, given: given
    configured: Callable[[Any, Path], Any] = lambda told, _: told
    written: Callable[[Any], list[str]] = lambda value: [plain(value)]
    metavar: str = ""

    @property
    def merges(self) -> bool:
        """Whether a flag adds to what strop.toml says, name by name, in place of replacing it."""
        return "Mapping" in self.keyword and self.flag == list[str]


def plain(value: Any) -> str:
    """A value as a flag takes it; 2 rather than 2.0."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def a_text(value: Any) -> str:
    if isinstance(value, str | os.PathLike):
        return os.fspath(value)
    raise TypeError("a text")


def texts(value: Any) -> list[str]:
    if isinstance(value, str | os.PathLike):
        return [a_text(value)]
    if isinstance(value, Mapping):
        return [f"{a_text(name)}={item}" for name, item in value.items()]
    if isinstance(value, Iterable):
        return [a_text(item) for item in value]
    raise TypeError("a text or a list of texts")


def listed(name: str, value: Any) -> list[str]:
    """An argument that is a text, a path, or several.

    Raises:
        ArgumentError: neither.
    """
    try:
        return texts(value)
    except TypeError as error:
        raise ArgumentError(f"{name} is {type(value).__name__}; expected {error}", "give one path, or a list of them") from None


def shapes(value: Any) -> list[str]:
    """Shapes by input, each as a text or as numbers."""
    if not isinstance(value, Mapping):
        return texts(value)
    return [f"{a_text(n)}={s if isinstance(s, str) else 'x'.join(map(str, wholes(s)))}" for n, s in value.items()]


def weights(value: Any) -> str:
    return ",".join(texts(value)) if isinstance(value, Mapping) else a_text(value)


def whole(value: Any) -> int:
    if isinstance(value, SupportsIndex) and not isinstance(value, bool):
        return operator.index(value)
    raise TypeError("a whole number")


def wholes(value: Any) -> list[int]:
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
        return [whole(item) for item in value]
    return [whole(value)]


def number(value: Any) -> float:
    if isinstance(value, bool | str) or not isinstance(value, SupportsFloat):
        raise TypeError("a number")
    return float(value)


def duration(value: Any) -> str:
    value = value.total_seconds() if isinstance(value, timedelta) else value
    return value if isinstance(value, str) else format(number(value), "f")


def a_switch(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise TypeError("True or False")


def parse_budget(given: str | float | None) -> Asked:
    """`90`, `90s`, `5m`, `1h` → seconds; `auto`, also where nothing is given; `none` → None, no limit.

    Raises:
        UsageError: not a duration.
    """
    text = "auto" if given is None else str(given).strip()
    if text in ("auto", "none"):
        return "auto" if text == "auto" else None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text)
    if match is None or float(match.group(1)) <= 0:
        raise UsageError(f"--budget {text!r} is not a duration", "for example 90s, 5m or 1h; auto (the default) or none")
    return float(match.group(1)) * {"": 1, "s": 1, "m": 60, "h": 3600}[match.group(2)]


def parse_pairs(pairs: Sequence[str], flag: str, last: bool = False) -> dict[str, str]:
    """`["a=b"]` → {"a": "b"}.

    Args:
        last: whether the last `=` divides, where a name may hold one but no value does.

    Raises:
        UsageError: an element without `=`.
    """
    parsed = dict[str, str]()
    for pair in pairs:
        name, sign, value = pair.rpartition("=") if last else pair.partition("=")
        if not sign or not name or not value:
            raise UsageError(
                f"{flag} {pair!r} is not of the form NAME=VALUE", f"for example {flag} input={'1x3x224x224' if last else 'x'}"
            )
        if last and name in parsed:
            raise UsageError(f"{flag} names {name!r} twice: {parsed[name]} and {value}", "give it once")
        parsed[name] = value
    return parsed


def _columns(flag: str, given: Sequence[str]) -> dict[str, str]:
    """What is in which column: `text=sentence1`."""
    parsed, known = parse_pairs(given, flag), COLUMN.__args__  # type: ignore[attr-defined]
    odd = next((name for name in parsed if name not in known), None)
    if odd is not None:
        raise UsageError(f"{flag} {odd}=…: there is no {odd!r}", f"known: {', '.join(known)}")
    return parsed


def parse_sizes(pairs: Sequence[str], flag: str = "--size") -> dict[str, int]:
    """Sizes of dynamic axes, for generated inputs.

    Raises:
        UsageError: not a whole number above 0.
    """
    sizes = parse_pairs(pairs, flag)
    if not all(v.isdecimal() and int(v) > 0 for v in sizes.values()):
        raise UsageError(f"{flag} {pairs}: sizes are whole numbers above 0", f"for example {flag} sequence=64")
    return {k: int(v) for k, v in sizes.items()}


def _axes(flag: str, given: Sequence[str]) -> dict[str, int]:
    """The axis of the examples: `x=1`."""
    axes = parse_pairs(given, flag)
    if not all(v.isdecimal() for v in axes.values()):
        raise UsageError(f"{flag} {given}: axes are whole numbers from 0 on", f"for example {flag} x=1")
    return {k: int(v) for k, v in axes.items()}


def _shapes(flag: str, given: Sequence[str]) -> dict[str, Shape]:
    """Whole shapes of inputs, the examples first: `data=1x3x224x224` or `data=1,3,224,224`."""
    found = dict[str, Shape]()
    for name, text in parse_pairs(given, flag, last=True).items():
        dims = [dim.strip() for dim in text.lower().replace(",", "x").split("x")]
        if not all(d.isdecimal() and 0 < int(d) <= MOST for d in dims):
            raise UsageError(
                f"{flag} {name}={text}: a shape is whole numbers above 0 joined by x or commas",
                f"for example {flag} data=1x3x224x224",
            )
        found[name] = tuple(map(int, dims))
    return found


def _above_none(flag: str, given: float) -> float:
    if not 0 < given <= MOST:
        raise UsageError(f"{flag} {given} {'is not above 0' if not given > 0 else f'is above {MOST}'}")
    return given


def at_most(most: int, what: str) -> Form:
    """Whole numbers from 1 to `most`; `what` more would be too many of."""

    def read(flag: str, given: int) -> int:
        _above_none(flag, given)
        if given > most:
            raise UsageError(f"{flag} {given} is too many {what}", f"give at most {most}")
        return given

    return Form(whole, int, "int", Annotated[int, Field(ge=1, le=most)] | None, read, metavar="N")


def choice(what: str, *known: str) -> Form:
    """One of a few words; `what` they are."""

    def read(flag: str, given: str) -> str:
        if given not in known:
            raise UsageError(f"{flag} {given}: no such {what}", known_names(given, known))
        return given

    return Form(a_text, str, "str", Literal[known] | None, read, metavar=what.upper())


def _folder(flag: str, given: str) -> str:
    if given == "":
        raise UsageError(f"{flag} '' names no folder", "leave it out, or give a folder")
    return given


def _device(flag: str, given: str) -> str:
    if given == "":
        raise UsageError(f"{flag} '' names no device", "`strop devices list` shows them")
    return given


def _metric(_flag: str, given: str) -> str:
    if given not in UNLABELED:
        metric(given)
    return given


def gate_text(gate: Gate) -> str:
    return f"{gate.metric}{'>=' if gate.direction == 'at_least' else '<='}{plain(gate.bound)}"


def _budget_text(asked: Asked) -> list[str]:
    if asked is None:
        return ["none"]
    return [asked if isinstance(asked, str) else f"{plain(asked)}s"]


def _pairs_text(value: Mapping[str, Any]) -> list[str]:
    return [f"{name}={item}" for name, item in value.items()]


def _pairs(toml: Any, read: Callable[[str, Sequence[str]], Any], metavar: str) -> Form:
    keyword = "Mapping[str, object] | Sequence[str] | str"
    return Form(texts, list[str], keyword, toml, read, written=_pairs_text, metavar=metavar)


TEXT = Form(a_text, str, "str", str | None, metavar="NAME")
FOLDER = Form(
    a_text, str, "str | PathLike[str]", str | None, _folder, lambda told, base: str(base / _folder("", told)), metavar="FOLDER"
)  # fmt: skip
PATH = Form(a_text, str, "str | PathLike[str]", str | None, configured=lambda told, base: str(base / told), metavar="PATH")
DATA = replace(PATH, keyword="Data")
DEVICE = Form(
    a_text, str, "str | PathLike[str]", str | None, _device, lambda told, base: str(base / told) if is_path(told) else told
)  # fmt: skip
METRIC = Form(a_text, str, "str", str | None, _metric, lambda told, _: _metric("", told), metavar="METRIC")
TEXTS = Form(
    texts, list[str], "Sequence[str] | str", list[str], lambda _, given: tuple(given), lambda told, _: tuple(told), list,
    "NAME",
)  # fmt: skip
GATES = Form(
    texts, list[str], "Sequence[str] | str", list[str], written=lambda gates: [gate_text(gate) for gate in gates],
    metavar="METRIC>=NUMBER",
)  # fmt: skip
COUNT = Form(whole, int, "int", Whole | None, _above_none, metavar="N")
SEED = Form(whole, int, "int", Annotated[int, Field(le=MOST)] | None, metavar="N")
COUNTS = Form(
    wholes, list[int], "int | Sequence[int]", list[int] | None, lambda _, given: tuple(given), lambda told, _: tuple(told),
    lambda sizes: [plain(size) for size in sizes], "N",
)  # fmt: skip
SECONDS = Form(number, float, "float", Annotated[float, Field(gt=0, le=MOST)] | None, _above_none, metavar="SECONDS")
SWITCH = Form(a_switch, bool, "bool", bool, written=lambda on: [""] if on else [])
PAIRS = _pairs(dict[str, str], lambda flag, given: parse_pairs(given, flag), "INPUT=ARRAY")
COLUMNS = _pairs(dict[COLUMN, str], _columns, "WHAT=NAME")
SIZES = _pairs(dict[str, Whole], lambda flag, given: parse_sizes(given, flag), "AXIS=N")
AXES = _pairs(dict[str, Annotated[int, Field(ge=0, le=MOST)]], _axes, "INPUT=AXIS")
SHAPES = Form(
    shapes, list[str], "Mapping[str, str | Sequence[int]] | Sequence[str] | str",
    dict[str, Annotated[list[Whole], Field(min_length=1)]], _shapes,
    lambda told, _: {name: tuple(dims) for name, dims in told.items()},
    lambda value: [f"{name}={text_of(shape)}" for name, shape in value.items()], "INPUT=SHAPE",
)  # fmt: skip
BUDGET = Form(
    duration, str, "str | float | timedelta", str | float | None, lambda _, given: parse_budget(given),
    lambda told, _: parse_budget(told), _budget_text, "TIME",
)  # fmt: skip
WEIGHTS = Form(
    weights, str, "str | Mapping[str, float]", str | None, lambda _, given: parse_weights(given),
    lambda told, _: parse_weights(told),
    lambda value: [",".join(f"{axis}={plain(weight)}" for axis, weight in value.items())], "AXIS=WEIGHT,...",
)  # fmt: skip
CODED = Form(a_text, None, "", Annotated[str | None, Field(pattern=CODE)])
"""`module:function`; in a file only, which has to be named before it runs."""
