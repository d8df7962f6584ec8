"""A Hugging Face folder: its configuration and the headers of its safetensors files. Nothing of it is executed."""

from strop_child.checked_json import Section, read_object
from strop_child.inspector import roles
from strop_child.inspector.answer import Answer, Language
from strop_child.inspector.language import (
    HIDDEN,
    activation_bytes,
    encoder_activation_bytes,
    language_of,
    mixture_of,
    window_note,
)  # fmt: skip
from strop_child.inspector.members import PICKLED, listed, member, sizes
from strop_child.inspector.packing import Scheme, Weight, logical, scheme_of
from strop_child.inspector.safetensors_file import read_folder
from strop_child.refusal import ModelError

NAMING = "tokenizer_config.json", "generation_config.json", "preprocessor_config.json", "processor_config.json"
"""Files beside the configuration that can name code; the model may well be usable without it."""
SEQUENCE = 128
"""Tokens of the text that an encoder's figures are for."""
DECODERS = ("ForCausalLM", "LMHeadModel", "ForCausalLMWithValueHead")
GENERATORS = ("ForConditionalGeneration", "ForImageTextToText")
CONV1D = {"gpt2", "openai-gpt", "imagegpt", "decision_transformer", "gpt-sw3"}
"""Model types whose linear weights are [inputs, outputs]."""
VISION, AUDIO = ("ForImageClassification", "ForObjectDetection", "ForSemanticSegmentation"), ("ForCTC", "ForAudioClassification")
SPOKEN = {"whisper", "wav2vec2", "hubert", "wavlm", "speech_to_text", "audio-spectrogram-transformer", "clap", "encodec"}
ONCE = ("pooler", "classifier", "score", "visual_projection", "text_projection")
"""Modules that see one vector of a text, not each token."""


def inspect(path: str) -> Answer:
    """What the folder holds.

    Raises:
        ModelError: damaged, unsafe, pickled or unsupported.
    """
    config = read_config(path)
    weights, scheme = read_weights(path, config)
    answer = Answer(format="huggingface", files=sizes(path))
    describe(answer, config, weights)
    answer.quantized = _quantized(scheme)
    answer.code += code_of(path)
    return answer


def code_of(path: str) -> list[str]:
    """What of a folder is code or names code; none of it runs."""
    notes = [f"{name} beside the weights is not run" for name in listed(path) if name.endswith(".py")][:1]
    for name in NAMING:
        told = read_object(member(path, name, "the folder")) if name in listed(path) else {}
        key = next((key for key in ("auto_map", "custom_generate") if told.get(key)), None)
        notes += [f"{name} names code of the folder's own ({key}), which is not run"] if key is not None else []
    return notes


def read_config(path: str) -> Section:
    """The folder's config.json; a model that needs code of its own is refused."""
    where = member(path, "config.json", "the folder")
    config = Section(read_object(where), where)
    parts = [config.values, *(v for v in config.values.values() if isinstance(v, dict))]
    if any(part.get("auto_map") for part in parts):
        raise ModelError(
            f"{path}: needs code of its own (auto_map), Strop runs no remote code",
            "use a copy of the model that transformers supports natively",
        )
    if config.values.get("model_file"):
        raise ModelError(
            f"{path}: needs code of its own (model_file), Strop runs no remote code", "use a copy of the model that MLX supports"
        )
    return config


def read_weights(path: str, config: Section, mlx: bool = False) -> tuple[list[Weight], Scheme]:
    """Weights, and how they are quantized."""
    names = listed(path)
    if not any(n.endswith(".safetensors") for n in names):
        pickled = [n for n in names if n.endswith(PICKLED)]
        what = f"its weights are pickled ({pickled[0]}) and are not opened" if pickled else "no weights in it"
        raise ModelError(f"{path}: {what}; only .safetensors are read", "save it again with safe_serialization=True")
    tensors = read_folder(path)
    if not tensors:
        raise ModelError(f"{path}: its .safetensors files hold no tensors", "download or copy it again")
    scheme = scheme_of(config)
    if not scheme.bits and any(t.name.endswith(".qweight") for t in tensors) and "quantize_config.json" in names:
        beside = member(path, "quantize_config.json", "the folder")
        told = scheme_of(Section({"quantization_config": read_object(beside)}, beside))
        scheme = told._replace(method=told.method or "gptq")
    return [logical(t, scheme, mlx) for t in tensors], scheme


def describe(answer: Answer, config: Section, weights: list[Weight]) -> None:
    """Everything but the format's own: kind of model, parameters, layers, costs."""
    names = config.texts("architectures")
    kind = config.text("model_type")
    answer.architecture = names[0] if names else kind
    text = config.part("text_config", "llm_config", "language_config") or config
    answer.modality = _modality(config, answer.architecture, kind)
    decodes = answer.architecture.endswith(DECODERS) or (answer.architecture.endswith(GENERATORS) and text is not config)
    answer.family = "llm" if decodes and not config.flag("is_encoder_decoder") else "tensor"
    for weight in weights:
        answer.store(weight.dtype, weight.stored, weight.bytes)
        answer.parameters += weight.elements
    found = roles.named(weights, transposed=kind in CONV1D)
    answer.layers = roles.layers(found)
    sizes_of = language_of(text)
    if answer.family == "llm":
        decoder_costs(answer, found, sizes_of, text)
        answer.notes += window_note(text)
    else:
        _encoder_costs(answer, found, sizes_of, config)


