"""How far a candidate's answers are from the given model's, channel by channel, where nobody says what the values mean.

A channel is one column of an output of shape [examples, values]. Of an output of more axes it is one slice along the first axis
after the examples, and one along the last: whichever of the two an exporter put the channels on is among them.

The difference of a channel is the root of its mean squared error over its spread, the standard deviation of the baseline's
values over all examples and places. 0 is the same answer; 1 is as wrong as always answering the mean (R² = 1 − difference²).
Boxes in pixels and scores from 0 to 1 in one output are judged by the same rule. The figure of a candidate is its worst channel.
Squares make rare large errors count, and the mean keeps a single example from deciding.

Whole numbers of 32 or 64 bits and booleans name things (a class, a token): their difference is the share of unequal values.

Besides, a channel can be lost: its answers no longer follow the input. A box that stays in the middle of its cell is near enough
to the right one by its spread over all cells, and still says nothing.

Arrays may be memory-mapped: they are read a part at a time.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strop.core.statistics import LEVEL, t_quantile
from strop.core.verdict import Interval

Array = NDArray[Any]
Floats = NDArray[np.float64]
PART_VALUES = 1 << 20
NEARLY_CONSTANT = 32 * 2.0**-23
"""A channel whose spread is a smaller share of its size than this, 32 roundings of float32, is a constant; it is judged by its
size."""
LEAST_SHARE = 1e-5
"""A channel of all zeros is judged by this share of the output's size."""
MANY, POOR = 100, 0.5
"""So many slices along the longer of two axes may be places; one that differs by so much by its own spread is not excused."""
INFINITE = 1e30
"""Values beyond it stand for infinity, as in masks."""
FEWEST, MOVING, IRRELEVANT, LOST = 10, 5.0, 1e-3, 0.9
"""What `lost` asks for: examples; how many of them the channel's variation comes from; the least share of the largest spread in
the output that counts; the share of the variation that is gone."""


@dataclass(frozen=True)
class Apart:
    """The difference of the worst channel with its interval, and where it is: `scores[:, 4]`."""

    figure: Interval
    where: str


@dataclass
class Sums:
    """Sums over all examples, for each channel of one axis; of `places` values per example.

    `error` is the squared error of an example, `motion` the squared distance of the baseline's values from their mean at the same
    place; `error2` and `motion2` are sums of their squares. `value` and `size` are the baseline's values and their squares;
    `offset` is what of `error` is the same in all examples. Of named things `error` counts the unequal ones, the rest is 0.
    """

    axis: int
    examples: int
    places: int
    error: Floats
    error2: Floats
    motion: Floats
    motion2: Floats
    value: Floats
    size: Floats
    offset: Floats


def names_things(values: Array) -> bool:
    """Whether values are compared for equality: whole numbers of 32 or 64 bits, booleans, texts."""
    return values.dtype.kind not in "fc" and values.dtype.name not in ("int8", "uint8", "int16", "uint16")


