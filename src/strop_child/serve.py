"""The child's loop: one request, one answer. Stdlib only; numpy is imported once a session opens.

Protocol: one JSON object a line on stdin, one a line on (the original) stdout; file descriptor 1 then points at the
log, so that whatever a framework prints cannot be mistaken for an answer.

    -> {"op": "start", "work": "/path/to/work.py", "memory_limit": bytes or null}
    -> {"op": "call", "function": "build", "arguments": {...}}          any function of work.py; JSON in, JSON out
    -> {"op": "step", "arguments": {...}, "log": path, "scratch": folder,
        "seed": n, "fork": bool, "memory_limit": bytes or null}         one build step; where forked, one after another
    -> {"op": "open", "artifact": path, "settings": {...}, "inputs": {name: npy}, "batch": n, "rotate": n,
        "reference": {name: npy} or null, "count": n or null, "profile": bool,
        "family": name or file, "called": {...}}            opens a session of that family, runs one inference
    -> {"op": "warm"}                                                   until a plateau
    -> {"op": "block", "runs": n}                                       one timed block
    -> {"op": "load", "concurrency": n}                                 n requests in flight from here on, until a plateau
    -> {"op": "loaded", "length_s": s}                                  one timed block of these, of a fixed length
    -> {"op": "evaluate", "out": folder, "expected": folder or null,
        "mixing": n, "together": n}                                     every example, outputs as shards; n to see if they mix,
                                                                        and how many a larger batch may hold
        of a language model "first" and "count" say which windows
    -> {"op": "fallback"}                                               of fixed shapes: what the session for others adds
    -> {"op": "phases", "requests": n}                                  of a language model: prompts and tokens apart
    -> {"op": "fill"}                                                   of a language model: its cache, to the last token
    -> {"op": "memory"}                                                 a sample of this process
    -> {"op": "count"}                                                  hardware events count from here; before open
    -> {"op": "watch", "length_s": s, "most": n}                         calls in a row, with memory and events between
    -> {"op": "operators", "length_s": s, "most": n}                     of a session opened with "profile": true
    <- {"ok": true, ...}  or  {"ok": false, "kind": exception type, "message": first line}
       or, of a step whose fork ended without an answer, {"ok": false, "died": exit code, or minus the signal};
       with "spent": true where a step changed this process, which must not be asked again

The child dies with its parent: by PR_SET_PDEATHSIG where there is one, and because stdin then ends.
"""

import json
import os
import sys
from functools import partial
from typing import Any

from strop_child import forked, limits, works
from strop_child.session import Session, open_session

OWN = frozenset({"start", "call", "step", "open", "warm", "block", "memory", "count", "watch", "operators"})
"""Verbs that every child has; others belong to a family of models."""


class Child:
    """Holds the loaded work module and at most one open session."""

    def __init__(self) -> None:
        self.work: Any = None
        self.session: Session | None = None
        self.counters: Any = None

    def start(self, work: str, memory_limit: int | None = None) -> dict[str, Any]:
        limits.apply(memory_limit)
        self.work = works.load(work)
        return {}

    def call(self, function: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return {"result": getattr(self.work, function)(**arguments)}

    def step(self, arguments: dict[str, Any], log: str, scratch: str, seed: int, fork: bool, memory_limit: int | None) -> Any:
        """One build step. What steps of its kind import is imported here, once; the step itself runs in a fork.

        Without a fork this process has been changed by the step, and must not be asked again: `spent`.
        """
        forked.log_to(log)
        if hasattr(self.work, "warm_build"):
            self.work.warm_build(arguments["step"])

        def build() -> dict[str, Any]:
            forked.settle(scratch, seed)
            return {"result": self.work.build(**arguments)}

        if fork and forked.can_fork():
            return forked.in_fork(build, memory_limit)
        limits.apply(memory_limit)
        answer: dict[str, Any] = json.loads(forked.answer_to(build))
        return {**answer, "spent": True}

    def open(self, family: str = "tensor", **request: Any) -> dict[str, Any]:
        self.session = open_session(self.work, family, **request)
        return self.session.opened

    def warm(self) -> dict[str, int]:
        return self.opened.warm()

    def block(self, runs: int) -> dict[str, Any]:
        return self.opened.block(runs)

    @property
    def opened(self) -> Session:
        if self.session is None:
            raise RuntimeError("no session is open")
        return self.session

    def answer(self, verb: str, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to one request: of the child itself, or of the session that is open, if its family has that verb."""
        if verb in OWN:
            answer = getattr(self, verb)(**request)
        elif verb in self.opened.verbs:
            answer = getattr(self.session, verb)(**request)
        else:
            raise ValueError(f"no verb {verb!r}: a {type(self.session).__name__} has {', '.join(sorted(self.opened.verbs))}")
        return dict(answer)

    def memory(self) -> Any:
        from strop_child import memory

        return memory.sample(self.session.model_files if self.session else ())

    def count(self) -> dict[str, Any]:
        from strop_child import profiler

        self.counters = profiler.Counters()
        return {}

    def watch(self, length_s: float, most: int) -> Any:
        from strop_child import profiler

        return profiler.watch(self.opened, self.counters, length_s, most)

    def operators(self, length_s: float, most: int) -> Any:
        from strop_child import profiler

        return profiler.operators(self.opened, length_s, most)


def main() -> None:
    forked.die_with(int(os.environ.get("STROP_PARENT", os.getppid())))
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    child = Child()
    for asked in sys.stdin:
        request = json.loads(asked)
        verb = request.pop("op")
        line = forked.answer_to(partial(child.answer, verb, request))
        sys.stderr.flush()
        answers.write(line + "\n")
        answers.flush()
