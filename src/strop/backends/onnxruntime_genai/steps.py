"""ONNX Runtime GenAI's build step; child side. Nothing of the folder is executed, nothing is fetched."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

from . import matrices

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")

CONFIG, GRAPH = "genai_config.json", "model.onnx"
ALL_SLIDE = ("mistral", "phi3")
"""Model types that slide in every layer and do not say so of each; the builder takes such layers for full attention."""
TOKENIZER = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "tokenizer.model", "vocab.json",
    "merges.txt", "chat_template.jinja",
)  # fmt: skip
"""The folder's own; nothing else of it may take the place of what was built."""
TAKEN = (".json", ".safetensors", ".model", ".txt", ".jinja")
"""No pickled weights, no code."""
LARGE = 1 << 16
"""Bytes of a tensor from which on it is kept in a file."""
SAID = 300
"""Characters of an error."""
INT8_ACTIVATIONS = 4
"""The builder's accuracy level on a CPU, said so that another default is noticed."""


class NotBuilt(Exception):
    """The builder fails at this model."""


class NotAsAsked(Exception):
    """The builder ended well and built something else."""


def convert(folder: str, out_dir: str, precision: str, block: int = 0, algorithm: str = "") -> dict[str, Any]:
    """The folder as ONNX by GenAI's model builder, in one go with its quantization.

    The builder ignores options that it does not know, so what it built is read back from the graph.
    """
    options = ["hf_token=false", "hf_remote=false", "windowed_kv_cache=false"]  # a cache of a window cannot be rewound
    if block:
        options += [f"block_size={block}", f"algo_config={algorithm}", f"accuracy_level={INT8_ACTIVATIONS}"]
    with tempfile.TemporaryDirectory() as scratch:
        try:
            create(bare(folder, scratch), out_dir, precision, scratch, options)
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            raise NotBuilt(f"ONNX Runtime GenAI's model builder fails at this model: {why}"[:SAID]) from error
    restore(folder, out_dir)
    found = matrices.read(os.path.join(out_dir, GRAPH))
    wrong = matrices.differs(found, precision, block, algorithm, INT8_ACTIVATIONS if block else 0)
    if wrong:
        raise NotAsAsked(f"the model builder did not do what was asked: {wrong}")
    return {"file": CONFIG, "claims": matrices.claims(found)}


@contextlib.contextmanager
def streaming(out_dir: str) -> Iterator[None]:
    """The quantizer reads the matrices from a file, one after another.

    It takes the model as a message that holds them all in fp32, which is four bytes a parameter more than need be.
    """
    import onnx
    import onnx_ir as ir

    plain = (ir.to_proto, ir.from_proto, onnx.numpy_helper.to_array)
    with tempfile.TemporaryDirectory(dir=out_dir) as place:

        def to_proto(whole: Any) -> Any:
            if not isinstance(whole, ir.Model):
                return plain[0](whole)
            path = os.path.join(place, "whole.onnx")
            ir.save(whole, path, external_data="whole.data", size_threshold_bytes=LARGE)
            return onnx.load(path, load_external_data=False)

        def from_proto(message: Any) -> Any:
            if isinstance(message, onnx.ModelProto):
                onnx.load_external_data_for_model(message, place)
            return array(message) if outside(message) else plain[1](message)

        def to_array(tensor: Any, base_dir: str = "") -> Any:
            return array(tensor).numpy() if outside(tensor) else plain[2](tensor, base_dir)

        def outside(message: Any) -> bool:
            return isinstance(message, onnx.TensorProto) and message.data_location == onnx.TensorProto.EXTERNAL

        def array(tensor: Any) -> Any:
            told = {entry.key: entry.value for entry in tensor.external_data}
            return ir.ExternalTensor(
                told["location"], int(told["offset"]), int(told["length"]), ir.DataType(tensor.data_type), name=tensor.name,
                shape=ir.Shape(tensor.dims), base_dir=place,
            )  # fmt: skip

        ir.to_proto, ir.from_proto, onnx.numpy_helper.to_array = to_proto, from_proto, to_array  # type: ignore[assignment]
        try:
            yield
        finally:
            ir.to_proto, ir.from_proto, onnx.numpy_helper.to_array = plain


def create(source: str, out_dir: str, precision: str, scratch: str, options: list[str]) -> None:
    """Runs the builder."""
    from onnxruntime_genai.models import builder

    checked = builder.parse_extra_options(None, source, out_dir, precision, "cpu", scratch, options)
    tell_layers(checked["hf_details"]["hf_config"])
    with streaming(out_dir):
        builder.create_model(None, source, out_dir, precision, "cpu", scratch, **checked)


def bare(folder: str, scratch: str) -> str:
    """The folder by links, without anything that could be executed."""
    source = os.path.join(scratch, "source")
    os.mkdir(source)
    for name in os.listdir(folder):
        if name.endswith(TAKEN):
            os.symlink(os.path.abspath(os.path.join(folder, name)), os.path.join(source, name))
    return source


def tell_layers(config: Any) -> None:
    """Says as the builder reads it which layers slide, and how Gemma 3 rotates in full layers and in those that slide."""
    if config.model_type in ALL_SLIDE and config.sliding_window:
        config.layer_types = ["sliding_attention"] * config.num_hidden_layers
    both = getattr(config, "rope_parameters", None) or {}
    if config.model_type == "gemma3_text" and "full_attention" in both:
        config.rope_local_base_freq = both["sliding_attention"]["rope_theta"]
        config.rope_parameters = both["full_attention"]


def restore(folder: str, out_dir: str) -> None:
    """The folder's own tokenizer: transformers 5 writes another one, which puts a space in front where the folder's does not."""
    for name in TOKENIZER:
        if os.path.isfile(os.path.join(folder, name)) and os.path.exists(os.path.join(out_dir, name)):
            shutil.copyfile(os.path.join(folder, name), os.path.join(out_dir, name))
