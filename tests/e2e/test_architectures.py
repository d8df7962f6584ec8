"""Language models of every architecture that the frameworks share: unquantized they agree, in 4 bits they differ, or no offer."""

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from conftest import candidates, report, run_strop
from strop.plan.discover import backends
from strop.worker.interpreter import work_of

MAKER = Path(__file__).with_name("language_folders.py")
STORIES = Path(__file__).parent.parent / "data" / "stories260k"
FRAMEWORKS = {
    "llamacpp": ("gguf-f32", "gguf-q4-0"), "openvino": ("openvino-f32", "openvino-int4"),
    "onnxruntime-genai": ("genai-fp32", "genai-int4"), "mlx": ("mlx-fp32", "mlx-4bit-g32"),
}  # fmt: skip
"""Backend → its unquantized recipe and one in 4 bits."""
ELSEWHERE = "intel-core-ultra-7-258v"
"""A device that is not here: recipes are built and judged, nothing is timed."""
ASKED = (
    "--data", STORIES / "eval.txt", "--target", ELSEWHERE, "--eval-tokens", 1024, "--prompt-tokens", 16, "--output-tokens", 4,
    "--threads", 1,
)  # fmt: skip
REFUSED = {
    "smollm3": {"onnxruntime-genai": "fails at SmolLM3's layers without rotation"},
    "mistral-sliding": dict.fromkeys(("llamacpp", "mlx"), "without its sliding window of 64 tokens"),
    "phi3-sliding": dict.fromkeys(("llamacpp", "mlx"), "without its sliding window of 64 tokens"),
    "qwen2-sliding": dict.fromkeys(("llamacpp", "mlx"), "without its sliding window of 64 tokens"),
    "qwen3-sliding": dict.fromkeys(("llamacpp", "mlx"), "without its sliding window of 64 tokens"),
    "phi3-long": {"mlx": "LongRoPE with its factors for long texts only"},
    "gemma2": {"mlx": "without its sliding window of 64 tokens"},
}
"""Architecture → frameworks that cannot compute it, and what is said."""
KINDS = (
    "llama3", "smollm", "smollm3", "mistral", "mistral-sliding", "qwen2", "qwen2-sliding", "qwen3", "qwen3-sliding", "phi3",
    "phi3-sliding", "phi3-long", "gemma", "gemma2", "gemma3",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, own_environments: Callable[..., None]) -> Callable[[str], Path]:
    """Makes the folder of an architecture."""
    own_environments("export", "transformers", *FRAMEWORKS)

    def make(kind: str) -> Path:
        python = work_of(backends()["export"]).python
        subprocess.run([python, MAKER, tmp_path, STORIES, kind], capture_output=True, check=True, timeout=120)
        return tmp_path / kind

    return make


def optimized(folder: Path, recipes: Sequence[str], *more: object) -> dict[str, dict[str, Any]]:
    """Candidates of a run with these recipes, by name."""
    asked = [part for name in recipes for part in ("--recipe", name)]
    done = run_strop(folder.parent, "optimize", folder, *ASKED, *asked, *more, timeout=580)
    assert done.code in (0, 10), done.err
    return candidates(report(folder.parent))


def assert_agree(found: dict[str, dict[str, Any]], exact: str, rough: str) -> None:
    """The unquantized candidate answers as the baseline; in 4 bits something is lost, and not everything."""
    base = found["transformers-fp32"]["measurement"]["accuracy"]
    same, lossy = (found[name]["measurement"] for name in (exact, rough))
    assert same["accuracy"] == pytest.approx(base, rel=5e-3), exact
    assert same["quality"]["kl"]["value"] < 1e-4, exact
    assert same["quality"]["same_top"]["value"] > 0.99, exact
    assert 1e-3 < lossy["quality"]["kl"]["value"] < 2, rough


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_an_architecture_through_all_frameworks(folder: Callable[[str], Path], kind: str) -> None:
    model, refused = folder(kind), REFUSED.get(kind, {})
    able = [pair for name, pair in FRAMEWORKS.items() if name not in refused]
    found = optimized(model, [recipe for pair in able for recipe in pair])
    for exact, rough in able:
        assert_agree(found, exact, rough)
    for name, said in refused.items():
        done = run_strop(model.parent, "optimize", model, *ASKED, "--recipe", FRAMEWORKS[name][0])
        assert done.code == 5, done.err
        assert f"recipe '{FRAMEWORKS[name][0]}' is not offered" in done.err
        assert said in done.err


@pytest.mark.slow
def test_within_its_window_a_model_needs_none(folder: Callable[[str], Path]) -> None:
    """llama.cpp and MLX have no sliding window for Mistral, which shows only behind it."""
    able = [FRAMEWORKS[name] for name in ("llamacpp", "mlx")]
    found = optimized(folder("mistral-sliding"), [recipe for pair in able for recipe in pair], "--context", 64)
    for exact, rough in able:
        assert_agree(found, exact, rough)
