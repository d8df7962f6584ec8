"""`RaceSet`: contestants in fresh processes, block after block in balanced rounds; and the order of these rounds. Pure."""

import random

from strop.core.candidate import Failure
from strop.core.measurement import Block
from strop.core.noun import Noun

BASELINE, COPY = 0, 1
"""Places of a set: the baseline, and a second process of it that is treated as any contestant. If the comparison of the two
misses 1, the race is void."""
MOST = 12
"""Contestants of a set besides the baseline, its second process among them."""
SETS = 3
"""Sets that a contestant takes part in at most."""


class Turn(Noun):
    """One block of the contestant at a place of the set; None where every attempt was disturbed. `refused` are those attempts."""

    place: int
    block: Block | None
    refused: tuple[Block, ...] = ()


class Dropout(Noun):
    """A contestant whose process failed during a set, and how. killed: somebody else ended it."""

    failure: Failure
    killed: bool = False


class RaceSet(Noun):
    """One fresh process for each contestant, pinned to the same cores, and the rounds that they ran.

    contestants: names, by place; the baseline first, then its second process. sides: digests of what each was. threads: of
    each session. warmup_runs: of each. cores: CPUs that they were pinned to, as many as the session with most threads may use;
    empty where a platform cannot pin. rounds: every contestant once and the baseline twice in each. failed: by name.
    restless: who used a CPU though it was not its turn, and was stopped with SIGSTOP between its turns from then on.
    """

    index: int
    seed: int
    contestants: tuple[str, ...]
    sides: tuple[str, ...]
    threads: tuple[int, ...]
    warmup_runs: tuple[int, ...]
    cores: tuple[int, ...] = ()
    rounds: tuple[tuple[Turn, ...], ...] = ()
    failed: dict[str, Dropout] = {}
    restless: tuple[str, ...] = ()


def balanced_rows(count: int) -> list[list[int]]:
    """Orders of 0 … count − 1 in which each follows each other one equally often.

    Source: Williams (1949), "Experimental designs balanced for the estimation of residual effects of treatments",
    Australian Journal of Scientific Research A 2:149–168. Twice as many rows are needed where the count is odd.
    """
    first = [0]
    for step in range(1, count):
        first.append((first[-1] + (step if step % 2 else -step)) % count)
    rows = [[(place + shift) % count for place in first] for shift in range(count)]
    return rows + [row[::-1] for row in rows] if count % 2 else rows


def round_orders(count: int, rounds: int, rng: random.Random) -> list[list[int]]:
    """Places of a set by turn, for so many rounds: the baseline twice in each at random, the others in balanced order.

    Args:
        count: contestants of the set, the baseline among them; at least two.
    """
    others = list(range(1, count))
    rng.shuffle(others)
    rows = balanced_rows(len(others))
    rng.shuffle(rows)
    orders = []
    for index in range(rounds):
        order = [others[place] for place in rows[index % len(rows)]]
        for at in sorted(rng.sample(range(len(order) + 1), 2), reverse=True):
            order.insert(at, BASELINE)
        orders.append(order)
    return orders
