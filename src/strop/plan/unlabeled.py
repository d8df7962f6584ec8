"""What is compared where the data have no labels: the class an answer names, only where it is known to name one. Pure."""

from typing import NamedTuple

from strop.core.model import Model, TensorSpec
from strop.core.scorers.alike import KINDS
from strop.core.task import MetricName, TaskKind

EMBEDDINGS: tuple[TaskKind, ...] = ("sentence-similarity", "feature-extraction")
CLASSIFIERS = ("image-classification", "text-classification")
"""Tasks of exported models whose answer is one score for each class."""
SCORES = ("Softmax", "LogSoftmax")
NAMES = ("int32", "int64", "uint32", "uint64", "bool")


class Unlabeled(NamedTuple):
    """The metric, and the note that says why it is this one."""

    metric: MetricName
    why: str


def unlabeled(model: Model, output: str, kind: TaskKind, told: bool, named: bool, holds: str | None = None) -> Unlabeled:
    """The metric of data without labels.

    The highest of several values says nothing of the others unless they are scores of classes. So it is agreement where that is
    known, and else the largest difference over all values of all outputs.

    Args:
        told: whether the user said that the model classifies. named: whether names of classes are known.
        holds: what the user said that the output holds, of `KINDS`.
    """
    if holds is not None:
        metric = KINDS[holds]
        return Unlabeled(
            metric,  # type: ignore[arg-type]
            f"No labels were given: accuracy is {metric.replace('_', ' ')} with the given model's answers, not correctness; "
            f"--output-kind says that {output!r} holds {holds}.",
        )
    if kind in EMBEDDINGS:
        return Unlabeled("cosine", "Accuracy is the cosine of each embedding with the baseline's, not correctness.")
    spec = next(o for o in model.outputs if o.name == output)
    why = known_classes(model, spec, kind, told, named)
    if why:
        text = f"No labels were given: accuracy is agreement with the baseline, not correctness; {output!r} holds classes: {why}."
        return Unlabeled("agreement", text)
    scores = kind == "classification" and len(model.outputs) == 1 and values(spec) == "several"
    ways = " If they are scores of classes, say so with --task classification: then it is agreement." if scores else ""
    many = "all values of the output" if len(model.outputs) == 1 else f"all values of all {len(model.outputs)} outputs"
    return Unlabeled(
        "difference",
        f"No labels were given: accuracy is the largest difference from the given model's answers by channel, over {many}, not "
        f"correctness; nothing says that the answers are classes.{ways} --output-kind {output}=KIND says what "
        "it holds. Labels or a scorer of your own tell more.",
    )


def known_classes(model: Model, spec: TensorSpec, kind: TaskKind, told: bool, named: bool) -> str:
    """Why the scored output is known to name one class per example; empty where it is not."""
    shape = values(spec)
    if kind != "classification" or shape == "many":
        return ""
    if told:
        return "--task classification says so"
    if model.origin is not None and model.origin.task in CLASSIFIERS and shape == "several":
        return f"the model was exported for {model.origin.task}"
    if len(model.outputs) > 1:
        return ""
    if shape == "one":
        return "it is a whole number" if spec.dtype in NAMES else ""
    if model.ends.get(spec.name) in SCORES:
        return f"it comes from {model.ends[spec.name]}"
    return "names of classes are known" if named else ""


def values(spec: TensorSpec) -> str:
    """`one` value per example, `several` along one axis, or `many` along more."""
    long = [d for d in spec.shape[1:] if d != 1]
    return ("one", "several")[len(long)] if len(long) < 2 else "many"
