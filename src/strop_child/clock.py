"""The clock. A backend never reports its own latency: every duration in Strop is taken here. Stdlib only."""

import gc
import glob
import os
import time
from collections.abc import Callable
from typing import Any


def _first_number(path: str, line: str, column: int) -> int | None:
    try:
        with open(path) as f:
            for text in f:
                if text.startswith(line):
                    return int(text.split()[column].rpartition("=")[2])
    except (OSError, ValueError, IndexError):
        return None
    return None


def machine_counters(energy_root: str = "/sys/class/powercap") -> dict[str, int | None]:
    """The machine's steal, pressure and energy counters (None: no such)."""
    return {
        "steal": _first_number("/proc/stat", "cpu ", 8),
        "pressure": _first_number("/proc/pressure/cpu", "some", 4),
        "energy": package_energy(energy_root),
        "throttled": throttled_us(),
    }


def waited(tasks: str = "/proc/self/task") -> dict[str, tuple[int, int]] | None:
    """Of each thread: nanoseconds on a CPU, and nanoseconds that it was ready to run but waited for one.

    None where the kernel keeps no `schedstat` (other systems, some sandboxes).
    """
    found = {}
    try:
        for task in os.listdir(tasks):
            try:
                with open(os.path.join(tasks, task, "schedstat")) as f:
                    ran, delay = f.read().split()[:2]
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended meanwhile, or nothing is counted here
            found[task] = int(ran), int(delay)
    except (OSError, ValueError):
        return None
    return found if any(ran for ran, _ in found.values()) else None


def delay_between(before: dict[str, tuple[int, int]] | None, after: dict[str, tuple[int, int]] | None) -> int | None:
    """Nanoseconds that threads waited for a CPU between two readings; a thread that began meanwhile counts whole."""
    if before is None or after is None:
        return None
    return sum(delay - before.get(task, (0, 0))[1] for task, (_, delay) in after.items())


def throttle_file(groups: str = "/proc/self/cgroup", root: str = "/sys/fs/cgroup") -> str | None:
    """The `cpu.stat` of this process's control group (version 2, or the `cpu` controller of version 1), or None."""
    try:
        with open(groups) as f:
            lines = [line.rstrip("\n").split(":", 2) for line in f]
    except OSError:
        return None
    for _, controllers, path in lines:
        if not controllers or "cpu" in controllers.split(","):
            file = os.path.join(root, "cpu" if controllers else "", path.strip("/"), "cpu.stat")
            if os.access(file, os.R_OK):
                return file
    return None


THROTTLE_FILE = throttle_file()


def throttled_us(path: str | None = THROTTLE_FILE) -> int | None:
    """Microseconds that the control group's CPU quota has held its tasks back, so far."""
    if path is None:
        return None
    found = _first_number(path, "throttled_usec", 1)
    if found is not None:
        return found
    nanoseconds = _first_number(path, "throttled_time", 1)
    return None if nanoseconds is None else nanoseconds // 1000


def own_counters() -> dict[str, int]:
    """This process's CPU time and context switches."""
    switches = (0, 0)
    try:
        import resource

        usage = resource.getrusage(resource.RUSAGE_SELF)
        switches = (usage.ru_nvcsw, usage.ru_nivcsw)
    except ImportError:
        pass
    return {"cpu_ns": time.process_time_ns(), "voluntary": switches[0], "involuntary": switches[1]}


def package_energy(root: str = "/sys/class/powercap") -> int | None:
    """Sum of the RAPL packages' counters in microjoules, or None where they cannot be read."""
    total, found = 0, False
    for path in glob.glob(os.path.join(root, "intel-rapl:[0-9]*", "energy_uj")):
        if path.split(os.sep)[-2].count(":") > 1:
            continue  # a part of a package (its cores, its memory), which the package's counter holds already
        try:
            with open(path) as f:
                total, found = total + int(f.read()), True
        except (OSError, ValueError):
            return None
    return total if found else None


def _difference(before: dict[str, Any], after: dict[str, Any], key: str, scale: float = 1) -> float | None:
    return None if before[key] is None or after[key] is None else (after[key] - before[key]) * scale


class Counted:
    """What this process and the machine had used at one moment; `since` says what they have used from then on."""

    def __init__(self) -> None:
        self.machine, self.queued, self.own = machine_counters(), waited(), own_counters()

    def since(self) -> dict[str, Any]:
        """The counters of a block's record, in the units of `Block`; None where the platform has no such counter."""
        own, queued, machine = own_counters(), waited(), machine_counters()
        ticks = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
        energy = _difference(self.machine, machine, "energy")
        return {
            **{key: own[key] - self.own[key] for key in own},
            "steal_ms": _difference(self.machine, machine, "steal", 1000 / ticks),
            "pressure_us": _difference(self.machine, machine, "pressure"),
            "delay_ns": delay_between(self.queued, queued),
            "throttled_us": _difference(self.machine, machine, "throttled"),
            "energy_uj": energy if energy is None or energy >= 0 else None,
        }


LEAD_NS = 1_000_000


def block(
    call: Callable[[int], Any], first: int, runs: int, lead: Callable[[int], Any] | None = None
) -> tuple[dict[str, Any], Any, int]:
    """Run `call(i)` from i = first on: some untimed calls, which find the caches and sleeping threads that the other
    process left (at least one, at most a millisecond of them), then `runs` timed ones.

    Args:
        lead: an untimed call, where a whole one would take long.
    Returns:
        The record of the block, the last output and the index it belongs to.
    """
    clock, lead = time.perf_counter_ns, lead or call
    gc.collect()
    gc.disable()
    try:
        index, start = first, clock()
        output = lead(index)
        while clock() - start < LEAD_NS:
            index += 1
            output = lead(index)
        counted, begin, latencies = Counted(), clock(), []
        for _ in range(runs):
            index += 1
            start = clock()
            output = call(index)
            latencies.append(clock() - start)
        wall = clock() - begin
        record = counted.since()
    finally:
        gc.enable()
    record.update(latencies_ns=latencies, wall_ns=wall)
    return record, output, index


def warm(call: Callable[[int], Any], cap_s: float = 3.0, chunk_s: float = 0.02, least: int = 3) -> tuple[int, int]:
    """Run until a plateau: the median of a chunk of runs no longer falls by more than 2 % for three chunks on end.

    Args:
        least: runs in a chunk at least.

    Returns (runs, median of the last chunk in ns).
    """
    latencies: list[int]
    best: int | None
    clock, runs, still, best = time.perf_counter_ns, 0, 0, None
    deadline = clock() + int(cap_s * 1e9)
    while True:
        latencies, begin = [], clock()
        while len(latencies) < least or clock() - begin < chunk_s * 1e9:
            start = clock()
            call(runs)
            latencies.append(clock() - start)
            runs += 1
        middle = sorted(latencies)[len(latencies) // 2]
        still = still + 1 if best is not None and middle > 0.98 * best else 0
        best = middle if best is None else min(best, middle)
        if still >= 3 or clock() > deadline:
            settle()
            return runs, middle


def settle() -> None:
    """All objects there are leave the garbage collector's sight: what it does before each block then takes microseconds."""
    gc.collect()
    gc.freeze()
