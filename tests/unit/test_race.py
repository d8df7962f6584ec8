"""Races: balanced rounds, comparisons within rounds by either clock, and who is told apart from whom."""

import math
import random
from collections import Counter

import numpy as np
import pytest
from benchmarks.races import MACHINES, simulated
from hypothesis import given
from hypothesis import strategies as st

from strop.core.candidate import Candidate, Result
from strop.core.measurement import Block, Memory
from strop.core.race import BASELINE, RaceSet, Turn, balanced_rows, round_orders
from strop.core.race_statistics import ERROR, PROCESS_BIAS, Comparisons, Race, residual
from strop.run.checking import Footprint
from strop.run.race import FLOOR_BYTES, limit_of
from strop.run.race_set import SHARE_OF_FREE, how_many_fit
from strop.run.timing import timing_of_race
from strop.run.trial import Trial

from .makers import MS, block, recipe

NAMES = ("original", "original (again)", "twice", "half")
LATENCY = {"original": MS, "original (again)": MS, "twice": MS / 2, "half": 2 * MS}


@given(st.integers(2, 14))
def test_each_follows_each_other_equally_often(count):
    rows = balanced_rows(count)
    assert all(sorted(row) == list(range(count)) for row in rows)
    follows = Counter((row[i], row[i + 1]) for row in rows for i in range(count - 1))
    assert len(follows) == count * (count - 1)
    assert len(set(follows.values())) == 1


@given(st.integers(2, 13), st.integers(1, 20), st.integers(0, 5))
def test_a_round_holds_everybody_once_and_the_baseline_twice(count, rounds, seed):
    orders = round_orders(count, rounds, random.Random(seed))
    assert len(orders) == rounds
    assert all(sorted(order) == sorted([BASELINE, *range(count)]) for order in orders)


def made_block(name: str, side: str, factor: float = 1.0, **counters: float) -> Block:
    return block(side, LATENCY[name] * factor, **counters)


def race_set(index: int = 0, rounds: int = 8, names=NAMES, slow=None, refuse=(), threads: int = 1, **fields) -> RaceSet:
    """slow: factor on every latency, by round: what all share. refuse: names whose every block is disturbed, and kept waiting."""
    made = []
    for number in range(rounds):
        factor = slow(number) if slow else 1.0
        turns = []
        for place in (0, *range(len(names))):
            side, name = "A" if place == BASELINE else "B", names[place]
            if name in refuse:
                busy = made_block(name, side, 3 * factor, cpu=1 / 3, delay_ns=2 * LATENCY[name] * 10)
                turns.append(Turn(place=place, block=None, refused=(busy,) * 5))
            else:
                turns.append(Turn(place=place, block=made_block(name, side, factor, delay_ns=0)))
        made.append(tuple(turns))
    return RaceSet(
        index=index, seed=0, contestants=tuple(names), sides=tuple(names), threads=(threads,) * len(names),
        warmup_runs=(3,) * len(names), rounds=tuple(made), **fields,
    )  # fmt: skip


def test_what_a_round_shares_drops_out():
    race = Race([race_set(i, slow=lambda n: 1 + n / 2) for i in range(2)])
    assert race.speed("twice").value == pytest.approx(2.0)
    assert race.speed("half").value == pytest.approx(0.5)
    assert race.speed("twice", "half").value == pytest.approx(4.0)
    assert race.speed("half", "twice").high < 0.26
    assert not race.void


def test_one_set_says_no_more_than_the_bias_of_two_processes_allows():
    figure = Race([race_set()]).speed("twice")
    assert math.log(figure.high / figure.value) == pytest.approx(2 * PROCESS_BIAS)


def test_who_was_never_in_a_set_together_is_not_compared():
    race = Race([race_set(0, names=NAMES[:3]), race_set(1, names=(*NAMES[:2], "half"))])
    assert race.speed("twice") is not None
    assert race.speed("half") is not None
    assert race.speed("twice", "half") is None
    assert race.looks("half") == 1


def test_a_race_in_which_the_baseline_differs_from_itself_is_void():
    rng = np.random.default_rng(1)
    sets = [{name: rng.normal(shift, 0.002, 12) for name, shift in (("a", 0.0), ("again", 0.1), ("b", 0.0))} for _ in range(2)]
    assert Comparisons({"wall time": sets}).void


def test_where_wall_time_gives_no_number_cpu_time_does():
    race = Race([race_set(i, refuse=("twice",)) for i in range(2)])
    assert race.clock("twice", "original") == "CPU time"
    assert race.speed("twice").value == pytest.approx(2.0)
    assert race.clock("half", "original") == "wall time"
    timing = timing_of_race(race, "twice", "")
    assert (timing.clock, timing.mode, timing.rough) == ("CPU time", "race", None)
    assert timing.excluded_why == {"delay": 16}


def test_at_several_threads_there_is_no_cpu_time_only_a_rough_figure():
    race = Race([race_set(i, refuse=("twice",), threads=2) for i in range(2)])
    timing = timing_of_race(race, "twice", "")
    assert timing.speedup is None
    assert timing.rough is not None


def test_stolen_time_spoils_cpu_time():
    one = race_set(refuse=("twice",))
    stolen = [
        tuple(t.model_copy(update={"refused": tuple(b.model_copy(update={"steal_ms": 5.0}) for b in t.refused)}) for t in order)
        for order in one.rounds
    ]
    race = Race([one.model_copy(update={"rounds": tuple(stolen)})])
    assert race.clock("twice", "original") is None


def test_what_is_left_over_by_an_additive_model():
    rows = [(0, 0, 1.0), (1, 0, 2.0), (0, 1, 3.0), (1, 1, 4.0)]
    assert residual(rows) == (pytest.approx(0.0), 1)
    assert residual([*rows[:3], (1, 1, 5.0)]) == (pytest.approx(0.25), 1)
    assert residual([]) == (0.0, 0)


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_few_simulated_races_lose_the_best(machine):
    found = simulated(machine, 24)
    assert found["best_dropped"] <= 3 * ERROR
    assert found["covered"] >= 0.9


def test_contestants_share_the_memory_that_is_free():
    limits = [100, 200, 300, 400]
    free = int((50 + sum(limits[:3]) + 1) / SHARE_OF_FREE)
    assert how_many_fit(limits, 50, free) == 3
    assert how_many_fit(limits, 50, 1) == 0
    assert how_many_fit([], 50, free) == 0


def test_a_contestant_may_hold_twice_what_it_was_seen_to_hold():
    memory = Memory(peak=300_000_000, steady=0, empty=50_000_000, total_rss=800_000_000, load_s=0, first_inference_s=0)
    seen = Trial(Result(candidate=Candidate(recipe=recipe("a"))), footprints=(Footprint(memory=memory),))
    assert limit_of(seen) == 2 * 800_000_000 + FLOOR_BYTES
    assert limit_of(Trial(seen.result)) == FLOOR_BYTES
