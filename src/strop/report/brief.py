"""All candidates in few columns, for a terminal."""

from strop.core import amounts
from strop.core.candidate import Result
from strop.core.outcome import Outcome
from strop.report import apart
from strop.report.blocks import TERMINAL, Cell, Table
from strop.report.parts import DASH
from strop.report.unlabeled import KEPT
from strop.report.verdict import NOT_REPRESENTATIVE, ordered, ratio

NAMED = 3
"""Recipes of a folded line that are named."""

UNREACHED = "not reached"


def unreached_line(outcome: Outcome) -> str:
    """What the budget left untried, folded into a line; empty where that is nothing."""
    names = [result.name for result in outcome.results if result.status == UNREACHED]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{len(names)} not reached within the budget: {', '.join(names[:NAMED])}{more}." if names else ""


def brief_table(outcome: Outcome) -> Table:
    """A line a candidate; report.md has the intervals of the rest and every reason."""
    beside = apart.shown(outcome)
    judged = (KEPT.get(outcome.task.metric, "kept"), *([apart.SHORT[beside]] if beside else []))
    here = outcome.place == "here"
    rate = "tok/s" if outcome.task.language is not None else "per s"
    head = ("candidate", *(("speed", "ms", *judged, "MB", rate) if here else ("imitated ×", *judged, "MB on disk")), "")
    rows = tuple(tuple(map(Cell, _row(outcome, result))) for result in ordered(outcome) if result.status != UNREACHED)
    return Table("All candidates", head, rows, numbers=tuple(range(1, len(head) - 1)), whole=True, where=TERMINAL)


def _row(outcome: Outcome, result: Result) -> list[str]:
    chosen = outcome.chosen is not None and result.name == outcome.chosen.name
    name = f"{'→ ' if chosen else '  '}{result.name}"
    kept = [DASH if result.retained is None else f"{result.retained.value:.1%}"]
    kept += [apart.brief(outcome, result)] if apart.shown(outcome) else []
    if outcome.place != "here":
        artifact, held = result.candidate.artifact, result.imitated
        size = f"{artifact.bytes / 1e6:.2f}" if artifact is not None else DASH
        return [name, ratio(held.speedup) if held is not None else DASH, *kept, size, _status(outcome, result)]
    memory = amounts.memory_mb(result)
    mb_of = memory.value if memory is not None else None
    shown = [amounts.paced_ms(outcome, result.name), mb_of, amounts.paced_rate(outcome, result.name)]
    ms, mb, rate = (DASH if value is None else amounts.plain(value) for value in shown)
    return [name, _speed(result), ms, *kept, mb, rate, _status(outcome, result)]


def _speed(result: Result) -> str:
    """In few letters, with a mark where it is rough; its interval is in the report, and for the choice in the verdict."""
    figure, sign = (result.noisy, "~") if result.noisy is not None else (result.speedup, "")
    if result.candidate.recipe.unrepresentative:
        return NOT_REPRESENTATIVE
    return DASH if figure is None else f"{sign}{figure.value:.3g}×"


def _status(outcome: Outcome, result: Result) -> str:
    """How far it got, in a word; what was not timed on its device is judged only."""
    if result.name == outcome.baseline:
        return "baseline"
    if result.confirmation:
        return "confirmed"
    if result.status != "measured":
        return result.status
    return "judged" if result.candidate.recipe.unrepresentative or outcome.place != "here" else "search"
