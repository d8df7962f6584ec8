"""Is a steady candidate taken for an unsteady one, or the other way round? A simulation: `python -m benchmarks tails`.

A machine that takes the CPU away now and then, for as long whoever runs, and candidates of several speeds: one that is as steady
as the baseline, and one a tenth of whose calls take much longer by themselves. Each is judged by the rule that Strop has, and *in
proportion*, by tail over median on both sides, as before ADR 24. Exits 1 where Strop's rule errs more often than it may.
"""

import itertools
from collections import Counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.options import Options
from benchmarks.results import Figures
from strop.core.gate import DEFAULT_GATES, judge_one
from strop.core.measurement import Block, Quad, Side
from strop.core.statistics import latencies
from strop.core.tail import tail_ratio

DRAWS = 100
MOST = 0.025
"""Verdicts on the wrong side: half of the error, since a run may look twice."""
GATE = next(g for g in DEFAULT_GATES if g.metric == "tail_ratio")
PAIRS, QUADS, CALLS, PERCENTILE = 5, 6, 4, 95
"""A confirmation of a model of 10 ms: 240 calls of each side, which carry a p95."""
TYPICAL_MS, DISTURBANCE_MS = 10.0, 2.0
SPEEDUPS = (0.5, 1.0, 2.0, 5.0, 10.0)
TAKEN = (0.0, 0.01, 0.03)
"""Share of its time that the machine takes for itself."""
UNSTEADY_SHARE = 0.1
"""So many of an unsteady candidate's calls take longer, by what a typical call of the slower side takes."""
RULES = ("Strop's", "in proportion")
Kept = list[list[Quad]]


class Setting(NamedTuple):
    """speedup: of the candidate; taken: share of the time that the machine takes; unsteady: whether the candidate is."""

    speedup: float
    taken: float
    unsteady: bool


def settings() -> list[Setting]:
    return [Setting(*parts) for parts in itertools.product(SPEEDUPS, TAKEN, (False, True))]


def drawn(rng: np.random.Generator, setting: Setting) -> Kept:
    """The quads of a confirmation."""
    return [[one_quad(rng, setting) for _ in range(QUADS)] for _ in range(PAIRS)]


def one_quad(rng: np.random.Generator, setting: Setting) -> Quad:
    first, second, third, fourth = (block(side, calls(rng, side, setting)) for side in ("A", "B", "B", "A"))
    return Quad(blocks=(first, second, third, fourth))


def calls(rng: np.random.Generator, side: str, setting: Setting) -> NDArray[np.float64]:
    """Milliseconds."""
    typical = TYPICAL_MS / (setting.speedup if side == "B" else 1.0)
    found = typical * np.exp(rng.normal(0, 0.01, CALLS))
    if side == "B" and setting.unsteady:
        found += max(typical, TYPICAL_MS) * (rng.random(CALLS) < UNSTEADY_SHARE)
    return np.asarray(found + DISTURBANCE_MS * rng.poisson(setting.taken * found / DISTURBANCE_MS))


def block(side: Any, calls_ms: NDArray[np.float64]) -> Block:
    ns = tuple(int(ms * 1e6) for ms in calls_ms)
    return Block(side=side, latencies_ns=ns, wall_ns=sum(ns), cpu_ns=sum(ns), voluntary=0, involuntary=0)


def in_proportion(kept: Kept) -> Kept:
    """The same with the candidate's calls stretched until both medians are equal, which leaves proportions to compare."""

    def median(side: Side) -> float:
        return float(np.median(latencies([quad for pair in kept for quad in pair], side)))

    factor = median("A") / median("B")

    def stretched(found: Block) -> Block:
        return found if found.side == "A" else block("B", np.array(found.latencies_ns) * factor / 1e6)

    def one(quad: Quad) -> Quad:
        first, second, third, fourth = map(stretched, quad.blocks)
        return Quad(blocks=(first, second, third, fourth))

    return [[one(quad) for quad in pair] for pair in kept]


def one_setting(rng: np.random.Generator, setting: Setting, draws: int) -> dict[str, Any]:
    """By rule: share of each verdict."""
    counts: dict[str, Counter[str]] = {rule: Counter() for rule in RULES}
    for _ in range(draws):
        kept = drawn(rng, setting)
        for rule, shown in zip(RULES, (kept, in_proportion(kept)), strict=True):
            counts[rule][judge_one(GATE, tail_ratio(shown, PERCENTILE)).result] += 1
    return {**setting._asdict(), "verdicts": {rule: {k: n / draws for k, n in found.items()} for rule, found in counts.items()}}


def wrong(row: dict[str, Any], rule: str) -> float:
    """Share of verdicts on the wrong side; a verdict that stays open is none."""
    return float(row["verdicts"][rule].get("PASS" if row["unsteady"] else "FAIL", 0.0))


def run(options: Options) -> int:
    rng = np.random.default_rng(0)
    draws = 5 if options.smoke else DRAWS
    rows = [one_setting(rng, setting, draws) for setting in settings()]
    worst = {rule: max(wrong(row, rule) for row in rows) for rule in RULES}
    passed = {rule: min(row["verdicts"][rule].get("PASS", 0.0) for row in rows if not row["unsteady"]) for rule in RULES}
    options.write("tails", {"draws": draws, "most": MOST, "rows": rows, "worst": worst, "least_passed": passed})
    print(f"tails: most wrong verdicts {worst}, fewest steady ones that pass {passed}")
    return 0 if worst[RULES[0]] <= MOST or options.smoke else 1


def render(figures: Figures) -> list[str]:
    lines = [
        f"{figures['draws']} simulated confirmations a row, of {PAIRS * QUADS * 2 * CALLS} calls of either side; the default",
        f"gate on `tail_ratio` judges the p{PERCENTILE}. The machine takes the CPU away for {DISTURBANCE_MS:g} ms at a time from",
        f"a baseline whose calls take {TYPICAL_MS:g} ms. *Unsteady*: a tenth of the candidate's calls take longer by themselves.",
        "*In proportion*: tail over median on both sides, as before [ADR 24](adr/0024-the-tail.md). The command fails where",
        f"Strop's verdict is on the wrong side in more than {figures['most']:.1%}.",
        "",
        "| speed-up | taken by the machine | candidate | passes | open | fails | in proportion: passes | open | fails |",
        "|---:|---:|---|---:|---:|---:|---:|---:|---:|",
    ]  # fmt: skip
    for row in figures["rows"]:
        shares = [f"{row['verdicts'][rule].get(k, 0.0):.0%}" for rule in RULES for k in ("PASS", "INCONCLUSIVE", "FAIL")]
        kind = "unsteady" if row["unsteady"] else "steady"
        lines.append(f"| {row['speedup']:g} | {row['taken']:.0%} | {kind} | {' | '.join(shares)} |")
    return lines
