"""What a stored tensor stands for: values packed into wider integers are counted as the parameters they hold."""

from typing import NamedTuple

from strop_child.checked_json import Section
from strop_child.inspector.answer import Shape, product
from strop_child.inspector.safetensors_file import Tensor

SCALES = (
    "scales", "scale", "qzeros", "g_idx", "SCB", "absmax", "quant_map", "nested_absmax", "nested_quant_map",
    "weight_scale", "weight_scale_inv", "weight_scale_2", "weight_zero_point", "weight_g_idx", "weight_shape",
    "weight_global_scale", "input_scale", "input_global_scale", "output_scale", "k_scale", "v_scale",
    "bitsandbytes__nf4", "bitsandbytes__fp4", "weight_format",
)  # fmt: skip
"""Last parts of names of what comes with quantized weights: stored, but no parameters."""
BUFFERS = (
    "inv_freq", "rotary_emb.cos_cached", "running_mean", "running_var", "num_batches_tracked", "position_ids",
    "token_type_ids", "masked_bias", "relative_position_index",
)  # fmt: skip
"""Last parts of names of what PyTorch saves beside parameters."""
WIDTH = {"uint8": 8, "int8": 8, "int16": 16, "uint16": 16, "int32": 32, "uint32": 32, "int64": 64}
INTEGERS = {"bool", "int16", "uint16", "int32", "uint32", "int64", "uint64"}


class Scheme(NamedTuple):
    """How weights are quantized. own: bits of modules that differ, 0 where they are not quantized."""

    method: str = ""
    bits: int = 0
    group: int = 0
    own: dict[str, int] = {}


class Weight(NamedTuple):
    """A tensor as the model means it.

    shape: of the values, outputs first. elements: parameters, 0 of scales and buffers. bytes: as stored.
    stored: elements as they lie there. inner: size of the quantized dimension of a packed weight.
    """

    name: str
    dtype: str
    shape: Shape
    elements: int
    bytes: int
    stored: int
    inner: int | None = None


def scheme_of(config: Section) -> Scheme:
    """Of Hugging Face's `quantization_config` or MLX's `quantization`."""
    part = config.part("quantization_config", "quantization")
    if part is None:
        return Scheme()
    bits, group = part.whole("bits", "w_bit", most=16) or 0, _group(part)
    method = part.text("quant_method")
    if method == "bitsandbytes":
        bits = 4 if part.flag("load_in_4bit") else 8
    elif method == "mxfp4":
        bits, group = 4, 32
    elif method == "fp8":
        bits = 8
    elif method == "compressed-tensors":
        bits, group = _compressed(part)
    own = {}
    for name, value in part.values.items():
        if isinstance(value, dict) and "bits" in value:
            own[name] = Section(value, f"{part.where}: {name[:80]}").whole("bits", most=16) or 0
        elif value is False:
            own[name] = 0
    return Scheme(method, bits, group, own)


def _group(part: Section) -> int:
    """Values that share a scale; GPTQ writes -1 for a whole row, given here as 0."""
    return 0 if part.values.get("group_size") == -1 else part.whole("group_size", "q_group_size", most=1 << 20) or 0


def _compressed(part: Section) -> tuple[int, int]:
    """Bits and group of the first group of compressed-tensors' configuration."""
    groups = part.part("config_groups")
    for name in groups.values if groups else ():
        first = groups.part(name) if groups else None
        weights = first.part("weights") if first else None
        if weights is not None:
            return weights.whole("num_bits", most=16) or 0, _group(weights)
    return 0, 0


def logical(tensor: Tensor, scheme: Scheme, mlx: bool = False) -> Weight:
    """What a tensor stands for."""
    stored = product(tensor.shape)
    last = tensor.name.rsplit(".", 1)[-1]
    weight = Weight(tensor.name, tensor.dtype, tensor.shape, stored, tensor.bytes, stored)
    causal_mask = tensor.name.endswith("attn.bias") and len(tensor.shape) == 4
    if (scheme.bits and _is_scale(tensor, last, mlx)) or tensor.name.endswith(BUFFERS) or causal_mask:
        return weight._replace(elements=0)
    module = tensor.name.rsplit(".", 1)[0]
    bits = scheme.own.get(module, scheme.bits)
    if bits and _is_packed(tensor, last, scheme, mlx):
        return _unpacked(weight, last, bits, scheme)
    if tensor.dtype in INTEGERS:
        return weight._replace(elements=0)
    return weight


def _is_scale(tensor: Tensor, last: str, mlx: bool) -> bool:
    return last in SCALES or (mlx and last == "biases") or last.endswith("_scales") or ".quant_state." in tensor.name


def _is_packed(tensor: Tensor, last: str, scheme: Scheme, mlx: bool) -> bool:
    if tensor.dtype not in WIDTH or not tensor.shape:
        return False
    nested = scheme.method == "bitsandbytes" and tensor.dtype == "uint8"
    return last in ("qweight", "weight_packed") or last.endswith("_blocks") or (mlx and tensor.dtype == "uint32") or nested


def _unpacked(weight: Weight, last: str, bits: int, scheme: Scheme) -> Weight:
    """GPTQ packs inputs and AWQ outputs, both [inputs, outputs]; the others pack the last axis of [outputs, inputs].

    bitsandbytes keeps no shape: one column of bytes.
    """
    width, shape = WIDTH[weight.dtype], weight.shape
    many = weight.stored * width // bits
    if last == "qweight" and len(shape) == 2:
        awq = scheme.method == "awq"
        inputs = shape[0] if awq else shape[0] * width // bits
        logical_shape: Shape = (shape[1] * width // bits if awq else shape[1], inputs)
    elif scheme.method == "bitsandbytes":
        return weight._replace(elements=many, stored=many, shape=(many,), dtype=f"uint{bits}")
    elif last.endswith("_blocks") and len(shape) >= 3:
        logical_shape = (*shape[:-2], shape[-2] * shape[-1] * width // bits)
    else:
        logical_shape = (*shape[:-1], shape[-1] * width // bits)
    inner = logical_shape[-1]
    return weight._replace(shape=logical_shape, elements=many, stored=many, dtype=f"uint{bits}", inner=inner)
