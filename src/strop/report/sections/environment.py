"""What the figures were measured under."""

from strop.core.outcome import Outcome
from strop.report.blocks import Cell, Section, Table
from strop.report.evidence import Evidence
from strop.report.parts import DASH
from strop.report.sections import Part


def make(outcome: Outcome, evidence: Evidence) -> Section:
    env = outcome.environment
    rows = (
        ("CPU", env.cpu), ("cores, and threads in the budget", f"{env.cores}, {env.threads}"),
        ("memory", f"{env.memory_bytes / 1e9:.1f} GB"), ("system", f"{env.os} {env.kernel}"), ("host", env.host),
        ("Python, Strop", f"{env.python}, {env.strop}"), ("packages", ", ".join(f"{k} {v}" for k, v in env.versions.items())),
        ("frequency governor", env.governor), ("counters", "; ".join(f"{k}: {v}" for k, v in env.counters.items()) or DASH),
        ("seed", str(env.seed)), ("CPU flags", " ".join(env.cpu_flags)),
    )  # fmt: skip
    table = Table("What the figures were measured under", ("what", "here"), tuple((Cell(k), Cell(v)) for k, v in rows))
    return Section("environment", "Environment", (table,))


SECTION = Part(120, make)
