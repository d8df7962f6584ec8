"""Opening a run: the same question on the same machine is the same run, and goes on where it stopped."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import strop
from strop.core.errors import StoreError, StropError
from strop.core.gate import for_language
from strop.core.measurement import Company
from strop.core.model import Model
from strop.core.outcome import Outcome
from strop.core.target import Target
from strop.plan.discover import backends
from strop.run.company import Watch, company_of
from strop.run.context import Observer, Run
from strop.run.devices import find_device, this_device
from strop.run.intake import read_model
from strop.run.machine import package_versions
from strop.run.place import place_for
from strop.run.preprocessing import BESIDE, TOKENIZER, model_folder
from strop.run.request import PLACES, Request
from strop.run.source import code_digests, source_digest
from strop.store import files
from strop.store.store import REFUSED, RunFolder, Store, load, save, write_json
from strop.worker.call import Limits

OUTCOME = "outcome.json"
COMPANY = "company.json"
INSPECT_S = 120.0


@contextlib.contextmanager
def opened(request: Request, observer: Observer, keep: bool = True, timed: bool = True) -> Iterator[tuple[Run, Model]]:
    """The run of this request, held for the length of the block, and its model.

    Args:
        keep: False for a command that answers at once: what it measures is gone with it, what it builds stays cached.
        timed: False for a command that times nothing, so that nobody needs to know who else uses the machine.

    Raises:
        ModelError: the model cannot be used. StoreError: the run is in progress elsewhere.
    """
    found = backends()
    target = find_device(request.target, request.threads)
    machine = target if target.here else this_device()
    store = Store(Path(request.store))
    with tempfile.TemporaryDirectory(prefix="strop-") as scratch, Watch() as watch:
        model = read_model(found, Path(request.model), Path(scratch) / "inspect.log", Limits(INSPECT_S, None), store)
    versions = package_versions(list(found.values()))
    key = run_key(request, model, machine.host, versions, target)
    name = f"{Path(request.model).stem}-{key[:8]}"
    with contextlib.ExitStack() as stack:
        folder = choose_folder(store, name, request.fresh) if keep else stack.enter_context(passing_folder(store, name))
        stack.enter_context(folder.hold())
        company = settle_company(folder, watch, machine, request.threads) if timed and target.here else None
        if company is not None:
            machine = target = target.model_copy(update={"threads": company.threads})
        run = Run(request, store, folder, found, place_for(machine, target, found), observer)
        run.company = company
        if model.family == "llm":
            run.gates = for_language(request.gates, request.questions is not None)
        if not (folder.folder / "run.json").exists():
            write_json(
                folder.folder / "run.json",
                {"request": request.model_dump(mode="json"), "host": machine.host, "strop": strop.__version__},
            )
        run.emit("run-opened", run=folder.name, resumed=(folder.folder / "candidates").exists())
        if company is not None:
            run.emit("company", **company.model_dump())
        try:
            yield run, model
        except Exception as error:
            if not (folder.folder / "run.json").exists():
                raise StoreError(f"{folder.folder} was removed during the run", "leave the store alone; run it again") from error
            if isinstance(error, StropError):
                folder.event(REFUSED, why=error.message)
            raise


def settle_company(folder: RunFolder, watch: Watch, machine: Target, threads: int | None) -> Company | None:
    """Who else used the machine when this run began; a run that is resumed keeps the budget of cores that it had then."""
    path = folder.folder / COMPANY
    known = load(path, Company)
    if known is not None or (folder.folder / "candidates").exists():
        return known
    found = company_of(watch, machine, threads)
    if found is not None:
        save(path, found)
    return found


def run_key(request: Request, model: Model, host: str, versions: dict[str, str], target: Target) -> str:
    """Everything that a run's figures depend on, down to Strop's own code."""
    question = request.model_dump(mode="json", exclude=PLACES)
    root = Path(strop.__file__).parent
    code = sorted(str(p.relative_to(root)) for p in root.rglob("*.py"))
    return files.digest_json({
        "question": question, "model": model.artifact.digest, "host": host, "versions": versions,
        "target": None if target.here else target.model_dump(mode="json"),
        "data": [source_digest(p) for p in (request.data, request.calibration, request.questions)], "beside": beside(request),
        "code": files.digest_files(root, code),
    })  # fmt: skip


def beside(request: Request) -> dict[str, Any]:
    """What preprocessing depends on besides the data: the user's code, tokenizer and classes, the model's own files."""
    folder = model_folder(request)
    named = {"tokenizer": request.tokenizer, "classes": request.classes}
    own = {name: str(folder / name) for name in (TOKENIZER, *BESIDE) if (folder / name).is_file()}
    return {"code": code_digests(request), **{name: source_digest(path) for name, path in {**named, **own}.items()}}


@contextlib.contextmanager
def passing_folder(store: Store, name: str) -> Iterator[RunFolder]:
    """A run's folder for the length of a block."""
    scratch = store.root / "scratch"
    with files.disk(scratch):
        scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=scratch, ignore_cleanup_errors=True) as folder:
        yield RunFolder(Path(folder))


def choose_folder(store: Store, name: str, fresh: bool) -> RunFolder:
    """The run of that name; with `fresh`, the first of its successors that is not finished."""
    folder, number = store.run(name), 1
    while fresh and load(folder.folder / OUTCOME, Outcome) is not None:
        number += 1
        folder = store.run(f"{name}-{number}")
    return folder
