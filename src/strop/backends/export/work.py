"""The exporter's child side: a Hugging Face folder → ONNX, checked against the original. Imports nothing of strop.

Nothing of the folder is executed: no remote code, no pickled weights. Nothing is fetched.
"""

import os
import sys
from pathlib import Path
from typing import Any

from strop_child import folder_kinds
from strop_child.checked_json import AGAIN, Section, quoted, read_object
from strop_child.refusal import ModelError

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", CI="1", TOKENIZERS_PARALLELISM="false")

PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
TASKS = {
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForImageClassification": "image-classification",
    "Model": "feature-extraction",
    "ForMaskedLM": "feature-extraction",
}
"""How an architecture's name ends → what it is exported for; a masked language model gives its encoder."""
TOLERANCE = 1e-3
"""Largest difference of an answer, as a share of the original's range."""
LENGTHS, BATCHES = (7, 32), (1, 3)
FILE, PICTURE = "model.onnx", "pixel_values"
SIDE = 224
"""Of the pictures to compare with, where the configuration names no size, as for convolutional networks."""


def probe() -> dict[str, Any]:
    """What works here, and why not."""
    from importlib.metadata import PackageNotFoundError, version

    found, missing = {}, []
    for package in ("optimum-onnx", "transformers", "torch", "onnx"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            missing.append(package)
    return {
        "works": not missing,
        "why_not": f"{', '.join(missing)} not installed" if missing else "",
        "versions": found,
        "devices": ["CPU"],
        "python": sys.version.split()[0],
    }


def examine(path: str) -> dict[str, Any]:
    """Files that make up the model, and what it is exported for; refuses what would run code or unpickle.

    Raises:
        ModelError: not a folder that can be exported safely.
    """
    folder = Path(path)
    where = str(folder / "config.json")
    config = Section(read_object(where), where)
    if config.values.get("auto_map"):
        raise ModelError(
            f"{path}: the model brings code of its own (auto_map)",
            "code from a model's folder is not run; export it to ONNX yourself",
        )
    links = [p.name for p in folder.iterdir() if p.is_symlink() and not p.resolve().is_relative_to(folder.resolve())]
    if links:
        raise ModelError(f"{path}: {links[0]} is a link out of the folder", "copy the files themselves")
    names = sorted(p.name for p in folder.iterdir() if p.is_file())
    if not any(n.endswith(".safetensors") for n in names):
        pickled = [n for n in names if n.endswith(PICKLED)]
        what = f"its weights are pickled ({pickled[0]})" if pickled else "no weights"
        raise ModelError(f"{path}: {what}; only .safetensors are read", "save it again with safe_serialization=True")
    folder_kinds.refuse(path, config, names)
    architecture = (config.texts("architectures") or [""])[0]
    task = next((t for end, t in TASKS.items() if architecture.endswith(end)), None)
    if task is None:
        raise ModelError(
            f"{path}: architecture {architecture!r} is not exported here",
            "encoders and classifiers of text and images are; export others to ONNX yourself",
        )
    files = [n for n in names if n.endswith((".json", ".safetensors", ".txt", ".model"))]
    return {"files": files, "task": task, "architecture": architecture, "labels": labels_of(config)}


def labels_of(config: Section) -> dict[str, str]:
    """Number of a class → its name, on one line; empty where the configuration names none."""
    told = config.part("id2label")
    for number, name in told.values.items() if told is not None else ():
        if not (number.isascii() and number.isdecimal() and len(number) < 10) or not isinstance(name, (str, int)):
            raise ModelError(f"{config.where}: id2label.{number[:80]} is {quoted(name)}, a number and a name are expected", AGAIN)
    return {number: " ".join(str(name).split()) for number, name in told.values.items()} if told is not None else {}


def export(path: str, out_dir: str, task: str) -> dict[str, Any]:
    """ONNX of the folder's model in `out_dir`, and how far its answers are from the original's.

    Raises:
        ModelError: it cannot be exported, or answers differently.
    """
    convert(path, out_dir, task)
    return {"file": FILE, "differences": compare(path, os.path.join(out_dir, FILE), task)}


def convert(path: str, out_dir: str, task: str) -> None:
    """ONNX of the folder's model in `out_dir`, and nothing else there.

    Raises:
        ModelError: it cannot be exported.
    """
    from optimum.exporters.onnx import main_export
    from transformers import AutoConfig

    try:
        main_export(
            model_name_or_path=path, output=out_dir, task=task, do_validation=False, local_files_only=True,
            trust_remote_code=False, library_name="transformers",
        )  # fmt: skip
    except Exception as error:
        text = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"{path}: cannot be exported: {text}", "export it to ONNX yourself, and give that") from error
    for leftover in Path(out_dir).iterdir():
        if not leftover.name.startswith(FILE):
            leftover.unlink()
    fix_channels(
        os.path.join(out_dir, FILE), channels_of(AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False))
    )


