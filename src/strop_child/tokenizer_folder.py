"""A tokenizer as transformers' class of it behaves, which is not all in tokenizer.json. Needs tokenizers.

Reference: transformers 4.57, `tokenization_*_fast.py`. Some of its classes replace the post-processor of tokenizer.json by what
`add_bos_token` and `add_eos_token` say, and none keeps a truncation or padding that was saved with it.
"""

import os
from typing import Any

from strop_child.chat import ChatError, after_answer, text_of
from strop_child.checked_json import read_object
from strop_child.texts import begin_of

BEGINS = {"Llama": True, "CodeLlama": True, "Gemma": True, "Cohere": True, "GPTNeoX": False}
"""Classes that replace the post-processor → whether they put the begin token in front where the configuration says nothing."""
BY_MODEL = {
    **dict.fromkeys(("arcee", "deepseek_v2", "deepseek_v3", "diffllama", "ernie4_5", "ernie4_5_moe", "jamba", "jetmoe", "llama",
                     "llama4", "llama4_text", "ministral", "mistral", "mistral3", "mixtral", "persimmon", "phi3", "phimoe",
                     "zamba", "zamba2"), "Llama"),
    **dict.fromkeys(("cohere", "cohere2"), "Cohere"), "code_llama": "CodeLlama",
    **dict.fromkeys(("falcon_mamba", "gpt_neox", "mamba", "mamba2", "mpt", "olmo", "olmo2", "olmoe", "rwkv", "stablelm"),
                    "GPTNeoX"),
    **dict.fromkeys(("gemma", "gemma2", "gemma3", "gemma3_text", "gemma3n", "gemma3n_text", "recurrent_gemma"), "Gemma"),
}  # fmt: skip
"""`model_type` of config.json → the class, where tokenizer_config.json names none."""


def configuration(folder: str) -> dict[str, Any]:
    """tokenizer_config.json; empty where there is none."""
    path = os.path.join(folder, "tokenizer_config.json")
    return read_object(path) if os.path.isfile(path) else {}


def class_of(folder: str, told: dict[str, Any]) -> str:
    """The tokenizer's class without "Tokenizer" and "Fast", by its configuration or by the model's type."""
    named = told.get("tokenizer_class")
    if isinstance(named, str):
        return named.removesuffix("Fast").removesuffix("Tokenizer")
    path = os.path.join(folder, "config.json")
    kind = read_object(path).get("model_type") if os.path.isfile(path) else None
    return BY_MODEL.get(kind, "") if isinstance(kind, str) else ""


def settle(tokenizer: Any, folder: str) -> Any:
    """The tokenizer as its class uses it: whole texts, and in front and behind what the class puts there."""
    tokenizer.no_truncation()
    tokenizer.no_padding()
    told = configuration(folder)
    name = class_of(folder, told)
    if name not in BEGINS:
        return tokenizer
    from tokenizers import processors

    def token(key: str, usual: bool) -> str:
        wanted = told.get(f"add_{key}_token")
        text = text_of(told.get(f"{key}_token"))
        return text if (usual if wanted is None else bool(wanted)) and tokenizer.token_to_id(text) is not None else ""

    begin, end = token("bos", BEGINS[name]), token("eos", False)
    parts = [piece for piece in (begin and f"{begin}:0", "$A:0", end and f"{end}:0") if piece]
    known = [(text, tokenizer.token_to_id(text)) for text in dict.fromkeys((begin, end)) if text]
    tokenizer.post_processor = processors.TemplateProcessing(single=parts, pair=[*parts, "$B:1"], special_tokens=known)
    return tokenizer


def end_tokens(tokenizer: str, template: str = "", begin: str = "", end: str = "") -> list[int]:
    """Tokens that end an answer: the tokenizer's own, and the one that the chat template writes behind an answer.

    Args:
        tokenizer: a tokenizer.json. template, begin, end: what `read_chat` found.
    """
    from strop_child.texts import opened

    found = opened(tokenizer)
    own = text_of(configuration(os.path.dirname(tokenizer)).get("eos_token"))
    ends = [found.token_to_id(own)] if own else []
    try:
        behind = after_answer(template, begin, end) if template.strip() else ""
    except ChatError:
        behind = ""
    special = {number for number, token in found.get_added_tokens_decoder().items() if token.special}
    ids = found.encode(behind.lstrip(), add_special_tokens=False).ids if behind.strip() else []
    first = begin_of(found)
    ends += [ids[0]] if ids and ids[0] in special and ids[0] != first else []
    return sorted({int(number) for number in ends if number is not None})
