"""From pictures and texts to a model's inputs, and from its outputs to answers. Needs numpy, and pillow or tokenizers.

The data worker runs this file, and it is copied into every bundle: what was evaluated is what is shipped. It imports
nothing of Strop. A description is the plain data of `strop.core.preprocess`:

    {"kind": "image", "input": "data", "resize": 256, "crop": [227, 227], "interpolation": "bilinear", …}
    {"kind": "text", "inputs": {"input_ids": "ids", "attention_mask": "mask"}, "max_length": 256, …}
    {"kind": "user", "function": "module:function", "inputs": [{"name": "x", "dtype": "float32"}]}
"""

import importlib.util
import json
import os
import sys
import threading
import traceback
from collections.abc import Sequence
from importlib.machinery import FileFinder, SourceFileLoader
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
ANSWERS = 5
HERE = os.path.dirname(os.path.abspath(__file__))
USER = "user_code"
"""Folder of the user's modules and files, beside shards and in a bundle."""
INSTALLED = {"site-packages", "dist-packages"}
"""Folders of installed packages."""
ABOUT_ONE = 0.1
"""Shares of a quantized softmax sum to 1 within this."""
POOL_BYTES = 64 << 20
PADDINGS = ("[PAD]", "<pad>", "<|pad|>", "<|endoftext|>")


class DataError(Exception):
    """The data are refused; `hint` says what to do next."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ItemError(Exception):
    """One item cannot be used; the others may."""


def load(description: dict[str, Any], folder: str) -> Any:
    """What a description asks for: an object with `encode(items, length) -> {input: array [items, …]}`.

    folder: where tokenizer.json or the user's module is.
    """
    return {"image": Images, "text": Texts, "user": User}[description["kind"]](description, folder)


class Images:
    """Pictures, as paths or open pictures. `packages` names what does the work, for requirements.txt."""

    packages = ("pillow",)

    def __init__(self, description: dict[str, Any], folder: str = "") -> None:
        self.how = description
        try:
            from PIL import Image
        except ImportError:
            raise DataError("pictures need the package pillow", 'pip install "strop[images]"') from None
        self.pillow = Image
        self.method = getattr(Image.Resampling, description["interpolation"].upper())

    def encode(self, items: Sequence[Any], length: int | None = None) -> dict[str, Array]:
        """Pictures → the model's input, shape [pictures, …]. Raises ItemError for a picture that cannot be read."""
        return {self.how["input"]: np.stack([self.example(item) for item in items])}

    def example(self, item: Any) -> Array:
        """One picture, without a batch axis."""
        return self.values(self.open(item) if isinstance(item, (str, os.PathLike)) else item)

    def open(self, path: Any) -> Any:
        try:
            with self.pillow.open(path) as picture:
                return picture.convert("L" if self.how["color"] == "gray" else "RGB")
        except (OSError, ValueError, SyntaxError, self.pillow.DecompressionBombError) as error:
            raise ItemError(str(error).split(" '")[0].split(": <")[0] or type(error).__name__) from None

    def values(self, picture: Any) -> Array:
        """Resize, crop, color order, (value · scale − mean) / std, layout, type."""
        how = self.how
        picture = self.cropped(self.resized(picture))
        values: Array = np.asarray(picture, np.float32)
        values = values[..., None] if values.ndim == 2 else values[..., ::-1] if how["color"] == "BGR" else values
        if (how["scale"], how["mean"], how["std"]) != (1.0, None, None):
            values = values * np.float32(how["scale"])
            values = values - np.asarray(how["mean"] or 0, np.float32)
            values = values / np.asarray(how["std"] or 1, np.float32)
        values = values.transpose(2, 0, 1) if how["layout"] == "NCHW" else values
        return np.ascontiguousarray(values.astype(how["dtype"]))

    def resized(self, picture: Any) -> Any:
        """To an exact [height, width], or so that the shorter side has a length; a crop is never larger than it."""
        wanted = self.how["resize"]
        if wanted is None:
            return picture
        if not isinstance(wanted, int):
            return picture.resize((wanted[1], wanted[0]), self.method)
        crop = self.how["crop"] or (1, 1)
        rounded, short = (round if self.how["rounding"] == "nearest" else int), min(picture.size)
        width, height = (max(rounded(side * wanted / short), least) for side, least in zip(picture.size, crop[::-1], strict=True))
        return picture.resize((width, height), self.method)

    def cropped(self, picture: Any) -> Any:
        if self.how["crop"] is None:
            return picture
        height, width = self.how["crop"]
        left, top = (picture.width - width) // 2, (picture.height - height) // 2
        if left < 0 or top < 0:
            raise ItemError(f"{picture.width} × {picture.height} is smaller than the crop of {width} × {height}")
        return picture.crop((left, top, left + width, top + height))

    def generate(self, count: int, rng: Any, shape: Sequence[int]) -> dict[str, Array]:
        """Smooth random pictures, pushed through. shape: of one example, used where no size is given."""
        height, width = self.how["crop"] or (shape[1:] if self.how["layout"] == "NCHW" else shape[:2])
        mode, channels = ("L", ()) if self.how["color"] == "gray" else ("RGB", (3,))
        made = []
        for _ in range(count):
            coarse = rng.integers(0, 256, (8, 8, *channels), dtype=np.uint8)
            made.append(self.pillow.fromarray(coarse, mode).resize((width, height), self.pillow.Resampling.BICUBIC))
        return self.encode(made)


