"""Which shapes are fixed, by the model, the user or the preprocessing; and for texts a few lengths to compile. Pure.

That an array of the data is rectangular fixes nothing: it may be so by padding, and the next one may be longer.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from strop.core.errors import UsageError
from strop.core.model import Dimension, Model, TensorSpec
from strop.core.preprocess import Images, Preprocess, Texts
from strop.core.shapes import RESERVED, Lengths, Shape, ShapeSet, text_of

LENGTHS = 3
"""Lengths that are compiled at most: each takes memory of its own."""


def narrowed(model: Model, given: Mapping[str, Shape]) -> Model:
    """The model as the user calls it: what it leaves open beside the batch is as in the shapes given.

    Raises:
        UsageError: a shape of no input, of another rank, or other than what the model fixes.
    """
    known = {spec.name: spec for spec in model.inputs}
    sizes: dict[str, int] = {}
    for name, shape in given.items():
        if name not in known:
            raise UsageError(f"--shape {name}={text_of(shape)}: the model has no input {name!r}", f"inputs: {', '.join(known)}")
        spec = known[name]
        fits = len(shape) == len(spec.shape) and all(d == s for d, s in zip(spec.shape, shape, strict=True) if isinstance(d, int))
        if not fits:
            raise UsageError(
                f"--shape {name}={text_of(shape)}: the model's input has shape {_shown(spec)}",
                "give a size for every axis, those that the model fixes as they are",
            )
        for dim, size in zip(spec.shape, shape, strict=True):
            if isinstance(dim, str) and sizes.setdefault(dim, size) != size:
                raise UsageError(
                    f"--shape: axis {dim!r} is {sizes[dim]} in one input and {size} in {name!r}", "one axis has one size"
                )
    specs = tuple(_narrowed(spec, given.get(spec.name), sizes) for spec in model.inputs)
    return model.model_copy(update={"inputs": specs}) if given else model


def _narrowed(spec: TensorSpec, given: Shape | None, sizes: Mapping[str, int]) -> TensorSpec:
    """With the sizes that were given for it, or for an axis of that name elsewhere; the batch stays as the model has it."""
    rest = given[1:] if given is not None else tuple(sizes.get(d, d) if isinstance(d, str) else d for d in spec.shape[1:])
    return spec.model_copy(update={"shape": (*spec.shape[:1], *rest)})


def fixed_shapes(given: Model, called: Model, preprocess: Preprocess | None, batches: Sequence[int]) -> tuple[ShapeSet, ...]:
    """The shapes of every batch size, where each axis has one size; empty where one varies, or the model fixes them all itself.

    Args:
        given: the model. called: the same, narrowed to how it is called.
    """
    if all(isinstance(d, int) for spec in given.inputs for d in spec.shape):
        return ()
    examples: dict[str, Shape] = {}
    for spec in called.inputs:
        example = _example(spec, preprocess)
        examples[spec.name] = tuple(d for d in example if isinstance(d, int))
        if len(examples[spec.name]) < len(example) or set(spec.name) & RESERVED:
            return ()
    has_batch = {spec.name: bool(spec.shape) for spec in called.inputs}
    return tuple({name: (batch, *dims) if has_batch[name] else () for name, dims in examples.items()} for batch in batches)


def _example(spec: TensorSpec, preprocess: Preprocess | None) -> tuple[Dimension, ...]:
    """The shape of one example; pictures that are cropped, or resized to an exact size, all have one, and so have texts that are
    filled up to the length at which they are cut off.
    """
    if isinstance(preprocess, Texts) and spec.name in preprocess.inputs and len(spec.shape) == len(("batch", "length")):
        length = preprocess.length or (preprocess.pad_to if preprocess.pad_to >= preprocess.max_length else None)
        return spec.shape[1:] if length is None or isinstance(spec.shape[1], int) else (length,)
    if not isinstance(preprocess, Images) or preprocess.input != spec.name or len(spec.shape) != 4:
        return spec.shape[1:]
    size = preprocess.crop or (preprocess.resize if isinstance(preprocess.resize, tuple) else None)
    if size is None:
        return spec.shape[1:]
    channels = 1 if preprocess.color == "gray" else 3
    made = (channels, *size) if preprocess.layout == "NCHW" else (*size, channels)
    return made if all(d == m for d, m in zip(spec.shape[1:], made, strict=True) if isinstance(d, int)) else spec.shape[1:]


def length_axis(model: Model, preprocess: Preprocess | None) -> dict[str, int] | None:
    """Output → its axis that is as long as the texts; None where texts cannot be padded further without changing the answers.

    They can where the model takes a mask, every input is [batch, length], and every other axis of the outputs is fixed.
    """
    if not isinstance(preprocess, Texts) or preprocess.length is not None or "mask" not in preprocess.inputs.values():
        return None
    names = {spec.shape[1] for spec in model.inputs if len(spec.shape) == 2}
    if any(len(spec.shape) != 2 or isinstance(spec.shape[1], int) or set(spec.name) & RESERVED for spec in model.inputs):
        return None
    length = names.pop() if len(names) == 1 else None
    if length is None:  # without a name, or with two, nothing says which axis of an output is the length
        return None
    loose = [(o.name, k, d) for o in model.outputs for k, d in enumerate(o.shape[1:], 1) if not isinstance(d, int)]
    if any(d != length or set(name) & RESERVED for name, _, d in loose) or len({name for name, _, _ in loose}) < len(loose):
        return None
    return {name: k for name, k, _ in loose}


def lengths_to_compile(lengths: Sequence[int], step: int, most: int = LENGTHS) -> tuple[int, ...]:
    """At most so many lengths, multiples of `step` and the longest among them, that pad the texts the least in all.

    Args:
        lengths: tokens of each text.

    Example:
        >>> lengths_to_compile([5, 6, 7, 30], 8, most=2)
        (8, 32)
    """
    counts = Counter(-(-max(n, 1) // step) * step for n in lengths)
    if not counts:
        return ()
    sizes = sorted(counts)
    below = [0]
    for size in sizes:
        below.append(below[-1] + counts[size])
    found: dict[int, tuple[int, tuple[int, ...]]] = {0: (0, ())}
    """Sizes that are covered, as an index → tokens that are computed for their texts, and the lengths."""
    for _ in range(most):
        wider = dict(found)
        for begin, (cost, chosen) in found.items():
            for end in range(begin + 1, len(sizes) + 1):
                more = (cost + sizes[end - 1] * (below[end] - below[begin]), (*chosen, sizes[end - 1]))
                wider[end] = min(wider.get(end, more), more)
        found = wider
    return found[len(sizes)][1]


def lengths_for(model: Model, preprocess: Preprocess | None, batch: int, lengths: Sequence[int]) -> Lengths | None:
    """What is worth compiling for texts of these lengths; None where nothing says that filling them up is exact.

    Args:
        lengths: tokens of each text.
    """
    crop = length_axis(model, preprocess)
    if crop is None or not isinstance(preprocess, Texts) or not lengths:
        return None
    mask = next(name for name, what in preprocess.inputs.items() if what == "mask")
    chosen = lengths_to_compile(lengths, preprocess.pad_to)
    return Lengths(
        sets=tuple({s.name: (batch, n) for s in model.inputs} for n in sorted(chosen, reverse=True)), crop=crop, mask=mask
    )


def _shown(spec: TensorSpec) -> str:
    return "[" + ", ".join("?" if d is None else str(d) for d in spec.shape) + "]"
