"""What the tables say of a candidate: its status, its tags, its speed."""

from dataclasses import replace

from strop.core.candidate import Result
from strop.core.outcome import Outcome
from strop.report.blocks import Cell
from strop.report.parts import DASH, ratio_cell
from strop.report.verdict import NOT_REPRESENTATIVE

STATUSES = {
    "measured": "measured",
    "failed": "✗ failed",
    "dropped": "dropped",
    "duplicate": "duplicate",
    "not reached": "not reached",
    "not measurable": "not measurable here",
}


def speed_cell(result: Result) -> Cell:
    """Speed-up, or why one taken here would say nothing."""
    doubt = result.candidate.recipe.unrepresentative
    if doubt:
        return Cell(NOT_REPRESENTATIVE, doubt)
    noisy = result.noisy
    if noisy is not None:
        return Cell(f"~{noisy.value:.3g}×", "noisy, decides no gate", noisy.value)
    cell = ratio_cell(result.speedup, "×")
    return replace(cell, below=f"{cell.below} by CPU time") if result.by_cpu_time else cell


def imitated_cell(result: Result) -> Cell:
    """Speed over the runtime's own unquantized candidate, on this machine held to what the target has."""
    held = result.imitated
    return Cell(DASH) if held is None else replace(ratio_cell(held.speedup, "×"), below=f"over {held.over}, decides nothing")


def tags(outcome: Outcome, result: Result) -> str:
    """What a candidate is besides a candidate: chosen, baseline, on the frontier."""
    chosen = outcome.chosen
    return ", ".join(
        name
        for name, holds in (
            (f"→ {outcome.outcome}", chosen is not None and result.name == chosen.name),
            ("baseline", result.name == outcome.baseline),
            ("as it runs today", result.name == outcome.as_is),
            ("on the frontier", result.name in outcome.frontier),
            (f"computed in {result.ran}", bool(result.ran)),
        )
        if holds
    )
