"""The command line: a module a command; flags → one library call → print. Progress on stderr, results on stdout."""

import os
import sys

from strop import __version__, require_platform
from strop.core.errors import StropError

EXIT_UNREAD = 1


def main() -> None:
    """The entry point of `strop`. Where nobody reads on, as behind `| head`, it ends quietly, as Python's documents advise."""
    try:
        try:
            code = answer()
        finally:
            flush()
    except BrokenPipeError:
        hush()
        code = EXIT_UNREAD
    sys.exit(code)


def answer() -> int:
    """The exit code of one command. `--version` alone is answered before anything else is imported."""
    if sys.argv[1:] in (["--version"], ["-v"]):
        print(f"strop {__version__}")
        return 0
    try:
        require_platform()
    except StropError as error:
        print(f"error: {error.message}\n  {error.hint}", file=sys.stderr)
        return error.exit_code
    from strop.cli.app import run

    return run()


def flush() -> None:
    """What waits in buffers goes out while a broken pipe can still be caught; the interpreter's own flush at exit is too late."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()


def hush() -> None:
    """Nothing is written any more, not even what is left in buffers."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nowhere, number)
    os.close(nowhere)