def decoder_costs(answer: Answer, found: list[roles.Named], sizes_of: Language, text: Section) -> None:
    """MACs and activations of one token; experts by the share of them that works on one."""
    mixture = mixture_of(text)
    active, linear = token_costs(found, (mixture.experts, mixture.used) if mixture else None)
    answer.macs = linear
    answer.activation_bytes = activation_bytes(sizes_of)
    answer.notes.append("macs are per token, attention over the cache excluded")
    if any(n.aside for n in found):
        answer.notes.append("macs leave out the parts that see pictures or sounds")
    if mixture:
        sizes_of = Language(**{**vars(sizes_of), "active_parameters": active})
    answer.language = sizes_of
    words = word_table(found)
    table = words.weight.shape if words is not None else None
    if table is not None and sizes_of.vocabulary and sizes_of.vocabulary not in table:
        answer.notes.append(f"the configuration tells of {sizes_of.vocabulary} tokens, the embedding is of {list(table)}")


def word_table(found: list[roles.Named]) -> roles.Named | None:
    """The embedding of words: the largest there is, since positions and types have tables of their own."""
    tables = [n for n in found if n.role == "embedding" and not n.aside and len(n.weight.shape) == 2]
    return max(tables, key=lambda n: n.weight.elements, default=None)


def token_costs(found: list[roles.Named], mixture: tuple[int, int] | None) -> tuple[int, int]:
    """Parameters and multiply-accumulates that work on one token. Without a head of its own the embedding is the head."""
    experts, used = mixture or (1, 1)
    shared, spread, macs, spread_macs = 0, 0, 0, 0
    heads = [n for n in found if n.role == "head" and not n.aside]
    for one in found:
        works = one.role in ("linear", "head", "recurrent", "conv", "depthwise") and not one.aside
        many = one.weight.elements
        if one.expert:
            spread, spread_macs = spread + many, spread_macs + many * works
        else:
            shared, macs = shared + many, macs + many * works
    if not heads:
        table = word_table(found)
        macs += table.weight.elements if table else 0
    return shared + spread * used // experts, macs + spread_macs * used // experts


def _encoder_costs(answer: Answer, found: list[roles.Named], sizes_of: Language, config: Section) -> None:
    """MACs of one text or picture: linear weights for every token, 2·tokens²·hidden a layer for scores and values."""
    convolutions = [n for n in found if n.role in ("conv", "depthwise", "recurrent")]
    patches = _patches(config)
    patch = [n for n in convolutions if "patch" in n.module]
    whole = sizes_of.hidden and sizes_of.layers and not config.flag("is_encoder_decoder")
    if not whole or answer.modality in ("audio", "multimodal") or len(patch) != len(convolutions) or (patch and not patches):
        answer.notes.append("macs and activations cannot be told from the folder; export the model to ONNX for them")
        return
    tokens = patches + 1 if patch and patches else SEQUENCE
    if not patch:
        answer.assumed = {"batch": 1, "sequence": tokens}
    assert sizes_of.hidden and sizes_of.layers
    each = sum(
        n.weight.elements * (1 if _once(n, answer.architecture) else tokens) for n in found if n.role in ("linear", "head")
    )
    stem = sum(n.weight.elements for n in patch) * (patches or 0)
    answer.macs = each + stem + 2 * tokens * tokens * sizes_of.hidden * sizes_of.layers
    answer.activation_bytes = encoder_activation_bytes(sizes_of, tokens)


def _once(one: roles.Named, architecture: str) -> bool:
    tokenwise = architecture.endswith(("ForTokenClassification", "ForMaskedLM", "ForQuestionAnswering"))
    return not tokenwise and any(part in one.module for part in ONCE)


def _patches(config: Section) -> int | None:
    """Patches of a picture, where it is a square cut into squares."""
    if not all(isinstance(config.values.get(key), int) for key in ("image_size", "patch_size")):
        return None
    side, patch = config.whole("image_size", most=HIDDEN), config.whole("patch_size", most=HIDDEN, least=1)
    return (side // patch) ** 2 if side and patch else None


def _modality(config: Section, architecture: str, kind: str) -> str:
    seen, heard = config.has("vision_config", "vision_tower"), config.has("audio_config")
    if (seen or heard) and (config.has("text_config", "llm_config") or architecture.endswith(GENERATORS)):
        return "multimodal"
    if heard or kind in SPOKEN or architecture.endswith(AUDIO) or config.has("num_mel_bins", "feat_extract_norm"):
        return "audio"
    if seen or architecture.endswith(VISION) or (config.has("num_channels") and not config.has("vocab_size")):
        return "vision"
    return "text" if config.has("vocab_size", "text_config", "n_vocab") else "unknown"


def _quantized(scheme: Scheme) -> str | None:
    if not scheme.bits:
        return scheme.method or None
    group = f" group {scheme.group}" if scheme.group else ""
    return f"{scheme.method or 'quantized'} {scheme.bits}-bit{group}"
