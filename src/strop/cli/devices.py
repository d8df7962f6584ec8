"""`strop devices`."""

from typing import Annotated

import psutil
import typer

import strop
from strop.cli import options as o
from strop.cli.console import facts, print_json, say, stdout, table
from strop.core.quantity import show_bytes, show_count
from strop.core.target import Accelerator, Target

app = typer.Typer(help="This machine as a target; the catalogue of devices.", rich_markup_mode=None)
Name = Annotated[str, typer.Argument(help="A device of the catalogue, or the path of a profile of your own.")]


@app.callback(invoke_without_command=True)
def here(context: typer.Context, json: o.Json = False) -> None:
    """What this machine is: the target that `optimize` assumes."""
    if context.invoked_subcommand is None:
        show(strop.this_device(), json)


@app.command("list")
def list_(json: o.Json = False) -> None:
    """The devices that Strop knows."""
    devices = strop.list_devices()
    if json:
        print_json([device.model_dump(mode="json") for device in devices])
        return
    rows = [[d.name, d.title, d.architecture, str(d.cores or "?"), size(d.memory_bytes), kinds(d), d.os] for d in devices]
    stdout.print(table(["device", "", "CPU", "cores", "memory", "beside it", "system"], rows, right=(3, 4), whole=(0,)))


@app.command("show")
def show_one(
    name: Name,
    json: o.Json = False,
    toml: Annotated[bool, typer.Option("--toml", help="The profile's file as it is: a start for one of your own.")] = False,
) -> None:
    """One device: every figure with its source."""
    if toml:
        print(strop.device_profile(name), end="")
        return
    show(strop.find_device(name), json)


def show(device: Target, json: bool) -> None:
    if json:
        print_json(device.model_dump(mode="json"))
        return
    say(f"{device.name}: {device.title}" + (f" ({device.kind})" if device.kind else ""))
    rows = [[what, value, device.sources.get(key, "")] for what, value, key in described(device)]
    sourced = any(row[2] for row in rows)
    stdout.print(table(["", "", "source"], rows, whole=(0,)) if sourced else facts([row[:2] for row in rows]))


def described(device: Target) -> list[tuple[str, str, str]]:
    """(what, value, key of its source) of everything there is to say; what is not known says so."""
    caches = ", ".join(f"{level} {size / 1024:.0f} KiB" for level, size in device.caches.items())
    allowed = f" of the machine's {psutil.cpu_count()}" if device.here else ""
    whole = psutil.virtual_memory().total
    limited = f" of the machine's {size(whole)}" if device.here and device.memory_bytes != whole else ""
    found = [
        (
            "CPU",
            " ".join(w for w in (device.cpu_vendor if device.cpu_vendor not in device.cpu else "", device.cpu) if w) or UNKNOWN,
            "",
        ),
        ("architecture", device.architecture or UNKNOWN, ""),
        ("cores", f"{device.cores}{allowed}" if device.cores else UNKNOWN, "cpu.cores"),
        ("clock", f"{device.clock_hz / 1e9:.2f} GHz" if device.clock_hz else UNKNOWN, "cpu.clock"),
        ("instruction sets", " ".join(device.instructions) or "none that matter to inference", ""),
        ("caches", caches + (f" ({device.cache_note})" if device.cache_note else "") if caches else UNKNOWN, "cpu.cache_l2"),
        (
            "memory",
            size(device.memory_bytes) + limited + (", shared with the accelerators" if device.memory_unified else ""),
            "memory.size",
        ),
        ("memory bandwidth", f"{size(device.memory_bandwidth)}/s" if device.memory_bandwidth else UNKNOWN, "memory.bandwidth"),
        ("storage" + (", free" if device.here else ""), size(device.storage_bytes), "storage.size"),
    ]
    found += [(a.kind, describe(a), f"accelerators.{i}.int8") for i, a in enumerate(device.accelerators)]
    if not device.accelerators:
        found.append(("accelerators", "none found" if device.here else "none", ""))
    power, link = device.power, device.connectivity
    supply = {True: ", has a battery", False: ", no battery", None: ""}[power.battery]
    found += [
        ("power", (f"{power.budget_w:g} W" if power.budget_w else UNKNOWN) + supply, "power.budget"),
        ("slows down at", f"{power.thermal_limit_c:g} °C" if power.thermal_limit_c else UNKNOWN, "power.thermal_limit"),
        ("network", " ".join(p for p in (
            {True: "usually offline", False: "online", None: UNKNOWN}[link.offline],
            f"{show_count(link.bandwidth_bits)}bit/s" if link.bandwidth_bits else "") if p), "connectivity.bandwidth"),
        ("system", " ".join(w for w in (device.os, device.kernel) if w) or UNKNOWN, ""),
        ("package limit", size(device.package_limit_bytes), "system.package_limit"),
        ("reached by", " ".join(w for w in (device.reach, device.reach_note and f"({device.reach_note})") if w) or UNKNOWN, ""),
    ]  # fmt: skip
    if device.here:
        found += [("container", device.container or "none", ""), ("virtual machine", device.virtual or "none", "")]
    return found if not device.here else [row for row in found if row[1] != UNKNOWN]


UNKNOWN = "not known"


def size(count: float | None) -> str:
    return show_bytes(count) if count else UNKNOWN


def kinds(device: Target) -> str:
    return ", ".join(dict.fromkeys(a.kind for a in device.accelerators))


def describe(one: Accelerator) -> str:
    """Name, figures, and whether it can be used."""
    figures = [
        f"INT8 {show_count(one.int8_ops)}OPS" if one.int8_ops else "",
        f"FP16 {show_count(one.fp16_flops)}FLOPS" if one.fp16_flops else "",
        f"own memory {size(one.memory_bytes)}" if one.memory_bytes else "",
        f"by {', '.join(one.frameworks)}" if one.frameworks else "" if one.why else "no framework of Strop's has a device for it",
    ]
    state = {True: "usable", False: f"present, not usable: {one.why}", None: one.why}[one.usable]
    named = one.name if one.name.startswith(one.vendor) else f"{one.vendor} {one.name}"
    return "; ".join(p for p in (named, *figures, state, one.note) if p)
