"""Every error a user can meet, each with an exit code and a hint that says what to do next.

    StropError
    ├── UsageError        2   a flag or an argument that cannot be meant
    │   └── ArgumentError     a keyword of a Python function that is not known, or a value of another type
    ├── ModelError        3   the model cannot be read, is damaged, unsafe or unsupported
    ├── DataError         4   evaluation or calibration data do not fit the model or each other
    ├── ConfigError       5   strop.toml, a gate, a metric or a weight that contradicts itself
    │   └── UntrustedError    a strop.toml that was found, not named with --config, names code
    ├── BaselineError     6   the given model itself does not run, or is no better than chance
    ├── OutputError       7   a folder cannot be written, or is not Strop's to overwrite; the disk is full
    ├── BudgetError       8   the time budget is below one build and one check of the given model
    ├── BundleError       9   a bundle is changed, incomplete or does not run
    ├── StoreError       12   the store is of a newer Strop, damaged, or in use by another run
    ├── BackendError     13   a backend is missing or broken here
    └── WorkerError      14   a child process failed where no candidate can be blamed
        ├── WorkerCrash       it died (a signal, an exit)
        ├── WorkerTimeout     it overran its wall-clock limit and was ended
        ├── WorkerMemory      it overran its memory limit
        ├── WorkerMissing     the interpreter it needs is not there, or went away
        └── WorkerFailure     it raised an exception; kind and text are kept

Outcomes are no errors: `chosen` and `provisional` exit 0, `none` 11; with `--require-goals` `provisional` exits 10.
Ctrl-C exits 130, a reader that went away (`| head`) 1.
"""

import shlex

EXIT_OK = 0
EXIT_GOALS = 10
EXIT_NONE = 11
EXIT_INTERRUPTED = 130


class StropError(Exception):
    """An error with an exit code, one clear line, and a hint."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if hint:
            self.add_note(hint)  # tracebacks and notebooks show it below the message


class UsageError(StropError):
    exit_code = 2


class ArgumentError(UsageError, TypeError):
    """Also a TypeError, as Python's own functions raise."""


class ModelError(StropError):
    exit_code = 3


class DataError(StropError):
    exit_code = 4


class ConfigError(StropError):
    exit_code = 5


class UntrustedError(ConfigError):
    """`config` is the file that has to be named with `--config` before the code it names may run."""

    def __init__(self, message: str, config: str) -> None:
        super().__init__(message, f"code runs only where its file is named; if you trust it, add: --config {shlex.quote(config)}")
        self.config = config


class BaselineError(StropError):
    exit_code = 6


class OutputError(StropError):
    exit_code = 7


class BudgetError(StropError):
    exit_code = 8


class BundleError(StropError):
    exit_code = 9


class StoreError(StropError):
    exit_code = 12


class BackendError(StropError):
    exit_code = 13


class WorkerError(StropError):
    """A child process failed. `log_tail` holds the last lines it wrote, `subject` names what it was running, where known."""

    exit_code = 14

    def __init__(self, message: str, hint: str = "", log_tail: str = "") -> None:
        super().__init__(message, hint)
        self.log_tail = log_tail
        self.subject = ""


class WorkerCrash(WorkerError):
    """`killed`: ended by SIGKILL, SIGTERM or SIGHUP, which somebody else may have sent (an operator, the OOM killer)."""

    def __init__(self, message: str, hint: str = "", log_tail: str = "", killed: bool = False) -> None:
        super().__init__(message, hint, log_tail)
        self.killed = killed


class WorkerTimeout(WorkerError):
    pass


class WorkerMemory(WorkerError):
    pass


class WorkerMissing(WorkerError):
    """Not the candidate's own doing: it is tried again once the interpreter is back."""


class WorkerFailure(WorkerError):
    """The child raised: `kind` is the exception's type name, `message` its first line."""

    def __init__(self, kind: str, message: str, hint: str = "", log_tail: str = "") -> None:
        super().__init__(message, hint, log_tail)
        self.kind = kind
