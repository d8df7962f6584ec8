"""A run for a device that is not this machine: built and judged here, never timed as if it were there."""

from collections.abc import Mapping, Sequence

from strop.core.candidate import Imitated, Result
from strop.core.choose import Choice
from strop.core.errors import BudgetError, WorkerError
from strop.core.gate_metrics import METRICS, REGISTRY
from strop.core.inspection import Advice
from strop.core.model import Model
from strop.core.outcome import Outcome
from strop.core.recipe import Offer, Recipe
from strop.core.statistics import Ratios
from strop.core.task import Task
from strop.core.verdict import RANKS
from strop.plan.space import by_role, next_in_turn, places_of
from strop.run.baseline import establish
from strop.run.budget import least_of
from strop.run.conclude import conclude
from strop.run.context import Run
from strop.run.judging import verdict_of
from strop.run.planning import costs, settle, within_budget
from strop.run.preparing import finish, not_reached, prepare_elsewhere
from strop.run.timing import SEARCH_PAIRS, SEARCH_QUADS, measure, search_interval
from strop.run.trial import Trial

OF_THE_TARGET = tuple(metric.name for metric in REGISTRY if metric.of_target)
ABSOLUTE = tuple(name for name in OF_THE_TARGET if not METRICS[name].over_baseline)
"""Metrics that only the target itself can tell; the baseline's own are 1 where they are ratios over it."""

APART = ("divergence", "kl", "difference")
"""Figures of how far answers moved, the first that there is."""


def pursue_elsewhere(run: Run, model: Model, task: Task, found: Sequence[Offer], advice: Advice | None) -> Outcome:
    """Every recipe built and its answers judged; the choice follows the advice, since nobody knows the speed."""
    say_what_is_unknown(run)
    with least_of(run.budget.asked):
        baseline = establish(run, model, task, by_role(found, "reference")[0])
    settle(run, model, task, found, baseline)
    baseline = baseline.with_result(search=None, memory=(), memory_ratio=None)
    trials = [baseline]
    waiting = by_role(found, "candidate")
    places = places_of(found, advice)
    while can_pay := within_budget(run, waiting, model, task, trials):
        recipe = next_in_turn(can_pay, [t.name for t in trials if t.lost_accuracy], places)
        waiting.remove(recipe)
        (trial,) = prepare_elsewhere(run, model, task, [recipe], baseline, trials)
        trials.append(finish(run, task, trial.with_result(status="measured")) if trial.ready else trial)
    trials += [not_reached(recipe) for recipe in waiting]
    trials = [imitated(run, trial, trials) for trial in trials]
    trials = [judged(run, task, model, trial, baseline) for trial in trials]
    choice = choose_elsewhere(run, model, trials, places, advice)
    return conclude(run, model, task, found, trials, baseline.name, None, choice, advice)


def say_what_is_unknown(run: Run) -> None:
    """Notes that stand first in the report."""
    target = run.target
    run.note(
        f"The target is {target.name}, which is not this machine: artifacts are built and answers judged here; speed, memory and "
        f"energy are unmeasured on the target, and their gates stay open."
    )
    if run.place.imitation:
        run.note(f"This machine has what {target.name} has: sessions are held to {run.place.held}.")
    if target.cores is None and run.request.threads is None:
        run.note(f"How many cores {target.name} has is not known: one thread is assumed; --threads says otherwise.")


def judged(run: Run, task: Task, model: Model, trial: Trial, baseline: Trial) -> Trial:
    """The verdict; what only the target can tell stays open."""
    unmeasured = "no data were given" if task.metric == "unmeasured" else None
    if trial.name == baseline.name:
        own = dict.fromkeys(ABSOLUTE, run.place.why_unmeasured)
        return trial.with_result(verdict=verdict_of(trial, baseline, run.gates, unmeasured, elsewhere=own))
    elsewhere = dict.fromkeys(OF_THE_TARGET, run.place.why_unmeasured)
    lost = run.place.why_not_carried(trial.candidate.recipe, model.precision)
    if lost:
        elsewhere |= dict.fromkeys(("accuracy_retained", "accuracy"), f"judged here, may not carry over: {lost}")
    if trial.result.status == "not measurable":
        elsewhere |= dict.fromkeys(("accuracy_retained", "accuracy"), trial.result.reason)
    return trial.with_result(verdict=verdict_of(trial, baseline, run.gates, unmeasured, elsewhere=elsewhere))


