"""What to monitor once the choice is deployed."""

from typing import Any

from strop.core.outcome import Outcome
from strop.report import advice
from strop.report.blocks import Cell, Section, Sentence, Table
from strop.report.evidence import Evidence
from strop.report.sections import Part


def make(outcome: Outcome, evidence: Evidence) -> Section | None:
    rows = tuple((Cell(w.what), Cell(w.here), Cell(w.alarm), Cell(w.how)) for w in advice.watch(outcome, evidence))
    if not rows:
        return None
    text = (
        "Figures of this run, and where to be alarmed. They hold for this machine; take your own once it is deployed elsewhere."
    )
    table = Table("Thresholds from this run", ("what", "in this run", "be alarmed", "how to measure it"), rows)
    return Section("watch", "What to monitor", (Sentence(text), table))


def facts(outcome: Outcome, evidence: Evidence) -> dict[str, Any]:
    return {"watch": [entry.model_dump(mode="json") for entry in advice.watch(outcome, evidence)]}


SECTION = Part(170, make, facts)
