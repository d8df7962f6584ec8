"""The search: candidates are prepared in groups, then raced against each other. It selects; it decides nothing."""

from collections.abc import Mapping, Sequence
from functools import partial

from strop.core.finalists import AT_FIRST
from strop.core.model import Model
from strop.core.race import MOST
from strop.core.recipe import Offer, Recipe
from strop.core.task import Task
from strop.core.verdict import Gate
from strop.plan.space import by_role, follow, next_in_turn, retuned
from strop.run.context import Run
from strop.run.finalists import entrant_of, select
from strop.run.planning import affordable_together, build_s, candidate_s, within_budget
from strop.run.preparing import not_reached, prepare
from strop.run.race import Racing
from strop.run.trial import Trial, only_informs

GROUP = MOST - 2
"""Candidates that are prepared before they race: a set holds them, the baseline's second process, and the leader so far."""
AHEAD_S = 25.0
"""Seconds of a build, by its estimate, that may be begun ahead of its group: the group waits for the step that is under way."""


def search(
    run: Run, model: Model, task: Task, found: Sequence[Offer], baseline: Trial, trials: list[Trial], places: Mapping[str, int]
) -> list[Trial]:  # fmt: skip
    """Every candidate as far as it deserves and the budget allows, then the best one under the other thread settings.

    Args:
        places: runtime → its place in the advice, the best advised first.
    """
    racing = Racing(run, model, task, baseline, "search")
    run.budget.enter("search")
    trials = _as_far_as_possible(run, model, task, found, baseline, trials, racing, places)
    if not select([t for t in trials if t.alive], baseline, run.request.weights, run.gates):
        run.budget.keep("confirmation", 0.0)  # there is nothing to confirm: better a rough figure of something
        trials = _as_far_as_possible(run, model, task, found, baseline, trials, racing, places)
    known = {t.name for t in trials}
    trials = [*trials, *(not_reached(r) for r in by_role(found, "candidate") if r.name not in known)]
    built = [t for t in trials if t.alive and t.candidate.recipe.steps and t.candidate.recipe.role == "candidate"]
    best = select(built, baseline, run.request.weights, run.gates, most=1)
    if best:
        given = next(r for r in by_role(found, "candidate") if r.name == best[0].name)
        suggested = other_settings(run, given, [*by_role(found, "reference"), *by_role(found, "baseline-variant")], task)
        recipes = [r for r in suggested if r.settings != best[0].candidate.recipe.settings]
        trials = _prepared_in_time(run, model, task, recipes, baseline, trials, racing)
        racing.first_sets()
    return racing.closed(trials)


def _as_far_as_possible(
    run: Run, model: Model, task: Task, found: Sequence[Offer], baseline: Trial, trials: list[Trial], racing: Racing,
    places: Mapping[str, int],
) -> list[Trial]:  # fmt: skip
    """Groups of those that fit the time left, each raced once; then further sets of those that may be finalists."""
    trials = _prepared_in_time(run, model, task, untried(found, "as-is", trials), baseline, trials, racing)
    waiting = untried(found, "candidate", trials)
    while group := next_group(run, model, task, places, waiting, known := first(baseline, trials)):
        waiting = [r for r in waiting if r not in group]
        following = next_group(run, model, task, places, waiting, known)
        following = [r for r in following if build_s(run, r, model, task, known) <= AHEAD_S]
        recipes, later = ([follow(recipe, baseline.candidate.recipe) for recipe in some] for some in (group, following))
        trials = _prepared(run, model, task, recipes, baseline, trials, racing, later)
        racing.first_sets()
        trials = racing.merged(trials)
    racing.first_sets()  # the runtime's defaults, where no candidate came to a race
    able = partial(may_be_finalists, baseline=baseline, weights=run.request.weights, gates=run.gates)
    racing.further_sets(able)
    return racing.merged(trials)


def next_group(
    run: Run, model: Model, task: Task, places: Mapping[str, int], waiting: Sequence[Recipe], trials: Sequence[Trial]
) -> list[Recipe]:  # fmt: skip
    """The next in turn of those that fit the time left together, as many as race in one set.

    Args:
        trials: the baseline first: what a set takes is estimated from it.
    """
    group, lost = list[Recipe](), [t.name for t in trials if t.lost_accuracy]
    taken_s = 0.0
    while len(group) < GROUP:
        rest = [r for r in waiting if r not in group]
        can_pay = within_budget(run, rest, model, task, trials, taken_s)
        if not can_pay:
            break
        recipe = next_in_turn(can_pay, lost, places)
        group.append(recipe)
        taken_s += candidate_s(run, recipe, model, task, trials)
    return group


def _prepared(
    run: Run, model: Model, task: Task, recipes: Sequence[Recipe], baseline: Trial, trials: list[Trial], racing: Racing,
    later: Sequence[Recipe] = (),
) -> list[Trial]:  # fmt: skip
    """With the trials of these recipes; those that are ready are entered. `later`: whose turn is next."""
    others = [t for t in trials if t.name not in {r.name for r in recipes}]
    prepared = prepare(run, model, task, recipes, baseline, others, later)
    racing.enter([t for t in prepared if t.ready])
    return [*others, *prepared]


def _prepared_in_time(
    run: Run, model: Model, task: Task, recipes: Sequence[Recipe], baseline: Trial, trials: list[Trial], racing: Racing
) -> list[Trial]:  # fmt: skip
    """As `_prepared`, for those of these recipes that fit the time left; the others are not reached."""
    can_pay = affordable_together(run, recipes, model, task, first(baseline, trials))
    left_out = [r for r in recipes if r not in can_pay]
    others = [t for t in trials if t.name not in {r.name for r in left_out}]
    return [*_prepared(run, model, task, can_pay, baseline, others, racing), *map(not_reached, left_out)]


def may_be_finalists(
    trials: Sequence[Trial], baseline: Trial, weights: dict[str, float], gates: Sequence[Gate]
) -> list[Trial]:  # fmt: skip
    """Those whose score reaches that of the last of the first finalists; nobody where that tells these apart from the others."""
    entrants = {t.name: entrant_of(t, weights, gates) for t in trials if not only_informs(t, baseline)}
    scores = {name: e.score for name, e in entrants.items() if e is not None}
    if len(scores) <= AT_FIRST:
        return []
    last = sorted((s.value for s in scores.values()), reverse=True)[AT_FIRST - 1]
    able = [t for t in trials if t.name in scores and scores[t.name].high >= last]
    return able if len(able) > AT_FIRST else []


def first(baseline: Trial, trials: Sequence[Trial]) -> list[Trial]:
    """The baseline, then the others: what something takes is estimated from it."""
    return [baseline, *(t for t in trials if t.name != baseline.name)]


def untried(found: Sequence[Offer], role: str, trials: Sequence[Trial]) -> list[Recipe]:
    """Recipes of a role that have not had their turn, or that the budget left no time for then; a build that it cut short is
    not begun a second time."""
    tried = {t.name for t in trials if t.result.status != "not reached" or t.cut}
    return [r for r in by_role(found, role) if r.name not in tried]


def other_settings(run: Run, recipe: Recipe, variants: Sequence[Recipe], task: Task | None = None) -> list[Recipe]:
    """The recipe's artifact under every other setting that its runtime or the baseline's variants suggest."""
    return retuned(recipe, variants, run.backend(recipe.runtime), run.target, task)
