"""`Backend`: what a framework tells the parent about itself, without the framework being imported."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from strop.core.model import Model
from strop.core.noun import Scalar
from strop.core.recipe import Offer
from strop.core.target import Target
from strop.core.task import Task


def never_spins(_settings: dict[str, Scalar]) -> bool:
    """For a runtime whose idle threads sleep."""
    return False


@dataclass(frozen=True)
class Backend:
    """A framework's parent side; `work` is its child side, run by path.

    reads: file suffix → artifact kind that `work.inspect` understands.
    runs: artifact kinds that `work.open` runs.
    packages: distributions whose versions enter every build key.
    runtime_packages: what a bundle needs to run, beside Python.
    runner: a file that needs only the runtime and numpy, with `open(path, settings)`; it is copied into the
        bundle, and `work.open` goes through the same file, so that what is measured is what is shipped.
    offer: pure; the recipes considered, safest first, each with its reason.
    spins: whether a session with these settings burns CPU while idle (it is then stopped between its blocks).
    """

    name: str
    work: Path
    runner: Path
    runs: tuple[str, ...]
    offer: Callable[[Model, Target, Task], Sequence[Offer]]
    reads: tuple[tuple[str, str], ...] = ()
    packages: tuple[str, ...] = ()
    runtime_packages: tuple[str, ...] = ()
    spins: Callable[[dict[str, Scalar]], bool] = never_spins
