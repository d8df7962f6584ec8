"""`Model`: where the given model is, and what it is."""

from collections.abc import Collection

from strop.core.noun import Noun

Dimension = int | str | None
"""A fixed size, a named dynamic axis, or an unnamed dynamic axis."""


class TensorSpec(Noun):
    """One input or output: its name, numpy dtype name and shape."""

    name: str
    dtype: str
    shape: tuple[Dimension, ...]

    @property
    def fixed_batch(self) -> int | None:
        """The first dimension where it is fixed, else None."""
        first = self.shape[0] if self.shape else 1
        return first if isinstance(first, int) else None


class Fault(Noun):
    """Something that an export does badly: `count` of `total`, an `example` by name, and the `bytes` it wastes.

    `name` is that of a rule in `strop/plan/export.toml`, which says what it is worth.
    """

    name: str
    count: int
    total: int = 0
    example: str = ""
    bytes: int = 0


class Artifact(Noun):
    """Files of one kind with their digest: what a step consumes and produces.

    `path` is the file a runtime opens; `folder` holds it and everything beside it that belongs to it. `content` is a digest of
    what it computes with, where a builder gives one: files that differ in a name only are twins.
    """

    kind: str
    path: str
    digest: str
    bytes: int
    files: tuple[str, ...]
    content: str = ""

    @property
    def folder(self) -> str:
        return self.path.rsplit("/", 1)[0] if "/" in self.path else "."


class Origin(Noun):
    """What a model was exported from: its files' digest, what for, and how far the export's answers are from its own.

    `differences` holds, per output, the largest difference as a share of the original's range.
    """

    kind: str
    path: str
    digest: str
    task: str
    architecture: str
    labels: dict[str, str] = {}
    classes: str | None = None
    """File of the labels in their order, one a line."""
    differences: dict[str, float]
    versions: dict[str, str]


LONG = ("longrope", "su")
"""transformers' names of LongRoPE, newer and older."""
SILU = ("silu", "swish")
GATED = {
    **{f"{name}ForCausalLM": SILU for name in (
        "Arcee", "Cohere", "Cohere2", "Ernie4_5", "Granite", "GraniteMoe", "InternLM2", "Llama", "Mistral", "Mixtral", "Olmo",
        "Olmo2", "Olmoe", "Phi3", "Qwen2", "Qwen2Moe", "Qwen3", "Qwen3Moe", "SmolLM3", "StableLm",
    )},
    **{f"{name}ForCausalLM": ("gelu", "gelu_pytorch_tanh") for name in ("Gemma", "Gemma2", "Gemma3")},
}  # fmt: skip
"""Architecture → names of the activation that its published models have: what runtimes compute that have one an architecture."""


class Model(Noun):
    """The given model, read once by the backend that knows its format.

    `weights` counts, per operator type, the nodes whose weight is a constant, which is what can be quantized.
    `bounds` holds inclusive limits of inputs whose graph declares them: integers that index a table (an embedding), floats whose
    first operator clips, quantizes or normalizes. `ends` names the operator that makes each output, in ONNX's words, where known.
    `faults` are what its export does badly.
    """

    artifact: Artifact
    reader: str
    family: str = "tensor"
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    parameters: int
    opset: int = 0
    operators: dict[str, int] = {}
    weights: dict[str, int] = {}
    depthwise: int = 0
    bounds: dict[str, tuple[float, float]] = {}
    ends: dict[str, str] = {}
    precision: str = "fp32"
    traits: dict[str, str | int | float | bool | list[str]] = {}
    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()
    origin: Origin | None = None

    @property
    def fixed_batch(self) -> int | None:
        """The batch the model insists on, or None where any batch goes."""
        sizes = [spec.fixed_batch for spec in self.inputs if spec.shape]
        return next((size for size in sizes if size is not None), None)

    @property
    def stored(self) -> str:
        """Widest type of the weight matrices in a language model's files: "f32", "bf16" or "f16"; "f32" where nothing says so."""
        return str(self.traits.get("weights") or "f32")

    def activates_not(self, framework: str) -> str:
        """Why a framework that knows one activation for each architecture answers wrongly; empty where it does not."""
        name, own = str(self.traits.get("architecture") or ""), str(self.traits.get("activation") or "")
        usual = GATED.get(name)
        if not own or usual is None or own in usual:
            return ""
        return f"{framework} computes {name} with {usual[-1] if usual is not SILU else usual[0]}, and this model has {own}"

    def beyond_first(self, context: int) -> int:
        """Tokens of the first context of a model with LongRoPE, which rotates otherwise beyond it; 0 within it and of others."""
        first = int(str(self.traits.get("original") or 0))
        return first if self.traits.get("rotation") in LONG and 0 < first < context else 0

    def slides_not(self, framework: str, architectures: Collection[str], context: int) -> str:
        """Why a framework without a sliding window for these architectures answers wrongly; empty where it does not.

        Within its window a model needs none.
        """
        name, window = str(self.traits.get("architecture") or ""), int(str(self.traits.get("window") or 0))
        if name not in architectures or not 0 < window < context:
            return ""
        return (
            f"{framework} computes {name} without its sliding window of {window} tokens, and the context is of "
            f"{context}; --context {window} needs none"
        )
