"""Preparing candidates to be timed: built side by side, then looked at and checked one after another, each in one process."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from strop.core.candidate import Candidate, Failure, Result
from strop.core.errors import BudgetError
from strop.core.gate import judge_one
from strop.core.model import Artifact, Model
from strop.core.noun import Scalar
from strop.core.recipe import Recipe
from strop.core.rivalry import ends_race
from strop.core.shapes import FIXING, was_given
from strop.core.task import Task
from strop.core.verdict import Gate, exactly
from strop.run.building import build_all, write_reproduce
from strop.run.checking import Visit, check, footprint, shards, subject
from strop.run.context import Run
from strop.run.denominator import agrees, is_rebuilt
from strop.run.trial import Trial, accuracy_of, goes_unjudged, known_figures, memory_ratio, only_informs, racer_of

Stage = Callable[[Run, Model, Task, Trial, Trial, Sequence[Trial], Visit], Trial]
OF_DIFFERENCE = ("accuracy_retained", "accuracy", "difference")
"""Gate metrics that the channel which differs most decides, where the metric is `difference`."""
PRECISION = "precision"
"""The setting by which a runtime is asked for a type of arithmetic; what it then computes in is read back."""
SLOWER = 0.5
"""A first look at a few calls drops only what is clearly slower than this share of a rival's speed: its fastest call against
nine of ten of the rival's."""


def prepare(
    run: Run, model: Model, task: Task, recipes: Sequence[Recipe], baseline: Trial, others: Sequence[Trial],
    later: Sequence[Recipe] = (),
) -> list[Trial]:  # fmt: skip
    """A trial for each recipe, in their order: built, looked at and checked. Failures and drops are results.

    Those that are `ready` are timed next. Every other trial is final, and the run has been told.

    Args:
        others: trials so far, which a candidate is compared with. later: recipes whose turn is next, for cores that idle.
    """
    return _prepare((_look, _check, _leave_untimed), run, model, task, recipes, baseline, others, later)


def prepare_elsewhere(
    run: Run, model: Model, task: Task, recipes: Sequence[Recipe], baseline: Trial, others: Sequence[Trial]
) -> list[Trial]:  # fmt: skip
    """As `prepare`, for a target that is elsewhere: built, and the answers judged; what its calls take here says nothing."""
    return _prepare((_need_device, _check), run, model, task, recipes, baseline, others)


def finish(run: Run, task: Task, trial: Trial) -> Trial:
    """The trial, which is final; the run is told."""
    speedup = trial.result.speedup
    rough = trial.result.noisy
    run.emit(
        "candidate-done", candidate=trial.name, status=trial.result.status, reason=trial.result.reason,
        speedup=speedup and round(speedup.value, 4), rough=rough and round(rough.value, 4),
        accuracy=trial.result.accuracy, metric=task.metric, clock="CPU time" if trial.result.by_cpu_time else "wall time",
    )  # fmt: skip
    return trial


def fail(run: Run, model: Model, trial: Trial, failure: Failure) -> Trial:
    """The trial, failed, with a script that repeats the failure."""
    return trial.failed(failure, write_reproduce(run, trial.candidate.recipe, model))


def not_reached(recipe: Recipe, reason: str = "the budget ended before its turn") -> Trial:
    """A recipe that the budget left no time for."""
    return Trial(Result(candidate=Candidate(recipe=recipe), status="not reached", reason=reason))


def _prepare(
    stages: Sequence[Stage], run: Run, model: Model, task: Task, recipes: Sequence[Recipe], baseline: Trial,
    others: Sequence[Trial], later: Sequence[Recipe] = (),
) -> list[Trial]:  # fmt: skip
    run.tell("preparing", candidates=[recipe.name for recipe in recipes])
    with run.spending("build"):
        built = build_all(run, recipes, model, task, later)
        run.builders.rest()
    trials: list[Trial] = []
    for recipe in recipes:
        if recipe.name not in built or not (run.budget.left() > 0 or (run.folder.candidate(recipe.name) / "check").exists()):
            trials.append(not_reached(recipe))
            continue
        run.tell("candidate-started", candidate=recipe.name)
        trial = _begun(run, task, recipe, built[recipe.name], [*others, *trials])
        if trial.subject is not None:
            trial = _through(stages, run, model, task, trial, baseline, [*others, *trials])
        trials.append(trial if trial.ready else finish(run, task, trial))
        run.tell("candidate-checked", candidate=recipe.name)
    return trials


