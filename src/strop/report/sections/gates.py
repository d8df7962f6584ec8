"""Every gate of the candidates that were confirmed."""

from strop.core import judged
from strop.core.gate_metrics import form_of, label_of
from strop.core.outcome import Outcome
from strop.core.verdict import GateResult
from strop.report import advice
from strop.report.blocks import Cell, Section, Sentence, Table
from strop.report.evidence import Evidence
from strop.report.parts import DASH, percent_cell, ratio_cell
from strop.report.sections import Part
from strop.report.verdict import is_judged, ordered

INTRO = (
    "Confirmed candidates and the baseline. A gate passes if the whole interval is beyond its bound. If the whole interval falls "
    "short, a must has failed and a goal is not reached. Otherwise the gate stays open."
)


def make(outcome: Outcome, evidence: Evidence) -> Section:
    head = ("gate", "bound", "kind", "figure", "result", "reason")
    tables = [
        Table(f"{r.name}: {r.verdict.outcome}", head, tuple(map(_row, r.verdict.results)))
        for r in ordered(outcome)
        if r.verdict is not None and is_judged(outcome, r)
    ]
    return Section("gates", "Gates", (Sentence(INTRO), *tables))


SECTION = Part(110, make)


def _row(result: GateResult) -> tuple[Cell, ...]:
    gate, figure, form = result.gate, result.figure, form_of(result.gate.metric)
    shown = percent_cell(figure) if form == "share" else ratio_cell(figure, "×" if form == "times" else "")
    sign = "≥" if gate.direction == "at_least" else "≤"
    bound = Cell(DASH) if gate.metric == "valid" else Cell(f"{sign} {advice.bound(gate)}")
    mark = Cell(judged.mark(result), look=judged.look(result))
    return (Cell(label_of(gate.metric)), bound, Cell(gate.kind), shown, mark, Cell(result.reason))
