"""Ways of serving several requests that the unquantized model has besides the tuned one, each with the tuned baseline's file.

The runtime's settings for several requests are tried with the given file. Where the tuned baseline has another file or other
shapes (its export was cleaned up, or its shapes are fixed), those settings are tried again with it: a denominator that lacks one
of the two flatters every candidate.
"""

from collections.abc import Sequence
from typing import Any

from strop.core.model import Model
from strop.core.recipe import Recipe
from strop.core.shapes import FIXING
from strop.core.task import Task
from strop.plan.serving import STREAMS, base_of
from strop.run.context import Run
from strop.run.denominator import beyond_rounding, may_be_denominator
from strop.run.planning import affordable_together
from strop.run.preparing import finish, prepare
from strop.run.trial import Trial

SERVING = ("threads", "streams", "hint", "spinning")
"""Settings that bear on how several requests share the cores."""
UNDER_LOAD = "timed with several requests in flight only: the tuned baseline's file under settings made for these"


def other_ways(baseline: Trial, trials: Sequence[Trial]) -> list[Trial]:
    """Settings of the unquantized model that share the cores in another way than the tuned one: of each way the first with the
    tuned baseline's file and shapes, else the first.
    """
    found = {way_of(baseline): baseline}
    for trial in sorted(trials, key=lambda t: file_of(t.candidate.recipe) != file_of(baseline.candidate.recipe)):
        able = trial.candidate.recipe.role in ("reference", "baseline-variant") and (trial.alive or trial.outpaced)
        if able and may_serve_as_denominator(trial):
            found.setdefault(way_of(trial), trial)
    return [t for t in found.values() if t is not baseline]


def may_serve_as_denominator(trial: Trial) -> bool:
    """Whether it answers as the given model does; one whose race ended early may be the best under load."""
    return may_be_denominator(trial.with_result(status="measured") if trial.outpaced else trial)


def way_of(trial: Trial) -> tuple[Any, ...]:
    """How it serves several requests."""
    settings = trial.subject.settings if trial.subject is not None else {}
    return tuple(settings.get(name) for name in SERVING)


def file_of(recipe: Recipe) -> tuple[Any, ...]:
    """Which file it runs, in which shapes."""
    return recipe.runtime, recipe.steps, *(recipe.settings.get(name) for name in FIXING)


def with_file_of(tuned: Recipe, way: Recipe) -> Recipe | None:
    """The tuned baseline's recipe under another one's way of serving; None where that one has the same file and shapes already,
    or another runtime.

    Example:
        >>> with_file_of(fp32_clean, fp32_1thread).name
        'fp32-clean+1thread'
    """
    if file_of(tuned) == file_of(way) or tuned.runtime != way.runtime:
        return None
    served = {name: value for name, value in way.settings.items() if name in SERVING}
    settings = {name: value for name, value in tuned.settings.items() if name not in SERVING} | served
    end = STREAMS if base_of(way.name) != way.name else f"+{way.name.partition('-')[2] or way.name}"
    return tuned.model_copy(
        update={"name": f"{tuned.name}{end}", "settings": settings, "role": "baseline-variant", "turn": way.turn}
    )


def ways(
    run: Run, model: Model, task: Task, baseline: Trial, trials: Sequence[Trial], look_s: float
) -> tuple[list[Trial], list[Trial]]:  # fmt: skip
    """The other ways of serving, with the tuned baseline's file and shapes wherever the budget allows and the answers agree; and
    what was made for that and may not serve.

    Args:
        look_s: seconds that a look at one of them takes.
    """
    names, tuned = {t.name for t in trials}, baseline.candidate.recipe
    given = other_ways(baseline, trials)
    recipes = {t.name: r for t in given if (r := with_file_of(tuned, t.candidate.recipe)) is not None and r.name not in names}
    others = [baseline, *(t for t in trials if t.name != baseline.name)]
    can_pay = affordable_together(run, list(recipes.values()), model, task, others, len(given) * look_s)
    if len(can_pay) < len(recipes):
        run.note("The budget left no time to try the baseline's file under every setting for load: throughput may be overstated.")
    made = {t.name: t for t in prepare(run, model, task, can_pay, baseline, others)} if can_pay else {}
    done = {name: t if not t.ready else finish(run, task, judged(t)) for name, t in made.items()}
    able = {name: t for name, t in done.items() if t.alive}
    found = [able.get(recipes[t.name].name, t) if t.name in recipes else t for t in given]
    return found, [t for name, t in done.items() if name not in able]


def judged(trial: Trial) -> Trial:
    """What was made for load: to be timed under load, or dropped where it does not answer as the given model does."""
    where, far = beyond_rounding(trial)
    if where:
        return trial.dropped(f"{where} differs from the given model's by {far:.2g} of its spread; not timed")
    return trial.with_result(status="measured", reason=UNDER_LOAD)
