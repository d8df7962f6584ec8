"""Every evaluation example once; the outputs become shards. Needs numpy; lives in the child.

Examples are answered as they are timed, one batch after another. Where that is one example at a time, larger batches take their
place if `PROBE` examples, taken from all over the data, show that they give the same answers, bit for bit, in less time. What
depends on the other examples of its batch, such as a dynamically quantized model, differs there and stays with single examples.
"""

import os
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strop_child.shards import CHUNK_BYTES, create, feed_of, release, row_bytes

PROBE = 64
SLOWEST, FASTER = 2.0, 0.9
"""Of the time of single examples: what a larger batch takes at most, and what those after the first one take together, which may
prepare its kernels."""
TWICE = 3
"""Batches that are run twice: a session has to give the same answers to the same input."""
TOLERANCE = 1e-3
"""Largest difference between two runs of one session on one input, as a share of the output's range."""


class InvalidOutput(Exception):
    """The session answered something that cannot be an honest output."""


class Evaluation:
    """One run over the evaluation data.

    made: output name → its file in `out`, and the shard. An output whose first axis is not the batch (a list of detections, a
    scalar), or whose length differs from example to example, has none: these are `loose`. durations: ns of each call, without
    those of larger batches.
    """

    def __init__(self, session: Any, inputs: Mapping[str, NDArray[Any]], count: int, batch: int, out: str) -> None:
        self.session, self.inputs, self.count, self.batch, self.out = session, inputs, count, batch, out
        self.made: dict[str, tuple[str, Any]] = {}
        self.loose: set[str] = set()
        self.durations: list[int] = []
        self.read = 0

    def run(self, together: int = 0) -> int:
        """All examples; returns how many a call took after the first ones.

        Args:
            together: the larger batch that is tried; 0: none is.
        """
        order = np.arange(self.count)
        if self.batch == 1 and together > 1 and self.count > PROBE:
            first = np.linspace(0, self.count - 1, PROBE).astype(int)
            self.take(first, 1)
            size = self.size_together(first, together)
            self.take(np.setdiff1d(order, first), size)
        else:
            size = self.batch
            self.take(order, size)
        for _, shard in self.made.values():
            shard.flush()
        return size

    def take(self, rows: NDArray[Any], size: int) -> None:
        """The answers to these examples, `size` in a call."""
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            feed = self.feed(part, size)
            begin = time.perf_counter_ns()
            answer = self.session.run(feed)
            if size == self.batch:
                self.durations.append(time.perf_counter_ns() - begin)
            self.store(answer, part, size)
            if len(self.durations) <= TWICE and size == self.batch:
                compare(self.session.run(feed), answer, "not deterministic: the same input twice gave two answers")

    def feed(self, rows: NDArray[Any], size: int) -> dict[str, NDArray[Any]]:
        """A batch of these examples; where they are too few, padded with the first ones."""
        filled = rows if len(rows) == size else np.resize(np.concatenate([rows, np.arange(self.count)]), size)
        fed: dict[str, NDArray[Any]] = feed_of(self.inputs, filled)
        return fed

    def size_together(self, rows: NDArray[Any], most: int) -> int:
        """`most` where batches of so many give the answers that are stored, in less time; else 1."""
        alone, spent = most * sorted(self.durations)[len(self.durations) // 2], 0
        try:
            for number, start in enumerate(range(0, len(rows), most)):
                part = rows[start : start + most]
                feed = self.feed(part, most)
                begin = time.perf_counter_ns()
                answer = self.session.run(feed)
                taken = time.perf_counter_ns() - begin
                spent += taken if number else 0
                if taken > SLOWEST * alone or spent > FASTER * alone * number or not self.same(answer, part):
                    return 1
        except Exception as error:  # a larger batch is only a question here: a model may refuse it
            print(f"examples are answered one by one: a batch of {most} failed: {error}")
            return 1
        return most

    def same(self, answer: Mapping[str, Any], rows: NDArray[Any]) -> bool:
        """Whether a batch's answers are those that are stored, bit for bit."""
        return bool(self.made) and all(
            name in answer and same_bits(np.asarray(answer[name]), shard[rows]) for name, (_, shard) in self.made.items()
        )

    def store(self, answer: Mapping[str, Any], rows: NDArray[Any], size: int) -> None:
        """An answer's rows, to the shards; the first answer makes them."""
        for name, value in answer.items():
            array = np.asarray(value)
            if not self._fits(name, array, size):
                self.made.pop(name, None)
                self.loose.add(name)
                continue
            if name not in self.made:
                file = f"output{len(self.made) + len(self.loose)}.npy"
                self.made[name] = file, create(os.path.join(self.out, file), array.dtype, (self.count, *array.shape[1:]))
            shard = self.made[name][1]
            if array.dtype != shard.dtype:
                raise InvalidOutput(f"output {name!r}: {array.dtype}{list(array.shape)} differs from earlier batches")
            shard[rows] = array[: len(rows)]
        self.read += size * sum(row_bytes(a) for a in self.mapped())
        if self.read > CHUNK_BYTES:
            release(*self.mapped())
            self.read = 0

    def _fits(self, name: str, array: NDArray[Any], size: int) -> bool:
        """Whether an answer has a row for each example of its batch, as all before it had: it may have so many by chance."""
        if name in self.loose or array.ndim == 0 or array.shape[0] != size or array.dtype == object:
            return False
        return name not in self.made or array.shape[1:] == self.made[name][1].shape[1:]

    def mapped(self) -> list[Any]:
        return [*self.inputs.values(), *(shard for _, shard in self.made.values())]


def same_bits(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Equal in type, shape and every bit: also where both are NaN, and not where one is -0."""
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


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
