"""A device profile: from the text of its TOML file to a `Target`, every figure with its source. Pure."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from strop.core.errors import ConfigError
from strop.core.foreign import ForeignError, parse_toml
from strop.core.quantity import parse_quantity
from strop.core.target import INSTRUCTION_SETS, THIS, Accelerator, Connectivity, Power, Target

HINT = "`strop devices show raspberry-pi-5 --toml` prints one that is whole"
ARCHITECTURES = {"x86-64": "x86_64", "amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64", "armv8": "aarch64"}
MOST_CORES = 4096
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
Word = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Cited(_Section):
    """A figure in base units, and the key of its source in `[sources]`; a user's own figure needs none."""

    value: float
    source: str = ""


def _figure(dimension: str) -> BeforeValidator:
    """`"8 GB"` or `{ value = "8 GB", source = "brief" }`."""

    def read(raw: object) -> object:
        if isinstance(raw, Cited):
            return raw
        if isinstance(raw, dict):
            if "value" not in raw or not raw.keys() <= {"value", "source"}:
                raise ValueError(f"expected {{ value = …, source = … }}, found the keys {', '.join(raw)}")
            return {**raw, "value": parse_quantity(raw["value"], dimension)}
        return {"value": parse_quantity(raw, dimension)}

    return BeforeValidator(read)


def _name(raw: object) -> object:
    if not isinstance(raw, str) or not re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,62}", raw) or raw == THIS:
        raise ValueError(f"expected a name of small letters, digits, dots and dashes, at most 63, other than {THIS!r}")
    return raw


def _architecture(raw: object) -> object:
    """By its usual name."""
    return ARCHITECTURES.get(raw.lower(), raw) if isinstance(raw, str) else raw


def _whole_number(raw: Cited | None) -> Cited | None:
    if raw is not None and (raw.value != int(raw.value) or raw.value > MOST_CORES):
        raise ValueError(f"expected a whole number, at most {MOST_CORES}")
    return raw


def _instructions(raw: object) -> object:
    odd = [name for name in raw if name not in INSTRUCTION_SETS] if isinstance(raw, list) else []
    if odd:
        raise ValueError(f"unknown instruction set {odd[0]!r}, expected some of {', '.join(INSTRUCTION_SETS)}")
    return raw


Number = Annotated[Cited | None, _figure("")]
Bytes = Annotated[Cited | None, _figure("bytes")]
BytesPerSecond = Annotated[Cited | None, _figure("bytes a second")]
BitsPerSecond = Annotated[Cited | None, _figure("bits a second")]
Hertz = Annotated[Cited | None, _figure("hertz")]
Watts = Annotated[Cited | None, _figure("watts")]
Celsius = Annotated[Cited | None, _figure("degrees Celsius")]
Ops = Annotated[Cited | None, _figure("operations a second")]
Flops = Annotated[Cited | None, _figure("floating-point operations a second")]


class Source(_Section):
    """A document that was read."""

    title: Word
    publisher: Word
    date: Word
    url: Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]
    read: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")]

    def __str__(self) -> str:
        return f"{self.title}, {self.publisher}, {self.date}, {self.url} (read {self.read})"


class CpuSection(_Section):
    vendor: str = ""
    model: str = ""
    architecture: Annotated[str, BeforeValidator(_architecture)] = ""
    isa: Annotated[list[str], BeforeValidator(_instructions)] = []
    isa_source: str = ""
    cores: Annotated[Number, AfterValidator(_whole_number)] = None
    clock: Hertz = None
    cache_l1d: Bytes = None
    cache_l2: Bytes = None
    cache_l3: Bytes = None
    cache_note: str = ""


class MemorySection(_Section):
    size: Bytes = None
    bandwidth: BytesPerSecond = None
    unified: bool | None = None


class StorageSection(_Section):
    size: Bytes = None


class AcceleratorSection(_Section):
    kind: Word
    name: Word
    vendor: str = ""
    memory: Bytes = None
    bandwidth: BytesPerSecond = None
    int8: Ops = None
    fp16: Flops = None
    precisions: list[str] = []
    frameworks: list[str] = []
    note: str = ""


class PowerSection(_Section):
    budget: Watts = None
    battery: bool | None = None
    thermal_limit: Celsius = None


class ConnectivitySection(_Section):
    offline: bool | None = None
    bandwidth: BitsPerSecond = None


class SystemSection(_Section):
    os: str = ""
    package_limit: Bytes = None


class ReachSection(_Section):
    by: str = ""
    note: str = ""


class Device(_Section):
    """The file, key by key."""

    schema_: int = Field(1, alias="schema", ge=1, le=1)
    name: Annotated[str, BeforeValidator(_name)]
    title: str = ""
    kind: str = ""
    cpu: CpuSection = CpuSection()
    memory: MemorySection = MemorySection()
    storage: StorageSection = StorageSection()
    accelerators: list[AcceleratorSection] = []
    power: PowerSection = PowerSection()
    connectivity: ConnectivitySection = ConnectivitySection()
    system: SystemSection = SystemSection()
    reach: ReachSection = ReachSection()
    sources: dict[str, Source] = {}

    def figures(self) -> dict[str, Cited]:
        """Every figure that is given, by its key in the file."""
        found: dict[str, Cited] = {}
        sections: list[tuple[str, _Section]] = [(n, s) for n, s in self if isinstance(s, _Section)]
        sections += [(f"accelerators.{i}", a) for i, a in enumerate(self.accelerators)]
        for name, section in sections:
            found |= {f"{name}.{key}": value for key, value in section if isinstance(value, Cited)}
        return found


