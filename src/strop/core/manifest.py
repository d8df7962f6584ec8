"""`Manifest`: what a bundle says of itself."""

from typing import Any, Literal

from strop.core.model import TensorSpec
from strop.core.noun import Noun, Scalar
from strop.core.recipe import Recipe
from strop.core.task import Workload
from strop.core.verdict import GateResult


class Manifest(Noun):
    """`files` holds the SHA-256 of every file but the manifest; `digest` that of the manifest without itself."""

    strop: str
    outcome: Literal["chosen", "provisional"]
    model: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    preprocessing: tuple[str, ...]
    workload: Workload
    recipe: Recipe
    settings: dict[str, Scalar]
    source: dict[str, str | int]
    versions: dict[str, str]
    measurements: dict[str, Any]
    gates: tuple[GateResult, ...]
    environment: dict[str, Any]
    files: dict[str, str]
    digest: str = ""
