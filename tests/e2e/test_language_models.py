"""A real language model through llama.cpp and MLX: figures that agree, fallbacks that are told, a bundle that writes."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import strop
from conftest import report, run_strop

STORIES = Path(__file__).parent.parent / "data" / "stories260k"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The model without the text that lies beside it."""
    copy = tmp_path / "stories"
    shutil.copytree(STORIES, copy, ignore=shutil.ignore_patterns("eval.txt"))
    return copy


def candidates(found: dict) -> dict[str, dict]:
    return {c["name"]: c for c in found["candidates"]}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not there, which fetches llama.cpp's libraries")
def test_a_folder_through_llamacpp(tmp_path: Path, folder: Path, own_environments: Callable[..., None]) -> None:
    own_environments("transformers", "llamacpp")
    done = run_strop(
        tmp_path, "optimize", folder, "--data", STORIES / "eval.txt", "--threads", 1, "--eval-tokens", 2048,
        "--prompt-tokens", 32, "--output-tokens", 8, "--recipe", "gguf-f32", "--recipe", "gguf-q8-0",
        "--recipe", "gguf-q4-k-m", timeout=580,
    )  # fmt: skip
    assert done.code in (0, 10), done.err
    found = report(tmp_path)
    of = candidates(found)
    base = of["transformers-fp32"]["measurement"]["accuracy"]
    same = of["gguf-f32"]["measurement"]
    assert same["accuracy"] == pytest.approx(base, rel=1e-3)  # the same tokens, the same answers
    assert same["quality"]["kl"]["value"] < 1e-5
    assert same["quality"]["same_top"]["value"] > 0.999
    assert of["gguf-q8-0"]["measurement"]["quality"]["kl"]["value"] > same["quality"]["kl"]["value"]
    assert same["pace"]["decode tok/s"] > 0
    text = (tmp_path / "strop-out" / "latest" / "report.md").read_text()
    told_of_language(found, text)
    told_of_baselines(found, text)
    told = of["gguf-q4-k-m"]["claims"]
    assert told.get("tensors in F16", 0) >= 5, "the 172-wide layers fit no block and stay in F16, read back from the file"
    bundle = tmp_path / "strop-out" / "latest" / "bundle"
    assert run_strop(tmp_path, "bundle", "verify", bundle).code == 0
    tails = [g for g in of["gguf-q8-0"]["gates"] if g["gate"].startswith("tail_ratio")]
    assert all("too few calls" not in g["reason"] for g in tails)
    if found["chosen"]["backend"] == "llamacpp":
        written = subprocess.run(
            [sys.executable, bundle / "infer.py", "--prompt", "Once upon a time", "--tokens", "16"],
            capture_output=True, text=True, check=True, cwd=tmp_path,
        )  # fmt: skip
        assert len(written.stdout.split()) > 3


def told_of_baselines(found: dict, text: str) -> None:
    """PyTorch's answers are what all others are compared with; its speed is not what they are compared with."""
    base, of = found["baseline"], candidates(found)
    assert base["quality_reference"] == found["language"]["reference"] == "transformers-fp32"
    if not base["untimed_settings"]:
        assert base["name"] == "gguf-f32", "the unquantized model in its fastest runtime"
        assert base["as_is"] == "transformers-fp32"
        assert of["gguf-f32"]["measurement"]["speedup"]["value"] == 1
        assert of["transformers-fp32"]["measurement"]["speedup"]["value"] < 1
        assert of["transformers-fp32"]["measurement"]["quality"]["kl"]["value"] == 0
        assert "In PyTorch (`transformers-fp32`) it has" in text


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not there, which fetches llama.cpp's libraries")
def test_the_choice_may_be_the_unquantized_model_in_its_fastest_runtime(
    tmp_path: Path, folder: Path, own_environments: Callable[..., None]
) -> None:
    """Where nothing quantized meets the musts its bundle is delivered, though no recipe of it was asked for."""
    own_environments("transformers", "llamacpp")
    done = run_strop(
        tmp_path, "optimize", folder, "--data", STORIES / "eval.txt", "--threads", 1, *SHORT, "--backend", "llamacpp",
        "--recipe", "gguf-q2-k", "--must", "kl<=0.0001", "--out", "out", timeout=580,
    )  # fmt: skip
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "out" / "report.json").read_text())
    if found["baseline"]["untimed_settings"]:
        return  # the machine was too busy to tell which runtime is faster
    assert found["chosen"]["name"] == found["baseline"]["name"] == "gguf-f32"
    assert found["chosen"]["against_as_is"]["value"] > 1
    assert "use gguf-f32, the given model unquantized" in done.out.replace("\n", " ")
    bundle = tmp_path / "out" / "bundle"
    assert run_strop(tmp_path, "bundle", "verify", bundle).code == 0
    written = run_strop(tmp_path, "bundle", "infer", bundle, "--prompt", "Once upon a time", "--tokens", "16")
    assert len(written.out.split()) > 3


