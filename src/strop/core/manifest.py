"""`Manifest`: what a bundle says of itself."""

from typing import Any, Literal

from strop.core.model import TensorSpec
from strop.core.noun import Noun, Scalar
from strop.core.preprocess import Preprocess
from strop.core.recipe import Recipe
from strop.core.shapes import Shapes
from strop.core.target import THIS
from strop.core.task import Language, Pooling, TaskKind, Workload
from strop.core.verdict import GateResult


class Answer(Noun):
    """What the scored output means. `cut`: where class 1 begins, for one number per example; None for other outputs."""

    kind: TaskKind
    pooling: Pooling
    output: str
    cut: float | None = None


class Manifest(Noun):
    """`files` holds the SHA-256 of every file but the manifest, `sizes` their bytes, `executables` those that may be run.

    `digest` is the SHA-256 of the manifest without itself. A bundle of an older Strop has no sizes, and None as executables.

    `preprocess` is None where the data were arrays; else preprocess.py does what it says. `task` says what comes out.
    """

    strop: str
    outcome: Literal["chosen", "provisional"]
    model: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    preprocessing: tuple[str, ...]
    preprocess: Preprocess | None
    task: Answer
    arrays: dict[str, str] = {}
    by_call: tuple[str, ...] = ()
    """Outputs that have no row for each example: of many examples they are lists, an item for each call."""
    language: Language | None = None
    workload: Workload
    target: str = THIS
    """The device that it was made for; where that is not the machine in `environment`, nothing was timed on it."""
    recipe: Recipe
    settings: dict[str, Scalar]
    shapes: Shapes | None = None
    """The shapes that it is compiled for, and what becomes of others; None where it takes whatever `inputs` leaves open."""
    source: dict[str, str | int]
    versions: dict[str, str]
    measurements: dict[str, Any]
    gates: tuple[GateResult, ...]
    environment: dict[str, Any]
    files: dict[str, str]
    sizes: dict[str, int] = {}
    executables: tuple[str, ...] | None = None
    digest: str = ""
