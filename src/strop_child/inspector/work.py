"""`strop inspect`'s child side: what a model is, by its files alone. Imports nothing of Strop, no framework."""

import importlib
import os
from typing import Any

from strop_child.inspector import adapters
from strop_child.refusal import ModelError

SINGLE = {".onnx": "onnx", ".gguf": "gguf", ".xml": "openvino-ir", ".tflite": "tflite"}
READERS = {
    "onnx": "onnx_graph", "gguf": "gguf_file", "openvino-ir": "openvino_ir", "tflite": "tflite_file", "mlx": "mlx_folder",
    "huggingface": "huggingface",
}  # fmt: skip
"""Format → module of this package; no other than the one needed is imported."""
KNOWN = "give an .onnx, .gguf, .tflite or OpenVINO .xml file, or a Hugging Face or MLX folder (config.json, *.safetensors)"
PICKLED = (".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin")


def inspect(path: str) -> dict[str, Any]:
    """The answer as plain JSON: see `answer.Answer`.

    Raises:
        ModelError: damaged, unsafe or of no known format. Nothing of the model is executed, and none of its weights read.
    """
    kind, path = recognised(path)
    try:
        found: dict[str, Any] = reader(kind).inspect(path).plain()
    except (ModelError, MemoryError, OSError):
        raise
    except Exception as error:  # a reader that stumbles over what a file claims has met no sound file
        raise ModelError(f"{path}: damaged: not understood as {kind} ({type(error).__name__})", "copy it again") from error
    return found


def reader(kind: str) -> Any:
    return importlib.import_module(f"strop_child.inspector.{READERS[kind]}")


def recognised(path: str) -> tuple[str, str]:
    """Format, and the file or folder that is to be read."""
    if os.path.isfile(path):
        return _of_file(path), path
    if not os.path.isdir(path):
        raise ModelError(f"{path}: no such file or folder", KNOWN)
    names = sorted(entry.name for entry in os.scandir(path) if entry.is_file())
    adapters.refuse(path, names)
    if "config.json" in names and any(n.endswith(".safetensors") for n in names):
        from strop_child.inspector import mlx_folder

        return "mlx" if mlx_folder.is_mlx(path) else "huggingface", path
    models = [n for n in names if os.path.splitext(n)[1].lower() in SINGLE]
    firsts = [n for n in models if not n.endswith(".gguf") or "-of-" not in n or "-00001-of-" in n]
    if len(firsts) == 1:
        return _of_file(os.path.join(path, firsts[0])), os.path.join(path, firsts[0])
    if len(firsts) > 1:
        raise ModelError(f"{path}: {len(firsts)} models in it ({', '.join(firsts[:3])})", "give one of them")
    pickled = [n for n in names if n.lower().endswith(PICKLED)]
    if pickled:
        raise ModelError(f"{path}: its weights are pickled ({pickled[0]}) and are not opened", "save it as safetensors")
    raise ModelError(f"{path}: no model of a known format in it", KNOWN)


def _of_file(path: str) -> str:
    suffix = os.path.splitext(path)[1].lower()
    if suffix in SINGLE:
        return SINGLE[suffix]
    if suffix in PICKLED:
        what = "weights of an OpenVINO IR lie in its .bin" if path.endswith(".bin") else "pickled weights are not opened"
        way = "give the .xml beside it; weights of PyTorch are pickled" if path.endswith(".bin") else "save them as safetensors"
        raise ModelError(f"{path}: {what}", f"{way}; safetensors with their config.json are read")
    if suffix == ".safetensors":
        raise ModelError(f"{path}: weights without their configuration", "give the folder that holds config.json")
    raise ModelError(f"{path}: no known format", KNOWN)
