"""What the page's plots are drawn from: plain values. Pure."""

from collections.abc import Sequence
from typing import Any

from strop.core.amounts import P50, latency_ms, memory_mb
from strop.core.candidate import Result
from strop.core.outcome import Outcome
from strop.core.profile import Profile
from strop.core.verdict import Interval
from strop.report.evidence import Evidence
from strop.report.language import PACES, QUALITIES, SIZES, figures_of, frontiers
from strop.report.profiling import profiles
from strop.report.unlabeled import kept_name

AXES = {
    "speed": "speed-up over the tuned baseline, ×",
    "accuracy": "accuracy kept, %",
    "memory": "memory of the whole process, MB",
    "memory_ratio": "memory of the model's part over the baseline's, ×",
    "size": "model files, MB",
    "latency": "median latency (p50), ms",
}
PERCENT = 100.0
WIDE = 5.0
"""An axis whose figures span more than this many times is drawn in logarithms."""


def chart_data(outcome: Outcome, evidence: Evidence) -> dict[str, Any]:
    """`points`: a candidate each, with [value, low, high] for every axis or None; `curves`: latency by percentile;
    `memory`: resident MB over seconds; `language`: of a language model."""
    return {
        "axes": axes_of(outcome),
        "points": [point(outcome, r) for r in outcome.results if r.speedup is not None],
        "curves": [curve.model_dump(mode="json") for curve in evidence.curves],
        "memory": [memory_curve(p) for p in profiles(evidence)],
        "baseline": outcome.baseline,
        "language": language_plots(outcome, evidence) if outcome.task.language is not None else None,
    }


def axes_of(outcome: Outcome) -> dict[str, str]:
    """The axes with what is kept by its name."""
    return {**AXES, "accuracy": f"{kept_name(outcome.task.metric)}, %"}


def language_plots(outcome: Outcome, evidence: Evidence) -> dict[str, Any]:
    """Points with [value, low, high] on each axis; the frontiers by `x/y`; `floors`: where 0 is drawn on a logarithmic axis."""
    of = figures_of(outcome, evidence)
    titles, first = SIZES | PACES | QUALITIES, outcome.result(outcome.baseline).candidate.recipe.runtime
    results = {name: outcome.result(name) for name in of}
    return {
        "axes": titles,
        "floors": {axis: log_floor([figures[axis] for figures in of.values()]) for axis in titles},
        "frontiers": frontiers(of),
        "frameworks": sorted({r.candidate.recipe.runtime for r in results.values()}, key=lambda name: (name != first, name)),
        "points": [
            {
                "name": name, "framework": results[name].candidate.recipe.runtime, "role": role(outcome, results[name]),
                "axes": {axis: triple(figure) for axis, figure in figures.items()},
            }
            for name, figures in of.items()
        ],
    }  # fmt: skip


def log_floor(figures: Sequence[Interval | None]) -> float | None:
    """A little below the least figure above 0, where 0 is drawn on a logarithmic axis; None where the axis is linear."""
    values = [f.value for f in figures if f is not None and f.value > 0]
    return min(values) / 3 if values and max(values) > WIDE * min(values) else None


def memory_curve(profile: Profile) -> dict[str, Any]:
    """A candidate's resident memory from the empty runtime on."""
    samples = [s for s in profile.memory if s.rss is not None]
    return {"name": profile.candidate, "seconds": [s.seconds for s in samples], "mb": [(s.rss or 0) / 1e6 for s in samples]}


def point(outcome: Outcome, result: Result) -> dict[str, Any]:
    """One candidate of the Pareto plot."""
    artifact, p50 = result.candidate.artifact, latency_ms(outcome, result.name).get(P50)
    return {
        "name": result.name, "role": role(outcome, result), "frontier": result.name in outcome.frontier,
        "confirmed": result.confirmation is not None or result.name == outcome.baseline,
        "axes": {
            "speed": triple(result.speedup), "accuracy": triple(result.retained, PERCENT), "memory": triple(memory_mb(result)),
            "memory_ratio": triple(result.memory_ratio),
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
