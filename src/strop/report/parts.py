"""Cells of tables: figures with their intervals. Shared by all sections."""

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


def number_cell(value: float | None, digits: str = ".3g", below: str = "") -> Cell:
    return Cell(DASH) if value is None else Cell(format(value, digits), below, value)


def text_rows(rows: list[list[str]]) -> tuple[tuple[Cell, ...], ...]:
    """Rows of plain cells."""
    return tuple(tuple(Cell(text) for text in row) for row in rows)
