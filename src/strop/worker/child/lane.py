"""One open session, its inputs, and what may be asked of it. Needs numpy; lives in the child."""

import os
import time
from collections.abc import Mapping
from typing import Any

import clock
import memory
import numpy as np
from mixing import mixing as mixed
from numpy.typing import NDArray
from shards import CHUNK_BYTES, create, release, row_bytes

TOLERANCE = 1e-3
"""Largest difference between two runs of one session on one input, as a share of the output's range."""
ROTATE_BYTES = 64 << 20


class InvalidOutput(Exception):
    """The session answered something that cannot be an honest output."""


class Lane:
    """Opens the session, keeps the rotating inputs in memory, checks every answer that was timed."""

    def __init__(
        self,
        work: Any,
        artifact: str,
        settings: dict[str, Any],
        inputs: dict[str, str],
        batch: int,
        rotate: int,
        reference: dict[str, str] | None = None,
        count: int | None = None,
        profile: bool = False,
    ) -> None:
        self.batch = batch
        self.shards: dict[str, NDArray[Any]] = {
            name: np.load(path, mmap_mode="r", allow_pickle=False) for name, path in inputs.items()
        }
        self.count = count or len(next(iter(self.shards.values())))
        self.model_files = model_files(artifact)
        self.feeds = self._rotation(rotate)
        release(*self.shards.values())
        if hasattr(work, "warm_import"):
            work.warm_import(artifact)
        empty = memory.sample()
        memory.reset_peak()
        self.begin = time.perf_counter()
        self.moments = [memory.moment(self.begin, "empty")]
        start = time.perf_counter()
        self.session = work.profile(artifact, settings) if profile else work.open(artifact, settings)
        load_s = time.perf_counter() - start
        self.moments.append(memory.moment(self.begin, "loaded"))
        start = time.perf_counter()
        first = self.session.run(self.feeds[0])
        first_s = time.perf_counter() - start
        self.moments.append(memory.moment(self.begin, "first inference"))
        self.reference = self._load_reference(reference)
        self.cursor = 0
        self.opened = {
            "load_s": load_s,
            "first_inference_s": first_s,
            "profiles": hasattr(work, "profile"),
            "empty": empty["private"],
            "properties": dict(getattr(self.session, "properties", {})),
            "outputs": {name: [str(a.dtype), list(a.shape)] for name, a in ((n, np.asarray(v)) for n, v in first.items())},
        }

    def _feed(self, index: int) -> dict[str, NDArray[Any]]:
        """Batch `index`, the last one filled up from the front where it is short."""
        rows = np.arange(index * self.batch, (index + 1) * self.batch) % self.count
        return {name: np.ascontiguousarray(shard[rows]) for name, shard in self.shards.items()}

    def _rotation(self, rotate: int) -> list[dict[str, NDArray[Any]]]:
        batches = max(1, -(-self.count // self.batch))
        size = sum(a.nbytes for a in self._feed(0).values()) or 1
        return [self._feed(i) for i in range(min(batches, rotate, max(1, ROTATE_BYTES // size)))]

    def _load_reference(self, reference: dict[str, str] | None) -> list[dict[str, NDArray[Any]]] | None:
        if reference is None:
            return None
        whole = {name: np.load(path, mmap_mode="r", allow_pickle=False) for name, path in reference.items()}
        rows = [np.arange(i * self.batch, (i + 1) * self.batch) % self.count for i in range(len(self.feeds))]
        return [{name: np.array(shard[r]) for name, shard in whole.items()} for r in rows]

    def call(self, index: int) -> Any:
        return self.session.run(self.feeds[index % len(self.feeds)])

    def warm(self) -> dict[str, int]:
        runs, median = clock.warm(self.call)
        self.cursor += runs
        return {"runs": runs, "median_ns": median}

    def block(self, runs: int) -> Any:
        """A timed block; its last answer is held against the one that accuracy was taken from."""
        record, output, last = clock.block(self.call, self.cursor, runs)
        self.cursor = last + 1
        if self.reference is not None:
            compare(
                output,
                self.reference[last % len(self.feeds)],
                "a timed answer differs from the one accuracy was measured on",
            )
        return record

    def evaluate(self, out: str, expected: str | None = None, mixing: int = 0) -> dict[str, Any]:
        """Every example once, in batches; the outputs become shards in `out`. The first batches are run twice.

        mixing: of how many examples a batch is that shows whether they mix, as `mixing.mixing` takes it; 0: it is not asked.
        An output whose first axis is not the batch (a list of detections, a scalar) has no shard.
        """
        batches, read = -(-self.count // self.batch), 0
        shards: dict[str, tuple[str, Any]]
        shards, durations = {}, []
        begin = time.perf_counter()
        for index in range(batches):
            feed = self._feed(index)
            start = time.perf_counter_ns()
            answer = self.session.run(feed)
            durations.append(time.perf_counter_ns() - start)
            self._store(shards, out, answer, index)
            read += self.batch * sum(row_bytes(a) for a in [*self.shards.values(), *(s for _, s in shards.values())])
            if read > CHUNK_BYTES:
                release(*self.shards.values(), *(s for _, s in shards.values()))
                read = 0
            if index < 3:
                compare(self.session.run(feed), answer, "not deterministic: the same input twice gave two answers")
        for _, shard in shards.values():
            shard.flush()
        return {
            "examples": self.count,
            "seconds": time.perf_counter() - begin,
            "rough_latency_ns": sorted(durations)[len(durations) // 2],
            "shards": {name: file for name, (file, _) in shards.items()},
            "mixing": mixed(self.session, self.shards, self.count, mixing),
        }

    def _store(self, shards: dict[str, tuple[str, Any]], out: str, answer: Mapping[str, Any], index: int) -> None:
        rows = slice(index * self.batch, min((index + 1) * self.batch, self.count))
        for name, value in answer.items():
            array = np.asarray(value)
            if array.ndim == 0 or array.shape[0] != self.batch or array.dtype == object:
                if name in shards:
                    raise InvalidOutput(f"output {name!r}: shape {list(array.shape)} for a batch of {self.batch}")
                continue
            if name not in shards:
                file = f"output{len(shards)}.npy"
                shape = (self.count, *array.shape[1:])
                path = os.path.join(out, file)
                shards[name] = file, create(path, array.dtype, shape)
            shard = shards[name][1]
            if array.shape[1:] != shard.shape[1:] or array.dtype != shard.dtype:
                raise InvalidOutput(f"output {name!r}: {array.dtype}{list(array.shape)} differs from earlier batches")
            shard[rows] = array[: rows.stop - rows.start]


def model_files(artifact: str) -> list[str]:
    """Every regular file beside the one that is opened, and that file."""
    folder = os.path.dirname(os.path.abspath(artifact))
    found = [os.path.abspath(artifact)]
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if os.path.isfile(path) and path not in found:
            found.append(path)
    return found


def compare(answer: Mapping[str, Any], expected: Mapping[str, Any], what: str) -> None:
    """Raise InvalidOutput unless shapes and types are equal and values differ by little of the expected range."""
    for name, wanted in expected.items():
        if name not in answer:
            raise InvalidOutput(f"{what}: output {name!r} is missing")
        got, wanted = np.asarray(answer[name]), np.asarray(wanted)
        if got.shape != wanted.shape or got.dtype != wanted.dtype:
            raise InvalidOutput(f"{what}: {name!r} is {got.dtype}{list(got.shape)}, not {wanted.dtype}{list(wanted.shape)}")
        if not np.issubdtype(got.dtype, np.number) or not got.size:
            continue
        span = float(np.ptp(wanted[np.isfinite(wanted)])) if np.isfinite(wanted).any() else 0.0
        worst = float(np.max(np.abs(np.nan_to_num(got.astype(float)) - np.nan_to_num(wanted.astype(float)))))
        if worst > TOLERANCE * max(span, 1e-6):
            raise InvalidOutput(f"{what}: {name!r} by {worst:.3g} over a range of {span:.3g}")
