"""Is the right candidate chosen? A simulation of the whole selection, no processes: `python -m benchmarks selection`.

Fields of candidates with known speed, accuracy and memory are measured with noise; the rules of a run (race, queue, confirmation
with replacement, gates, choice) decide, and what they give away against an oracle that knows the truth is counted. Exits 1 where
more than 1 % of the fields lose more than 0.01 of the weighted score.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.options import Options
from benchmarks.results import Figures
from strop.core.candidate import Candidate, Result, Timing
from strop.core.choose import DEFAULT_WEIGHTS, Contender, choose
from strop.core.finalists import first_finalists
from strop.core.gate import judge_one
from strop.core.measurement import Memory
from strop.core.race import SETS
from strop.core.race_statistics import Comparisons
from strop.core.recipe import Recipe
from strop.core.statistics import LOOKS, Ratios, paired_proportion_ratio
from strop.core.verdict import EXACTLY_ONE, RANKS, Gate, Interval
from strop.plan.ladder import ROUNDS
from strop.run.checking import Footprint
from strop.run.finalists import contender_of, entrant_of, replace_fallen, select, standing_of
from strop.run.judging import verdict_of
from strop.run.race import beaten_by
from strop.run.search import may_be_finalists
from strop.run.timing import SEARCH_PAIRS, SEARCH_QUADS, search_interval
from strop.run.trial import Trial, memory_ratio, misses_must

FIELDS = 2000
ENOUGH, LARGEST_LOSS = 0.99, 0.01
TIE_BEFORE = 0.01
WEIGHTS: tuple[dict[str, float], ...] = (
    DEFAULT_WEIGHTS, {"speed": 1.0}, {"speed": 0.5, "memory": 0.5}, {"speed": 0.8, "accuracy": 0.2},
    {"memory": 0.8, "speed": 0.2},
)  # fmt: skip
ACCURACY = Gate(metric="accuracy_retained", bound=0.95, kind="must")
TAIL = Gate(metric="tail_ratio", direction="at_most", bound=1.5, kind="must")
GATES = (Gate(metric="valid", kind="must"), ACCURACY, TAIL)
BIAS = 0.005
"""Of a process, log scale: its standard deviation."""
NOISES = (0.01, 0.03, 0.1)
"""Of a quad, log scale."""
PAIRS, QUADS = 5, 24
MOST_ROUNDS = ROUNDS[1]
MEMORY_NOISE = 300_000
"""Bytes that repeats of a peak differ by, standard deviation."""
BAD_TAIL, BAD_TAIL_SHARE = 2.2, 0.08
LOSSES = (0.0, 0.0, 0.001, 0.003, 0.01, 0.02, 0.04, 0.06, 0.1)
"""Shares of the baseline's right answers that a candidate gets wrong; it mends half as many wrong ones."""

Bools = NDArray[np.bool_]


class Truth(NamedTuple):
    """One candidate as it is. speed, memory, retained: over the baseline's. right: each evaluation example."""

    name: str
    speed: float
    memory: float
    retained: float
    tail: float
    right: Bools


class Field(NamedTuple):
    """One simulated run: its candidates in the order of the search, what it is asked for, and how noisy its machine is."""

    truths: tuple[Truth, ...]
    baseline: Bools
    peak: float
    weights: dict[str, float]
    noise: float


class Found(NamedTuple):
    """What became of a field. loss: weighted score given away; misses: the choice truly misses a must."""

    loss: float
    misses: bool
    chosen: str
    best: str
    open_better: bool