def channel_axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axes whose slices are channels; 1 of a single value per example, which `expanded` gives an axis."""
    long = [axis for axis in range(1, len(shape)) if shape[axis] > 1]
    return tuple(dict.fromkeys([long[0], long[-1]])) if long else (1,)


def worst(mine: Mapping[str, Array], theirs: Mapping[str, Array]) -> Apart:
    """The worst channel of all outputs.

    Args:
        mine, theirs: output → array of shape [examples, …], of one form in both.
    """
    found = [apart(name, mine[name], theirs[name]) for name in theirs if theirs[name].size]
    if not found:
        return Apart(Interval(value=0.0, low=0.0, high=0.0), "")
    top = max(found, key=lambda one: one.figure.value)
    high, low = max(one.figure.high for one in found), max(one.figure.low for one in found)
    return Apart(top.figure.model_copy(update={"low": min(low, top.figure.value), "high": high}), top.where)


def apart(name: str, mine: Array, theirs: Array) -> Apart:
    """The worst channel of one output.

    The interval is Student's, over examples, of each channel's mean squared error; its upper end is the largest of all
    channels, its lower end the largest after a correction for that choice. It is never narrower than 3/n to each side.
    """
    best = Apart(Interval(value=-1.0, low=0.0, high=0.0), "")
    sums = sums_of(mine, theirs, channel_axes(expanded(theirs).shape), motion=False)
    channels = sum(len(one.error) for one in sums)
    high = low = 0.0
    for one in sums:
        long = len(sums) > 1 and len(one.error) == max(len(other.error) for other in sums)
        value, least, most = _figures(one, names_things(theirs), channels, long)
        at = int(value.argmax())
        low, high = max(low, float(least.max())), max(high, float(most.max()))
        if value[at] > best.figure.value:
            best = Apart(Interval(value=float(value[at]), low=0.0, high=0.0), place(name, one.axis, at, theirs.ndim))
    value_ = best.figure.value
    floor = 3 / len(theirs)
    return Apart(Interval(value=value_, low=max(0.0, min(low, value_ - floor)), high=max(high, value_ + floor)), best.where)


def lost(name: str, mine: Array, theirs: Array) -> str | None:
    """Where an output has stopped following the input although the baseline's follows it, in words; None where none has.

    A channel is lost if the candidate, after taking off a constant offset, reproduces next to nothing of the baseline's variation
    from example to example: it is constant, or unrelated. Channels are passed over that do not vary in the baseline, vary by a
    thousandth of what the output's liveliest one does, or owe their variation to fewer than five examples. They are looked for on
    the shorter of the two axes that may hold them, since a single place of many may well be lost in rounding. Of named things
    the whole output counts.
    """
    if len(theirs) < FEWEST or not theirs.size:
        return None
    if names_things(theirs):
        return _lost_names(name, expanded(mine), expanded(theirs))
    shape = expanded(theirs).shape
    (one,) = sums_of(mine, theirs, (min(channel_axes(shape), key=lambda axis: shape[axis]),))
    moving = np.square(one.motion) / np.maximum(one.motion2, np.finfo(np.float64).tiny)
    alive = (one.motion > NEARLY_CONSTANT**2 * one.size) & (one.motion > IRRELEVANT**2 * one.motion.max()) & (moving >= MOVING)
    kept = 1 - (one.error - one.offset) / np.where(alive, one.motion, 1)
    gone = np.flatnonzero(alive & (kept <= 1 - LOST))
    if not gone.size:
        return None
    more = f" and {gone.size - 1} other channel(s) do" if gone.size > 1 else " does"
    where = place(name, one.axis, int(gone[0]), theirs.ndim)
    return f"output {where}{more} not follow the input as the baseline's does (R² {kept[gone[0]]:.2f})"


def _lost_names(name: str, mine: Array, theirs: Array) -> str | None:
    """Named things are lost if they never change, or equal the baseline's no more often than those of another example would."""
    unequal = changes = rows = moves = 0
    before: tuple[Array, Array] | None = None
    for a, b in _raw(mine, theirs):
        unequal += int((a != b).sum())
        first = (a[:1], b[:1]) if before is None else before
        own, base = (np.concatenate([one, x])[:-1] != x for one, x in zip(first, (a, b), strict=True))
        changes += int(base.sum())
        rows += int(base.reshape(len(b), -1).any(axis=1).sum())
        moves += int(own.sum())
        before = a[-1:], b[-1:]
    if rows < FEWEST or (moves and unequal < LOST * changes):
        return None
    how = "equals the baseline's no more often than chance" if moves else "is constant where the baseline's varies"
    return f"output {name} {how} (unequal at {unequal / theirs.size:.1%})"


def place(name: str, axis: int, at: int, ndim: int) -> str:
    """`boxes[:, 4]`, `mask[..., 7]`; an output of one value per example is just its name."""
    if ndim == 1:
        return name
    return f"{name}[..., {at}]" if axis == ndim - 1 and axis > 1 else f"{name}[{':, ' * axis}{at}]"


