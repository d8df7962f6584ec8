"""`optimize`: the pipeline, on one screen. Each step's result goes into the next."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from strop.core.candidate import MISSING, Timing
from strop.core.choose import Choice, choose
from strop.core.model import Model
from strop.core.outcome import Outcome
from strop.core.recipe import Offer, Recipe
from strop.core.spelling import spelled
from strop.core.standing import standing_of, why_worse
from strop.core.task import Task
from strop.plan.space import by_role, follow, next_in_turn, offers, places_of, retuned
from strop.run.advising import advised
from strop.run.baseline import tune
from strop.run.budget import least_of
from strop.run.conclude import conclude
from strop.run.confirm import confirm, more_baseline_memory
from strop.run.context import Observer, Run, nobody
from strop.run.deliver import deliver
from strop.run.elsewhere import pursue_elsewhere
from strop.run.finalists import contender_of, select
from strop.run.flags import OPTIMIZE
from strop.run.identity import note_used
from strop.run.intake import read_task
from strop.run.judging import Hasty, verdict_of, why_no_accuracy
from strop.run.open_run import OUTCOME, opened
from strop.run.outfolder import require_writable
from strop.run.planning import affordable, within_budget
from strop.run.preparing import not_reached
from strop.run.request import make_request
from strop.run.screen import admit
from strop.run.trial import Trial
from strop.store.store import load
from strop.worker.interpreter import why_missing


@spelled(*OPTIMIZE)
def optimize(model: str, *, config: str | None = None, observer: Observer = nobody, **flags: Any) -> Outcome:
    """Find, prove and pack the best version of a model for this machine.

    Args:
        model: path of the model.
        config: path of a `strop.toml`; by default one in the working directory, or beside the model or in its folder.
        observer: called with (event, details) as the run goes on.
        flags: `strop.run.flags.OPTIMIZE`, named like the flags of the command line: data, calibration, labels, budget, must …

    Returns:
        What was found. The folder `delivered` holds report.html, report.md, report.json and, unless the outcome is `none`,
        bundle/. It is `out`, by default `strop-out/<model>`; where that holds a better or another model's result, one beside it.

    Raises:
        StropError: bad input of any kind; each subclass has its exit code.
        TypeError: a keyword that is not known, or a value of another type.

    Example:
        >>> outcome = strop.optimize("model.onnx", data="eval.npz", calibration="calibration.npz")
        >>> outcome.chosen.speedup.value
    """
    request = make_request(model, config, **flags)
    require_writable(request)
    with opened(request, observer) as (run, given):
        finished = load(run.folder.folder / OUTCOME, Outcome)
        if finished is not None and not can_mend(run, finished):
            tell_of_new_backends(run, finished)
            return deliver(run, finished)
        found = pursue(run, given)
        worse = why_worse(standing_of(found), standing_of(finished)) if finished is not None else ""
        if finished is not None and worse and not request.replace:
            run.tell("earlier-kept", why=worse)
            return deliver(run, finished)
        return deliver(run, found, new=True)


def can_mend(run: Run, outcome: Outcome) -> bool:
    """Whether a finished run lacks what an interpreter that was gone would have given, and now can."""
    lost = [r.candidate.recipe for r in outcome.results if r.failure is not None and r.failure.kind == MISSING]
    return any(not why_missing(run.backend(name)) for r in lost for name in {r.runtime, *(s.builder for s in r.steps)})


def tell_of_new_backends(run: Run, outcome: Outcome) -> None:
    """A finished run stays the answer; what was installed since and has something to offer is named."""
    known = run.folder.used()
    if known is None or run.request.backends:
        return
    since = [b for name, b in run.backends.items() if name not in known["installed"] and not why_missing(b)]
    able = [b.name for b in since if any(o.offered for o in b.offer(outcome.model, run.target, outcome.task))]
    if able:
        run.tell("installed-since", backends=able)


def pursue(run: Run, model: Model) -> Outcome:
    """The run itself, from the data to the conclusion; what is already on disk is read instead of made again."""
    with run.spending("data"), least_of(run.budget.asked):
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
    run.budget.enter("confirmation")
    baseline = more_baseline_memory(run, baseline)
    queue = select(trials, baseline, run.request.weights, run.gates)
    confirmed, noise = confirm(run, model, task, baseline, queue)
    final = {t.name: t for t in [*trials, *confirmed, baseline]}
    trials = judge_all(run, task, list(final.values()), baseline, noise)
    choice = choose_among(trials, [t.name for t in [*confirmed, baseline]], run.request.weights)
    return conclude(run, model, task, found, trials, baseline.name, noise, choice)


def plan_recipes(run: Run, model: Model, task: Task, asked: Sequence[str] = ()) -> list[Offer]:
    """Everything that is offered for this model, target and task; `asked` are recipes named beside the request's."""
    missing = {name: why_missing(backend) for name, backend in run.backends.items()}
    found = offers(run.backends, model, run.target, task, run.request.backends, run.request.recipes, missing)
    found = advised(run, task, found, (*run.request.recipes, *asked))
    note_used(run.folder, run.backends, model, found)
    run.emit("planned", offered=[o.name for o in found if o.offered], refused=[o.name for o in found if not o.offered])
    return found


