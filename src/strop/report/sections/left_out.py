"""What is not in the race, and why; of a failure the end of its log."""

from strop.core.candidate import Failure
from strop.core.outcome import Outcome
from strop.report.blocks import Block, Cell, Code, Fold, Section, Sentence, Table
from strop.report.candidates import STATUSES
from strop.report.evidence import Evidence
from strop.report.parts import DASH
from strop.report.sections import Part


def make(outcome: Outcome, evidence: Evidence) -> Section | None:
    rows = [(Cell(r.name), Cell(STATUSES[r.status]), Cell(r.reason or DASH)) for r in outcome.results if r.status != "measured"]
    rows += [(Cell(o.name), Cell("not offered"), Cell(o.refused)) for o in outcome.offers if not o.offered]
    if not rows:
        return None
    table = Table("Recipes that are not in the race, and why", ("recipe", "status", "reason"), tuple(rows))
    blocks: list[Block] = [table]
    blocks += [_failure(result.name, result.failure) for result in outcome.results if result.failure is not None]
    return Section("left-out", "Left out, and why", tuple(blocks))


SECTION = Part(100, make)


def _failure(name: str, failure: Failure) -> Fold:
    tail = failure.log_tail.strip() or "(its log is empty)"
    return Fold(f"{name}: how it failed", (Sentence(str(failure)), Code(tail)))
