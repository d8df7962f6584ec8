"""What every format's reader answers with, and the plain JSON it becomes."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

Shape = tuple[int, ...]
Port = dict[str, Any]
"""An input or output: `name`, `dtype`, and `shape` of sizes, axis names and None."""


@dataclass(frozen=True)
class Layer:
    """Layers that are alike.

    shape: of the weight, as its format writes it. parameters: of all `count` together, biases included.
    inner: size of the dimension that is quantized in groups; None where there is none.
    """

    role: str
    operator: str
    example: str
    shape: Shape
    parameters: int
    inner: int | None = None
    count: int = 1


@dataclass(frozen=True)
class Language:
    """Sizes of a decoder language model; None where the file does not tell, or where it does not apply."""

    layers: int | None = None
    hidden: int | None = None
    heads: int | None = None
    kv_heads: int | None = None
    head_size: int | None = None
    intermediate: int | None = None
    vocabulary: int | None = None
    context: int | None = None
    kv_values_per_token: int | None = None
    experts: int | None = None
    active_parameters: int | None = None


@dataclass
class Answer:
    """Everything read of one model. Sizes in bytes; `macs` and `activation_bytes` are of one inference of batch 1."""

    format: str
    family: str = "tensor"
    modality: str = "unknown"
    architecture: str = ""
    files: dict[str, int] = field(default_factory=dict)
    parameters: int = 0
    stored: dict[str, int] = field(default_factory=dict)
    stored_bytes: dict[str, int] = field(default_factory=dict)
    operators: dict[str, int] = field(default_factory=dict)
    inputs: list[Port] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)
    opset: int = 0
    macs: int | None = None
    activation_bytes: int | None = None
    assumed: dict[str, int] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)
    language: Language | None = None
    quantized: str | None = None
    faults: list[dict[str, Any]] = field(default_factory=list)
    code: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def store(self, dtype: str, elements: int, size: int) -> None:
        self.stored[dtype] = self.stored.get(dtype, 0) + elements
        self.stored_bytes[dtype] = self.stored_bytes.get(dtype, 0) + size

    def plain(self) -> dict[str, Any]:
        """JSON: dictionaries, lists, texts and numbers; layers that are alike as one."""
        self.layers = grouped(self.layers)
        answer = asdict(self)
        for layer in answer["layers"]:
            layer["shape"] = list(layer["shape"])
        return answer


def grouped(layers: Iterable[Layer]) -> list[Layer]:
    """One layer for those of the same role, operator and shape, in the order of their first."""
    found: dict[tuple[str, str, Shape], Layer] = {}
    for layer in layers:
        key = (layer.role, layer.operator, layer.shape)
        first = found.get(key)
        found[key] = layer if first is None else replace(
            first, count=first.count + layer.count, parameters=first.parameters + layer.parameters
        )  # fmt: skip
    return list(found.values())


def product(sizes: Iterable[int]) -> int:
    total = 1
    for size in sizes:
        total *= size
    return total


def counted(names: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return counts


def modality_of(inputs: Iterable[Port]) -> str:
    """By what the inputs look like: token ids, pictures of one or three channels; anything else is unknown."""
    ports = list(inputs)
    names = {str(p["name"]).split(":")[0].rsplit("/", 1)[-1] for p in ports}
    text = bool(names & {"input_ids", "token_ids", "tokens", "input_word_ids", "serving_default_input_ids"})
    vision = any(p["name"] == "pixel_values" or _is_picture(p["shape"]) for p in ports)
    if text and vision:
        return "multimodal"
    if text or vision:
        return "text" if text else "vision"
    return "audio" if names & {"input_features", "input_values", "audio", "waveform", "mel"} else "unknown"


def _is_picture(shape: list[Any]) -> bool:
    """Four axes of which the second or the last is a channel; sizes of less than 16 are no picture's sides."""
    if len(shape) != 4:
        return False
    first, last = shape[1] in (1, 3), shape[3] in (1, 3)
    sides = shape[2:] if first else shape[1:3]
    return (first or last) and all(not isinstance(s, int) or s >= 16 for s in sides)
