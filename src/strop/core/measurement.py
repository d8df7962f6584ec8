"""`Measurement`: raw samples and the environment they were taken in. Statistics are derived from these."""

from typing import Literal

from strop.core.noun import Noun, Scalar

Side = Literal["A", "B"]
"""A is the baseline's session, B the candidate's."""
Clock = Literal["wall time", "CPU time"]
"""What a speed is taken by; CPU time at one thread, where a busy machine leaves no wall time to compare."""
Mode = Literal["side by side", "one at a time", "race"]
"""How processes were compared: a pair that is loaded at once, one that does not fit in memory together, or many in a race."""


class Block(Noun):
    """A short run of calls in one process while the other sleeps.

    latencies_ns: one wall-clock duration per call, nanoseconds; the first call after waking is not among them.
    wall_ns, cpu_ns: of the whole block. `steal_ms` and `pressure_us` are the machine's, over the block; None where
    the platform has no such counter. delay_ns: how long this process's own threads were ready but waited for a CPU, summed
    over its threads. throttled_us: how long a CPU quota held its control group back. `energy_uj` is the package's, None where
    no counter can be read. steps_ns: of a language model, whose calls are requests: one duration per token of an answer,
    nanoseconds. completed: of a block with several requests in flight, how many were served during `wall_ns`, those that lie
    across its ends by their share; `latencies_ns` are then a sample of theirs. None: one call after another.
    """

    side: Side
    latencies_ns: tuple[int, ...]
    wall_ns: int
    cpu_ns: int
    voluntary: int
    involuntary: int
    steal_ms: float | None = None
    pressure_us: int | None = None
    delay_ns: int | None = None
    throttled_us: int | None = None
    energy_uj: int | None = None
    steps_ns: tuple[int, ...] = ()
    completed: float | None = None


class Quad(Noun):
    """Four blocks, ABBA or BAAB at random: one paired observation. `refused` blocks were disturbed and taken again."""

    blocks: tuple[Block, Block, Block, Block]
    refused: tuple[Block, ...] = ()


class VoidQuad(Noun):
    """A quad that was given up, and why: a block stayed disturbed, or too much time went by between its blocks."""

    why: Literal["delay", "span"]
    blocks: tuple[Block, ...]
    refused: tuple[Block, ...] = ()


class Pair(Noun):
    """Two fresh processes, baseline and candidate, and the quads they ran.

    `mode` is "side by side", or "one at a time" where both do not fit in memory. `sides` are digests of what the two were.
    """

    index: int
    mode: Mode
    threads: tuple[int, int]
    seed: int
    warmup_runs: tuple[int, int]
    quads: tuple[Quad, ...]
    voids: tuple[VoidQuad, ...] = ()
    sides: tuple[str, str] = ("", "")

    @property
    def attempts(self) -> tuple[Quad | VoidQuad, ...]:
        """All quads, the void ones last."""
        return (*self.quads, *self.voids)


class Company(Noun):
    """Other processes that kept this machine's cores busy when a run began.

    cores: how many cores' worth of CPU time they took. processes: the busiest, with their share of a core. threads: the budget
    of cores that the run has; fewer: whether that is less than it would be on a quiet machine.
    """

    cores: float
    processes: tuple[str, ...]
    threads: int
    fewer: bool


class Memory(Noun):
    """One process alone, bytes. `peak` is the model's part: private pages plus resident pages of the model's own
    files, at their highest, above the same process with the runtime imported and no model loaded. `total_rss` is all that is
    resident in the process after its calls: runtime, libraries, interpreter and some inputs included."""

    peak: int
    steady: int
    empty: int
    total_rss: int
    load_s: float
    first_inference_s: float

    @property
    def resident(self) -> int:
        """Resident memory of the whole process at its highest: what a device must have free."""
        return self.total_rss + max(0, self.peak - self.steady)


class Check(Noun):
    """What one run over the evaluation data showed: is it valid, and what did it answer.

    `failure` is None for a valid candidate. `shards` maps each output to its file beside this record. `mixing`, of a baseline:
    how much answers change with the other examples of their batch, as a share of how far apart answers are. `batched`: how
    many examples a call took, where 64 of them showed that larger batches give the same answers, bit for bit; else 1.
    """

    shards: dict[str, str] = {}
    failure: str | None = None
    failure_kind: str | None = None
    log_tail: str = ""
    examples: int = 0
    seconds: float = 0.0
    rough_latency_ns: int = 0
    properties: dict[str, Scalar] = {}
    mixing: dict[str, float] = {}
    batched: int = 1


class Environment(Noun):
    """What a figure was measured under."""

    host: str
    os: str
    kernel: str
    cpu: str
    cpu_flags: tuple[str, ...]
    cores: int
    threads: int
    memory_bytes: int
    python: str
    strop: str
    versions: dict[str, str]
    governor: str
    counters: dict[str, str]
    """Which counters exist here (steal, pressure, energy, private memory), and why not where they do not."""
    seed: int
