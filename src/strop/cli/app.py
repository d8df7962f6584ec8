"""All commands, and the one place where errors become a line and an exit code."""

import os
import shlex
import sys
from typing import NoReturn

import typer

from strop import __version__
from strop.cli import backends, bench, build, bundle, devices, doctor, init, inspect, optimize, runs
from strop.cli.console import complain, stderr
from strop.cli.options import Grouped
from strop.core.errors import EXIT_INTERRUPTED, StropError, UntrustedError
from strop.run.request import require_utf8
from strop.worker import interrupt

app = typer.Typer(
    name="strop", no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Given a model and a target device, find, prove and pack the fastest version that keeps its quality.",
)  # fmt: skip
app.command("optimize", cls=Grouped)(optimize.command)
app.command("inspect")(inspect.command)
app.command("bench", cls=Grouped)(bench.command)
app.command("build", cls=Grouped)(build.command)
app.command("doctor")(doctor.command)
app.command("init")(init.command)
app.add_typer(devices.app, name="devices")
app.add_typer(runs.app, name="runs")
app.add_typer(bundle.app, name="bundle")
app.add_typer(backends.app, name="backends")


@app.callback(invoke_without_command=True)
def root(version: bool = typer.Option(False, "-v", "--version", help="Print the version and exit.")) -> None:
    """Options of `strop` itself."""
    if version:
        print(f"strop {__version__}")
        raise typer.Exit


def leave_interrupted() -> NoReturn:
    """Exit code 130 whatever came before: CPython ends by SIGINT where the interrupt once passed through an `exec`."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(EXIT_INTERRUPTED)


def run() -> int:
    """Runs one command; every `StropError` becomes one clear line, its hint, and its exit code."""
    try:
        require_utf8(sys.argv[1:])
        with interrupt.kept():
            app()
    except StropError as error:
        tell(error)
        return error.exit_code
    except KeyboardInterrupt:
        leave_interrupted()
    except SystemExit as done:
        if done.code == EXIT_INTERRUPTED:
            leave_interrupted()
        raise
    return 0


def tell(error: StropError) -> None:
    """What is wrong, what to do next, and the command that would go on where that is known."""
    stderr.print("[bold red]error[/]: ", end="")
    complain(error.message.replace("\n", " "))
    if error.hint:
        complain("\n".join(f"  {line}" for line in error.hint.split("\n")))
    if isinstance(error, UntrustedError):
        complain(f"  {shlex.join(['strop', *sys.argv[1:], '--config', error.config])}")
