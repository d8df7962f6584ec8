"""Data sets as shards: prepared by the data worker once, kept in the store by what they were made from."""

import importlib.metadata
from pathlib import Path
from typing import Any, NamedTuple

from strop.core.errors import DataError, WorkerError, WorkerFailure
from strop.core.metrics import UNLABELED
from strop.core.model import Model
from strop.core.preprocess import Images, Texts
from strop.core.scorers import READY
from strop.core.task import Dataset, TaskKind
from strop.run.context import Run
from strop.run.preprocessing import Settled
from strop.run.request import Request
from strop.run.source import Form, code_digests, source_digest
from strop.store import files
from strop.store.store import read_json
from strop.worker.call import DATA_WORK, Work

GENERATED = 64
CALIBRATION_SHARE = 0.2
CALIBRATION_MOST = 200
PRODUCED_VERSION = 4
"""Of the data worker: raise it when the shards it makes change."""
NUMBERS = ("mae", "spearman", "pearson", "scorer")
WHOLE = ("several", "sequences", "masks")
"""Labels of arrays that are whole numbers, but no classes of whole examples."""
DATA = "data.json"


class Plan(NamedTuple):
    """How a source is read: what it is, what its items go through, what the model is for."""

    form: Form
    settled: Settled
    kind: TaskKind


def prepare(run: Run, model: Model, source: Path, plan: Plan, labelled: bool) -> Dataset:
    """The shards of one source.

    Args:
        labelled: whether labels are wanted: those of calibration data are of no use.

    Raises:
        DataError: they do not fit the model, or cannot be read.
    """
    if plan.form != "loader" and not source.exists():
        raise DataError(f"{source}: no such file", "paths in strop.toml are relative to it, those of flags to here")
    arrays = plan.form == "arrays"
    arguments = _of_arrays(run, model, labelled) if arrays else _of_items(run, model, plan, labelled)
    key = files.digest_json({
        "data": source_digest(str(source)), "version": PRODUCED_VERSION, "labelled": labelled,
        **_by_content(arguments, run.request),
    })  # fmt: skip

    def make(draft: Path) -> None:
        verb = "prepare" if arrays else "prepare_items"
        ask(run, verb, source=str(source.absolute()), out=str(draft), **arguments)

    folder = run.store.once("data", key, make)
    made = _dataset(folder, key)
    for note in (*read_json(folder / DATA)["notes"], *made.cast_words):
        run.note(f"{source.name}: {note}.")
    return made


def sample(run: Run, model: Model, source: Path, plan: Plan, count: int, folder: Path) -> Dataset:
    """The first items of a source that is no array, as shards in a folder; fewer where some of them are broken.

    Raises:
        DataError: the user's code failed on them, or they do not fit the model.
    """
    arguments = _of_items(run, model, plan, labelled=True)
    made = ask(run, "prepare_items", source=str(source.absolute()), out=str(folder.absolute()), most=count, **arguments)
    return Dataset(
        digest="", folder=str(folder), count=made["count"], inputs=made["inputs"], labels=made["labels"], group=made["group"]
    )  # fmt: skip


def _of_arrays(run: Run, model: Model, labelled: bool) -> dict[str, Any]:
    request, kind = run.request, None
    if labelled and request.metric not in UNLABELED and (request.metric or request.labels):
        kind = _kind_by(request.metric)
        kind = "whole" if kind in WHOLE else "numbers" if kind == "boxes" else kind
    return {
        "specs": _told(model, request), "mapping": request.mapping, "labels": request.labels if labelled else None,
        "label_kind": kind, "axes": request.batch_axes,
    }  # fmt: skip


def _of_items(run: Run, model: Model, plan: Plan, labelled: bool) -> dict[str, Any]:
    request, made = run.request, plan.settled.preprocess
    columns = dict(request.columns)
    if request.labels is not None:
        columns["label"] = request.labels
    needed = labelled and request.metric not in UNLABELED and bool(request.metric or "label" in columns)
    loader = {"function": request.code["loader"], "folder": request.folder} if "loader" in request.code else {}
    return {
        "form": plan.form, "specs": _told(model, request), "columns": columns, "needed": needed,
        "label_kind": _label_kind(request, plan.kind) if labelled else None,
        "classes": _classes(run, model), "preprocess": made.model_dump(mode="json") if made is not None else None,
        "ships": dict(plan.settled.ships), "loader": loader, "pairs": plan.kind == "sentence-similarity",
    }  # fmt: skip


def _classes(run: Run, model: Model) -> str | None:
    """File of the classes' names: the user's, else the one that came with the model."""
    given = run.request.classes or (model.origin.classes if model.origin is not None else None)
    return None if given is None else str(Path(given).absolute())


def _label_kind(request: Request, kind: TaskKind) -> str | None:
    """What the labels are: None where the metric takes none."""
    if request.metric in UNLABELED:
        return None
    if kind == "token-classification":
        return "tokens"
    return "numbers" if kind == "sentence-similarity" or "scorer" in request.code else _kind_by(request.metric)


def _kind_by(metric: str | None) -> str:
    """What the labels of a metric are."""
    if metric is not None and metric in READY:
        return READY[metric].labels
    return "numbers" if metric in NUMBERS else "classes"


def _by_content(arguments: dict[str, Any], request: Request) -> dict[str, Any]:
    """Arguments with paths replaced by what is there, and the versions of what does the work."""
    known = {**arguments}
    for name in ("classes", "loader"):
        known.pop(name, None)
    ships = {name: files.digest_file(Path(path)) for name, path in arguments.get("ships", {}).items()}
    return {
        **known, "ships": ships, "class_names": source_digest(arguments.get("classes")),
        "code": code_digests(request) if request.code else {}, "packages": _versions(arguments.get("preprocess")),
    }  # fmt: skip


