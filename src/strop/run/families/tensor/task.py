"""What a model of arrays is for: evaluation and calibration data as shards, what made them, the metric, the workload."""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from strop.core.errors import DataError, UsageError
from strop.core.metrics import UNLABELED, told_of
from strop.core.model import Model
from strop.core.preprocess import Preprocess, Texts
from strop.core.scorers.alike import KINDS as HOLDS
from strop.core.spelling import known_names
from strop.core.task import Dataset, MetricName, Task, TaskKind, Workload
from strop.plan.batch import require_batch_first
from strop.plan.export import default_inputs_note
from strop.plan.outputs import scored_output
from strop.plan.shapes import fixed_shapes, lengths_for, narrowed
from strop.plan.unlabeled import unlabeled, values
from strop.run import datasets
from strop.run.context import Run
from strop.run.preprocessing import settle, takes_pictures
from strop.run.rehearsal import load_code, try_items, try_rows
from strop.run.source import form_of
from strop.run.workload import workload_of


def require_known_names(model: Model, mapping: Collection[str], sizes: Collection[str]) -> None:
    """Raises UsageError where `--map` names no input, or `--size` no dynamic axis."""
    inputs = [spec.name for spec in model.inputs]
    axes = sorted({axis for spec in model.inputs for axis in spec.shape if isinstance(axis, str)})
    for flag, names, known, what in (("--map", mapping, inputs, "inputs"), ("--size", sizes, axes, "dynamic axes")):
        odd = next((name for name in names if name not in known), None)
        if odd is not None:
            none = f"the model has no {what}" if not known else known_names(odd, known, what)
            raise UsageError(f"{flag} {odd}=...: the model has none of that name", none)


def tensor_task(run: Run, model: Model) -> Task:
    """Evaluation and calibration data as shards, what made them, the metric, and the workload."""
    request = run.request
    require_known_names(model, request.mapping, request.sizes)
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
            family=model.family, evaluation=data, calibration=None, metric="unmeasured", output=_output(run, model),
            k=request.k, kind=kind, pooling=pooling, preprocess=settled.preprocess, **datasets.shipped(data), workload=batches,
            options=request.options, arrays=request.mapping,
            shapes=fixed_shapes(given, model, settled.preprocess, batches.batches), other_shapes=request.other_shapes,
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
    told_of(metric, request.metric_options)
    if ignored and metric in UNLABELED and request.metric is None:
        what = "a column" if form in ("table", "pictures-table") else "an array"
        name, others = ignored[0], f" (as do {', '.join(map(repr, ignored[1:]))})" if ignored[1:] else ""
        file = Path(str(request.data)).name
        run.note(f"{file} holds {what} {name!r} that looks like labels{others} and is not used: --labels {name}.", first=True)
    shapes = fixed_shapes(given, model, settled.preprocess, batches.batches)
    return Task(
        family=model.family, evaluation=evaluation, calibration=calibration, metric=metric, output=output,
        k=request.k, metric_options=request.metric_options, kind=kind, pooling=pooling, preprocess=settled.preprocess,
        scorer=request.code.get("scorer"),
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
            "use --metric difference, which compares all of them, or say what it holds: --output-kind NAME=places (masks, texts, "
            "boxes); labels or a scorer of your own tell more",
        )
    if asked is not None:
        return asked  # type: ignore[return-value]
    if evaluation.labels is not None:
        return USUAL[kind]
    named = run.request.classes is not None or (model.origin is not None and model.origin.classes is not None)
    told, holds = run.request.kind == "classification", _holds(run, model, output)
    found = unlabeled(model, output, kind, told=told, named=named, holds=holds)
    run.note(found.why, first=True)
    return found.metric


def _holds(run: Run, model: Model, output: str) -> str | None:
    """What the user says that the scored output holds.

    Raises:
        DataError: an output or a kind that is none.
    """
    names = [o.name for o in model.outputs]
    for name, kind in run.request.output_kinds.items():
        if name not in names:
            raise DataError(f"--output-kind {name}={kind}: the model has no output {name!r}", f"outputs: {', '.join(names)}")
        if kind not in HOLDS:
            raise DataError(f"--output-kind {name}={kind}: {kind!r} is no kind of output", f"kinds: {', '.join(HOLDS)}")
    return run.request.output_kinds.get(output)


def _output(run: Run, model: Model) -> str:
    found = scored_output(model, run.request.output)
    if found.why:
        run.note(found.why)
    return found.name


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
