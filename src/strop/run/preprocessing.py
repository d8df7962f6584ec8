"""Which preprocessing a run has: what the user said, completed by the model's inputs and the files beside the model."""

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from strop.core.errors import ConfigError, DataError, ModelError
from strop.core.foreign import MOST_JSON, ForeignError, parse_object
from strop.core.model import Model
from strop.core.preprocess import HuggingFace, Images, Texts, UserCode, UserInput, from_hf, images, texts
from strop.core.task import Pooling
from strop.run.request import Request
from strop.run.source import Form, code_files
from strop.store.files import read_bytes

POOLING = "1_Pooling/config.json"
BESIDE = ("preprocessor_config.json", "tokenizer_config.json", "sentence_bert_config.json", POOLING)
TOKENIZER = "tokenizer.json"
USER = "user_code"
"""Folder of the user's modules, and of the files that they read, in a bundle."""
IMAGE_KEYS = {"preset", "resize", "crop", "interpolation", "rounding", "color", "scale", "mean", "std", "layout"}
NEEDS = {"image": ("PIL", "images"), "text": ("tokenizers", "text")}
"""What a kind's work needs: the module, and the extra that installs it."""


class Settled(NamedTuple):
    """The preprocessing or None, the files it needs (name in the bundle → path), the pooling that a model's folder names."""

    preprocess: Images | Texts | UserCode | None = None
    ships: Mapping[str, str] = {}
    pooling: Pooling | None = None


def takes_pictures(model: Model) -> bool:
    """Whether it has one input of rank 4 with one or three channels."""
    shapes = [s.shape for s in model.inputs]
    return len(shapes) == 1 and len(shapes[0]) == 4 and bool({1, 3} & {shapes[0][1], shapes[0][-1]})


def settle(request: Request, model: Model, form: Form | None) -> Settled:
    """What turns items into inputs.

    Args:
        form: of the evaluation data; None where there are none, so that it serves generated inputs and the bundle.

    Raises:
        ConfigError, DataError: nothing says how, or it contradicts itself.
    """
    folder = model_folder(request)
    told = described(folder, BESIDE if form != "arrays" else (POOLING,))
    if form == "arrays":
        return Settled(pooling=told.pooling)
    if "preprocess" in request.code:
        ships = {f"{USER}/{name}": str(path) for name, path in code_files(request, "preprocess").items()}
        inputs = tuple(UserInput(name=s.name, dtype=s.dtype) for s in model.inputs)
        return Settled(UserCode(function=request.code["preprocess"], inputs=inputs), ships, told.pooling)
    kind = kind_of(request, model, form, told)
    if kind == "image":
        return Settled(images_for(request, model, told), {}, told.pooling)
    if kind == "text":
        path = tokenizer_of(request, folder)
        return Settled(texts_for(request, model, told), {TOKENIZER: str(path)}, told.pooling)
    return Settled(pooling=told.pooling)


def described(folder: Path, names: Sequence[str]) -> HuggingFace:
    """What the files beside a model say of its preprocessing.

    Raises:
        ModelError: an invalid value; names file and key.
    """
    try:
        return from_hf(read_beside(folder, names))
    except ForeignError as error:
        raise ModelError(f"{folder}: {error}", "correct it, or copy the folder again from where the model came from") from error


def kind_of(request: Request, model: Model, form: Form | None, told: HuggingFace) -> str | None:
    """Whether items are pictures or texts; None where nothing says so and nothing has to."""
    if form in ("pictures", "pictures-table"):
        return "image"
    if form == "table":
        return "text"
    if IMAGE_KEYS & set(request.preprocess):
        return "image"
    if request.tokenizer is not None or request.preprocess:
        return "text"
    if form is not None:
        return None
    found = "image" if told.images is not None and takes_pictures(model) else None
    found = found or ("text" if told.texts is not None and takes_tokens(model) else None)
    return found if found is None or importlib.util.find_spec(NEEDS[found][0]) is not None else None


def takes_tokens(model: Model) -> bool:
    """Whether every input is one that a tokenizer usually gives."""
    try:
        texts(model.inputs)
    except DataError:
        return False
    return all(s.dtype in ("int64", "int32") and len(s.shape) == 2 for s in model.inputs)


def images_for(request: Request, model: Model, told: HuggingFace) -> Images:
    if len(model.inputs) != 1:
        raise DataError(
            f"the model has {len(model.inputs)} inputs, a picture makes one", "use code of your own: [data] preprocess"
        )
    keys = {k: v for k, v in request.preprocess.items() if k != "preset"}
    _refuse(keys, IMAGE_KEYS, "pictures")
    preset = request.preprocess.get("preset")
    if not request.preprocess and told.images is None:
        raise DataError(
            "nothing says how a picture becomes the model's input",
            'name it: [preprocess] preset = "imagenet" (or --preset); `strop init MODEL` lists them',
        )
    base = told.images if told.images is not None and preset is None else {}
    return images(model.inputs[0], preset, **{**(base or {}), **keys})


def texts_for(request: Request, model: Model, told: HuggingFace) -> Texts:
    _refuse(request.preprocess, {"max_length", "pad_to", "special_tokens"}, "texts")
    return texts(model.inputs, request.mapping, **{**(told.texts or {}), **request.preprocess})


def _refuse(keys: Mapping[str, Any], known: set[str], what: str) -> None:
    odd = sorted(set(keys) - known)
    if odd:
        raise ConfigError(f"[preprocess] {odd[0]} is not for {what}", f"known: {', '.join(sorted(known))}")


def tokenizer_of(request: Request, folder: Path) -> Path:
    path = Path(request.tokenizer) if request.tokenizer is not None else folder / TOKENIZER
    path = path / TOKENIZER if path.is_dir() else path
    if not path.is_file():
        raise DataError(f"{path}: no such file: texts need a tokenizer", 'name its tokenizer.json: [preprocess] tokenizer = "…"')
    return path.absolute()


def model_folder(request: Request) -> Path:
    """The model itself where it is a folder, else the folder it is in."""
    path = Path(request.model)
    return path if path.is_dir() else path.parent


def read_beside(folder: Path, names: Sequence[str] = BESIDE) -> dict[str, Any]:
    """The small JSON files that describe preprocessing, as `from_hf` takes them.

    Raises:
        ModelError: one is there and cannot be read; without it other inputs would be made, and nobody would notice.
    """
    found: dict[str, Any] = {TOKENIZER: {}} if (folder / TOKENIZER).is_file() else {}
    for name in names:
        path = folder / name
        try:
            found[name] = parse_object(read_bytes(path, MOST_JSON))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (ForeignError, OSError) as error:
            raise ModelError(f"{path}: {getattr(error, 'strerror', None) or error}", "copy it again, or remove it") from error
    return found
