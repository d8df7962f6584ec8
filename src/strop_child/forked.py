"""One build step in a process of its own, forked from one that has imported the framework already. Stdlib only.

A step that crashes, runs out of memory or changes global state does so in the fork; the builder that it came from goes on as it
was. What a step leaves running is ended with it.
"""

import contextlib
import ctypes
import json
import os
import random
import re
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from strop_child import limits

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def answer_to(action: Callable[[], dict[str, Any]]) -> str:
    """The line that is sent to the parent: the action's result, or what became of it. The traceback goes to the log."""
    try:
        return json.dumps({"ok": True, **action()})
    except MemoryError:
        return json.dumps({"ok": False, "kind": "MemoryError", "message": "out of memory"})
    except BaseException as error:
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        traceback.print_exc()
        text = useful_line(str(error)) or type(error).__name__
        answer = {"ok": False, "kind": type(error).__name__, "message": text}
        return json.dumps({**answer, "hint": str(getattr(error, "hint", "")), "errno": getattr(error, "errno", None)})


SOURCE = re.compile(r"\S+\.(?:cc|cpp|h|hpp):\d+:? (?:[\w:~<>]+\([^()]*\) (?:const )?)?")
"""Where in its own sources a runtime was: `/onnxruntime_src/core/graph/model.cc:256 onnxruntime::Model::Model(…) `."""
LONGEST = 400


def useful_line(text: str) -> str:
    """The line of an error that says what is wrong, without places in a runtime's sources.

    ONNX Runtime lists what it found and what it expected on lines of their own, which belong to the first; other libraries begin
    with lines that only say where they were, and end with a colon.
    """
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    told = next((k for k, line in enumerate(lines) if not line.endswith(":")), 0)
    line = " ".join(lines) if text.startswith("[ONNXRuntimeError]") else next(iter(lines[told:]), "")
    return SOURCE.sub("", line)[:LONGEST].strip()


def die_with(parent: int) -> None:
    """Ask the kernel for SIGKILL when the parent is gone (Linux); elsewhere the end of stdin does it."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # it went between our start and the request


def log_to(path: str) -> None:
    """Whatever is printed from here on, also by libraries and by programs that are started, goes to the end of that file."""
    sys.stdout.flush()
    sys.stderr.flush()
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for standard in (1, 2):
        os.dup2(handle, standard)
    os.close(handle)


def settle(scratch: str, seed: int) -> None:
    """A scratch folder to work in, nothing to read, and random numbers that are the same in whichever process a step runs."""
    os.chdir(scratch)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # the requests to its builder are not the step's to read
    os.close(nothing)
    os.environ["TMPDIR"] = scratch
    tempfile.tempdir = None
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed % 2**32)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed % 2**32)


def can_fork() -> bool:
    """Whether a fork of this process is sound: on Linux, and while no library has started a thread, whose locks a fork would
    inherit as they are."""
    try:
        return sys.platform.startswith("linux") and len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return False


def in_fork(action: Callable[[], dict[str, Any]], memory_limit: int | None) -> dict[str, Any]:
    """The answer to an action that a fork of this process carries out; with `died` where it ended without one.

    died: exit code, or minus the signal.
    """
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    builder, told = os.getpid(), os.memfd_create("answer")
    try:
        child = os.fork()
        if not child:
            _carry_out(action, memory_limit, builder, told)
        try:
            _, status = os.waitpid(child, 0)
        finally:
            end_children()
        code = os.waitstatus_to_exitcode(status)
        if code:
            return {"ok": False, "died": code}
        with os.fdopen(os.dup(told), encoding="utf-8") as file:
            file.seek(0)
            answer: dict[str, Any] = json.loads(file.read() or '{"ok": false, "died": 0}')
        return answer
    finally:
        os.close(told)


def _carry_out(action: Callable[[], dict[str, Any]], memory_limit: int | None, builder: int, told: int) -> NoReturn:
    """The fork's whole life: whatever happens, it must not go on with the builder's own business."""
    code = 1
    try:
        die_with(builder)
        limits.apply(memory_limit)
        line = answer_to(action)
        with os.fdopen(told, "w", encoding="utf-8") as file:
            file.write(line)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(bool(error.code))
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def end_children() -> None:
    """Ends and reaps every child of this process, and the children that they leave to it."""
    while True:
        try:
            with open("/proc/thread-self/children") as file:
                left = [int(pid) for pid in file.read().split()]
        except OSError:  # a kernel without that file: they end with the builder
            return
        if not left:
            return
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
