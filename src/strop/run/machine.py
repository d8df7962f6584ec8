"""What this machine is: the target of this release, and the environment that every figure carries."""

import hashlib
import os
import platform
import sys
from pathlib import Path

import psutil

from strop import __version__
from strop.core.backend import Backend
from strop.core.errors import UsageError
from strop.core.measurement import Environment
from strop.core.target import Target
from strop.worker.interpreter import versions_of


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return None


def cpu_info() -> tuple[str, tuple[str, ...]]:
    """Model name and instruction-set flags."""
    name, flags = platform.processor() or platform.machine(), ""
    for line in (_read("/proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Processor"):
            name = value.strip()
        elif key.strip() in ("flags", "Features"):
            flags = value
            break
    return name, tuple(sorted(flags.split()))


def quota() -> float | None:
    """The container's CPU quota in cores (cgroup v2, then v1), or None."""
    text = _read("/sys/fs/cgroup/cpu.max")
    if text is not None and not text.startswith("max"):
        used, period = text.split()
        return int(used) / int(period)
    used_v1, period_v1 = _read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), _read("/sys/fs/cgroup/cpu/cpu.cfs_period_us")
    return int(used_v1) / int(period_v1) if used_v1 and period_v1 and int(used_v1) > 0 else None


def memory_limit() -> int:
    """Bytes of memory this process may use: the container's limit or the machine's memory."""
    limits = [psutil.virtual_memory().total]
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        text = _read(path)
        if text is not None and text.isdigit():
            limits.append(int(text))
    return int(min(limits))


def this_machine(threads: int | None = None) -> Target:
    """The target.

    Args:
        threads: the user's budget of cores; None takes all that affinity and quota allow.

    Raises:
        UsageError: more threads than there are cores to run them.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    allowed = max(1, min(affinity, int(quota() or affinity)))
    if threads is not None and not 1 <= threads <= allowed:
        raise UsageError(f"--threads {threads}: this machine has a budget of {allowed} core(s)", f"give 1 to {allowed}")
    cpu, flags = cpu_info()
    identity = _read("/etc/machine-id") or platform.node()
    boot = hashlib.sha256(f"{identity}|{cpu}|{' '.join(flags)}|{affinity}".encode()).hexdigest()[:12]
    return Target(
        host=boot, os=platform.system(), kernel=platform.release(), machine=platform.machine(), cpu=cpu,
        cpu_flags=flags, cores=allowed, threads=threads or allowed, memory_bytes=memory_limit(),
        python=platform.python_version(),
    )  # fmt: skip


def package_versions(backends: list[Backend]) -> dict[str, str]:
    """Installed versions of the packages that the backends name; `backend/package` where a backend has its own environment."""
    found = {}
    for backend in backends:
        names = sorted({*backend.packages, *backend.runtime_packages})
        prefix = f"{backend.name}/" if backend.requirements is not None else ""
        found.update({prefix + package: number for package, number in versions_of(backend, names).items()})
    return dict(sorted(found.items()))


def environment(target: Target, backends: list[Backend], seed: int) -> Environment:
    """What every figure carries."""
    linux = sys.platform.startswith("linux")
    there = {True: "measured", False: f"not measured: no such counter on {target.os}"}
    pressure = _read("/proc/pressure/cpu") is not None
    rapl = any(os.access(p, os.R_OK) for p in Path("/sys/class/powercap").glob("intel-rapl:[0-9]*/energy_uj"))
    return Environment(
        host=target.host, os=target.os, kernel=target.kernel, cpu=target.cpu, cpu_flags=target.cpu_flags,
        cores=target.cores, threads=target.threads, memory_bytes=target.memory_bytes, python=target.python,
        strop=__version__, versions=package_versions(backends), seed=seed,
        governor=_read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or "unknown",
        counters={
            "steal": there[linux],
            "pressure": there[True] if pressure else "not measured: no /proc/pressure/cpu here",
            "private memory": there[linux],
            "energy": there[True] if rapl else "not measured: no readable RAPL counter here",
        },
    )  # fmt: skip
