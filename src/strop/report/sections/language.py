"""A language model's quality, size and pace."""

from typing import Any

from strop.core.outcome import Outcome
from strop.report.blocks import PAGE, Control, Fold, Plot, Plots, Section, Sentence, Span, strong, why
from strop.report.evidence import Evidence
from strop.report.language import PACES, QUALITIES, SIZES, frontier_table, how_measured, language_document, language_table
from strop.report.sections import Part

COLUMNS: tuple[str | Span, ...] = (
    strong("Perplexity"), " is exp of the mean loss a token, with its standard error by windows; lower is better. Its ",
    strong("ratio"), " is to the given model's in the runtime that reads it, paired by window. ", strong("Divergence"),
    " (Kullback-Leibler, in nats) is how far the distribution of the next token is from that one's: the mean over all positions, "
    "and what 99 of 100 positions stay below. ", strong("Same top"), " is the share of positions with the same likeliest token. ",
    strong("Prefill"), " is the pace through a prompt, ", strong("decode"), " that of writing. ", strong("What ran"),
    " is what the session itself said.",
)  # fmt: skip


def make(outcome: Outcome, evidence: Evidence) -> Section | None:
    if outcome.task.language is None:
        return None
    table = language_table(outcome, evidence)
    if not table.rows:
        return None
    blocks = (
        Sentence(how_measured(outcome)),
        _plots(outcome),
        Fold("The same as a table", (frontier_table(outcome, evidence),), "same"),
        table,
        why("How to read the columns", COLUMNS),
    )
    return Section("language", "Quality, size and pace", blocks)


def facts(outcome: Outcome, evidence: Evidence) -> dict[str, Any]:
    return {"language": language_document(outcome, evidence)}


SECTION = Part(40, make, facts)


def _plots(outcome: Outcome) -> Plots:
    """Quality against size, and against pace where it is the target's."""
    of = [("size", "Quality against size", SIZES), ("pace", "Quality against pace", PACES)]
    of = of if outcome.place == "here" else of[:1]
    label = "scatter plot of the candidates, by framework. The table below it holds the same figures."
    where = "; on the left further left, on the right further right" if len(of) > 1 else ", and further left"
    caption = (
        f"Lower is better{where}. The line joins the candidates that no other beats in both; their marks are solid. Bars are "
        "intervals. A divergence of 0, which the given model has by definition, stands at the lower edge of a logarithmic axis."
    )
    controls = [Control("quality-axis", "Quality", tuple(QUALITIES.items()))]
    controls += [Control(f"{name}-axis", "Pace", tuple(axes.items())) for name, _, axes in of if len(axes) > 1]
    plots = (Plot("quality", f"{title}: {label}", title, name, next(iter(axes)), "middle") for name, title, axes in of)
    return Plots(tuple(plots), tuple(controls), caption, where=PAGE)
