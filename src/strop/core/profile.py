"""`Profile`: where a candidate's time and memory go. Raw counts; shares are derived by `strop.plan.bottlenecks`."""

from typing import Literal

from strop.core.candidate import Failure
from strop.core.noun import Noun

Kind = Literal["compute", "layout", "precision", "other"]
"""What an operator does: the model's own arithmetic, a change of memory layout, a change of number format, the rest."""


class Operator(Noun):
    """One node as its runtime ran it.

    operator: the ONNX operator that it does the work of, the same name in all runtimes.
    kernel: what the runtime calls it. precision: of its arithmetic, e.g. int8, fp32, bf16; empty where it is not known.
    ns: nanoseconds a call, as the runtime's own profiler counts them (whole microseconds, averaged over `calls`).
    """

    name: str
    operator: str
    kernel: str
    precision: str
    kind: Kind
    ns: float
    calls: int


class MemorySample(Noun):
    """Bytes at a moment, seconds after the start. `doing`: empty, loaded, first inference, running."""

    seconds: float
    doing: str
    private: int | None
    rss: int | None


class Profile(Noun):
    """One candidate's session alone on its cores, watched; then once more under its runtime's own profiler.

    latencies_ns, wall_ns, cpu_ns, voluntary, involuntary, faults, counters: of the watched calls, without the profiler.
    counters: hardware events of the process over those calls; `no_counters` says why there are none.
    faults: page faults; None where the kernel does not let them be counted.
    profiled_ns: median latency under the profiler, which costs time itself; None where there is none, as `no_operators` says.
    highest_rss: bytes, of the whole process since its runtime was imported. memory_limit: bytes it may take.
    """

    candidate: str
    runtime: str
    precision: str
    threads: int
    latencies_ns: tuple[int, ...]
    wall_ns: int
    cpu_ns: int
    voluntary: int
    involuntary: int
    faults: int | None
    counters: dict[str, int] = {}
    no_counters: str = ""
    load_s: float
    first_inference_s: float
    memory: tuple[MemorySample, ...] = ()
    highest_rss: int | None = None
    memory_limit: int
    operators: tuple[Operator, ...] = ()
    profiled_ns: int | None = None
    no_operators: str = ""


class Profiled(Noun):
    """A candidate's profile, or how the attempt failed."""

    candidate: str
    profile: Profile | None = None
    failure: Failure | None = None


class Finding(Noun):
    """A rule that holds for a profile: what, how much against its bound, seen where, and what to do."""

    rule: str
    title: str
    value: float
    bound: float
    evidence: str
    advice: str
