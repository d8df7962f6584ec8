"""Small makers of nouns, and the hypothesis strategies that several files share."""

from typing import Any

from hypothesis import strategies as st

from strop.core.inspection import Inspection, Layer
from strop.core.measurement import Block, Pair, Quad, Side
from strop.core.model import Artifact, Model, TensorSpec
from strop.core.recipe import Recipe
from strop.core.target import Target
from strop.core.task import Dataset, Task
from strop.core.verdict import Interval

MS = 1_000_000


def interval(value: float, low: float | None = None, high: float | None = None) -> Interval:
    return Interval(value=value, low=value if low is None else low, high=value if high is None else high)


def block(side: Side, latency_ns: float = MS, calls: int = 10, cpu: float = 1.0, **counters: float) -> Block:
    """`calls` calls of one latency; `cpu` is CPU time over wall time."""
    wall = int(latency_ns) * calls
    return Block(
        side=side, latencies_ns=(int(latency_ns),) * calls, wall_ns=wall, cpu_ns=int(wall * cpu), voluntary=0, involuntary=0,
        **counters,
    )  # fmt: skip


def quad(a_ns: float = MS, b_ns: float = MS, **disturbance: float) -> Quad:
    """ABBA; a disturbance goes to the second block."""
    return Quad(blocks=(block("A", a_ns), block("B", b_ns, **disturbance), block("B", b_ns), block("A", a_ns)))


def pair(quads: list[Quad], index: int = 0, threads: tuple[int, int] = (1, 1)) -> Pair:
    return Pair(index=index, mode="side by side", threads=threads, seed=0, warmup_runs=(3, 3), quads=tuple(quads))


@st.composite
def intervals(draw: st.DrawFn, least: float = 0.01, most: float = 100.0) -> Interval:
    low, value, high = sorted(draw(st.lists(st.floats(least, most), min_size=3, max_size=3)))
    return Interval(value=value, low=low, high=high)


def recipe(name: str, role: str = "candidate", **fields: Any) -> Recipe:
    return Recipe(name=name, runtime=fields.pop("runtime", "null"), role=role, **fields)


def model(kind: str = "null") -> Model:
    artifact = Artifact(kind=kind, path="/models/m.null", digest="d" * 64, bytes=2_000_000, files=("m.null",))
    spec = TensorSpec(name="x", dtype="float32", shape=("batch", 4))
    return Model(artifact=artifact, reader="null", inputs=(spec,), outputs=(spec,), parameters=1)


def target() -> Target:
    return Target(host="h", os="Linux", kernel="6", architecture="x86_64", cpu="A CPU", cpu_flags=("avx2",), cores=2, threads=2,
                  memory_bytes=10**9, python="3.11")  # fmt: skip


def task() -> Task:
    data = Dataset(digest="d", folder="f", count=100, inputs={"x": "input0.npy"})
    return Task(evaluation=data, calibration=None, metric="top1", output="y")


def inspection(width: int = 256, **fields: Any) -> Inspection:
    """A model of one linear layer, a million parameters."""
    layer = Layer(role="linear", operator="MatMul", example="w", shape=(width, width), count=1, parameters=1_000_000, inner=width)
    given: dict[str, Any] = {
        "path": "m.onnx", "format": "onnx", "family": "tensor", "modality": "vision", "architecture": "", "inputs": (),
        "outputs": (), "files": {"m.onnx": 4_000_000}, "parameters": 1_000_000, "stored": {"float32": 1_000_000},
        "layers": (layer,), "stored_bytes": {"float32": 4_000_000}, "operators": {"MatMul": 1}, **fields,
    }  # fmt: skip
    return Inspection.model_validate(given)


class Heard(list):
    """An observer that keeps every event with its details."""

    def __call__(self, event, details):
        self.append((event, details))
