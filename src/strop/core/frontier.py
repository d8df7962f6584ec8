"""The Pareto frontier of speed, accuracy, memory (and energy, where measured). Pure."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from strop.core.verdict import Interval


class Figures(NamedTuple):
    """What a candidate is compared by. Higher is better for `speedup` and `accuracy`, lower for `memory` and `energy`."""

    speedup: Interval
    accuracy: Interval | None = None
    memory: Interval | None = None
    energy: Interval | None = None


def _values(figures: Figures) -> tuple[float, ...]:
    """Higher is better in each; what was not measured is worse than anything that was."""
    axes = ((figures.speedup, 1), (figures.accuracy, 1), (figures.memory, -1), (figures.energy, -1))
    return tuple(sign * figure.value if figure is not None else -math.inf for figure, sign in axes)


def dominates(one: Figures, other: Figures) -> bool:
    """At least as good in everything, better in something, by value."""
    a, b = _values(one), _values(other)
    return all(x >= y for x, y in zip(a, b, strict=True)) and a != b


def frontier(candidates: Mapping[str, Figures]) -> list[str]:
    """Names that no other dominates, fastest first."""
    kept = [
        name
        for name, figures in candidates.items()
        if not any(dominates(other, figures) for key, other in candidates.items() if key != name)
    ]
    return sorted(kept, key=lambda name: -candidates[name].speedup.value)
