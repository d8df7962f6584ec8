"""`strop runs report`: the reports of a stored run, written again."""

import shutil
from pathlib import Path

from strop.core.errors import StoreError
from strop.core.outcome import Outcome
from strop.run.deliver import write_report
from strop.run.evidence import gather
from strop.run.open_run import OUTCOME
from strop.store import files
from strop.store.store import Store, load


def report_run(name: str, *, store: str = ".strop", out: str | None = None) -> Path:
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
    run = Store(Path(store)).find_run(name)
    outcome = load(run.folder / OUTCOME, Outcome)
    if outcome is None:
        raise StoreError(f"run {run.name} is not finished", "the same `strop optimize` command goes on with it")
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
