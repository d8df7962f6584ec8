"""Watching a session: calls, processor, memory and hardware events over a few seconds; and its runtime's own profile."""

import ctypes
import errno
import os
import platform
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

from strop_child import clock, memory
from strop_child.session import Session

MOMENTS, LEAST = 20, 3
"""Looks at the memory while it runs, and calls at least: one of a large language model takes many seconds."""
PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}
EVENTS = {"cycles": (0, 0), "instructions": (0, 1), "cache_references": (0, 2), "cache_misses": (0, 3), "page_faults": (1, 2)}
"""Name → (type, number) of linux/perf_event.h: hardware events, and one of software, which is always there."""
NO_SUCH = "this machine has none"
USER_ONLY_INHERITED = 1 << 1 | 1 << 5 | 1 << 6
"""Threads that are started later count too; the kernel and the hypervisor do not."""


class Counters:
    """Hardware events of this process and the threads that it starts from now on. `why_not` where there are none."""

    def __init__(self) -> None:
        self.handles: dict[str, int] = {}
        self.why_not = ""
        number = PERF_EVENT_OPEN.get(platform.machine())
        if not sys.platform.startswith("linux") or number is None:
            self.why_not = "this platform has no perf_event_open"
            return
        library = ctypes.CDLL(None, use_errno=True)
        for name, (kind, config) in EVENTS.items():
            wanted = struct.pack("IIQQQQQ", kind, 64, config, 0, 0, 0, USER_ONLY_INHERITED).ljust(64, b"\0")
            handle = library.syscall(number, wanted, 0, -1, -1, 0)
            if handle >= 0:
                self.handles[name] = handle
            elif not self.why_not:
                error = ctypes.get_errno()
                self.why_not = NO_SUCH if error in (errno.ENOENT, errno.EOPNOTSUPP) else f"{name}: {os.strerror(error)}"

    def read(self) -> dict[str, int]:
        """Counts since the start."""
        return {name: struct.unpack("Q", os.read(handle, 8))[0] for name, handle in self.handles.items()}


def watch(session: Session, counters: Counters, length_s: float, most: int) -> dict[str, Any]:
    """Calls in a row for so long, or so many; memory between them."""
    warmed = session.warm()
    runs = max(LEAST, min(most, round(length_s * 1e9 / max(1, warmed["median_ns"]))))
    looks = min(MOMENTS, runs)
    record: dict[str, Any] = {"latencies_ns": [], "memory": list(session.moments)}
    sums: dict[str, int] = {}
    for _ in range(looks):
        before, events = clock.own_counters(), counters.read()
        begin = time.perf_counter_ns()
        record["latencies_ns"] += calls(session.call, max(1, runs // looks))
        wall = time.perf_counter_ns() - begin
        after = {**clock.own_counters(), **{name: count - events[name] for name, count in counters.read().items()}}
        part = {"wall_ns": wall, **{key: after[key] - before.get(key, 0) for key in after}}
        sums = {key: sums.get(key, 0) + value for key, value in part.items()}
        record["memory"].append(memory.moment(session.begin, "running"))
    own = {key: sums.pop(key) for key in ("wall_ns", "cpu_ns", "voluntary", "involuntary")}
    faults = sums.pop("page_faults", None)
    why = counters.why_not if not sums else ""
    highest = memory.sample()["highest_rss"]
    return {**record, **own, "faults": faults, "counters": sums, "no_counters": why, "highest_rss": highest}


def calls(call: Callable[[int], Any], count: int) -> list[int]:
    """One duration each, nanoseconds."""
    found = []
    for index in range(count):
        begin = time.perf_counter_ns()
        call(index)
        found.append(time.perf_counter_ns() - begin)
    return found


def operators(session: Session, length_s: float, most: int) -> dict[str, Any]:
    """Calls under the runtime's own profiler; the session is one that `work.profile` opened."""
    warmed = session.warm()
    session.runtime.begin()
    most = getattr(session.runtime, "most_calls", most)
    runs = max(LEAST, min(most, round(length_s * 1e9 / max(1, warmed["median_ns"]))))
    durations = sorted(calls(session.call, runs))
    return {"profiled_ns": durations[len(durations) // 2], "operators": session.runtime.operators(runs)}
