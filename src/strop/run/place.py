"""Where a run's sessions run, and for which device: the seam behind which a machine that is far away can stand."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from strop.core.backend import Backend
from strop.core.noun import Scalar
from strop.core.recipe import Recipe
from strop.core.target import Target
from strop.run.host import HERE, Host
from strop.worker.call import Limits, Work
from strop.worker.interpreter import work_of
from strop.worker.process import Process


class Place(NamedTuple):
    """`machine` runs the sessions, by way of `host`; `target` is the device they stand for.

    `imitation` holds, per backend that can, the environment variables that hold it to the target's instruction sets; empty where
    the target is this machine, or is none that this machine could be held to.
    """

    machine: Target
    target: Target
    imitation: Mapping[str, Mapping[str, str]] = {}
    host: Host = HERE

    @property
    def kind(self) -> Literal["here", "imitated", "elsewhere"]:
        if self.target.here:
            return "here"
        return "imitated" if self.imitation else "elsewhere"

    @property
    def why_unmeasured(self) -> str:
        """Why a speed, memory or energy that is taken here says nothing about the target."""
        return f"unmeasured on target {self.target.name}: it is not this machine"

    def open(self, work: Work, log: Path, limits: Limits, cores: Sequence[int] = ()) -> Process:
        """A child of this place, which loads a work module.

        Args:
            cores: CPUs it may run on; empty: any.

        Raises:
            WorkerMissing: its Python is not there.
        """
        return self.host.open(work, log, limits, cores)

    def work_of(self, backend: Backend) -> Work:
        """A backend's child side, held to the target's instruction sets where it can be.

        Raises:
            WorkerMissing: the backend has no environment here.
        """
        return work_of(backend)._replace(environment=tuple(sorted(self.imitation.get(backend.name, {}).items())))

    def settings(self, settings: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """A recipe's settings as they are run here: no more threads than this machine has."""
        threads = settings.get("threads")
        most = self.machine.threads
        return {**settings, "threads": min(int(threads), most)} if threads is not None else dict(settings)

    def memory(self, limit: int) -> int:
        """A child's memory: no more than an imitated target has."""
        return min(limit, self.target.memory_bytes or limit) if self.imitation else limit

    def why_not_carried(self, recipe: Recipe, given: str = "fp32") -> str:
        """Why a candidate's accuracy that is taken here may differ on the target; empty where it carries over.

        Floating-point answers differ by rounding only. Integer answers are alike wherever 8-bit products are summed in 32 bits.

        Args:
            given: precision of the given model, which may compute in integers already.
        """
        there, here = self.target, self.machine
        integers = recipe.integers or given == "int8"
        if there.here or not integers or recipe.reduced_range or recipe.runtime in self.imitation:
            return ""
        if there.dots_int8 is None:
            return f"the instruction sets of {there.name} are not known, and with them how it sums 8-bit products"
        if here.dots_int8 == there.dots_int8:
            return ""
        exact, other = ("this machine", there.name) if here.dots_int8 else (there.name, "this machine")
        return f"{exact} sums 8-bit products in 32 bits, {other} in 16, which saturates"

    @property
    def held(self) -> str:
        """What this machine is held to, in words."""
        cores, memory = self.target.cores, self.target.memory_bytes
        parts = [f"the instruction sets of {self.target.name} ({', '.join(self.imitation)})"]
        parts += [f"{cores} core(s)"] if cores is not None and cores <= self.machine.threads else []
        parts += ["its memory"] if memory is not None and memory < (self.machine.memory_bytes or 0) else []
        return ", ".join(parts)


def place_for(machine: Target, target: Target, backends: Mapping[str, Backend]) -> Place:
    """The place for a target; held to it where its instruction sets are known and among this machine's."""
    if target.here:
        return Place(target, target)
    lesser = bool(target.instructions) and target.architecture == machine.architecture and machine.has(*target.instructions)
    held = {name: found for name, b in backends.items() if (found := b.imitate(target)) is not None} if lesser else {}
    return Place(machine, target, held)