def imitated(run: Run, trial: Trial, trials: Sequence[Trial]) -> Trial:
    """With its speed over the same runtime's unquantized candidate, both held to what the target has."""
    held = run.place.imitation.get(trial.candidate.recipe.runtime)
    runtime = trial.candidate.recipe.runtime
    plain = next((t for t in trials if is_plain(t.candidate.recipe) and t.candidate.recipe.runtime == runtime and t.alive), None)
    if held is None or plain is None or plain is trial or not trial.alive or trial.subject is None or plain.subject is None:
        return trial
    checks = [t.check for t in (plain, trial) if t.check is not None]
    unheld = next((u for c in checks if (u := c.properties.get("unheld"))), None)
    why = (
        f"{unheld} of its weights are in matrix products whose kernels choose their instruction sets themselves" if unheld else ""
    )
    each = costs(run, plain, trial)
    if why or run.budget.left() < SEARCH_PAIRS * (each.pair + SEARCH_QUADS * each.quad):
        run.note(f"{trial.name} was not timed under imitation: {why or 'the budget ended'}.")
        return trial
    run.tell("imitating", candidate=trial.name)
    try:
        with run.spending("imitation"):
            pairs = measure(run, plain.subject, trial.subject, "search", range(SEARCH_PAIRS), SEARCH_QUADS, folder="imitated")
    except BudgetError:
        run.note(f"{trial.name} was not timed under imitation: the budget ended.")
        return trial
    except WorkerError as error:
        run.note(f"{trial.name} could not be timed under imitation: {error.message}.")
        return trial
    speedup = search_interval(Ratios(pairs))
    if speedup is None:
        run.note(f"{trial.name} could not be timed under imitation: the machine was too busy; --fresh tries again.")
        return trial
    to = ", ".join(f"{key}={value}" for key, value in held.items())
    return trial.with_result(
        imitated=Imitated(over=plain.name, speedup=speedup, held_to=f"{to}, {plain.subject.threads} thread(s)")
    )


def is_plain(recipe: Recipe) -> bool:
    """Converted at most: nothing is quantized or pruned, and it computes in fp32."""
    return recipe.precision == "fp32" and all(step.stage == "convert" for step in recipe.steps) and recipe.role == "candidate"


def safest_of_kin(first: Result, results: Sequence[Result]) -> Result:
    """Of a recipe and its variants, which no speed tells apart, the one whose answers are kept best, then the safest recipe.

    Variants are built by the same steps with other parameters, for the same runtime, precision and device. What was kept counts
    to a thousandth, and no more than all of it.
    """

    def kin(recipe: Recipe) -> tuple[object, ...]:
        return recipe.runtime, recipe.precision, recipe.device, recipe.role, [step.name for step in recipe.steps]

    def risk(result: Result) -> tuple[float, float, int, bool]:
        lost = 1 - min(1.0, result.retained.value) if result.retained is not None else 0.0
        apart = next((result.quality[name].value for name in APART if name in result.quality), 0.0)
        return round(lost, 3), apart, result.candidate.recipe.safety, result.name != first.name

    return min((r for r in results if kin(r.candidate.recipe) == kin(first.candidate.recipe)), key=risk)


def choose_elsewhere(
    run: Run, model: Model, trials: Sequence[Trial], places: Mapping[str, int], advice: Advice | None
) -> Choice | None:  # fmt: skip
    """The best advised candidate that kept the musts, or the given model itself; None where the target runs nothing of it."""
    blocked = {r.framework for r in advice.ranking if r.blocked} if advice is not None else set()
    field = [
        t for t in trials
        if t.alive and t.result.verdict is not None and t.result.verdict.outcome in RANKS
        and t.candidate.recipe.runtime not in blocked
    ]  # fmt: skip

    def order(trial: Trial) -> tuple[bool, bool, bool, int, int, int]:
        recipe, held = trial.candidate.recipe, trial.result.imitated
        slower = held is not None and held.speedup.high < 1
        size = trial.candidate.artifact.bytes if trial.candidate.artifact is not None else 0
        unsure = bool(run.place.why_not_carried(recipe, model.precision))
        return recipe.role != "candidate", unsure, slower, places.get(recipe.runtime, 0), recipe.turn, size

    if not field:
        return None
    first = min(field, key=order)
    equals = [t for t in field if order(t)[:3] == order(first)[:3]]
    winner = next(t for t in equals if t.name == safest_of_kin(first.result, [t.result for t in equals]).name)
    reason = (
        f"no speed is known on {run.target.name}: of those that kept the accuracy the best advised framework comes first, "
        f"then the recipe that usually wins there, then the smaller file"
    )
    reason += f"; of the variants of {first.name} it is the safest" if winner is not first else ""
    slow = [t.name for t in field if t.result.imitated is not None and t.result.imitated.speedup.high < 1]
    reason += f"; slower than unquantized under imitation, so put last: {', '.join(slow)}" if slow else ""
    return Choice(name=winner.name, scores={}, tied=(), reason=reason)
