"""What the page's plots are drawn from: plain values. Pure."""

from typing import Any

from strop.core.candidate import Result
from strop.core.outcome import Outcome
from strop.core.profile import Profile
from strop.core.verdict import Interval
from strop.report.evidence import Evidence
from strop.report.profiling import profiles

AXES = {
    "speed": "speed-up over the tuned baseline, ×",
    "accuracy": "accuracy kept, %",
    "memory": "peak memory over the baseline's, ×",
    "size": "model files, MB",
    "latency": "median latency (p50), ms",
}
PERCENT = 100.0


def chart_data(outcome: Outcome, evidence: Evidence) -> dict[str, Any]:
    """`points`: a candidate each, with [value, low, high] for every axis or None; `curves`: latency by percentile;
    `memory`: resident MB over seconds."""
    return {
        "axes": AXES,
        "points": [point(outcome, r) for r in outcome.results if r.speedup is not None],
        "curves": [curve.model_dump(mode="json") for curve in evidence.curves],
        "memory": [memory_curve(p) for p in profiles(evidence)],
        "baseline": outcome.baseline,
    }


def memory_curve(profile: Profile) -> dict[str, Any]:
    """A candidate's resident memory from the empty runtime on."""
    samples = [s for s in profile.memory if s.rss is not None]
    return {"name": profile.candidate, "seconds": [s.seconds for s in samples], "mb": [(s.rss or 0) / 1e6 for s in samples]}


def point(outcome: Outcome, result: Result) -> dict[str, Any]:
    """One candidate of the Pareto plot."""
    artifact, timing = result.candidate.artifact, result.timing
    p50 = timing.latency_ms.get("p50") if timing is not None else None
    return {
        "name": result.name, "role": role(outcome, result), "frontier": result.name in outcome.frontier,
        "confirmed": result.confirmation is not None or result.name == outcome.baseline,
        "axes": {
            "speed": triple(result.speedup), "accuracy": triple(result.retained, PERCENT), "memory": triple(result.memory_ratio),
            "size": None if artifact is None else [artifact.bytes / 1e6] * 3, "latency": None if p50 is None else [p50] * 3,
        },
    }  # fmt: skip


def role(outcome: Outcome, result: Result) -> str:
    """chosen, baseline, frontier or other: which mark a candidate gets."""
    chosen = outcome.chosen
    if chosen is not None and result.name == chosen.name:
        return "chosen"
    if result.name == outcome.baseline:
        return "baseline"
    return "frontier" if result.name in outcome.frontier else "other"


def triple(figure: Interval | None, factor: float = 1.0) -> list[float] | None:
    return None if figure is None else [factor * figure.value, factor * figure.low, factor * figure.high]
