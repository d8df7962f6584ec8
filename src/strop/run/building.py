"""Building candidates, step by step; each step's output is shared by every recipe with that prefix."""

import contextlib
import shlex
import sys
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import NamedTuple

from strop.core.candidate import MISSING, Candidate, Failure
from strop.core.errors import BudgetError, WorkerCrash, WorkerError, WorkerFailure, WorkerMemory
from strop.core.model import Artifact, Model
from strop.core.recipe import Recipe, Step
from strop.core.task import Task
from strop.plan.serving import STREAMS
from strop.run.builders import first_done, lanes
from strop.run.command import to_argv
from strop.run.context import Run
from strop.run.datasets import paths
from strop.run.machine import package_versions
from strop.run.options import BUILD
from strop.store import files
from strop.store.store import load, read_json, save, write_json
from strop.worker.call import CHILD
from strop.worker.interpreter import python_version_of, work_of

RESULT = "step.json"
ELSEWHERE = ("out", "store", "replace", "olive_config")
"""Options that a script says itself."""


def build(run: Run, recipe: Recipe, model: Model, task: Task) -> Candidate:
    """The candidate of a recipe; a failing step is its recorded result. Already recorded: read, not repeated.

    Raises:
        BudgetError: the budget ended first; nothing is recorded.
    """
    known = recorded(run, recipe)
    if known is not None:
        return known
    building = Building(run, recipe, model, task)
    building.announce()
    while building.builder is not None:
        building.advance()
    return building.finish()


def build_all(
    run: Run, recipes: Sequence[Recipe], model: Model, task: Task, later: Sequence[Recipe] = ()
) -> dict[str, Candidate | None]:  # fmt: skip
    """The candidates of several recipes by their names, built side by side where cores and memory allow.

    What the budget cut short is None, what it left no time to begin is missing. A step that several recipes share is built once:
    a builder works on one step at a time, and finds the second in the cache.

    Args:
        later: recipes whose turn comes next. Their steps are taken where the last of `recipes` leave a core idle.
    """
    found: dict[str, Candidate | None] = {r.name: known for r in recipes if (known := recorded(run, r)) is not None}
    waiting = [_building(run, r, model, task) for r in recipes if r.name not in found]
    ahead = [_building(run, r, model, task) for r in later if recorded(run, r) is None]
    for name in found:
        run.tell("candidate-built", candidate=name)
    most = min(lanes(run.place.machine.cores or 1, model.artifact.bytes, run.place.host.free_memory()), max(1, len(waiting)))
    busy: dict[Future[None], Building] = {}

    def begin(building: Building) -> None:
        building.holds = building.needs()
        busy[run.builders.begin(partial(building.advance, 1 if building.alone else most))] = building

    while waiting or busy:
        for building in _next(waiting, busy.values(), most):
            waiting.remove(building)
            building.announce()
            begin(building)
        if any(building not in ahead for building in busy.values()):
            idle = [b for b in ahead if b.builder is not None and not b.alone and b not in busy.values()]
            for building in _next(idle, busy.values(), most):
                begin(building)
        for future in first_done(busy):
            building = busy.pop(future)
            if building in ahead:
                with contextlib.suppress(BudgetError):  # its turn comes again
                    future.result()
                continue
            try:
                future.result()
            except BudgetError:
                found |= {b.recipe.name: None for b in (building, *waiting) if b.begun}
                waiting.clear()
                continue
            if building.builder is not None:
                waiting.insert(0, building)
                continue
            found[building.recipe.name] = building.finish()
            run.tell("candidate-built", candidate=building.recipe.name)
    return found


def _building(run: Run, recipe: Recipe, model: Model, task: Task) -> "Building":
    """The build of this recipe, which may have been begun ahead of its turn."""
    return run.recall(("building", recipe.model_dump_json()), lambda: Building(run, recipe, model, task))


def _next(waiting: Sequence["Building"], busy: Collection["Building"], most: int) -> list["Building"]:
    """Which builds go on now, in their order: no two with one builder, and none beside one that needs all memory."""
    chosen: list[Building] = []
    held = [b.holds for b in busy]
    alone = any(b.alone for b in busy)
    for building in waiting:
        if len(busy) + len(chosen) >= most or alone:
            break
        if building.alone and (busy or chosen):
            continue
        needs = building.needs()
        if needs is None or needs not in held:
            chosen.append(building)
            held.append(needs)
            alone = building.alone
    return chosen


