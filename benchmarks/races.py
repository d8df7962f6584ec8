"""Do races keep the best and cover what they claim? A simulation, no processes: `python -m benchmarks races`.

Contestants with known speeds take part in sets of rounds on machines that drift, whose contestants disturb whoever follows
them, whose processes are biased and whose noise is correlated. The rules of a run's race decide who leaves. Exits 1 where the
best contestant was dropped in over 5 % of the fields of any kind, or intervals cover less than 93 %.
"""

import math
import random
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.options import Options
from benchmarks.results import Figures
from strop.core.race import BASELINE, COPY, MOST, SETS, round_orders
from strop.core.race_statistics import ERROR, Comparisons

FIELDS, ROUNDS = 400, 12
LEAST = 0.93
ORIGINAL, AGAIN = "original", "original, again"

Floats = NDArray[np.float64]


class Machine(NamedTuple):
    """How a simulated machine errs, log scale.

    bias: sd of a process; of one in four it is twice that. noise: sd of a turn. memory: correlation of neighboring turns' noise.
    drift: over a set, from its first turn to its last. carry: sd of what a contestant does to whoever follows it.
    spikes: share of the turns that are slower by a third.
    """

    name: str
    bias: float = 0.005
    noise: float = 0.01
    memory: float = 0.0
    drift: float = 0.0
    carry: float = 0.0
    spikes: float = 0.0


MACHINES = (
    Machine("quiet"),
    Machine("drifts by 5 % a set", drift=0.05),
    Machine("carries over 1 %", carry=0.01),
    Machine("processes biased by 1 %", bias=0.01),
    Machine("correlated noise of 5 %", noise=0.05, memory=0.7),
    Machine("a turn in six disturbed", noise=0.02, spikes=1 / 6),
    Machine("all of these", 0.01, 0.03, 0.5, 0.03, 0.005, 0.08),
)


def run(options: Options) -> int:
    fields = 20 if options.smoke else FIELDS
    rows = [{"machine": machine.name, **simulated(machine, fields)} for machine in MACHINES]
    options.write("races", {"comparisons": rows})
    for row in rows:
        print(f"races: {row}", flush=True)
    bad = [r for r in rows if r["best_dropped"] > ERROR or r["covered"] < LEAST]
    return 1 if bad and not options.smoke else 0


def simulated(machine: Machine, fields: int) -> dict[str, Any]:
    found = [race(machine, seed) for seed in range(fields)]
    intervals = [one for field in found for one in field.covered]
    return {
        "fields": fields,
        "best_dropped": round(float(np.mean([field.best_dropped for field in found])), 4),
        "void": round(float(np.mean([field.void for field in found])), 4),
        "covered": round(float(np.mean(intervals)), 4),
        "half_width": round(float(np.median([w for field in found for w in field.half_widths])), 4),
        "dropped": round(float(np.mean([field.dropped for field in found])), 2),
        "contestants": MOST - 1,
    }


class Field(NamedTuple):
    """What became of one race."""

    best_dropped: bool
    void: bool
    covered: list[bool]
    half_widths: list[float]
    dropped: int


def race(machine: Machine, seed: int) -> Field:
    """Up to three sets; after each, whoever another one beats leaves."""
    rng, order = np.random.default_rng(seed), random.Random(seed)
    names = [f"c{i}" for i in range(MOST - 1)]
    truth = dict(zip(names, true_speeds(rng, len(names)), strict=True)) | {ORIGINAL: 0.0, AGAIN: 0.0}
    sd = {name: machine.bias * (2 if rng.random() < 0.25 else 1) for name in truth}
    best, running, sets, covered, widths = max(names, key=truth.__getitem__), list(names), list[dict[str, Floats]](), [], []
    left: dict[str, int] = {}
    for look in range(SETS):
        entered = [ORIGINAL, AGAIN, *running]
        sets.append(one_set(rng, order, entered, truth, sd, machine))
        found = Comparisons({"wall time": sets})
        beaten = [name for name in running if is_beaten(found, name, running)]
        for name in [*beaten, *(running if look == SETS - 1 else [])]:
            interval = found.speed(name)
            if interval is not None and name not in left:
                covered.append(interval.low <= math.exp(truth[name]) <= interval.high)
                widths.append((interval.high - interval.low) / 2 / interval.value)
        left |= dict.fromkeys(beaten, look)
        running = [name for name in running if name not in beaten]
    return Field(best in left, Comparisons({"wall time": sets}).void, covered, widths, len(left))


def is_beaten(found: Comparisons, name: str, running: list[str]) -> bool:
    rivals = [other for other in [ORIGINAL, *running] if other != name]
    figures = (found.beats(rival, name, len(rivals)) for rival in rivals)
    return any(figure is not None and figure.low > 1.0 for figure in figures)


def true_speeds(rng: np.random.Generator, count: int) -> list[float]:
    """log(speed over the baseline's): a few that are close to each other, a few ties, others far off."""
    best = rng.uniform(0.0, 1.0)
    gaps = rng.choice([0.0, 0.002, 0.005, 0.01, 0.02, 0.04, 0.1, 0.3, 1.0], count)
    return [float(best - gap) for gap in gaps]


def one_set(
    rng: np.random.Generator, order: random.Random, names: list[str], truth: dict[str, float], sd: dict[str, float],
    machine: Machine,
) -> dict[str, Floats]:  # fmt: skip
    """Readings of each contestant by round."""
    orders = round_orders(len(names), ROUNDS, order)
    count = sum(map(len, orders))
    bias = {name: rng.normal(0, sd[name]) for name in names}
    wake = {name: rng.normal(0, machine.carry) for name in names}
    shocks, noise, state = rng.normal(0, machine.noise, count), np.empty(count), 0.0
    for turn in range(count):
        state = machine.memory * state + math.sqrt(1 - machine.memory**2) * shocks[turn]
        noise[turn] = state
    noise += np.where(rng.random(count) < machine.spikes, math.log(4 / 3), 0.0) + np.linspace(0, machine.drift, count)
    readings = {name: np.full(len(orders), np.nan) for name in names}
    turn, before = 0, None
    twice: list[float] = []
    for index, places in enumerate(orders):
        twice.clear()
        for place in places:
            name = names[place]
            value = bias[name] - truth[name] + noise[turn] + (wake[before] if before is not None else 0.0)
            if place == BASELINE:
                twice.append(value)
            else:
                readings[name][index] = value
            turn, before = turn + 1, name
        readings[names[BASELINE]][index] = sum(twice) / len(twice)
    assert names[COPY] == AGAIN
    return readings


def render(figures: Figures) -> list[str]:
    lines = [
        f"Races of {MOST - 1} contestants with known speeds, simulated: up to {SETS} sets of processes, {ROUNDS} rounds each.",
        "*Best dropped*: fields in which the truly fastest left early. *Void*: the baseline differed from its second process.",
        "",
        "| machine | races | best dropped | void | intervals that cover | median half-width | left early |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    return lines + [
        f"| {r['machine']} | {r['fields']} | {r['best_dropped']:.1%} | {r['void']:.1%} | {r['covered']:.1%} "
        f"| {r['half_width']:.1%} | {r['dropped']:.1f} of {r['contestants']} |"
        for r in figures["comparisons"]
    ]
