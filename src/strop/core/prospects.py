"""What would be faster if an open must were settled: candidates that the data at hand can neither pass nor refuse. Pure."""

from collections.abc import Sequence

from strop.core.candidate import Result
from strop.core.gate_metrics import named
from strop.core.noun import Noun
from strop.core.verdict import Gate, GateResult, Interval

OF_THE_ANSWERS = named("answers")
"""Metrics that more evaluation data settle."""


class Prospect(Noun):
    """A candidate that is significantly faster than the choice, but whose must on accuracy stays open."""

    candidate: str
    speedup: Interval
    confirmed: bool
    gate: Gate
    figure: Interval


class Untimed(Noun):
    """A setting of the baseline that could not be timed, though its first calls were quicker than the tuned baseline's.

    p50_ms, baseline_p50_ms: medians of the first calls of one process each, alone and unpaired.
    """

    name: str
    p50_ms: float
    baseline_p50_ms: float


def prospects(results: Sequence[Result], chosen: Result | None) -> tuple[Prospect, ...]:
    """Fastest first. Faster is by interval: than the choice, or than the baseline where nothing was chosen."""
    figure = (chosen.speedup or chosen.noisy) if chosen is not None else None
    least = figure.high if figure is not None else 1.0
    found = []
    for result in results:
        gates = _open_on_answers(result)
        if gates and result.speedup is not None and result.speedup.low > least and result.status in ("measured", "dropped"):
            confirmed = result.confirmation is not None
            found += [
                Prospect(candidate=result.name, speedup=result.speedup, confirmed=confirmed, gate=g.gate, figure=g.figure)
                for g in gates[:1] if g.figure is not None
            ]  # fmt: skip
    return tuple(sorted(found, key=lambda p: -p.speedup.value))


def _open_on_answers(result: Result) -> list[GateResult]:
    """The open musts on its answers, if it fails no must and these are the only ones that are open by their figure."""
    musts = [r for r in (result.verdict.results if result.verdict else ()) if r.gate.kind == "must" and r.result != "PASS"]
    known = [r for r in musts if r.figure is not None]
    if any(r.result == "FAIL" for r in musts) or any(r.gate.metric not in OF_THE_ANSWERS for r in known):
        return []
    return known
