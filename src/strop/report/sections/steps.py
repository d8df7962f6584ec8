"""What each step of a recipe bought and cost."""

from typing import Any

from strop.core.outcome import Outcome
from strop.report.advice import percentage_points
from strop.report.blocks import Block, Cell, Fold, Section, Sentence, Table, why
from strop.report.evidence import Evidence
from strop.report.lineage import Gain, gains, way_to
from strop.report.parts import DASH, ratio_cell
from strop.report.sections import Part
from strop.report.unlabeled import figure_name

INTRO = (
    "A candidate is set beside the one that it adds a step, or a setting, to. Ratios are of the candidate over that one: "
    "speed above 1× is a gain, memory of the model's part below 1× is a saving."
)
HOW = (
    "Both candidates were measured against the tuned baseline; the ratio of their figures is shown, and their intervals are"
    " added up, so that it is wider than a direct comparison would be. Candidates that share steps share the files those "
    "steps made."
)


def make(outcome: Outcome, evidence: Evidence) -> Section | None:
    found, chosen = gains(outcome), outcome.chosen
    if not found:
        return None
    head = ("candidate", "added", "speed", figure_name(outcome.task.metric, "accuracy"), "model's memory", "size, MB", "build, s")
    way, every = (
        Table(caption, head, tuple(map(_row, part)), numbers=(2, 3, 4, 5, 6))
        for caption, part in (
            ("The way to the choice", way_to(outcome, chosen.name) if chosen is not None else []),
            ("Every candidate", found),
        )
    )
    blocks: list[Block] = [
        Sentence(INTRO),
        *((way,) if way.rows else ()),
        Fold("Every candidate and its step", (every,), "same", open=not way.rows),
        why("How a step's figures are made", HOW),
    ]
    return Section("steps", "What each step bought and cost", tuple(blocks))


def facts(outcome: Outcome, evidence: Evidence) -> dict[str, Any]:
    return {"steps": [gain.model_dump(mode="json") for gain in gains(outcome)]}


SECTION = Part(90, make, facts)


def _row(gain: Gain) -> tuple[Cell, ...]:
    points = DASH if gain.accuracy is None else percentage_points(*gain.accuracy)
    size = DASH if gain.bytes is None else f"{gain.bytes[0] / 1e6:.2f} → {gain.bytes[1] / 1e6:.2f}"
    return (Cell(gain.name, f"beside {gain.parent}"), Cell(gain.added), ratio_cell(gain.speedup, "×"), Cell(points),
            ratio_cell(gain.memory_ratio, "×"), Cell(size), Cell(f"{gain.build_s:.1f}"))  # fmt: skip
