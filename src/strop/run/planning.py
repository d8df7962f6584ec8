"""What the rest of a run takes, from what it measured so far, and how a budget is shared among its stages."""

from collections.abc import Sequence
from pathlib import Path

from strop.core.budget import BudgetUse, Saving
from strop.core.candidate import Candidate
from strop.core.errors import StoreError
from strop.core.model import Artifact, Model
from strop.core.recipe import Offer, Recipe
from strop.core.task import Task
from strop.plan import durations
from strop.plan.ladder import (
    QUADS,
    Costs,
    Plan,
    RaceCosts,
    auto_seconds,
    kept_for_confirmation,
    kept_from_tuning,
    seconds_of,
)
from strop.plan.space import by_role
from strop.run.budget import packing_s
from strop.run.building import cached_step
from strop.run.checking import one_by_one_s
from strop.run.context import Run
from strop.run.family import Pace, family_named
from strop.run.pairing import BLOCK_S, least_runs, quad_seconds
from strop.run.timing import SEARCH_QUADS
from strop.run.trial import Trial, goes_unjudged
from strop.store.store import load

NEW_START_S = 2.0
"""The same of a runtime that was not started yet: a baseline in PyTorch takes far longer than most."""
WARM_CALLS, CHUNK, WARM_S = 12, 3, (0.1, 3.0)
"""A warm-up ends at a plateau: some four chunks of calls. It takes so many seconds at least and at most, and a chunk."""
TOGETHER, LEAD_S = 0.7, 0.001
"""Processes that start together take this share of what they take one by one. The untimed calls before a block last so long."""
USUAL_SETS = 2
"""Sets that a candidate usually takes part in."""
OTHER_SETTINGS = 3
"""Settings that the best candidate is usually tried under besides its own."""
AS_IS_PAIRS, AS_IS_QUADS = 4, 16
"""Of the choice over the model as it runs today."""


def pace_of(trial: Trial) -> Pace:
    """How calls of its family are timed."""
    return family_named(trial.subject.family).pace if trial.subject is not None else Pace()


def ready_s(trial: Trial) -> float:
    """Seconds until its process has loaded the model."""
    known = trial.footprints[0].ready_s if trial.footprints else 0.0
    return known or pace_of(trial).start_s


def alone_s(trial: Trial) -> float:
    """Seconds of a process that looks at it alone; of what is not looked at here, to start it twice."""
    known = trial.footprints[0].seconds if trial.footprints else 0.0
    return known or 2 * ready_s(trial)