class Building:
    """A recipe on its way to a candidate. Made and finished by the run's own thread; steps may be taken in another.

    holds: the builder that it is asking. alone: it is to have all memory for its next step.
    """

    def __init__(self, run: Run, recipe: Recipe, model: Model, task: Task) -> None:
        self.run, self.recipe, self.model, self.task = run, recipe, model, task
        self.versions = versions_of_builders(run, recipe)
        self.artifact, self.seconds, self.begun, self.alone = model.artifact, 0.0, False, False
        self.holds: str | None = None
        self.failure: Failure | None = None
        self.built, self.claims, self.notes = list[str](), dict[str, float](), list[str]()

    @property
    def builder(self) -> str | None:
        """The builder of the next step; None where it is over."""
        over = self.failure is not None or len(self.built) == len(self.recipe.steps)
        return None if over else self.recipe.steps[len(self.built)].builder

    def needs(self) -> str | None:
        """The builder that is to be asked next; None where nothing is: the cache holds the step, or there is none."""
        if self.builder is None:
            return None
        step = self.recipe.steps[len(self.built)]
        key = step_key(self.run, step, self.artifact, self.task, self.versions)
        return None if (self.run.store.root / "build" / key).exists() else step.builder

    def announce(self) -> None:
        """Before the first step: the journal says that the build begins."""
        if not self.begun:
            self.begun = True
            self.run.emit("build-started", candidate=self.recipe.name)

    def advance(self, among: int = 1) -> None:
        """The next step, if there is one. Where a share of the memory was not enough it is left, to be taken `alone`.

        Args:
            among: how many builds share the memory that is free.

        Raises:
            BudgetError: the budget ended first.
        """
        if self.builder is None:
            return
        begin, step = time.monotonic(), self.recipe.steps[len(self.built)]
        try:
            made = build_step(self.run, self.recipe, step, self.artifact, self.task, self.versions, among)
        except WorkerError as error:
            if isinstance(error, WorkerMemory) and among > 1 and not self.run.request.memory_limit_mb:
                self.alone = True
            else:
                self.failure = failure_of("build", error)
        else:
            self.artifact, self.alone = made.artifact, False
            self.built.append(made.key)
            self.claims |= made.claims
            self.notes += made.notes
        finally:
            self.seconds += time.monotonic() - begin

    def finish(self) -> Candidate:
        """The candidate, recorded."""
        run, recipe = self.run, self.recipe
        candidate = Candidate(
            recipe=recipe, artifact=None if self.failure else self.artifact, failure=self.failure, versions=self.versions,
            claims=self.claims, notes=tuple(self.notes), build_s=round(self.seconds, 3), built=tuple(self.built),
        )  # fmt: skip
        save(run.folder.candidate(recipe.name) / "candidate.json", candidate)
        if self.failure is not None:
            write_reproduce(run, recipe, self.model)
        run.emit("build-done", candidate=recipe.name, failure=self.failure and self.failure.message)
        return candidate


def recorded(run: Run, recipe: Recipe) -> Candidate | None:
    """The candidate where this run built it before."""
    known = load(run.folder.candidate(recipe.name) / "candidate.json", Candidate)
    return known if known is not None and not _again(known) else None


def _again(known: Candidate) -> bool:
    """Whether a recorded candidate is built anew: its files are gone, or its interpreter was."""
    if known.artifact is not None:
        return not Path(known.artifact.path).exists()
    return known.failure is not None and known.failure.kind == MISSING


def failure_of(stage: str, error: WorkerError) -> Failure:
    """A worker's end as a candidate's result."""
    kind = error.kind if isinstance(error, WorkerFailure) else type(error).__name__.removeprefix("Worker").lower()
    text = f"{kind}: {error.message}" if isinstance(error, WorkerFailure) else error.message
    return Failure(stage=stage, kind=kind, message=text, log_tail=error.log_tail)


def step_key(run: Run, step: Step, artifact: Artifact, task: Task, versions: dict[str, str]) -> str:
    """Everything that a step's output depends on."""
    code, python = run.recall(("builder", step.builder), lambda: builder_of(run, step.builder))
    return files.digest_json({
        "artifact": artifact.digest, "kind": artifact.kind, "step": step.model_dump(mode="json"),
        "code": code, "versions": versions, "python": python,
        "calibration": task.calibration.digest if step.calibration and task.calibration else None,
        "flags": run.place.machine.cpu_flags, "seed": run.request.seed,
    })  # fmt: skip


def builder_of(run: Run, name: str) -> tuple[str, str]:
    """The digest of a builder's code and of what it shares with others, and the version of the Python that runs it."""
    backend = run.backend(name)
    folders = (backend.work.parent, CHILD.parent)
    code = [files.digest_files(folder, sorted(p.name for p in folder.glob("*.py"))) for folder in folders]
    return files.digest_json(code), python_version_of(backend)


