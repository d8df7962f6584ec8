"""Opening a run: the same question on the same machine is the same run, and goes on where it stopped."""

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import strop
from strop.core.backend import Backend
from strop.core.errors import StoreError, StropError
from strop.core.events import Observer
from strop.core.measurement import Company
from strop.core.model import Model
from strop.core.outcome import Outcome
from strop.core.target import Target
from strop.plan.batch import named_axes
from strop.plan.discover import backends
from strop.run.budget import Budget, least_of
from strop.run.builders import Builders
from strop.run.company import Watch, company_of
from strop.run.context import Run
from strop.run.devices import find_device, this_device
from strop.run.family import family_named
from strop.run.identity import KEY, RECORD, find_run, identity_of, may_use, name_of, why_new
from strop.run.intake import read_model
from strop.run.located import repository
from strop.run.place import place_for
from strop.run.request import Request
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
    budget, found = Budget(request.budget_s), backends()
    target = find_device(request.target, request.threads)
    machine = target if target.here else this_device()
    store = Store(Path(request.store))
    watch = Watch()
    watching = watch if timed and target.here else contextlib.nullcontext()
    with tempfile.TemporaryDirectory(prefix="strop-") as scratch, watching, least_of(request.budget_s):
        log, limits = Path(scratch) / "inspect.log", Limits(INSPECT_S, None, budget.deadline)
        request, model = with_axes_found(found, request, log, limits, store)
    identity, uses = identity_of(request, model, machine, target, found), may_use(request, model, found)
    name = name_of(identity, uses, repository(Path(request.model)) or Path(request.model).stem)
    with contextlib.ExitStack() as stack:
        known = find_run(store, identity, uses) if keep else None
        folder = choose_folder(store, known, name, request.fresh) if keep else stack.enter_context(passing_folder(store, name))
        stack.enter_context(folder.hold())
        company = settle_company(folder, watch, machine, request.threads) if timed and target.here else None
        if company is not None:
            machine = target = target.model_copy(update={"threads": company.threads})
        family, place = family_named(model.family), place_for(machine, target, found)
        builders = Builders(keep, place.host)
        run = Run(request, store, folder, found, place, observer, budget, family, builders, company)
        stack.callback(run.builders.close)
        near = why_new(store, identity, uses) if keep and known is None else None
        if not (folder.folder / RECORD).exists():
            about = {"request": request.model_dump(mode="json"), "host": machine.host, "strop": strop.__version__}
            write_json(folder.folder / RECORD, {**about, KEY: identity.model_dump(mode="json")})
        resumed = (folder.folder / "candidates").exists()
        if request.config is not None:
            run.tell("config-read", path=request.config)
        run.emit("run-opened", run=folder.name, resumed=resumed)
        if company is not None:
            run.emit("company", **company.model_dump(), began=resumed)
        if near is not None:
            run.emit("run-new", since=near[0], why=near[1])
        try:
            yield run, model
        except Exception as error:
            if not (folder.folder / RECORD).exists():
                raise StoreError(f"{folder.folder} was removed during the run", "leave the store alone; run it again") from error
            if isinstance(error, StropError):
                folder.event(REFUSED, why=error.message)
            raise


def with_axes_found(
    found: Mapping[str, Backend], request: Request, log: Path, limits: Limits, store: Store
) -> tuple[Request, Model]:  # fmt: skip
    """The model, with the examples first where the name of another axis says that it is theirs, as if the user had said so."""
    model = read_model(dict(found), Path(request.model), log, limits, store, request.batch_axes, request.adapter)
    axes = named_axes(model, request.batch_axes)
    if not axes or not found[model.reader].moves_batch or model.origin is not None:
        return request, model
    told = request.model_copy(update={"batch_axes": axes})
    return told, read_model(dict(found), Path(request.model), log, limits, store, axes)


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


@contextlib.contextmanager
def passing_folder(store: Store, name: str) -> Iterator[RunFolder]:
    """A run's folder for the length of a block."""
    scratch = store.root / "scratch"
    with files.disk(scratch):
        scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=scratch, ignore_cleanup_errors=True) as folder:
        yield RunFolder(Path(folder))


def choose_folder(store: Store, known: RunFolder | None, name: str, fresh: bool) -> RunFolder:
    """The run that is known for this question, else one of that name; with `fresh`, the first that is not finished."""
    if known is not None and not (fresh and load(known.folder / OUTCOME, Outcome) is not None):
        return known
    folder, number = store.run(name), 1
    while load(folder.folder / OUTCOME, Outcome) is not None:
        number += 1
        folder = store.run(f"{name}-{number}")
    return folder