def draw_field(rng: np.random.Generator) -> Field:
    """4 to 12 candidates; every third is much like one before it."""
    right_share, examples = rng.uniform(0.6, 0.95), int(math.exp(rng.uniform(math.log(200), math.log(10_000))))
    baseline = rng.random(examples) < right_share
    truths: list[Truth] = []
    for index in range(rng.integers(4, 13)):
        kin = truths[rng.integers(len(truths))] if truths and rng.random() < 0.35 else None
        speed = kin.speed * math.exp(rng.normal(0, 0.01)) if kin else math.exp(rng.normal(0.4, 0.45))
        memory = kin.memory * math.exp(rng.normal(0, 0.02)) if kin else math.exp(rng.normal(-0.3, 0.4))
        truths.append(_answered(rng, f"c{index}", speed, memory, baseline, right_share))
    return Field(
        tuple(truths), baseline, math.exp(rng.uniform(math.log(20e6), math.log(1e9))), WEIGHTS[rng.integers(len(WEIGHTS))],
        NOISES[rng.integers(len(NOISES))],
    )  # fmt: skip


def _answered(rng: np.random.Generator, name: str, speed: float, memory: float, baseline: Bools, share: float) -> Truth:
    lost = LOSSES[rng.integers(len(LOSSES))] * rng.uniform(0.7, 1.3)
    mended = lost / 2
    draws = rng.random(len(baseline))
    right = np.where(baseline, draws >= lost, draws < mended)
    retained = 1 - lost + (1 - share) * mended / share
    tail = BAD_TAIL if rng.random() < BAD_TAIL_SHARE else 1.0
    return Truth(name, speed, memory, retained, tail, right)


class Drawn(Ratios):
    """Simulated log-ratios in the place of measured ones, one list per pair of processes; none was disturbed."""

    def __init__(self, rng: np.random.Generator, speed: float, noise: float, pairs: int, quads: int) -> None:
        super().__init__([])
        bias = rng.normal(0, BIAS, (pairs, 2))
        logs = math.log(speed) + rng.normal(0, noise, (pairs, quads)) + (bias[:, 0] - bias[:, 1])[:, None]
        self.per_pair = logs.tolist()

    @property
    def excluded(self) -> float:
        return 0.0


def with_memory(trial: Trial, more: Sequence[Footprint]) -> Trial:
    """With further repeats of its memory."""
    footprints = (*trial.footprints, *more)
    memory = tuple(f.memory for f in footprints if f.memory is not None)
    return replace(trial, footprints=footprints).with_result(memory=memory)


class Machine:
    """Measures the candidates of a field as a run does, with the noise of its own generator."""

    def __init__(self, field: Field, rng: np.random.Generator) -> None:
        self.field, self.rng = field, rng
        self.truths = {t.name: t for t in field.truths}
        result = Result(candidate=Candidate(recipe=Recipe(name="baseline", runtime="null", role="reference")), status="measured")
        plain = Trial(result.model_copy(update={
            "retained": EXACTLY_ONE, "memory_ratio": EXACTLY_ONE, "search": Timing(stage="search", speedup=EXACTLY_ONE),
        }))  # fmt: skip
        self.baseline = with_memory(plain, self.footprints(1.0, 1))

    def footprints(self, ratio: float, repeats: int) -> tuple[Footprint, ...]:
        """Repeats of a peak."""
        peaks = ratio * self.field.peak + np.abs(self.rng.normal(0, MEMORY_NOISE, repeats))
        return tuple(
            Footprint(memory=Memory(peak=int(p), steady=0, empty=0, total_rss=0, load_s=0, first_inference_s=0)) for p in peaks
        )

    def checked(self, truth: Truth) -> Trial:
        """After the first look and the check: memory and accuracy are known."""
        recipe = Recipe(name=truth.name, runtime="null", safety=int(self.rng.integers(5)))
        result = Result(candidate=Candidate(recipe=recipe), retained=paired_proportion_ratio(truth.right, self.field.baseline))
        trial = with_memory(Trial(result), self.footprints(truth.memory, 1))
        trial = trial.with_result(memory_ratio=memory_ratio(trial, self.baseline))
        return trial.dropped("misses the must on accuracy") if misses_must(trial, GATES) else trial

    def advantage(self, rival: Trial, trial: Trial) -> dict[str, Interval]:
        """The paired comparison of a rival's answers with the trial's."""
        theirs = self.truths[rival.name].right if rival.name in self.truths else self.field.baseline
        found = paired_proportion_ratio(theirs, self.truths[trial.name].right)
        return {"accuracy_retained": Interval(value=found.value - 1, low=found.low - 1, high=found.high - 1)}

    def one_set(self, names: Sequence[str]) -> dict[str, NDArray[np.float64]]:
        """Readings of a set of a race: log(latency) of the baseline, its second process, and these, by round."""
        speeds = {"baseline": 1.0, "again": 1.0} | {name: self.truths[name].speed for name in names}
        turns = {name: 2 if name == "baseline" else 1 for name in speeds}
        found = {}
        for name, speed in speeds.items():
            noise = self.rng.normal(0, self.field.noise / math.sqrt(turns[name]), MOST_ROUNDS)
            found[name] = noise + self.rng.normal(0, BIAS) - math.log(speed)
        return found

    def confirmed(self, trial: Trial) -> Trial:
        """Fresh pairs, two more repeats of the memory, and the tail."""
        truth = self.truths[trial.name]
        trial = with_memory(trial, self.footprints(truth.memory, 2))
        ratios = Drawn(self.rng, truth.speed, self.field.noise, PAIRS, QUADS)
        tail = truth.tail * math.exp(self.rng.normal(0, 0.05))
        timing = Timing(
            stage="confirmation", speedup=ratios.speedup(LOOKS), pairs=PAIRS, tail_percentile=99,
            tail_ratio=Interval(value=tail, low=tail * 0.87, high=tail * 1.15),
        )  # fmt: skip
        return trial.with_result(
            status="measured", reason="", confirmation=timing, memory_ratio=memory_ratio(trial, self.baseline)
        )


