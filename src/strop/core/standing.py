"""`Standing`: how good a delivered result is, so that a worse one never takes its place unasked."""

from strop.core.noun import Noun
from strop.core.outcome import Outcome


class Standing(Noun):
    """`asked` are the gates of the run, `passed` those that its choice passed; `timed`: whether its choice could be timed."""

    bundle: bool
    asked: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()
    timed: bool = True


def standing_of(outcome: Outcome) -> Standing:
    """How good an outcome is."""
    chosen = outcome.chosen
    judged = chosen.verdict.results if chosen is not None and chosen.verdict is not None else ()
    return Standing(
        bundle=chosen is not None, asked=tuple(map(str, outcome.gates)),
        passed=tuple(str(r.gate) for r in judged if r.result == "PASS"), timed=_timed(outcome),
    )  # fmt: skip


def _timed(outcome: Outcome) -> bool:
    """Whether the choice has a confirmed speed-up. That of the baseline over itself may be left out to keep the budget."""
    chosen = outcome.chosen
    if chosen is not None and chosen.name != outcome.baseline:
        return chosen.confirmation is not None and chosen.confirmation.speedup is not None
    left_out = outcome.budget.left_out if outcome.budget is not None else ()
    return outcome.noise.speedup is not None or any(saving.what == "self-comparison" for saving in left_out)


def why_worse(new: Standing, old: Standing) -> str:
    """Why the new result is worse than the old one; empty where it is not.

    A bundle decides first, then the gates that both were asked for, then whether it was timed.
    """
    if new.bundle != old.bundle:
        return "the new one has no bundle" if old.bundle else ""
    lost = [gate for gate in old.passed if gate in new.asked and gate not in new.passed]
    gained = [gate for gate in new.passed if gate in old.asked and gate not in old.passed]
    if len(lost) != len(gained):
        return f"the new one does not pass {', '.join(lost)}" if len(lost) > len(gained) else ""
    return "the new one could not be timed" if old.timed and not new.timed else ""
