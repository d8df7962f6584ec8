"""One open session, its inputs, and what may be asked of it. Needs numpy; lives in the child."""

import os
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strop_child import clock, lengths, memory, shaped
from strop_child.evaluation import Evaluation, compare
from strop_child.mixing import mixing as mixed
from strop_child.shards import feed_of, opened, release, row_bytes

ROTATE_BYTES = 64 << 20
BATCH_BYTES, LEAST_TOGETHER = 256 << 20, 8
"""What a larger batch may take, and below how many examples it is not worth while."""


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
        self.batch, self.work = batch, work
        self.shards: dict[str, Any] = opened(inputs)
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
        self.settings = settings
        if profile:
            self.session = work.profile(artifact, shaped.of_first(settings))
        else:
            self.session = shaped.open_shaped(work.open, artifact, settings)
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

    def evaluate(self, out: str, expected: str | None = None, mixing: int = 0, together: int = 0) -> dict[str, Any]:
        """Every example once, in batches; the outputs become shards in `out`. The first batches are run twice.

        mixing: of how many examples a batch is that shows whether they mix, as `mixing.mixing` takes it; 0: it is not asked.
        together: how many examples larger batches may have, where those give the same answers; 0: none are tried. A session for
            fixed shapes takes none: it would be judged by the answers of another.
        """
        begin = time.perf_counter()
        found = Evaluation(self.session, self.shards, self.count, self.batch, out)
        batched = found.run(0 if self.takes_one_batch else self.fitting(together))
        if "crop" in self.settings:
            made = {name: shard for name, (_, shard) in found.made.items()}
            lengths.require_exact(self.session, self.settings["mask"], self.shards, made, self.batch)
        return {
            "examples": self.count,
            "seconds": time.perf_counter() - begin,
            "batched": batched,
            "rough_latency_ns": sorted(found.durations)[len(found.durations) // 2],
            "shards": {name: file for name, (file, _) in found.made.items()},
            "mixing": mixed(self.session, self.shards, self.count, mixing),
            "ran": self.work.ran(shaped.plain(self.session)) if hasattr(self.work, "ran") else "",
        }

    @property
    def takes_one_batch(self) -> bool:
        """Whether another session, or none, answers a larger batch: of fixed shapes, or a bundle's that has those; or whether an
        input without axes is not the same for all examples.
        """
        varies = any(getattr(shard, "varies", False) for shard in self.shards.values())
        return varies or "shapes" in self.settings or bool(getattr(self.session, "filled", False))

    def fallback(self) -> dict[str, Any]:
        """Private bytes that the session for other shapes adds once it has answered, None where the platform cannot tell; and
        whether it answers as the one that was timed."""
        feed = self.feeds[0]
        expected, before = self.session.run(feed), memory.sample()["private"]
        got = self.session.by_fallback(feed)
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


def model_files(artifact: str) -> list[str]:
    """Every regular file beside the one that is opened, and that file."""
    folder = os.path.dirname(os.path.abspath(artifact))
    found = [os.path.abspath(artifact)]
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if os.path.isfile(path) and path not in found:
            found.append(path)
    return found
