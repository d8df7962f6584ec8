"""Speed on this machine, held to what another device has."""

from strop.core.outcome import Outcome
from strop.report.blocks import Cell, Section, Sentence, Table
from strop.report.evidence import Evidence
from strop.report.parts import ratio_cell
from strop.report.sections import Part


def make(outcome: Outcome, evidence: Evidence) -> Section | None:
    rows = tuple(
        (Cell(r.name), ratio_cell(r.imitated.speedup, "×"), Cell(r.imitated.over), Cell(r.imitated.held_to))
        for r in outcome.results
        if r.imitated
    )
    if not rows:
        return None
    text = "This machine, held to what the target has. For orientation: it decides no gate."
    table = Table("Speed under imitation", ("candidate", "speed", "over", "held to"), rows, numbers=(1,))
    return Section("imitated", "Imitated speed", (Sentence(text), table))


SECTION = Part(85, make)
