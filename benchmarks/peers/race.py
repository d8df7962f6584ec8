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
REPEATS, ROUNDS, MORE_ROUNDS, SHORT_NS = 8, 24, 96, 200_000
"""Where the fastest takes less than SHORT_NS a call, more rounds: its blocks differ more."""
# fmt: off
T95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
       2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042)
# fmt: on
"""Student's t, two-sided 95 %, for 1 to 30 degrees of freedom."""
Logs = list[list[float]]
"""Log-latencies (log ns) of one contestant: for each repeat, its round after round."""


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
        try:
            self.receive()
        except RuntimeError:
            self.close()
            raise
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


def race(entries: list[Entry], data: Path, names: dict[str, str], repeats: int, rounds: int | None = None) -> dict[str, Logs]:
    """Every contestant's logs; a round has everybody once, in random order. rounds: None for what fits the calls' length."""
    found: dict[str, Logs] = {e.name: [] for e in entries}
    allowed, order = sorted(os.sched_getaffinity(0)), random.Random(0)
    for repeat in range(repeats):
        core = allowed[repeat % len(allowed)]
        runners: dict[str, Runner] = {}
        try:
            for entry in entries:
                runners[entry.name] = Runner(entry, data, names, core)
            warm = {n: r.ask(op="warm") for n, r in runners.items()}
            calls = {n: max(3, round(BLOCK_S * 1e9 / t)) for n, t in warm.items()}
            rounds = rounds or (MORE_ROUNDS if min(warm.values()) < SHORT_NS else ROUNDS)
            logs: Logs = [[] for _ in entries]
            for _ in range(rounds):
                for index in order.sample(range(len(entries)), len(entries)):
                    name = entries[index].name
                    logs[index].append(math.log(runners[name].ask(op="block", count=calls[name])))
            for entry, values in zip(entries, logs, strict=True):
                found[entry.name].append(values)
        finally:
            for runner in runners.values():
                runner.close()
    return found


def ratio(faster: Logs, slower: Logs) -> list[float]:
    """[low, value, high] of slower/faster: a t-interval over the repeats, each the median of its rounds' log-ratios.

    >>> ratio([[1.0, 2.0], [1.0, 2.0]], [[1.0, 2.0], [1.0, 2.0]])
    [1.0, 1.0, 1.0]
    """
    repeats = [
        statistics.median(s - f for f, s in zip(quick, slow, strict=True)) for quick, slow in zip(faster, slower, strict=True)
    ]
    middle = statistics.fmean(repeats)
    half = T95[len(repeats) - 2] * statistics.stdev(repeats) / math.sqrt(len(repeats))
    return [round(math.exp(v), 4) for v in (middle - half, middle, middle + half)]


def milliseconds(logs: Logs) -> float:
    """Median call, in the middle of the repeats."""
    return round(math.exp(statistics.median(map(statistics.median, logs))) / 1e6, 5)
