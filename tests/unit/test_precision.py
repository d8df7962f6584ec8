"""Bytes at each precision, what can be quantized, what fits: by hand from the numbers of layers."""

import pytest

from strop.core.inspection import Language, Layer
from strop.core.recipe import Held
from strop.core.target import Accelerator, Target
from strop.plan.precision import fits, footprints, language_footprint, odd_widths, quantizable

from .makers import inspection

LINEAR = Layer(role="linear", operator="MatMul", example="w", shape=(1000, 800), count=1, parameters=800_000, inner=1000)
CONV = Layer(role="conv", operator="Conv", example="c1", shape=(10, 10, 3, 3), count=1, parameters=900, inner=None)
TABLE = Layer(role="embedding", operator="Gather", example="e", shape=(100, 100), count=1, parameters=10_000)
CARD = Accelerator(kind="gpu", name="card", memory_bytes=1_500_000)
NORM = Layer(role="norm", operator="LayerNormalization", example="n", shape=(100,), count=1, parameters=100)


def test_bytes_at_each_precision() -> None:
    """fp32 4 bytes, fp16 2; int8 8.5 bits where it can be, int4 4.5, else int8, else fp16."""
    model = inspection(layers=(LINEAR, CONV, TABLE, NORM), parameters=811_000, activation_bytes=5_000)
    sizes = {f.precision: f for f in footprints(model)}
    assert sizes["fp32"].weights == 4 * 811_000
    assert sizes["fp16"].weights == 2 * 811_000
    assert sizes["int8"].weights == round(810_900 * 8.5 / 8 + 100 * 2)
    assert sizes["int4"].weights == round(800_000 * 4.5 / 8 + 10_900 * 8.5 / 8 + 100 * 2)
    assert all(f.memory == f.weights + 5_000 for f in sizes.values())


def test_a_language_model_keeps_its_cache_too() -> None:
    language = Language(layers=2, hidden=64, context=1000, kv_values_per_token=256)
    model = inspection(language=language, family="llm")
    whole, short = footprints(model), footprints(model, context=10)
    assert [a.memory - a.weights for a in whole] == [2 * 256 * 1000] * 4
    long = inspection(language=language.model_copy(update={"context": 131_072}), family="llm")
    assert [a.memory - a.weights for a in footprints(long)] == [2 * 256 * 4096] * 4  # unless somebody asks for more
    assert [a.memory - a.weights for a in short] == [2 * 256 * 10] * 4


HEAD = Layer(role="head", operator="Linear", example="h", shape=(100, 100), count=1, parameters=10_000)
LLM = Language(layers=2, hidden=64, context=1000, kv_values_per_token=256)


@pytest.mark.parametrize(
    ("layers", "held", "weights"),
    [
        ((LINEAR, TABLE, HEAD, NORM), Held(linear=4.5, embedding=4.5, head=6.5, cache=16), 800_000 * 4.5 + 10_000 * 11),
        ((LINEAR, TABLE, NORM), Held(linear=4.5, embedding=4.5, head=6.5, cache=16), 800_000 * 4.5 + 10_000 * 6.5),
        ((LINEAR, TABLE, NORM), Held(linear=9, embedding=0, head=9, cache=16, shared=False), 800_000 * 9 + 10_000 * 9),
    ],
)
def test_a_recipes_own_memory(layers: tuple[Layer, ...], held: Held, weights: float) -> None:
    """A head of its own, one tied to the embedding in a table for both, and one in a table beside it; norms in fp32."""
    parameters = sum(x.parameters for x in layers)
    model = inspection(layers=layers, parameters=parameters, language=LLM, family="llm")
    found = language_footprint(held, "int4", model, context=300)
    assert found.weights == round((weights + 100 * 32) / 8)
    prompt = 512 * 4 * (4 * 64)  # four rows of the hidden size; its feed-forward is not told
    assert found.memory == found.weights + 300 * 256 * 2 + prompt
    more = held.model_copy(update={"own": 1000, "each_token": 10, "logits": True, "rows": 3.0, "grown": 4.0})
    told = model.model_copy(update={"language": LLM.model_copy(update={"vocabulary": 100})})
    text = 4 * 300 * 256 * 2 + 3 * prompt + 512 * 4 * 100
    assert language_footprint(more, "int4", told, context=300).memory == found.weights + 1000 + 10 * 100 + text
    assert language_footprint(more, "int4", told, 300, texts=2).memory == found.weights + 1000 + 10 * 100 + 2 * text
    cut = held.model_copy(update={"parts": 512})
    assert language_footprint(cut, "int4", model, 300, window=2048, texts=2).memory == found.memory + 300 * 256 * 2
    assert language_footprint(held, "int4", model, 300, window=2048).memory == found.memory + 3 * prompt
    twice = language_footprint(held.model_copy(update={"copies": 2.0, "cache": 32}), "int4", model, context=300)
    assert twice.memory == pytest.approx(2 * found.weights + 300 * 256 * 4 + prompt, abs=1)


def test_what_can_be_quantised_how() -> None:
    found = {q.role: q for q in quantizable(inspection(layers=(CONV, LINEAR, TABLE, NORM), operators={"Conv": 1}))}
    assert found["conv"].ways == ("int8 static",)
    assert "int4 weights" in found["linear"].ways
    assert found["norm"].ways == ()
    assert found["conv"].sensitive == "c1: the first layer sees the raw input"
    assert found["linear"].sensitive == "w: the last layer gives the answers"
    assert "every layer" in found["embedding"].sensitive


def test_a_quantised_model_is_quantised_no_further() -> None:
    assert [f.precision for f in footprints(inspection(quantized="int8 (QDQ)"))] == ["as it is"]
    assert all(q.ways == () for q in quantizable(inspection(quantized="int8 (QDQ)")))


@pytest.mark.parametrize(("width", "group", "odd"), [(172, 32, [172]), (256, 64, []), (192, 64, []), (192, 256, [192])])
def test_odd_widths(width: int, group: int, odd: list[int]) -> None:
    assert odd_widths(inspection(width=width), group) == odd


@pytest.mark.parametrize(
    ("target", "verdicts"),
    [
        (Target(memory_bytes=8_000_000_000), ["fits"] * 4),
        (Target(memory_bytes=5_000_000), ["tight", "fits", "fits", "fits"]),
        (Target(memory_bytes=800_000), ["does not fit", "does not fit", "does not fit", "tight"]),
        (Target(memory_bytes=8_000_000_000, package_limit_bytes=1_500_000), ["does not fit", "does not fit", "fits", "fits"]),
        (Target(memory_bytes=8_000_000_000, storage_bytes=600_000), ["does not fit", "does not fit", "does not fit", "fits"]),
        (Target(accelerators=(CARD,)), ["does not fit", "does not fit", "tight", "fits"]),
        (Target(), ["not known"] * 4),
    ],
)  # fmt: skip
def test_fit(target: Target, verdicts: list[str]) -> None:
    """A million parameters in one linear layer: 4, 2, 1.06 and 0.56 MB."""
    found = fits(footprints(inspection()), target)
    assert [f.verdict for f in found] == verdicts
    assert all(f.reason for f in found)
