"""Whether examples lie along the first axis of every input, as far as the shapes say. Pure."""

from collections.abc import Collection, Mapping

from strop.core.errors import DataError
from strop.core.model import Dimension, Model, TensorSpec

BATCH = ("n", "b", "bs")
MIXES = 0.1
"""More than scales that are taken over a whole batch, as dynamic quantization does, ever change."""


def is_batch(dim: Dimension) -> bool:
    """Whether an axis is named as batches are."""
    return isinstance(dim, str) and (dim.lower() in BATCH or "batch" in dim.lower())


def batch_axis(spec: TensorSpec, outputs: Collection[Dimension]) -> int | None:
    """The axis of the examples by its name: one that is called so, or that the outputs begin with; None where no name says."""
    named = [k for k, dim in enumerate(spec.shape) if is_batch(dim)]
    shared = [k for k, dim in enumerate(spec.shape) if isinstance(dim, str) and dim in outputs]
    found = named or shared
    return None if not found else 0 if 0 in found else found[0]


def named_axes(model: Model, told: Mapping[str, int]) -> dict[str, int]:
    """Input → the axis of its examples, where it is not the first and its name says so: one axis of that input is a batch.

    Args:
        told: axes that the user has named; where any is, nothing is added.
    """
    found = {}
    for spec in model.inputs:
        places = [k for k, dim in enumerate(spec.shape) if is_batch(dim)]
        if len(places) == 1 and places[0]:
            found[spec.name] = places[0]
    return {} if told else found


def require_batch_first(model: Model, told: Collection[str]) -> None:
    """Refuses a model whose examples seem to lie elsewhere: they would be fed as if its first axis were theirs.

    Args:
        told: inputs whose axis the user has named; these are as he says by now.

    Raises:
        DataError: with the flag that says it.
    """
    outputs = {o.shape[0] for o in model.outputs if o.shape and isinstance(o.shape[0], str)}
    loose_outputs = any(o.shape and not isinstance(o.shape[0], int) for o in model.outputs)
    specs = [s for s in model.inputs if s.shape]
    some_loose = any(not isinstance(s.shape[0], int) for s in specs)
    for spec in (s for s in specs if s.name not in told):
        axis = batch_axis(spec, outputs)
        first = spec.shape[0]
        inner = [k for k, dim in enumerate(spec.shape) if k and not isinstance(dim, int)]
        if axis is None and isinstance(first, int) and inner and (some_loose or (first > 1 and loose_outputs)):
            axis = inner[0]
        if axis:
            raise DataError(
                f"input {spec.name!r} {_shown(spec)} seems to hold its examples along axis {axis}, not along the first",
                f"say which it is: --batch-axis {spec.name}={axis} (0: the first after all), or [task.batch_axes] in strop.toml",
            )
    sizes = {s.shape[0]: s for s in specs if s.name not in told and isinstance(s.shape[0], int)}
    if len(sizes) > 1 or (sizes and some_loose and max(sizes) > 1):
        listed = ", ".join(f"{s.name!r} {_shown(s)}" for s in specs)
        raise DataError(
            f"the inputs differ in their first axis: {listed}; which one holds the examples cannot be told",
            f"say it for each: --batch-axis {specs[0].name}=AXIS …; one that is the same for all examples: make it a constant",
        )


def batch_to_test(model: Model, batch: int, told: Collection[str]) -> int:
    """With how many examples to test whether they mix: the batch, or 2 where nothing names the first axis; 0: not at all."""
    outputs = {o.shape[0] for o in model.outputs if o.shape and isinstance(o.shape[0], str)}
    specs = [s for s in model.inputs if s.shape and s.name not in told]
    if not specs or all(batch_axis(s, outputs) == 0 for s in specs):
        return 0
    return batch if batch > 1 else 0 if any(isinstance(s.shape[0], int) for s in specs) else 2


def require_apart(mixing: Mapping[str, float]) -> None:
    """Refuses a model whose answer to one example depends on the others in the batch.

    Args:
        mixing: output → how much it does, from 0 to 1: as much as the answer to an example that was replaced.

    Raises:
        DataError: with the flag that says which axis holds the examples.
    """
    name = max(mixing, key=lambda output: mixing[output], default=None)
    if name is not None and mixing[name] > MIXES:
        raise DataError(
            f"the answer to one example depends on the others in its batch (output {name!r}, by {mixing[name]:.0%} of what "
            "another example changes): the first axis of the inputs does not hold the examples",
            "say which one does: --batch-axis INPUT=AXIS; =0 where examples are meant to mix",
        )


def _shown(spec: TensorSpec) -> str:
    return "[" + ", ".join("?" if d is None else str(d) for d in spec.shape) + "]"
