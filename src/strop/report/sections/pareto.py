"""Speed, accuracy and memory against one another, and how the choice was made."""

from strop.core.candidate import Result
from strop.core.outcome import Outcome
from strop.report.blocks import Block, Cell, Control, Fold, Plot, Plots, Section, Sentence, Table, strong, why
from strop.report.candidates import tags
from strop.report.charts import axes_of
from strop.report.evidence import Evidence
from strop.report.parts import memory_cell, percent_cell, ratio_cell
from strop.report.sections import Part
from strop.report.unlabeled import kept_name
from strop.report.verdict import ordered

FRONTIER = (
    "A candidate is on the frontier if no other is at least as good in speed, accuracy and memory and better in one of them."
)
CAPTION = (
    "Bars are intervals; where one leaves the plot it is cut, and the table has it whole. Solid marks are confirmed, hollow"
    " ones come from the search. Click a name in the legend to hide it."
)
SCORE = (
    "The score is the sum of weight × log(ratio) over speed, memory and accuracy. A ratio in memory or accuracy whose "
    "interval holds 1 counts as no difference. Candidates whose scores cannot be told apart tie: then less memory wins, "
    "then the safer recipe."
)


def make(outcome: Outcome, evidence: Evidence) -> Section | None:
    timed = [r for r in ordered(outcome) if r.speedup is not None]
    if not timed:
        return None
    head = ("candidate", "speed-up", kept_name(outcome.task.metric), "memory, MB")
    table = Table(
        "Every candidate that was timed", head, tuple(_row(outcome, r) for r in timed), numbers=(1, 2, 3), sortable=True
    )
    options = tuple(axes_of(outcome).items())
    on = ", ".join(outcome.frontier) or "none"
    plot = Plot("pareto", "Scatter plot of the candidates. The table below holds the same figures.")
    blocks: list[Block] = [
        Sentence(f"{FRONTIER} On the frontier: {on}."),
        Plots(
            (plot,),
            (Control("x-axis", "Across", options, "speed"), Control("y-axis", "Up", options, "accuracy")),
            CAPTION,
            where=("page",),
        ),
        Fold("The same as a table", (table,), "same"),
        *_choice(outcome),
    ]
    return Section("pareto", "Speed, accuracy, memory", tuple(blocks))


SECTION = Part(30, make)


def _row(outcome: Outcome, result: Result) -> tuple[Cell, ...]:
    return (
        Cell(result.name, tags(outcome, result)), ratio_cell(result.speedup, "×"), percent_cell(result.retained),
        memory_cell(result),
    )  # fmt: skip


def _choice(outcome: Outcome) -> list[Block]:
    choice = outcome.choice
    if choice is None:
        return []
    weights = ", ".join(f"{name} {weight:g}" for name, weight in outcome.weights.items())
    said = f". {choice.reason[0].upper()}{choice.reason[1:]}. Weights: {weights}."
    first = Sentence(("Chosen: ", strong(choice.name), said))
    rows = tuple(
        (Cell(name), Cell(f"{s.value:+.3f}"), Cell(f"{s.low:+.3f} to {s.high:+.3f}")) for name, s in choice.scores.items()
    )
    if not rows:
        return [first]
    scores = Table("Scores of the finalists", ("finalist", "score", "interval"), rows, numbers=(1, 2))
    return [first, scores, why("How the score is made", SCORE)]
