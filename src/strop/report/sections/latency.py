"""How long single calls take: baseline and candidate in one comparison each."""

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
    "percentiles go as far up as there are enough calls."
)


def make(outcome: Outcome, evidence: Evidence) -> Section | None:
    if not evidence.curves:
        return None
    rows = tuple(row for curve in evidence.curves for row in _rows(curve))
    table = Table("Percentiles of single calls, milliseconds", ("side", "calls", *PERCENTILES), rows, numbers=(1, 2, 3, 4, 5))
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


def _rows(curve: Curve) -> list[tuple[Cell, ...]]:
    """Both sides of one comparison."""
    rows = []
    for side, calls, values in zip(("baseline", curve.name), curve.calls, (curve.baseline_ms, curve.candidate_ms), strict=True):
        at = dict(zip(curve.percent, values, strict=True))
        shown = [number_cell(at.get(int(p[1:]))) for p in PERCENTILES]
        rows.append((Cell(side, f"in the comparison with {curve.name}"), number_cell(calls, ",d"), *shown))
    return rows
