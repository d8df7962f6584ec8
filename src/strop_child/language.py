"""The family of language models: one open session, scored by forced tokens, timed by whole requests. Needs numpy.

A timed call is one request: the prompt at once, then the answer token by token, every
token given, so that all frameworks do the same work. In a batch so many texts go side by side; scoring takes one at a time.
"""

import json
import os
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strop_child import clock
from strop_child.evaluation import InvalidOutput
from strop_child.questions import answer_questions
from strop_child.session import model_files, start

DISTRIBUTION, TOPS = "distribution.npy", "tops.npy"
"""Of a baseline: log-probabilities, and its likeliest tokens, which rounding to fp16 would make ties of."""
WHOLE_BYTES = 256 << 20
"""A baseline's distributions up to this size are kept in fp32, larger ones in fp16."""
TOLERANCE = 1e-3
TWICE = 1
"""Windows that are scored a second time: each compares hundreds of whole distributions."""
SLICE_BYTES = 1 << 20
"""Logits that are normalized at once: what stays in a core's cache. A window's are 100 MB where the vocabulary is 50,000."""
SAMPLES = "samples.json"
QUESTIONS = ("question_rows", "question_tokens")
PROMPTS, PROMPT, WRITTEN = 3, 32, 48
"""Continuations that are kept to be read: how many, after how many tokens, of how many tokens at most."""
WRITING_S = 5.0
"""All of them together may take so long; what is there then is kept."""


def windows(session: Any, rows: Any, chunk: int) -> Iterator[NDArray[np.float32]]:
    """Log-probabilities of every next token of each window, [positions, vocabulary]; in chunks where the cache is not f32."""
    whole = str(session.properties.get("cache", "")) in ("f32", "float32")
    for row in rows:
        last, logs = len(row) - 1, np.empty((0, 0), np.float32)
        size = last if whole else chunk
        session.reset()
        for at in range(0, last, size):
            logits = np.asarray(session.step(row[at : min(at + size, last)], "all"), np.float32)
            logs = np.empty((last, logits.shape[1]), np.float32) if not at else logs
            for part in slices(logits):
                normalize(logits[part], logs[at : at + len(logits)][part])
        yield logs


