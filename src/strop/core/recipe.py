"""`Recipe`: an ordered chain of steps, then a runtime with its settings."""

from typing import Literal, Self

from pydantic import model_validator

from strop.core.noun import Noun, Params, Scalar

Stage = Literal["convert", "prune", "quantize", "accelerate"]
Role = Literal["reference", "baseline-variant", "as-is", "candidate"]
CLEAN = "clean"
"""The step that takes out of a model what its export does badly, in the model's own runtime."""
STAYS = ("dynamic-axes", "unnamed-axes", "float64-ports", "training-mode")
"""Faults of an export that cleaning up its file does not change: only who made the model knows what was meant."""
HOLD = {"f32": ("f32",), "bf16": ("f32", "bf16", "f16"), "f16": ("f32", "f16")}
"""Type of a model's weights in its files → the types that hold them.

float16 has more digits than bfloat16 and less range: it holds bfloat16 weights between 2^-17 and 65,504 exactly, and smaller ones
to 3e-8. A larger one becomes infinite, which the check of the answers finds."""


class Step(Noun):
    """One builder's work: what it consumes, what it produces, with which plain parameters."""

    stage: Stage
    builder: str
    name: str
    consumes: str
    produces: str
    params: Params = {}
    calibration: bool = False
    """Whether the step reads calibration data; its digest then enters the build key."""


class Held(Noun):
    """What a language model's numbers take in memory while it runs, in bits: a weight of its linear layers, of its embedding,
    of its head, and a number in its cache.

    `shared`: where the model ties its head to its embedding, the runtime keeps one table for both, of the head's bits. `copies`:
    how often the weights lie in memory at the peak; a runtime that packs them anew holds the file's pages beside that.
    `looked_up`: bits of an embedding that is in the files, and of which memory holds no more than the rows in use.

    `grown`: how much room a cache of that many tokens has, as often as it needs; more than once where it grows as it is used.
    Of a prompt, `parts` are the tokens that are computed at once (0: all, of all texts), `rows` says how often their activations
    lie in memory, and `logits` whether those of all of them do. `each_token` are bytes for each token of the vocabulary, `own`
    those that the runtime takes for any model. All of these are read off measurements (`python -m benchmarks sizes`).
    """

    linear: float
    embedding: float
    head: float
    cache: float
    shared: bool = True
    looked_up: float = 0.0
    copies: float = 1.0
    grown: float = 1.0
    parts: int = 0
    rows: float = 1.0
    logits: bool = False
    each_token: int = 0
    own: int = 0


class Recipe(Noun):
    """How a candidate is made and run.

    `safety` orders recipes from safe (0) to bold; it settles ties. `turn` is when it is tried, low numbers first: what usually
    wins comes early, so that a short budget meets it. `mends` names a candidate: where that one loses too much accuracy, this one
    is tried at once. `follows_baseline` means that thread
    settings are those found best for the baseline. `role` marks the recipes a baseline may come from: `reference` is the given
    model in the runtime that reads it, `baseline-variant` the same model under other settings or, if it is a language model, in
    another runtime; `as-is` is the runtime's defaults.
    `device` is where it runs: `cpu`, or a kind of accelerator. `integers`: it
    computes 8-bit products, not only with 8-bit weights. `unrepresentative` says why its speed here says nothing of the devices
    that it is made for: it is then judged by its answers, timed in no comparison, and never chosen. `held`: of a language model,
    what its memory is reckoned from before anything is built.
    """

    name: str
    runtime: str
    steps: tuple[Step, ...] = ()
    settings: dict[str, Scalar] = {}
    precision: str = "fp32"
    safety: int = 0
    turn: int = 5
    mends: str = ""
    follows_baseline: bool = False
    device: str = "cpu"
    integers: bool = False
    unrepresentative: str = ""
    held: Held | None = None
    role: Role = "candidate"

    @property
    def cleaned(self) -> bool:
        """Whether it is the given model, unquantized, with its export cleaned up."""
        return bool(self.steps) and all(step.name == CLEAN for step in self.steps)

    def takes_out(self, fault: str) -> bool:
        """Whether it takes out a fault of the given model's export, by the fault's name."""
        kept = fault in STAYS or (fault == "float64" and any(step.params.get("single") is False for step in self.steps))
        return self.cleaned and not kept

    @property
    def reduced_range(self) -> bool:
        """Whether weights keep to 7 bits, so that no CPU's sums saturate."""
        return any(step.params.get("reduce_range") is True for step in self.steps)


def role_of_unquantized(stored: str, kept: str, here: bool) -> Role:
    """The role of a recipe that only converts a language model.

    Unquantized means that no weight of the files is rounded. Such a recipe may become the denominator of speed. A target that is
    elsewhere has no such denominator, so there it is a candidate like any other.

    Args:
        stored: type of the weights in the model's files, `Model.stored`. kept: their type once converted.
        here: whether the target is this machine.
    """
    return "baseline-variant" if here and kept in HOLD[stored] else "candidate"


class Offer(Noun):
    """A recipe that a backend considered: `recipe` and the `reason` to try it, or why it is `refused`."""

    name: str
    reason: str = ""
    refused: str = ""
    recipe: Recipe | None = None

    @model_validator(mode="after")
    def _offered_or_refused(self) -> Self:
        if (self.recipe is None) != bool(self.refused):
            raise ValueError(f"offer {self.name!r} must have either a recipe or `refused`, which says why it is not offered")
        return self

    @property
    def offered(self) -> bool:
        return self.recipe is not None

    @property
    def why(self) -> str:
        """Why it is offered, or why not."""
        return self.reason or self.refused
