"""One model for several devices, side by side: a page, Markdown and JSON from the outcomes of their runs. Pure."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from strop.core.amounts import latency_words, memory_words
from strop.core.foreign import in_markdown
from strop.core.noun import SCHEMA
from strop.core.outcome import Outcome
from strop.report.blocks import Cell, Table
from strop.report.render.html import STYLE, asset, policy_hash, template
from strop.report.render.json import figure
from strop.report.render.markdown import table as markdown_table
from strop.report.verdict import bracketed, model_name, percent, ratio, settings, target_name, three_lines

HEAD = ("target", "outcome", "choice", "speed", "accuracy kept", "memory", "MB on disk", "open until measured there")


def row(outcome: Outcome) -> list[str]:
    """One target's line."""
    chosen = outcome.chosen
    name = f"{outcome.target.title} ({target_name(outcome)})" if outcome.target and outcome.target.title else target_name(outcome)
    if chosen is None:
        return [name, outcome.outcome, "–", "–", "–", "–", "–", three_lines(outcome)[1]]
    artifact, held = chosen.candidate.artifact, chosen.imitated
    pace = ratio(chosen.speedup, "×") if outcome.place == "here" else "unmeasured"
    pace += bracketed(latency_words(outcome, chosen.name)) if outcome.place == "here" else ""
    pace += f"; imitated {ratio(held.speedup, '×')} over {held.over}" if held is not None else ""
    waiting = ", ".join(str(r.gate) for r in (chosen.verdict.results if chosen.verdict else ()) if r.elsewhere)
    return [
        name, outcome.outcome, f"{chosen.name} in {chosen.candidate.recipe.runtime}, {settings(chosen)}", pace,
        percent(chosen.retained), memory_words(outcome, chosen.name) if outcome.place == "here" else "unmeasured",
        f"{artifact.bytes / 1e6:.2f}" if artifact is not None else "–", waiting or "–",
    ]  # fmt: skip


def comparison_page(outcomes: Sequence[Outcome]) -> str:
    """One self-contained page that links to each target's own report."""
    rows = tuple(tuple(Cell(text) for text in row(outcome)) for outcome in outcomes)
    style = asset(STYLE)
    return template("comparison.html").render(
        model=model_name(outcomes[0]), table=Table("One model, several devices", HEAD, rows, numbers=(6,)),
        outcomes=[(target_name(o), three_lines(o)) for o in outcomes], style=Markup(style), style_hash=policy_hash(style),
    )  # fmt: skip


def comparison_markdown(outcomes: Sequence[Outcome]) -> str:
    """The same for a terminal or a repository."""
    rows = markdown_table(list(HEAD), [row(outcome) for outcome in outcomes])
    verdicts = ["  \n".join(map(in_markdown, three_lines(o))) for o in outcomes]
    parts = [f"## {target_name(o)}\n\n{verdict}\n\n[Its report]({target_name(o)}/report.md)"
             for o, verdict in zip(outcomes, verdicts, strict=True)]  # fmt: skip
    return "\n\n".join([f"# {in_markdown(model_name(outcomes[0]))} for {len(outcomes)} devices", rows, *parts]) + "\n"


def comparison_document(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The same for programs; each target's whole document lies beside its report."""
    return {
        "schema": SCHEMA,
        "model": model_name(outcomes[0]),
        "targets": [
            {
                "target": target_name(o), "outcome": o.outcome, "place": o.place, "run": o.run,
                "chosen": o.chosen.name if o.chosen is not None else None,
                "accuracy_retained": figure(o.chosen.retained) if o.chosen is not None else None,
                "report": f"{target_name(o)}/report.json",
            }
            for o in outcomes
        ],
    }  # fmt: skip
