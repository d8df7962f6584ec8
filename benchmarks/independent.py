"""A stopwatch that shares nothing with Strop: it imports onnxruntime and numpy only.

    python benchmarks/independent.py ORIGINAL.onnx BUNDLE_DIR DATA.npz [--threads N] [--map input=x] [--as-is] [--json]

Both models run in processes of their own, in turn, in short blocks, ABBA; every repeat starts two fresh processes, and the
one whose turn it is not is stopped, so that threads of its that spin take no core from the other. The original gets all
graph optimizations, N threads and no spinning (--spinning: it spins; --as-is: what ONNX Runtime does by default); the
other one may be an .onnx file instead, which is run like the original, or a bundle, which is loaded by its own infer.py.
The interval holds the middle 95 % of the repeats.
"""

import argparse
import gc
import importlib.util
import json
import math
import multiprocessing
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
BLOCK_S, WARM_S, FEEDS = 0.020, 0.4, 32
TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64", "tensor(int64)": "int64",
         "tensor(int32)": "int32", "tensor(int8)": "int8", "tensor(uint8)": "uint8", "tensor(bool)": "bool"}  # fmt: skip


class Model(NamedTuple):
    """call: arrays by input name → arrays by output name. batch: examples in a call."""

    call: Callable[[Arrays], Arrays]
    types: dict[str, str]
    batch: int


def open_onnx(path: Path, threads: int, as_is: bool, spinning: bool) -> Model:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    if not as_is:
        options.intra_op_num_threads = threads
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spinning else "0")
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    inputs = session.get_inputs()
    first = inputs[0].shape[0] if inputs[0].shape else 1
    types = {i.name: TYPES[i.type] for i in inputs}
    return Model(
        lambda feed: dict(zip(names, session.run(None, feed), strict=True)), types, first if isinstance(first, int) else 1
    )


