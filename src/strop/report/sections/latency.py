"""How long single calls take: baseline and candidate in one comparison each."""

from collections.abc import Sequence

from strop.core import amounts
from strop.core.outcome import Outcome
from strop.report.blocks import PAGE, Cell, Plot, Plots, Section, Sentence, Table, why
from strop.report.evidence import Curve, Evidence
from strop.report.parts import PERCENTILES, number_cell
from strop.report.sections import Part

INTRO = (
    "Each plot holds one comparison: the share of calls that took at most so long. A curve further left is faster; a curve "
    "that leans to the right at the top has slow calls."
)
HOW = (
    "One call of the session on arrays in memory, by one clock, in fresh processes. Inputs rotate through the evaluation "
    "data. Calls in blocks that other work on the machine disturbed are left out, never calls for being slow. Plots and "
    "percentiles go as far up as there are enough calls. Comparisons are made one after another, and the machine's pace may "
    "change in between. The baseline is in each of them: each plot has that of its own comparison, and the figures are those "
    "beside the choice."
)


HEAD = ("candidate", "calls", *PERCENTILES)


def make(outcome: Outcome, evidence: Evidence) -> Section | None:
    if not evidence.curves:
        return None
    table = Table("Percentiles of single calls, milliseconds", HEAD, _rows(outcome, evidence.curves), numbers=(1, 2, 3, 4, 5))
    plots = tuple(_plot(number, curve, outcome.baseline) for number, curve in enumerate(evidence.curves))
    return Section(
        "latency",
        "Latency",
        (Sentence(INTRO, "script", where=PAGE), Plots(plots, where=PAGE), table, why("How latency is measured", HOW)),
    )


SECTION = Part(60, make)


def _plot(number: int, curve: Curve, baseline: str) -> Plot:
    title = "The baseline against itself (A/A)" if curve.name == baseline else f"{curve.name} against the baseline"
    label = f"Latency distribution: {curve.name} and the baseline. The table below holds the percentiles."
    return Plot("curve", label, title, str(number), size="small")


def _rows(outcome: Outcome, curves: Sequence[Curve]) -> tuple[tuple[Cell, ...], ...]:
    """A line for each candidate, and one for the baseline, of the comparison that its figures are of everywhere."""
    chosen = outcome.chosen.name if outcome.chosen is not None else outcome.baseline
    calls, of_baseline = {c.name: c.calls[1] for c in curves}, {c.name: c.calls[0] for c in curves}
    beside = next((name for name in (chosen, outcome.baseline) if name in calls), curves[0].name)
    whom = "itself" if beside == outcome.baseline else beside
    rows = [_row(outcome, outcome.baseline, of_baseline[beside], f"baseline, in the comparison with {whom}")]
    others = [r.name for r in outcome.results if r.name in calls and r.name != outcome.baseline]
    return (*rows, *(_row(outcome, name, calls[name], amounts.pace_then(outcome, name)) for name in others))


def _row(outcome: Outcome, name: str, calls: int, below: str) -> tuple[Cell, ...]:
    latency = amounts.latency_ms(outcome, name)
    return Cell(name, below), number_cell(calls, ",d"), *(number_cell(latency.get(p)) for p in PERCENTILES)
