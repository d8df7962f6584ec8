"""What each candidate of a language model writes, side by side."""

from strop.core.outcome import Outcome
from strop.report.blocks import Block, Heading, Quote, Section, Sentence, Writing, Writings
from strop.report.evidence import Evidence
from strop.report.language import SAMPLED, Passages, how_alike, side_by_side
from strop.report.sections import Part


def make(outcome: Outcome, evidence: Evidence) -> Section | None:
    found = side_by_side(outcome, evidence)
    if not found:
        return None
    text = f"{SAMPLED} From the marked word on a text departs from it: another wording, not necessarily a worse one."
    blocks: list[Block] = [Sentence(text)]
    for number, of in enumerate(found, 1):
        blocks += [Heading(f"Prompt {number}"), Quote(of.prompt), _writings(of)]
    return Section("samples", "What each candidate writes", tuple(blocks))


SECTION = Part(50, make)


def _writings(of: Passages) -> Writings:
    return Writings(
        tuple(Writing(", ".join(p.candidates), how_alike(p, p is of.passages[0]), p.same, p.departs) for p in of.passages)
    )
