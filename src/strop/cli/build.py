"""`strop build`."""

from typing import Annotated

import typer

import strop
from strop.cli import options as o
from strop.cli.console import print_json, say, stderr
from strop.cli.progress import Progress
from strop.run.flags import BUILD


def command(
    model: Annotated[str, typer.Argument(help="The model.")],
    recipe: Annotated[str, typer.Option("--recipe", help="A name that `strop optimize MODEL --dry-run` lists.")],
    check: Annotated[bool, typer.Option("--check", help="Run it as optimize would, too.")] = False,
    config: o.Config = None,
    data: o.Data = None,
    calibration: o.Calibration = None,
    questions: o.Questions = None,
    labels: o.Labels = None,
    column: o.Column = None,
    classes: o.Classes = None,
    preset: o.Preset = None,
    tokenizer: o.Tokenizer = None,
    task: o.TaskKind = None,
    map: o.Map = None,
    metric: o.MetricName = None,
    k: o.K = None,
    output: o.Output = None,
    batches: o.Batch = None,
    batch_axis: o.BatchAxis = None,
    size: o.Size = None,
    shape: o.Shape = None,
    concurrency: o.Concurrency = None,
    streams: o.Streams = None,
    eval_tokens: o.EvalTokens = None,
    prompt_tokens: o.PromptTokens = None,
    output_tokens: o.OutputTokens = None,
    context: o.Context = None,
    olive_config: o.OliveConfig = None,
    threads: o.Threads = None,
    time_limit_s: o.TimeLimit = None,
    memory_limit_mb: o.MemoryLimit = None,
    out: Annotated[str | None, typer.Option("--out", help="Where the files go [MODEL-RECIPE].")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a result of optimize in the output folder, too.")] = False,
    store: o.Store = None,
    seed: o.Seed = None,
    json: o.Json = False,
) -> None:
    """Build one recipe of MODEL, without comparing it to others."""
    flags = o.given(locals(), ("config", *BUILD))
    with Progress(stderr, quiet=True) as progress:
        candidate = strop.build(model, recipe, check=check, observer=progress, **flags)
    for notice in progress.notices:
        stderr.print(notice, soft_wrap=True, highlight=False, markup=False)
    if json:
        print_json(candidate.model_dump(mode="json"))
        return
    assert candidate.artifact is not None
    size = candidate.artifact.bytes / 1e6
    say(f"built {candidate.name}: {size:.2f} MB, {candidate.build_s:.1f} s: {progress.delivered}")
