"""What the choice needs where it is to run, and how to run it."""

from typing import Any

from strop.core.outcome import Outcome
from strop.report import advice
from strop.report.blocks import Cell, Code, Heading, Section, Sentence, Table, code
from strop.report.evidence import Evidence
from strop.report.sections import Part


def make(outcome: Outcome, evidence: Evidence) -> Section | None:
    needs = advice.deployment(outcome, evidence)
    if not needs:
        return None
    blocks = (
        Sentence(("The folder ", code("bundle"), " beside this report runs without Strop.")),
        Table("What the choice needs", ("what", "value"), tuple((Cell(name), Cell(value)) for name, value in needs)),
        Heading("From the shell"),
        Code("\n".join(advice.commands(outcome)), "sh"),
        Heading("From Python"),
        Code("\n".join(advice.python_lines(outcome)), "python"),
    )
    return Section("deployment", "Deployment", blocks)


def facts(outcome: Outcome, evidence: Evidence) -> dict[str, Any]:
    return {
        "deployment": {
            "needs": dict(advice.deployment(outcome, evidence)),
            "commands": advice.commands(outcome),
            "python": advice.python_lines(outcome),
        }
    }


SECTION = Part(160, make, facts)