def open_bundle(folder: Path) -> Model:
    spec = importlib.util.spec_from_file_location("infer", folder / "infer.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    bundle = module.load(folder)
    return Model(bundle.run, {name: str(dtype) for name, dtype in bundle.inputs.items()}, bundle.fixed or 1)


def read(path: Path) -> Arrays:
    """An .npz file, or a folder of .npy files."""
    if path.is_dir():
        return {p.stem: np.load(p, allow_pickle=False) for p in path.glob("*.npy")}
    with np.load(path, allow_pickle=False) as found:
        return {name: found[name] for name in found.files}


class Side:
    """What runs in a contestant's process."""

    def __init__(self, model: Model, data: Path, names: dict[str, str]) -> None:
        self.model = model
        arrays = read(data)
        self.inputs = {n: arrays[names.get(n, n)].astype(t) for n, t in self.model.types.items()}
        self.count = len(next(iter(self.inputs.values())))
        self.feeds = [self.feed(i) for i in range(min(FEEDS, -(-self.count // self.model.batch)))]
        self.next = 0

    def feed(self, index: int) -> Arrays:
        rows = np.arange(index * self.model.batch, (index + 1) * self.model.batch) % self.count
        return {name: np.ascontiguousarray(array[rows]) for name, array in self.inputs.items()}

    def calls(self, count: int) -> list[int]:
        found = []
        for _ in range(count):
            feed = self.feeds[self.next % len(self.feeds)]
            self.next += 1
            begin = time.perf_counter_ns()
            self.model.call(feed)
            found.append(time.perf_counter_ns() - begin)
        return found

    def warm(self) -> float:
        """Median call of the last third, nanoseconds."""
        found, end = self.calls(3), time.perf_counter() + WARM_S
        while time.perf_counter() < end:
            found += self.calls(3)
        return statistics.median(found[-len(found) // 3 :])

    def block(self, count: int) -> float:
        """Median of `count` calls after two that are not timed, nanoseconds."""
        gc.collect()
        gc.disable()
        self.calls(2)
        found = self.calls(count)
        gc.enable()
        return statistics.median(found)

    def answers(self) -> Arrays:
        parts = [self.model.call(self.feed(i)) for i in range(-(-self.count // self.model.batch))]
        return {name: np.concatenate([np.asarray(p[name]) for p in parts])[: self.count] for name in parts[0]}


def serve(pipe: Connection, cores: list[int], arguments: tuple[Any, ...]) -> None:
    """Opens a side and answers (method, arguments) until None comes; an error is the last answer."""
    try:
        if cores and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, cores)
        path, data, names, *settings = arguments
        side = Side(open_bundle(path) if path.is_dir() else open_onnx(path, *settings), data, names)
        pipe.send(None)
        while (request := pipe.recv()) is not None:
            pipe.send(getattr(side, request[0])(*request[1:]))
    except Exception as error:
        pipe.send(error if isinstance(error, (ValueError, KeyError)) else RuntimeError(str(error).splitlines()[0]))


class Contestant:
    def __init__(self, cores: list[int], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=serve, args=(other, cores, arguments), daemon=True)
        self.process.start()
        other.close()
        self.receive()

    def receive(self) -> Any:
        answer = self.pipe.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def ask(self, *request: Any) -> Any:
        """Wakes the process for one request, and stops it again."""
        self.signal("SIGCONT")
        self.pipe.send(request)
        answer = self.receive()
        self.signal("SIGSTOP")
        return answer

    def signal(self, name: str) -> None:
        assert self.process.pid is not None
        if hasattr(signal, name):
            os.kill(self.process.pid, getattr(signal, name))

    def close(self) -> None:
        self.signal("SIGCONT")
        self.pipe.send(None)
        self.process.join(5)
        self.process.kill()


def one_repeat(a: Contestant, b: Contestant, quads: int) -> tuple[float, float, float]:
    """Ratio a/b (the median of the quads'), and the median latencies, nanoseconds."""
    sides = {"A": a, "B": b}
    counts = {name: max(3, round(BLOCK_S * 1e9 / side.ask("warm"))) for name, side in sides.items()}
    times: dict[str, list[float]] = {"A": [], "B": []}
    ratios = []
    for quad in range(quads):
        blocks: dict[str, float] = {"A": 0.0, "B": 0.0}
        for name in "BAAB" if quad % 2 else "ABBA":
            latency = sides[name].ask("block", counts[name])
            blocks[name] += math.log(latency) / 2
            times[name].append(latency)
        ratios.append(blocks["A"] - blocks["B"])
    return math.exp(statistics.median(ratios)), statistics.median(times["A"]), statistics.median(times["B"])


def accuracy(answers: Arrays, output: str, labels: NDArray[Any]) -> float:
    """Top-1."""
    best = answers[output].reshape(len(labels), -1).argmax(axis=1)
    return float(np.mean((best[:, None] == labels.reshape(len(labels), -1)).any(axis=1)))


def compare(given: argparse.Namespace) -> dict[str, Any]:
    names = dict(pair.split("=", 1) for pair in given.map)
    labels = read(given.data).get(given.labels)
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    found, scores = [], {}
    for repeat in range(given.repeats):
        cores = [] if given.as_is or not allowed else [allowed[(repeat + i) % len(allowed)] for i in range(given.threads)]
        common = (given.data, names, given.threads, given.as_is, given.spinning)
        a, b = Contestant(cores, given.original, *common), Contestant(cores, given.other, *common)
        if repeat == 0 and labels is not None:
            answers = {"original": a.ask("answers"), "other": b.ask("answers")}
            output = given.output or next(iter(answers["original"]))
            scores = {name: accuracy(answer, output, labels) for name, answer in answers.items()}
        found.append(one_repeat(a, b, given.quads))
        a.close()
        b.close()
    ratios = [ratio for ratio, _, _ in found]
    low, high = (float(v) for v in np.percentile(ratios, [2.5, 97.5]))
    original_ms, other_ms = (round(statistics.median(f[i] for f in found) / 1e6, 5) for i in (1, 2))
    return {
        "speedup": [round(low, 4), round(statistics.median(ratios), 4), round(high, 4)], "repeats": given.repeats,
        "quads": given.quads, "threads": given.threads, "as_is": given.as_is, "original_ms": original_ms, "other_ms": other_ms,
        "accuracy": scores,
    }  # fmt: skip


def threads_of(path: Path) -> int:
    """What a bundle was packed for; 1 for a plain model."""
    manifest = path / "manifest.json"
    return int(json.loads(manifest.read_text(encoding="utf-8"))["settings"].get("threads", 1)) if manifest.exists() else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("original", type=Path)
    parser.add_argument("other", type=Path, help="a bundle's folder, or an .onnx file")
    parser.add_argument("data", type=Path, help=".npz, or a folder of .npy")
    parser.add_argument("--threads", type=int, default=0, help="[what the bundle was packed for]")
    parser.add_argument("--map", action="append", default=[], metavar="INPUT=ARRAY")
    parser.add_argument("--labels", default="labels", help="array of class numbers; without it no accuracy [labels]")
    parser.add_argument("--output", help="output whose largest value is the class [the first]")
    parser.add_argument("--as-is", action="store_true", help="the original with ONNX Runtime's defaults, no cores assigned")
    parser.add_argument("--spinning", action="store_true", help="the original's threads spin while they wait")
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--quads", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    given.threads = given.threads or threads_of(given.other)
    result = compare(given)
    if given.json:
        print(json.dumps(result))
        return 0
    low, value, high = result["speedup"]
    print(
        f"{value:.3f} [{low:.3f}, {high:.3f}] times as fast as the original ({given.repeats} repeats, {given.threads} thread(s))"
    )
    print(f"median call: {result['original_ms']:.4g} ms → {result['other_ms']:.4g} ms")
    for name, score in result["accuracy"].items():
        print(f"top-1 of the {name}: {score:.2%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