@spelled(*OPTIMIZE)
def list_recipes(model: str, *, config: str | None = None, **flags: Any) -> list[Offer]:
    """What `optimize` would try and why, without building or timing anything (`--dry-run`).

    Args:
        model, config, flags: as for `optimize`.

    Raises:
        StropError: as `optimize`.

    Example:
        >>> [offer.name for offer in strop.list_recipes("model.onnx") if offer.offered]
    """
    return list_plan(model, config=config, **flags).offers


class Plan(NamedTuple):
    """What a run would try, and what it would note of the model and the data."""

    offers: list[Offer]
    notes: tuple[str, ...]


def list_plan(model: str, *, config: str | None = None, **flags: Any) -> Plan:
    """As `list_recipes`, with the notes."""
    with opened(make_request(model, config, **flags), nobody, keep=False, timed=False) as (run, given):
        offers = plan_recipes(run, given, read_task(run, given))
        return Plan(offers, tuple(run.kept))


def search(run: Run, model: Model, task: Task, found: Sequence[Offer], baseline: Trial, trials: list[Trial]) -> list[Trial]:
    """Every candidate as far as it deserves and the budget allows, then the best one under the other thread settings."""
    given = {r.name: r for r in by_role(found, "candidate")}
    trials = _each(run, model, task, untried(found, "as-is", trials), baseline, trials)
    run.budget.enter("search")
    trials = _in_turn(run, model, task, found, baseline, trials)
    if not select([t for t in trials if t.alive], baseline, run.request.weights, run.gates):
        run.budget.keep("confirmation", 0.0)  # there is nothing to confirm: better a rough figure of something
        trials = _in_turn(run, model, task, found, baseline, trials)
    known = {t.name for t in trials}
    trials = [*trials, *(not_reached(r) for r in given.values() if r.name not in known)]
    trials = _each(run, model, task, untried(found, "as-is", trials), baseline, trials)
    best = select([t for t in trials if t.alive and t.candidate.recipe.steps], baseline, run.request.weights, run.gates, most=1)
    variants = [*by_role(found, "reference"), *by_role(found, "baseline-variant")]
    others = other_settings(run, given[best[0].name], variants) if best else []
    return _each(run, model, task, [r for r in others if r.settings != best[0].candidate.recipe.settings], baseline, trials)


def _in_turn(
    run: Run, model: Model, task: Task, found: Sequence[Offer], baseline: Trial, trials: list[Trial]
) -> list[Trial]:  # fmt: skip
    """With the trials of the candidates, of those that fit the time left the next in turn."""
    waiting = untried(found, "candidate", trials)
    while can_pay := within_budget(run, waiting, model, task, trials):
        recipe = next_in_turn(can_pay, [t.name for t in trials if t.lost_accuracy], places_of(found, run.advice))
        run.budget.share(len(waiting))
        waiting.remove(recipe)
        others = [t for t in trials if t.name != recipe.name]
        trials = [*others, admit(run, model, task, follow(recipe, baseline.candidate.recipe), baseline, others)]
    return trials


def untried(found: Sequence[Offer], role: str, trials: Sequence[Trial]) -> list[Recipe]:
    """Recipes of a role that have not had their turn, or that the budget left no time for then; a build that it cut short is
    not begun a second time."""
    tried = {t.name for t in trials if t.result.status != "not reached" or t.cut}
    return [r for r in by_role(found, role) if r.name not in tried]


def other_settings(run: Run, recipe: Recipe, variants: Sequence[Recipe]) -> list[Recipe]:
    """The recipe's artifact under every other setting that its runtime or the baseline's variants suggest."""
    return retuned(recipe, variants, run.backend(recipe.runtime), run.target)


def _each(
    run: Run, model: Model, task: Task, recipes: Sequence[Recipe], baseline: Trial, trials: list[Trial]
) -> list[Trial]:  # fmt: skip
    """With the trials of these recipes, as far as the budget allows."""
    for place, recipe in enumerate(recipes):
        run.budget.share(len(recipes) - place)
        can_pay, others = bool(affordable(run, [recipe], model, task, trials)), [t for t in trials if t.name != recipe.name]
        trials = [*others, admit(run, model, task, recipe, baseline, others) if can_pay else not_reached(recipe)]
    return trials


def judge_all(run: Run, task: Task, trials: Sequence[Trial], baseline: Trial, noise: Timing) -> list[Trial]:
    """A verdict for every candidate; only a confirmation can pass a gate on time.

    Args:
        noise: the baseline against itself; without pairs where the budget left no time for it.
    """
    timed = noise.speedup is not None or not noise.pairs
    hasty = Hasty(run.budget.lacks("confirmation"), any(t.untuned for t in trials))
    return [t.with_result(verdict=verdict_of(t, baseline, run.gates, why_no_accuracy(task), timed, hasty=hasty)) for t in trials]


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