def warming_s(trial: Trial) -> float:
    call, chunk = trial.warm_ns / 1e9, pace_of(trial).chunk
    return max(WARM_S[0], min(WARM_CALLS // CHUNK * chunk * call, max(WARM_S[1], chunk * call)))


def costs(run: Run, a: Trial, b: Trial) -> Costs:
    """Of comparing two; `b` may be `a` where it is not known yet, which is as slow as the baseline at worst."""
    pair = sum(ready_s(t) + warming_s(t) for t in (a, b))
    quad = quad_seconds((a.warm_ns, b.warm_ns), least_runs(a.subject))
    pace = run.budget.pace
    return Costs(pace * pair, pace * quad, alone_s(b))


def race_costs(run: Run, baseline: Trial, trials: Sequence[Trial]) -> RaceCosts:
    """Of a set of the baseline, its second process and these."""
    each = [share_of_set(baseline, trial) for trial in (baseline, baseline, *trials)]
    rounds = sum(share.round for share in each) + each[0].round  # the baseline's second turn
    return RaceCosts(run.budget.pace * sum(share.start for share in each), run.budget.pace * rounds)


def share_of_set(baseline: Trial, trial: Trial) -> RaceCosts:
    """What one contestant adds to a set: its start, and a turn as long as the baseline's, or its least calls."""
    least = least_runs(baseline.subject)
    length = max(BLOCK_S, least * baseline.warm_ns / 1e9, least * trial.warm_ns / 1e9)
    return RaceCosts(TOGETHER * ready_s(trial) + warming_s(trial), length + max(LEAD_S, trial.warm_ns / 1e9))


def sets_s(run: Run, baseline: Trial, full: bool) -> float:
    """Seconds of the races that a candidate as fast as the baseline adds: of one short set, or of the usual ones."""
    share, rounds = share_of_set(baseline, baseline), run.family.pace.rounds
    sets, count = (USUAL_SETS, rounds[1]) if full else (1, rounds[0])
    return run.budget.pace * sets * (share.start + count * share.round)


def check_s(trial: Trial) -> float:
    return trial.check.seconds if trial.check is not None else 0.0


def single_s(trial: Trial) -> float:
    """Seconds to answer all examples as they are timed, not in the larger batches of a check."""
    return one_by_one_s(trial.check) if trial.check is not None else 0.0


def delivery_s(run: Run, trials: Sequence[Trial]) -> float:
    """To pack, to check that the bundle gives the same answers over all evaluation data, and to write the report."""
    total = run.budget.total
    packing = packing_s(None if total is None else total - run.budget.spent)
    return packing + max((ready_s(t) + single_s(t) for t in trials), default=0.0)


def judging_s(trials: Sequence[Trial], runtime: str, singly: bool = False) -> float:
    """Until a candidate of this runtime was looked at alone and its answers were judged; `trials[0]` is the reference.

    Args:
        singly: whether it takes no larger batches, as a session for fixed shapes.

    A runtime that nothing is known of is taken to start as most do, and to be as fast as the reference.
    """
    alike = [t for t in trials if t.candidate.recipe.runtime == runtime and t.footprints and t.check is not None]
    if alike:
        return max(alone_s(t) + (single_s(t) if singly else check_s(t)) for t in alike)
    reference = trials[0]
    return NEW_START_S + max(0.0, alone_s(reference) - ready_s(reference)) + single_s(reference)


def build_s(run: Run, recipe: Recipe, model: Model, task: Task, trials: Sequence[Trial]) -> float:
    """Estimate for its build: nothing where the cache holds it, what it took in an earlier run, what others of its builders
    took in this one, or by rule."""
    if not recipe.steps or cached(run, recipe, model, task):
        return 0.0
    earlier = [c.build_s for c in built_before(run, recipe.name)]
    builders = {step.builder for step in recipe.steps}
    alike = [t.candidate.build_s for t in trials if {s.builder for s in t.candidate.recipe.steps} == builders]
    return max(earlier or alike or [durations.build_seconds(recipe, model.artifact.bytes)])


def cached(run: Run, recipe: Recipe, model: Model, task: Task) -> bool:
    """Whether every step of a recipe lies in the build cache."""
    artifact: Artifact | None = model.artifact
    for step in recipe.steps:
        artifact = cached_step(run, recipe, step, artifact, task) if artifact is not None else None
    return artifact is not None


def built_before(run: Run, name: str) -> list[Candidate]:
    """Candidates of this recipe in this store's runs of a model of this name, read once."""
    return run.recall(("built before", name), lambda: _built_before(run, name))


def _built_before(run: Run, name: str) -> list[Candidate]:
    stem, found = Path(run.request.model).stem, list[Candidate | None]()
    for folder in run.recall("runs", run.store.list_runs):
        if folder.name.startswith(f"{stem}-"):
            try:
                found.append(load(folder.candidate(name) / "candidate.json", Candidate))
            except StoreError:
                continue  # damaged, or of another version: it says nothing
    return [c for c in found if c is not None and c.failure is None]


def candidate_s(run: Run, recipe: Recipe, model: Model, task: Task, trials: Sequence[Trial], full: bool = False) -> float:
    """Until a recipe was built, judged and timed, roughly or in full; what is on disk already costs nothing."""
    timed = not recipe.unrepresentative and run.place.kind == "here"
    timing = sets_s(run, trials[0], full) if timed else 0.0
    if timed and not any(t.candidate.recipe.runtime == recipe.runtime and t.footprints for t in trials):
        timing -= run.budget.pace * TOGETHER * max(0.0, ready_s(trials[0]) - NEW_START_S)
    if (run.folder.candidate(recipe.name) / "check").exists():
        return timing
    if goes_unjudged(recipe, trials[0].quality_reference):
        return alone_s(trials[0]) + timing
    return build_s(run, recipe, model, task, trials) + judging_s(trials, recipe.runtime, "shapes" in recipe.settings) + timing


def settle(run: Run, model: Model, task: Task, found: Sequence[Offer], reference: Trial) -> None:
    """The reference is known: what `auto` comes to is settled, and what is kept for which stage."""
    candidates, variants = by_role(found, "candidate"), [*by_role(found, "baseline-variant"), *by_role(found, "as-is")]
    trials, pace = [reference], run.family.pace
    one = costs(run, reference, reference)
    cheap = {r.name: candidate_s(run, r, model, task, trials) for r in candidates}
    least = min(cheap.values(), default=0.0)
    packing = delivery_s(run, trials)
    most_pairs, quads = pace.pairs, run.family.quads((reference.warm_ns, reference.warm_ns), reference.subject, QUADS[0])
    here = run.place.kind == "here"
    if run.budget.asked in ("auto", None):
        rest = sum(candidate_s(run, r, model, task, trials, full=True) for r in candidates)
        if here:
            judging = judging_s(trials, reference.candidate.recipe.runtime, bool(task.shapes))
            timing = sets_s(run, reference, full=True)
            built = [v for v in variants if v.steps]
            plain = [v for v in variants if not v.steps]
            rest += sum(candidate_s(run, v, model, task, trials, full=True) for v in built)
            rest += sum(timing + (alone_s(reference) if goes_unjudged(v, reference) else judging) for v in plain)
            rest += OTHER_SETTINGS * (judging + timing)
            rest += AS_IS_PAIRS * AS_IS_QUADS * one.quad if pace.as_is else 0.0
            rest += seconds_of(Plan(3, most_pairs, quads, False), one)
        estimate = run.budget.spent + rest + packing
        if run.budget.asked == "auto":
            run.budget.settle(auto_seconds(run.budget.spent, rest + packing, pace.auto_s, least + packing), estimate)
        else:
            run.tell("estimated", seconds=rest + packing)
    total = run.budget.total
    if total is None:
        return
    run.emit("budget-settled", seconds=total, asked=run.budget.asked, estimate=run.budget.estimate)
    run.budget.keep("delivery", packing)
    run.budget.enter("search")
    if not here:
        return
    further = sum(batch / task.workload.batch * SEARCH_QUADS * one.quad + one.pair for batch in task.workload.batches[1:])
    run.budget.keep("beside", min(further, run.budget.left() / 4))
    run.budget.keep("confirmation", kept_for_confirmation(run.budget.left(), least, quads, one, most_pairs))
    named = [cheap[r.name] for r in candidates if r.name in run.request.recipes]
    run.budget.keep("search", kept_from_tuning(run.budget.left(), named or [least]))
    run.budget.enter("tuning")


def affordable(
    run: Run, recipes: Sequence[Recipe], model: Model, task: Task, trials: Sequence[Trial], taken_s: float = 0.0,
    seated: bool = True,
) -> list[Recipe]:  # fmt: skip
    """Those that can be built, judged and roughly timed in the time left, in the order given.

    Args:
        taken_s: of that time, what others of the same group will take; those that are ready have their share of the next set.
        seated: whether `trials[0]` is the baseline of that set; else one of these recipes will be.
    """
    waiting = [t for t in trials if t.ready and t.result.search is None]
    least = first_set_s(run, trials[0], waiting) if seated and run.place.kind == "here" else 0.0
    left = run.budget.left() - taken_s - least
    return [r for r in recipes if left == float("inf") or candidate_s(run, r, model, task, trials) <= left]


def affordable_together(
    run: Run, recipes: Sequence[Recipe], model: Model, task: Task, trials: Sequence[Trial], taken_s: float = 0.0,
    seated: bool = True,
) -> list[Recipe]:  # fmt: skip
    """Those of a group that fit the time left one after the other, in the order given; arguments as of `affordable`."""
    found = list[Recipe]()
    for recipe in recipes:
        if affordable(run, [recipe], model, task, trials, taken_s, seated):
            found.append(recipe)
            taken_s += candidate_s(run, recipe, model, task, trials)
    return found


def first_set_s(run: Run, baseline: Trial, waiting: Sequence[Trial]) -> float:
    """Seconds of the least set of the baseline, its second process, and those that wait for it."""
    if run.budget.total is None:
        return 0.0
    costs = race_costs(run, baseline, waiting)
    return costs.start + pace_of(baseline).rounds[0] * costs.round


def within_budget(
    run: Run, waiting: Sequence[Recipe], model: Model, task: Task, trials: Sequence[Trial], taken_s: float = 0.0
) -> list[Recipe]:  # fmt: skip
    """What is affordable; what can never be chosen only where nothing else is.

    Where nothing is, and no candidate was tried yet, the cheapest: estimates may be wrong.

    Args:
        taken_s: of the time left, what others of the same group will take.
    """
    real = [r for r in waiting if not r.unrepresentative or run.place.kind != "here" or run.budget.total is None]
    found = affordable(run, real, model, task, trials, taken_s)
    tried = taken_s or any(t.candidate.recipe.role == "candidate" and t.result.status != "not reached" for t in trials)
    if found or not waiting or run.budget.left() <= 0:
        return found
    if real and not tried:
        return [min(real, key=lambda r: candidate_s(run, r, model, task, trials))]
    return affordable(run, waiting, model, task, trials, taken_s)


def budget_use(run: Run, model: Model, task: Task, trials: Sequence[Trial], found: Sequence[Offer]) -> BudgetUse:
    """The budget, and what was left out to keep it."""
    unreached = [t for t in trials if t.result.status == "not reached"]
    recipes = [t.candidate.recipe for t in unreached if t.candidate.recipe.role == "candidate"]
    variants = {r.name for r in by_role(found, "baseline-variant")}
    settings = [t for t in unreached if t.name in variants]
    left_out: list[Saving] = []
    known = [t for t in trials if t.footprints]
    if settings:
        left_out.append(Saving(what="settings", count=len(settings)))
    if recipes:
        more = sum(candidate_s(run, r, model, task, known) for r in recipes) if known else None
        left_out.append(Saving(what="candidates", count=len(recipes), more_s=more and round(more, 1)))
    return BudgetUse(
        asked=run.budget.asked, seconds=run.budget.total, estimate_s=run.budget.estimate,
        left_out=(*left_out, *run.budget.savings),
    )  # fmt: skip
