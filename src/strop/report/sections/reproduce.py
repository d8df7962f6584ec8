"""How to ask again, and how to build alone what failed."""

from typing import Any

from strop.core.outcome import Outcome
from strop.report.blocks import Block, Code, Section, Sentence
from strop.report.evidence import Evidence
from strop.report.sections import Part


def make(outcome: Outcome, evidence: Evidence) -> Section | None:
    failed = [r.reproduce for r in outcome.results if r.reproduce]
    if not evidence.command and not failed:
        return None
    blocks: list[Block] = []
    if evidence.command:
        blocks += [Sentence("The same question again, measured afresh:"), Code(evidence.command, "sh")]
    blocks += [Sentence("This report again, from what the run stored:"), Code(f"strop runs report {outcome.run}", "sh")]
    if failed:
        blocks += [Sentence("What failed, each alone:"), Code("\n".join(failed), "sh")]
    return Section("reproduce", "Reproduce", tuple(blocks))


def facts(outcome: Outcome, evidence: Evidence) -> dict[str, Any]:
    return {"reproduce": evidence.command}


SECTION = Part(190, make, facts)
