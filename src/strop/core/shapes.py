"""Shapes that a session is compiled for, as the settings of a recipe say them. Pure.

Settings are plain values, so a set of shapes is a text: `input_ids=1x64,attention_mask=1x64`. Several sets are separated by `|`.
The first is the one that is timed.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Literal

from strop.core.model import Dimension, Model
from strop.core.noun import Noun, Scalar
from strop.core.recipe import Offer

Shape = tuple[int, ...]
ShapeSet = dict[str, Shape]
"""Every input of the model with its whole shape, the examples first."""
OtherShapes = Literal["fallback", "refuse"]
"""What a bundle does with a shape that it is not compiled for: answer by a second session, or refuse."""
FIXING = ("shapes", "axes", "crop", "mask")
"""Settings that ask for fixed shapes."""
RESERVED = frozenset("=,|")
"""In the name of an input or an axis: such a name cannot be written into a setting."""


class Shapes(Noun):
    """What a bundle takes: the shapes that it is compiled for, what becomes of others, and the memory that answering these adds.

    padded: of shapes that differ in one length, whether what fits none of them is filled up to the next longer one.
    fallback_bytes: private memory that the session for other shapes adds; None where it was not measured.
    """

    sets: tuple[ShapeSet, ...]
    padded: bool = False
    others: OtherShapes
    fallback_bytes: int | None = None


class Lengths(Noun):
    """Lengths of texts that are compiled, the longest first; shorter texts are filled up to the next one.

    sets: the shapes of each. crop: output → its axis that is as long as the texts. mask: the input that hides what is filled up.
    """

    sets: tuple[ShapeSet, ...]
    crop: dict[str, int]
    mask: str


def text_of(shape: Sequence[int]) -> str:
    """`1x3x224x224`."""
    return "x".join(map(str, shape))


def setting_of(sets: Sequence[Mapping[str, Shape]]) -> str:
    """Sets of shapes as the setting `shapes`."""
    return "|".join(",".join(f"{name}={text_of(shape)}" for name, shape in one.items()) for one in sets)


def axes_of(model: Model, sets: Sequence[Mapping[str, Shape]], named: bool = False) -> str | None:
    """The sizes of the model's named axes as the setting `axes`: `batch=1,sequence=64`, one group for each set.

    None where an axis has no name, or one that no setting can hold: a runtime that fixes axes by their names cannot fix it.

    Args:
        named: whether a step of the recipe names the axes that have no name, as `INPUT_axisK`.
    """
    axes = [(spec.name, k, dim) for spec in model.inputs for k, dim in enumerate(spec.shape) if not isinstance(dim, int)]
    loose = [(name, k, f"{name}_axis{k}" if named and dim is None else dim) for name, k, dim in axes]
    if any(not _can_be_written(dim) for _, _, dim in loose):
        return None
    return "|".join(",".join(f"{axis}={size}" for axis, size in {dim: one[name][k] for name, k, dim in loose}.items())
                    for one in sets)  # fmt: skip


def _can_be_written(dim: Dimension) -> bool:
    return isinstance(dim, str) and bool(dim) and not RESERVED & set(dim)


def compiled_for(sets: Sequence[Mapping[str, Shape]], model: Model | None = None, named: bool = False) -> dict[str, Scalar]:
    """The settings of a session that is compiled for these shapes; empty where there are none.

    Args:
        model: whose axes must have names for it, for a runtime that fixes them by name; None for one that needs no names.
        named: whether a step of the recipe names the axes that have no name.
    """
    if not sets:
        return {}
    if model is None:
        return {"shapes": setting_of(sets)}
    axes = axes_of(model, sets, named)
    return {} if axes is None else {"shapes": setting_of(sets), "axes": axes}


def compiled(offers: Iterable[Offer], sets: Sequence[Mapping[str, Shape]], runtimes: Collection[str]) -> Iterator[Offer]:
    """Offers, those of these runtimes with sessions that are compiled for these shapes.

    The given model as it is stays so, and so does what runs on an accelerator.
    """
    shapes = compiled_for(sets)
    for offer in offers:
        recipe = offer.recipe
        if recipe is None or recipe.runtime not in runtimes or recipe.role in ("reference", "as-is") or recipe.device != "cpu":
            yield offer
        else:
            yield offer.model_copy(update={"recipe": recipe.model_copy(update={"settings": {**recipe.settings, **shapes}})})


def compiled_for_lengths(lengths: Lengths | None) -> dict[str, Scalar]:
    """The settings of a session that is compiled for a few lengths; empty where there are none."""
    if lengths is None:
        return {}
    crop = ",".join(f"{name}={axis}" for name, axis in lengths.crop.items())
    return {"shapes": setting_of(lengths.sets), "crop": crop, "mask": lengths.mask}


def parsed(setting: str) -> tuple[ShapeSet, ...]:
    """The sets of the setting `shapes`."""
    pairs = [[pair.rpartition("=") for pair in one.split(",")] for one in setting.split("|")]
    return tuple({name: tuple(int(d) for d in dims.split("x") if d) for name, _, dims in one} for one in pairs)


def was_given(setting: str, read_back: str) -> bool:
    """Whether a session has the first of the shapes that it was asked for.

    Args:
        read_back: its property `shapes`, the shapes of all inputs separated by commas, `?` for what is open.
    """
    return sorted(text_of(shape) for shape in parsed(setting)[0].values()) == sorted(read_back.split(","))
