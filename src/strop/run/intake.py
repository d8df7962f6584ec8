"""Reading the model and the data: parsed in workers, checked, turned into `Model` and `Task`."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from strop.core.backend import Backend
from strop.core.errors import DataError, ModelError, UsageError, WorkerError, WorkerFailure
from strop.core.metrics import UNLABELED
from strop.core.model import Artifact, Model
from strop.core.preprocess import Preprocess, Texts
from strop.core.task import Dataset, MetricName, Task, TaskKind, Workload
from strop.plan.batch import require_batch_first
from strop.plan.export import default_inputs_note
from strop.plan.inspection import model_from
from strop.plan.shapes import fixed_shapes, lengths_for, narrowed
from strop.plan.unlabeled import unlabeled, values
from strop.run import datasets
from strop.run.adapter import merged
from strop.run.context import Run
from strop.run.export import exported
from strop.run.language import language_task
from strop.run.located import located
from strop.run.preprocessing import settle, takes_pictures
from strop.run.reading import read_inspection
from strop.run.rehearsal import load_code, try_items, try_rows
from strop.run.source import form_of
from strop.run.workload import workload_of
from strop.store import files
from strop.store.store import Store
from strop.worker.call import Child, Limits
from strop.worker.interpreter import work_of

LANGUAGE_MODEL = "ForCausalLM"
"""In the name of every architecture that transformers generates text with."""
ADAPTER = "adapter_config.json"


def find_reader(backends: dict[str, Backend], path: Path) -> tuple[Backend, str]:
    """The backend that knows this suffix and this family of models, and the artifact kind.

    Raises:
        ModelError: no such file, or nobody reads it.
    """
    if not path.exists():
        raise ModelError(f"{path}: no such file", "give the path of a model: a file, or a Hugging Face folder")
    readers = [(b, kind) for b in backends.values() for suffix, kind in b.reads if _fits(path, suffix)]
    if not readers:
        read_inspection(path)  # says what it is, where it is a kind that is known
        known = sorted({f"a folder with {s[1:]}" if s[0] == "/" else s for b in backends.values() for s, _ in b.reads})
        raise ModelError(f"{path}: not a model that is read here", f"known: {', '.join(known)}")
    if not os.access(path, os.R_OK):
        raise ModelError(f"{path}: cannot be read", "check its permissions")
    if len(readers) > 1:
        family = family_of(path)
        readers = [reader for reader in readers if reader[0].family == family] or readers
    return readers[0]


def family_of(path: Path) -> str:
    """The family that the inspector sees; what it refuses is left to the readers of tensor models, in their words.

    Raises:
        ModelError: a language model that the inspector refuses.
    """
    try:
        return read_inspection(path).family
    except ModelError:
        if LANGUAGE_MODEL in _text(path / "config.json") or (path / ADAPTER).is_file():
            raise
        return "tensor"


def _text(path: Path) -> str:
    """The head of a file, for a look; empty where it cannot be read."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(1 << 16)
    except OSError:
        return ""


def _fits(path: Path, suffix: str) -> bool:
    if path.is_dir():
        return suffix.startswith("/") and (path / suffix[1:]).is_file()
    return path.name.lower().endswith(suffix)


def read_model(
    backends: dict[str, Backend], path: Path, log: Path, limits: Limits, store: Store, axes: Mapping[str, int] | None = None,
    adapter: str | None = None,
) -> Model:  # fmt: skip
    """Inspects the model in a worker; one that no runtime here runs is exported first.

    Args:
        adapter: folder of a LoRA adapter, which is merged into the model before anything else.
        axes: input or output → the axis along which its examples lie, where it is not the first: the model is rewritten.

    Raises:
        ModelError: damaged, unsafe or unsupported; or it brought its reader down.
    """
    path = located(path)
    reader, kind = find_reader(backends, path)
    if adapter is not None:
        path = merged(reader, path, located(Path(adapter)), log, limits, store)
    if reader.family == "llm":
        read_inspection(path)  # refuses what is damaged in its own words, before any framework sees it
    if reader.exports is not None:
        made, origin = exported(reader, kind, store, path, log, limits)
        return inspect(*find_reader(backends, made), made, log, limits).model_copy(update={"origin": origin})
    found = inspect(reader, kind, path, log, limits)
    if not axes or not any(axes.values()):
        return found
    return inspect(reader, kind, with_batch_first(reader, found, path, log, limits, store, axes), log, limits)


