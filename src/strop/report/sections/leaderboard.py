"""All candidates with all figures; on the terminal in few columns, and the notes below them."""

from strop.core import amounts
from strop.core.candidate import Result
from strop.core.outcome import Outcome
from strop.report import apart, throughput
from strop.report.blocks import TERMINAL, Block, Cell, Fold, Notes, Section, Sentence, Span, Table, strong, why
from strop.report.brief import brief_table, unreached_line
from strop.report.candidates import STATUSES, imitated_cell, speed_cell, tags
from strop.report.evidence import Evidence
from strop.report.parts import DASH, PERCENTILES, memory_cell, number_cell, percent_cell
from strop.report.sections import Part
from strop.report.unlabeled import figure_name, kept_name
from strop.report.verdict import ordered, remarks, status_of

INTRO: tuple[str | Span, ...] = (
    "The choice first, then by speed-up. Only ", Span("confirmed", "em"), " figures decide; figures of the search are rough and "
    "serve to drop what is hopeless. Small print gives the interval.",
)  # fmt: skip


def make(outcome: Outcome, evidence: Evidence) -> Section:
    pace = "imitated speed" if outcome.place == "imitated" else "speed-up"
    beside = apart.shown(outcome)
    head = ("candidate", "status", pace, kept_name(outcome.task.metric), figure_name(outcome.task.metric),
            *([apart.NAMES[beside]] if beside else []), "memory, MB", "size, MB",
            throughput.head(outcome), *(f"{p}, ms" for p in PERCENTILES), "first inference, ms", "load, ms")  # fmt: skip
    rows = tuple(_row(outcome, r) for r in ordered(outcome))
    blocks: list[Block] = [
        Sentence(INTRO),
        Table("All candidates", head, rows, numbers=tuple(range(2, len(head))), sortable=True),
        *_precision(outcome),
        why("How to read the columns", _columns(outcome, beside)),
        brief_table(outcome),
        *((Sentence(unreached_line(outcome), where=TERMINAL),) if unreached_line(outcome) else ()),
        *((Notes(remarks(outcome), where=TERMINAL),) if remarks(outcome) else ()),
    ]
    return Section("leaderboard", "Leaderboard", tuple(blocks))


SECTION = Part(20, make)


def _row(outcome: Outcome, result: Result) -> tuple[Cell, ...]:
    artifact, timing = result.candidate.artifact, result.timing
    latency, pace = amounts.latency_ms(outcome, result.name), amounts.pace_then(outcome, result.name)
    memory = result.memory[0] if result.memory else None
    stage = "" if timing is None else "confirmed" if timing.stage == "confirmation" else "search only"
    stage = "1× by definition" if result.name == outcome.baseline else stage
    return (
        Cell(result.name, tags(outcome, result), look="chosen" if result is outcome.chosen else ""),
        Cell(STATUSES.get(status_of(outcome, result), "judged"), stage),
        imitated_cell(result) if outcome.place == "imitated" else speed_cell(result),
        percent_cell(result.retained), number_cell(result.accuracy, ".4f"),
        *([apart.cell(outcome, result)] if apart.shown(outcome) else []),
        memory_cell(result), number_cell(artifact.bytes / 1e6 if artifact else None, ".2f"),
        throughput.rate_cell(result),
        *(number_cell(latency.get(p), below=pace if p == amounts.P50 else "") for p in PERCENTILES),
        number_cell(1000 * memory.first_inference_s if memory else None), number_cell(1000 * memory.load_s if memory else None),
    )  # fmt: skip


def _precision(outcome: Outcome) -> list[Block]:
    """In which types the kernels computed, where a runtime says so."""
    rows = tuple(
        (Cell(r.name), Cell(str(r.candidate.recipe.settings.get("precision", DASH))), Cell(r.ran))
        for r in ordered(outcome)
        if r.ran
    )
    if not rows:
        return []
    text = "Kernels by the type they computed in, as the runtime says of the compiled model; what was asked for is only a hint."
    table = Table("Precision of the kernels", ("candidate", "asked for", "computed in"), rows)
    return [Fold("What was computed in which precision", (Sentence(text), table))]


def _columns(outcome: Outcome, beside: str | None) -> tuple[str | Span, ...]:
    return (
        strong("Speed-up"), " is over the tuned baseline, measured in pairs on the same cores. ",
        strong("Accuracy kept"), " is the candidate's figure over the baseline's on the same examples. ",
        *((f"{apart.WHAT[beside]} ",) if beside else ()),
        strong("Memory"), " is what is resident in the whole process at its highest, runtime included; below it stands the "
        "model's part of that, above an empty runtime, over the baseline's. ", *_in_flight(outcome),
        "Percentiles are of single calls, and printed only if there are enough calls: p90 needs 64, p95 130, p99 662. Each "
        "candidate is timed beside the baseline. Where the machine was slower or faster then than beside the choice, the small "
        "print says so; the speed-up is not affected. ", strong("First inference"), " and ", strong("load"),
        " are taken once, in a process of its own; they are no part of a latency.",
    )  # fmt: skip


def _in_flight(outcome: Outcome) -> tuple[str | Span, ...]:
    """What the column of throughput says."""
    unit, count = throughput.unit_of(outcome), outcome.task.workload.concurrency
    if outcome.place != "here":
        return ()
    if count == 1:
        return strong(unit), ": one request after another, so that it follows from the latency. "
    return (
        strong(unit),
        f": with {count} requests in flight at any time, on the same cores; beside it the ratio to the given model under those "
        "of its settings that serve them best. ",
    )
