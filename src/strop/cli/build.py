"""`strop build`."""

from typing import Annotated, Any

import typer

import strop
from strop.cli import options as o
from strop.cli.console import print_json, say, stderr
from strop.cli.progress import Progress
from strop.run.options import BUILD


@o.takes(BUILD, out="Where the files go [MODEL-RECIPE].", replace="Replace a result of optimize in the output folder, too.")
def command(
    *,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model.")],
    recipe: Annotated[str, typer.Option("--recipe", help="A name that `strop optimize MODEL --dry-run` lists.")],
    check: Annotated[bool, typer.Option("--check", help="Run it as optimize would, too.")] = False,
    config: o.Config = None,
    flags: dict[str, Any],
    json: o.Json = False,
) -> None:
    """Build one recipe of MODEL, without comparing it to others."""
    with Progress(stderr, quiet=True) as progress:
        candidate = strop.build(model, recipe, check=check, config=config, observer=progress, **flags)
    for notice in progress.notices:
        stderr.print(notice, soft_wrap=True, highlight=False, markup=False)
    if json:
        print_json(candidate.model_dump(mode="json"))
        return
    assert candidate.artifact is not None
    size = candidate.artifact.bytes / 1e6
    say(f"built {candidate.name}: {size:.2f} MB, {candidate.build_s:.1f} s: {progress.delivered}")
