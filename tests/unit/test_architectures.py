"""What a framework does not compute of a language model is named before anything is built: windows, rotations."""

from types import ModuleType

import pytest

from strop.backends.llamacpp import spec as llamacpp
from strop.backends.mlx import spec as mlx
from strop.backends.onnxruntime_genai import spec as genai
from strop.core.model import Model

from .makers import model, target
from .test_language import language_task

CONTEXT = 256
"""Of the task."""


def llm(architecture: str, window: int = 0) -> Model:
    traits: dict[str, str | int | float | bool | list[str]] = {"head": 64, "architecture": architecture, "window": window}
    return model("hf").model_copy(update={"family": "llm", "reader": "transformers", "traits": traits})


@pytest.mark.parametrize(
    ("spec", "architecture", "window", "offered"),
    [
        (llamacpp, "MistralForCausalLM", CONTEXT - 1, False),
        (llamacpp, "MistralForCausalLM", CONTEXT, True),
        (llamacpp, "MistralForCausalLM", 0, True),
        (llamacpp, "Gemma2ForCausalLM", 64, True),
        (mlx, "Gemma2ForCausalLM", 64, False),
        (mlx, "Gemma2ForCausalLM", 4096, True),
        (mlx, "Gemma3ForCausalLM", 64, True),
        (genai, "MistralForCausalLM", 64, True),
    ],
)
def test_what_slides_is_offered_where_it_is_computed(spec: ModuleType, architecture: str, window: int, offered: bool) -> None:
    found = spec.offer(llm(architecture, window), target(), language_task())
    same = spec.offer(llm("LlamaForCausalLM"), target(), language_task())
    assert {o.name for o in found} == {o.name for o in same}
    if offered:
        assert [o.recipe for o in found] == [o.recipe for o in same]
    else:
        assert all(o.recipe is None for o in found)
        assert all(f"{architecture} without its sliding window of {window} tokens" in o.why for o in found)
        assert all(f"--context {window}" in o.why for o in found)


def test_mlx_offers_nothing_for_a_rotation_of_two_ranges() -> None:
    phi = llm("Phi3ForCausalLM").model_copy(update={"traits": {"architecture": "Phi3ForCausalLM", "rotation": "longrope"}})
    assert all(o.recipe is None and "LongRoPE" in o.why for o in mlx.offer(phi, target(), language_task()))
    assert any(o.recipe is not None for o in llamacpp.offer(phi, target(), language_task()))


def test_an_architecture_that_the_builder_cannot_build_is_named() -> None:
    found = genai.offer(llm("SmolLM3ForCausalLM"), target(), language_task())
    assert [o.recipe for o in found] == [None] * len(genai.RECIPES)
    assert all("SmolLM3's layers without rotation" in o.why for o in found)
