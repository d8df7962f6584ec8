"""`Asked`, `Saving`, `BudgetUse`: the time a run was given, and what it left out to keep to it."""

from typing import Literal

from strop.core.noun import Noun

Asked = float | Literal["auto"] | None
"""Seconds; `auto`: estimated once the given model was built and checked; None: no limit."""

LeftOut = Literal["settings", "candidates", "samples", "finalists", "self-comparison", "confirmation"]
"""What a run leaves out for want of time.

`settings`: variants of the baseline that were not tried. `candidates`: recipes that were not reached. `samples`: fewer pairs
or quads than a full confirmation has. `finalists`: fewer than were worth confirming. `self-comparison`: the baseline was
not timed against itself (A/A). `confirmation`: there was none; speeds are rough figures of the search.
"""


class Saving(Noun):
    """Something left out for want of time.

    count: of how many settings, candidates or finalists. more_s: about so many seconds more would have included it.
    """

    what: LeftOut
    count: int = 0
    more_s: float | None = None


class BudgetUse(Noun):
    """The budget of a run, as it was asked for and in seconds (None: no limit), and what was left out to keep it.

    estimate_s: of `auto`: what a run that leaves nothing out was estimated to take.
    """

    asked: Asked
    seconds: float | None = None
    estimate_s: float | None = None
    left_out: tuple[Saving, ...] = ()
