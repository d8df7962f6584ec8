"""One run in progress: the request, where things are kept, what time is left, and who is told about progress."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from strop.core.backend import Backend
from strop.core.errors import BackendError, WorkerTimeout
from strop.core.inspection import Advice
from strop.core.measurement import Company
from strop.core.recipe import Recipe
from strop.core.target import Target
from strop.core.verdict import Gate
from strop.run.place import Place
from strop.run.request import Request
from strop.store.store import RunFolder, Store
from strop.worker.call import Child, Limits, Waiting
from strop.worker.interpreter import work_of

Observer = Callable[[str, dict[str, Any]], None]
MEMORY_SHARE = 0.8
"""Of the memory that is free when a child starts, this much may be its own."""
CONFIRM_SHARE, MOST_CONFIRM_SHARE = 0.25, 0.5
PACK_S = 5.0
"""Kept for judging, packing and writing the report."""


def nobody(_event: str, _details: dict[str, Any]) -> None:
    """The observer of a run that nobody watches."""


class Budget:
    """Seconds for the whole run, or none. A quarter is kept for the confirmation, or more where it is known to need it."""

    def __init__(self, total: float | None) -> None:
        self.total = total
        self.start = time.monotonic()
        self.kept = CONFIRM_SHARE * (total or 0.0)

    @property
    def spent(self) -> float:
        return time.monotonic() - self.start

    def left(self) -> float:
        """Until the end, less what packing takes."""
        return float("inf") if self.total is None else max(0.0, self.total - PACK_S - self.spent)

    def keep(self, seconds: float) -> None:
        """So many seconds for the confirmation, at most half of what there is."""
        self.kept = max(self.kept, min(seconds, MOST_CONFIRM_SHARE * (self.total or 0.0)))

    def left_for_search(self) -> float:
        return float("inf") if self.total is None else max(0.0, self.left() - self.kept)


class Run:
    """What every stage is given. Frozen in spirit: stages return values and keep nothing here but time spent."""

    def __init__(self, request: Request, store: Store, folder: RunFolder, backends: dict[str, Backend], place: Place,
                 observer: Observer) -> None:  # fmt: skip
        self.request, self.store, self.folder = request, store, folder
        self.backends, self.place, self._observer = backends, place, observer
        self.budget = Budget(request.budget_s)
        self.timing: dict[str, float] = {}
        self._waited_before = Waiting.seconds
        self.kept: list[str] = []
        self.advice: Advice | None = None
        self.gates: tuple[Gate, ...] = request.gates
        self.company: Company | None = None

    @property
    def target(self) -> Target:
        """The device that the run is for."""
        return self.place.target

    def emit(self, event: str, **details: Any) -> None:
        """To the journal, synced, then to whoever watches."""
        self.folder.event(event, **details)
        self._observer(event, details)

    def tell(self, event: str, **details: Any) -> None:
        """To whoever watches, not to the journal."""
        self._observer(event, details)

    @contextlib.contextmanager
    def spending(self, phase: str) -> Iterator[None]:
        """Adds the time of the block to `timing[phase]`."""
        begin = time.monotonic()
        try:
            yield
        finally:
            self.timing[phase] = self.timing.get(phase, 0.0) + time.monotonic() - begin

    def spent(self) -> dict[str, float]:
        """Seconds by phase, the whole, and the parent's own: what was not spent waiting for a child."""
        total = self.budget.spent
        own = max(0.0, total - (Waiting.seconds - self._waited_before))
        return {**{k: round(v, 3) for k, v in self.timing.items()}, "total": round(total, 3), "parent": round(own, 3)}

    def backend(self, name: str) -> Backend:
        if name not in self.backends:
            raise BackendError(f"no backend {name!r} is installed", "`strop backends` lists them")
        return self.backends[name]

    def limits(self, seconds: float | None = None, session: bool = False) -> Limits:
        """For one child: wall-clock per request, and memory by the user's word or by what is free now.

        Args:
            session: whether it stands for the target, and is held to its memory; a build is not.
        """
        asked = self.request.memory_limit_mb
        memory = asked * 1_000_000 if asked else int(psutil.virtual_memory().available * MEMORY_SHARE)
        return Limits(
            seconds if seconds is not None else self.request.time_limit_s, self.place.memory(memory) if session else memory
        )

    def child(self, backend: Backend, log: Path, seconds: float | None = None) -> Child:
        return Child(work_of(backend), log, self.limits(seconds))

    def ended_by_budget(self, error: WorkerTimeout, doing: str) -> WorkerTimeout:
        """The same timeout, saying so where it was the budget that ended it."""
        if self.budget.left_for_search() > 0:
            return error
        return WorkerTimeout(f"the budget ended while it was {doing}", log_tail=error.log_tail)

    def log(self, recipe: Recipe) -> Path:
        return self.folder.candidate(recipe.name) / "log.txt"

    def note(self, text: str) -> None:
        """A remark for the report."""
        if text not in self.kept:
            self.kept.append(text)
