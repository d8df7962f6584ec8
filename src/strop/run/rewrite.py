"""`strop runs report` and `strop runs profile`: what a stored run holds, written again, or added to."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from strop.core.errors import StoreError, UsageError
from strop.core.events import Observer, nobody
from strop.core.outcome import Outcome
from strop.core.profile import Profiled
from strop.core.spelling import PathText, spelled
from strop.plan.discover import backends
from strop.run.budget import Budget
from strop.run.context import Run
from strop.run.deliver import write_report
from strop.run.evidence import gather
from strop.run.family import family_named
from strop.run.machine import this_machine
from strop.run.open_run import OUTCOME
from strop.run.place import Place
from strop.run.profiling import AGAIN, profile_candidates
from strop.run.request import Request
from strop.store import files
from strop.store.store import RunFolder, Store, load, read_json


@spelled
def report_run(name: str, *, store: PathText = ".strop", out: PathText | None = None) -> Path:
    """Write report.json, report.md and report.html of a finished run again, from what it stored.

    Args:
        name: the run's name, or how it begins.
        store: the store's folder.
        out: where a copy of the page goes; it is overwritten.

    Returns:
        The page: in the run's folder, or its copy.

    Raises:
        StoreError: no such run, several, not finished, damaged, or in progress.
        OutputError: the page cannot be written.

    Example:
        >>> page = strop.report_run("model", out="report.html")
    """
    run, outcome = finished_run(Store(Path(store)), name)
    with run.hold(), files.disk(run.folder):
        write_report(run.folder, outcome, gather(outcome, run))
    made = run.folder / "report.html"
    if out is None:
        return made
    target = Path(out)
    with files.disk(target):
        target.absolute().parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(made, target)
    return target


def finished_run(store: Store, name: str) -> tuple[RunFolder, Outcome]:
    """A run and what it found.

    Raises:
        StoreError: no such run, several, damaged, or not finished.
    """
    run = store.find_run(name)
    outcome = load(run.folder / OUTCOME, Outcome)
    if outcome is None:
        raise StoreError(f"run {run.name} is not finished", "the same `strop optimize` command goes on with it")
    return run, outcome


@spelled
def profile_run(
    name: str, *, store: PathText = ".strop", candidates: Sequence[str] = (), observer: Observer = nobody
) -> list[Profiled]:
    """Profile candidates of a finished run, on the machine that it ran on, and write its reports again.

    Args:
        name: the run's name, or how it begins.
        candidates: by default the baseline, the choice and the other finalists. Those profiled before are measured again.

    Raises:
        StoreError: no such run, not finished, made on another machine, or its files were pruned.
        UsageError: a candidate that was not measured.

    Example:
        >>> strop.profile_run("model")[0].profile.operators
    """
    candidates = [candidates] if isinstance(candidates, str) else candidates
    place = Store(Path(store))
    folder, outcome = finished_run(place, name)
    record = read_json(folder.folder / "run.json")
    request = Request.model_validate(record["request"])
    if outcome.place != "here":
        raise UsageError(f"run {folder.name} is for {request.target}: nothing of it can be profiled here", "profile it there")
    machine = this_machine(request.threads)
    if record["host"] != machine.host:
        raise StoreError(f"run {folder.name} was made on another machine: {record['host']}", AGAIN)
    with folder.hold():
        here, budget, family = Place(machine, machine), Budget(request.budget_s), family_named(outcome.model.family)
        run = Run(request, place, folder, backends(), here, observer, budget, family)
        run.budget.enter("delivery")
        made = profile_candidates(run, outcome, candidates, again=True)
        write_report(folder.folder, outcome, gather(outcome, folder))
    return made
