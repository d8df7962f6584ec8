"""Options that several commands share, declared once: flag, type, help."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

Config = Annotated[str | None, typer.Option("--config", help="strop.toml; by default one here or beside the model.")]
Data = Annotated[str | None, typer.Option("--data", help="Evaluation data: .npz, .npy, or a folder of .npy.")]
Calibration = Annotated[str | None, typer.Option("--calibration", help="Calibration data, apart from the evaluation data.")]
Labels = Annotated[str | None, typer.Option("--labels", help="Name of the array that holds the labels [labels].")]
Map = Annotated[list[str] | None, typer.Option("--map", help="INPUT=ARRAY, where an array is not named like the model's input.")]
MetricName = Annotated[str | None, typer.Option("--metric", help="top1, topk, f1, roc_auc, mae, spearman, agreement [top1].")]
K = Annotated[int | None, typer.Option("--k", help="k of top-k [5].")]
Output = Annotated[str | None, typer.Option("--output", help="Model output that is scored [the first].")]
Batch = Annotated[list[int] | None, typer.Option("--batch", help="Batch size; repeat for more, the first decides [1].")]
Size = Annotated[list[str] | None, typer.Option("--size", help="AXIS=N: size of a dynamic axis, for generated inputs.")]
Threads = Annotated[int | None, typer.Option("--threads", help="Budget of cores [all that affinity and quota allow].")]
MemoryLimit = Annotated[int | None, typer.Option("--memory-limit", help="MB a child may take [80 % of what is free].")]
TimeLimit = Annotated[float | None, typer.Option("--time-limit", help="Seconds one request to a child may take [600].")]
Store = Annotated[str | None, typer.Option("--store", help="Where builds, data and runs are kept [.strop].")]
Seed = Annotated[int | None, typer.Option("--seed", help="Seed of everything random [0].")]
OliveConfig = Annotated[str | None, typer.Option("--olive-config", help="An Olive workflow configuration: a recipe of its own.")]
Json = Annotated[bool, typer.Option("--json", help="Print the report as JSON on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]


def given(values: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Those of the named parameters that the user gave: not None, not an unset switch, not an empty list. 0 counts as given."""
    return {n: values[n] for n in names if values[n] is not None and values[n] is not False and values[n] != []}