class Rule(NamedTuple):
    """One way to select: the race, who is confirmed, and the choice among these."""

    race: Callable[[Machine, Sequence[Trial]], list[Trial]]
    confirm: Callable[[Machine, Sequence[Trial]], list[Trial]]
    choose: Callable[[Sequence[Contender], dict[str, float]], str]


def race_now(machine: Machine, ready: Sequence[Trial]) -> list[Trial]:
    """Sets of a race: one for all, further ones for those that may be finalists."""
    field, weights = {t.name: t for t in ready}, machine.field.weights
    sets: list[dict[str, NDArray[np.float64]]] = []
    entered = list(field)
    while entered:
        sets.append(machine.one_set(entered))
        found = Comparisons({"wall time": sets})
        for name in entered:
            looks = sum(name in one for one in sets)
            timing = Timing(stage="search", speedup=found.speed(name), pairs=looks)
            field[name] = field[name].with_result(status="measured", search=timing)
        for name in entered:
            running = [machine.baseline, *(t for t in field.values() if t.alive)]
            if beaten_by(found, field[name], running, GATES, weights, machine.advantage) is not None:
                field[name] = field[name].dropped("outpaced")
        worth = may_be_finalists([t for t in field.values() if t.alive], machine.baseline, weights, GATES)
        entered = [t.name for t in worth if t.result.search is not None and t.result.search.pairs < SETS]
    return list(field.values())


def confirm_now(machine: Machine, trials: Sequence[Trial]) -> list[Trial]:
    weights, baseline = machine.field.weights, machine.baseline
    queue = {t.name: t for t in select(trials, baseline, weights, GATES)}
    entrants = [e for t in queue.values() if (e := entrant_of(t, weights, GATES)) is not None]
    done = [machine.confirmed(queue[e.name]) for e in first_finalists(entrants)]
    return replace_fallen(
        entrants, done, baseline, lambda name: machine.confirmed(queue[name]),
        lambda trial: standing_of(trial, baseline, GATES, weights, None), lambda: True,
    )  # fmt: skip


def choose_now(contenders: Sequence[Contender], weights: dict[str, float]) -> str:
    found = choose(contenders, weights)
    return found.name if found is not None else "baseline"


