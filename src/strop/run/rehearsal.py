"""The user's code, tried on two examples before all data are read and anything is built."""

import tempfile
from pathlib import Path

import numpy as np

from strop.core.candidate import Candidate
from strop.core.errors import WorkerError
from strop.core.model import Model
from strop.core.task import Dataset, Task, TaskKind, Workload
from strop.plan.space import by_role
from strop.run.checking import open_array, run_child, subject
from strop.run.context import Run
from strop.run.datasets import Plan, ask, paths, sample
from strop.run.pairing import open_request

FEW = 2


def load_code(run: Run) -> None:
    """Load every function of the user's, so that what cannot even be imported is said at once.

    Raises:
        DataError: names the function, the line and the exception.
    """
    functions = sorted(set(run.request.code.values()))
    if functions and not begun(run):
        ask(run, "load_code", functions=functions, folder=run.request.folder)


def try_items(run: Run, model: Model, source: Path, plan: Plan, output: str) -> None:
    """Loader and preprocessing on the first two items, and the scorer on what the given model says of them.

    Without a scorer reading itself is the trial: loader and preprocessing fail at the first item that they cannot handle.

    Raises:
        DataError: names the function, the line and the exception.
    """
    if "scorer" not in run.request.code or plan.form == "arrays" or begun(run):
        return
    with tempfile.TemporaryDirectory(prefix="strop-", dir=run.folder.folder) as scratch:
        found = sample(run, model, source, plan, max(FEW, model.fixed_batch or 1), Path(scratch))
        if found.count:
            try_scorer(run, model, found, plan.kind, output)


def try_rows(run: Run, model: Model, evaluation: Dataset, kind: TaskKind, output: str) -> None:
    """The scorer on the first rows of evaluation data that were arrays already.

    Raises:
        DataError: names the function, the line and the exception.
    """
    if "scorer" not in run.request.code or begun(run):
        return
    count = min(evaluation.count, max(FEW, model.fixed_batch or 1) * evaluation.group)
    with tempfile.TemporaryDirectory(prefix="strop-", dir=run.folder.folder) as scratch:
        whole = paths(evaluation)
        names = {**whole["inputs"], **({"": whole["labels"]} if whole["labels"] else {})}
        for path in names.values():
            np.save(Path(scratch) / Path(path).name, open_array(path)[:count])
        few = evaluation.model_copy(update={"folder": scratch, "count": count})
        try_scorer(run, model, few, kind, output)


def try_scorer(run: Run, model: Model, few: Dataset, kind: TaskKind, output: str) -> None:
    """The scorer on the given model's own outputs. A model that does not run is left to the baseline, which says so."""
    scorer = run.request.code["scorer"]
    task = Task(
        evaluation=few, calibration=None, metric="scorer", output=output, kind=kind, scorer=scorer,
        workload=Workload(batches=(model.fixed_batch or 1,)),
    )  # fmt: skip
    recipe = by_role(list(run.backend(model.reader).offer(model, run.target, task)), "reference")[0]
    of = subject(run, Candidate(recipe=recipe, artifact=model.artifact), task)._replace(log=run.folder.folder / "data.log")
    with tempfile.TemporaryDirectory(prefix="strop-", dir=run.folder.folder) as scratch:
        out = Path(scratch).absolute()
        try:
            with run_child(run, of) as child:
                child.ask("open", **open_request(of))
                shards = child.ask("evaluate", out=str(out), expected=None)["shards"]
        except WorkerError:
            return
        ask(
            run, "score", scorer=scorer, folder=run.request.folder, inputs=of.inputs,
            outputs={name: str(out / file) for name, file in shards.items()}, labels=paths(few)["labels"], group=few.group,
            out=str(out / "scores.npy"), few=True,
        )  # fmt: skip


def begun(run: Run) -> bool:
    """Whether the run has candidates: its user code, a part of what it is known by, has worked."""
    return (run.folder.folder / "candidates").exists()
