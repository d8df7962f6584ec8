"""One run in progress: the request, where things are kept, what time is left, and who is told about progress."""

import contextlib
import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

from strop.core.backend import Backend
from strop.core.errors import BackendError
from strop.core.events import Event, Observer
from strop.core.measurement import Company
from strop.core.recipe import Recipe
from strop.core.target import Target
from strop.core.verdict import Gate
from strop.run.budget import Budget
from strop.run.builders import Builders
from strop.run.family import Family
from strop.run.place import Place
from strop.run.quiet import Quiet
from strop.run.request import Request
from strop.store.store import RunFolder, Store
from strop.worker.call import Limits, waiting

T = TypeVar("T")
MEMORY_SHARE = 0.8
"""Of the memory that is free when a child starts, this much may be its own."""


@dataclass(frozen=True, eq=False)
class Run:
    """What every stage is given. Stages return values; what grows here are records of the run itself: time spent, remarks for
    the report (`kept`), builders, and, by `recall`, what does not change during a run.

    `budget` counts from the start of the command. `family` is that of the model. `company` is who else used the machine when the
    run began.
    """

    request: Request
    store: Store
    folder: RunFolder
    backends: dict[str, Backend]
    place: Place
    observer: Observer
    budget: Budget
    family: Family
    builders: Builders = field(default_factory=Builders)
    company: Company | None = None
    timing: dict[str, float] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    quiet: Quiet = field(default_factory=Quiet)
    _waited_before: float = field(default_factory=lambda: waiting.seconds)
    _recalled: dict[Hashable, Any] = field(default_factory=dict)

    def recall(self, key: Hashable, find: Callable[[], T]) -> T:
        """What does not change during a run, found once: the rest of the run is estimated many times."""
        if key not in self._recalled:
            self._recalled[key] = find()
        return cast("T", self._recalled[key])

    @cached_property
    def gates(self) -> tuple[Gate, ...]:
        """Those of the request, with what the family adds."""
        return self.family.gates(self.request)

    @property
    def target(self) -> Target:
        """The device that the run is for."""
        return self.place.target

    def emit(self, event: Event, **details: Any) -> None:
        """To the journal, synced, then to whoever watches."""
        self.folder.event(event, **details)
        self.observer(event, details)

    def tell(self, event: Event, **details: Any) -> None:
        """To whoever watches, not to the journal."""
        self.observer(event, details)

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
        own = max(0.0, total - (waiting.seconds - self._waited_before))
        return {**{k: round(v, 3) for k, v in self.timing.items()}, "total": round(total, 3), "parent": round(own, 3)}

    def backend(self, name: str) -> Backend:
        if name not in self.backends:
            raise BackendError(f"no backend {name!r} is installed", "`strop backends` lists them")
        return self.backends[name]

    def limits(self, seconds: float | None = None, session: bool = False, among: int = 1) -> Limits:
        """For one child: wall-clock per request and by the budget, and memory by the user's word or by what is free now.

        Args:
            session: whether it stands for the target, and is held to its memory; a build is not.
            among: how many run side by side; each has its share of what is free.
        """
        asked = self.request.memory_limit_mb
        memory = asked * 1_000_000 if asked else int(self.place.host.free_memory() * MEMORY_SHARE / among)
        return Limits(
            seconds if seconds is not None else self.request.time_limit_s,
            self.place.memory(memory) if session else memory,
            self.budget.deadline,
        )

    def log(self, recipe: Recipe) -> Path:
        return self.folder.candidate(recipe.name) / "log.txt"

    def note(self, text: str, first: bool = False) -> None:
        """A remark for the report; `first`: before all others so far."""
        if text not in self.kept:
            self.kept.insert(0 if first else len(self.kept), text)
