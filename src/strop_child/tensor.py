"""The family of tensor models, from arrays to arrays: one open session, its inputs, its answers. Needs numpy."""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strop_child import clock, lengths, memory, shaped
from strop_child.evaluation import Evaluation, compare
from strop_child.loaded import Callers
from strop_child.mixing import mixing as mixed
from strop_child.session import model_files, start
from strop_child.shards import feed_of, opened, release, row_bytes

ROTATE_BYTES = 64 << 20
BATCH_BYTES, LEAST_TOGETHER = 256 << 20, 8
"""What a larger batch may take, and below how many examples it is not worth while."""


class TensorSession:
    """Opens the model, keeps the rotating inputs in memory, checks every answer that was timed."""

    verbs = frozenset({"evaluate", "load", "loaded", "fallback"})

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
        self.batch, self.work = batch, work
        self.shards: dict[str, Any] = opened(inputs)
        self.count = count or len(next(iter(self.shards.values())))
        self.model_files = model_files(artifact)
        self.feeds = self._rotation(rotate)
        release(*self.shards.values())
        self.settings, self.artifact = settings, artifact

        def load() -> Any:
            if profile:
                return work.profile(artifact, shaped.of_first(settings))
            return shaped.open_shaped(work.open, artifact, settings)

        started = start(work, artifact, load, lambda runtime: runtime.run(self.feeds[0]))
        self.runtime, self.begin, self.moments = started.runtime, started.begin, started.moments
        self.reference = self._load_reference(reference)
        self.cursor = 0
        self.callers: Callers | None = None
        first = {name: np.asarray(value) for name, value in started.first.items()}
        self.opened = {**started.opened, "outputs": {name: [str(a.dtype), list(a.shape)] for name, a in first.items()}}

    def _feed(self, index: int) -> dict[str, NDArray[Any]]:
        """Batch `index`, the last one padded from the front where it is short."""
        rows = np.arange(index * self.batch, (index + 1) * self.batch) % self.count
        fed: dict[str, NDArray[Any]] = feed_of(self.shards, rows)
        return fed

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
        return self.runtime.run(self.feeds[index % len(self.feeds)])

    def warm(self) -> dict[str, int]:
        runs, median = clock.warm(self.call)
        self.cursor += runs
        return {"runs": runs, "median_ns": median}

    def block(self, runs: int) -> dict[str, Any]:
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

    def load(self, concurrency: int) -> dict[str, int]:
        """So many requests in flight from here on, until a plateau."""
        streams = int(self.settings.get("streams") or 1)
        self.callers = Callers(self, concurrency, streams, lambda: self.work.open(self.artifact, self.settings))
        return self.callers.warm()

    def loaded(self, length_s: float) -> dict[str, Any]:
        """One timed block of these."""
        assert self.callers is not None, "no requests are in flight: ask for `load` first"
        return self.callers.block(length_s)

    def evaluate(self, out: str, expected: str | None = None, mixing: int = 0, together: int = 0) -> dict[str, Any]:
        """Every example once, in batches; the outputs become shards in `out`. The first batches are run twice.

        mixing: of how many examples a batch is that shows whether they mix, as `mixing.mixing` takes it; 0: it is not asked.
        together: how many examples larger batches may have, where those give the same answers; 0: none are tried. A session for
            fixed shapes takes none: it would be judged by the answers of another.
        """
        begin = time.perf_counter()
        found = Evaluation(self.runtime, self.shards, self.count, self.batch, out)
        batched = found.run(0 if self.takes_one_batch else self.fitting(together))
        if "crop" in self.settings:
            made = {name: shard for name, (_, shard) in found.made.items()}
            lengths.require_exact(self.runtime, self.settings["mask"], self.shards, made, self.batch)
        return {
            "examples": self.count,
            "seconds": time.perf_counter() - begin,
            "batched": batched,
            "rough_latency_ns": sorted(found.durations)[len(found.durations) // 2],
            "shards": {name: file for name, (file, _) in found.made.items()},
            "mixing": mixed(self.runtime, self.shards, self.count, mixing),
            "ran": self.work.ran(shaped.plain(self.runtime)) if hasattr(self.work, "ran") else "",
        }

    @property
    def takes_one_batch(self) -> bool:
        """Whether another session, or none, answers a larger batch: of fixed shapes, or a bundle's that has those; or whether an
        input without axes is not the same for all examples.
        """
        varies = any(getattr(shard, "varies", False) for shard in self.shards.values())
        return varies or "shapes" in self.settings or bool(getattr(self.runtime, "filled", False))

    def fallback(self) -> dict[str, Any]:
        """Private bytes that the session for other shapes adds once it has answered, None where the platform cannot tell; and
        whether it answers as the one that was timed."""
        feed = self.feeds[0]
        expected, before = self.runtime.run(feed), memory.sample()["private"]
        got = self.runtime.by_fallback(feed)
        after = memory.sample()["private"]
        added = None if before is None or after is None else max(0, after - before)
        return {"bytes": added, "same": lengths.close(got, expected)}

    def fitting(self, together: int) -> int:
        """That batch, or a half of it and so on, which fits `BATCH_BYTES` by what single calls took; 0: none, or unknown."""
        now, loaded = memory.sample()["private"], self.moments[1]["private"]
        if now is None or loaded is None:
            return 0
        each = max(0, now - loaded) + sum(row_bytes(shard) for shard in self.shards.values())
        while together * each > BATCH_BYTES:
            together //= 2
        return together if together >= LEAST_TOGETHER else 0


def open_session(work: Any, **request: Any) -> TensorSession:
    return TensorSession(work, **request)
