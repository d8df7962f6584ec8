"""What the choice gives up or leaves open."""

from typing import Any

from strop.core.outcome import Outcome
from strop.report import advice
from strop.report.blocks import Bullets, Section
from strop.report.evidence import Evidence
from strop.report.sections import Part


def make(outcome: Outcome, evidence: Evidence) -> Section | None:
    sentences = tuple(advice.trade_offs(outcome))
    return Section("trade-offs", "What was given up", (Bullets(sentences),)) if sentences else None


def facts(outcome: Outcome, evidence: Evidence) -> dict[str, Any]:
    return {"trade_offs": advice.trade_offs(outcome)}


SECTION = Part(150, make, facts)