def _begun(run: Run, task: Task, recipe: Recipe, candidate: Candidate | None, others: Sequence[Trial]) -> Trial:
    """The trial of what was built; one without a subject is final."""
    if candidate is None:
        return replace(not_reached(recipe, "the budget ended while it was built"), cut=True)
    trial = Trial(Result(candidate=candidate))
    if candidate.failure is not None:
        return trial.failed(candidate.failure, str(run.folder.candidate(recipe.name) / "reproduce.sh"))
    twin = _twin(trial, others)
    if twin is not None:
        return trial.with_result(status="duplicate", reason=f"same weights and settings as {twin}")
    return replace(trial, subject=subject(run, candidate, task))


def _through(
    stages: Sequence[Stage], run: Run, model: Model, task: Task, trial: Trial, baseline: Trial, others: Sequence[Trial]
) -> Trial:  # fmt: skip
    """Through the stages until one ends it, in one process."""
    assert trial.subject is not None
    with Visit(run, trial.subject) as visit:
        for stage in stages:
            try:
                trial = stage(run, model, task, trial, baseline, others, visit)
            except BudgetError:
                return trial.not_reached(f"the budget ended while it was {DOING[stage]}")
            if trial.result.status != "in progress":
                break
    return trial


def _need_device(
    _run: Run, _model: Model, _task: Task, trial: Trial, _baseline: Trial, _others: Sequence[Trial], _visit: Visit
) -> Trial:  # fmt: skip
    """What runs on an accelerator cannot be judged without it."""
    recipe = trial.candidate.recipe
    if recipe.device == "cpu":
        return trial
    why = f"built; not measurable on this machine: it has no {recipe.device} that {recipe.runtime} can use"
    return trial.with_result(status="not measurable", reason=why)


def _twin(trial: Trial, others: Sequence[Trial]) -> str | None:
    mine = trial.candidate
    for other in others:
        theirs = other.candidate
        same = mine.artifact is not None and theirs.artifact is not None and _alike(mine.artifact, theirs.artifact)
        if same and mine.recipe.settings == theirs.recipe.settings and mine.recipe.runtime == theirs.recipe.runtime:
            return other.name
    return None


def _alike(one: Artifact, other: Artifact) -> bool:
    """The same bytes, or by what their builder says the same content."""
    return one.digest == other.digest or bool(one.content and one.content == other.content)


def _look(
    run: Run, model: Model, task: Task, trial: Trial, baseline: Trial, others: Sequence[Trial], visit: Visit
) -> Trial:  # fmt: skip
    """Memory and a first look at the latency, alone."""
    assert trial.subject is not None
    with run.spending("memory"):
        first = footprint(run, trial.subject, 0, bool(trial.candidate.recipe.unrepresentative), visit)
    if first.failure is not None:
        return fail(run, model, trial, first.failure)
    ran_on = str(first.properties.get("device") or first.properties.get("provider") or "")
    if trial.candidate.recipe.device != "cpu" and ran_on.startswith("CPU"):
        message = f"it fell back to the CPU: no {trial.candidate.recipe.device} that {trial.candidate.recipe.runtime} can use"
        return fail(run, model, trial, Failure(stage="check", kind="fallback", message=message))
    peak = first.memory.peak if first.memory is not None else 0
    trial = replace(trial, footprints=(first,), subject=trial.subject._replace(memory_bytes=peak))
    trial = trial.with_result(pace=run.family.paces([first], trial.subject))
    if trial.candidate.recipe.unrepresentative:
        return trial
    ratio = memory_ratio(trial, baseline)
    trial = trial.with_result(memory=tuple(m for m in [first.memory] if m is not None), memory_ratio=ratio)
    if task.workload.concurrency > 1:
        return trial  # alone it may be slow, and best with several requests in flight
    outpaced = next((found for other in others if (found := outpaced_by(other, trial, baseline, run)) is not None), None)
    return trial.dropped(outpaced) if outpaced is not None else trial