def channels_of(config: Any) -> int:
    """Channels of the pictures that a model takes."""
    return int(getattr(config, "num_channels", 3))


def fix_channels(exported: str, channels: int) -> None:
    """Writes into the signature how many channels a picture has, which the exporter calls dynamic though the weights fix it."""
    import onnx

    model = onnx.load(exported, load_external_data=False)
    for value in model.graph.input:
        if value.name == PICTURE:
            value.type.tensor_type.shape.dim[1].dim_value = channels
    onnx.save(model, exported)


def compare(path: str, exported: str, task: str) -> dict[str, float]:
    """Largest difference of each output over inputs of several sizes, as a share of the original's range.

    Raises:
        ModelError: one is beyond the tolerance, or not finite.
    """
    import numpy as np
    import onnxruntime as ort
    import torch
    import transformers

    kinds = {
        "text-classification": transformers.AutoModelForSequenceClassification,
        "token-classification": transformers.AutoModelForTokenClassification,
        "image-classification": transformers.AutoModelForImageClassification,
        "feature-extraction": transformers.AutoModel,
    }
    original = (
        kinds[task]
        .from_pretrained(path, local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=torch.float32)
        .eval()
    )
    session = ort.InferenceSession(exported, providers=["CPUExecutionProvider"])
    worst: dict[str, float] = {}
    for number in range(len(BATCHES)):
        feed = example(session.get_inputs(), original.config, BATCHES[number], LENGTHS[number], number)
        with torch.no_grad():
            expected = original(**{n: torch.from_numpy(a) for n, a in feed.items()})
        for output, got in zip(session.get_outputs(), session.run(None, feed), strict=True):
            wanted = expected[output.name].numpy() if output.name in expected else None
            if wanted is None or wanted.shape != got.shape:
                continue
            span = float(np.ptp(wanted)) or 1.0
            difference = float(np.max(np.abs(wanted - got))) / span
            worst[output.name] = max(worst.get(output.name, 0.0), difference if np.isfinite(difference) else float("inf"))
    if not worst:
        raise ModelError(f"{path}: no output of the export could be held against the original", "export it to ONNX yourself")
    name, largest = max(worst.items(), key=lambda item: item[1])
    if largest > TOLERANCE:
        raise ModelError(
            f"{path}: the export answers differently from the original: {name!r} by {largest:.2%} of its range, "
            f"{TOLERANCE:.1%} is allowed",
            "the export cannot be trusted; export it to ONNX yourself, and check it",
        )
    return worst


def example(inputs: list[Any], config: Any, batch: int, length: int, seed: int) -> dict[str, Any]:
    """Inputs by name: token ids within the vocabulary, masks of texts of several lengths, or pictures."""
    import numpy as np

    random = np.random.default_rng(seed)
    feed: dict[str, Any] = {}
    for spec in inputs:
        if spec.name == PICTURE:
            size = getattr(config, "image_size", None) or SIDE
            sides = size if isinstance(size, (list, tuple)) else (size, size)
            feed[spec.name] = random.standard_normal((batch, channels_of(config), *sides)).astype(np.float32)
        elif spec.name == "input_ids":
            feed[spec.name] = random.integers(0, config.vocab_size, (batch, length))
        elif spec.name == "attention_mask":
            feed[spec.name] = (np.arange(length) < length - np.arange(batch)[:, None]).astype(np.int64)
        elif spec.name == "position_ids":
            feed[spec.name] = np.tile(np.arange(length), (batch, 1))
        else:
            feed[spec.name] = np.zeros((batch, length), np.int64)
    return feed