def slices(rows: NDArray[np.float32]) -> Iterator[slice]:
    """Consecutive rows that fit `SLICE_BYTES`, so that several passes over them read memory once."""
    step = max(1, SLICE_BYTES // max(1, rows[0].nbytes))
    for at in range(0, len(rows), step):
        yield slice(at, at + step)


def normalize(logits: NDArray[np.float32], logs: NDArray[np.float32]) -> None:
    """Log-probabilities of logits, into `logs`.

    Raises:
        InvalidOutput: a logit is not finite.
    """
    if not np.isfinite(logits).all():
        raise InvalidOutput("an answer holds NaN or infinity")
    np.subtract(logits, logits.max(axis=1, keepdims=True), out=logs)
    logs -= np.log(np.exp(logs).sum(axis=1, keepdims=True))


def divergences(log: NDArray[np.float32], expected: Any) -> NDArray[np.float32]:
    """Kullback-Leibler divergence of each row from the expected one, nats."""
    found = np.empty(len(log), np.float32)
    for part in slices(log):
        theirs = np.asarray(expected[part], np.float32)
        found[part] = np.maximum((np.exp(theirs) * (theirs - log[part])).sum(axis=1), 0)
    return found


class LanguageSession:
    """Opens the model and keeps the windows of tokens."""

    verbs = frozenset({"evaluate", "phases", "fill"})

    def __init__(
        self,
        work: Any,
        artifact: str,
        settings: dict[str, Any],
        inputs: dict[str, str],
        called: dict[str, Any],
        batch: int = 1,
        count: int | None = None,
        profile: bool = False,
        **_: Any,
    ) -> None:
        self.tokens: NDArray[Any] = np.load(inputs["tokens"], mmap_mode="r", allow_pickle=False)
        self.count, self.batch = count or len(self.tokens), batch
        self.questions = [np.load(inputs[name], allow_pickle=False) for name in QUESTIONS if name in inputs]
        self.prompt, self.output, self.chunk = called["prompt"], called["output"], called["chunk"]
        self.context = called["context"]
        self.ends = frozenset(called["ends"])
        self.model_files = model_files(artifact)
        opener = work.profile if profile else work.open
        started = start(
            work, artifact, lambda: opener(artifact, settings if batch == 1 else {**settings, "batch": batch}), self._first
        )
        self.runtime, self.begin, self.moments = started.runtime, started.begin, started.moments
        self.cursor = 0
        self.steps_ns: list[int] = []
        self.warmed = False
        first = np.asarray(started.first)
        self.opened = {**started.opened, "outputs": {"logits": [str(first.dtype), list(first.shape)]}}

    def _first(self, runtime: Any) -> Any:
        runtime.reset()
        return runtime.step(self.texts(0)[..., : self.prompt], "last")

    def texts(self, index: int) -> NDArray[Any]:
        """Token ids of a request: [window], or [batch, window] with another window for each text."""
        first = index * self.batch
        rows: NDArray[Any] = self.tokens[np.arange(first, first + self.batch) % self.count]
        return rows if self.batch > 1 else rows[0]

    def call(self, index: int) -> Any:
        """One request; the answer's steps are timed beside."""
        ids, session, now = self.texts(index), self.runtime, time.perf_counter_ns
        session.reset()
        answer = session.step(ids[..., : self.prompt], "last")
        for place in range(self.prompt, self.prompt + self.output):
            start = now()
            answer = session.step(ids[..., place : place + 1], "last")
            self.steps_ns.append(now() - start)
        return answer

    def lead(self, index: int) -> None:
        """An untimed call before a block: one token of a new request, which reads every weight and wakes every thread. A whole
        request may take seconds."""
        self.runtime.reset()
        self.runtime.step(self.texts(index)[..., :1], "last")

    def warm(self) -> dict[str, int]:
        runs, median = clock.warm(self.call, least=1)  # a request is many steps
        self.cursor += runs
        return {"runs": runs, "median_ns": median}

    def block(self, runs: int) -> dict[str, Any]:
        self.steps_ns.clear()
        record, output, last = clock.block(self.call, self.cursor, runs, self.lead)
        self.cursor = last + 1
        if not np.isfinite(np.asarray(output)).all():
            raise InvalidOutput("a timed answer holds NaN or infinity")
        return {**record, "steps_ns": self.steps_ns[-runs * self.output :]}

    def fill(self) -> dict[str, int]:
        """Tokens until the context is full but for one, so that a cache that grows as it is needed is whole in memory."""
        ids, held = self.texts(0), 0
        self.runtime.reset()
        while held < self.context - 1:
            part = ids[..., : self.context - 1 - held]
            self.runtime.step(part, "none")
            held += part.shape[-1]
        return {"tokens": held}

    def phases(self, requests: int) -> dict[str, list[int]]:
        """Nanoseconds of requests, of each prompt and of each answered token; nothing is kept of the session's first request."""
        wholes, prompts, steps, now = list[int](), list[int](), list[int](), time.perf_counter_ns
        for index in range(requests + int(not self.warmed)):
            ids, session, taken = self.texts(index), self.runtime, []
            begin = now()
            session.reset()
            start = now()
            session.step(ids[..., : self.prompt], "last")
            prompt = now() - start
            for place in range(self.prompt, self.prompt + self.output):
                start = now()
                session.step(ids[..., place : place + 1], "last")
                taken.append(now() - start)
            whole = now() - begin
            if self.warmed:
                wholes, prompts, steps = [*wholes, whole], [*prompts, prompt], [*steps, *taken]
            self.warmed = True
        return {"latencies_ns": wholes, "prompt_ns": prompts, "token_ns": steps}

    def evaluate(self, out: str, expected: str | None = None, first: int = 0, count: int | None = None) -> dict[str, Any]:
        """Windows one by one: the loss of each token, and how far each distribution is from the baseline's.

        Args:
            expected: folder of the baseline's check; None for the baseline, whose distributions are kept.
            first: window to begin with. count: windows; None takes those of the session.
        """
        begin, durations, count = time.perf_counter(), [], count or self.count
        positions = self.tokens.shape[1] - 1
        kept: Any = None if expected is None else np.load(os.path.join(expected, DISTRIBUTION), mmap_mode="r", allow_pickle=False)
        found = {
            name: np.empty((count, positions), np.float32) for name in ("nll", *(() if kept is None else ("kl", "same_top")))
        }
        tops = np.empty((count, positions), np.int32) if kept is None else np.load(os.path.join(str(expected), TOPS))
        for index in range(count):
            start = time.perf_counter_ns()
            log = self.window(first + index)
            durations.append(time.perf_counter_ns() - start)
            if expected is None:
                kept = self.kept(out, count, log) if kept is None else kept
                kept[index], tops[index] = log, log.argmax(axis=1)
            found["nll"][index] = -log[np.arange(positions), self.tokens[first + index][1:]]
            if index < TWICE and np.max(np.abs(self.window(first + index) - log)) > TOLERANCE * np.ptp(log):
                raise InvalidOutput("not deterministic: the same window twice gave two answers")
            if expected is not None:
                found["kl"][index] = divergences(log, kept[index])
                found["same_top"][index] = tops[index] == log.argmax(axis=1)
        if self.questions and not first:
            found |= answer_questions(lambda ids: next(windows(self.runtime, ids[None], self.chunk)), *self.questions)
        if expected is None:
            np.save(os.path.join(out, TOPS), tops)
        for name, values in found.items():
            np.save(os.path.join(out, f"{name}.npy"), values)
        seconds = time.perf_counter() - begin
        if not first:
            written = json.dumps({"samples": [self.continuation(row) for row in self.tokens[:PROMPTS]]})
            draft = os.path.join(out, f"{SAMPLES}.partial")
            with open(draft, "w", encoding="utf-8") as file:
                file.write(written)
            os.replace(draft, os.path.join(out, SAMPLES))
        return {
            "examples": count,
            "seconds": seconds,
            "rough_latency_ns": sorted(durations)[len(durations) // 2],
            "shards": {name: f"{name}.npy" for name in found},
        }

    def continuation(self, row: NDArray[Any]) -> dict[str, Any]:
        """What the model itself writes after the first tokens of a window, the likeliest token each time.

        `stopped` says why it is no longer: "length", "end" (the model's own), or "time".
        """
        prompt = row[: min(PROMPT, len(row) // 2)]
        room, late = min(WRITTEN, len(row) - len(prompt)), time.perf_counter() + WRITING_S / PROMPTS
        made, given, stopped = list[int](), prompt, "length"
        self.runtime.reset()
        while len(made) < room:
            token = int(np.argmax(self.runtime.step(given, "last")[-1]))
            if token in self.ends:
                stopped = "end"
                break
            made, given = [*made, token], np.array([token], prompt.dtype)
            if time.perf_counter() > late:
                stopped = "time"
                break
        return {"prompt": prompt.tolist(), "made": made, "stopped": stopped}

    def window(self, index: int) -> NDArray[np.float32]:
        """Log-probabilities of every next token in a window, [positions, vocabulary]."""
        return next(windows(self.runtime, self.tokens[index : index + 1], self.chunk))

    def kept(self, out: str, count: int, log: NDArray[np.float32]) -> Any:
        """Where a baseline's distributions go."""
        shape = (count, *log.shape)
        kind = np.float32 if 4 * int(np.prod(shape)) <= WHOLE_BYTES else np.float16
        return np.lib.format.open_memmap(os.path.join(out, DISTRIBUTION), mode="w+", dtype=kind, shape=shape)


def open_session(work: Any, **request: Any) -> LanguageSession:
    return LanguageSession(work, **request)
