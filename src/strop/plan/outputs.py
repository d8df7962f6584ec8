"""Which output of a model is scored, the classes that its scores stand for, and whether NaN among its inputs is data. Pure."""

from typing import NamedTuple

from strop.core.errors import DataError
from strop.core.model import Model, TensorSpec
from strop.plan.unlabeled import NAMES, values

TEXT = "string"
"""The type of an output that holds text."""

MISSING = frozenset({"TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor", "Imputer", "IsNaN"})
"""Operators to which NaN is a missing value."""


class Scored(NamedTuple):
    """The name of the output, and the note that says why it is this one; empty where there is no choice."""

    name: str
    why: str


def scored_output(model: Model, asked: str | None) -> Scored:
    """The output that was asked for, else the scores of a classifier that gives the class first, else the first one of numbers.

    Raises:
        DataError: there is no such output, or it holds text.
    """
    names, numeric = [o.name for o in model.outputs], [o for o in model.outputs if o.dtype != TEXT]
    if asked is not None and asked not in names:
        raise DataError(f"the model has no output {asked!r}", f"outputs: {', '.join(names)}")
    if (asked is not None and asked not in [o.name for o in numeric]) or not numeric:
        raise DataError(f"output {asked or names[0]!r} holds text, which is not scored", "--output names one of numbers")
    if asked is not None or len(names) == 1:
        return Scored(asked or names[0], "")
    first, scores = model.outputs[0], class_scores(model)
    if scores is not None:
        why = f"{first.name!r} is the class alone; {scores.name!r}, the scores of all classes, is scored"
        return Scored(scores.name, f"Of the model's {len(names)} outputs {why} (--output chooses another).")
    name = numeric[0].name
    return Scored(name, f"The model has {len(names)} outputs; {name!r} is scored (--output chooses another).")


def class_scores(model: Model) -> TensorSpec | None:
    """The scores of a classifier whose first output is the class, as scikit-learn is exported; None for other models."""
    first, rest = model.outputs[0], model.outputs[1:]
    names_class = first.dtype in (*NAMES, TEXT) and values(first) == "one"
    scores = [o for o in rest if o.dtype.startswith("float") and values(o) == "several"]
    return scores[0] if names_class and len(rest) == len(scores) == 1 else None


def own_classes(model: Model, asked: str | None) -> list[str]:
    """The classes that the model lists itself, in the order of the scored output's values; empty where it names the class."""
    listed = model.traits.get("classes")
    scored = scored_output(model, asked).name
    spec = next(o for o in model.outputs if o.name == scored)
    return list(listed) if isinstance(listed, list) and spec.dtype not in NAMES else []


def takes_missing(model: Model) -> bool:
    """Whether NaN is a missing value to the model, as it is to decision trees (LightGBM, XGBoost, scikit-learn)."""
    return bool(MISSING & model.operators.keys())
