"""What makes two runs the same: the question, the model, the data, the code, the machine, and the backends that are used.

Backends that are merely installed are no part of it, nor is the name of a host, which is different in each container.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import strop
from strop.core.backend import Backend
from strop.core.errors import StoreError
from strop.core.model import Model
from strop.core.noun import Noun
from strop.core.recipe import Offer
from strop.core.target import Target
from strop.run.family import family_named
from strop.run.machine import package_versions
from strop.run.preprocessing import BESIDE, TOKENIZER, model_folder
from strop.run.request import PLACES, Request
from strop.run.source import code_digests, source_digest
from strop.store import files
from strop.store.store import RunFolder, Store, read_json
from strop.worker.call import CHILD
from strop.worker.interpreter import why_missing

RECORD, KEY = "run.json", "identity"
SHOWING = ("cli", "report", "testing.py")
"""Parts of Strop that make no figure: a run of another version of these goes on, and its report is written again."""


class Identity(Noun):
    """Every part that a run's figures depend on. `versions` are those of all backends that could be started, by package.

    `machine` is the CPU's model and flags and the budget of cores; a store that is copied to another machine with the same CPU
    counts as the same.
    """

    question: dict[str, Any]
    model: str
    data: dict[str, str | None]
    beside: dict[str, Any]
    code: str
    machine: dict[str, Any]
    target: dict[str, Any] | None
    versions: dict[str, dict[str, str]]


def identity_of(request: Request, model: Model, machine: Target, target: Target, found: Mapping[str, Backend]) -> Identity:
    """The identity that this command's run has."""
    data = {name: getattr(request, name) for name in ("data", "calibration", "questions")}
    return Identity(
        question=request.model_dump(mode="json", exclude=PLACES | {"threads"}), model=model.artifact.digest,
        data={name: source_digest(path) for name, path in data.items()}, beside=beside(request),
        code=code_of_figures(model.family),
        machine={"cpu": machine.cpu, "flags": list(machine.cpu_flags), "cores": machine.cores, "threads": machine.threads},
        target=None if target.here else target.model_dump(mode="json"),
        versions={name: package_versions([b]) for name, b in found.items() if not why_missing(b)},
    )  # fmt: skip


def code_of_figures(family: str) -> str:
    """Digest of Strop's own code on both sides of the process boundary, and of the family's where that is a stranger's."""
    roots = (Path(strop.__file__).parent, CHILD.parent, *family_named(family).code())
    return files.digest_json([code_digest(root) for root in roots])


def code_digest(root: Path) -> str:
    """Digest of the code that makes figures: how they are shown and asked for is no part of it."""
    paths = (path.relative_to(root) for path in root.rglob("*.py"))
    return files.digest_files(root, sorted(str(path) for path in paths if path.parts[0] not in SHOWING))


def beside(request: Request) -> dict[str, Any]:
    """What preprocessing depends on besides the data: the user's code, tokenizer and classes, the model's own files."""
    folder = model_folder(request)
    named = {"tokenizer": request.tokenizer, "classes": request.classes}
    own = {name: str(folder / name) for name in (TOKENIZER, *BESIDE) if (folder / name).is_file()}
    return {"code": code_digests(request), **{name: source_digest(path) for name, path in {**named, **own}.items()}}


def may_use(request: Request, model: Model, found: Mapping[str, Backend]) -> list[str]:
    """Backends that a run may use: those that take this kind of model, or of them those that were asked for."""
    takes = [name for name, b in found.items() if model.artifact.kind in b.consumes]
    return [name for name in takes if not request.backends or name in request.backends or name == model.reader]


def name_of(identity: Identity, uses: Sequence[str], stem: str) -> str:
    """A new run's name."""
    versions = {name: identity.versions[name] for name in uses if name in identity.versions}
    return f"{stem}-{files.digest_json(identity.model_copy(update={'versions': versions}).model_dump(mode='json'))[:8]}"


def find_run(store: Store, identity: Identity, uses: Sequence[str]) -> RunFolder | None:
    """The newest run of this identity; None where there is none."""
    for run, known in recorded(store):
        if not differences(known, identity, used_by(run, uses)):
            return run
    return None


def recorded(store: Store) -> list[tuple[RunFolder, Identity]]:
    """Every run whose identity can be read, newest first."""
    found = []
    for run in store.list_runs():
        try:
            found.append((run, Identity.model_validate(read_json(run.folder / RECORD).get(KEY))))
        except (StoreError, ValueError):
            continue  # damaged, or of another version
    return found


def used_by(run: RunFolder, uses: Sequence[str]) -> list[str]:
    """Backends that a run planned with; those that it may use where it did not come so far."""
    known = run.used()
    return known["uses"] if known is not None else list(uses)


def differences(old: Identity, new: Identity, uses: Sequence[str]) -> list[str]:
    """What is not the same any more, in words. Of the backends only those in `uses` count, where they are here then and now."""
    words = {
        "model": "the model", "beside": "the files beside model and data", "code": "Strop's own code", "target": "the target",
    }  # fmt: skip
    found = [f"{what} changed" for name, what in words.items() if getattr(old, name) != getattr(new, name)]
    found += [_changed("", name, old.data[name], new.data[name]) for name in new.data if old.data.get(name) != new.data[name]]
    for before, now, what in ((old.question, new.question, ""), (old.machine, new.machine, "the machine's ")):
        found += [_changed(what, key, before.get(key), now[key]) for key in now if before.get(key) != now[key]]
    for name in uses:
        before, now = old.versions.get(name, {}), new.versions.get(name, {})
        changed = [package for package in now if before.get(package) not in (None, now[package])]
        found += [f"{package} {before[package]} → {now[package]}" for package in changed]
    return sorted(set(found), key=found.index)


def _changed(whose: str, key: str, before: Any, now: Any) -> str:
    short = all(isinstance(v, str | int | float | None) and len(str(v)) < 40 for v in (before, now))
    return f"{whose}{key} {before} → {now}" if short else f"{whose}{key} changed"


def why_new(store: Store, identity: Identity, uses: Sequence[str]) -> tuple[str, list[str]] | None:
    """The run that is most like this one, and what differs; None where no run is of the same model or the same question."""
    near = [
        (len(changed := differences(known, identity, used_by(run, uses))), run.name, changed)
        for run, known in recorded(store)
        if known.model == identity.model or known.question == identity.question
    ]
    return min(near, key=lambda one: one[0])[1:] if near else None


def note_used(run: RunFolder, backends: Mapping[str, Backend], model: Model, found: Sequence[Offer]) -> None:
    """Writes down which backends the plan uses, and which there were."""
    recipes = [o.recipe for o in found if o.recipe is not None]
    uses = {model.reader} | {name for r in recipes for name in (r.runtime, *(s.builder for s in r.steps))}
    run.note_used(sorted(uses), sorted(name for name, b in backends.items() if not why_missing(b)))
