"""Who is confirmed, from the trials of a run: the queue by what the search found, and who takes the place of who fell."""

from collections.abc import Callable, Sequence

from strop.core.choose import Contender, score
from strop.core.finalists import Entrant, Standing, in_order, next_finalist
from strop.core.gate import judge_one
from strop.core.verdict import RANKS, Gate
from strop.run.judging import figures_of_throughput, figures_of_timing, verdict_of
from strop.run.trial import Trial, find, known_figures, must_left_open, only_informs


def select(
    trials: Sequence[Trial], baseline: Trial, weights: dict[str, float], gates: Sequence[Gate] = (), most: int | None = None
) -> list[Trial]:  # fmt: skip
    """By search data: the queue of those whose score may exceed the baseline's, best first. Selects, decides nothing."""
    entrants = []
    for trial in trials:
        if trial.name != baseline.name and not only_informs(trial, baseline) and (trial.alive or trial.outpaced):
            entrant = entrant_of(trial, weights, gates)
            entrants += [entrant] if entrant is not None else []
    own = contender_of(baseline, 0)
    return [find(trials, e.name) for e in in_order(entrants, score(own, weights).value if own is not None else 0.0)[:most]]


def entrant_of(trial: Trial, weights: dict[str, float], gates: Sequence[Gate]) -> Entrant | None:
    """A candidate's place in the queue, or None where there is no speed-up to weigh."""
    contender, result = contender_of(trial, 0), trial.result
    if contender is None:
        return None
    memory = {"memory_ratio": result.memory_ratio} if result.memory_ratio is not None else {}
    known = known_figures(trial)
    later = {**figures_of_timing(result.search), **figures_of_throughput(result.throughput), **memory}
    found = {g: judge_one(g, (known | later)[g.metric]).result for g in gates if g.metric in known | later}
    return Entrant(
        trial.name, score(contender, weights), must_left_open(trial, gates),
        missed=sum(g.kind == "must" and g.metric in later and r == "FAIL" for g, r in found.items()),
        misses_goal=any(g.kind == "goal" and r == "FAIL" for g, r in found.items()), outpaced=trial.outpaced,
    )  # fmt: skip


def contender_of(trial: Trial, rank: int) -> Contender | None:
    """What the choice weighs, or None where there is no speed-up to weigh.

    A rough speed-up counts with the lower end of its interval, and only where that shows a difference: it does not beat a
    confirmed one by its value alone.
    """
    result, rough = trial.result, trial.result.noisy
    speedup = result.speedup
    if speedup is None and rough is not None:
        counted = min(1.0, rough.value) if rough.low <= 1.0 <= rough.high else min(rough.low, rough.value)
        speedup = rough.model_copy(update={"value": counted, "low": min(rough.low, counted), "high": max(rough.high, counted)})
    if speedup is None:
        return None
    return Contender(
        name=trial.name, rank=rank, safety=trial.candidate.recipe.safety, speedup=speedup, accuracy=result.retained,
        throughput=result.throughput.ratio if result.throughput is not None else None,
        memory=result.memory_ratio, energy=result.timing.energy_ratio if result.timing else None,
    )  # fmt: skip


def replace_fallen(
    entrants: Sequence[Entrant], done: Sequence[Trial], baseline: Trial, called_up: Callable[[str], Trial],
    worth: Callable[[Trial], Standing | None], room: Callable[[], bool], settles: bool = False,
) -> list[Trial]:  # fmt: skip
    """With the next of the queue confirmed in the place of each finalist that fell, and those that may be better than all that
    stand, as long as there is room.

    Args:
        called_up: confirms the candidate of that name.
        worth: what a confirmed candidate is worth to the choice; None where it fell.
    """
    found = list(done)
    while room():
        standing = [s for t in [*found, baseline] if (s := worth(t)) is not None]
        fallen = sum(worth(t) is None for t in found)
        entrant = next_finalist(entrants, [t.name for t in found], standing, len(found) - len(done) < fallen, settles)
        if entrant is None:
            break
        found.append(called_up(entrant.name))
    return found


def standing_of(
    trial: Trial, baseline: Trial, gates: Sequence[Gate], weights: dict[str, float], unmeasured: str | None
) -> Standing | None:  # fmt: skip
    """What a confirmed candidate is worth to the choice; None where it fell."""
    verdict = verdict_of(trial, baseline, gates, unmeasured)
    contender = contender_of(trial, 0)
    if not trial.alive or contender is None or verdict.outcome not in RANKS or trial.result.noisy is not None:
        return None
    return Standing(RANKS.index(verdict.outcome), score(contender, weights).value)
