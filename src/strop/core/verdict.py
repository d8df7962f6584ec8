"""`Verdict`: each gate PASS, FAIL or INCONCLUSIVE, with its number, its interval and its reason."""

from typing import Literal

from strop.core.noun import Noun
from strop.core.strict import High, Low

Result = Literal["PASS", "FAIL", "INCONCLUSIVE", "UNMEASURED", "NOT APPLICABLE"]
"""`NOT APPLICABLE`: a default goal that no candidate could reach here, so that it counts for nothing."""
SETTLED: tuple[Result, ...] = ("PASS", "NOT APPLICABLE")
Kind = Literal["must", "goal"]
RANKS = ("chosen", "provisional")
"""Outcomes of what kept every must that could be measured, the better first."""
Direction = Literal["at_least", "at_most"]
Cause = Literal["no data", "too busy", "no time"]
"""Why a figure could not be taken at all: no data were given that could show it, the machine was too busy to time it, or the
budget left no time for it."""


class Interval(Noun):
    """A figure with its confidence interval. `level` is the confidence that was aimed at."""

    value: float
    low: Low
    high: High
    level: float = 0.95


def exactly(value: float) -> Interval:
    """A figure that has no spread, or whose spread is not known."""
    return Interval(value=value, low=value, high=value)


def inverse(figure: Interval, numerator: float = 1.0) -> Interval:
    """The interval of numerator / figure; a figure above 0."""
    return Interval(value=numerator / figure.value, low=numerator / figure.high, high=numerator / figure.low, level=figure.level)


EXACTLY_ONE = exactly(1.0)
"""What the baseline scores against itself, by definition."""


EXACTLY_NONE = exactly(0.0)
"""A difference from itself."""


class Gate(Noun):
    """A bound on one metric. `valid` has no bound."""

    metric: str
    direction: Direction = "at_least"
    bound: float = 0.0
    kind: Kind = "must"

    def __str__(self) -> str:
        if self.metric == "valid":
            return "valid"
        return f"{self.metric} {'≥' if self.direction == 'at_least' else '≤'} {self.bound:.12g}"


class GateResult(Noun):
    """`elsewhere` where only the target itself could tell: an open question, not a disturbed measurement.

    `cause` says why it is UNMEASURED.
    """

    gate: Gate
    result: Result
    reason: str
    figure: Interval | None = None
    elsewhere: bool = False
    cause: Cause | None = None


class Verdict(Noun):
    """All gate results of one candidate, and the outcome they allow it."""

    results: tuple[GateResult, ...]

    @property
    def outcome(self) -> Literal["chosen", "provisional", "none"]:
        """`chosen`: every gate that applies passed. `provisional`: no must failed or stayed open. Else `none`.

        A must that could not be measured (no data, a machine too busy to time, no time left, or the target is elsewhere) caps the
        outcome at `provisional`.
        """
        musts = [r.result for r in self.results if r.gate.kind == "must" and not r.elsewhere]
        if any(result in ("FAIL", "INCONCLUSIVE") for result in musts):
            return "none"
        return "chosen" if all(r.result in SETTLED for r in self.results) else "provisional"

    @property
    def missed(self) -> tuple[GateResult, ...]:
        return tuple(r for r in self.results if r.result not in SETTLED)
