"""Options that several commands share, declared once: flag, type, help."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

Config = Annotated[
    str | None,
    typer.Option("--config", help="strop.toml; naming it lets its code run [found here, beside the model or in it]."),
]
Data = Annotated[
    str | None,
    typer.Option(
        "--data", help="Evaluation data: arrays, a table of texts, a folder of pictures; plain text for a language model."
    ),
]
Calibration = Annotated[str | None, typer.Option("--calibration", help="Calibration data, apart from the evaluation data.")]
Questions = Annotated[
    str | None, typer.Option("--questions", help="Language models: JSONL of prompts with choices or exact answers.")
]
Labels = Annotated[str | None, typer.Option("--labels", help="Array or column that holds the labels [labels].")]
Column = Annotated[list[str] | None, typer.Option("--column", help="file|text|text_pair|label=NAME of a table's column.")]
Classes = Annotated[str | None, typer.Option("--classes", help="File of class names, one a line.")]
Preset = Annotated[str | None, typer.Option("--preset", help="Preprocessing of pictures, e.g. imagenet.")]
Tokenizer = Annotated[str | None, typer.Option("--tokenizer", help="tokenizer.json of texts [beside the model].")]
TaskKind = Annotated[
    str | None, typer.Option("--task", help="classification, sentence-similarity, feature-extraction, token-classification.")
]
Map = Annotated[list[str] | None, typer.Option("--map", help="INPUT=ARRAY, where an array is not named like the model's input.")]
MetricName = Annotated[
    str | None,
    typer.Option(
        "--metric",
        help="top1, topk, f1, roc_auc, mae, spearman, pearson, token_accuracy, token_f1; without labels agreement, difference, "
        "cosine [by task, and by what the outputs are known to be].",
    ),
]
K = Annotated[int | None, typer.Option("--k", help="k of top-k [5].")]
Output = Annotated[str | None, typer.Option("--output", help="Model output that is scored [the first].")]
Batch = Annotated[list[int] | None, typer.Option("--batch", help="Batch size; repeat for more, the first decides [1].")]
Concurrency = Annotated[
    int | None,
    typer.Option(
        "--concurrency",
        help="Requests in flight while throughput is measured [1; with a gate or a weight on throughput, one a thread].",
    ),
]
Streams = Annotated[
    int | None,
    typer.Option("--streams", help="Of these, how many a recipe made for throughput serves at once [one a thread]."),
]
BatchAxis = Annotated[
    list[str] | None, typer.Option("--batch-axis", help="INPUT=AXIS: the axis of the examples, where it is not the first.")
]
Size = Annotated[list[str] | None, typer.Option("--size", help="AXIS=N: size of a dynamic axis, for generated inputs.")]
Shape = Annotated[
    list[str] | None,
    typer.Option("--shape", help="INPUT=1x3x224x224: the shape of every call, where the model leaves it open; the batch first."),
]
OtherShapes = Annotated[
    str | None,
    typer.Option("--other-shapes", help="fallback|refuse: what a bundle compiled for fixed shapes does with others [fallback]."),
]
EvalTokens = Annotated[int | None, typer.Option("--eval-tokens", help="Tokens of the text that are scored [4096].")]
PromptTokens = Annotated[int | None, typer.Option("--prompt-tokens", help="Tokens of a timed prompt [128].")]
OutputTokens = Annotated[int | None, typer.Option("--output-tokens", help="Tokens of a timed answer [32].")]
Context = Annotated[int | None, typer.Option("--context", help="Tokens that a language model's cache holds [512].")]
Threads = Annotated[int | None, typer.Option("--threads", help="Budget of cores [all that affinity and quota allow].")]
MemoryLimit = Annotated[int | None, typer.Option("--memory-limit", help="MB a child may take [80 % of what is free].")]
TimeLimit = Annotated[float | None, typer.Option("--time-limit", help="Seconds one request to a child may take [600].")]
Store = Annotated[str | None, typer.Option("--store", help="Where builds, data and runs are kept [.strop].")]
Seed = Annotated[int | None, typer.Option("--seed", help="Seed of everything random [0].")]
OliveConfig = Annotated[str | None, typer.Option("--olive-config", help="An Olive workflow configuration: a recipe of its own.")]
Device = Annotated[
    str | None,
    typer.Option("--target", help="A device of the catalog, a profile of your own, or this-machine.", metavar="DEVICE"),
]
Devices = Annotated[
    list[str] | None,
    typer.Option("--target", help="Device to optimize for; repeat for several [this-machine].", metavar="DEVICE"),
]
Purpose = Annotated[
    str | None,
    typer.Option("--for", help="any, prototyping, enterprise, mobile, realtime, cross-platform [any].", metavar="PURPOSE"),
]
Json = Annotated[bool, typer.Option("--json", help="Print the report as JSON on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]


def given(values: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Those of the named parameters that the user gave: not None, not an unset switch, not an empty list. 0 counts as given.

    A command need not have all of them.
    """
    found = {n: values[n] for n in names if n in values}
    return {n: value for n, value in found.items() if value is not None and value is not False and value != []}
