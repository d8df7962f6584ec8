"""`optimize`: the pipeline, on one screen. Each step's result goes into the next."""

from collections.abc import Sequence
from typing import NamedTuple, Unpack

from strop.core.candidate import MISSING, Timing
from strop.core.choose import Choice, choose
from strop.core.events import Observer, nobody
from strop.core.inspection import Advice, ExportRemark
from strop.core.model import Model
from strop.core.outcome import Outcome
from strop.core.recipe import Offer
from strop.core.spelling import PathText, spelled
from strop.core.standing import standing_of, why_worse
from strop.core.task import Task
from strop.plan.export import export_remarks
from strop.plan.space import by_role, offers, places_of
from strop.run.advising import advised
from strop.run.baseline import tune
from strop.run.budget import least_of
from strop.run.conclude import conclude
from strop.run.confirm import confirm, more_baseline_memory
from strop.run.context import Run
from strop.run.deliver import deliver
from strop.run.elsewhere import pursue_elsewhere
from strop.run.finalists import contender_of, select
from strop.run.identity import note_used
from strop.run.judging import Hasty, verdict_of, why_no_accuracy
from strop.run.keywords import OptimizeFlags
from strop.run.open_run import OUTCOME, opened
from strop.run.outfolder import require_writable
from strop.run.request import make_request
from strop.run.search import search
from strop.run.throughput import ranked, reserve, with_own_throughput, with_server, with_server_itself
from strop.run.trial import Trial
from strop.store.store import load
from strop.worker.interpreter import why_missing


@spelled
def optimize(
    model: PathText, *, config: PathText | None = None, observer: Observer = nobody, **flags: Unpack[OptimizeFlags]
) -> Outcome:
    """Find, prove and pack the best version of a model for this machine.

    Args:
        model: path of the model.
        config: path of a `strop.toml`; by default one in the working directory, or beside the model or in its folder.
        observer: called with (event, details) as the run goes on.
        flags: named like the flags of the command line: data, calibration, labels, budget, must … (`strop.run.keywords`).

    Returns:
        What was found. The folder `delivered` holds report.html, report.md, report.json and, unless the outcome is `none`,
        bundle/. It is `out`, by default `strop-out/<model>`; where that holds a better or another model's result, one beside it.

    Raises:
        StropError: bad input of any kind; each subclass has its exit code.
        ArgumentError: a keyword that is not known, or a value of another type.

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
        task = run.family.read_task(run, model)
    if model.origin is not None:
        worst = max(model.origin.differences.values())
        run.note(
            f"The model is an ONNX export of {model.origin.architecture} for {model.origin.task}; its answers differ from the "
            f"original's by at most {worst:.1e} of their range."
        )
    found, advice = plan_recipes(run, model, task)
    if run.place.kind != "here":
        return pursue_elsewhere(run, model, task, found, advice)
    baseline, trials = tune(run, model, task, found)
    reserve(run, task, baseline, len(by_role(found, "candidate")))
    baseline, trials = with_server(run, model, task, baseline, trials)
    trials = search(run, model, task, found, baseline, trials, places_of(found, advice))
    trials = ranked(run, model, task, baseline, trials)
    run.budget.enter("confirmation")
    baseline = more_baseline_memory(run, baseline)
    queue = select(trials, baseline, run.request.weights, run.gates)
    confirmed, noise = confirm(run, model, task, baseline, queue)
    baseline = with_own_throughput(run, model, task, baseline, confirmed)
    final = {t.name: t for t in [*trials, *confirmed, baseline]}
    trials = with_server_itself(task, baseline, list(final.values()))
    trials = judge_all(run, task, trials, baseline, noise)
    choice = choose_among(trials, [t.name for t in [*confirmed, baseline]], run.request.weights)
    return conclude(run, model, task, found, trials, baseline.name, noise, choice, advice)


class Space(NamedTuple):
    """What a run may try, and the advice that orders it; None for a model that no inspector reads."""

    offers: list[Offer]
    advice: Advice | None


def plan_recipes(run: Run, model: Model, task: Task, asked: Sequence[str] = ()) -> Space:
    """Everything that is offered for this model, target and task; `asked` are recipes named beside the request's."""
    missing = {name: why_missing(backend) for name, backend in run.backends.items()}
    found = offers(run.backends, model, run.target, task, run.request.backends, run.request.recipes, missing)
    found, advice = advised(run, task, found, (*run.request.recipes, *asked))
    note_used(run.folder, run.backends, model, found)
    run.emit("planned", offered=[o.name for o in found if o.offered], refused=[o.name for o in found if not o.offered])
    return Space(found, advice)


@spelled
def list_recipes(model: PathText, *, config: PathText | None = None, **flags: Unpack[OptimizeFlags]) -> list[Offer]:
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
    """What a run would try, what it would note of the model and the data, and what the model's export does badly."""

    offers: list[Offer]
    notes: tuple[str, ...]
    export: tuple[ExportRemark, ...] = ()


def list_plan(model: PathText, *, config: PathText | None = None, **flags: Unpack[OptimizeFlags]) -> Plan:
    """As `list_recipes`, with the notes and the remarks on the model's export."""
    with opened(make_request(model, config, **flags), nobody, keep=False, timed=False) as (run, given):
        task = run.family.read_task(run, given)
        offers = plan_recipes(run, given, task).offers
        return Plan(offers, tuple(run.kept), export_remarks(given.faults, fixed=bool(task.shapes)))


def judge_all(run: Run, task: Task, trials: Sequence[Trial], baseline: Trial, noise: Timing) -> list[Trial]:
    """A verdict for every candidate; only a confirmation can pass a gate on time.

    Args:
        noise: the baseline against itself; without pairs where the budget left no time for it.
    """
    timed = not noise.pairs or (noise.speedup is not None and noise.clock == "wall time")
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
