"""Reading the model and the data: parsed in workers, checked, turned into `Model` and `Task`."""

import os
from pathlib import Path
from typing import Any

from strop.core.backend import Backend
from strop.core.errors import DataError, ModelError, WorkerError, WorkerFailure
from strop.core.model import Artifact, Model
from strop.core.task import Dataset, MetricName, Task, Workload
from strop.plan.inspection import model_from
from strop.run.context import Run
from strop.run.export import exported
from strop.store import files
from strop.store.store import Store, read_json
from strop.worker.call import DATA_WORK, Child, Limits
from strop.worker.interpreter import work_of

GENERATED = 64
CALIBRATION_SHARE = 0.2
CALIBRATION_MOST = 200
PRODUCED_VERSION = 1
"""Of the data worker: raise it when the shards it makes change."""


def find_reader(backends: dict[str, Backend], path: Path) -> tuple[Backend, str]:
    """The backend that knows this suffix, and the artifact kind.

    Raises:
        ModelError: no such file, or nobody reads it.
    """
    if not path.exists():
        raise ModelError(f"{path}: no such file", "give the path of an .onnx model")
    readers = [(b, kind) for b in backends.values() for suffix, kind in b.reads if _fits(path, suffix)]
    if not readers:
        known = sorted({f"a folder with {s[1:]}" if s[0] == "/" else s for b in backends.values() for s, _ in b.reads})
        raise ModelError(f"{path}: not a model that is read here", f"known: {', '.join(known)}")
    if not os.access(path, os.R_OK):
        raise ModelError(f"{path}: cannot be read", "check its permissions")
    return readers[0]


def _fits(path: Path, suffix: str) -> bool:
    if path.is_dir():
        return suffix.startswith("/") and (path / suffix[1:]).is_file()
    return path.name.endswith(suffix)


def read_model(backends: dict[str, Backend], path: Path, log: Path, limits: Limits, store: Store) -> Model:
    """Inspects the model in a worker; one that no runtime here runs is exported first.

    Raises:
        ModelError: damaged, unsafe or unsupported; or it brought its reader down.
    """
    reader, kind = find_reader(backends, path)
    if reader.exports is not None:
        made, origin = exported(reader, kind, store, path, log, limits)
        return inspect(*find_reader(backends, made), made, log, limits).model_copy(update={"origin": origin})
    return inspect(reader, kind, path, log, limits)


def inspect(reader: Backend, kind: str, path: Path, log: Path, limits: Limits) -> Model:
    """What its reader finds in a model.

    Raises:
        ModelError: as `read_model`.
    """
    try:
        with Child(work_of(reader), log, limits) as child:
            raw = child.call("inspect", path=str(path.absolute()))
    except WorkerFailure as error:
        if error.kind == "ModelError":
            shown = error.message if str(path) in error.message else f"{path}: {error.message}"
            raise ModelError(shown.replace(str(path.absolute()), str(path)), error.hint) from error
        raise ModelError(f"{path}: cannot be read: {error.message}", "is it a whole, valid model?") from error
    except WorkerError as error:
        raise ModelError(f"{path}: reading it failed: {error.message}", "is it a whole, valid model?") from error
    folder, names = path.parent.absolute(), tuple(raw.pop("files"))
    artifact = Artifact(
        kind=kind, path=str(path.absolute()), digest=files.digest_files(folder, names), files=names,
        bytes=sum((folder / n).stat().st_size for n in names),
    )  # fmt: skip
    return model_from(raw, artifact, reader.name)


def read_task(run: Run, model: Model) -> Task:
    """Evaluation and calibration data as shards, the metric, and the workload."""
    request = run.request
    batches = _batches(run, model)
    if request.data is None:
        if request.calibration is not None or request.labels is not None:
            raise DataError("calibration data or labels without evaluation data", "give --data too")
        data = _generate(run, model)
        run.note("No data were given: inputs are generated, accuracy is unmeasured, the outcome at most provisional.")
        return Task(
            evaluation=data,
            calibration=None,
            metric="unmeasured",
            output=_output(run, model),
            k=request.k,
            workload=batches,
            options=request.options,
        )
    evaluation = _shards(run, model, Path(request.data), labelled=True)
    if request.calibration is not None:
        calibration = _shards(run, model, Path(request.calibration), labelled=False)
        _refuse_overlap(run, evaluation, calibration)
    else:
        evaluation, calibration = _split(run, evaluation)
        run.note(
            f"One data set was given: {calibration.count} examples were set apart for calibration, "
            f"{evaluation.count} are left for evaluation (seed {request.seed})."
        )
    fixed = model.fixed_batch or 1
    for what, data in (("evaluation", evaluation), ("calibration", calibration)):
        if data.count < fixed:
            raise DataError(f"{data.count} {what} example(s) do not fill the model's fixed batch of {fixed}", "give more")
    return Task(
        evaluation=evaluation, calibration=calibration, metric=_metric(run, evaluation), output=_output(run, model),
        k=request.k, workload=batches, options=request.options,
    )  # fmt: skip


def _metric(run: Run, evaluation: Dataset) -> MetricName:
    name = run.request.metric
    if name is None:
        name = "top1" if evaluation.labels is not None else "agreement"
        if name == "agreement":
            run.note("No labels were given: accuracy is agreement with the baseline, not correctness.")
    return name  # type: ignore[return-value]


