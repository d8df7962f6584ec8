"""Runs a null model: y = tanh(x·W), after computing for a given time. Needs numpy only.

A null model is a JSON file, `*.null`: inputs, outputs, seed, milliseconds, mode, after and sleeps. In any mode but "honest"
it misbehaves, from its call number `after` on. One that `sleeps` leaves the CPU alone, so that several sessions overlap.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn, TextIO

import numpy as np
from numpy.typing import NDArray


class Session:
    """`run(dict of arrays) -> dict of arrays`."""

    def __init__(self, path: str, settings: dict[str, Any]) -> None:
        with open_file(path) as f:
            self.model = json.load(f)
        self.mode = self.model.get("mode", "honest")
        self.after = self.model.get("after", 0)
        self.seconds = self.model["milliseconds"] * settings.get("factor", 1.0) / 1000
        self.calls = 0
        any_batch = "x".join(["?", *map(str, self.model["inputs"][0]["shape"][1:])])
        self.properties = {"mode": self.mode, "factor": settings.get("factor", 1.0), "shapes": any_batch}
        self.ballast: list[NDArray[Any]] = []
        if self.mode == "large":
            self.ballast.append(np.ones(self.model["megabytes"] << 17))
        rng = np.random.default_rng(self.model["seed"])
        spec, out = self.model["inputs"][0], self.model["outputs"][0]
        self.input, self.output = spec["name"], out["name"]
        self.weights = rng.standard_normal((int(np.prod(spec["shape"][1:])), int(out["shape"][1])))
        if self.mode == "inaccurate":
            self.weights = np.random.default_rng(self.model["seed"] + 1).standard_normal(self.weights.shape)
        self.sum = np.zeros(1)

    def run(self, feed: dict[str, NDArray[Any]]) -> Any:
        self.calls += 1
        if self.mode in BEHAVIOUR and self.calls > self.after:
            return BEHAVIOUR[self.mode](self, feed)
        return self.honest(feed)

    def honest(self, feed: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        end = time.perf_counter() + self.seconds
        if self.model.get("sleeps"):
            time.sleep(self.seconds)
        while time.perf_counter() < end:
            self.sum += 1.0
        x = np.asarray(feed[self.input], np.float64)
        return {self.output: np.tanh(x.reshape(len(x), -1) @ self.weights / 4).astype(np.float32)}


def open_file(path: str) -> TextIO:
    return os.fdopen(os.open(path, os.O_RDONLY))


def _crash(session: Any, feed: Any) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _kill(session: Any, feed: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _hang(session: Any, feed: Any) -> None:
    time.sleep(1e6)


def _memory(session: Session, feed: Any) -> NoReturn:
    while True:
        session.ballast.append(np.ones(16 << 20))


def _exception(session: Session, feed: Any) -> NoReturn:
    raise RuntimeError("the null backend was asked to fail")


def _changed(change: Callable[[NDArray[Any], Session], NDArray[Any]]) -> Callable[[Session, Any], dict[str, NDArray[Any]]]:
    def behave(session: Session, feed: Any) -> dict[str, NDArray[Any]]:
        answer = session.honest(feed)
        return {session.output: change(answer[session.output], session)}

    return behave


def _slow(session: Session, feed: Any) -> dict[str, NDArray[Any]]:
    time.sleep(session.seconds * 9)
    return session.honest(feed)


def _lying(session: Session, feed: Any) -> dict[str, NDArray[Any]]:
    return {session.output: np.zeros((0, 0), np.float32)}


def _exit(session: Session, feed: Any) -> NoReturn:
    sys.exit(0)


def _chatty(session: Session, feed: Any) -> dict[str, NDArray[Any]]:
    print('{"ok": true, "latencies_ns": [1, 1, 1]}')
    return session.honest(feed)


BEHAVIOUR: dict[str, Callable[[Any, Any], Any]] = {
    "crash": _crash,
    "kill": _kill,
    "hang": _hang,
    "stuck": _hang,
    "memory": _memory,
    "exception": _exception,
    "nan": _changed(lambda y, s: np.full_like(y, np.nan)),
    "shape": _changed(lambda y, s: y[:, :-1]),
    "dtype": _changed(lambda y, s: y.astype(np.float64)),
    "random": _changed(lambda y, s: np.random.default_rng().random(y.shape).astype(np.float32)),
    "slow": _slow,
    "lying": _lying,
    "exit": _exit,
    "chatty": _chatty,
}


def open(path: str, settings: dict[str, Any]) -> Session:
    """A session on the null model at `path`. `factor` scales its computing time."""
    return Session(path, settings)
