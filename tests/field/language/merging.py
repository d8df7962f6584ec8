"""A model with adapters of several forms, merged; run by path with torch: `merging.py OUT LORA CHILD`.

Each merged weight is compared with the sum that the formula of LoRA gives.
"""

import importlib.util
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

OUT = Path(sys.argv[1])
sys.path.insert(0, sys.argv[3])
from strop_child.refusal import ModelError  # noqa: E402

_spec = importlib.util.spec_from_file_location("lora", sys.argv[2])
assert _spec is not None and _spec.loader is not None
lora = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(lora)

torch.manual_seed(0)
Q, UP, EMBED = "model.layers.0.self_attn.q_proj", "model.layers.0.mlp.up_proj", "model.embed_tokens"
BASE = {f"{Q}.weight": torch.randn(8, 8), f"{UP}.weight": torch.randn(12, 8).bfloat16(), f"{EMBED}.weight": torch.randn(20, 8),
        "model.norm.weight": torch.ones(8), "lm_head.weight": torch.randn(20, 8)}  # fmt: skip
A, B = torch.randn(4, 8), torch.randn(8, 4)
UP_A, UP_B, E_A, E_B, HEAD = torch.randn(4, 8), torch.randn(12, 4), torch.randn(4, 20), torch.randn(8, 4), torch.randn(20, 8)
P = "base_model.model."
PLAIN = {f"{P}{Q}.lora_A.weight": A, f"{P}{Q}.lora_B.weight": B}


def folder(name: str, shards: int = 1, prefix: str = "model.") -> Path:
    made = OUT / name
    made.mkdir(parents=True)
    named = {k.replace("model.", prefix, 1): v for k, v in BASE.items()}
    keys = list(named)
    for number in range(shards):
        file = "model.safetensors" if shards == 1 else f"model-0000{number + 1}-of-0000{shards}.safetensors"
        save_file({k: named[k] for k in keys[number::shards]}, made / file)
    (made / "config.json").write_text("{}")
    (made / "tokenizer.json").write_text("base")
    (made / "pytorch_model.bin").write_text("never copied")
    return made


def adapter(name: str, weights: dict, **config: object) -> Path:
    made = OUT / name
    made.mkdir()
    save_file({k: v.contiguous() for k, v in weights.items()}, made / "adapter_model.safetensors")
    told = {"peft_type": "LORA", "r": 4, "lora_alpha": 16, "base_model_name_or_path": "acme/base", **config}
    (made / "adapter_config.json").write_text(json.dumps(told))
    return made


def merged(base: Path, added: Path) -> dict:
    out = OUT / f"{base.name}+{added.name}"
    out.mkdir()
    lora.merge(str(base), str(added), str(out))
    assert sorted(p.name for p in out.iterdir() if p.suffix != ".safetensors") == ["config.json", "tokenizer.json"]
    assert {p.name for p in out.glob("*.safetensors")} == {p.name for p in base.glob("*.safetensors")}
    return {k: v for p in out.glob("*.safetensors") for k, v in load_file(p).items()}


def equal(found: dict, **expected: torch.Tensor) -> None:
    for name, base in BASE.items():
        wanted = expected.get(name.removesuffix(".weight").rpartition(".")[2], base)
        assert found[name].dtype == base.dtype
        assert torch.allclose(found[name].float(), wanted.to(base.dtype).float(), atol=1e-5), name


plain, q = folder("plain"), BASE[f"{Q}.weight"]
equal(merged(plain, adapter("usual", PLAIN)), q_proj=q + 4 * B @ A)
equal(merged(folder("sharded", 3), adapter("sharded-own", PLAIN)), q_proj=q + 4 * B @ A)
equal(merged(plain, adapter("rs", PLAIN, use_rslora=True)), q_proj=q + 8 * B @ A)
equal(merged(plain, adapter("transposed", PLAIN, fan_in_fan_out=True)), q_proj=q + 4 * (B @ A).T)
equal(merged(plain, adapter("pattern", PLAIN, alpha_pattern={"q_proj": 4, "k_proj": 99})), q_proj=q + B @ A)
several = {**PLAIN, f"{P}{UP}.lora_A.weight": UP_A, f"{P}{UP}.lora_B.weight": UP_B, f"{P}{EMBED}.lora_embedding_A": E_A,
           f"{P}{EMBED}.lora_embedding_B": E_B, f"{P}lm_head.modules_to_save.weight": HEAD}  # fmt: skip
equal(merged(plain, adapter("several", several)), q_proj=q + 4 * B @ A, up_proj=BASE[f"{UP}.weight"].float() + 4 * UP_B @ UP_A,
      embed_tokens=BASE[f"{EMBED}.weight"] + 4 * (E_B @ E_A).T, lm_head=HEAD)  # fmt: skip
bare = merged(folder("bare", prefix=""), adapter("bare-own", PLAIN))
assert torch.allclose(bare[f"{Q}.weight".removeprefix("model.")], q + 4 * B @ A, atol=1e-6)
said = []
for name, weights, config in (
    ("dora", PLAIN, {"use_dora": True}), ("ia3", PLAIN, {"peft_type": "IA3"}),
    ("other", {k.replace("q_proj", "z_proj"): v for k, v in PLAIN.items()}, {}),
    ("shape", {f"{P}{Q}.lora_A.weight": UP_A, f"{P}{Q}.lora_B.weight": UP_B}, {}),
    ("odd", {**PLAIN, f"{P}{Q}.lora_magnitude_vector": torch.ones(8)}, {}),
):  # fmt: skip
    try:
        merged(plain, adapter(name, weights, **config))
    except ModelError as error:
        said.append(str(error) + " / " + error.hint)
print(json.dumps(said))
