"""What builders said of their own work."""

from strop.core.outcome import Outcome
from strop.report.blocks import Block, Bullets, Cell, Section, Sentence, Table
from strop.report.evidence import Evidence
from strop.report.sections import Part


def make(outcome: Outcome, evidence: Evidence) -> Section | None:
    rows = tuple((Cell(r.name), Cell(k), Cell(f"{v:.6g}")) for r in outcome.results for k, v in r.candidate.claims.items())
    notes = tuple(f"{r.name}: {note}" for r in outcome.results for note in r.candidate.notes)
    if not rows and not notes:
        return None
    blocks: list[Block] = [Sentence("Builders gave these figures for their own work. Strop shows them and uses none of them.")]
    if rows:
        blocks.append(Table("Claimed by the builders", ("candidate", "figure", "claim"), rows, numbers=(2,)))
    if notes:
        blocks.append(Bullets(notes))
    return Section("claims", "Claimed, not measured by Strop", tuple(blocks))


SECTION = Part(180, make)
