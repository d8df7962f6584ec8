"""`Inspection`: what a model is, read from its files without a framework; and `Advice` on what to try with it."""

from typing import Annotated, Literal

from pydantic import Field

from strop.core.model import Fault, TensorSpec
from strop.core.noun import Noun

PRECISIONS = ("fp32", "fp16", "int8", "int4")


MOST = 1 << 70
"""No count of a real model comes near; a larger one is refused as damage."""
Count = Annotated[int, Field(ge=0, le=MOST)]


class Layer(Noun):
    """Layers of one role and shape. `inner` is the width that is quantized in groups; None where there is none."""

    role: str
    operator: str
    example: str
    shape: tuple[int, ...]
    count: Count
    parameters: Count
    inner: int | None = None


class Language(Noun):
    """Sizes of a language model. `kv_values_per_token` are the numbers that the cache keeps for each token; None: not known."""

    layers: int | None = None
    hidden: int | None = None
    heads: int | None = None
    kv_heads: int | None = None
    head_size: int | None = None
    intermediate: int | None = None
    vocabulary: int | None = None
    context: Count | None = None
    kv_values_per_token: Count | None = None
    experts: int | None = None
    active_parameters: int | None = None


class Quantizable(Noun):
    """How layers of one kind can be quantized; `sensitive` says why to be careful, and is empty elsewhere."""

    operator: str
    role: str
    count: int
    parameters: int
    ways: tuple[str, ...]
    sensitive: str = ""


class Footprint(Noun):
    """Estimated bytes at one precision: `weights` as a file, `memory` with activations and a language model's cache."""

    precision: str
    weights: int
    memory: int


class Inspection(Noun):
    """A model, as its files say.

    `stored` counts elements by their type, `macs` the multiply-adds of one inference (of one token, for a language model),
    `activation_bytes` the most that is alive at once beside the weights; both are estimates, with dynamic axes as in `assumed`.
    `faults` are what its export does badly. `code` says what of a folder is code, or names code; none of it runs.
    """

    path: str
    format: str
    family: Literal["tensor", "llm"]
    modality: str
    architecture: str
    files: dict[str, int]
    parameters: Count
    stored: dict[str, Count]
    stored_bytes: dict[str, Count]
    operators: dict[str, int]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    opset: int = 0
    macs: Count | None = None
    activation_bytes: Count | None = None
    assumed: dict[str, int] = {}
    layers: tuple[Layer, ...] = ()
    language: Language | None = None
    quantized: str | None = None
    faults: tuple[Fault, ...] = ()
    code: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """Of all its files."""
        return sum(self.files.values())


class ExportRemark(Noun):
    """A rule of `export.toml` that holds: what the export does badly, what that costs, what to do, and how that is known."""

    rule: str
    text: str
    worth: str
    remedy: str
    evidence: str


class Fit(Noun):
    """Whether a model fits a device at one precision: an estimate against what the device has."""

    precision: str
    verdict: Literal["fits", "tight", "does not fit", "not known"]
    reason: str


class Reason(Noun):
    """What moved a framework in the ranking: a rule of `advice.toml` by its name, or a fact; and how far."""

    rule: str
    text: str
    points: float = 0.0


class Ranked(Noun):
    """A framework's place. `blocked` says why it cannot be used at all, or, where that `yields`, not unless it is asked for.

    `too_large`: what blocks it is the memory that usual precisions take; a recipe that is reckoned by itself may fit.
    """

    framework: str
    title: str
    points: float
    reasons: tuple[Reason, ...]
    blocked: str = ""
    yields: bool = False
    too_large: bool = False


class Choicepoint(Noun):
    """A question of the tree, and whether it held."""

    rule: str
    ask: str
    yes: bool
    pick: tuple[str, ...] = ()


class Advice(Noun):
    """The ranking of frameworks for a model on a target, the path through the tree, the default quantization.

    `asked` are the tree's questions up to the one that held. `instead` is the next strategy, where nothing of that can be used.
    `moved` says what overturned the pick, if anything did.
    """

    target: str
    platform: str
    purpose: str
    ranking: tuple[Ranked, ...]
    asked: tuple[Choicepoint, ...]
    strategy: str
    instead: str = ""
    quantization: str
    moved: str = ""
    notes: tuple[str, ...] = ()

    @property
    def order(self) -> dict[str, int]:
        """Framework → its place, 0 for the first; what is blocked is left out."""
        return {ranked.framework: place for place, ranked in enumerate(r for r in self.ranking if not r.blocked)}


class RuntimeShare(Noun):
    """What a process takes with this runtime loaded and no model, resident MB, by measurement."""

    framework: str
    mb: float


class Assessment(Noun):
    """All that `strop inspect` says: the model, its sizes, what can be quantized, what its export does badly; for a target, what
    fits and what to try.

    `context` are the tokens that a language model's cache was reckoned with.
    """

    inspection: Inspection
    context: int | None = None
    footprints: tuple[Footprint, ...]
    quantizable: tuple[Quantizable, ...]
    fits: tuple[Fit, ...] = ()
    advice: Advice | None = None
    export: tuple[ExportRemark, ...] = ()
    runtimes: tuple[RuntimeShare, ...] = ()
    """What comes on top of `footprints`, whichever runtime it is."""
