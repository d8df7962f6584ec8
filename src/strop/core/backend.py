"""`Backend`: what a framework tells the parent about itself, without the framework being imported."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from strop.core.model import Model
from strop.core.noun import Scalar
from strop.core.recipe import Offer, Recipe
from strop.core.target import Target
from strop.core.task import Task


def without_extra(package: str) -> str:
    """The distribution of a requirement: `mlx[cpu]` is installed as `mlx`."""
    return package.partition("[")[0]


def never_spins(_settings: dict[str, Scalar]) -> bool:
    """For a runtime whose idle threads sleep."""
    return False


def adopts_nothing(_recipe: Recipe, _model: Model, _target: Target) -> Sequence[Offer]:
    """For a runtime that runs what its own recipes make."""
    return ()


def no_variants(_settings: dict[str, Scalar], _target: Target) -> Mapping[str, dict[str, Scalar]]:
    """For a runtime whose settings are not searched."""
    return {}


def serves_one(_settings: dict[str, Scalar], _target: Target, _streams: int) -> None:
    """For a runtime without settings for several requests at once."""
    return


def cannot_imitate(_target: Target) -> dict[str, str] | None:
    """For a runtime whose instruction sets cannot be limited."""
    return None


@dataclass(frozen=True)
class Backend:
    """A framework's parent side; `work` is its child side, whose folder is a package there.

    reads: file suffix → artifact kind that `work.inspect` understands; a suffix `/name` is a folder that holds that file.
    exports: the kind that `work.examine` and `work.export` make of what it reads; None: it runs what it reads.
    runs: artifact kinds that `work.open` runs.
    packages: distributions whose versions enter every build key.
    runtime_packages: what a bundle needs to run, beside Python; `name[extra]` where an extra brings it.
    runner: a file that needs only the runtime and numpy, with `open(path, settings)`; it is copied into the
        bundle, and `work.open` goes through the same file, so that what is measured is what is shipped. None for a
        backend that only builds.
    offer: pure; the recipes considered, safest first, each with its reason.
    spins: whether a session with these settings burns CPU while idle (it is then stopped between its blocks).
    takes_all_cores: whether a session without a `threads` setting uses every core it may.
    builds: artifact kinds that its steps consume, where it does not run them.
    requirements: pinned packages of an environment of its own, made by `strop backends install`; None: it lives in
        Strop's own. Paragraphs are installed one after another.
    family: of the models that it reads, by the name of an entry point in `strop.families`.
    environment: the backend whose environment it shares.
    libraries: a folder of its environment that a bundle takes along; empty where pip brings all. `libraries_variable` names an
        environment variable by which a user has another folder taken in its place.
    fetch: a script that the environment's Python runs once it is made, for what pip does not carry.
    adopt: pure; another backend's candidate as this runtime would run it, under one or several settings, or not at all.
    variants: pure; the same artifact under other settings worth a try, by a short name.
    serve: pure; the same settings for so many requests at once, which share the target's threads; None where it has none. A
        setting `streams` is how many sessions are opened side by side, unless a session has `fork`.
    imitate: pure; environment variables under which the runtime uses no more instruction sets than the target has; None where
        there are none.
    compiles_shapes: whether sessions that are compiled for fixed shapes are faster, by the setting `shapes`: every recipe on the
        CPU then has it where shapes are fixed, and for texts a few compiled lengths are tried. Such sessions have `fork`.
    merges: whether `work.merge` can put a LoRA adapter into a model that it reads.
    hidden: whether it is for tests only and left out of what users are shown.
    moves_batch: whether `work.batch_first` can put the examples along the first axis of a model that it reads.
    """

    name: str
    work: Path
    runner: Path | None
    runs: tuple[str, ...]
    offer: Callable[[Model, Target, Task], Sequence[Offer]]
    reads: tuple[tuple[str, str], ...] = ()
    packages: tuple[str, ...] = ()
    runtime_packages: tuple[str, ...] = ()
    spins: Callable[[dict[str, Scalar]], bool] = never_spins
    exports: str | None = None
    takes_all_cores: bool = False
    builds: tuple[str, ...] = ()
    requirements: Path | None = None
    family: str = "tensor"
    environment: str = ""
    fetch: Path | None = None
    libraries: str = ""
    libraries_variable: str = ""
    adopt: Callable[[Recipe, Model, Target], Sequence[Offer]] = adopts_nothing
    variants: Callable[[dict[str, Scalar], Target], Mapping[str, dict[str, Scalar]]] = no_variants
    serve: Callable[[dict[str, Scalar], Target, int], dict[str, Scalar] | None] = serves_one
    imitate: Callable[[Target], dict[str, str] | None] = cannot_imitate
    merges: bool = False
    moves_batch: bool = False
    compiles_shapes: bool = False
    hidden: bool = False

    @property
    def consumes(self) -> tuple[str, ...]:
        """Artifact kinds that it runs or builds from."""
        return (*self.runs, *self.builds)