def versions_of_builders(run: Run, recipe: Recipe) -> dict[str, str]:
    """The packages that build a recipe."""
    builders = tuple(step.builder for step in recipe.steps)
    return run.recall(("versions", builders), lambda: package_versions([run.backend(name) for name in builders]))


class Built(NamedTuple):
    """What a step made, its key in the build cache, what its builder claims of it, and remarks."""

    artifact: Artifact
    key: str
    claims: dict[str, float]
    notes: list[str]


def build_step(
    run: Run, recipe: Recipe, step: Step, artifact: Artifact, task: Task, versions: dict[str, str], among: int = 1
) -> Built:
    """One step's artifact, from the cache where it is there.

    Args:
        among: how many builds share the memory that is free.

    Raises:
        WorkerError: the step failed; nothing of it is kept.
    """
    key = step_key(run, step, artifact, task, versions)
    data = paths(task.calibration) if step.calibration and task.calibration is not None else None

    def make(draft: Path) -> None:
        answer = run.builders.build(
            step.builder, work_of(run.backend(step.builder)), run.log(recipe), run.limits(among=among), run.request.seed,
            step=step.model_dump(mode="json"), artifact=artifact.path, out_dir=str(draft), data=data,
        )  # fmt: skip
        told = answer if isinstance(answer, dict) else {"file": answer}
        name, made = told["file"], sorted(str(p.relative_to(draft)) for p in draft.rglob("*") if p.is_file())
        if name not in made:
            raise WorkerFailure("EmptyHanded", f"step {step.name!r} ended well but wrote no {name!r}")
        write_json(
            draft / RESULT,
            {"file": name, "files": made, "kind": step.produces, "digest": files.digest_files(draft, made),
             "claims": told.get("claims", {}), "notes": told.get("notes", []), "content": told.get("content", "")},
        )  # fmt: skip

    folder = once_or_again(run, key, make)
    result = read_json(folder / RESULT)
    return Built(made_artifact(folder), key, result.get("claims", {}), result.get("notes", []))


def made_artifact(folder: Path) -> Artifact:
    """What lies in a step's folder of the build cache."""
    result = read_json(folder / RESULT)
    size = sum((folder / n).stat().st_size for n in result["files"])
    return Artifact(
        kind=result["kind"], path=str((folder / result["file"]).absolute()), digest=result["digest"],
        files=tuple(result["files"]), bytes=size, content=result.get("content", ""),
    )  # fmt: skip


def cached_step(run: Run, recipe: Recipe, step: Step, artifact: Artifact, task: Task) -> Artifact | None:
    """A step's artifact where the build cache holds it."""
    versions = versions_of_builders(run, recipe)
    folder = run.store.root / "build" / step_key(run, step, artifact, task, versions)
    return run.recall(("artifact", folder), lambda: made_artifact(folder)) if folder.exists() else None


def once_or_again(run: Run, key: str, make: Callable[[Path], None]) -> Path:
    """`store.once`, tried a second time where the child was killed by somebody else (an operator, the OOM killer)."""
    try:
        return run.store.once("build", key, make)
    except WorkerCrash as error:
        if not error.killed:
            raise
        return run.store.once("build", key, make)


def write_reproduce(run: Run, recipe: Recipe, model: Model) -> str:
    """A script that builds and checks this candidate alone and afresh, so that its failure can be looked at."""
    path = run.folder.candidate(recipe.name) / "reproduce.sh"
    request = run.request
    taken = [o for o in BUILD if o.name not in ELSEWHERE and o.family in ("", model.family)]
    parts = [
        sys.executable,
        "-P",
        "-m",
        "strop",
        "build",
        str(Path(request.model).absolute()),
        "--recipe",
        recipe.name,
        "--check",
    ]
    parts += [*to_argv(request, taken, absolute=True), "--store", str(run.store.root)]
    if recipe.name.endswith(STREAMS) and request.concurrency is None and request.streams is None:
        parts += ["--streams", str(run.target.threads)]  # a weight asked for them, which a build does not know
    if request.options:
        told = path.with_name("olive.json")
        files.write_text(told, request.options["olive.config"])
        parts += ["--olive-config", str(told)]
    comment = f"# Builds and checks {recipe.name!r} by itself; where it fails, its error and the end of its log are printed."
    line = f'cd "$(mktemp -d)" && exec {shlex.join(parts)}'
    if request.trusted and request.config is not None:
        line += f" --config {shlex.quote(request.config)}"
    elif request.config is not None:  # found again, not named: what it may say by then is not trusted
        line = f'cd {shlex.quote(request.folder)} && exec {shlex.join(parts)} --out "$(mktemp -d)/built"'
    files.write_text(path, f"#!/bin/sh\n{comment}\n{line}\n")
    path.chmod(0o755)
    return str(path)
