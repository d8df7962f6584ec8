"""This machine's limits: what affinity and control groups leave of it."""

import os
from pathlib import Path

import psutil
import pytest

from strop.core.target import instruction_sets
from strop.run import hardware
from strop.run.machine import this_machine


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An own tree of control groups, in which this process has its usual place."""
    monkeypatch.setattr(hardware, "CGROUPS", tmp_path)
    return tmp_path


def places(root: Path, controller: str) -> list[Path]:
    """Where this process's group of a controller lies in the tree, and the groups above it."""
    found = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers or controller in controllers.split(","):
            found.append((root / controller if controllers else root) / path.strip("/"))
    return found


def write(root: Path, controller: str, v2: str, v1: str, text: str, old: str) -> None:
    """A limit in this process's own group, in the files of both versions."""
    for place in places(root, controller):
        place.mkdir(parents=True, exist_ok=True)
        one = place.is_relative_to(root / controller)
        (place / (v1 if one else v2)).write_text(old if one else text)


def test_a_memory_limit_of_the_control_group_counts(groups: Path) -> None:
    assert hardware.memory_limit() == psutil.virtual_memory().total
    write(groups, "memory", "memory.max", "memory.limit_in_bytes", "1500000000\n", "1500000000\n")
    assert hardware.memory_limit() == 1_500_000_000
    assert this_machine().memory_bytes == 1_500_000_000


def test_no_limit_is_none(groups: Path) -> None:
    write(groups, "memory", "memory.max", "memory.limit_in_bytes", "max\n", f"{(1 << 63) - 4096}\n")
    write(groups, "cpu", "cpu.max", "cpu.cfs_quota_us", "max 100000\n", "-1\n")
    assert hardware.memory_limit() == psutil.virtual_memory().total
    assert hardware.quota() is None


def test_a_quota_counts_in_cores(groups: Path) -> None:
    write(groups, "cpu", "cpu.max", "cpu.cfs_quota_us", "100000 100000\n", "100000\n")
    assert hardware.quota() == 1.0
    assert this_machine().cores == 1


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no CPU affinity on this platform")
def test_the_affinity_counts() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert this_machine().cores == 1
    finally:
        os.sched_setaffinity(0, before)


def test_flags_of_the_kernel_are_named_as_everybody_names_them() -> None:
    x86 = ("avx2", "avx512f", "avx512_vnni", "amx_tile", "amx_int8")
    assert set(instruction_sets(x86)) == set(x86)
    arm = ("asimd", "asimddp", "asimdhp", "i8mm", "sve")
    assert set(instruction_sets(arm)) == {"neon", "dotprod", "fp16", "i8mm", "sve"}