def with_batch_first(
    reader: Backend, model: Model, path: Path, log: Path, limits: Limits, store: Store, axes: Mapping[str, int]
) -> Path:
    """The same model with transpositions, so that every example is a row; from the cache where it is there.

    Raises:
        ModelError: its format has no such rewriting, or it has no such axis.
    """
    if not reader.moves_batch:
        what = f"{path}: --batch-axis works on ONNX models, not on {model.artifact.kind}"
        raise ModelError(what, "give the ONNX model, or one that takes the examples first")
    code = files.digest_files(reader.work.parent, sorted(p.name for p in reader.work.parent.glob("*.py")))
    key = files.digest_json({"batch first": dict(axes), "model": model.artifact.digest, "code": code})

    def make(draft: Path) -> None:
        with Child(work_of(reader), log, limits) as child:
            child.call("batch_first", path=str(path.absolute()), out_dir=str(draft), axes=dict(axes))

    try:
        return store.once("build", key, make) / path.name
    except WorkerFailure as error:
        raise ModelError(f"{path}: {error.message}", error.hint) from error


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
    whole = path.is_dir()
    folder, names = (path if whole else path.parent).absolute(), tuple(raw.pop("files"))
    artifact = Artifact(
        kind=kind, path=str(folder / raw.pop("main") if whole else path.absolute()),
        digest=files.digest_files(folder, names), files=names,
        bytes=sum((folder / n).stat().st_size for n in names),
    )  # fmt: skip
    return model_from(raw, artifact, reader.name)


def read_task(run: Run, model: Model) -> Task:
    """Evaluation and calibration data as shards, what made them, the metric, and the workload."""
    request = run.request
    if model.family == "llm":
        if request.shapes:
            raise UsageError(
                "--shape is for models of arrays, not for language models", "--prompt-tokens says how long prompts are"
            )
        return language_task(run, model)
    given, model = model, narrowed(model, request.shapes)
    require_batch_first(model, request.batch_axes)
    note_moved_axes(run)
    if note := default_inputs_note(model):
        run.note(note)
    batches = _batches(run, model)
    form = form_of(Path(request.data), request, takes_pictures(model)) if request.data is not None else None
    settled = settle(request, model, form)
    kind = _kind(run, model, settled.pooling)
    pooling = request.pooling or settled.pooling or "mean"
    if form is None:
        if request.calibration is not None or request.labels is not None:
            raise DataError("calibration data or labels without evaluation data", "give --data too")
        data = datasets.generate(run, model, settled)
        run.note("No data were given: inputs are generated, accuracy is unmeasured, the outcome at most provisional.")
        return Task(
            evaluation=data, calibration=None, metric="unmeasured", output=_output(run, model), k=request.k, kind=kind,
            pooling=pooling, preprocess=settled.preprocess, **datasets.shipped(data), workload=batches, options=request.options,
            arrays=request.mapping, shapes=fixed_shapes(given, model, settled.preprocess, batches.batches),
            other_shapes=request.other_shapes,
        )  # fmt: skip
    plan, output = datasets.Plan(form, settled, kind), _output(run, model)
    load_code(run)
    try_items(run, model, Path(str(request.data)), plan, output)
    evaluation = whole = datasets.prepare(run, model, Path(str(request.data)), plan, labelled=True)
    ignored = datasets.unused_labels(whole)
    if form == "arrays":
        try_rows(run, model, evaluation, kind, output)
    if request.calibration is not None:
        calibration = datasets.prepare(run, model, Path(request.calibration), plan, labelled=False)
        datasets.refuse_overlap(run, evaluation, calibration)
    else:
        evaluation, calibration = datasets.split(run, evaluation)
        run.note(
            f"One data set was given: {calibration.count} examples were set apart for calibration, "
            f"{evaluation.count} are left for evaluation (seed {request.seed})."
        )
    fixed = model.fixed_batch or 1
    for what, data in (("evaluation", evaluation), ("calibration", calibration)):
        if data.count < fixed:
            raise DataError(f"{data.count} {what} example(s) do not fill the model's fixed batch of {fixed}", "give more")
        require_same_numbers(model, data, batches.batches)
    metric = _metric(run, model, evaluation, kind, output)
    if ignored and metric in UNLABELED and request.metric is None:
        what = "a column" if form in ("table", "pictures-table") else "an array"
        name, others = ignored[0], f" (as do {', '.join(map(repr, ignored[1:]))})" if ignored[1:] else ""
        file = Path(str(request.data)).name
        run.note(f"{file} holds {what} {name!r} that looks like labels{others} and is not used: --labels {name}.", first=True)
    shapes = fixed_shapes(given, model, settled.preprocess, batches.batches)
    return Task(
        evaluation=evaluation, calibration=calibration, metric=metric, output=output,
        k=request.k, kind=kind, pooling=pooling, preprocess=settled.preprocess, scorer=request.code.get("scorer"),
        **datasets.shipped(whole), workload=batches, options=request.options, arrays=request.mapping,
        shapes=shapes, other_shapes=request.other_shapes,
        lengths=None if shapes else lengths_for(model, settled.preprocess, batches.batch, lengths_of(settled.preprocess, whole)),
    )  # fmt: skip


