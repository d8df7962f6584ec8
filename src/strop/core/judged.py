"""Judgments of gates in words: a goal that is missed is "not reached", and failing is for musts alone."""

from collections.abc import Sequence

from strop.core.candidate import Result
from strop.core.verdict import GateResult

WORDS = {"PASS": "passed", "FAIL": "failed", "INCONCLUSIVE": "open", "UNMEASURED": "unmeasured",
         "NOT APPLICABLE": "not applicable"}  # fmt: skip
SIGNS = {"PASS": "✓", "FAIL": "✗", "INCONCLUSIVE": "?", "UNMEASURED": "?", "NOT APPLICABLE": "–"}
NOT_REACHED = "not reached"
CAUSES = {"no data": "no data were given", "too busy": "the machine was too busy", "no time": "the budget left no time"}


def word(result: GateResult) -> str:
    """`passed`, `failed`, `not reached`, `open`, `unmeasured` or `not applicable`."""
    return NOT_REACHED if _short_of_goal(result) else WORDS[result.result]


def mark(result: GateResult) -> str:
    """The word with its sign."""
    return f"{'–' if _short_of_goal(result) else SIGNS[result.result]} {word(result)}"


def look(result: GateResult) -> str:
    """How it looks on the page: a goal that is not reached is no alarm."""
    return "unreached" if _short_of_goal(result) else result.result.lower().replace(" ", "-")


def found(result: GateResult) -> str:
    """`speedup ≥ 2 (found 1.75)`."""
    if result.result == "NOT APPLICABLE":
        return f"{result.gate} ({result.reason})"
    return str(result.gate) if result.figure is None else f"{result.gate} (found {result.figure.value:.3g})"


def missed_words(results: Sequence[GateResult]) -> str:
    """What did not pass, in groups: `Goals not reached: speedup ≥ 2 (found 1.75). Goals open: …`. Empty where all passed."""
    groups: dict[tuple[str, str], list[str]] = {}
    for result in results:
        if result.result != "PASS":
            groups.setdefault((result.gate.kind, word(result)), []).append(found(result))
    return " ".join(f"{kind.capitalize()}{'s' * (len(of) > 1)} {how}: {'; '.join(of)}." for (kind, how), of in groups.items())


def unmeasured_musts(result: Result) -> tuple[GateResult, ...]:
    """Musts that nobody could measure here, so that the choice rests on less than was asked for."""
    judged = result.verdict.results if result.verdict is not None else ()
    return tuple(r for r in judged if r.gate.kind == "must" and (r.result == "UNMEASURED" or r.elsewhere))


def unmeasured_words(result: Result, where: str = "") -> str:
    """`a must is unmeasured (accuracy_retained ≥ 0.95: no data were given)`; empty where every must was measured.

    Args:
        where: the device that was not at hand.
    """
    musts = unmeasured_musts(result)
    if not musts:
        return ""
    shown = [f"{r.gate}: {CAUSES[r.cause]}" if r.cause is not None else str(r.gate) for r in musts]
    many = "musts are" if len(musts) > 1 else "a must is"
    return f"{many} unmeasured{f' on {where}' if where else ''} ({'; '.join(shown)})"


def _short_of_goal(result: GateResult) -> bool:
    return result.gate.kind == "goal" and result.result == "FAIL"
