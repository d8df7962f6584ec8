"""Where baseline and candidate answer differently."""

from strop.core.outcome import Outcome
from strop.report.advice import compared_instead
from strop.report.blocks import Block, Case, Cases, Section, Sentence, Span, Words, strong, why
from strop.report.evidence import Answer, Evidence, Example, Examples
from strop.report.sections import Part


def make(outcome: Outcome, evidence: Evidence) -> Section | None:
    found = evidence.examples
    if found is None and not evidence.missing:
        return None
    blocks: list[Block] = [Sentence(f"Missing: {text}.") for text in evidence.missing]
    if found is not None:
        blocks.append(Sentence(_summary(found, compared_instead(outcome, evidence))))
        blocks += _cases(found)
    return Section("examples", "Where the answers differ", tuple(blocks))


SECTION = Part(140, make)


def _summary(found: Examples, instead: str) -> Words:
    said = f" and the baseline answer differently on {found.differ} of {found.compared} evaluation examples."
    if found.classes and (found.lost or found.won):
        said += f" On {found.lost} of them only the baseline is right, on {found.won} only the candidate."
    return (f"{instead} " if instead else "", strong(found.candidate), said)


def _cases(found: Examples) -> list[Block]:
    if not found.shown:
        return []
    first = ", those first where only one of the two is right" if found.classes else ", those first that differ most"
    text = (
        f"{len(found.shown)} of {found.differ}{first}. A score is the model's own output for its answer. {found.drawing}".strip()
    )
    return [Cases(tuple(map(_case, found.shown))), why("What is shown", text)]


def _case(example: Example) -> Case:
    label: tuple[tuple[str, Words], ...] = (("label", example.label),) if example.label else ()
    answers = (("baseline", _answer(example.baseline)), ("candidate", _answer(example.candidate)))
    return Case((("example", str(example.index)), *label, *answers), example.picture, f"Input of example {example.index}")


def _answer(answer: Answer) -> Words:
    right = "" if answer.right is None else "✓ right" if answer.right else "✗ wrong"
    score = () if answer.score is None else (Span(f"score {answer.score:.4g}", "small"),)
    return (f"{answer.text} ", Span(right, "whole"), *score)
