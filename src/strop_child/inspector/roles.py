"""What a weight is for, by its name and shape: Hugging Face's, MLX's and llama.cpp's names."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from strop_child.inspector.answer import Layer
from strop_child.inspector.packing import Weight

EMBEDDING = re.compile(
    r"(^|[._])(embed_tokens|embed_positions|embed_in|tok_embeddings|word_embeddings|position_embeddings|token_type_embeddings"
    r"|word_embeddings_layernorm_no|wte|wpe|embedding|embeddings|shared|position_embedding|token_embedding|token_embd"
    r"|token_types|position_embd|per_layer_token_embd|embed_tokens_per_layer|relative_attention_bias)(\.weight|$)"
)
HEAD = re.compile(
    r"(^|[._])(lm_head|embed_out|classifier|score|qa_outputs|output_layer|predictions\.decoder)(\.|$)|^output\.weight$"
)
NORM = re.compile(r"norm|(^|[._])(ln|ln_\w+|bn\d*|layer_?norm\w*)([._]|$)", re.IGNORECASE)
RECURRENT = re.compile(r"(weight|bias)_(ih|hh)_l\d+")
EXPERT = re.compile(r"(^|[._])experts?([._]|$)|_exps(\.|$)|block_sparse_moe\.experts")
SHARED = re.compile(r"shared_expert|_shexp")
ASIDE = re.compile(r"(^|\.)(vision_\w+|visual|image_\w+|audio_\w+|speech_\w+|multi_modal_projector|mm_projector|connector)(\.|$)")
"""Parts of a multimodal model that see a picture or a sound once, not every token."""
NUMBER = re.compile(r"\d+")
LAST = re.compile(r"\.(weight|bias|qweight|weight_packed|weight_ih_l\d+|weight_hh_l\d+|bias_ih_l\d+|bias_hh_l\d+)$")
KINDS = {"linear": "Linear", "head": "Linear", "embedding": "Embedding", "norm": "Norm", "recurrent": "Recurrent"}


class Told(NamedTuple):
    """What a name says, whatever the numbers in it."""

    recurrent: bool
    norm: bool
    embedding: bool
    head: bool
    expert: bool
    aside: bool


@lru_cache(maxsize=10_000)
def told(name: str) -> Told:
    """Of a name whose numbers are all 0: the layers of a model are alike, and searching a name takes a while."""
    expert = bool(EXPERT.search(name)) and not SHARED.search(name)
    recurrent, norm, embedding, head, aside = (bool(p.search(name)) for p in (RECURRENT, NORM, EMBEDDING, HEAD, ASIDE))
    return Told(recurrent, norm, embedding, head, expert, aside)


class Named(NamedTuple):
    """A weight with its role; `expert`: one of several of which few work on a token; `aside`: sees no text token."""

    weight: Weight
    module: str
    role: str
    expert: bool
    aside: bool


def named(weights: Iterable[Weight], transposed: bool = False) -> list[Named]:
    """Roles of all that hold parameters. transposed: linear weights are [inputs, outputs], as GPT-2's."""
    found = []
    for weight in weights:
        if weight.elements:
            says = told(NUMBER.sub("0", weight.name))
            role = role_of(weight, says)
            inner = _inner(weight, role, transposed) if weight.inner is None else weight.inner
            module = LAST.sub("", weight.name)
            found.append(Named(weight._replace(inner=inner), module, role, says.expert, says.aside))
    return found


def role_of(weight: Weight, says: Told) -> str:
    """Biases have their module's role where it can be told, else `other`."""
    name, dims = weight.name, len(weight.shape)
    if says.recurrent:
        return "recurrent"
    if dims <= 1 and weight.inner is None:
        if weight.dtype.startswith("uint") and name.endswith(".weight"):
            return "linear"  # a packed weight that keeps no shape
        return "norm" if says.norm else "other"
    if says.embedding and dims == 2:
        return "embedding"
    if says.head and dims == 2:
        return "head"
    if dims == 2 or says.expert or name.endswith("_blocks"):
        return "other" if says.norm and NORM.search(name.rsplit(".", 2)[-2] if "." in name else name) else "linear"
    if not name.endswith("weight"):
        return "other"
    return "depthwise" if weight.shape[1] == 1 and weight.shape[0] > 1 else "conv"


def _inner(weight: Weight, role: str, transposed: bool) -> int | None:
    if role not in ("linear", "head", "embedding") or len(weight.shape) < 2:
        return None
    inner: int = weight.shape[0 if transposed and role == "linear" else -1]
    return inner


def layers(found: Iterable[Named]) -> list[Layer]:
    """One a module: its weight, with its bias counted to it."""
    modules: dict[str, list[Named]] = {}
    for one in found:
        modules.setdefault(one.module, []).append(one)
    return [_layer(module, parts) for module, parts in modules.items()]


def _layer(module: str, parts: list[Named]) -> Layer:
    main = max(parts, key=lambda n: len(n.weight.shape))
    shape, role = main.weight.shape, main.role
    kind = KINDS.get(role) or (f"Conv{len(shape) - 2}d" if role in ("conv", "depthwise") else "Parameter")
    return Layer(role, kind, module, shape, sum(n.weight.elements for n in parts), main.weight.inner)
