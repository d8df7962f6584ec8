"""Who else uses the machine's cores: watched while the model is read, so that it is said in the first seconds of a run."""

import os
import resource
import time
from types import TracebackType
from typing import Self

import psutil

from strop.core.measurement import Company
from strop.core.target import Target

WATCH_S = 0.25
"""Least time that is watched; CPU times come in ticks of 10 ms."""
NAMING_S = 0.2
SPARE = 0.3
"""Of the cores that others leave, this much may be missing to the budget of cores."""
NAMED = 3


def allowed_cpus() -> list[int]:
    """CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(psutil.cpu_count() or 1))


class Watch:
    """CPU time of everybody else over the length of a block, on the CPUs that this process may use.

    others: how many of the `cpus` they kept busy.
    """

    def __init__(self, others: float = 0.0, cpus: int | None = None) -> None:
        self.others, self.cpus = others, cpus or len(allowed_cpus())

    def __enter__(self) -> Self:
        self._begin, self._busy, self._own = time.monotonic(), _busy_seconds(), _own_seconds()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            return
        time.sleep(max(0.0, WATCH_S - (time.monotonic() - self._begin)))
        busy, own, wall = _busy_seconds() - self._busy, _own_seconds() - self._own, time.monotonic() - self._begin
        self.others = max(0.0, busy - own) / wall


def _busy_seconds() -> float:
    """Seconds that the allowed CPUs have worked so far."""
    times = psutil.cpu_times(percpu=True)
    mine = [times[cpu] for cpu in allowed_cpus() if cpu < len(times)]
    return float(sum(t.user + t.system + getattr(t, "nice", 0.0) for t in mine))


def _own_seconds() -> float:
    """CPU seconds of this process and of its children that have ended."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, kinds))


def spare_cpus(seconds: float) -> float:
    """How many of the CPUs others leave free over so many seconds, with some tolerance."""
    with Watch() as watch:
        time.sleep(seconds)
    return watch.cpus - watch.others + SPARE


def company_of(watch: Watch, machine: Target, threads: int | None) -> Company | None:
    """Who keeps the machine busy, and the budget of cores that this leaves; None where others leave enough of them.

    Where the budget is all cores, timing at all of them would measure the neighbors: it falls back to those that are free, to one
    at least.

    Args:
        threads: the user's budget of cores, which is kept as it is.
    """
    free = watch.cpus - watch.others
    if free >= machine.threads - SPARE:
        return None
    fewer = threads is None and machine.threads > 1
    used = max(1, min(machine.threads - 1, int(free + SPARE))) if fewer else machine.threads
    return Company(cores=round(watch.others, 2), processes=busiest(), threads=used, fewer=fewer)


def busiest() -> tuple[str, ...]:
    """The processes that use most CPU right now, with their share of a core: `python3 83 %`."""
    before = _process_seconds()
    time.sleep(NAMING_S)
    used = {key: seconds - before.get(key, seconds) for key, seconds in _process_seconds().items()}
    first = sorted(used, key=lambda key: -used[key])[:NAMED]
    return tuple(f"{name} {used[pid, name] / NAMING_S:.0%}" for pid, name in first if used[pid, name] > NAMING_S / 10)


def _process_seconds() -> dict[tuple[int, str], float]:
    found = {}
    for process in psutil.process_iter(["name", "cpu_times"]):
        times = process.info["cpu_times"]
        if times is not None and process.pid != os.getpid():
            found[process.pid, _shown(process.info["name"])] = times.user + times.system
    return found


def _shown(name: str | None) -> str:
    return "".join(c if c.isprintable() else "?" for c in name or "?")[:32]
