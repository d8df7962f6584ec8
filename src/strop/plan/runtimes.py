"""How much memory a runtime takes by itself, from measurements (`runtimes.toml`). Pure but for reading that file."""

import tomllib
from functools import cache
from importlib.resources import files

from strop.core.inspection import RuntimeShare
from strop.core.noun import Noun


class Measured(Noun):
    """An entry of the file: MB without a model, the range over so many processes, and for which families of models."""

    framework: str
    families: tuple[str, ...]
    mb: float
    range: tuple[float, float]
    processes: int


@cache
def measured() -> tuple[Measured, ...]:
    """The shipped figures, the smallest first."""
    text = files("strop.plan").joinpath("runtimes.toml").read_text(encoding="utf-8")
    found = (Measured.model_validate(entry) for entry in tomllib.loads(text)["runtime"])
    return tuple(sorted(found, key=lambda one: one.mb))


def runtime_shares(family: str) -> tuple[RuntimeShare, ...]:
    """What the runtimes for a family of models take beside the model, the smallest first.

    Example:
        >>> [share.framework for share in runtime_shares("tensor")]
        ['onnxruntime', 'openvino']
    """
    return tuple(RuntimeShare(framework=one.framework, mb=one.mb) for one in measured() if family in one.families)
