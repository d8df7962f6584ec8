"""`strop devices`."""

from collections.abc import Iterator
from typing import Annotated, NamedTuple

import typer

import strop
from strop.cli import options as o
from strop.cli.console import facts, print_json, say, stdout, table
from strop.core.foreign import clean
from strop.core.quantity import show_bytes, show_count
from strop.core.target import Accelerator, Target
from strop.run import hardware

app = typer.Typer(help="This machine as a target; the catalog of devices.", rich_markup_mode=None)
Name = Annotated[str, typer.Argument(help="A device of the catalog, or the path of a profile of your own.")]
UNKNOWN = "not known"


class Fact(NamedTuple):
    """A line: what, its value, and the keys of its figures, whose sources are named."""

    what: str
    value: str
    keys: tuple[str, ...] = ()


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
    rows = [[d.name, d.architecture or UNKNOWN, str(d.cores or "?"), size(d.memory_bytes), kinds(d)] for d in devices]
    stdout.print(table(["device", "CPU", "cores", "memory", "beside it"], rows, right=(2, 3), whole=(0, 1, 3)))


@app.command("show")
def show_one(
    name: Name,
    json: o.Json = False,
    toml: Annotated[bool, typer.Option("--toml", help="The profile's file as it is: a start for one of your own.")] = False,
) -> None:
    """One device: every figure with its source."""
    if toml:
        print(clean(strop.device_profile(name), keep="\n\t"), end="")
        return
    show(strop.find_device(name), json)


def show(device: Target, json: bool) -> None:
    if json:
        print_json(device.model_dump(mode="json"))
        return
    say(f"{device.name}: {device.title}" + (f" ({device.kind})" if device.kind else ""))
    numbers = {source: number for number, source in enumerate(dict.fromkeys(device.sources.values()), 1)}

    def marked(fact: Fact) -> str:
        cited = sorted({numbers[device.sources[key]] for key in fact.keys if key in device.sources})
        return fact.value + "".join(f" [{number}]" for number in cited)

    found = [f for f in (*compute(device), *beside(device), *surroundings(device)) if not device.here or f.value != UNKNOWN]
    stdout.print(facts([[fact.what, marked(fact)] for fact in found]))
    for source, number in numbers.items():
        say(f"[{number}] {source}")


def compute(device: Target) -> Iterator[Fact]:
    """CPU, memory, storage; on this machine with what limits leave of them."""
    vendor = device.cpu_vendor if device.cpu_vendor not in device.cpu else ""
    allowed = f" of the machine's {hardware.cpus()}" if device.here else ""
    whole = hardware.memory()
    limited = f" of the machine's {size(whole)}" if device.here and device.memory_bytes != whole else ""
    yield Fact("CPU", " ".join(w for w in (vendor, device.cpu) if w) or UNKNOWN)
    yield Fact("architecture", device.architecture or UNKNOWN)
    yield Fact("cores", f"{device.cores}{allowed}" if device.cores else UNKNOWN, ("cpu.cores",))
    yield Fact("clock", f"{device.clock_hz / 1e9:.2f} GHz" if device.clock_hz else UNKNOWN, ("cpu.clock",))
    yield Fact("instruction sets", " ".join(device.instructions) or UNKNOWN, ("cpu.isa",))
    for level, key in (("L1d", "cpu.cache_l1d"), ("L2", "cpu.cache_l2"), ("L3", "cpu.cache_l3")):
        if level in device.caches:
            yield Fact(f"cache {level}", f"{device.caches[level] / 1024:.0f} KiB", (key,))
    if device.cache_note:
        yield Fact("caches", device.cache_note)
    unified = ", shared with the accelerators" if device.memory_unified else ""
    yield Fact("memory", size(device.memory_bytes) + limited + unified, ("memory.size",))
    yield Fact("memory bandwidth", rate(device.memory_bandwidth), ("memory.bandwidth",))
    yield Fact("storage" + (", free" if device.here else ""), size(device.storage_bytes), ("storage.size",))


def beside(device: Target) -> Iterator[Fact]:
    """Accelerators."""
    for place, one in enumerate(device.accelerators):
        keys = tuple(f"accelerators.{place}.{name}" for name in ("memory", "bandwidth", "int8", "fp16"))
        yield Fact(one.kind, describe(one), keys)
    if not device.accelerators:
        yield Fact("accelerators", "none found" if device.here else UNKNOWN)


def surroundings(device: Target) -> Iterator[Fact]:
    """Power, network, system, and how the device is reached."""
    power, link = device.power, device.connectivity
    supply = {True: ", has a battery", False: ", no battery", None: ""}[power.battery]
    online = {True: "usually offline", False: "online", None: UNKNOWN}[link.offline]
    pace = f"{show_count(link.bandwidth_bits)}bit/s" if link.bandwidth_bits else ""
    yield Fact("power", (f"{power.budget_w:g} W" if power.budget_w else UNKNOWN) + supply, ("power.budget",))
    warm = f"{power.thermal_limit_c:g} °C" if power.thermal_limit_c else UNKNOWN
    yield Fact("slows down at", warm, ("power.thermal_limit",))
    yield Fact("network", f"{online} {pace}".strip(), ("connectivity.bandwidth",))
    yield Fact("system", " ".join(w for w in (device.os, device.kernel) if w) or UNKNOWN)
    yield Fact("package limit", size(device.package_limit_bytes), ("system.package_limit",))
    note = f" ({device.reach_note})" if device.reach_note else ""
    yield Fact("reached by", device.reach + note if device.reach else UNKNOWN)
    if device.here:
        yield Fact("container", device.container or "none")
        yield Fact("virtual machine", device.virtual or "none")


def size(count: float | None) -> str:
    return show_bytes(count) if count else UNKNOWN


def rate(count: float | None) -> str:
    return f"{show_bytes(count)}/s" if count else UNKNOWN


def kinds(device: Target) -> str:
    return ", ".join(dict.fromkeys(a.kind for a in device.accelerators))


def describe(one: Accelerator) -> str:
    """Name, figures, and whether it can be used."""
    figures = [
        f"INT8 {show_count(one.int8_ops)}OPS" if one.int8_ops else "",
        f"FP16 {show_count(one.fp16_flops)}FLOPS" if one.fp16_flops else "",
        f"own memory {size(one.memory_bytes)}" if one.memory_bytes else "",
        f"own memory's bandwidth {rate(one.memory_bandwidth)}" if one.memory_bandwidth else "",
        f"by {', '.join(one.frameworks)}" if one.frameworks else "" if one.why or one.note else "no framework's device",
    ]
    state = {True: "usable", False: f"present, not usable: {one.why}", None: one.why}[one.usable]
    named = one.name if one.name.startswith(one.vendor) else f"{one.vendor} {one.name}"
    return "; ".join(p for p in (named, *figures, state, one.note) if p)
