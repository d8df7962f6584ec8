"""`Preprocess`: how a picture or a text becomes a model's inputs, as plain data that a bundle ships.

The work is done by `strop_child/preprocess.py`, here are the nouns and the rules that fill them in.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from strop.core.errors import ConfigError, DataError
from strop.core.foreign import ForeignError, clean
from strop.core.model import TensorSpec
from strop.core.noun import Noun

Size = int | tuple[int, int] | None
TOKENS = {
    "input_ids": "ids", "attention_mask": "mask", "token_type_ids": "types", "position_ids": "positions",
    "segment_ids": "types", "input_mask": "mask",
}  # fmt: skip
"""What an input of one of these names takes."""


class Images(Noun):
    """A picture → one example of `input`: resize, crop, color order, (value · scale − mean) / std, layout, type.

    `resize`: the shorter side's length, or an exact [height, width]; `rounding` is that of the longer side.
    `mean` and `std` are in the order of `color`.
    """

    kind: Literal["image"] = "image"
    input: str
    resize: Size = None
    crop: tuple[int, int] | None = None
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"] = "bilinear"
    rounding: Literal["nearest", "down"] = "nearest"
    color: Literal["RGB", "BGR", "gray"] = "RGB"
    scale: float = 1.0
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    dtype: str = "float32"


class Texts(Noun):
    """A text, or a pair → token ids and what belongs to them, padded to one length.

    `inputs`: model input → what it takes; `length`: fixed by the model, else the longest text's, rounded up to `pad_to`.
    """

    kind: Literal["text"] = "text"
    inputs: dict[str, Literal["ids", "mask", "types", "positions"]]
    dtypes: dict[str, str]
    max_length: int = 512
    length: int | None = None
    pad_to: int = 8
    special_tokens: bool = True


class UserInput(Noun):
    name: str
    dtype: str


class UserCode(Noun):
    """A function of the user's: one item → an array, or {input: array}."""

    kind: Literal["user"] = "user"
    function: str
    inputs: tuple[UserInput, ...]


Preprocess = Annotated[Images | Texts | UserCode, Field(discriminator="kind")]

_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
PRESETS: dict[str, dict[str, Any]] = {
    "imagenet": {"resize": 256, "crop": 224, "color": "RGB", "scale": 1 / 255, **_IMAGENET},
    "imagenet-caffe": {"resize": 256, "crop": 224, "color": "BGR", "scale": 1.0, "mean": (104.0, 117.0, 123.0)},
    "tf": {"resize": 256, "crop": 224, "color": "RGB", "scale": 1 / 127.5, "mean": (1.0,), "std": (1.0,)},
    "clip": {
        "resize": 224, "crop": 224, "interpolation": "bicubic", "scale": 1 / 255,
        "mean": (0.48145466, 0.4578275, 0.40821073), "std": (0.26862954, 0.26130258, 0.27577711),
    },
    "unit": {"scale": 1 / 255},
    "raw": {},
}  # fmt: skip
"""By name. `unit` gives 0 to 1, `raw` 0 to 255; both resize to the model's size. A crop gives way to the model's size."""


def images(spec: TensorSpec, preset: str | None = None, **given: Any) -> Images:
    """The preprocessing of pictures for one input of rank 4: a preset, overridden key by key.

    Args:
        spec: shape [batch, 3, height, width] or [batch, height, width, 3]; what is fixed there needs no mention.

    Raises:
        ConfigError: no such preset, or sizes that contradict each other.

    Example:
        >>> images(TensorSpec(name="x", dtype="float32", shape=(1, 3, 227, 227)), "imagenet-caffe").crop
        (227, 227)
    """
    if preset is not None and preset not in PRESETS:
        raise ConfigError(f"[preprocess] preset: no preset {preset!r}", f"presets: {', '.join(PRESETS)}")
    named = dict(PRESETS[preset or "raw"])
    layout = given.get("layout") or _layout(spec)
    sides = spec.shape[2:] if layout == "NCHW" else spec.shape[1:3]
    fixed = tuple(s for s in sides if isinstance(s, int)) if len(sides) == 2 else ()
    if len(fixed) == 2:
        named = _sized(named, fixed)
    merged = {**named, **given, "layout": layout, "input": spec.name}
    if isinstance(merged.get("crop"), int):
        merged["crop"] = (merged["crop"], merged["crop"])
    channels = spec.shape[1] if layout == "NCHW" else spec.shape[-1]
    if channels == 1 and "color" not in given:
        merged["color"] = "gray"
    made = Images(**{"dtype": spec.dtype, **merged})
    _require_consistent(made)
    return made


