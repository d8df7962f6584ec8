"""`optimize`: the pipeline, on one screen. Each step's result goes into the next."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from strop.core.candidate import MISSING
from strop.core.choose import Choice, choose
from strop.core.model import Model
from strop.core.outcome import Outcome
from strop.core.recipe import Offer, Recipe
from strop.core.task import Task
from strop.plan.space import by_role, follow, next_in_turn, offers, places_of, retuned
from strop.run.advising import advised
from strop.run.baseline import tune
from strop.run.conclude import conclude
from strop.run.confirm import confirm, contender_of, more_baseline_memory, select, verdict_of
from strop.run.context import Observer, Run, nobody
from strop.run.deliver import deliver, require_writable
from strop.run.elsewhere import pursue_elsewhere
from strop.run.intake import read_task
from strop.run.longer import look_longer
from strop.run.open_run import OUTCOME, opened
from strop.run.request import make_request
from strop.run.screen import admit, not_reached
from strop.run.trial import Trial
from strop.store.store import load
from strop.worker.interpreter import why_missing


def optimize(model: str, *, config: str | None = None, observer: Observer = nobody, **flags: Any) -> Outcome:
    """Find, prove and pack the best version of a model for this machine.

    Args:
        model: path of the model.
        config: path of a `strop.toml`; by default one in the working directory, or beside the model or in its folder.
        observer: called with (event, details) as the run goes on.
        flags: fields of `strop.run.request.Request`: data, calibration, labels, map, metric, budget, prefer, must, goal …

    Returns:
        What was found. `out/` holds report.html, report.md, report.json and, unless the outcome is `none`, bundle/.

    Raises:
        StropError: bad input of any kind; each subclass has its exit code.

    Example:
        >>> outcome = strop.optimize("model.onnx", data="eval.npz", calibration="calibration.npz")
        >>> outcome.chosen.speedup.value
    """
    request = make_request(model, config, **flags)
    require_writable(Path(request.out))
    with opened(request, observer) as (run, given):
        finished = load(run.folder.folder / OUTCOME, Outcome)
        if finished is not None and can_mend(run, finished):
            reopen(run)
            finished = None
        return deliver(run, finished if finished is not None else pursue(run, given))


def can_mend(run: Run, outcome: Outcome) -> bool:
    """Whether a finished run lacks what an interpreter that was gone would have given, and now can."""
    lost = [r.candidate.recipe for r in outcome.results if r.failure is not None and r.failure.kind == MISSING]
    return any(not why_missing(run.backend(name)) for r in lost for name in {r.runtime, *(s.builder for s in r.steps)})


def reopen(run: Run) -> None:
    """A finished run becomes an unfinished one: its conclusion goes, all that was built and measured stays."""
    (run.folder.folder / OUTCOME).unlink()
    shutil.rmtree(run.folder.folder / "bundle", ignore_errors=True)


def pursue(run: Run, model: Model) -> Outcome:
    """The run itself, from the data to the conclusion; what is already on disk is read instead of made again."""
    with run.spending("data"):
        task = read_task(run, model)
    if model.origin is not None:
        worst = max(model.origin.differences.values())
        run.note(
            f"The model is an ONNX export of {model.origin.architecture} for {model.origin.task}; its answers differ from the "
            f"original's by at most {worst:.1e} of their range."
        )
    found = plan_recipes(run, model, task)
    if run.place.kind != "here":
        return pursue_elsewhere(run, model, task, found)
    baseline, trials = tune(run, model, task, found)
    trials = search(run, model, task, found, baseline, trials)
    baseline = more_baseline_memory(run, baseline)
    finalists = look_longer(run, task, baseline, select(trials, baseline, run.request.weights, run.gates))
    confirmed, noise = confirm(run, model, baseline, finalists)
    final = {t.name: t for t in [*trials, *confirmed, baseline]}
    trials = judge_all(run, task, list(final.values()), baseline, timed=noise.speedup is not None)
    choice = choose_among(trials, [t.name for t in [*confirmed, baseline]], run.request.weights)
    return conclude(run, model, task, found, trials, baseline.name, noise, choice)


def plan_recipes(run: Run, model: Model, task: Task, asked: Sequence[str] = ()) -> list[Offer]:
    """Everything that is offered for this model, target and task; `asked` are recipes named beside the request's."""
    missing = {name: why_missing(backend) for name, backend in run.backends.items()}
    found = offers(run.backends, model, run.target, task, run.request.backends, run.request.recipes, missing)
    found = advised(run, task, found, (*run.request.recipes, *asked))
    run.emit("planned", offered=[o.name for o in found if o.offered], refused=[o.name for o in found if not o.offered])
    return found


