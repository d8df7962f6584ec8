"""What a runtime computes otherwise than the model says is refused by name, for that runtime only.

Seen with a Llama of 3 layers, perplexity of 400 tokens by transformers 4.57, llama.cpp 0.5, MLX-LM and GenAI 0.18: without
scaling 15.62; linear 24.88, GenAI 15.62; YaRN 17.28, GenAI 15.62; GELU 16.18, llama.cpp and MLX 15.62 (SiLU);
LongRoPE beyond its first context 22.54, OpenVINO 15.70.
"""

import pytest

from strop.backends.llamacpp import spec as llamacpp
from strop.backends.mlx import spec as mlx
from strop.backends.onnxruntime_genai import spec as genai
from strop.backends.openvino import spec as openvino
from strop.core.model import Model
from unit.makers import model, target
from unit.test_language import language_task

SPECS = {"llama.cpp": llamacpp, "MLX": mlx, "GenAI": genai, "export": openvino}


def llm(architecture: str, **traits: str | int) -> Model:
    told = {"head": 64, "architecture": architecture, **traits}
    return model("hf").model_copy(update={"family": "llm", "reader": "transformers", "traits": told})


@pytest.mark.parametrize(
    ("given", "refusing"),
    [
        (llm("LlamaForCausalLM", activation="silu"), {}),
        (llm("LlamaForCausalLM", activation="gelu"), {"llama.cpp": "has gelu", "MLX": "has gelu"}),
        (llm("Qwen2ForCausalLM", activation="relu"), {"llama.cpp": "with silu", "MLX": "with silu"}),
        (llm("Gemma2ForCausalLM", activation="gelu_pytorch_tanh"), {}),
        (llm("Gemma2ForCausalLM", activation="silu"), {"llama.cpp": "with gelu_pytorch_tanh", "MLX": "with gelu_pytorch_tanh"}),
        (llm("GPT2LMHeadModel", activation="gelu_new"), {}),
        (llm("LlamaForCausalLM", rotation="llama3"), {}),
        (llm("LlamaForCausalLM", rotation="linear"), {"GenAI": "leaves out the linear rotation"}),
        (llm("LlamaForCausalLM", rotation="yarn"), {"GenAI": "leaves out the yarn rotation"}),
        (llm("Qwen3ForCausalLM", rotation="dynamic"), {"GenAI": "leaves out the dynamic rotation"}),
        (llm("LlamaForCausalLM", rotation="longrope"), {"GenAI": "leaves out the longrope", "MLX": "LongRoPE"}),
        (llm("Phi3ForCausalLM", rotation="longrope", original=4096), {"MLX": "LongRoPE"}),
        (
            llm("Phi3ForCausalLM", rotation="longrope", original=128),
            {"MLX": "LongRoPE", "llama.cpp": "--context 128", "export": "--context 128"},
        ),
    ],
    ids=lambda value: "-".join(map(str, value.traits.values())) if isinstance(value, Model) else "",
)
def test_a_runtime_that_computes_something_else(given: Model, refusing: dict[str, str]) -> None:
    for name, spec in SPECS.items():
        found = spec.offer(given, target(), language_task())
        if name in refusing:
            assert not any(o.offered for o in found)
            assert all(refusing[name] in o.refused and name in o.refused for o in found)
        else:
            assert any(o.offered for o in found)
