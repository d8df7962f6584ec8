"""A child process as those who use it see it, wherever it runs."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from strop.worker.call import Limits


class Process(Protocol):
    """Something that loads a work module and answers one request after another. `worker.call.Child` is one on this machine.

    As a context manager it is closed when left. stopped: whether it is paused. spent: whether a step changed it, so that it must
    not be asked again.
    """

    stopped: bool
    spent: bool

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...

    def ask(self, verb: str, seconds: float | None = None, **arguments: Any) -> dict[str, Any]:
        """One request, one answer.

        Raises:
            WorkerCrash, WorkerTimeout, WorkerMemory, WorkerFailure: what became of it.
            BudgetError: the deadline came first. OutputError: the disk is full.
        """

    def post(self, verb: str, **arguments: Any) -> None:
        """A request whose answer is collected later."""

    def collect(self, seconds: float | None = None) -> dict[str, Any]:
        """The answer to the last request; raises as `ask`."""

    def call(self, function: str, seconds: float | None = None, **arguments: Any) -> Any:
        """A function of the work module; raises as `ask`."""

    def step(self, log: Path, limits: Limits, seed: int, fork: bool, **arguments: Any) -> Any:
        """`build` of the work module, with a log, a scratch folder and limits of its own; raises as `ask`."""

    def started(self) -> None:
        """Waits until the work module is loaded."""

    def pin(self, cores: Sequence[int]) -> None:
        """Keeps it, and all threads that it has or will have, to these CPUs, where the platform can."""

    def pause(self) -> None:
        """Takes the CPU from it."""

    def resume(self) -> None:
        """Gives it back."""

    def cpu_ns(self) -> int | None:
        """Nanoseconds that its threads have run so far; None where the platform does not say."""

    def resident_bytes(self) -> int:
        """Memory that it holds; 0 once it is gone."""

    def log_tail(self) -> str:
        """The last lines it wrote."""

    def kill(self) -> None:
        """Ends it at once; whoever waits for an answer in another thread is told."""

    def close(self) -> None:
        """Ends it, and removes what it leaves."""
