"""`Target`: the device a model is optimized for: this machine, or one that a profile describes."""

from strop.core.noun import Noun

THIS = "this-machine"
INSTRUCTION_SETS: dict[str, tuple[str, ...]] = {
    "sse4_2": ("sse4_2",), "avx": ("avx",), "avx2": ("avx2",), "fma": ("fma",), "f16c": ("f16c",),
    "avx512f": ("avx512f",), "avx512_vnni": ("avx512_vnni", "avx512vnni"), "avx_vnni": ("avx_vnni",),
    "avx512_bf16": ("avx512_bf16",), "avx512_fp16": ("avx512_fp16",),
    "amx_tile": ("amx_tile",), "amx_int8": ("amx_int8",), "amx_bf16": ("amx_bf16",),
    "neon": ("asimd", "neon"), "fp16": ("asimdhp", "fphp"), "dotprod": ("asimddp",), "i8mm": ("i8mm",), "bf16": ("bf16",),
    "sve": ("sve",), "sve2": ("sve2",), "sme": ("sme",), "mve": ("mve",), "dsp": ("dsp",), "rvv": ("v",),
}  # fmt: skip
"""What matters to inference, by the name used here → the flags by which Linux reports it."""


class Accelerator(Noun):
    """A GPU, NPU or something newer beside the CPU.

    `frameworks` have a device for it. `usable` is True only after an inference on it gave the CPU's answers; None: not tried,
    as on a device that is not here. `why` says why it is not usable. Operations a second are the maker's peak figures.
    """

    kind: str
    name: str
    vendor: str = ""
    memory_bytes: int | None = None
    memory_bandwidth: float | None = None
    int8_ops: float | None = None
    fp16_flops: float | None = None
    precisions: tuple[str, ...] = ()
    frameworks: tuple[str, ...] = ()
    usable: bool | None = None
    why: str = ""
    note: str = ""


class Power(Noun):
    """Watts (TDP or budget), whether it may run from a battery, and the temperature at which it slows down, °C."""

    budget_w: float | None = None
    battery: bool | None = None
    thermal_limit_c: float | None = None


class Connectivity(Noun):
    """Whether it usually runs without a network, and the link's bits a second."""

    offline: bool | None = None
    bandwidth_bits: float | None = None


class Target(Noun):
    """CPU, accelerators, memory, storage, power, connectivity, system, and how the device is reached; None: not known.

    `threads` is the budget of cores: the smaller of the CPU affinity, the container's quota and what the user allowed.
    `host` identifies this machine, and is empty for any other device; a timing is never reused on another host.
    `instructions` are keys of `INSTRUCTION_SETS`, `cpu_flags` what the kernel reports. `sources` says where figures are from.
    """

    name: str = THIS
    title: str = ""
    kind: str = ""
    host: str = ""
    os: str = ""
    kernel: str = ""
    architecture: str = ""
    cpu: str = ""
    cpu_vendor: str = ""
    cpu_flags: tuple[str, ...] = ()
    instructions: tuple[str, ...] = ()
    cores: int | None = None
    threads: int = 1
    clock_hz: float | None = None
    caches: dict[str, int] = {}
    cache_note: str = ""
    memory_bytes: int | None = None
    memory_bandwidth: float | None = None
    memory_unified: bool | None = None
    storage_bytes: int | None = None
    accelerators: tuple[Accelerator, ...] = ()
    power: Power = Power()
    connectivity: Connectivity = Connectivity()
    container: str = ""
    virtual: str = ""
    package_limit_bytes: int | None = None
    reach: str = ""
    reach_note: str = ""
    python: str = ""
    sources: dict[str, str] = {}

    @property
    def here(self) -> bool:
        """Whether it is the machine that Strop runs on."""
        return bool(self.host)

    def has(self, *names: str) -> bool:
        """Whether the CPU has every one of these instruction sets."""
        return all(name in self.instructions for name in names)

    @property
    def x86(self) -> bool:
        return self.architecture.lower() in ("x86_64", "amd64", "i386", "i686")

    @property
    def dots_int8(self) -> bool | None:
        """Whether 8-bit products are summed in 32 bits; x86 without VNNI sums pairs in 16, which saturates. None: not known."""
        if not self.architecture or (self.x86 and not self.instructions):
            return None
        return not self.x86 or self.has("avx512_vnni") or self.has("avx_vnni") or self.has("amx_int8")

    def accelerator(self, kind: str, framework: str) -> Accelerator | None:
        """The first of a kind that the framework has a device for; here only one that an inference has shown to be usable."""
        fit = (a for a in self.accelerators if a.kind == kind and framework in a.frameworks)
        return next((a for a in fit if a.usable or not self.here), None)

    @property
    def model_memory(self) -> int | None:
        """Bytes that a model has: the memory, or where that is not known the largest accelerator's own."""
        own = [a.memory_bytes for a in self.accelerators if a.memory_bytes is not None]
        return self.memory_bytes if self.memory_bytes is not None else max(own, default=None)


def instruction_sets(flags: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the instruction sets among the flags that the kernel reports."""
    return tuple(name for name, known in INSTRUCTION_SETS.items() if any(flag in flags for flag in known))
