"""How long a request takes while others are in flight."""

from strop.core.outcome import Outcome
from strop.report import throughput
from strop.report.blocks import Cell, Section, Sentence, Table
from strop.report.evidence import Evidence
from strop.report.parts import PERCENTILES, number_cell
from strop.report.sections import Part


def make(outcome: Outcome, evidence: Evidence) -> Section | None:
    rows = tuple(
        (Cell(name), Cell(found.over), *(number_cell(found.latency_ms.get(p)) for p in PERCENTILES))
        for name, found in throughput.latencies(outcome)
    )
    if not rows:
        return None
    count = outcome.task.workload.concurrency
    text = f"Milliseconds of a request while {count} are in flight, waiting included; the highest throughput comes first."
    table = Table(
        "Percentiles of requests, milliseconds", ("candidate", "compared with", *PERCENTILES), rows, numbers=(2, 3, 4, 5)
    )
    return Section("latency-under-load", "Latency under load", (Sentence(text), table))


SECTION = Part(65, make)