def list_recipes(model: str, *, config: str | None = None, **flags: Any) -> list[Offer]:
    """What `optimize` would try and why, without building or timing anything (`--dry-run`).

    Args:
        model, config, flags: as for `optimize`.

    Raises:
        StropError: as `optimize`.

    Example:
        >>> [offer.name for offer in strop.list_recipes("model.onnx") if offer.offered]
    """
    with opened(make_request(model, config, **flags), nobody, keep=False, timed=False) as (run, given):
        return plan_recipes(run, given, read_task(run, given))


def search(run: Run, model: Model, task: Task, found: Sequence[Offer], baseline: Trial, trials: list[Trial]) -> list[Trial]:
    """Every candidate as far as it deserves, then the best one under the other thread settings."""
    given = {r.name: r for r in by_role(found, "candidate")}
    tried = {t.name for t in trials}
    for recipe in [r for r in by_role(found, "as-is") if r.name not in tried]:
        trials = [*trials, _next(run, model, task, recipe, baseline, trials)]
    waiting = [r for r in given.values() if r.name not in tried]
    while waiting:
        recipe = next_in_turn(waiting, [t.name for t in trials if t.lost_accuracy], places_of(found, run.advice))
        waiting.remove(recipe)
        trials = [*trials, _next(run, model, task, follow(recipe, baseline.candidate.recipe), baseline, trials)]
    best = select([t for t in trials if t.candidate.recipe.steps], baseline, run.request.weights, run.gates, most=1)
    variants = [*by_role(found, "reference"), *by_role(found, "baseline-variant")]
    for recipe in other_settings(run, given[best[0].name], variants) if best else []:
        if recipe.settings != best[0].candidate.recipe.settings:
            trials = [*trials, _next(run, model, task, recipe, baseline, trials)]
    return trials


def other_settings(run: Run, recipe: Recipe, variants: Sequence[Recipe]) -> list[Recipe]:
    """The recipe's artifact under every other setting that its runtime or the baseline's variants suggest."""
    return retuned(recipe, variants, run.backend(recipe.runtime), run.target)


def _next(run: Run, model: Model, task: Task, recipe: Recipe, baseline: Trial, trials: Sequence[Trial]) -> Trial:
    if run.budget.left_for_search() <= 0:
        return not_reached(recipe)
    return admit(run, model, task, recipe, baseline, trials)


def judge_all(run: Run, task: Task, trials: Sequence[Trial], baseline: Trial, timed: bool) -> list[Trial]:
    """A verdict for every candidate; only a confirmation can pass a gate on time."""
    unmeasured = "no data were given" if task.metric == "unmeasured" else None
    return [t.with_result(verdict=verdict_of(t, baseline, run.gates, unmeasured, timed)) for t in trials]


def choose_among(trials: Sequence[Trial], names: Sequence[str], weights: dict[str, float]) -> Choice | None:
    """The choice among finalists and baseline: those that met every gate first, else those that met the musts."""
    ranks = {"chosen": 0, "provisional": 1}
    contenders = []
    for trial in trials:
        verdict = trial.result.verdict
        if trial.name in names and trial.alive and verdict is not None and verdict.outcome in ranks:
            contender = contender_of(trial, ranks[verdict.outcome])
            contenders += [contender] if contender is not None else []
    return choose(contenders, weights)