def choose_before(contenders: Sequence[Contender], weights: dict[str, float]) -> str:
    found = choose(contenders, weights, TIE_BEFORE)
    return found.name if found is not None else "baseline"


def race_before(machine: Machine, ready: Sequence[Trial]) -> list[Trial]:
    """One after the other in up to three pairs with the baseline; ended by whoever is significantly faster over the baseline,
    unless memory or accuracy differ by intervals over it."""
    done: list[Trial] = []
    for trial in ready:
        ratios = Drawn(machine.rng, machine.truths[trial.name].speed, machine.field.noise, SEARCH_PAIRS, SEARCH_QUADS)
        every = ratios.per_pair
        for count in range(1, SEARCH_PAIRS + 1):
            ratios.per_pair = every[:count]
            timing = Timing(stage="search", speedup=search_interval(ratios), pairs=count)
            timed = trial.with_result(status="measured", search=timing)
            if count < SEARCH_PAIRS and beaten_before(timed, [machine.baseline, *(o for o in done if o.alive)]):
                timed = timed.dropped("outpaced")
                break
        done.append(timed)
    return done


def beaten_before(trial: Trial, others: Sequence[Trial]) -> bool:
    mine = trial.result
    for theirs in (o.result for o in others):
        if mine.speedup is None or theirs.speedup is None or theirs.speedup.low <= mine.speedup.high:
            continue
        lighter = mine.memory_ratio and theirs.memory_ratio and mine.memory_ratio.high < theirs.memory_ratio.low
        truer = mine.retained and theirs.retained and mine.retained.low > theirs.retained.high
        if not lighter and not truer:
            return True
    return False


def confirm_before(machine: Machine, trials: Sequence[Trial]) -> list[Trial]:
    """The three best of those whose race was not ended; nobody takes the place of one that falls."""
    weights = machine.field.weights
    alive = [t for t in trials if t.alive and t.name != "baseline"]
    entrants = [e for t in alive if (e := entrant_of(t, weights, GATES)) is not None and e.score.high > 0]
    first = sorted(entrants, key=lambda e: (e.open_musts, -e.score.value))[:3]
    return [machine.confirmed(next(t for t in alive if t.name == e.name)) for e in first]


NOW = Rule(race_now, confirm_now, choose_now)
BEFORE = Rule(race_before, confirm_before, choose_before)


def decide(field: Field, rule: Rule, seed: int) -> str:
    """The name of the choice, by the rules of a run."""
    machine = Machine(field, np.random.default_rng(seed))
    checked = [machine.checked(truth) for truth in field.truths]
    ready = [t for t in checked if t.result.status != "dropped"]
    trials = [machine.baseline, *(t for t in checked if t.result.status == "dropped"), *rule.race(machine, ready)]
    machine.baseline = with_memory(machine.baseline, machine.footprints(1.0, 2))
    contenders = []
    for trial in [*rule.confirm(machine, trials), machine.baseline]:
        verdict = verdict_of(trial, machine.baseline, GATES, None)
        contender = contender_of(trial, 0)
        if trial.alive and contender is not None and verdict.outcome in RANKS:
            contenders.append(contender.model_copy(update={"rank": RANKS.index(verdict.outcome)}))
    return rule.choose(contenders, field.weights)


def true_score(truth: Truth, weights: dict[str, float]) -> float:
    ratios = {"speed": truth.speed, "memory": 1 / truth.memory, "accuracy": truth.retained}
    return sum(weight * math.log(ratios[axis]) for axis, weight in weights.items())


def meets(truth: Truth) -> bool:
    """Whether it truly meets every must."""
    return truth.retained >= ACCURACY.bound and truth.tail <= TAIL.bound


def shown(truth: Truth, field: Field) -> bool:
    """Whether the answers at hand show that it keeps the accuracy: no rule can make more examples."""
    return judge_one(ACCURACY, paired_proportion_ratio(truth.right, field.baseline)).result == "PASS"


