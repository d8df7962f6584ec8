"""The parent's side of the process boundary: start a child, ask, wait, end it. See strop_child/serve.py for the protocol."""

import contextlib
import errno
import json
import math
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import rmtree
from types import TracebackType
from typing import Any, NamedTuple, Self

import psutil

from strop.core.errors import (
    BudgetError,
    OutputError,
    WorkerCrash,
    WorkerError,
    WorkerFailure,
    WorkerMemory,
    WorkerMissing,
    WorkerTimeout,
)
from strop.worker import interrupt


class Work(NamedTuple):
    """A child side: the module that is loaded, the Python that runs it, and variables of its environment."""

    path: Path
    python: str = sys.executable
    environment: tuple[tuple[str, str], ...] = ()


CHILD = Path(__file__).parents[2] / "strop_child" / "main.py"
DATA_WORK = Work(CHILD.with_name("data.py"))
INSPECTOR_WORK = Work(CHILD.with_name("inspector") / "work.py")
BUNDLE_WORK = Work(CHILD.with_name("bundled.py"))
WAKE_S = 1.0
"""The parent wakes on the child's answer, and at most this often to watch its memory and the clock."""
LOG_TAIL_LINES = 20
REINSTALL = "`strop backends` shows what works here, `strop backends install NAME` repairs it"
OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP)


class Limits(NamedTuple):
    """Wall-clock seconds for one request, and bytes of private memory for the process; None: no limit.

    deadline: `time.monotonic()` at which the run's budget leaves no more time, whatever the request.
    """

    seconds: float
    memory_bytes: int | None = None
    deadline: float | None = None


class Waiting(threading.local):
    """Seconds that a thread spent waiting for children: what a run's time is, less this, is the parent's own overhead."""

    seconds = 0.0


waiting = Waiting()


