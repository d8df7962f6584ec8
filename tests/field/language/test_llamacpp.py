"""llama.cpp's own reason for a refusal, and importances of experts, in llama.cpp itself."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import strop
from strop.core.errors import ModelError
from strop.plan.discover import backends
from strop.run.host import HERE
from strop.run.intake import read_model
from strop.store.store import Store
from strop.worker.call import Limits
from strop.worker.interpreter import work_of
from unit.inspected import gguf, string, u32


def llama(path: Path, **more: tuple[int, bytes]) -> Path:
    told = {"general.architecture": string("llama"), **more}
    path.write_bytes(gguf(told, [("token_embd.weight", [32, 4], 0, 0)], 512))
    return path


def test_its_own_reason_is_told(tmp_path: Path, own_environments: Callable[..., None]) -> None:
    own_environments("llamacpp")

    def refused(path: Path) -> ModelError:
        with pytest.raises(ModelError) as caught:
            read_model(backends(), path, tmp_path / "log.txt", Limits(120.0), Store(tmp_path / "store"))
        assert "failed to load model" not in caught.value.message
        return caught.value

    unknown = tmp_path / "unknown.gguf"
    unknown.write_bytes(gguf({"general.architecture": string("notyet")}, [("token_embd.weight", [32, 4], 0, 0)], 512))
    error = refused(unknown)
    assert "unknown model architecture: 'notyet'" in error.message and str(unknown) in error.message
    assert "a newer llama.cpp may know it" in error.hint
    assert "key not found in model: tokenizer.ggml.model" in refused(llama(tmp_path / "bare.gguf")).message
    first, second = (tmp_path / f"m-0000{i}-of-00002.gguf" for i in (1, 2))
    llama(first), second.write_bytes(gguf({"split.no": u32(1)}, [("b.weight", [32, 4], 0, 0)], 512))
    error = refused(second)
    assert "a further part of a model in several files" in error.message
    assert first.name in error.hint


MIXTURE = """
import sys, torch, transformers, shutil
out, stories = sys.argv[1:]
torch.manual_seed(0)
config = transformers.MixtralConfig(vocab_size=2048, hidden_size=256, intermediate_size=256, num_hidden_layers=2,
    num_attention_heads=4, num_key_value_heads=2, num_local_experts=4, num_experts_per_tok=2, max_position_embeddings=512,
    sliding_window=None, bos_token_id=1, eos_token_id=2, dtype="float32")
transformers.MixtralForCausalLM(config).save_pretrained(out)
for name in ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json"):
    shutil.copy(f"{stories}/{name}", out)
"""


@pytest.mark.slow
def test_experts_have_importances(tmp_path: Path, own_environments: Callable[..., None]) -> None:
    own_environments("llamacpp", "export")
    found, stories = backends(), Path(strop.__file__).parent / "demo" / "stories"
    export = work_of(found["transformers"])
    subprocess.run([export.python, "-c", MIXTURE, str(tmp_path / "hf"), str(stories)], check=True, capture_output=True)
    with HERE.open(export, tmp_path / "log.txt", Limits(120.0)) as child:
        child.call("build", step={"name": "to_gguf", "params": {"kind": "f32"}}, artifact=str(tmp_path / "hf" / "config.json"),
                   out_dir=str(tmp_path))  # fmt: skip
    made = {}
    with HERE.open(work_of(found["llamacpp"]), tmp_path / "log.txt", Limits(120.0)) as child:
        whole = str(tmp_path / "model.gguf")
        tokenized = child.call("prepare_tokens", source=str(stories / "calibration.txt"), tokenizer=whole, window=256,
                               wanted=2048, vocabulary=2048, out=str(tmp_path), more=1, spare=0)  # fmt: skip
        data = {"inputs": {"tokens": str(tmp_path / "tokens.npy")}, "count": tokenized["count"]}
        (tmp_path / "im").mkdir()
        told = child.call(
            "build", step={"name": "importance", "params": {}}, artifact=whole, out_dir=str(tmp_path / "im"), data=data
        )
        for kind, matrix in (("Q4_0", False), ("Q4_0", True), ("IQ2_XS", True)):
            place = tmp_path / f"{kind}-{matrix}"
            place.mkdir()
            step = {"name": "quantize", "params": {"type": kind, "matrix": matrix}}
            made[kind, matrix] = child.call("build", step=step, artifact=str(tmp_path / "im" / told["file"]), out_dir=str(place))
    assert made["Q4_0", False]["content"] != made["Q4_0", True]["content"]
    assert made["Q4_0", True]["claims"]["tensors weighed by importances"] >= 2 * 3
    assert made["IQ2_XS", True]["file"]  # it refuses a matrix that leaves an expert out
    shutil.rmtree(tmp_path / "hf")