def judge_field(field: Field, rule: Rule, seed: int) -> Found:
    """Against an oracle that knows speed, memory, accuracy and tail of all, but has the same examples to show it with."""
    baseline = Truth("baseline", 1.0, 1.0, 1.0, 1.0, field.baseline)
    able = [t for t in field.truths if meets(t) and shown(t, field)] + [baseline]
    best = max(able, key=lambda t: true_score(t, field.weights))
    name = decide(field, rule, seed)
    chosen = next(t for t in (*field.truths, baseline) if t.name == name)
    reach = true_score(best, field.weights)
    unshown = [t for t in field.truths if meets(t) and not shown(t, field) and true_score(t, field.weights) > reach]
    return Found(max(0.0, reach - true_score(chosen, field.weights)), not meets(chosen), name, best.name, bool(unshown))


def simulate(fields: int, rule: Rule) -> list[Found]:
    """The same fields for every rule."""
    return [judge_field(draw_field(np.random.default_rng((1, seed))), rule, seed) for seed in range(fields)]


def summed(found: Sequence[Found]) -> dict[str, Any]:
    """Shares of the fields, and losses of the weighted score."""
    losses = np.array([f.loss for f in found])

    def share(flags: Sequence[bool]) -> float:
        return round(float(np.mean(flags)), 4)

    return {
        "within": share([loss <= LARGEST_LOSS for loss in losses.tolist()]),
        "best": share([f.chosen == f.best for f in found]),
        "mean_loss": round(float(losses.mean()), 5),
        "worst_loss": round(float(losses.max()), 4),
        "misses_must": share([f.misses for f in found]),
        "not_shown": share([f.open_better for f in found]),
    }


def run(options: Options) -> int:
    fields = 60 if options.smoke else FIELDS
    rules = {"now": NOW, "before": BEFORE}
    figures = {name: summed(simulate(fields, rule)) for name, rule in rules.items()}
    options.write("selection", {"fields": fields, "largest_loss": LARGEST_LOSS, "enough": ENOUGH, "rules": figures})
    print(f"selection: {figures}")
    return 0 if figures["now"]["within"] >= ENOUGH or options.smoke else 1


def render(figures: Figures) -> list[str]:
    noises = ", ".join(f"{noise:.0%}" for noise in NOISES)
    lines = [
        f"{figures['fields']:,} simulated fields of 4 to 12 candidates whose speed, memory, accuracy and tail are known, a third",
        f"of them near twins. Every process has a bias of {BIAS:.1%}, quads have noise of {noises}, peaks of memory",
        f"{MEMORY_NOISE / 1e6:g} MB; there are 200 to 10,000 examples; {BAD_TAIL_SHARE:.0%} of the candidates have a tail that",
        "only the confirmation shows. There are five sets of weights. Race, queue, confirmation, gates and choice are the run's",
        "own functions.",
        "",
        "The oracle knows the truth. It takes the best true score among the candidates that truly meet the musts and whose",
        "accuracy the same examples show, since no rule can make more of them. *Not shown* is the share of fields in which",
        "another would have been better, but for want of examples; a run's verdict names it. Goals are left out.",
        "",
        f"*Within*: at most {figures['largest_loss']} of the true weighted score is lost (1 % of speed, where speed is all that",
        f"counts); the command fails below {figures['enough']:.0%}. *Before*: whoever was faster ended a race unless memory or",
        "accuracy differed by intervals over the baseline; three finalists, and nobody took the place of one that fell; ties",
        "twice as wide.",
        "",
        "| rule | within | exactly the best | mean loss | worst loss | choice misses a must | not shown |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {name} | {r['within']:.2%} | {r['best']:.1%} | {r['mean_loss']:.5f} | {r['worst_loss']:.3f} | {r['misses_must']:.2%} "
        f"| {r['not_shown']:.1%} |"
        for name, r in figures["rules"].items()
    ]
    return lines