def _sized(named: dict[str, Any], fixed: Sequence[int]) -> dict[str, Any]:
    """A preset for a model of a fixed size: its crop, or an exact resize where the preset crops nothing."""
    if "crop" not in named:
        return {**named, "resize": (fixed[0], fixed[1])}
    resize = named["resize"] if named["resize"] >= max(fixed) else round(max(fixed) * named["resize"] / named["crop"])
    return {**named, "crop": (fixed[0], fixed[1]), "resize": resize}


def _layout(spec: TensorSpec) -> str:
    if len(spec.shape) != 4:
        raise ConfigError(
            f"input {spec.name!r} has shape {list(spec.shape)}, pictures need four axes",
            "use [data] preprocess for your own code",
        )
    return "NHWC" if spec.shape[-1] in (1, 3) and spec.shape[1] not in (1, 3) else "NCHW"


def _require_consistent(made: Images) -> None:
    channels = 1 if made.color == "gray" else 3
    for key in ("mean", "std"):
        values = getattr(made, key)
        if values is not None and len(values) not in (1, channels):
            raise ConfigError(f"[preprocess] {key}: {len(values)} values for {channels} channel(s)", "give one, or one a channel")
    if made.std is not None and 0 in made.std:
        raise ConfigError("[preprocess] std: holds 0", "values are divided by it")
    side = made.resize if isinstance(made.resize, int) else min(made.resize) if made.resize else None
    if side is not None and made.crop is not None and side < max(made.crop):
        raise ConfigError(f"[preprocess] resize {made.resize} is below the crop of {list(made.crop)}", "name both")


def texts(specs: Sequence[TensorSpec], names: Mapping[str, str] | None = None, **given: Any) -> Texts:
    """The preprocessing of texts for a model that takes token ids.

    Args:
        names: model input → the usual name of what it takes, such as `input_ids`, where they differ.

    Raises:
        DataError: an input that is none of the usual ones.
    """
    usual = {s.name: (names or {}).get(s.name, s.name) for s in specs}
    if len(specs) == 1 and usual[specs[0].name] not in TOKENS:
        usual[specs[0].name] = "input_ids"
    unknown = [name for name, what in usual.items() if what not in TOKENS]
    if unknown:
        raise DataError(
            f"a tokenizer does not give the model's input {unknown[0]!r}",
            f"say what it takes: [data.map] {unknown[0]} = one of {', '.join(TOKENS)}",
        )
    lengths = [s.shape[1] for s in specs if len(s.shape) == 2]
    fixed = next((n for n in lengths if isinstance(n, int)), None)
    most = given.pop("max_length", None) or 512
    return Texts(
        inputs={name: TOKENS[what] for name, what in usual.items()}, dtypes={s.name: s.dtype for s in specs},
        length=fixed, max_length=min(most, fixed) if fixed else most, **given,
    )  # fmt: skip


class HuggingFace(Noun):
    """What the files of a Hugging Face folder say of the preprocessing: keys of `images` and `texts`, and the pooling."""

    images: dict[str, Any] | None = None
    texts: dict[str, Any] | None = None
    pooling: Literal["mean", "cls"] | None = None


def from_hf(files: Mapping[str, Any]) -> HuggingFace:
    """The preprocessing that a Hugging Face folder describes, to be completed by a model's inputs.

    Args:
        files: name → parsed JSON of preprocessor_config.json, tokenizer_config.json, sentence_bert_config.json,
            1_Pooling/config.json; tokenizer.json need only be named. Any may be missing.

    Raises:
        ForeignError: an invalid value; names file and key.

    Example:
        >>> images(spec, **from_hf({"preprocessor_config.json": {"do_resize": True, "size": 224}}).images)
    """
    pooling = files.get("1_Pooling/config.json") or {}
    processor = files.get("preprocessor_config.json")
    return HuggingFace(
        images=_hf_images(_processor(processor)) if processor is not None else None,
        texts=_hf_texts(files) if "tokenizer.json" in files else None,
        pooling="mean" if pooling.get("pooling_mode_mean_tokens") else "cls" if pooling.get("pooling_mode_cls_token") else None,
    )


