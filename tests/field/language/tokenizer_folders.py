"""Tiny tokenizers in the styles of the families that people use, saved as their folders are.

Run by path with a Python that has transformers it writes what that library makes of them: `tokenizer_folders.py OUT.json`.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

CORPUS = ["the cat sat on the mat and the dog ran after the cat", "once upon a time there was a little girl who was happy"] * 4
TEXTS = ("Once upon a time", " the cat", "the <|im_end|> dog", "héllo\n\n  wörld 漢字", "a " * 100)
"""The last one is longer than any truncation here."""
BOS, EOS = "<s>", "</s>"


def byte_level(specials: list[str]) -> Tokenizer:
    """Byte-level BPE, as GPT-2, Llama 3, Qwen, SmolLM and Mistral's later models have."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=specials, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    made.train_from_iterator(CORPUS, trainer)
    return made


def sentencepiece(specials: list[str], front: bool) -> Tokenizer:
    """BPE with byte fallback and a mark for spaces, as Llama 2, Gemma, Phi-3 and Mistral 7B have; a space in `front` or not."""
    made = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    steps = [normalizers.Prepend("▁")] if front else []
    made.normalizer = normalizers.Sequence([*steps, normalizers.Replace(" ", "▁")])
    made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    trainer = trainers.BpeTrainer(
        vocab_size=480, special_tokens=[*specials, *(f"<0x{i:02X}>" for i in range(256))], show_progress=False
    )
    made.train_from_iterator(CORPUS, trainer)
    whole = json.loads(made.to_str())
    whole["added_tokens"] = [token for token in whole["added_tokens"] if not token["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(whole))


def puts(made: Tokenizer, begin: str, end: str = "") -> Tokenizer:
    """With a post-processor that puts these around a text."""
    tokens = [(token, made.token_to_id(token)) for token in (begin, end) if token]
    made.post_processor = processors.TemplateProcessing(single=" ".join(filter(None, (begin, "$A", end))), special_tokens=tokens)
    return made


def bare(made: Tokenizer) -> Tokenizer:
    whole = json.loads(made.to_str())
    whole["post_processor"] = None
    return Tokenizer.from_str(json.dumps(whole))


def cut(made: Tokenizer) -> Tokenizer:
    made.enable_truncation(16)
    return made


def padded(made: Tokenizer) -> Tokenizer:
    made.enable_padding(length=64, pad_id=0, pad_token=BOS)
    return made


def llama2() -> Tokenizer:
    return puts(sentencepiece(["<unk>", BOS, EOS], front=True), BOS)


def llama3() -> Tokenizer:
    return puts(byte_level(["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|im_end|>"]), "<|begin_of_text|>")


def qwen() -> Tokenizer:
    made = byte_level(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    made.post_processor = processors.ByteLevel(trim_offsets=False)
    return made


def gemma() -> Tokenizer:
    return puts(sentencepiece(["<pad>", "<eos>", "<bos>", "<unk>", "<end_of_turn>"], front=False), "<bos>")


def phi3() -> Tokenizer:
    made = sentencepiece(["<unk>", BOS, EOS, "<|endoftext|>"], front=True)
    made.add_special_tokens([AddedToken("<|end|>", rstrip=True, normalized=False)])
    return puts(made, BOS)


LLAMA = {"tokenizer_class": "LlamaTokenizer", "bos_token": BOS, "eos_token": EOS, "unk_token": "<unk>"}
LLAMA3 = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}
QWEN = {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "bos_token": None}
SMOL = {"tokenizer_class": "GPT2Tokenizer", "bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "unk_token": "<|endoftext|>"}
GEMMA = {"tokenizer_class": "GemmaTokenizer", "bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>",
         "pad_token": "<pad>"}  # fmt: skip
PHI3 = {**LLAMA, "eos_token": "<|endoftext|>"}
CASES: dict[str, tuple[Tokenizer, dict[str, Any], str]] = {
    "llama2": (llama2(), LLAMA, "llama"),
    "llama2-bos-off": (llama2(), {**LLAMA, "add_bos_token": False}, "llama"),
    "llama2-bos-on-without-post-processor": (bare(llama2()), {**LLAMA, "add_bos_token": True}, "llama"),
    "llama2-silent-without-post-processor": (bare(llama2()), LLAMA, "llama"),
    "llama2-eos-on": (llama2(), {**LLAMA, "add_bos_token": True, "add_eos_token": True}, "llama"),
    "llama2-fast-class": (bare(llama2()), {**LLAMA, "tokenizer_class": "LlamaTokenizerFast"}, "llama"),
    "llama2-wrapped-token": (bare(llama2()), {**LLAMA, "bos_token": {"__type": "AddedToken", "content": BOS}}, "llama"),
    "llama2-class-by-model": (bare(llama2()), {**LLAMA, "tokenizer_class": None}, "llama"),
    "llama2-cut": (cut(llama2()), LLAMA, "llama"),
    "llama2-padded": (padded(llama2()), LLAMA, "llama"),
    "llama3": (llama3(), LLAMA3, "llama"),
    "llama3-cut": (cut(llama3()), LLAMA3, "llama"),
    "llama3-padded": (padded(llama3()), LLAMA3, "llama"),
    "qwen2": (qwen(), {**QWEN, "add_bos_token": False}, "qwen2"),
    "qwen2-padded": (padded(qwen()), QWEN, "qwen2"),
    "smollm": (qwen(), SMOL, "llama"),
    "gemma": (gemma(), {**GEMMA, "add_bos_token": True}, "gemma2"),
    "gemma-bos-off": (gemma(), {**GEMMA, "add_bos_token": False}, "gemma2"),
    "gemma-without-post-processor": (bare(gemma()), GEMMA, "gemma2"),
    "phi3": (phi3(), {**PHI3, "add_bos_token": False}, "phi3"),
    "phi3-bos-on": (bare(phi3()), {**PHI3, "add_bos_token": True}, "phi3"),
    "mistral": (llama2(), {**LLAMA, "add_bos_token": True, "add_eos_token": False}, "mistral"),
    "mistral-nemo": (puts(byte_level(["<unk>", BOS, EOS]), BOS), {**LLAMA, "tokenizer_class": "PreTrainedTokenizerFast"},
                     "mistral"),
}  # fmt: skip
"""Name → tokenizer, its configuration, and the model's type."""


def save(name: str, folder: Path) -> Path:
    """One of the cases as a folder."""
    tokenizer, config, kind = CASES[name]
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "config.json").write_text(json.dumps({"model_type": kind, "vocab_size": 512}))
    return folder


def reference(folder: Path) -> dict[str, Any]:
    """What transformers makes of the texts: their ids, the token it puts in front, and its end token."""
    from transformers import AutoTokenizer

    found = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    bare_ids = [found(text, add_special_tokens=False)["input_ids"] for text in TEXTS]
    whole = found("a")["input_ids"]
    alone = found("a", add_special_tokens=False)["input_ids"]
    begin = whole[0] if whole[:1] != alone[:1] else None
    return {"ids": bare_ids, "begin": begin, "end": found.eos_token_id}


if __name__ == "__main__":
    import transformers

    with tempfile.TemporaryDirectory() as place:
        told = {name: reference(save(name, Path(place, name))) for name in CASES}
    Path(sys.argv[1]).write_text(json.dumps({"transformers": transformers.__version__, "cases": told}))