def told_of_language(found: dict, text: str) -> None:
    """The report's own section: errors, tails, what ran, and texts that begin alike and depart where precision was lost."""
    told = found["language"]
    rows = {row["candidate"]: row for row in told["candidates"]}
    exact, rough = rows["gguf-f32"], rows["gguf-q4-k-m"]
    assert exact["perplexity"]["low"] < exact["perplexity"]["value"] < exact["perplexity"]["high"]
    assert exact["perplexity_se"] > 0
    assert exact["perplexity_ratio"]["value"] == pytest.approx(1, abs=1e-3)
    assert rough["kl_p99"] > rough["kl"]["value"] > exact["kl"]["value"]
    assert (exact["ran"]["cache"], rough["ran"]["cache"]) == ("f32", "f16")
    assert exact["ran"]["variant"]
    assert {"transformers-fp32", "gguf-q4-k-m"} <= set(told["frontiers"]["size/kl"])
    assert len(told["samples"]) == 3
    first = told["samples"][0]["passages"][0]
    assert first["candidates"][0] == "transformers-fp32"
    assert "gguf-f32" in first["candidates"], "fp32 in both frameworks writes the same text"
    assert first["tokens"] == 48
    assert any(p["departs"] for sample in told["samples"] for p in sample["passages"])
    assert "## What each candidate writes" in text
    for flag in ("--eval-tokens 2048", "--prompt-tokens 32", "--output-tokens 8"):
        assert flag in found["reproduce"]


SHORT = ("--eval-tokens", 1024, "--prompt-tokens", 32, "--output-tokens", 8)


@pytest.mark.slow
def test_a_folder_through_mlx(tmp_path: Path, folder: Path, own_environments: Callable[..., None]) -> None:
    """On Linux: the same answers in fp32, what a few bits cost, and no word of its speed."""
    own_environments("transformers", "mlx")
    recipes = ("mlx-fp32", "mlx-8bit-g64", "mlx-4bit-g64", "mlx-4bit-g128")
    asked = [part for name in recipes for part in ("--recipe", name)]
    done = run_strop(tmp_path, "optimize", folder, "--data", STORIES / "eval.txt", "--threads", 1, *SHORT, *asked, timeout=580)
    assert done.code in (0, 10), done.err
    found = report(tmp_path)
    of = candidates(found)
    same, eight, four = (of[name]["measurement"] for name in recipes[:3])
    assert same["accuracy"] == pytest.approx(of["transformers-fp32"]["measurement"]["accuracy"], rel=1e-3)
    assert same["quality"]["kl"]["value"] < 1e-5
    assert same["quality"]["kl"]["value"] < eight["quality"]["kl"]["value"] < four["quality"]["kl"]["value"]
    assert of["mlx-4bit-g64"]["claims"] == {"layers in 4 bits": 31, "layers left in fp16": 5, "group size": 64}
    assert any("172, no multiple of 64" in note for note in of["mlx-4bit-g64"]["notes"])
    assert of["mlx-4bit-g128"]["status"] == "failed"
    assert "group size 128 divides the width of no layer (64, 172)" in of["mlx-4bit-g128"]["reason"]
    assert ".weight has" in of["mlx-4bit-g128"]["reason"]
    if sys.platform == "linux":
        assert not four["representative"]
        assert four["pace"]["decode tok/s"] > 0
        assert four["speedup"] is None
        assert found["chosen"]["backend"] == "transformers"
        assert "not representative" in done.out


