"""Cells of tables: figures with their intervals. Shared by all sections."""

from strop.core.amounts import memory_mb, plain
from strop.core.candidate import Result
from strop.core.verdict import Interval
from strop.report.blocks import Cell

DASH = "–"
PERCENTILES = ("p50", "p90", "p95", "p99")


def interval_text(figure: Interval | None) -> str:
    if figure is None or figure.low == figure.high:
        return ""
    return f"{figure.low:.3g} to {figure.high:.3g}"


def ratio_cell(figure: Interval | None, unit: str = "") -> Cell:
    return Cell(DASH) if figure is None else Cell(f"{figure.value:.3g}{unit}", interval_text(figure), figure.value)


def percent_cell(figure: Interval | None) -> Cell:
    if figure is None:
        return Cell(DASH)
    spread = "" if figure.low == figure.high else f"{figure.low:.1%} to {figure.high:.1%}"
    return Cell(f"{figure.value:.1%}", spread, figure.value)


def memory_cell(result: Result) -> Cell:
    """The whole process in MB; below it the model's part over the baseline's."""
    found, part = memory_mb(result), result.memory_ratio
    below = "" if part is None else f"model's part {part.value:.3g}×{f' ({spread})' if (spread := interval_text(part)) else ''}"
    return Cell(below or DASH) if found is None else Cell(plain(found.value), below, found.value)


def number_cell(value: float | None, digits: str = ".3g", below: str = "") -> Cell:
    return Cell(DASH) if value is None else Cell(format(value, digits), below, value)


def text_rows(rows: list[list[str]]) -> tuple[tuple[Cell, ...], ...]:
    """Rows of plain cells."""
    return tuple(tuple(Cell(text) for text in row) for row in rows)