def _versions(preprocess: dict[str, Any] | None) -> dict[str, str]:
    """Of the package that does the work, where it is installed; the data worker says what is missing."""
    package = {"image": "pillow", "text": "tokenizers"}.get((preprocess or {}).get("kind", ""))
    try:
        return {package: importlib.metadata.version(package)} if package is not None else {}
    except importlib.metadata.PackageNotFoundError:
        return {}


def _specs(model: Model) -> list[dict[str, Any]]:
    return [spec.model_dump() for spec in model.inputs]


def _told(model: Model, request: Request) -> list[dict[str, Any]]:
    """With what `--shape` says of an input, so that data of another size are compared with that and not with the model."""
    told = request.shapes
    return [{**spec, "told": list(told[spec["name"]])} if spec["name"] in told else spec for spec in _specs(model)]


def _dataset(folder: Path, key: str, generated: bool = False) -> Dataset:
    raw = read_json(folder / DATA)
    return Dataset(
        digest=key, folder=str(folder), count=raw["count"], inputs=raw["inputs"], labels=raw["labels"], generated=generated,
        group=raw["group"], casts=raw["casts"],
    )  # fmt: skip


def shipped(data: Dataset) -> dict[str, dict[str, str]]:
    """What a bundle needs to do the preprocessing itself: files beside the shards, and packages with their versions."""
    raw = read_json(Path(data.folder) / DATA)
    return {"ships": {name: str(Path(data.folder) / name) for name in raw["files"]}, "packages": raw["packages"]}


def unused_labels(data: Dataset) -> list[str]:
    """Arrays or columns of its source that look like labels, where none were taken as such."""
    found: list[str] = read_json(Path(data.folder) / DATA).get("unused", [])
    return found


def paths(data: Dataset) -> dict[str, Any]:
    """A data set as a worker takes it: absolute paths of its shards."""
    folder = Path(data.folder).absolute()
    return {
        "inputs": {name: str(folder / file) for name, file in data.inputs.items()},
        "labels": str(folder / data.labels) if data.labels else None,
        "count": data.count,
        "group": data.group,
    }


def ask(run: Run, function: str, work: Work = DATA_WORK, /, **arguments: Any) -> Any:
    """One call of the data worker, or of a backend that reads data itself; its refusals become the user's."""
    try:
        with run.place.open(work, run.folder.folder / "data.log", run.limits()) as child:
            return child.call(function, **arguments)
    except WorkerFailure as error:
        if error.kind == "DataError":
            raise DataError(error.message, error.hint) from error
        raise DataError(f"reading the data failed: {error.kind}: {error.message}", "see data.log in the run's folder") from error
    except WorkerError as error:
        raise DataError(f"reading the data failed: {error.message}", "is there enough memory and disk?") from error


def refuse_overlap(run: Run, evaluation: Dataset, calibration: Dataset) -> None:
    """Raises DataError where calibration saw what accuracy is measured on."""
    found = ask(run, "overlap", evaluation=paths(evaluation), calibration=paths(calibration))
    if found["count"]:
        mine, theirs = found["first"]
        raise DataError(
            f"{found['count']} of {calibration.count // calibration.group} calibration examples are also evaluation examples "
            f"(first: calibration row {mine} is evaluation row {theirs})",
            "accuracy must be measured on data that calibration never saw: remove them",
        )


def split(run: Run, whole: Dataset) -> tuple[Dataset, Dataset]:
    """One data set as evaluation and calibration."""
    if whole.count < 2 * whole.group:
        raise DataError("one example cannot be split into evaluation and calibration", "give more data, or --calibration")
    choice = {"share": CALIBRATION_SHARE, "most": CALIBRATION_MOST, "seed": run.request.seed}
    key = files.digest_json({"split": whole.digest, "version": PRODUCED_VERSION, **choice})

    def make(draft: Path) -> None:
        parts = {f"out_{part}": draft / part for part in ("evaluation", "calibration")}
        for part in parts.values():
            part.mkdir()
        ask(
            run, "split", whole=paths(whole), calibration_share=CALIBRATION_SHARE, most=CALIBRATION_MOST,
            seed=run.request.seed, **{k: str(v) for k, v in parts.items()},
        )  # fmt: skip

    folder = run.store.once("data", key, make)
    parts = _dataset(folder / "evaluation", key + "-e"), _dataset(folder / "calibration", key + "-c")
    evaluation, calibration = (part.model_copy(update={"casts": whole.casts}) for part in parts)
    return evaluation, calibration


def generate(run: Run, model: Model, settled: Settled) -> Dataset:
    """Inputs where no data are given, by the preprocessing where it is known."""
    made, count = settled.preprocess, GENERATED * (model.fixed_batch or 1)
    arguments: dict[str, Any] = {
        "specs": _specs(model), "bounds": model.bounds, "sizes": run.request.sizes, "count": count, "seed": run.request.seed,
        "preprocess": made.model_dump(mode="json") if made is not None else None, "ships": dict(settled.ships),
        "classes": _classes(run, model),
    }  # fmt: skip
    key = files.digest_json({"generate": _by_content(arguments, run.request), "version": PRODUCED_VERSION})
    dynamic = sorted({str(d) for s in model.inputs for d in s.shape[1:] if not isinstance(d, int)} - set(run.request.sizes))
    if dynamic and not isinstance(made, Images | Texts):
        run.note(f"Dynamic axes {', '.join(dynamic)} were given size 1; --size NAME=N sets them.")

    def make(draft: Path) -> None:
        ask(run, "generate", out=str(draft), **arguments)

    folder = run.store.once("data", key, make)
    for note in read_json(folder / DATA)["notes"]:
        run.note(f"{note.capitalize()}.")
    return _dataset(folder, key, generated=True)
