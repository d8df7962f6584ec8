"""`strop backends`."""

from typing import Annotated

import typer

import strop
from strop.cli import options as o
from strop.cli.console import complain, print_json, say, stdout, table
from strop.run.probe import Probe

app = typer.Typer(help="What works here; install and remove the backends' own environments.", rich_markup_mode=None)
Name = Annotated[str, typer.Argument(help="A backend that has an environment of its own.")]
Python = Annotated[str | None, typer.Option(help="An interpreter that has the backend's packages already.", metavar="PATH")]


@app.callback(invoke_without_command=True)
def list_(context: typer.Context, json: o.Json = False) -> None:
    """Which backends there are, what works here, and why not."""
    if context.invoked_subcommand is not None:
        return
    probes = strop.list_backends()
    if json:
        print_json([probe.model_dump(mode="json") for probe in probes])
        return
    rows = [
        [p.name, "works" if p.works else "does not work", _versions(p) or p.why_not, ", ".join(p.devices),
         ", ".join(p.reads), f"{p.bytes / 1e6:.0f} MB" if p.bytes else ""]
        for p in probes
    ]  # fmt: skip
    stdout.print(table(["backend", "", "versions, or why not", "on", "reads", "own environment"], rows, whole=(0, 1, 4)))


def _versions(probe: Probe) -> str:
    return ", ".join(f"{name} {number}" for name, number in probe.versions.items())


@app.command()
def install(
    names: Annotated[list[str], typer.Argument(help="Backends that have an environment of their own.")], python: Python = None
) -> None:
    """Make a backend's own environment from the packages it was tried with, or take an interpreter that is there."""
    for name in names:
        made = strop.install_backend(name, python=python, progress=complain)
        say(f"{name}: ready ({', '.join(f'{k} {v}' for k, v in made.versions.items())})")


@app.command()
def remove(name: Name) -> None:
    """Remove a backend's own environment; an interpreter that was named is forgotten, not touched."""
    strop.remove_backend(name)
    say(f"{name}: removed")