@pytest.mark.slow
def test_mlx_for_a_mac_that_is_elsewhere(tmp_path: Path, folder: Path, own_environments: Callable[..., None]) -> None:
    """The bundle that it makes writes text with MLX's environment alone, here on the CPU."""
    own_environments("transformers", "mlx")
    done = run_strop(
        tmp_path, "optimize", folder, "--data", STORIES / "eval.txt", "--target", "apple-m1", *SHORT, "--recipe", "mlx-8bit-g64",
        timeout=580,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert report(tmp_path)["chosen"]["name"] == "mlx-8bit-g64"
    bundle = tmp_path / "strop-out" / "latest" / "bundle"
    assert "mlx[cpu]==" in (bundle / "requirements.txt").read_text()
    python = next(p.python for p in strop.list_backends() if p.name == "mlx")
    asked = ("--prompt", "Once upon a time", "--tokens", "16")
    written = subprocess.run(
        [python, bundle / "infer.py", *asked], capture_output=True, text=True, check=True, cwd=tmp_path
    )  # fmt: skip
    assert len(written.stdout.split()) > 3
    assert run_strop(tmp_path, "bundle", "infer", bundle, *asked).out == written.stdout
    refused = run_strop(tmp_path, "bundle", "infer", bundle, "--text", "Once")
    assert refused.code == 2
    assert "--prompt TEXT" in refused.err.replace("\n", " ")
    refused = run_strop(tmp_path, "bundle", "infer", bundle, "--prompt", "a " * 600)
    assert refused.code == 9, refused.err
    assert "tokens, the context 512" in refused.err.replace("\n", " ")


@pytest.mark.slow
def test_mlx_is_left_out_on_linux_unless_it_is_asked_for(
    tmp_path: Path, folder: Path, own_environments: Callable[..., None]
) -> None:
    own_environments("transformers", "mlx")
    for more, offered in (((), sys.platform == "darwin"), (("--backend", "mlx"), True)):
        done = run_strop(tmp_path, "optimize", folder, "--data", STORIES / "eval.txt", *SHORT, "--dry-run", "--json", *more)
        found = {o["name"]: o for o in json.loads(done.out)}
        assert (found["mlx-4bit-g64"]["recipe"] is not None) == offered


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--data", "gone.txt"], 4, "gone.txt: no such file"),
        ([], 4, "language models need a text"),
        (["--data", str(STORIES / "eval.txt"), "--context", "100000"], 4, "the model was made for 512 tokens"),
        (["--data", str(STORIES / "eval.txt"), "--prompt-tokens", "600"], 4, "do not fit 512"),
        (["--data", str(STORIES / "model.safetensors")], 4, "no text in UTF-8"),
    ],
)
@pytest.mark.slow
def test_what_cannot_be_asked(
    tmp_path: Path, folder: Path, own_environments: Callable[..., None], arguments: list[str], code: int, said: str
) -> None:
    own_environments("transformers")
    done = run_strop(tmp_path, "optimize", folder, *arguments)
    assert done.code == code, done.err
    assert said in done.err


@pytest.mark.slow
def test_what_does_not_fit_with_its_cache_is_dropped_before_it_is_built(
    tmp_path: Path, folder: Path, own_environments: Callable[..., None]
) -> None:
    """260,032 parameters: 1.04 MB in fp32, 0.28 MB in int8; a cache of 512 tokens is 0.33 MB in fp16, one of 64 is 0.04 MB."""
    own_environments("transformers", "llamacpp")
    (tmp_path / "tiny.toml").write_text('name = "tiny"\n[cpu]\narchitecture = "aarch64"\ncores = 1\n[memory]\nsize = "800 kB"\n')
    asked = ("optimize", folder, "--data", STORIES / "eval.txt", "--target", "tiny.toml", "--dry-run", "--json")
    short = ("--prompt-tokens", 32, "--output-tokens", 8)
    left = []
    for context in (64, 512):
        done = run_strop(tmp_path, *asked, *short, "--context", context)
        assert done.code == 0, done.err
        offers = {o["name"]: o for o in json.loads(done.out)}
        left.append({name for name, offer in offers.items() if offer["recipe"] is not None})
        assert "needs" in offers["gguf-f32"]["reason"]
    assert "gguf-f16" in left[0]
    assert "gguf-f16" not in left[1]
    assert "gguf-q4-0" in left[1]


def test_without_its_environment_the_way_is_named(tmp_path: Path, folder: Path) -> None:
    done = run_strop(tmp_path, "optimize", folder, "--data", STORIES / "eval.txt")
    assert done.code == 3, done.err
    assert "`strop backends install transformers`" in done.err
    assert "Traceback" not in done.err


def test_inspect_knows_its_odd_width(tmp_path: Path, folder: Path) -> None:
    found = json.loads(run_strop(tmp_path, "inspect", folder, "--target", "raspberry-pi-5", "--json").out)
    said = [x["text"] for r in found["advice"]["ranking"] if r["framework"] == "llamacpp" for x in r["reasons"]]
    assert any("172 are no multiple of 32" in text for text in said)