def _output(run: Run, model: Model) -> str:
    names, wanted = [o.name for o in model.outputs], run.request.output
    if wanted is not None and wanted not in names:
        raise DataError(f"the model has no output {wanted!r}", f"outputs: {', '.join(names)}")
    if wanted is None and len(names) > 1:
        run.note(f"The model has {len(names)} outputs; {names[0]!r} is scored (--output chooses another).")
    return wanted or names[0]


def _batches(run: Run, model: Model) -> Workload:
    fixed = model.fixed_batch
    if fixed is not None:
        if run.request.batches not in ((1,), (fixed,)):
            raise DataError(
                f"the model has a fixed batch of {fixed}, --batch asks for {run.request.batches}",
                f"use --batch {fixed}",
            )
        return Workload(batches=(fixed,))
    return Workload(batches=run.request.batches)


def _specs(model: Model) -> list[dict[str, Any]]:
    return [spec.model_dump() for spec in model.inputs]


def _dataset(folder: Path, key: str, generated: bool = False) -> Dataset:
    raw = read_json(folder / "data.json")
    return Dataset(
        digest=key,
        folder=str(folder),
        count=raw["count"],
        inputs=raw["inputs"],
        labels=raw["labels"],
        generated=generated,
    )


def paths(data: Dataset) -> dict[str, Any]:
    """A data set as a worker takes it: absolute paths of its shards."""
    folder = Path(data.folder).absolute()
    return {
        "inputs": {name: str(folder / file) for name, file in data.inputs.items()},
        "labels": str(folder / data.labels) if data.labels else None,
        "count": data.count,
    }


def _work(run: Run, function: str, **arguments: Any) -> Any:
    """One call of the data worker; its refusals become the user's."""
    try:
        with Child(DATA_WORK, run.folder.folder / "data.log", run.limits()) as child:
            return child.call(function, **arguments)
    except WorkerFailure as error:
        if error.kind == "DataError":
            raise DataError(error.message, error.hint) from error
        raise DataError(f"reading the data failed: {error.kind}: {error.message}", "see data.log in the run's folder") from error
    except WorkerError as error:
        raise DataError(f"reading the data failed: {error.message}", "is there enough memory and disk?") from error


def _shards(run: Run, model: Model, source: Path, labelled: bool) -> Dataset:
    if not source.exists():
        raise DataError(f"{source}: no such file", "give an .npz, an .npy, or a folder of .npy files")
    request = run.request
    kind = None
    if labelled and request.metric != "agreement" and (request.metric or request.labels):
        kind = "numbers" if request.metric in ("mae", "spearman") else "classes"
    names = sorted(p.name for p in source.iterdir() if p.suffix == ".npy") if source.is_dir() else [source.name]
    bytes_digest = files.digest_files(source if source.is_dir() else source.parent, names)
    arguments = {
        "specs": _specs(model),
        "mapping": request.mapping,
        "labels": request.labels if labelled else None,
        "label_kind": kind,
    }
    key = files.digest_json({"data": bytes_digest, "version": PRODUCED_VERSION, "labelled": labelled, **arguments})

    def make(draft: Path) -> None:
        _work(run, "prepare", source=str(source.absolute()), out=str(draft), **arguments)

    folder = run.store.once("data", key, make)
    for note in read_json(folder / "data.json")["notes"]:
        run.note(f"{source.name}: {note}.")
    return _dataset(folder, key)


def _refuse_overlap(run: Run, evaluation: Dataset, calibration: Dataset) -> None:
    found = _work(run, "overlap", evaluation=paths(evaluation), calibration=paths(calibration))
    if found["count"]:
        mine, theirs = found["first"]
        raise DataError(
            f"{found['count']} of {calibration.count} calibration examples are also evaluation examples "
            f"(first: calibration row {mine} is evaluation row {theirs})",
            "accuracy must be measured on data that calibration never saw: remove them",
        )


def _split(run: Run, whole: Dataset) -> tuple[Dataset, Dataset]:
    if whole.count < 2:
        raise DataError("one example cannot be split into evaluation and calibration", "give more data, or --calibration")
    choice = {"share": CALIBRATION_SHARE, "most": CALIBRATION_MOST, "seed": run.request.seed}
    key = files.digest_json({"split": whole.digest, "version": PRODUCED_VERSION, **choice})

    def make(draft: Path) -> None:
        parts = {f"out_{part}": draft / part for part in ("evaluation", "calibration")}
        for part in parts.values():
            part.mkdir()
        _work(
            run, "split", whole=paths(whole), calibration_share=CALIBRATION_SHARE, most=CALIBRATION_MOST,
            seed=run.request.seed, **{k: str(v) for k, v in parts.items()},
        )  # fmt: skip

    folder = run.store.once("data", key, make)
    return _dataset(folder / "evaluation", key + "-e"), _dataset(folder / "calibration", key + "-c")


def _generate(run: Run, model: Model) -> Dataset:
    count = GENERATED * (model.fixed_batch or 1)
    arguments: dict[str, Any] = {
        "specs": _specs(model), "bounds": model.bounds, "sizes": run.request.sizes, "count": count, "seed": run.request.seed,
    }  # fmt: skip
    key = files.digest_json({"generate": arguments, "version": PRODUCED_VERSION})
    dynamic = sorted({str(d) for s in model.inputs for d in s.shape[1:] if not isinstance(d, int)} - set(run.request.sizes))
    if dynamic:
        run.note(f"Dynamic axes {', '.join(dynamic)} were given size 1; --size NAME=N sets them.")

    def make(draft: Path) -> None:
        _work(run, "generate", out=str(draft), **arguments)

    return _dataset(run.store.once("data", key, make), key, generated=True)