def outpaced_by(rival: Trial, trial: Trial, baseline: Trial, run: Run) -> str | None:
    """Why a first look alone shows that a rival leaves nothing to win, so that the answers need not be judged; or None.

    The rival was judged itself, and passes every gate that has a figure by now. A setting of the baseline is compared with
    the given model alone: with which files it is to be combined is not known yet.
    """
    fastest, usual = trial.rough_ns[0], rival.rough_ns[1]
    known = (rival.alive or rival.ready) and rival.check is not None and not rival.unjudged
    if (
        not known
        or rival.candidate.recipe.unrepresentative
        or not usual
        or fastest * SLOWER <= usual
        or only_informs(rival, baseline)
    ):
        return None
    if trial.candidate.recipe.role == "baseline-variant" and rival.name != baseline.quality_reference.name:
        return None
    racer = racer_of(rival)
    passes = all(judge_one(g, racer.figures[g.metric]).result == "PASS" for g in run.gates if g.metric in racer.figures)
    faster = exactly(fastest / usual)
    if not passes or not _keeps_accuracy(rival):
        return None
    if not ends_race(racer, racer_of(trial), faster, run.gates, run.request.weights, dict):
        return None
    return f"at least {faster.value:.1f}× slower than {rival.name} at a first look, and better in nothing that counts"


def _keeps_accuracy(trial: Trial) -> bool:
    retained = trial.result.retained
    return retained is None or retained.high >= 1.0


def _check(
    run: Run, model: Model, task: Task, trial: Trial, baseline: Trial, others: Sequence[Trial], visit: Visit
) -> Trial:  # fmt: skip
    """Validity and accuracy over the whole evaluation data; of the given file under another setting, only where that is quick."""
    assert trial.subject is not None and baseline.check is not None
    given = baseline.quality_reference
    if goes_unjudged(trial.candidate.recipe, given):
        as_ran = as_it_ran(run, trial, trial.footprints[0].properties, others)
        return _taken_as_given(as_ran, given) if as_ran.result.status == "in progress" else as_ran
    return _judge(run, model, task, trial, baseline, others, visit)


def _taken_as_given(trial: Trial, given: Trial) -> Trial:
    """With the given file's answers in the place of its own, of which nothing is said. Timed answers are not compared with them,
    since a setting may compute in another type."""
    return replace(trial, check=given.check, check_folder=given.check_folder, unjudged=True)


def with_answers_judged(run: Run, model: Model, task: Task, trial: Trial, baseline: Trial) -> Trial:
    """A trial whose answers were judged, now if they were not: before it becomes a denominator, or a finalist.

    Raises:
        BudgetError: the budget ended first.
    """
    if not trial.unjudged:
        return trial
    assert trial.subject is not None
    run.tell("candidate-started", candidate=trial.name)
    with Visit(run, trial.subject) as visit:
        after = _judge(run, model, task, replace(trial, unjudged=False), baseline, (), visit)
    run.tell("candidate-checked", candidate=trial.name)
    return after if after.result.status == trial.result.status else finish(run, task, after)


def _judge(
    run: Run, model: Model, task: Task, trial: Trial, baseline: Trial, others: Sequence[Trial], visit: Visit
) -> Trial:  # fmt: skip
    """Validity and accuracy over the whole evaluation data."""
    assert trial.subject is not None and baseline.check is not None
    theirs = baseline.quality_reference
    with run.spending("check"):
        slow = trial.candidate.recipe.unrepresentative or run.place.kind != "here"
        usual = None if slow else baseline.check
        found, folder = check(run, trial.subject, theirs.check_folder, usual, task, visit=visit)
    if found.failure is not None:
        failure = Failure(stage="check", kind=found.failure_kind or "invalid", message=found.failure, log_tail=found.log_tail)
        return fail(run, model, trial, failure)
    trial = as_it_ran(run, trial, found.properties, others)
    if trial.result.status == "duplicate":
        return trial
    assert trial.subject is not None
    trial = replace(
        trial,
        check=found,
        check_folder=folder,
        reference=theirs if run.family.other_runtimes or is_rebuilt(trial.candidate.recipe) else None,
        subject=trial.subject._replace(reference=shards(folder) if run.family.own_answers else None),
    )
    scored = accuracy_of(trial, theirs, task)
    quality = {}
    if theirs.check_folder is not None:
        quality = run.family.quality(folder, theirs.check_folder, task) | ({"difference": scored.figure} if scored.figure else {})
    trial = trial.with_result(
        accuracy=scored.value, retained=scored.retained, differs=scored.where, examples=found.examples, quality=quality,
        ran=str(found.properties.get("ran") or ""),
    )  # fmt: skip
    twin = same_kernels(trial, others)
    if twin is not None:
        precision = trial.candidate.recipe.settings[PRECISION]
        return trial.with_result(
            status="duplicate", reason=f"asked for {precision}, it computes as {twin} does: {trial.result.ran}"
        )
    missed = next((m for gate in run.gates if (m := _surely_misses(gate, trial))), None)
    denominator = trial.candidate.recipe.role == "baseline-variant" and agrees(trial)  # also one too large to be chosen
    return trial.dropped(f"{missed}; not timed") if missed is not None and not denominator else trial


