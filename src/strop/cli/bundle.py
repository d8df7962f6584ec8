"""`strop bundle`."""

from typing import Annotated

import typer

import strop
from strop.cli import options as o
from strop.cli.console import print_json, say

app = typer.Typer(no_args_is_help=True, help="Verify a bundle, or run it.", rich_markup_mode=None)
Folder = Annotated[str, typer.Argument(help="Folder of the bundle.")]


@app.command()
def verify(folder: Folder, json: o.Json = False) -> None:
    """Find any changed, missing or extra file."""
    manifest = strop.verify_bundle(folder)
    if json:
        print_json(manifest.model_dump(mode="json"))
        return
    say(f"{folder}: whole and unchanged: {len(manifest.files)} files, recipe {manifest.recipe.name}, {manifest.outcome}")


@app.command()
def infer(
    folder: Folder,
    inputs: Annotated[str, typer.Argument(help=".npz with an array per model input.")],
    output: Annotated[str, typer.Argument(help=".npz to write.")],
) -> None:
    """Run a bundle on arrays, in a process of its own."""
    strop.infer_bundle(folder, inputs, output)
    say(f"wrote {output}")