def _figures(one: Sums, named: bool, channels: int, long: bool) -> tuple[Floats, Floats, Floats]:
    """Each channel's difference, and the ends of its interval.

    Args:
        channels: how many there are on all axes. long: whether this is the longer one of two axes. There, slices may be places
            rather than channels, and of very many some always vary little: such a one is judged by the usual spread, unless
            it is poor by its own.
    """
    n = one.examples
    mean = one.error / n
    spread = np.ones_like(mean) * one.places if named else _scale(one)
    if long and len(mean) >= MANY and not named:
        spread = np.where(mean < POOR**2 * spread, np.maximum(spread, np.median(spread)), spread)
    if n > 1:
        error = np.sqrt(np.maximum(one.error2 - n * mean**2, 0) / (n - 1) / n)
        low = mean - t_quantile(1 - (1 - LEVEL) / 2 / channels, n - 1) * error
        high = mean + t_quantile(1 - (1 - LEVEL) / 2, n - 1) * error
    else:
        low, high = np.zeros_like(mean), np.full_like(mean, math.inf)
    shares = (np.maximum(x, 0) / spread for x in (mean, low, high))
    value, least, most = shares if named else (np.sqrt(x) for x in shares)
    return value, least, most


def _scale(one: Sums) -> Floats:
    """The squared spread of each channel, times its places."""
    count = one.examples * one.places
    size = one.size / count
    own = np.maximum(size - np.square(one.value / count), 0)
    scale = np.where(own <= NEARLY_CONSTANT**2 * size, size, own)
    floor = max(LEAST_SHARE**2 * float(size.max()), float(np.finfo(np.float64).tiny))
    return np.asarray(np.maximum(scale, floor) * one.places)


def sums_of(mine: Array, theirs: Array, axes: tuple[int, ...], motion: bool = True) -> list[Sums]:
    """The sums along some axes, in one pass over the candidate and up to two over the baseline.

    Args:
        motion: whether `Sums.motion` and `motion2` are wanted.
    """
    mine, theirs = (expanded(x) for x in (mine, theirs))
    named = names_things(theirs)
    motion = motion and not named
    middle = sum(b.sum(axis=0) for b, _ in _parts(theirs, theirs)) / len(theirs) if motion else 0.0
    found = [_empty(axis, theirs.shape) for axis in axes]
    offset = np.zeros(theirs.shape[1:])
    for a, b in _raw(mine, theirs) if named else _parts(mine, theirs):
        off = np.asarray(a != b, np.float64) if named else a - b
        offset += off.sum(axis=0)
        for one in found:
            error = _by(np.square(off), one.axis)
            one.error += error.sum(axis=0)
            one.error2 += np.square(error).sum(axis=0)
            if motion:
                moved = _by(np.square(b - middle), one.axis)
                one.motion += moved.sum(axis=0)
                one.motion2 += np.square(moved).sum(axis=0)
            if not named:
                one.value += _by(b, one.axis).sum(axis=0)
                one.size += _by(np.square(b), one.axis).sum(axis=0)
    for one in found:
        one.offset += _by(np.square(offset)[None], one.axis)[0] / len(theirs)
    return found


def expanded(values: Array) -> Array:
    """With an axis for the values where there is none."""
    return values if values.ndim > 1 else values.reshape(-1, 1)


def _empty(axis: int, shape: tuple[int, ...]) -> Sums:
    zeros = [np.zeros(shape[axis]) for _ in range(7)]
    return Sums(axis, shape[0], max(1, math.prod(shape[1:]) // shape[axis]), *zeros)


def _by(values: Floats, axis: int) -> Floats:
    """Summed over all axes but the examples' and this one."""
    return np.asarray(values.sum(axis=tuple(a for a in range(1, values.ndim) if a != axis)))


def _raw(mine: Array, theirs: Array) -> Iterator[tuple[Array, Array]]:
    """The same rows of both, about PART_VALUES values at a time."""
    step = max(1, PART_VALUES // max(1, math.prod(theirs.shape[1:])))
    for at in range(0, len(theirs), step):
        yield mine[at : at + step], theirs[at : at + step]


def _parts(mine: Array, theirs: Array) -> Iterator[tuple[Floats, Floats]]:
    """As numbers. Places that are infinite in both, as in masks, are 0 in both; where only one side is, or the signs differ, they
    are infinitely far apart."""
    for part in _raw(mine, theirs):
        a, b = (np.asarray(side, np.float64) for side in part)
        known = (np.abs(a) < INFINITE) & (np.abs(b) < INFINITE)
        if known.all():
            yield a, b
            continue
        masked = (np.isnan(a) & np.isnan(b)) | ((np.abs(a) >= INFINITE) & (np.abs(b) >= INFINITE) & (np.sign(a) == np.sign(b)))
        yield np.where(known, a, np.where(masked, 0, INFINITE)), np.where(known, b, 0)
