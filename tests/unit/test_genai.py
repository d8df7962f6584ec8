"""ONNX Runtime GenAI: what is offered, and what is read back of a graph that the builder made."""

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from strop.backends.onnxruntime_genai import matrices, spec, steps
from strop.core.model import Model

from .makers import model, target
from .test_language import language_task

INT4 = ("int4", 32, "default", 4)


def llm(**traits: int) -> Model:
    return model("hf").model_copy(update={"family": "llm", "reader": "transformers", "traits": traits})


def test_precisions_are_offered_from_safe_to_bold() -> None:
    recipes = [o.recipe for o in spec.offer(llm(head=64), target(), language_task()) if o.recipe is not None]
    assert [r.name for r in recipes] == list(spec.RECIPES)
    assert [r.safety for r in recipes] == sorted(r.safety for r in recipes)
    assert [r.precision for r in recipes] == ["fp32", "int8", *["int4"] * 5]
    assert all(r.settings["context"] == 256 and r.settings["threads"] == target().threads for r in recipes)
    assert {(s.consumes, s.produces) for r in recipes for s in r.steps} == {("hf", "genai")}


@pytest.mark.parametrize(("head", "offered"), [(8, False), (24, False), (16, True), (80, True), (0, True)])
def test_a_head_that_attention_cannot_compute_is_named_before_anything_is_built(head: int, offered: bool) -> None:
    found = spec.offer(llm(head=head), target(), language_task())
    assert [o.name for o in found] == list(spec.RECIPES)
    assert {o.offered for o in found} == {offered}
    assert offered or all(f"head size is {head}," in o.why for o in found)


def test_threads_spin_where_they_are_told_to() -> None:
    own = {"threads": 4, "context": 64, "spinning": False}
    assert not spec.spins(own)
    assert spec.variants({**own, "threads": 1}, target()) == {}
    (spinning,) = spec.variants(own, target()).values()
    assert spinning == {**own, "spinning": True}
    assert spec.spins(spinning)


def quantized(bits: int, block: int = 32, level: int = 4, zero_points: bool = False) -> onnx.NodeProto:
    inputs = ["x", "weights", "scales", *(["zero points"] if zero_points else [])]
    return helper.make_node(
        "MatMulNBits", inputs, ["y"], domain="com.microsoft", bits=bits, block_size=block, accuracy_level=level
    )


def read(folder: Path, *nodes: onnx.NodeProto, kind: int = TensorProto.FLOAT) -> matrices.Matrices:
    """What is read of a graph with these nodes and a weight `w`."""
    weight = helper.make_tensor("w", kind, [1, 1], bytes(4 if kind == TensorProto.FLOAT else 2), raw=True)
    onnx.save(helper.make_model(helper.make_graph(list(nodes), "g", [], [], [weight])), folder / "m.onnx")
    return matrices.read(str(folder / "m.onnx"))


def test_bits_and_blocks_are_read_back(tmp_path: Path) -> None:
    table = helper.make_node(
        "GatherBlockQuantized", ["w", "input_ids", "s"], ["e"], domain="com.microsoft", bits=8, block_size=32
    )
    other = helper.make_node("Gather", ["shape", "i"], ["g"])
    plain, of_activations = (helper.make_node("MatMul", ["x", name], ["y"]) for name in ("w", "attention"))
    found = read(tmp_path, table, other, plain, of_activations, quantized(4), quantized(4), quantized(8))
    assert matrices.claims(found) == {
        "matrices in 4 bits": 2, "matrices in 8 bits": 1, "matrices in 32 bits": 1, "block size": 32, "accuracy level": 4,
        "embedding's bits": 8,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("nodes", "asked", "said"),
    [
        ([quantized(4)], INT4, ""),
        ([quantized(4), quantized(8)], INT4, "int4 default has matrices in 4 bits, there are 4, 8"),
        ([quantized(4), quantized(8)], ("int4", 32, "rtn_last", 4), ""),
        ([quantized(4)], ("int4", 32, "rtn_last", 4), "int4 rtn_last has matrices in 4, 8 bits, there are 4"),
        ([quantized(4)], ("int4", 128, "default", 4), "blocks of 128, there are blocks of 32"),
        ([quantized(4, level=0)], INT4, "accuracy level 4, there is 0"),
        ([quantized(4)], ("int4", 32, "k_quant", 4), "k_quant has zero points, 0 matrices have them"),
        ([quantized(4, zero_points=True)], ("int4", 32, "k_quant", 4), ""),
        ([quantized(8)], ("int8", 32, "default", 4), ""),
        ([], ("int8", 32, "default", 4), "int8 default has matrices in 8 bits, there are none"),
        ([helper.make_node("MatMul", ["x", "w"], ["y"])], ("fp32", 0, "", 0), ""),
        ([quantized(4)], ("fp32", 0, "", 0), "fp32 has matrices in none bits, there are 4"),
    ],
)
def test_what_is_not_as_asked_is_named(
    tmp_path: Path, nodes: list[onnx.NodeProto], asked: tuple[str, int, str, int], said: str
) -> None:
    assert matrices.differs(read(tmp_path, *nodes), *asked) == said


def test_half_precision_is_not_taken_for_fp32(tmp_path: Path) -> None:
    found = read(tmp_path, helper.make_node("MatMul", ["x", "w"], ["y"]), kind=TensorProto.FLOAT16)
    assert matrices.differs(found, "fp32", 0, "", 0) == "fp32 has matrices in 32 bits, there are 16"


def test_nothing_that_could_be_executed_reaches_the_builder(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.model", "pytorch_model.bin", "modeling.py", "model.gguf"):
        (tmp_path / "folder" / name).write_bytes(b"")
    source = Path(steps.bare(str(tmp_path / "folder"), str(tmp_path)))
    assert sorted(p.name for p in source.iterdir()) == ["config.json", "model.safetensors", "tokenizer.model"]
