"""Does a race find what is there, and nothing else? `python -m benchmarks raced`; a killed run goes on.

Each race holds the baseline, its second process, further processes of the same program, and some that are slowed down by 5 % on
purpose, at one thread, alone and beside seeded neighbors: three sets of a run's usual rounds. The same should not be told apart,
the slower should.
"""

import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.comparison import latency_ns, limits, one_by_one, subject, two_models
from benchmarks.models import Model
from benchmarks.neighbors import neighbors
from benchmarks.options import Options
from benchmarks.power import NEIGHBORS, PLANTED, write_work
from benchmarks.results import Figures
from strop.core.race import MOST, SETS
from strop.core.race_statistics import Race
from strop.core.verdict import Interval
from strop.plan.ladder import ROUNDS, RaceCosts, rounds_that_fit
from strop.run.host import HERE
from strop.run.pairing import BLOCK_S, MIN_RUNS
from strop.run.quiet import quieter_cpus
from strop.run.race_set import SetPlan, run_set
from strop.worker.call import Work

REPEATS = 3
SAME, SLOWER = 6, 5
"""Contestants of each kind; with the baseline's second process as many as a set may have."""


def run(options: Options) -> int:
    models = two_models(options)
    with tempfile.TemporaryDirectory(prefix="strop-raced-") as folder:
        works = write_work(Path(folder) / "honest", 1.0), write_work(Path(folder) / "slower", PLANTED)
        tasks = [
            (
                {"model": m.name, "neighbors": count, "repeat": repeat},
                partial(race, m, works, count, repeat, options.smoke),
            )
            for repeat in range(1 if options.smoke else options.repeats or REPEATS)
            for count in NEIGHBORS
            for m in models
        ]
        done = one_by_one("raced", options, tasks, models)
    options.write("raced", {"planted": 1 / PLANTED, "comparisons": done})
    return 0


def race(model: Model, works: tuple[Path, Path], count: int, repeat: int, smoke: bool) -> dict[str, Any]:
    """Three sets, and what they say of each contestant over the baseline."""
    honest, slower = works
    same, slow = (2, 1) if smoke else (SAME, SLOWER)
    assert 1 + SAME + SLOWER == MOST
    baseline = subject(model, 1, "honest", Work(honest))
    others = [subject(model, 1, f"same {i}", Work(honest)) for i in range(same)]
    others += [subject(model, 1, f"slower {i}", Work(slower)) for i in range(slow)]
    subjects = [baseline, baseline, *others]
    turn_s = max(BLOCK_S, MIN_RUNS * latency_ns(baseline) / 1e9)
    rounds = ROUNDS[0] if smoke else rounds_that_fit(float("inf"), RaceCosts(0.0, turn_s * (len(subjects) + 1)), ROUNDS)
    begin, sets = time.monotonic(), []
    with neighbors(count, seed=repeat):
        for number in range(SETS):
            plan = SetPlan(number, rounds, repeat, quieter_cpus(HERE, 1, number))
            sets.append(run_set(subjects, [limits()] * len(subjects), plan))
    found = Race(sets)
    figures = {of.name: found.speed(of.name) for of in others}
    return {
        "seconds": round(time.monotonic() - begin, 1), "rounds": rounds, "void": found.void,
        "clocks": sorted({str(found.clock(of.name, baseline.name)) for of in others}),
        "same": [shown(figure) for name, figure in figures.items() if name.startswith("same")],
        "slower": [shown(figure) for name, figure in figures.items() if name.startswith("slower")],
        "dropped_wrongly": sum(beaten(found, of.name, others) for of in others if of.name.startswith("same")),
        "speedup": f"{sum(f is not None for f in figures.values())} of {len(figures)} have a figure",
    }  # fmt: skip


def beaten(found: Race, name: str, others: list[Any]) -> bool:
    """Whether a rival would end its race, by the rule of a run."""
    rivals = [n for n in (found.names[0], *(of.name for of in others)) if n != name]
    return any((figure := found.beats(rival, name, len(rivals))) is not None and figure.low > 1.0 for rival in rivals)


def shown(figure: Interval | None) -> list[float] | None:
    return None if figure is None else [round(x, 5) for x in (figure.low, figure.value, figure.high)]


def render(figures: Figures) -> list[str]:
    rows, planted = figures["comparisons"], figures["planted"]
    lines = [
        f"Races of {SETS} sets at one thread. *Same*: further processes of the baseline's program, whose interval should hold 1.",
        f"*Slower*: by 5 % on purpose, a true speed of {planted:.4f}; found: the interval lies below 1.",
        "",
        "| beside | races | void | same holds 1 | slower found | slower holds the truth | half-width | by CPU time | seconds |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for count in dict.fromkeys(row["neighbors"] for row in rows):
        mine = [row for row in rows if row["neighbors"] == count]
        same = [f for row in mine for f in row["same"] if f is not None]
        slow = [f for row in mine for f in row["slower"] if f is not None]
        held = sum(low <= 1 <= high for low, _, high in same), sum(low <= planted <= high for low, _, high in slow)
        widths = sorted((high - low) / 2 / value for low, value, high in [*same, *slow])
        seconds, by_cpu = sorted(row["seconds"] for row in mine), sum("CPU time" in row["clocks"] for row in mine)
        lines.append(
            f"| {count} neighbors | {len(mine)} | {sum(row['void'] for row in mine)} | {held[0]} of {len(same)} "
            f"| {sum(high < 1 for _, _, high in slow)} of {len(slow)} | {held[1]} "
            f"| {widths[len(widths) // 2]:.1%} | {by_cpu} | {seconds[len(seconds) // 2]:.0f} |"
        )
    return lines
