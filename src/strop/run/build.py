"""`build`: one recipe's artifact, and on request the check it would have to pass in `optimize`."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Unpack

from strop.core.candidate import Candidate
from strop.core.errors import BackendError
from strop.core.events import Observer, nobody
from strop.core.model import Artifact, Model
from strop.core.recipe import Offer, Recipe
from strop.core.spelling import PathText, spelled
from strop.core.task import Task
from strop.plan.space import by_role, follow, not_offered
from strop.run.baseline import establish
from strop.run.building import build as build_candidate
from strop.run.context import Run
from strop.run.keywords import BuildFlags
from strop.run.open_run import opened
from strop.run.optimize import plan_recipes
from strop.run.outfolder import choose_out, model_name, record_of, require_writable
from strop.run.preparing import prepare, with_answers_judged
from strop.run.race import Racing
from strop.run.request import make_request
from strop.run.search import other_settings
from strop.run.trial import Trial, misses_must
from strop.store.output import rewrite


@spelled
def build(
    model: PathText,
    recipe: str,
    *,
    config: PathText | None = None,
    observer: Observer = nobody,
    check: bool = False,
    **flags: Unpack[BuildFlags],
) -> Candidate:
    """Build one recipe of a model; its files go to `out`, by default `<model>-<recipe>`.

    Args:
        recipe: a name that `strop.list_recipes` offers.
        check: run it as `optimize` would, too: validity, accuracy, a short timing.
        flags: as for `optimize`: data, calibration, target, out …

    Raises:
        ConfigError: no such recipe is offered. BackendError: the build (or with `check` the check) failed; says how.

    Example:
        >>> strop.build("model.onnx", "int8-dynamic", out="dynamic").artifact.bytes
    """
    request = make_request(model, config, **flags)
    default = Path(f"{model_name(model)}-{recipe}")
    require_writable(request, default)
    with opened(request, observer, keep=False, timed=False) as (run, given):
        task = run.family.read_task(run, given)
        found = plan_recipes(run, given, task, [recipe.partition("+")[0]]).offers
        reference = by_role(found, "reference")[0]
        variants = [reference, *by_role(found, "baseline-variant")]
        wanted = pick(run, found, variants, recipe, task)
        candidate = build_candidate(run, wanted, given, task)
        failure = candidate.failure
        if check and failure is None and wanted.name != reference.name:
            baseline = establish(run, given, task, reference)
            trial = tried(run, given, task, wanted, baseline)
            failure = trial.result.failure
            if failure is None and misses_must(trial, run.gates):
                why = trial.result.reason or "its answers miss a must"
                raise BackendError(f"{recipe}: {why}", "it was built; set another --must, or leave --check out")
        if failure is not None:
            raise BackendError(f"{recipe}: {failure}", f"the end of its log:\n{failure.log_tail}")
        assert candidate.artifact is not None
        place, why = choose_out(request, record_of(request, given, run.target, run.folder.name), default)
        if why:
            run.tell("beside", place=str(place), why=why)
        for kept in rewrite(place, record_of(request, given, run.target, run.folder.name), copier(candidate.artifact)):
            run.tell("kept", name=str(place / kept.name), kept=str(place / kept.kept))
        run.tell("delivered", place=str(place))
        return candidate


def tried(run: Run, model: Model, task: Task, recipe: Recipe, baseline: Trial) -> Trial:
    """A recipe's trial against the baseline: prepared, then timed in a set of a race."""
    racing = Racing(run, model, task, baseline, "search")
    (trial,) = prepare(run, model, task, [recipe], baseline, [baseline])
    trial = with_answers_judged(run, model, task, trial, baseline) if trial.ready else trial
    if not trial.ready:
        return trial
    racing.enter([trial])
    racing.first_sets()
    return racing.closed([trial])[0]


def copier(artifact: Artifact) -> Callable[[Path], None]:
    """Copies an artifact's files into a folder."""

    def write(draft: Path) -> None:
        for name in artifact.files:
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(artifact.folder) / name, draft / name)

    return write


def pick(run: Run, offers: Sequence[Offer], variants: list[Recipe], name: str, task: Task | None = None) -> Recipe:
    """The recipe of that name under the reference's settings; `int8+1thread` has those of the variant `fp32-1thread`.

    Raises:
        ConfigError: not offered.
    """
    recipes = [o.recipe for o in offers if o.recipe is not None]
    exact = next((r for r in recipes if r.name == name), None)
    if exact is not None:
        return follow(exact, variants[0])
    found = next((r for r in recipes if r.name == name.partition("+")[0]), None)
    candidates = other_settings(run, found, variants, task) if found is not None else []
    wanted = next((r for r in candidates if r.name == name), None)
    if wanted is None:
        raise not_offered(name, offers)
    return wanted
