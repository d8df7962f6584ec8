"""What this machine is made of, as psutil, py-cpuinfo and the kernel report it. No framework is imported."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil

CGROUPS = Path("/sys/fs/cgroup")
HUGE = 1 << 60
"""A memory limit of cgroup v1 beyond this is none."""
VENDORS = {"GenuineIntel": "Intel", "AuthenticAMD": "AMD", "Apple": "Apple", "Qualcomm": "Qualcomm"}

CONTAINERS = {"/.dockerenv": "docker", "/run/.containerenv": "podman"}


def read(path: str | Path) -> str | None:
    """The text of a small file, or None."""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None


class Cpu(NamedTuple):
    """Vendor by its usual name, model, and the flags that the kernel reports."""

    vendor: str
    model: str
    flags: tuple[str, ...]


def cpu() -> Cpu:
    """Vendor, model name and instruction-set flags."""
    about = _cpuinfo()
    flags = about.get("flags") or ()
    brand = str(about.get("brand_raw") or platform.processor() or platform.machine())
    raw = str(about.get("vendor_id_raw") or ("Apple" if brand.startswith("Apple") else ""))
    return Cpu(VENDORS.get(raw, raw), brand, tuple(sorted(str(flag) for flag in flags)))


def _cpuinfo() -> dict[str, Any]:
    """py-cpuinfo's answer. On Linux its two cheap readers: all of it takes a second and starts processes of its own."""
    from cpuinfo import cpuinfo

    if not sys.platform.startswith("linux"):
        return dict(cpuinfo.get_cpu_info())
    kernel = cpuinfo._get_cpu_info_from_proc_cpuinfo() or {}
    if kernel.get("brand_raw") and kernel.get("vendor_id_raw"):
        return dict(kernel)
    return {**(cpuinfo._get_cpu_info_from_lscpu() or {}), **{k: v for k, v in kernel.items() if v}}


def caches() -> dict[str, int]:
    """Bytes of the first core's caches by level; empty where the kernel does not tell."""
    found = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = (read(index / name) for name in ("level", "type", "size"))
        if level and size and size[-1:] == "K" and kind in ("Data", "Unified"):
            found[f"L{level}d" if kind == "Data" else f"L{level}"] = int(size[:-1]) * 1024
    return found


def clock() -> float | None:
    """The highest clock, hertz."""
    try:
        frequency = psutil.cpu_freq()
    except (OSError, NotImplementedError):
        return None
    return (frequency.max or frequency.current) * 1e6 if frequency is not None else None


def cpus() -> int | None:
    """CPUs that the machine has; None where the platform does not say."""
    found = psutil.cpu_count()
    return int(found) if found is not None else None


def memory() -> int:
    """Bytes of memory that the machine has."""
    return int(psutil.virtual_memory().total)


def affinity() -> int:
    """CPUs that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory() -> int:
    """Bytes that are free now: on the machine, and within the container's limit, whose file pages can be dropped."""
    free = [psutil.virtual_memory().available]
    limits = _cgroup_files("memory", "memory.max", "memory.limit_in_bytes")
    used = _cgroup_files("memory", "memory.current", "memory.usage_in_bytes")
    pages = _cgroup_files("memory", "memory.stat", "memory.stat")
    for limit, taken, stat in zip(limits, used, pages, strict=False):
        if limit.isdigit() and int(limit) < HUGE and taken.isdigit():
            cached = next((int(line.split()[1]) for line in stat.splitlines() if line.startswith("inactive_file ")), 0)
            free.append(max(0, int(limit) - int(taken) + cached))
    return int(min(free))


def _cgroup_files(controller: str, name: str, old: str) -> Iterator[str]:
    """The text of a limit in this process's control group and in those above it: version 2's `name`, version 1's `old`."""
    for line in (read("/proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root, file = (CGROUPS / controller, old) if controllers else (CGROUPS, name)
        place = root / path.strip("/")
        for folder in (place, *place.parents):
            if folder.is_relative_to(root):
                text = read(folder / file)
                if text is not None:
                    yield text


def quota() -> float | None:
    """The container's CPU quota in cores, the smallest on the way up; None where there is none."""
    found = []
    for text in _cgroup_files("cpu", "cpu.max", "cpu.cfs_quota_us"):
        parts = text.split()
        if len(parts) == 2 and parts[0] != "max":
            found.append(int(parts[0]) / int(parts[1]))
        elif len(parts) == 1 and int(parts[0]) > 0:
            found.append(int(parts[0]) / 100_000)  # version 1's period, which is hardly ever another
    return min(found, default=None)


def memory_limit() -> int:
    """Bytes of memory this process may use: the container's limit or the machine's memory."""
    limits = [memory()]
    limits += [int(t) for t in _cgroup_files("memory", "memory.max", "memory.limit_in_bytes") if t.isdigit() and int(t) < HUGE]
    return int(min(limits))


def free_storage() -> int:
    """Bytes free where runs are kept by default."""
    return shutil.disk_usage(Path.cwd()).free


def container() -> str:
    """The kind of container, or nothing."""
    named = os.environ.get("container")  # noqa: SIM112 (podman and systemd-nspawn write it so)
    named = named or next((kind for path, kind in CONTAINERS.items() if Path(path).exists()), "")
    return named or ("kubernetes" if "KUBERNETES_SERVICE_HOST" in os.environ else _detected("--container"))


def _detected(what: str) -> str:
    """systemd's answer, where it is there."""
    try:
        said = subprocess.run(
            ["systemd-detect-virt", what], check=False, capture_output=True, text=True, timeout=5
        ).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "" if said == "none" else said


def virtual(flags: tuple[str, ...]) -> str:
    """The hypervisor; empty on bare metal and where nothing tells."""
    return _detected("--vm") or ("unnamed" if "hypervisor" in flags else "")


def power_budget() -> float | None:
    """The package's long-term power limit by RAPL, watts."""
    microwatts = read("/sys/class/powercap/intel-rapl:0/constraint_0_power_limit_uw")
    return int(microwatts) / 1e6 if microwatts and microwatts.isdigit() and int(microwatts) else None


def battery() -> bool | None:
    """Whether there is a battery; None where the platform cannot tell."""
    if not hasattr(psutil, "sensors_battery"):
        return None
    try:
        return psutil.sensors_battery() is not None
    except (OSError, RuntimeError):
        return None


PCI_VENDORS = {"0x8086": "Intel", "0x10de": "NVIDIA", "0x1002": "AMD", "0x1022": "AMD", "0x17cb": "Qualcomm", "0x1da3": "Habana"}
PCI_KINDS = {"0x03": "gpu", "0x12": "npu"}
"""Class of a PCI device: display controllers, and processing accelerators."""


def pci_accelerators() -> list[tuple[str, str, str]]:
    """(kind, vendor, name) of the graphics and processing accelerators on the PCI bus; the virtual screens of a VM left out."""
    found = []
    for device in sorted(Path("/sys/bus/pci/devices").glob("*")):
        kind = PCI_KINDS.get((read(device / "class") or "")[:4])
        vendor = PCI_VENDORS.get(read(device / "vendor") or "")
        if kind and vendor:
            about = read(f"/proc/driver/nvidia/gpus/{device.name}/information") or ""
            named = next((line.split(":", 1)[1].strip() for line in about.splitlines() if line.startswith("Model:")), "")
            found.append((kind, vendor, named or f"{vendor} device {read(device / 'device')}"))
    return found
