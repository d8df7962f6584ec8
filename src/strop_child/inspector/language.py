"""Sizes of a language model by its configuration, and what they cost a token."""

from typing import NamedTuple

from strop_child.checked_json import Section
from strop_child.inspector.answer import Language

LAYERS, HIDDEN, HEADS, WIDE, WORDS, LONG, EXPERTS = 10_000, 1 << 20, 1 << 16, 1 << 24, 1 << 28, 1 << 31, 1 << 16
"""The most that is believed of each size; real models stay far below."""
STATE_SPACE = {"mamba", "mamba2", "falcon_mamba", "rwkv", "rwkv5", "rwkv6", "xlstm"}
HYBRID = {"jamba", "bamba", "zamba", "zamba2", "recurrent_gemma", "falcon_h1", "nemotron_h", "granitemoehybrid", "lfm2"}
FLOAT = 4
"""Bytes of an activation: the usual runtimes on CPUs compute in float32."""


class Mixture(NamedTuple):
    """Of how many experts how many work on one token."""

    experts: int
    used: int


def language_of(config: Section) -> Language:
    """What the configuration says; `active_parameters` is left to whoever counts parameters."""
    hidden = config.whole("hidden_size", "n_embd", "d_model", "dim", most=HIDDEN, least=1)
    heads = config.whole("num_attention_heads", "n_head", "num_heads", "n_heads", "decoder_attention_heads", most=HEADS, least=1)
    kv_heads = config.whole("num_key_value_heads", "num_kv_heads", "n_head_kv", most=HEADS, least=1) or heads
    if config.flag("multi_query") and not config.flag("new_decoder_architecture"):
        kv_heads = 1
    size = config.whole("head_dim", "kv_channels", most=WIDE) or (hidden // heads if hidden and heads else None)
    layers = config.whole(
        "num_hidden_layers", "n_layer", "num_layers", "n_layers", "decoder_layers", "num_transformer_layers", most=LAYERS, least=1
    )
    mixture = mixture_of(config)
    wide = config.whole("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size", "d_ff", "moe_intermediate_size", most=WIDE)
    return Language(
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_size=size,
        intermediate=wide
        or (4 * hidden if hidden and config.text("model_type") in ("gpt2", "bloom", "gptj", "falcon") else None),
        vocabulary=config.whole("vocab_size", "n_vocab", most=WORDS),
        context=config.whole("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length", most=LONG),
        kv_values_per_token=kv_values(config, layers, kv_heads, size),
        experts=mixture.experts if mixture else None,
    )


def mixture_of(config: Section) -> Mixture | None:
    experts = config.whole("num_local_experts", "n_routed_experts", "num_experts", "moe_num_experts", most=EXPERTS)
    used = config.whole("num_experts_per_tok", "num_experts_per_token", "moe_top_k", "top_k_experts", most=EXPERTS)
    return Mixture(experts, min(used, experts)) if experts and experts > 1 and used else None


def kv_values(config: Section, layers: int | None, kv_heads: int | None, size: int | None) -> int | None:
    """Values that one more token adds to the cache: keys and values of each head of each layer.

    Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434, section 2.1) keeps one compressed vector and one rotary
    key a layer. Layers of linear attention or state space keep nothing a token; a mixed model whose configuration does
    not name its layers gives None.
    """
    if layers is None:
        return None
    latent = config.whole("kv_lora_rank", most=WIDE)
    if latent:
        rotary = config.whole("qk_rope_head_dim", most=WIDE) or 0
        return layers * int(latent + rotary)
    kind = config.text("model_type")
    if kind in STATE_SPACE or kv_heads is None or size is None:
        return None
    kinds = config.texts("layer_types") or config.texts("layers_block_type")
    if kinds:
        attending = sum("attention" in k and not k.startswith("linear") for k in kinds)
        return 2 * kv_heads * size * attending
    return None if kind in HYBRID else layers * 2 * kv_heads * size


def window_note(config: Section) -> list[str]:
    """Layers that keep a window's tokens only."""
    window = config.whole("sliding_window", most=LONG)
    if not window or config.values.get("use_sliding_window") is False:
        return []
    return [f"layers with sliding attention keep the last {window} tokens only"]


def activation_bytes(language: Language) -> int | None:
    """Peak of live activations for one token, without the cache of keys and values.

    The residual stream lives all along. In a gated feed-forward the two projections of size `intermediate` and the
    normalized input live together with it; at the head the logits do: 4 · max(2·hidden + 2·intermediate, 2·hidden +
    vocabulary). It follows from the order of operators in the published decoder block (Llama, arXiv:2302.13971).
    """
    hidden, wide, words = language.hidden, language.intermediate, language.vocabulary
    if hidden is None or words is None:
        return None
    return FLOAT * int(2 * hidden + max(2 * (wide or 0), words))


def encoder_activation_bytes(language: Language, tokens: int) -> int | None:
    """Peak of an encoder's live activations: the residual stream with queries, keys, values and scores, or with the
    widened feed-forward. It follows from the order of operators in the published block (arXiv:1706.03762)."""
    hidden, heads, wide = language.hidden, language.heads, language.intermediate
    if hidden is None or heads is None:
        return None
    attention = tokens * 3 * hidden + heads * tokens * tokens
    return FLOAT * int(tokens * hidden + max(attention, tokens * (hidden + (wide or 4 * hidden))))