def as_it_ran(run: Run, trial: Trial, properties: Mapping[str, Scalar], others: Sequence[Trial]) -> Trial:
    """The trial, without the settings for fixed shapes where its session does not have these: what is reported, timed and shipped
    is what ran. Runners answer without fixed shapes where a model cannot be compiled for them; another may then run the same.
    """
    recipe, read_back = trial.candidate.recipe, properties.get("shapes")
    if "shapes" not in recipe.settings or read_back is None or was_given(str(recipe.settings["shapes"]), str(read_back)):
        return trial
    run.note(f"{trial.name} runs without fixed shapes: {recipe.runtime} cannot have {recipe.settings['shapes']} for it.")
    changed = recipe.model_copy(update={"settings": without_shapes(recipe.settings)})
    trial = trial.with_result(candidate=trial.candidate.model_copy(update={"recipe": changed}))
    of, twin = trial.subject, _twin(trial, others)
    if twin is not None:
        return trial.with_result(status="duplicate", reason=f"it cannot have the fixed shapes, and runs as {twin} does")
    return replace(trial, subject=of and of._replace(settings=without_shapes(of.settings)))


def without_shapes(settings: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Settings of a session that takes any shape."""
    return {name: value for name, value in settings.items() if name not in FIXING}


def same_kernels(trial: Trial, others: Sequence[Trial]) -> str | None:
    """Another candidate of the same files whose kernels are of the same types although another precision was asked for."""

    def of(one: Trial) -> object:
        recipe = one.candidate.recipe
        return recipe.runtime, recipe.steps, {k: v for k, v in recipe.settings.items() if k != PRECISION}, one.result.ran

    asked = trial.candidate.recipe.settings.get(PRECISION)
    if not trial.result.ran or asked is None:
        return None
    able = [t for t in others if t.check is not None and t.candidate.recipe.settings.get(PRECISION) not in (None, asked)]
    return next((t.name for t in able if of(t) == of(trial)), None)


def _surely_misses(gate: Gate, trial: Trial) -> str | None:
    """The figure of its answers or its files that misses a must by its whole interval, in words."""
    figure = known_figures(trial).get(gate.metric)
    if gate.kind != "must" or figure is None or judge_one(gate, figure).result != "FAIL":
        return None
    best = f"at most {figure.high:.4g}" if gate.direction == "at_least" else f"at least {figure.low:.4g}"
    where = f" ({trial.result.differs} differs most)" if trial.result.differs and gate.metric in OF_DIFFERENCE else ""
    return f"misses {gate} by its whole interval: {best}{where}"


def _leave_untimed(
    run: Run, _model: Model, _task: Task, trial: Trial, _baseline: Trial, _others: Sequence[Trial], _visit: Visit
) -> Trial:  # fmt: skip
    """What is made for another machine is not timed on this one."""
    recipe = trial.candidate.recipe
    if not recipe.unrepresentative:
        return trial
    run.note(f"{recipe.runtime}: its speed here is not representative: {recipe.unrepresentative}. It is judged by its answers.")
    return trial.with_result(status="measured", reason="not timed: its speed here is not representative")


DOING: Mapping[Stage, str] = {_need_device: "looked at", _look: "looked at", _check: "checked", _leave_untimed: "checked"}