def from_hf_for(files: Mapping[str, Any], specs: Sequence[TensorSpec]) -> Images | Texts | None:
    """`from_hf`, completed for a model's inputs; None where the files describe nothing that these inputs take.

    Raises:
        ConfigError, DataError: as `images` and `texts`.
    """
    told = from_hf(files)
    if told.images is not None and len(specs) == 1 and len(specs[0].shape) == 4:
        return images(specs[0], **told.images)
    if told.texts is not None and not any(len(s.shape) == 4 for s in specs):
        return texts(specs, **told.texts)
    return None


_RESAMPLE = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}


Side = Annotated[int, Field(ge=1, le=1 << 16)]
Channels = tuple[float, ...] | float | None


class _Sides(BaseModel):
    """`size` and `crop_size` as an object; the library knows more ways to say it than are read here."""

    height: Side | None = None
    width: Side | None = None
    shortest_edge: Side | None = None


class _Processor(BaseModel):
    """The keys of preprocessor_config.json that are read; null where it means "no"."""

    model_config = ConfigDict(allow_inf_nan=False)

    do_resize: bool | None = True
    size: Side | _Sides = 224
    resample: int | None = 2
    do_center_crop: bool | None = False
    crop_size: Side | _Sides = 224
    do_rescale: bool | None = True
    rescale_factor: float = 1 / 255
    do_normalize: bool | None = True
    image_mean: Channels = None
    image_std: Channels = None


def _processor(told: Mapping[str, Any]) -> _Processor:
    given = {key: told[key] for key in _Processor.model_fields if key in told}
    used = {"size": "do_resize", "resample": "do_resize", "crop_size": "do_center_crop"}
    given = {key: value for key, value in given.items() if value is not None or key not in used}
    try:
        return _Processor.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        raise ForeignError(f"preprocessor_config.json: {key}: {first['msg']}, found {clean(repr(told[key]))[:80]}") from None


def _hf_images(config: _Processor) -> dict[str, Any]:
    found: dict[str, Any] = {"color": "RGB", "rounding": "down", "resize": None, "crop": None}
    if config.do_resize:
        found["resize"] = _hf_size("size", config.size, shorter=bool(config.do_center_crop))
        found["interpolation"] = _RESAMPLE.get(2 if config.resample is None else config.resample, "bilinear")
    if config.do_center_crop:
        crop = config.crop_size
        found["crop"] = _hf_size("crop_size", crop, shorter=not isinstance(crop, _Sides))
    if config.do_rescale:
        found["scale"] = config.rescale_factor
    if config.do_normalize:
        found["mean"], found["std"] = (_channels(values) or (0.5, 0.5, 0.5) for values in (config.image_mean, config.image_std))
    return found


def _channels(values: Channels) -> tuple[float, ...] | None:
    return (values,) if isinstance(values, (int, float)) else values


def _hf_size(key: str, size: int | _Sides, shorter: bool) -> int | tuple[int, int]:
    """A plain number is the shorter side where a crop follows, else both sides."""
    if isinstance(size, int):
        return size if shorter else (size, size)
    if size.shortest_edge is not None:
        return size.shortest_edge
    if size.height is None or size.width is None:
        raise ForeignError(f"preprocessor_config.json: {key}: height and width, or shortest_edge, are expected")
    return (size.height, size.width)


def _hf_texts(files: Mapping[str, Any]) -> dict[str, Any]:
    sentence = (files.get("sentence_bert_config.json") or {}).get("max_seq_length")
    model = (files.get("tokenizer_config.json") or {}).get("model_max_length")
    known = [int(n) for n in (sentence, model) if isinstance(n, (int, float)) and 0 < n < 1e6]
    return {"max_length": min(known)} if known else {}
