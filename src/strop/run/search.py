"""The search: candidates are prepared in groups, then raced against each other. It selects; it decides nothing."""

from collections.abc import Sequence
from functools import partial

from strop.core.finalists import AT_FIRST
from strop.core.model import Model
from strop.core.race import MOST
from strop.core.recipe import Offer, Recipe
from strop.core.task import Task
from strop.core.verdict import Gate
from strop.plan.space import by_role, follow, next_in_turn, places_of, retuned
from strop.run.context import Run
from strop.run.finalists import entrant_of, select
from strop.run.planning import affordable, within_budget
from strop.run.race import Racing
from strop.run.screen import not_reached, prepare
from strop.run.trial import Trial

GROUP = MOST - 2
"""Candidates that are prepared before they race: a set holds them, the baseline's second process, and the leader so far."""


def search(run: Run, model: Model, task: Task, found: Sequence[Offer], baseline: Trial, trials: list[Trial]) -> list[Trial]:
    """Every candidate as far as it deserves and the budget allows, then the best one under the other thread settings."""
    racing = Racing(run, model, task, baseline, "search")
    run.budget.enter("search")
    trials = _as_far_as_possible(run, model, task, found, baseline, trials, racing)
    if not select([t for t in trials if t.alive], baseline, run.request.weights, run.gates):
        run.budget.keep("confirmation", 0.0)  # there is nothing to confirm: better a rough figure of something
        trials = _as_far_as_possible(run, model, task, found, baseline, trials, racing)
    known = {t.name for t in trials}
    trials = [*trials, *(not_reached(r) for r in by_role(found, "candidate") if r.name not in known)]
    best = select([t for t in trials if t.alive and t.candidate.recipe.steps], baseline, run.request.weights, run.gates, most=1)
    if best:
        given = next(r for r in by_role(found, "candidate") if r.name == best[0].name)
        suggested = other_settings(run, given, [*by_role(found, "reference"), *by_role(found, "baseline-variant")])
        recipes = [r for r in suggested if r.settings != best[0].candidate.recipe.settings]
        trials = _prepared(run, model, task, recipes, baseline, trials, racing)
        racing.first_sets()
    return racing.merged(trials)


def _as_far_as_possible(
    run: Run, model: Model, task: Task, found: Sequence[Offer], baseline: Trial, trials: list[Trial], racing: Racing
) -> list[Trial]:  # fmt: skip
    """Groups of those that fit the time left, each raced once; then further sets of those that may be finalists."""
    trials = _prepared(run, model, task, untried(found, "as-is", trials), baseline, trials, racing)
    waiting = untried(found, "candidate", trials)
    while True:
        group = 0
        while group < GROUP and (can_pay := within_budget(run, waiting, model, task, trials)):
            recipe = next_in_turn(can_pay, [t.name for t in trials if t.lost_accuracy], places_of(found, run.advice))
            waiting.remove(recipe)
            trials = _prepared(run, model, task, [follow(recipe, baseline.candidate.recipe)], baseline, trials, racing)
            group += 1
        racing.first_sets()
        trials = racing.merged(trials)
        if not group:
            break

    racing.further_sets(partial(may_be_finalists, weights=run.request.weights, gates=run.gates))
    return racing.merged(trials)


def _prepared(
    run: Run, model: Model, task: Task, recipes: Sequence[Recipe], baseline: Trial, trials: list[Trial], racing: Racing
) -> list[Trial]:  # fmt: skip
    """With the trials of these recipes, as far as the budget allows; those that are ready are entered."""
    for recipe in recipes:
        others = [t for t in trials if t.name != recipe.name]
        if affordable(run, [recipe], model, task, trials):
            trial = prepare(run, model, task, recipe, baseline, others)
            racing.enter([trial] if trial.ready else [])
        else:
            trial = not_reached(recipe)
        trials = [*others, trial]
    return trials


def may_be_finalists(trials: Sequence[Trial], weights: dict[str, float], gates: Sequence[Gate]) -> list[Trial]:
    """Those whose score reaches that of the last of the first finalists; nobody where that tells these apart from the others."""
    entrants = {t.name: entrant_of(t, weights, gates) for t in trials}
    scores = {name: e.score for name, e in entrants.items() if e is not None}
    if len(scores) <= AT_FIRST:
        return []
    last = sorted((s.value for s in scores.values()), reverse=True)[AT_FIRST - 1]
    able = [t for t in trials if t.name in scores and scores[t.name].high >= last]
    return able if len(able) > AT_FIRST else []


def untried(found: Sequence[Offer], role: str, trials: Sequence[Trial]) -> list[Recipe]:
    """Recipes of a role that have not had their turn, or that the budget left no time for then; a build that it cut short is
    not begun a second time."""
    tried = {t.name for t in trials if t.result.status != "not reached" or t.ready or t.cut}
    return [r for r in by_role(found, role) if r.name not in tried]


def other_settings(run: Run, recipe: Recipe, variants: Sequence[Recipe]) -> list[Recipe]:
    """The recipe's artifact under every other setting that its runtime or the baseline's variants suggest."""
    return retuned(recipe, variants, run.backend(recipe.runtime), run.target)
