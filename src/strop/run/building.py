"""Building candidates: one step at a time, each step's output shared by every recipe with that prefix."""

import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from strop.core.candidate import MISSING, Candidate, Failure
from strop.core.errors import WorkerCrash, WorkerError, WorkerFailure
from strop.core.model import Artifact, Model
from strop.core.recipe import Recipe, Step
from strop.core.task import Task
from strop.plan.serving import STREAMS
from strop.run.command import flags_of
from strop.run.context import Run
from strop.run.datasets import paths
from strop.run.flags import BUILD, LANGUAGE
from strop.run.machine import package_versions
from strop.store import files
from strop.store.store import load, read_json, save, write_json
from strop.worker.interpreter import python_version_of

RESULT = "step.json"
BUILD_ALONE = set(BUILD) - {"target", "must", "goal"}
"""What the command `build` takes."""


def build(run: Run, recipe: Recipe, model: Model, task: Task) -> Candidate:
    """The candidate of a recipe; a failing step is its recorded result. Already recorded: read, not repeated.

    Raises:
        BudgetError: the budget ended first; nothing is recorded.
    """
    record = run.folder.candidate(recipe.name) / "candidate.json"
    known = load(record, Candidate)
    if known is not None and not _again(known):
        return known
    run.emit("build-started", candidate=recipe.name)
    begin, built, artifact = time.monotonic(), [], model.artifact
    failure, claims, notes = None, dict[str, float](), list[str]()
    versions = versions_of_builders(run, recipe)
    for step in recipe.steps:
        try:
            artifact, key, said, remarks = build_step(run, recipe, step, artifact, task, versions)
            built.append(key)
            claims |= said
            notes += remarks
        except WorkerError as error:
            failure = failure_of("build", error)
            break
    candidate = Candidate(
        recipe=recipe, artifact=None if failure else artifact, failure=failure, versions=versions, claims=claims,
        notes=tuple(notes), build_s=round(time.monotonic() - begin, 3), built=tuple(built),
    )  # fmt: skip
    save(record, candidate)
    if failure is not None:
        write_reproduce(run, recipe, model)
    run.emit("build-done", candidate=recipe.name, failure=failure and failure.message)
    return candidate


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
    """The digest of a builder's code, and the version of the Python that runs it."""
    backend = run.backend(name)
    code = sorted(p.name for p in backend.work.parent.glob("*.py"))
    return files.digest_files(backend.work.parent, code), python_version_of(backend)


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


def build_step(run: Run, recipe: Recipe, step: Step, artifact: Artifact, task: Task, versions: dict[str, str]) -> Built:
    """One step's artifact, from the cache where it is there.

    Raises:
        WorkerError: the step failed; nothing of it is kept.
    """
    key = step_key(run, step, artifact, task, versions)
    backend = run.backend(step.builder)
    data = paths(task.calibration) if step.calibration and task.calibration is not None else None

    def make(draft: Path) -> None:
        arguments = {
            "step": step.model_dump(mode="json"),
            "artifact": artifact.path,
            "out_dir": str(draft),
            "data": data,
        }
        with run.child(backend, run.log(recipe)) as child:
            answer = child.call("build", None, **arguments)
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
    path_of_model, taken = (
        str(Path(request.model).absolute()),
        BUILD_ALONE if model.family == "llm" else BUILD_ALONE - {*LANGUAGE},
    )
    parts = [sys.executable, "-P", "-m", "strop", "build", path_of_model, "--recipe", recipe.name, "--check"]
    parts += [*flags_of(request, taken, absolute=True), "--store", str(run.store.root)]
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
