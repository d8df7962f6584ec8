"""`strop devices`: this machine with its accelerators, the catalog of device profiles, and a user's own."""

import os
from collections.abc import Sequence
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path

from strop.core.errors import ConfigError, UsageError
from strop.core.spelling import PathText, spelled
from strop.core.target import THIS, Accelerator, Target
from strop.plan.device import parse_device, target_of
from strop.plan.discover import backends
from strop.run import hardware
from strop.run.machine import this_machine
from strop.run.probe import Probe, recall

SUFFIX = ".toml"
MOST_BYTES = 1 << 20
NO_DEVICE = "no framework that is installed here has a device for it"
NOT_TRIED = "not tried yet: `strop backends` runs an inference on it"


@spelled
def this_device(threads: int | None = None) -> Target:
    """This machine, with the accelerators that are present and whether they can be used.

    Args:
        threads: the user's budget of cores; None takes all that affinity and quota allow.

    Raises:
        UsageError: more threads than there are cores.

    Example:
        >>> strop.this_device().instructions
    """
    probes = [recall(backend) for backend in backends().values()]
    tried = [p for p in probes if p is not None]
    return this_machine(threads).model_copy(update={"accelerators": accelerators(tried, len(tried) == len(probes))})


def accelerators(probes: Sequence[Probe], all_tried: bool) -> tuple[Accelerator, ...]:
    """Those that frameworks found, and those on the bus that none of them has a device for.

    Args:
        all_tried: whether every backend's probe is among `probes`.
    """
    present = hardware.pci_accelerators()
    named = {(kind, vendor): name for kind, vendor, name in present}
    tried = [a for probe in probes for a in probe.accelerators]
    found = [
        a.model_copy(update={"name": f"{named[a.kind, a.vendor]} by {a.name}"}) if (a.kind, a.vendor) in named else a
        for a in tried
    ]  # fmt: skip
    known = {(a.kind, a.vendor) for a in tried}
    for kind, vendor, name in present:
        if (kind, vendor) not in known:
            why = NO_DEVICE if all_tried else NOT_TRIED
            found.append(Accelerator(kind=kind, name=name, vendor=vendor, usable=False if all_tried else None, why=why))
    return tuple(found)


@cache
def catalog() -> dict[str, Path]:
    """Name → file of the shipped profiles."""
    folder = Path(str(files("strop").joinpath("targets")))
    return {path.stem: path for path in sorted(folder.glob(f"*{SUFFIX}"))}


@spelled
def list_devices() -> list[Target]:
    """Every device of the catalog.

    Raises:
        ConfigError: a shipped profile was changed and is not valid.

    Example:
        >>> [device.name for device in strop.list_devices()]
    """
    return [find_device(name) for name in catalog()]


@spelled
def find_device(name: PathText, threads: int | None = None) -> Target:
    """A device by its name in the catalog, by the path of a profile, or this machine.

    Args:
        name: `raspberry-pi-5`, `my-box.toml`, or `this-machine`.
        threads: the user's budget of cores; None takes all of the device's.

    Raises:
        UsageError: no such device. ConfigError: the profile is not valid; names file, key, what was found and expected.

    Example:
        >>> strop.find_device("raspberry-pi-5").memory_bytes
    """
    if name == THIS:
        return this_device(threads)
    path, text = device_text(os.fspath(name))
    target = target_of(parse_device(text, str(path)), threads)
    if threads is not None and target.cores is not None and threads > target.cores:
        raise UsageError(f"--threads {threads}: {target.name} has {target.cores} core(s)", f"give 1 to {target.cores}")
    return target


@spelled
def device_profile(name: PathText) -> str:
    """The text of a device's profile: a start for one of your own.

    Args:
        name: a device of the catalog, or the path of a profile.

    Raises:
        UsageError, ConfigError: as `find_device`.

    Example:
        >>> print(strop.device_profile("raspberry-pi-5"))
    """
    return device_text(os.fspath(name))[1]


def is_path(name: str) -> bool:
    """Whether a target is given as a file, not by its name in the catalog."""
    return name.endswith(SUFFIX) or "/" in name


def device_text(name: str) -> tuple[Path, str]:
    """The file of a profile and its text.

    Raises:
        UsageError, ConfigError: as `find_device`.
    """
    path = Path(name) if is_path(name) else catalog().get(name)
    if path is None:
        near = [known for known in catalog() if name and (name.lower() in known or known in name.lower())]
        near = near or get_close_matches(name.lower(), list(catalog()), 3)
        hint = f"did you mean {', '.join(near[:3])}?" if near else "`strop devices list` shows them."
        raise UsageError(
            f"no device {name!r} in the catalog", f"{hint} A profile of your own is given by its path, ending in {SUFFIX}"
        )
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(f"{path}: no plain file", "give the path of a device profile")
        if path.exists() and path.stat().st_size > MOST_BYTES:
            raise ConfigError(f"{path}: {path.stat().st_size} bytes are no device profile", f"one has at most {MOST_BYTES}")
        return path, path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}", "give the path of a device profile") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: no text in UTF-8", "give the path of a device profile") from None
