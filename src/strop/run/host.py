"""The machine that children run on: the one door to a process, and what must be known to run several fairly on it.

What stands above asks a `Host` and knows neither affinity nor memory of the machine itself, so that another one can stand behind.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import psutil

from strop.run import hardware
from strop.worker.call import Child, Limits, Work
from strop.worker.process import Process


class Host(Protocol):
    """Where children run."""

    def open(self, work: Work, log: Path, limits: Limits, cores: Sequence[int] = ()) -> Process:
        """A child that loads a work module; the answer to that is awaited with the first request.

        Args:
            cores: CPUs it may run on; empty: any.

        Raises:
            WorkerMissing: its Python is not there.
        """

    def cpus(self) -> list[int]:
        """CPUs that processes may be pinned to; empty where they cannot be pinned."""

    def cpu_use(self, seconds: float) -> dict[int, float]:
        """CPU → the share of it that is used over so many seconds."""

    def free_memory(self) -> int:
        """Bytes that a process may still have: what is free on the machine now, and within a container's limit."""


class ThisMachine:
    """The machine that Strop runs on."""

    def open(self, work: Work, log: Path, limits: Limits, cores: Sequence[int] = ()) -> Process:
        return Child(work, log, limits, cores)

    def cpus(self) -> list[int]:
        return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []

    def cpu_use(self, seconds: float) -> dict[int, float]:
        return {cpu: used / 100 for cpu, used in enumerate(psutil.cpu_percent(seconds, percpu=True))}

    def free_memory(self) -> int:
        return hardware.free_memory()


HERE: Host = ThisMachine()
"""Where models and environments are looked at, and where a run's sessions run unless its place says otherwise."""
