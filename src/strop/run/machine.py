"""This machine as a target, and the environment that every figure carries."""

import hashlib
import os
import platform
import sys
from functools import cache
from pathlib import Path

from strop import __version__
from strop.core.backend import Backend, without_extra
from strop.core.errors import UsageError
from strop.core.measurement import Environment
from strop.core.target import THIS, Power, Target, instruction_sets
from strop.run import hardware
from strop.worker.interpreter import versions_of


@cache
def hardware_id() -> str:
    """The same on every call on this machine, and in every container on it: its CPU, and how much of it this process may use."""
    cpu = hardware.cpu()
    text = f"{platform.machine()}|{cpu.model}|{' '.join(cpu.flags)}|{hardware.affinity()}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def this_machine(threads: int | None = None) -> Target:
    """The machine that Strop runs on, within the limits that affinity and control groups set; accelerators left out.

    Args:
        threads: the user's budget of cores; None takes all that affinity and quota allow.

    Raises:
        UsageError: more threads than there are cores to run them.
    """
    affinity = hardware.affinity()
    allowed = max(1, min(affinity, int(hardware.quota() or affinity)))
    if threads is not None and not 1 <= threads <= allowed:
        raise UsageError(f"--threads {threads}: this machine has a budget of {allowed} core(s)", f"give 1 to {allowed}")
    cpu = hardware.cpu()
    return Target(
        title=platform.node() or THIS, kind="this machine", host=hardware_id(), os=platform.system(), kernel=platform.release(),
        architecture=platform.machine(), cpu=cpu.model, cpu_vendor=cpu.vendor, cpu_flags=cpu.flags,
        instructions=instruction_sets(cpu.flags), cores=allowed, threads=threads or allowed, clock_hz=hardware.clock(),
        caches=hardware.caches(), memory_bytes=hardware.memory_limit(), storage_bytes=hardware.free_storage(),
        power=Power(budget_w=hardware.power_budget(), battery=hardware.battery()),
        container=hardware.container(), virtual=hardware.virtual(cpu.flags), reach="local", python=platform.python_version(),
    )  # fmt: skip


def package_versions(backends: list[Backend]) -> dict[str, str]:
    """Installed versions of the packages that the backends name; `backend/package` where a backend has its own environment."""
    found = {}
    for backend in backends:
        names = sorted({without_extra(p) for p in (*backend.packages, *backend.runtime_packages)})
        prefix = f"{backend.name}/" if backend.requirements is not None else ""
        found.update({prefix + package: number for package, number in versions_of(backend, names).items()})
    return dict(sorted(found.items()))


def environment(target: Target, backends: list[Backend], seed: int) -> Environment:
    """What every figure carries."""
    linux = sys.platform.startswith("linux")
    there = {True: "measured", False: f"not measured: no such counter on {target.os}"}
    pressure = hardware.read("/proc/pressure/cpu") is not None
    rapl = any(os.access(p, os.R_OK) for p in Path("/sys/class/powercap").glob("intel-rapl:[0-9]*/energy_uj"))
    return Environment(
        host=target.host, os=target.os, kernel=target.kernel, cpu=target.cpu, cpu_flags=target.cpu_flags,
        cores=target.cores or 1, threads=target.threads, memory_bytes=target.memory_bytes or 0, python=target.python,
        strop=__version__, versions=package_versions(backends), seed=seed,
        governor=hardware.read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or "unknown",
        counters={
            "steal": there[linux],
            "pressure": there[True] if pressure else "not measured: no /proc/pressure/cpu here",
            "private memory": there[linux],
            "energy": there[True] if rapl else "not measured: no readable RAPL counter here",
        },
    )  # fmt: skip
