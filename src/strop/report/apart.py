"""How far each candidate's answers are from the given model's, which the accuracy may not show: one column of every table."""

from strop.core.candidate import Result
from strop.core.outcome import Outcome
from strop.core.verdict import Interval
from strop.report.blocks import Cell
from strop.report.parts import DASH, percent_cell, ratio_cell
from strop.report.verdict import percent, ratio

NAMES = {"divergence": "divergence", "difference": "largest difference"}
SHORT = {"divergence": "diverges", "difference": "differs"}
WHAT = {
    "divergence": "Divergence is that of the class probabilities from the given model's (Kullback-Leibler, in nats, mean over "
    "the examples). Accuracy looks at the highest class only; divergence sees every class.",
    "difference": "The largest difference is between the candidate's answers and the given model's, in the channel that "
    "differs most, as a share of that channel's spread.",
}


def shown(outcome: Outcome) -> str | None:
    """Which figure the tables show: of several outputs the largest difference, which looks at all of them. None where there is
    none, or the metric is that figure."""
    if outcome.task.language is not None or outcome.task.metric == "difference":
        return None
    names = reversed(NAMES) if len(outcome.model.outputs) > 1 else NAMES
    return next((name for name in names if any(name in r.quality for r in outcome.results)), None)


def figure_of(outcome: Outcome, result: Result) -> Interval | None:
    """The candidate's figure, of the kind that the tables show."""
    return result.quality.get(shown(outcome) or "")


def text(outcome: Outcome, result: Result) -> str:
    """With its interval."""
    figure = figure_of(outcome, result)
    return percent(figure) if shown(outcome) == "difference" else ratio(figure, digits=2)


def brief(outcome: Outcome, result: Result) -> str:
    """The figure alone, in few letters."""
    figure = figure_of(outcome, result)
    if figure is None:
        return DASH
    return f"{figure.value:.1%}" if shown(outcome) == "difference" else f"{figure.value:.2g}"


def cell(outcome: Outcome, result: Result) -> Cell:
    """The figure with its interval below."""
    figure = figure_of(outcome, result)
    return percent_cell(figure) if shown(outcome) == "difference" else ratio_cell(figure)
