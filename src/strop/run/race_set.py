"""One set of a race: a fresh process for each contestant, and short blocks in balanced rounds; one runs, all others sleep."""

import contextlib
import random
import time
from collections.abc import Sequence
from typing import NamedTuple

from strop.core.disturbance import delayed
from strop.core.errors import BudgetError, WorkerCrash, WorkerError
from strop.core.measurement import Block
from strop.core.race import BASELINE, COPY, Dropout, RaceSet, Turn, round_orders
from strop.core.race_statistics import LEAST_ROUNDS
from strop.core.statistics import block_latency
from strop.run.building import failure_of
from strop.run.pairing import BLOCK_S, MOST_RUNS, MOST_TRIES, TO_OPEN, Seat, Subject, identity_of, least_runs
from strop.worker.call import Limits

RESTLESS, RESTLESS_S = 0.01, 0.02
"""A process that used more than this share of a CPU while it slept, over at least so many seconds, is stopped from then on."""
SHARE_OF_FREE = 0.6
"""Of the memory that is free, what the limits of a set may come to together."""


class SetPlan(NamedTuple):
    """What is common to a set: its number in the race, rounds, seed, the CPUs to pin to (empty: none), and `time.monotonic()` at
    which no new round begins."""

    number: int
    rounds: int
    seed: int
    cores: Sequence[int] = ()
    late: float = float("inf")


class Starter(Seat):
    """A contestant's process during one set."""

    def __init__(self, subject: Subject, limits: Limits, cores: Sequence[int]) -> None:
        super().__init__(subject, limits, cores)
        self.restless = False
        self._rested: tuple[float, int | None] = (0.0, None)

    def rest(self) -> None:
        assert self.child is not None
        super().rest()
        if self.restless and not self.child.stopped:
            self.child.pause()
        self._rested = time.monotonic(), self.child.cpu_ns()

    def notice_unrest(self) -> None:
        """Whether it used a CPU while it should have slept."""
        assert self.child is not None
        begin, before = self._rested
        slept, after = time.monotonic() - begin, None if self.child.stopped else self.child.cpu_ns()
        if before is not None and after is not None and slept > RESTLESS_S:
            self.restless = self.restless or (after - before) / 1e9 > RESTLESS * slept

    def take_turn(self, place: int, length_s: float) -> Turn:
        """One block of that length, repeated at once while it is disturbed."""
        self.notice_unrest()
        refused: list[Block] = []
        least = least_runs(self.subject)
        for _ in range(MOST_TRIES):
            runs = min(MOST_RUNS, max(least, round(length_s * 1e9 / max(1, self.median_ns))))
            block = self.block("A" if place == BASELINE else "B", runs)
            if not delayed(block, self.subject.threads):
                self.median_ns = max(1, round(block_latency(block)))
                return Turn(place=place, block=block, refused=tuple(refused))
            refused.append(block)
        return Turn(place=place, block=None, refused=tuple(refused))


def run_set(subjects: Sequence[Subject], limits: Sequence[Limits], plan: SetPlan) -> RaceSet:
    """Fresh processes of all these, and the rounds that they run until it is late.

    Args:
        subjects: the baseline, the baseline again, then the others.

    Raises:
        WorkerError: the baseline failed; its `subject` names it. BudgetError: the budget ended before enough rounds were run.
    """
    rng = random.Random(f"{plan.seed}-{plan.number}-{'-'.join(s.name for s in subjects)}")
    failed: dict[str, Dropout] = {}
    rounds: list[tuple[Turn, ...]] = []
    with contextlib.ExitStack() as stack:
        seats = {
            place: stack.enter_context(Starter(of, limit, plan.cores[: max(1, of.threads)]))
            for place, (of, limit) in enumerate(zip(subjects, limits, strict=True))
        }
        for action in TO_OPEN:
            for place in list(seats):
                try:
                    action(seats[place])
                except WorkerError as error:
                    _drop_out(seats, place, subjects, failed, error)
        with contextlib.suppress(_EnoughRounds):
            for order in round_orders(len(subjects), plan.rounds, rng):
                if time.monotonic() > plan.late and len(rounds) >= LEAST_ROUNDS:
                    break
                rounds.append(_round(seats, order, subjects, failed, len(rounds)))
        restless = tuple(sorted({seat.subject.name for seat in seats.values() if seat.restless}))
        warmups = tuple(seats[place].warmup_runs if place in seats else 0 for place in range(len(subjects)))
    return RaceSet(
        index=plan.number, seed=plan.seed, contestants=names_of(subjects), sides=tuple(map(identity_of, subjects)),
        threads=tuple(of.threads for of in subjects), warmup_runs=warmups, cores=tuple(plan.cores), rounds=tuple(rounds),
        failed=failed, restless=restless,
    )  # fmt: skip


class _EnoughRounds(Exception):
    """The budget ended after enough rounds for the set to say something."""


def _round(
    seats: dict[int, Starter], order: Sequence[int], subjects: Sequence[Subject], failed: dict[str, Dropout], done: int
) -> tuple[Turn, ...]:
    """A turn of each that is still there."""
    length_s = max(BLOCK_S, least_runs(subjects[BASELINE]) * seats[BASELINE].median_ns / 1e9)
    turns = []
    for place in order:
        if place in seats:
            try:
                turns.append(seats[place].take_turn(place, length_s))
            except BudgetError:
                if done >= LEAST_ROUNDS:
                    raise _EnoughRounds from None
                raise
            except WorkerError as error:
                _drop_out(seats, place, subjects, failed, error)
    return tuple(turns)


def _drop_out(
    seats: dict[int, Starter], place: int, subjects: Sequence[Subject], failed: dict[str, Dropout], error: WorkerError
) -> None:  # fmt: skip
    """The end of one contestant ends its part alone, unless it is the baseline."""
    if place in (BASELINE, COPY):
        error.subject = subjects[BASELINE].name
        raise error
    seats.pop(place).leave()
    killed = isinstance(error, WorkerCrash) and error.killed
    failed[subjects[place].name] = Dropout(failure=failure_of("timing", error), killed=killed)


def names_of(subjects: Sequence[Subject]) -> tuple[str, ...]:
    """Names by place; the baseline's second process has one of its own."""
    return (subjects[BASELINE].name, f"{subjects[BASELINE].name} (again)", *(of.name for of in subjects[COPY + 1 :]))


def how_many_fit(limits: Sequence[int], always: int, free: int) -> int:
    """How many contestants, of those in line, fit in memory beside what is always there.

    Args:
        limits: of each contestant's process, bytes. always: of the others together, bytes.
        free: bytes that are free now.
    """
    left = SHARE_OF_FREE * free - always
    for count, limit in enumerate(limits):
        left -= limit
        if left < 0:
            return count
    return len(limits)
