"""`strop init`."""

from typing import Annotated

import typer

import strop
from strop.cli.console import say


def command(
    model: Annotated[str, typer.Argument(help="The model.")],
    path: Annotated[
        str | None, typer.Option("--path", help="Where to write [strop.toml beside the model, or in its folder].")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite it.")] = False,
) -> None:
    """Write a commented strop.toml for MODEL."""
    written = strop.init(model, path, force)
    say(f"wrote {written}; edit [data], then: strop optimize {model}")