class Texts:
    """Texts, or pairs of texts as tuples, by the tokenizer.json in `folder`."""

    packages = ("tokenizers",)

    def __init__(self, description: dict[str, Any], folder: str = "") -> None:
        self.how = description
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise DataError("texts need the package tokenizers", 'pip install "strop[text]"') from None
        path = os.path.join(folder, "tokenizer.json")
        try:
            self.tokenizer = Tokenizer.from_file(path)
        except Exception as error:
            raise DataError(f"{path}: not a tokenizer that can be read: {error}", "save it with its library again") from None
        self.pad = self.padding()
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(max_length=description["max_length"])

    def padding(self) -> int:
        """The padding token id: the tokenizer's own, else that of a usual name, else 0."""
        known = self.tokenizer.padding
        if known is not None:
            return int(known["pad_id"])
        ids = [self.tokenizer.token_to_id(name) for name in PADDINGS]
        return int(next((i for i in ids if i is not None), 0))

    def tokenize(self, texts: Sequence[Any]) -> list[dict[str, Array]]:
        """Ids, types and words (−1 for special tokens) per text, each int32 [tokens]. A list of words is taken as such."""
        split = bool(texts) and isinstance(texts[0], list)
        found = self.tokenizer.encode_batch(list(texts), is_pretokenized=split, add_special_tokens=self.how["special_tokens"])
        return [
            {
                "ids": np.array(e.ids, np.int32),
                "types": np.array(e.type_ids, np.int32),
                "words": np.array([-1 if w is None else w for w in e.word_ids], np.int32),
            }
            for e in found
        ]

    def encode(self, items: Sequence[Any], length: int | None = None) -> dict[str, Array]:
        """Texts → the model's inputs, shape [texts, length]; by default as long as the longest text asks for."""
        tokens = self.tokenize(items)
        return self.padded(tokens, length or self.length(max(len(t["ids"]) for t in tokens)))

    def length(self, longest: int) -> int:
        """The model's fixed length, or the longest text's rounded up."""
        step = self.how["pad_to"]
        return int(self.how["length"] or -(-max(longest, 1) // step) * step)

    def padded(self, tokens: list[dict[str, Array]], length: int) -> dict[str, Array]:
        """Token lists as arrays of one length, padded at the end."""
        ids = np.full((len(tokens), length), self.pad, np.int64)
        types, mask = np.zeros_like(ids), np.zeros_like(ids)
        for row, one in enumerate(tokens):
            n = min(len(one["ids"]), length)
            ids[row, :n], types[row, :n], mask[row, :n] = one["ids"][:n], one["types"][:n], 1
        return self.named(ids, mask, types)

    def named(self, ids: Array, mask: Array, types: Array) -> dict[str, Array]:
        positions = np.broadcast_to(np.arange(ids.shape[1]), ids.shape)
        made = {"ids": ids, "mask": mask, "types": types, "positions": positions}
        return {name: made[what].astype(self.how["dtypes"][name]) for name, what in self.how["inputs"].items()}

    def generate(self, count: int, rng: Any, shape: Sequence[int]) -> dict[str, Array]:
        """Random tokens of the vocabulary between the special ones. shape: of one example, [length]."""
        special = {i for i, token in self.tokenizer.get_added_tokens_decoder().items() if token.special}
        known = np.array(sorted(set(self.tokenizer.get_vocab().values()) - special))
        ids = rng.choice(known, (count, shape[0]))
        frame = self.tokenizer.encode("").ids if self.how["special_tokens"] else []
        if len(frame) >= 1 and shape[0] > len(frame):
            ids[:, 0] = frame[0]
            ids[:, -1] = frame[-1] if len(frame) > 1 else ids[:, -1]
        return self.named(ids, np.ones_like(ids), np.zeros_like(ids))


class User:
    """The user's own function: one item → an array, or {input: array}, without a batch axis."""

    packages = ()

    def __init__(self, description: dict[str, Any], folder: str = "") -> None:
        self.how = description
        self.function = user_function(description["function"], os.path.join(folder, USER))

    def encode(self, items: Sequence[Any], length: int | None = None) -> dict[str, Array]:
        """Items → the model's inputs, stacked."""
        made = [self.example(item) for item in items]
        return {name: np.stack([one[name] for one in made]) for name in made[0]}

    def example(self, item: Any) -> dict[str, Array]:
        found = call_user(self.function, self.how["function"], item)
        specs = self.how["inputs"]
        named = found if isinstance(found, dict) else {specs[0]["name"]: found}
        missing = [s["name"] for s in specs if s["name"] not in named]
        if missing:
            raise DataError(
                f"{self.how['function']} gave no {missing[0]!r}", "return an array, or a dict with one for each input"
            )
        return {s["name"]: np.asarray(named[s["name"]]).astype(s["dtype"]) for s in specs}


def user_function(name: str, folder: str) -> Any:
    """`module:function`, found in `folder`, beside which it may import its siblings. Raises DataError where it does not load."""
    module, _, function = name.partition(":")
    path = os.path.join(os.path.abspath(folder), *module.split(".")) + ".py"
    if not os.path.isfile(path):
        raise DataError(f"{name}: no {os.path.basename(path)} in {os.path.dirname(path)}", "the module stands beside strop.toml")
    room = Room(folder)
    loaded = call_user(room.load, name, module, path)
    found = getattr(loaded, function, None)
    if not callable(found):
        raise DataError(f"{name}: the module has no function {function!r}", "write it as module:function")

    def called(*arguments: Any) -> Any:
        with room:
            return found(*arguments)

    return called


class Room:
    """Where a user's modules are loaded and called: their folder comes first on the path, and they are `sys.modules`' own.

    Other modules that are called like one of them are out of the way meanwhile, and back afterwards; packages that are installed
    stay where they are, also those of an environment in this folder. The user's modules are the same ones at each call, with what
    they hold. They are compiled from their source: no bytecode is written beside it, nor taken for it. One thread at a time.
    """

    lock = threading.RLock()
    """One for all, since `sys.modules` is."""

    def __init__(self, folder: str) -> None:
        self.folder = os.path.abspath(folder)
        self.offered = {entry.partition(".")[0] for entry in os.listdir(self.folder)} - {""}
        self.own, self.others = dict[str, Any](), dict[str, Any]()
        self.before: set[str] = set()
        self.depth = 0

    def __enter__(self) -> None:
        self.lock.acquire()
        self.depth += 1
        if self.depth > 1:
            return
        strange = [name for name in sys.modules if name.partition(".")[0] in self.offered and self.is_strange(name)]
        self.others = {name: sys.modules.pop(name) for name in strange}
        self.before = set(sys.modules)
        sys.modules.update(self.own)
        sys.path.insert(0, self.folder)
        sys.meta_path.insert(0, self)

    def __exit__(self, *_: object) -> None:
        self.depth -= 1
        if not self.depth:
            sys.meta_path.remove(self)
            sys.path.remove(self.folder)
            if self.folder not in sys.path:
                sys.path.append(self.folder)  # for what a generator imports later
            new = {name: module for name, module in list(sys.modules.items()) if name not in self.before}
            self.own = {name: module for name, module in new.items() if name in self.own or self.holds(place_of(module))}
            for name in self.own:
                del sys.modules[name]
            sys.modules.update(self.others)
        self.lock.release()

    def is_strange(self, name: str) -> bool:
        """Whether a module is Strop's, or of somebody's else who did not install it."""
        path = place_of(sys.modules[name])
        return name != "__main__" and (os.path.dirname(path) == HERE or (bool(path) and not is_installed(path)))

    def holds(self, path: str) -> bool:
        """Whether a file is one of the user's: in the folder, and not of an environment that is in there too."""
        inside = os.path.join(self.folder, "")
        if not path.startswith(inside) or not INSTALLED.isdisjoint(path[len(inside) :].split(os.sep)):
            return False
        return not any(path.startswith(prefix) for prefix in prefixes() if prefix.startswith(inside))

    def find_spec(self, name: str, path: Sequence[str] | None = None, _target: Any = None) -> Any:
        """Python's question where a module is: one of the user's is found here, so that it is loaded from its source."""
        for place in (os.path.abspath(entry) for entry in ([self.folder] if path is None else path)):
            if place == self.folder or self.holds(place):
                found = FileFinder(place, (Source, [".py"])).find_spec(name)
                if found is not None and found.loader is not None:
                    return found
        return None

    def load(self, name: str, path: str) -> Any:
        """The module at a path, under its own name unless another one has that."""
        with self:
            spec: Any = importlib.util.spec_from_file_location(name, path, loader=Source(name, path))
            module = importlib.util.module_from_spec(spec)
            sys.modules.setdefault(name, module)
            spec.loader.exec_module(module)
        return module


class Source(SourceFileLoader):
    """Loads a module by compiling its source."""

    def get_code(self, fullname: str) -> Any:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def prefixes() -> list[str]:
    """Where this Python and its environment are installed, each with a separator at its end."""
    return [os.path.join(os.path.abspath(prefix), "") for prefix in {sys.prefix, sys.exec_prefix, sys.base_prefix}]


def is_installed(path: str) -> bool:
    return not INSTALLED.isdisjoint(path.split(os.sep)) or any(path.startswith(prefix) for prefix in prefixes())


def place_of(module: Any) -> str:
    """Where a module was loaded from: its file, or the folder of a package without one; empty for one that is built in."""
    about = getattr(module, "__dict__", {})  # not getattr: some modules import others when they are asked for anything
    path = about.get("__file__") or next(iter(about.get("__path__") or ()), None)
    return os.path.abspath(path) if isinstance(path, str) else ""


def call_user(function: Any, name: str, *arguments: Any) -> Any:
    """A call of the user's code; what it raises becomes one line with the file and line that it came from."""
    try:
        return function(*arguments)
    except (DataError, ItemError):
        raise
    except (Exception, SystemExit) as error:
        told = f"{name} failed: {type(error).__name__}: {error} ({user_line(error)})"
        raise DataError(told, "correct your code, then run the same command again") from error


def user_line(error: BaseException) -> str:
    """The last line of the user's own that led to an error, else the last of all; a syntax error has its own."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{os.path.basename(error.filename)}, line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    installed = (*INSTALLED, "<frozen", os.path.dirname(os.__file__))
    own = [f for f in frames if os.path.dirname(f.filename) != HERE and not any(part in f.filename for part in installed)]
    at = (own or list(frames))[-1]
    return f"{os.path.basename(at.filename)}, line {at.lineno}"


def embeddings(hidden: Array, mask: Array | None, pooling: str) -> Array:
    """Hidden states [n, length, size] → one vector each, [n, size], by `mean` over the mask or `cls`; `none` flattens them.

    Outputs that have no length axis are vectors already.
    """
    if hidden.ndim != 3 or pooling == "none":
        return np.asarray(hidden).reshape(len(hidden), -1)
    if pooling == "cls":
        return np.asarray(hidden[:, 0])
    if mask is None:
        return np.asarray(np.mean(hidden, axis=1, dtype=np.float32))
    made, step = [], max(1, POOL_BYTES // max(1, hidden[:1].nbytes))
    for at in range(0, len(hidden), step):
        part, weight = np.asarray(hidden[at : at + step], np.float32), np.asarray(mask[at : at + step, :, None], np.float32)
        made.append((part * weight).sum(1) / np.maximum(weight.sum(1), 1))
    return np.concatenate(made)


def normalized(vectors: Array) -> Array:
    """Vectors of length 1."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12))


def probabilities(scores: Array) -> Array:
    """Scores of one example as shares that sum to 1: as they are where they do so already, else their softmax."""
    values = np.asarray(scores, np.float64).reshape(-1)
    if (values >= 0).all() and abs(values.sum() - 1) < ABOUT_ONE:
        return values
    shares = np.exp(values - values.max())
    return np.asarray(shares / shares.sum())


def of_two(value: float, cut: float) -> Array:
    """The shares of two classes from one number for class 1: a probability where it begins at 0.5, else a logit."""
    one = min(max(value, 0.0), 1.0) if cut else 1 / (1 + np.exp(-min(max(value, -500.0), 500.0)))
    return np.array([1 - one, one])


class Bundled:
    """The preprocessing of a bundle, and what its outputs mean; by the bundle's manifest.json."""

    def __init__(self, folder: str) -> None:
        with open(os.path.join(folder, "manifest.json"), encoding="utf-8") as f:
            manifest = json.load(f)
        self.task: dict[str, Any] = manifest["task"]
        self.tool = load(manifest["preprocess"], folder)
        self.batch = int(manifest["workload"]["batches"][0])
        self.classes: list[str] = []
        if os.path.isfile(os.path.join(folder, "classes.txt")):
            with open(os.path.join(folder, "classes.txt"), encoding="utf-8") as f:
                self.classes = f.read().splitlines()

    def items(self, given: Any) -> list[Any]:
        """A list of items of one or many; texts whose words are classified are split at spaces, pairs are tuples."""
        many = list(given) if isinstance(given, list) else [given]
        if self.task["kind"] == "token-classification":
            return [item.split() if isinstance(item, str) else item for item in many]
        return [tuple(item) if isinstance(item, list) else item for item in many]

    def encode(self, items: Sequence[Any]) -> dict[str, Array]:
        """Items → the model's inputs. Raises DataError for one that cannot be used."""
        try:
            return dict(self.tool.encode(items))
        except ItemError as error:
            raise DataError(f"{items[0] if len(items) == 1 else 'an item'}: {error}", "give a readable one") from None

    def answers(self, outputs: dict[str, Array], feed: dict[str, Array], items: Sequence[Any], most: int = ANSWERS) -> Any:
        """Per item: (class, probability) pairs, best first; (word, class) pairs; or the (output, number) of a model that gives
        one number, which may be any quantity. Embeddings: an array [items, size].
        """
        values = outputs[self.task["output"]]
        if self.task["kind"] in ("sentence-similarity", "feature-extraction"):
            inputs = self.tool.how.get("inputs", {})
            masks = [feed[name] for name, what in inputs.items() if what == "mask"] if isinstance(inputs, dict) else []
            return normalized(embeddings(values, masks[0] if masks else None, self.task["pooling"]))
        if self.task["kind"] == "token-classification":
            tokens = self.tool.tokenize(items)
            return [word_classes(row, t["words"], item, self.classes) for row, t, item in zip(values, tokens, items, strict=True)]
        if values.dtype.kind in "iub" and values[0].size == 1:
            return [[(named(int(value), self.classes), 1.0)] for value in values.reshape(-1)]
        if values[0].size > 1:
            return [best(probabilities(row), self.classes, most) for row in values]
        cut, numbers = self.task.get("cut"), [float(value) for value in values.reshape(-1)]
        if cut is None:  # nothing says that it stands for classes
            return [[(self.task["output"], number)] for number in numbers]
        return [best(of_two(number, cut), self.classes, most) for number in numbers]


def best(shares: Array, classes: Sequence[str], most: int) -> list[tuple[str, float]]:
    """The highest classes with their shares."""
    return [(named(int(i), classes), float(shares[i])) for i in np.argsort(-shares, kind="stable")[:most]]


def word_classes(row: Array, words: Array, item: Any, classes: Sequence[str]) -> list[tuple[str, str]]:
    """The class of each word's first token."""
    first = [at for at, word in enumerate(words[: len(row)]) if word >= 0 and (at == 0 or words[at - 1] != word)]
    return [(item[words[at]], named(int(row[at].argmax()), classes)) for at in first]


def named(index: int, classes: Sequence[str]) -> str:
    return classes[index] if index < len(classes) else str(index)
