"""The sections of the report, a file each. A file that holds a `SECTION` in this folder is in every report; nothing lists it."""

import pkgutil
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

from strop.core.outcome import Outcome
from strop.report.blocks import Medium, Section, shown
from strop.report.evidence import Evidence


class Part(NamedTuple):
    """A part of the report. `order` is its place among the others, from small to large.

    `make` gives what people read, None where there is nothing to say. `facts` gives keys of report.json, which are there in any
    case.
    """

    order: int
    make: Callable[[Outcome, Evidence], Section | None]
    facts: Callable[[Outcome, Evidence], dict[str, Any]] | None = None


def parts() -> list[Part]:
    """The `SECTION` of every file in this folder, in their order.

    Raises:
        TypeError: a file without one.
    """
    found = []
    for info in pkgutil.iter_modules(__path__):
        part = getattr(import_module(f"{__name__}.{info.name}"), "SECTION", None)
        if not isinstance(part, Part):
            raise TypeError(f"{__name__}.{info.name} has no SECTION = Part(…)")
        found.append((part.order, info.name, part))
    return [part for *_, part in sorted(found)]


def sections_of(outcome: Outcome, evidence: Evidence, medium: Medium) -> list[Section]:
    """The sections that have something to say in a medium, with the blocks that it shows."""
    made = [section for part in parts() if (section := part.make(outcome, evidence)) is not None]
    return [section for section in (shown(each, medium) for each in made) if section.blocks]


def facts_of(outcome: Outcome, evidence: Evidence) -> dict[str, Any]:
    """What the sections say to programs, by its key in report.json."""
    found: dict[str, Any] = {}
    for part in parts():
        found.update(part.facts(outcome, evidence) if part.facts is not None else {})
    return found
