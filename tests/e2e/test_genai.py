"""A language model of made-up weights through ONNX Runtime GenAI: figures that agree, what was built, a bundle that writes."""

import json
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from conftest import candidates, report, run_strop
from strop.bundle.pack import LANGUAGE, TOKENIZER
from strop.plan.discover import backends
from strop.worker.interpreter import work_of

STORIES = Path(__file__).parent.parent / "data" / "stories260k"
ASKED = ("--data", STORIES / "eval.txt", "--threads", 1, "--eval-tokens", 2048, "--prompt-tokens", 32, "--output-tokens", 8)
VOCABULARY, HIDDEN, FEED, HEAD, HEADS, PAIRS, LAYERS = 512, 64, 128, 16, 4, 2, 2
NAME = "onnxruntime-genai"


def weights() -> dict[str, np.ndarray]:
    """A Llama's, so large that the answers differ from token to token."""
    rng = np.random.default_rng(0)

    def matrix(rows: int, columns: int) -> np.ndarray:
        return (rng.standard_normal((rows, columns)) / np.sqrt(columns)).astype(np.float32)

    made = {"model.embed_tokens.weight": 8 * matrix(VOCABULARY, HIDDEN), "lm_head.weight": 2 * matrix(VOCABULARY, HIDDEN)}
    made["model.norm.weight"] = np.ones(HIDDEN, np.float32)
    for layer in (f"model.layers.{i}" for i in range(LAYERS)):
        for name in ("input_layernorm", "post_attention_layernorm"):
            made[f"{layer}.{name}.weight"] = np.ones(HIDDEN, np.float32)
        for name, heads in (("q", HEADS), ("k", PAIRS), ("v", PAIRS), ("o", HEADS)):
            made[f"{layer}.self_attn.{name}_proj.weight"] = matrix(heads * HEAD, HIDDEN)
        for name, rows, columns in (("gate", FEED, HIDDEN), ("up", FEED, HIDDEN), ("down", HIDDEN, FEED)):
            made[f"{layer}.mlp.{name}_proj.weight"] = matrix(rows, columns)
    return made


def write_safetensors(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """The length of a header, the header, the values."""
    at, header = 0, {}
    for name, values in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [at, at + values.nbytes]}
        at += values.nbytes
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(v.tobytes() for v in tensors.values()))


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    """Its folder, with the tokenizer of the model that is there."""
    folder = tmp_path / "llama"
    shutil.copytree(STORIES, folder, ignore=shutil.ignore_patterns("eval.txt", "*.safetensors"))
    config = json.loads((STORIES / "config.json").read_text())
    config |= {
        "vocab_size": VOCABULARY, "hidden_size": HIDDEN, "intermediate_size": FEED, "head_dim": HEAD,
        "tie_word_embeddings": False, "num_attention_heads": HEADS, "num_key_value_heads": PAIRS,
        "num_hidden_layers": LAYERS,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    write_safetensors(folder / "model.safetensors", weights())
    return folder


def assert_writes(bundle: Path) -> None:
    """The bundle's own script, in an environment that holds what its requirements name, and nothing of Strop."""
    written = subprocess.run(
        [work_of(backends()[NAME]).python, bundle / "infer.py", "--prompt", "Once upon a time", "--tokens", "16"],
        capture_output=True, text=True, check=True, cwd=bundle.parent,
    )  # fmt: skip
    assert len(written.stdout.strip()) > 3


@pytest.mark.slow
def test_a_folder_through_genai(tmp_path: Path, llama: Path, own_environments: Callable[..., None]) -> None:
    own_environments("transformers", NAME)
    chosen = ("genai-fp32", "genai-int4", "genai-int4-block-128", "genai-int4-k-quant-mixed")
    recipes = [x for name in chosen for x in ("--recipe", name)]
    done = run_strop(tmp_path, "optimize", llama, *ASKED, *recipes, timeout=580)
    assert done.code in (0, 10), done.err
    found = report(tmp_path)
    of = candidates(found)
    same = of["genai-fp32"]["measurement"]
    assert same["accuracy"] == pytest.approx(of["transformers-fp32"]["measurement"]["accuracy"], rel=1e-3)
    assert same["quality"]["kl"]["value"] < 1e-5
    assert of["genai-int4"]["measurement"]["quality"]["kl"]["value"] > 1e-4
    told = {name: of[name]["claims"] for name in chosen}
    assert told["genai-fp32"] == {"matrices in 32 bits": 5 * LAYERS + 1, "embedding's bits": 32}
    assert told["genai-int4"]["matrices in 4 bits"] == 5 * LAYERS + 1
    assert [told[name]["block size"] for name in chosen[1:]] == [32, 128, 32]
    assert told["genai-int4-k-quant-mixed"]["matrices in 8 bits"] >= 1
    bundle = tmp_path / "strop-out" / "latest" / "bundle"
    assert run_strop(tmp_path, "bundle", "verify", bundle).code == 0
    if found["chosen"]["backend"] == NAME:
        assert_writes(bundle)


@pytest.mark.slow
def test_what_a_bundle_holds_is_enough_to_write(tmp_path: Path, llama: Path, own_environments: Callable[..., None]) -> None:
    """Put together by hand, since which candidate is chosen depends on the machine."""
    own_environments("transformers", NAME)
    done = run_strop(tmp_path, "build", llama, *ASKED[:4], "--recipe", "genai-int4", "--out", "bundle/model")
    assert done.code == 0, done.err
    bundle = tmp_path / "bundle"
    for source, name in ((LANGUAGE, "infer.py"), (backends()[NAME].runner, "runner.py"), (llama / TOKENIZER, TOKENIZER)):
        shutil.copyfile(source, bundle / name)
    assert (bundle / "model" / TOKENIZER).read_bytes() == (llama / TOKENIZER).read_bytes(), (
        "not the one that transformers 5 makes"
    )
    manifest = {
        "model": "model/genai_config.json", "settings": {"threads": 1, "context": 64},
        "language": {"context": 64, "begin": 1, "ends": [2]},
    }  # fmt: skip
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    assert_writes(bundle)


@pytest.mark.slow
def test_a_head_size_that_it_cannot_compute_is_refused_by_name(tmp_path: Path, own_environments: Callable[..., None]) -> None:
    own_environments("transformers", NAME)
    folder = tmp_path / "stories"
    shutil.copytree(STORIES, folder, ignore=shutil.ignore_patterns("eval.txt"))
    done = run_strop(tmp_path, "optimize", folder, *ASKED, "--recipe", "genai-int4")
    assert done.code == 5, done.err
    assert "recipe 'genai-int4' is not offered: the model's head size is 8" in done.err
