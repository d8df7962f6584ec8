"""Whatever becomes of a file's bytes: it is read, or refused as damaged, and nothing else."""

import contextlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strop_child.refusal import ModelError

from .inspected import folder, gguf, read
from .test_inspector_gguf import METADATA, TENSORS
from .test_inspector_graphs import KWS, SOUND, TFLITE


def sound(kind: str) -> bytes:
    if kind == "safetensors":
        with tempfile.TemporaryDirectory() as place:
            return (folder(Path(place)) / "model.safetensors").read_bytes()
    if kind == "gguf":
        return gguf(METADATA, TENSORS, 6720 + 36864 + 73728 + 1024)
    return {"onnx": KWS.read_bytes, "tflite": TFLITE.read_bytes, "xml": SOUND.encode}[kind]()


def laid(place: Path, kind: str, content: bytes) -> Path:
    """A model of that kind with this content."""
    if kind == "safetensors":
        (folder(place) / "model.safetensors").write_bytes(content)
        return place
    if kind == "xml":
        (place / "m.bin").write_bytes(bytes(864))
    (place / f"m.{kind}").write_bytes(content)
    return place / f"m.{kind}"


KINDS = {kind: sound(kind) for kind in ("safetensors", "gguf", "onnx", "tflite", "xml")}
HEADER = {"onnx": 3000, "gguf": 1200, "safetensors": 2500}
"""Bytes at the front that tell the most; half of the flips go there."""


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150)
@given(data=st.data())
def test_flipped_and_missing_bytes_are_damage_at_most(kind, data):
    content = bytearray(KINDS[kind])
    near = st.integers(0, min(HEADER.get(kind, len(content)), len(content)) - 1)
    for place in data.draw(st.lists(st.one_of(near, st.integers(0, len(content) - 1)), max_size=8)):
        content[place] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content)))]
    with tempfile.TemporaryDirectory() as place, contextlib.suppress(ModelError):
        read(laid(Path(place), kind, bytes(content)))