def child_environment(scratch: str) -> dict[str, str]:
    """The user's environment, less what would change the numbers or reach for the network."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "MKL_", "KMP_", "OPENBLAS_NUM"))}
    quiet = {"TMPDIR": scratch, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_OFFLINE": "1", "CI": "1"}
    return kept | quiet | {"STROP_PARENT": str(os.getpid()), "OMP_NUM_THREADS": "1"}


class Child:
    """A child process in a group of its own, with a scratch folder and a log.

    Use as a context manager: leaving it ends the whole group and removes the scratch folder.
    """

    def __init__(self, work: Work, log: Path, limits: Limits, cores: Sequence[int] = ()) -> None:
        """Start it, and ask it to load its work module; the answer is awaited with the first request.

        Args:
            cores: CPUs it may run on; empty: wherever its parent may.

        Raises:
            WorkerMissing: its Python is not there.
        """
        self.log, self.limits, self.work = log, limits, work
        self.stopped, self.spent = False, False
        self._owed = 0
        log.parent.mkdir(parents=True, exist_ok=True)
        self._scratch = tempfile.mkdtemp(prefix="strop-")
        self._log_file = log.open("ab")
        self._log_start = self._log_file.tell()
        self._buffer = b""
        try:
            self._process = subprocess.Popen(
                [work.python, "-u", str(CHILD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log_file,
                cwd=self._scratch, env={**child_environment(self._scratch), **dict(work.environment)}, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            self._log_file.close()
            rmtree(self._scratch, ignore_errors=True)
            raise WorkerMissing(f"{work.python} cannot be started: {error.strerror}", REINSTALL) from error
        self._ps = psutil.Process(self._process.pid)
        try:
            if cores and hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(self._process.pid, cores)
            self.post("start", work=str(work.path.absolute()), memory_limit=limits.memory_bytes)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, verb: str, seconds: float | None = None, **arguments: Any) -> dict[str, Any]:
        """One request, one answer.

        Raises:
            WorkerCrash, WorkerTimeout, WorkerMemory, WorkerFailure: what became of the child.
            BudgetError: the deadline came first. OutputError: the child found the disk full.
        """
        self.post(verb, **arguments)
        return self.collect(seconds)

    def post(self, verb: str, **arguments: Any) -> None:
        """A request whose answer is collected later."""
        begin = time.monotonic()
        self._send({"op": verb, **arguments})  # on few cores the child that wakes runs at once, and its parent waits
        self._owed += 1
        waiting.seconds += time.monotonic() - begin

    def step(self, log: Path, limits: Limits, seed: int, fork: bool, **arguments: Any) -> Any:
        """`build` of the work module, with a log, a scratch folder and limits of its own.

        Args:
            seed: of the random numbers. arguments: of `build`.
            fork: in a fork of the child, where that is sound. The child can then be asked again, unless it is `spent`.

        Raises:
            WorkerCrash, WorkerTimeout, WorkerMemory, WorkerFailure, BudgetError, OutputError: as `ask`.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        if log != self.log:
            self._log_start = log.stat().st_size if log.exists() else 0
        self.log, self.limits, self.spent = log, limits, True
        scratch = tempfile.mkdtemp(prefix="strop-")
        try:
            return self.ask(
                "step", arguments=arguments, log=str(log.absolute()), scratch=scratch, seed=seed, fork=fork,
                memory_limit=limits.memory_bytes,
            )["result"]  # fmt: skip
        finally:
            rmtree(scratch, ignore_errors=True)

    def collect(self, seconds: float | None = None) -> dict[str, Any]:
        """The answer to the last request; earlier ones must have gone well."""
        begin = time.monotonic()
        try:
            while True:
                answer = self._receive(begin, seconds or self.limits.seconds)
                self._owed -= 1
                if not self._owed:
                    self.spent = bool(answer.get("spent"))
                if not self._owed or not answer["ok"]:
                    break
        finally:
            waiting.seconds += time.monotonic() - begin
        if answer.pop("ok"):
            return answer
        self._require_interpreter()
        if "died" in answer:
            raise self._crash(answer["died"])
        if answer.get("errno") == errno.ENOSPC:
            raise OutputError(f"disk full: {answer['message']}", "free some space; run the same command again to continue")
        if answer["kind"] == "MemoryError" or "bad_alloc" in answer["message"] or "Failed to allocate" in answer["message"]:
            raise WorkerMemory(f"ran out of its memory limit of {self._limit_text()}", log_tail=self.log_tail())
        raise WorkerFailure(answer["kind"], answer["message"], answer.get("hint", ""), self.log_tail())

    def call(self, function: str, seconds: float | None = None, **arguments: Any) -> Any:
        """A function of the work module; arguments and result are plain JSON values."""
        return self.ask("call", seconds, function=function, arguments=arguments)["result"]

    def started(self) -> None:
        """Wait until its work module is loaded, if nothing else was asked yet."""
        if self._owed:
            self.collect()

    def pin(self, cores: Sequence[int]) -> None:
        """Keep it, and all threads that it has or will have, to these CPUs, where the platform can."""
        if not cores or not hasattr(os, "sched_setaffinity"):
            return
        with contextlib.suppress(OSError, psutil.Error):
            for thread in self._ps.threads():
                os.sched_setaffinity(thread.id, cores)

    def cpu_ns(self) -> int | None:
        """Nanoseconds that its threads have run so far; None where the kernel does not say."""
        total = 0
        try:
            for task in Path(f"/proc/{self.pid}/task").iterdir():
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    total += int((task / "schedstat").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None
        return total or None

    def pause(self) -> None:
        """SIGSTOP: for a runtime whose idle threads would spin."""
        self._process.send_signal(signal.SIGSTOP)
        self.stopped = True

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)
        self.stopped = False

    def resident_bytes(self) -> int:
        """Memory that it holds; 0 once it is gone."""
        try:
            return int(self._ps.memory_info().rss)
        except psutil.Error:
            return 0

    def log_tail(self) -> str:
        """The last lines this child wrote."""
        with self.log.open("rb") as f:
            f.seek(self._log_start)
            return "\n".join(f.read()[-8000:].decode(errors="replace").splitlines()[-LOG_TAIL_LINES:])

    def close(self) -> None:
        """By SIGKILL to the whole group: whatever was asked of it is written, and a framework takes its time to leave."""
        process = self._process
        self.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._log_file.close()
        rmtree(self._scratch, ignore_errors=True)

    def kill(self) -> None:
        """SIGKILL to the whole group; whoever waits for an answer of this child in another thread is told that it died."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        begin = time.monotonic()
        self._process.wait()
        waiting.seconds += time.monotonic() - begin

    def _send(self, request: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._died() from None

    def _receive(self, begin: float, seconds: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        handle = self._process.stdout.fileno()
        while b"\n" not in self._buffer:
            interrupt.check()
            now, deadline = time.monotonic(), self.limits.deadline
            left = min(begin + seconds, deadline or math.inf) - now
            if left <= 0:
                self.kill()
                if deadline is not None and now >= deadline:
                    raise BudgetError("the time budget ended", "give a larger --budget, or --budget none")
                raise WorkerTimeout(f"no answer within {seconds:.0f} s: ended", log_tail=self.log_tail())
            ready, _, _ = select.select([handle], [], [], min(left, WAKE_S))
            if ready:
                chunk = os.read(handle, 1 << 20)
                if not chunk:
                    raise self._died()
                self._buffer += chunk
            else:
                self._watch_memory()
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        if b"\\ud" in line:  # half a character, as in an undecodable file name, could not be written down later
            answer = json.loads(json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace"))
        return answer

    def _watch_memory(self) -> None:
        """Resident memory above the limit ends the child, whatever RLIMIT_DATA let pass."""
        if self.limits.memory_bytes is None:
            return
        with contextlib.suppress(psutil.Error):
            if max(ps.memory_info().rss for ps in (self._ps, *self._ps.children())) > self.limits.memory_bytes:
                self.kill()
                raise WorkerMemory(f"grew beyond its memory limit of {self._limit_text()}: ended", log_tail=self.log_tail())

    def _limit_text(self) -> str:
        return f"{(self.limits.memory_bytes or 0) / 1e6:.0f} MB"

    def _require_interpreter(self) -> None:
        """A framework whose files went away fails in any way it likes; the cause is this one."""
        if not os.access(self.work.python, os.X_OK):
            raise WorkerMissing(f"its interpreter {self.work.python} went away", REINSTALL, self.log_tail())

    def _died(self) -> WorkerError:
        code = self._process.wait()
        self._require_interpreter()
        return self._crash(code)

    def _crash(self, code: int) -> WorkerCrash:
        """Of an exit code, or minus a signal."""
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return WorkerCrash(how, log_tail=self.log_tail(), killed=-code in OUTSIDE)