def require_same_numbers(model: Model, data: Dataset, batches: Sequence[int]) -> None:
    """Refuses batches of several examples that differ in an input without axes, of which a call takes one number.

    Raises:
        DataError: names the input.
    """
    for spec in (s for s in model.inputs if not s.shape):
        values = np.load(datasets.paths(data)["inputs"][spec.name], mmap_mode="r", allow_pickle=False)
        if max(batches) > 1 and (values != values[:1]).any():
            raise DataError(
                f"the model's input {spec.name!r} has no axes: a call takes one number, and the examples of a batch of "
                f"{max(batches)} differ in it",
                "use --batch 1, or give one number for all examples: an array of shape []",
            )


def lengths_of(preprocess: Preprocess | None, data: Dataset) -> list[int]:
    """Tokens of each text, by the mask that was made of it; empty where there is none."""
    inputs = preprocess.inputs.items() if isinstance(preprocess, Texts) else ()
    mask = next((name for name, what in inputs if what == "mask"), None)
    if mask is None:
        return []
    found = np.load(datasets.paths(data)["inputs"][mask], mmap_mode="r", allow_pickle=False)
    return [int(n) for n in found.sum(axis=1)]


def note_moved_axes(run: Run) -> None:
    """What the rewriting of `--batch-axis` means for who uses the bundle."""
    moved = {name: axis for name, axis in run.request.batch_axes.items() if axis}
    if moved:
        listed = ", ".join(f"axis {axis} of {name!r}" for name, axis in moved.items())
        run.note(
            f"Examples lie along {listed}: the model got a transposition there, so that they come first. The baseline, all "
            "candidates and the bundle have it: they take and give arrays with the examples first."
        )


KINDS: dict[str, TaskKind] = {"token-classification": "token-classification", "feature-extraction": "feature-extraction"}
"""What a Hugging Face task is here, where it is no classification of whole examples."""


def _kind(run: Run, model: Model, pooling: str | None) -> TaskKind:
    """What the user said; a model whose folder names a pooling gives embeddings."""
    exported_for = model.origin.task if model.origin is not None else ""
    known = KINDS.get(exported_for, "classification" if pooling is None else "feature-extraction")
    return run.request.kind or known


USUAL: dict[TaskKind, MetricName] = {
    "classification": "top1", "sentence-similarity": "spearman", "token-classification": "token_accuracy",
    "feature-extraction": "cosine",
}  # fmt: skip
"""The metric of a task where there are labels and none is named."""


def _metric(run: Run, model: Model, evaluation: Dataset, kind: TaskKind, output: str) -> MetricName:
    """The metric that was asked for, else the usual one of the task, or without labels what can be compared.

    Raises:
        DataError: agreement on answers that hold more than one class each.
    """
    if "scorer" in run.request.code:
        return "scorer"
    asked = run.request.metric
    if asked == "agreement" and values(next(o for o in model.outputs if o.name == output)) == "many":
        raise DataError(
            f"metric 'agreement' compares one class per example, output {output!r} holds many values per example",
            "use --metric difference, which compares all of them; labels or a scorer of your own tell more",
        )
    if asked is not None:
        return asked  # type: ignore[return-value]
    if evaluation.labels is not None:
        return USUAL[kind]
    named = run.request.classes is not None or (model.origin is not None and model.origin.classes is not None)
    found = unlabeled(model, output, kind, told=run.request.kind == "classification", named=named)
    run.note(found.why, first=True)
    return found.metric


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
        return workload_of(run, (fixed,))
    return workload_of(run, run.request.batches)
