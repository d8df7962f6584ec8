"""All contestants in one interleaved run, each in a process of its own; whose turn it is not is stopped."""

import json
import math
import os
import random
import signal
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
BLOCK_S = 0.020
T95 = {2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228, 11: 2.201}
"""Student's t, two-sided 95 %, by degrees of freedom."""


class Entry(NamedTuple):
    """A contestant: its interpreter, and the model or bundle that is run."""

    name: str
    python: str
    path: Path


class Runner:
    """A contestant's process; stopped between its blocks."""

    def __init__(self, entry: Entry, data: Path, names: dict[str, str], core: int) -> None:
        self.process = subprocess.Popen(
            [entry.python, "-m", "benchmarks.peers.side", str(entry.path), str(data.absolute()), json.dumps(names)], cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1", "CI": "1"},
        )  # fmt: skip
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(self.process.pid, {core})
        self.receive()
        self.stop()

    def stop(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    def receive(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            assert self.process.stderr is not None
            raise RuntimeError(([*self.process.stderr.read().strip().splitlines()] or ["it ended without a word"])[-1])
        return json.loads(line)["ok"]

    def ask(self, **request: Any) -> Any:
        assert self.process.stdin is not None
        os.kill(self.process.pid, signal.SIGCONT)
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.receive()
        self.stop()
        return answer

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


def answers(entry: Entry, data: Path, names: dict[str, str]) -> NDArray[Any]:
    """Its first output for every example.

    Raises:
        RuntimeError: it does not run; the last line it wrote.
    """
    runner = Runner(entry, data, names, sorted(os.sched_getaffinity(0))[0])
    try:
        with tempfile.TemporaryDirectory() as folder:
            runner.ask(op="answers", out=f"{folder}/answers.npy")
            found: NDArray[Any] = np.load(f"{folder}/answers.npy", allow_pickle=False)
            return found
    finally:
        runner.close()


def race(entries: list[Entry], data: Path, names: dict[str, str], repeats: int, rounds: int) -> dict[str, list[float]]:
    """Median log-latency (log ns) of each contestant in each repeat; a round has everybody once, in random order."""
    found: dict[str, list[float]] = {e.name: [] for e in entries}
    allowed, order = sorted(os.sched_getaffinity(0)), random.Random(0)
    for repeat in range(repeats):
        core = allowed[repeat % len(allowed)]
        runners = {e.name: Runner(e, data, names, core) for e in entries}
        try:
            calls = {n: max(3, round(BLOCK_S * 1e9 / r.ask(op="warm"))) for n, r in runners.items()}
            logs: dict[str, list[float]] = {n: [] for n in runners}
            for _ in range(rounds):
                for name in order.sample(list(runners), len(runners)):
                    logs[name].append(math.log(runners[name].ask(op="block", count=calls[name])))
            for name, values in logs.items():
                found[name].append(statistics.median(values))
        finally:
            for runner in runners.values():
                runner.close()
    return found


def ratio(faster: list[float], slower: list[float]) -> list[float]:
    """[low, value, high] of slower/faster: a t-interval over the repeats' log-ratios."""
    differences = [s - f for f, s in zip(faster, slower, strict=True)]
    middle = statistics.fmean(differences)
    half = T95[len(differences) - 1] * statistics.stdev(differences) / math.sqrt(len(differences))
    return [round(math.exp(v), 4) for v in (middle - half, middle, middle + half)]
