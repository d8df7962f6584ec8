"""What the user tells a metric: `--metric-option NAME=VALUE`."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, get_args

from strop.core.errors import ConfigError

Average = Literal["macro", "micro"]
Axis = Literal["first", "last"]
Layout = Literal["yolo", "yolov5", "nms", "ssd", "ssd-nms"]
Corners = Literal["cxcywh", "xyxy", "yxyx"]


class Told(NamedTuple):
    """Options of metrics; None or the default where the user said nothing.

    threshold: above it a score counts as yes. quantiles: levels of the columns, in order. axis: where classes or quantiles are,
    after the examples. average: of F1. ignore: the class of places that are not scored. blank: CTC's class for nothing. end: the
    class that ends a sequence. separator: the class between words; -1: each class is a word. layout, boxes: see
    `detection.boxes_of`. score: detections below are dropped. nms: IoU above which the weaker of two boxes is dropped.
    """

    threshold: float | None = None
    quantiles: tuple[float, ...] = ()
    axis: Axis | None = None
    average: Average = "macro"
    ignore: int = 255
    blank: int = 0
    end: int | None = None
    separator: int | None = None
    layout: Layout | None = None
    boxes: Corners | None = None
    score: float = 0.001
    nms: float = 0.7


def told(options: Mapping[str, str], known: tuple[str, ...] = Told._fields, metric: str = "") -> Told:
    """Options as they were written, parsed.

    Args:
        known: those that the metric reads.

    Raises:
        ConfigError: no such option, or a value that it cannot have.
    """
    for name, text in options.items():
        if name not in known:
            of = f"metric {metric!r} has no option {name!r}" if metric else f"no metric has an option {name!r}"
            raise ConfigError(of, f"its options: {', '.join(known) or 'none'}" if metric else f"known: {', '.join(known)}")
        if not isinstance(text, str):
            raise ConfigError(f"metric option {name!r} is {text!r}", f'write it as text: {name} = "{text}"')
    return Told(**{name: _parsed(name, text) for name, text in options.items()})


def _parsed(name: str, text: str) -> Any:
    read, what = PARSERS[name]
    try:
        return read(text.strip())
    except ValueError:
        raise ConfigError(
            f"metric option {name}={text!r}: expected {what}", f"e.g. --metric-option {name}={EXAMPLES[name]}"
        ) from None


def _number(text: str) -> float:
    found = float(text)
    if not math.isfinite(found):
        raise ValueError
    return found


def _share(text: str) -> float:
    found = float(text)
    if not 0 <= found <= 1:
        raise ValueError
    return found


def _levels(text: str) -> tuple[float, ...]:
    found = tuple(float(part) for part in text.split(","))
    if not all(0 < level < 1 for level in found):
        raise ValueError
    return found


def _class(text: str) -> int:
    found = int(text)
    if found < 0:
        raise ValueError
    return found


def _separator(text: str) -> int:
    return -1 if text == "none" else _class(text)


def _one_of(values: tuple[str, ...]) -> tuple[Callable[[str], Any], str]:
    def read(text: str) -> str:
        if text not in values:
            raise ValueError
        return text

    return read, f"one of {', '.join(values)}"


PARSERS: Mapping[str, tuple[Callable[[str], Any], str]] = {
    "threshold": (_number, "a number"),
    "quantiles": (_levels, "levels between 0 and 1, separated by commas"),
    "axis": _one_of(get_args(Axis)),
    "average": _one_of(get_args(Average)),
    "ignore": (int, "a whole number"),
    "blank": (_class, "the number of a class"),
    "end": (_class, "the number of a class"),
    "separator": (_separator, "the number of a class, or none"),
    "layout": _one_of(get_args(Layout)),
    "boxes": _one_of(get_args(Corners)),
    "score": (_number, "a number"),
    "nms": (_share, "a number from 0 to 1"),
}
EXAMPLES = {
    "threshold": "0.5", "quantiles": "0.1,0.5,0.9", "axis": "last", "average": "macro", "ignore": "255", "blank": "0", "end": "2",
    "separator": "28", "layout": "yolo", "boxes": "cxcywh", "score": "0.001", "nms": "0.7",
}  # fmt: skip
