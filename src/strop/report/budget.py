"""What a run left out to keep its budget, in sentences."""

from strop.core.budget import BudgetUse, Saving

MINUTE = 60


def duration(seconds: float) -> str:
    """`45 s`, `3 min`, rounded as an estimate deserves."""
    if seconds < 2 * MINUTE:
        return f"{max(5, 5 * round(seconds / 5))} s"
    return f"{seconds / MINUTE:.0f} min"


def budget_line(asked: float | str, seconds: float, estimate: float | None) -> str:
    """What the budget is, once it is known: `180 s (auto: ...)`."""
    if asked != "auto" or estimate is None:
        return f"{seconds:.0f} s"
    if estimate > seconds:
        return f"{seconds:.0f} s (auto); --budget none measures everything, in about {duration(estimate)}"
    return f"{seconds:.0f} s (auto), which is what measuring everything is estimated to take"


def budget_notes(used: BudgetUse) -> list[str]:
    """One note for the report, empty where nothing was left out."""
    if not used.left_out or used.seconds is None:
        return []
    first, *others = (f"{_left_out(saving)}{_more(saving)}" for saving in used.left_out)
    sentences = " ".join([first, *(text[0].upper() + text[1:] for text in others)])
    return [f"To keep the budget of {used.seconds:.0f} s{' (auto)' if used.asked == 'auto' else ''}: {sentences}"]


def _left_out(saving: Saving) -> str:
    count = saving.count
    return {
        "settings": f"{count} of the baseline's settings {_was(count)} not tried, so no speed-up passes a gate",
        "candidates": f"{_so_many(count, 'candidate')} not reached",
        "samples": "the confirmation took fewer samples, so its intervals are wider",
        "finalists": f"{_so_many(count, 'finalist')} not confirmed",
        "self-comparison": "the baseline was not timed against itself",
        "confirmation": "there was no confirmation: speeds are rough figures of the search, and gates on time are unmeasured",
    }[saving.what]


def _so_many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'} {_was(count)}"


def _was(count: int) -> str:
    return "was" if count == 1 else "were"


def _more(saving: Saving) -> str:
    """What more time would buy."""
    if saving.more_s is None or saving.more_s <= 0:
        return "."
    buys = {
        "candidates": "try " + ("it" if saving.count == 1 else "them"),
        "samples": "take all of them",
        "finalists": "confirm " + ("it" if saving.count == 1 else "them"),
        "self-comparison": "do that too",
        "confirmation": f"confirm {saving.count} finalist{'' if saving.count == 1 else 's'}",
        "settings": "try them",
    }[saving.what]
    return f"; about {duration(saving.more_s)} more would {buys}."
