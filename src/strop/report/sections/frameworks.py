"""Which frameworks were advised for the target, and why."""

from strop.core.inspection import Advice, Ranked
from strop.core.outcome import Outcome
from strop.report.blocks import Block, Cell, Code, Flow, Fold, Question, Section, Sentence, Span, Table, strong
from strop.report.evidence import Evidence
from strop.report.frameworks import explain
from strop.report.parts import DASH
from strop.report.sections import Part


def make(outcome: Outcome, evidence: Evidence) -> Section | None:
    advice = outcome.advice
    if advice is None:
        return None
    rows = tuple(map(_row, advice.ranking))
    head = ("framework", "points", "rules and facts that spoke")
    questions = tuple(Question(asked.ask, asked.yes) for asked in advice.asked)
    caption = f"The path through the tree. By default for this platform: {advice.quantization}."
    blocks: list[Block] = [
        Sentence(_target(outcome, advice)),
        Flow(questions, advice.strategy, caption),
        *_moved(advice),
        Table("Frameworks in the order of the advice", head, rows, numbers=(1,)),
        Fold("Step by step, with the names of the rules", (Code("\n".join(explain(advice)), "text"),)),
    ]
    return Section("frameworks", "Which frameworks, and why", tuple(blocks))


SECTION = Part(80, make)


def _row(ranked: Ranked) -> tuple[Cell, ...]:
    spoke = "; ".join(f"{reason.text} ({reason.points:+g})" if reason.points else reason.text for reason in ranked.reasons)
    points = "cannot be used" if ranked.blocked else f"{ranked.points:+g}"
    return Cell(ranked.title, ranked.framework), Cell(points), Cell(ranked.blocked or spoke or DASH)


def _target(outcome: Outcome, advice: Advice) -> tuple[str | Span, ...]:
    said = f"; by its facts it counts as {advice.platform}. The advice orders what is tried; what is measured decides."
    if outcome.place == "here" or outcome.target is None:
        return (f"The target is this machine{said}",)
    return ("The target is ", strong(outcome.target.title or outcome.target.name), f", which is not this machine{said}")


def _moved(advice: Advice) -> list[Block]:
    if not advice.moved:
        return []
    return [Sentence(f"Facts overrule the tree: {advice.moved}.{f' Instead: {advice.instead}.' if advice.instead else ''}")]
