"""The command line: a module a command; flags → one library call → print. Progress on stderr, results on stdout."""

import sys

from strop import __version__


def main() -> None:
    """The entry point of `strop`. `--version` alone is answered before anything else is imported."""
    if sys.argv[1:] == ["--version"]:
        print(f"strop {__version__}")
        return
    from strop.cli.app import run

    sys.exit(run())