def parse_device(text: str, where: str) -> Device:
    """A device file.

    Args:
        where: the file's name, for errors.

    Raises:
        ConfigError: not TOML, an unknown key, unit or source, a wrong value; names file, key, what was found and expected.
    """
    odd = CONTROL.search(text)
    if odd is not None:
        line = text.count("\n", 0, odd.start()) + 1
        raise ConfigError(f"{where}: line {line}: a control character {odd.group()!r}", HINT)
    try:
        device = Device.model_validate(parse_toml(text.encode("utf-8", "surrogatepass")))
    except ForeignError as error:
        raise ConfigError(f"{where}: {error}", HINT) from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = ", ".join(keys_of(first["loc"][:-1]))
            raise ConfigError(f"{where}: {key}: no such key, found {shown(first['input'])}, expected {known}", HINT) from None
        if first["type"] == "missing":
            raise ConfigError(f"{where}: {key}: missing", HINT) from None
        what = first["msg"].removeprefix("Value error, ")
        if first["type"] in ("model_type", "dict_type"):
            what = f"expected a section [{key}]"
        raise ConfigError(f"{where}: {key}: {what}, found {shown(first['input'])}", HINT) from None
    unknown = next(((key, source) for key, source in cited(device).items() if source not in device.sources), None)
    if unknown is not None:
        known = ", ".join(device.sources) or "none are given"
        raise ConfigError(f"{where}: {unknown[0]}: source {unknown[1]!r} is not in [sources], expected one of: {known}", HINT)
    return device


def cited(device: Device) -> dict[str, str]:
    """Key → source, of every figure that has one, and of the instruction sets."""
    found = {key: figure.source for key, figure in device.figures().items()} | {"cpu.isa": device.cpu.isa_source}
    return {key: source for key, source in found.items() if source}


def keys_of(place: tuple[int | str, ...]) -> list[str]:
    """The keys that a section of the file may have."""
    section: Any = Device
    for part in place:
        field = section.model_fields.get(part) if isinstance(part, str) else None
        inner = [a for a in (field.annotation, *getattr(field.annotation, "__args__", ())) if field] if field else []
        section = next((a for a in inner if isinstance(a, type) and issubclass(a, BaseModel)), section)
    return [field.alias or name for name, field in section.model_fields.items()]


def shown(value: object) -> str:
    """What stands in the file, shortened."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"


def target_of(device: Device, threads: int | None = None) -> Target:
    """The device as a target.

    Args:
        threads: the user's budget of cores; None takes all of the device's.
    """
    cpu, cores = device.cpu, _whole(device.cpu.cores)
    caches = {"L1d": cpu.cache_l1d, "L2": cpu.cache_l2, "L3": cpu.cache_l3}
    return Target(
        name=device.name, title=device.title or device.name, kind=device.kind, os=device.system.os,
        architecture=cpu.architecture, cpu=cpu.model, cpu_vendor=cpu.vendor, instructions=tuple(cpu.isa),
        cores=cores, threads=threads or cores or 1, clock_hz=_plain(cpu.clock),
        caches={level: int(size.value) for level, size in caches.items() if size is not None}, cache_note=cpu.cache_note,
        memory_bytes=_whole(device.memory.size), memory_bandwidth=_plain(device.memory.bandwidth),
        memory_unified=device.memory.unified, storage_bytes=_whole(device.storage.size),
        accelerators=tuple(_accelerator(a) for a in device.accelerators),
        power=Power(
            budget_w=_plain(device.power.budget), battery=device.power.battery,
            thermal_limit_c=_plain(device.power.thermal_limit),
        ),
        connectivity=Connectivity(
            offline=device.connectivity.offline, bandwidth_bits=_plain(device.connectivity.bandwidth)
        ),
        package_limit_bytes=_whole(device.system.package_limit), reach=device.reach.by, reach_note=device.reach.note,
        sources={key: str(device.sources[name]) for key, name in cited(device).items()},
    )  # fmt: skip


def _accelerator(section: AcceleratorSection) -> Accelerator:
    return Accelerator(
        kind=section.kind.lower(), name=section.name, vendor=section.vendor, memory_bytes=_whole(section.memory),
        memory_bandwidth=_plain(section.bandwidth), int8_ops=_plain(section.int8), fp16_flops=_plain(section.fp16),
        precisions=tuple(section.precisions),
        frameworks=tuple(section.frameworks), note=section.note,
    )  # fmt: skip


def _plain(figure: Cited | None) -> float | None:
    return figure.value if figure is not None else None


def _whole(figure: Cited | None) -> int | None:
    return round(figure.value) if figure is not None else None
