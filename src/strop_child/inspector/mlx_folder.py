"""A folder of MLX: Hugging Face's layout with weights packed by MLX's own quantization.

Layout of a quantized layer (MLX, `mlx.core.quantize`): `weight` is uint32 with 32 / bits values in each, `scales` and
`biases` hold one value for every group of the last axis.
"""

from strop_child.checked_json import Section, read_object
from strop_child.inspector import huggingface
from strop_child.inspector.answer import Answer
from strop_child.inspector.members import listed, member, sizes
from strop_child.inspector.packing import scheme_of
from strop_child.inspector.safetensors_file import format_of


def is_mlx(path: str) -> bool:
    """By the configuration's block, or by what the first of its files says of itself."""
    block = read_object(member(path, "config.json", "the folder")).get("quantization")
    if isinstance(block, dict) and {"group_size", "bits"} <= block.keys():
        return True
    first = min(n for n in listed(path) if n.endswith(".safetensors"))
    told: str = format_of(member(path, first, "the folder"))
    return told == "mlx"


def inspect(path: str) -> Answer:
    """What the folder holds.

    Raises:
        ModelError: as `huggingface.inspect`.
    """
    config = huggingface.read_config(path)
    own = config.part("quantization")
    told = Section({"quantization": own.values} if own else {}, config.where)
    merged = Section({**config.values, "quantization_config": None, **told.values}, config.where)
    weights, scheme = huggingface.read_weights(path, merged, mlx=True)
    answer = Answer(format="mlx", files=sizes(path))
    huggingface.describe(answer, merged, weights)
    answer.code += huggingface.code_of(path)
    if scheme_of(merged).bits:
        answer.quantized = f"mlx {scheme.bits}-bit group {scheme.group}"
        others = sorted({b for b in scheme.own.values() if b and b != scheme.bits})
        if others:
            answer.notes.append("some layers have " + ", ".join(f"{b} bits" for b in others))
    return answer
