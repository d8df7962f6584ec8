"""The clock of a run: how long it may take, and how much of that is kept for the stages to come."""

import contextlib
import time
from collections.abc import Iterator
from statistics import median
from typing import Literal, get_args

from strop.core.budget import Asked, LeftOut, Saving
from strop.core.errors import BudgetError

Stage = Literal["reference", "tuning", "search", "ranking", "confirmation", "throughput", "beside", "delivery"]
"""In this order. `reference`: the given model, built and checked. `ranking`: a short look at the throughput of what the search
found; `throughput`: its confirmation. `beside`: comparisons that decide nothing. `delivery`: what has to be done for there to be
a result at all; it is never cut off."""
STAGES: tuple[Stage, ...] = get_args(Stage)
PACK_S, PACK_SHARE = 4.0, 0.25
"""For judging, packing and writing the report; at most this share of what there is."""
RECENT, PACE, CAUTION = 5, (0.5, 4.0), 1.5
"""So many measurements correct the estimates, by so much at least and at most; until one did, estimates are this much longer."""


def packing_s(left: float | None) -> float:
    """Seconds to keep for packing, out of so many."""
    return min(PACK_S, PACK_SHARE * left) if left is not None else PACK_S


@contextlib.contextmanager
def least_of(asked: Asked) -> Iterator[None]:
    """Around what no answer can do without: the given model read, built and checked.

    Raises:
        BudgetError: the budget ended before the block did.
    """
    try:
        yield
    except BudgetError as error:
        shown = f"{asked:g} s" if isinstance(asked, float) else str(asked)
        raise BudgetError(
            f"a budget of {shown} is below one build and one check of the given model: it ended before they were done",
            "give a larger --budget, or leave it out: auto is estimated from that first build and check",
        ) from error


class Budget:
    """Seconds for the whole run, or none. Each stage may take what is left, less what is kept for those after it."""

    def __init__(self, asked: Asked, start: float | None = None) -> None:
        """
        Args:
            asked: "auto" has no limit until it is settled. start: `time.monotonic()` of the command; now where not given.
        """
        self.asked = asked
        self.total = None if isinstance(asked, str) else asked
        self.start = time.monotonic() if start is None else start
        self.stage: Stage = "reference"
        self.estimate: float | None = None
        self.savings: list[Saving] = []
        self._kept: dict[Stage, float] = {"delivery": packing_s(self.total)}
        self._share_ends = float("inf")
        self._ratios: list[float] = []

    @property
    def spent(self) -> float:
        return time.monotonic() - self.start

    def settle(self, seconds: float, estimate: float) -> None:
        """What `auto` comes to, and what a full run was estimated to take."""
        self.total, self.estimate = seconds, estimate

    def enter(self, stage: Stage) -> None:
        """The stage that is paid for from here on."""
        self.stage = stage

    @contextlib.contextmanager
    def paying(self, stage: Stage) -> Iterator[None]:
        """The block is paid for by that stage; then the present one goes on."""
        present, self.stage = self.stage, stage
        try:
            yield
        finally:
            self.stage = present

    def kept(self, stage: Stage) -> float:
        """Seconds that are kept for that stage."""
        return self._kept.get(stage, 0.0)

    def keep(self, stage: Stage, seconds: float) -> None:
        """So many seconds are kept for that stage."""
        self._kept[stage] = max(0.0, seconds)

    def left(self) -> float:
        """Seconds that the present stage may still take; infinite without a budget."""
        return self.left_until(self.stage)

    def left_until(self, stage: Stage) -> float:
        """Seconds until the end of that stage."""
        return float("inf") if self.total is None else max(0.0, self.start + self.total - self._after(stage) - time.monotonic())

    def lacks(self, what: LeftOut) -> bool:
        """Whether this was left out for want of time."""
        return any(saving.what == what for saving in self.savings)

    def share(self, count: int) -> None:
        """What is left is divided among so many that wait: the first of them has its share from now on."""
        self._share_ends = time.monotonic() + self.left() / max(1, count)

    @property
    def share_spent(self) -> bool:
        """Whether more repeats would be at the cost of those that wait."""
        return time.monotonic() >= self._share_ends

    def observe(self, estimated: float, taken: float) -> None:
        """A measurement was estimated, at the present pace, to take so long, and took so long."""
        if estimated > 0:
            self._ratios = [*self._ratios, self.pace * taken / estimated][-RECENT:]

    @property
    def pace(self) -> float:
        """What estimates are multiplied by: the median of what recent ones were off by."""
        return min(max(median(self._ratios), PACE[0]), PACE[1]) if self._ratios else CAUTION

    @property
    def deadline(self) -> float | None:
        """`time.monotonic()` at which whatever runs is ended; None without a budget, and for what has to be done."""
        if self.total is None or self.stage == "delivery":
            return None
        return self.start + self.total - self._after(self.stage)

    def _after(self, stage: Stage) -> float:
        """What is kept for the stages after that one."""
        return sum(self._kept.get(later, 0.0) for later in STAGES[STAGES.index(stage) + 1 :])
