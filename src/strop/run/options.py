"""Every option there is, declared once.

From a row here come the flag and its help, the keyword of the public functions and its type (`run/keywords.py`), the key of
`strop.toml` with its check and the line that `strop init` writes, the pages in docs/reference, how a request tells it again, and
whether a run with another value is another run. A new option is a row here and a field of `Request`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from strop.core.preprocess import PRESETS
from strop.core.shapes import OtherShapes
from strop.core.task import Pooling, TaskKind
from strop.plan.rules import PURPOSES
from strop.plan.serving import MOST_IN_FLIGHT
from strop.run import forms as f
from strop.run.forms import Form

GROUPS = {
    "data": "Data", "model": "Data", "preprocess": "Data", "task": "Task and calls", "target": "Device and limits",
    "gates": "Gates and choice", "backends": "Recipes", "run": "Run",
}  # fmt: skip
"""Section of strop.toml → the heading that its options have in `--help`."""


@dataclass(frozen=True)
class Option:
    """One option.

    name: its keyword. help: of its flag; empty where it is a key of strop.toml only. key: `section.key` there; empty where it
    has none. field: of the request, where it is not called like the keyword. flag: where it is not spelled like the keyword.
    identifies: whether a run with another value is another run. shown, comment: its line in what `strop init` writes; `before`
    stands above that line. family: of the models that it is for; empty: all.
    """

    name: str
    form: Form
    help: str = ""
    key: str = ""
    field: str = ""
    flag: str = ""
    identifies: bool = True
    shown: str = ""
    comment: str = ""
    before: str = ""
    metavar: str | None = None
    family: str = ""

    @property
    def spelled(self) -> str:
        """The flag on the command line."""
        return self.flag or f"--{self.name.replace('_', '-')}"

    @property
    def variable(self) -> str:
        """The environment variable that stands for the flag."""
        return f"STROP_{self.spelled.removeprefix('--').replace('-', '_').upper()}"

    @property
    def group(self) -> str:
        """The heading of `--help` that it stands under: its section of strop.toml."""
        return GROUPS[self.key.partition(".")[0]]

    @property
    def value(self) -> str | None:
        """What `--help` shows in place of its value."""
        return self.metavar or self.form.metavar or None

    @property
    def part(self) -> str:
        """The field of the request that it becomes, or becomes part of."""
        return self.field or self.name


def _in_file(key: str, toml: Any, shown: str, comment: str = "", before: str = "", name: str = "") -> Option:
    """What is a key of strop.toml only."""
    form = Form(f.a_text, None, "", toml)
    return Option(name or key.replace(".", "_"), form, key=key, shown=shown, comment=comment, before=before)


def _code(key: str, shown: str, comment: str, before: str = "") -> Option:
    return Option(key.rpartition(".")[2] + "_code", f.CODED, key=key, field="code", shown=shown, comment=comment, before=before)


LANGUAGE_MODELS = "llm"
"""The family that some options are for."""
SIDE = f.Whole | tuple[int, int] | Literal[False] | None
CHANNELS = tuple[float, ...] | Literal[False] | None

DATA = (
    Option("data", f.DATA, "Evaluation data: arrays, a table of texts, a folder of pictures; plain text for a language model.",
           key="data.evaluation", identifies=False, shown='"eval.npz"'),
    Option("calibration", f.DATA, "Calibration data, apart from the evaluation data.", key="data.calibration", identifies=False,
           shown='"calibration.npz"', comment="never part of the evaluation data; without it the evaluation data are split"),
)  # fmt: skip
QUESTIONS = Option(
    "questions", f.PATH, "Language models: JSONL of prompts with choices or exact answers.", key="data.questions",
    shown='"questions.jsonl"', comment="language models: prompts with choices or exact answers, a line each",
    family=LANGUAGE_MODELS,
)  # fmt: skip
ADAPTER = Option(
    "adapter", f.PATH, "LoRA adapter, a folder of PEFT, that is merged into the language model first.", key="model.adapter",
    identifies=False, shown='"adapter"', comment="language models: a LoRA adapter (PEFT) that is merged into the folder first",
    family=LANGUAGE_MODELS,
)  # fmt: skip
READING = (
    Option("labels", f.TEXT, "Array or column that holds the labels [labels].", key="data.labels", shown='"y"',
           comment='the array or column that holds the labels; "labels" needs no mention'),
    Option("column", f.COLUMNS, "file|text|text_pair|label=NAME of a table's column.", key="data.columns", field="columns"),
    Option("classes", f.PATH, "File of class names, one a line.", key="data.classes", identifies=False, shown='"classes.txt"',
           comment="names of the classes, one a line"),
    _code("data.loader", '"mydata:load"', "load(path) yields (item, label); mydata.py stands beside this file",
          "Code of your own runs only where this file is named with --config: loader, preprocess, scorer, olive_config."),
    _code("data.preprocess", '"mydata:prepare"', "prepare(item) gives an array, or one for each input"),
    Option("files", Form(f.a_text, None, "", list[str], configured=lambda told, _: tuple(told)), key="data.files",
           shown='["vocabulary.txt"]', comment="what such code reads beside its own modules; goes into the bundle with it"),
    Option("preset", f.TEXT, "Preprocessing of pictures, e.g. imagenet.", key="preprocess.preset", field="preprocess",
           shown='"imagenet"', comment=", ".join(PRESETS),
           before="of pictures: a preset, overridden key by key; false switches off what it has"),
    _in_file("preprocess.resize", SIDE, "256", "the shorter side, or [height, width]"),
    _in_file("preprocess.crop", SIDE, "224", "or [height, width]; the model's own size where that is fixed"),
    _in_file("preprocess.interpolation", Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"] | None,
             '"bilinear"', "nearest, bilinear, bicubic, lanczos, box, hamming"),
    _in_file("preprocess.rounding", Literal["nearest", "down"] | None, '"nearest"', "down: of the longer side"),
    _in_file("preprocess.color", Literal["RGB", "BGR", "gray"] | None, '"RGB"', "BGR, gray"),
    _in_file("preprocess.scale", float | None, "0.00392156862745098", "(value * scale - mean) / std"),
    _in_file("preprocess.mean", CHANNELS, "[0.485, 0.456, 0.406]"),
    _in_file("preprocess.std", CHANNELS, "[0.229, 0.224, 0.225]"),
    _in_file("preprocess.layout", Literal["NCHW", "NHWC"] | None, '"NCHW"', "NHWC"),
    Option("tokenizer", f.PATH, "tokenizer.json of texts [beside the model].", key="preprocess.tokenizer", identifies=False,
           shown='"tokenizer.json"', comment="one beside the model needs no mention", before="of texts"),
    _in_file("preprocess.max_length", f.Whole | None, "512"),
    _in_file("preprocess.pad_to", f.Whole | None, "8"),
    _in_file("preprocess.special_tokens", bool | None, "true"),
    Option("task", f.choice("task", *get_args(TaskKind)),
           "classification, sentence-similarity, feature-extraction, token-classification.", key="task.kind", field="kind",
           shown='"classification"', comment="sentence-similarity, feature-extraction, token-classification"),
    _in_file("task.pooling", Pooling | None, '"mean"', "cls, none: one vector of a text's hidden states", name="pooling"),
    _code("task.scorer", '"mydata:score"', "score(outputs, labels, inputs) gives one number an example, higher is better"),
    Option("map", f.PAIRS, "INPUT=ARRAY, where an array is not named like the model's input.", key="data.map", field="mapping"),
    Option("metric", f.METRIC,
           "top1, topk, binary, f1, roc_auc, multilabel_f1, mae, rmse, r2, pinball, spearman, pearson, token_accuracy, token_f1, "
           "miou, ctc_exact, cer, wer, map50, map50_95; without labels "
           "agreement, difference, cosine, place_agreement, mask_iou, text_agreement, box_agreement [by "
           "task, and by what the outputs are known to be].", key="task.metric", shown='"top1"',
           comment="topk, binary, f1, roc_auc, multilabel_f1, mae, rmse, r2, pinball, spearman, pearson,\n"
           "token_accuracy, token_f1, miou, ctc_exact, cer, wer, map50, map50_95\n"
           "without labels: agreement, difference, cosine, place_agreement, mask_iou, text_agreement, box_agreement"),
    Option("metric_option", f.PAIRS, "NAME=VALUE: an option of the metric, e.g. threshold=0.4, quantiles=0.1,0.9, layout=yolo.",
           key="task.metric_options", field="metric_options", shown='{ threshold = "0.5" }',
           comment="threshold, quantiles, axis, average, ignore, blank, end, separator, layout, boxes, score, nms"),
    Option("k", f.COUNT, "k of top-k [5].", key="task.k", shown="5", comment="of topk"),
    Option("output", f.TEXT, "Model output that is scored [the first].", key="task.output"),
    Option("output_kind", f.PAIRS,
           "OUTPUT=KIND: what it holds, where there are no labels: classes, places, masks, texts, boxes, embeddings, numbers.",
           key="task.output_kinds", field="output_kinds", shown='{ y = "boxes" }',
           comment="without labels: classes, places, masks, texts, boxes, embeddings, numbers"),
    Option("batches", f.COUNTS, "Batch size; repeat for more, the first decides [1].", key="task.batches", flag="--batch",
           shown="[1]", comment="the first decides, further ones are measured for the choice"),
    Option("batch_axis", f.AXES, "INPUT=AXIS: the axis of the examples, where it is not the first.", key="task.batch_axes",
           field="batch_axes", shown="{ x = 1 }", comment="the axis of the examples, where it is not the first"),
    Option("size", f.SIZES, "AXIS=N: size of a dynamic axis, for generated inputs.", key="task.sizes", field="sizes",
           shown="{ sequence = 64 }", comment="of dynamic axes, for generated inputs"),
    Option("shape", f.SHAPES, "INPUT=1x3x224x224: the shape of every call, where the model leaves it open; the batch first.",
           key="task.shapes", field="shapes", shown="{ data = [1, 3, 224, 224] }",
           comment="of every call, where the model leaves it open: sessions are compiled for it"),
)  # fmt: skip
OTHER_SHAPES = Option(
    "other_shapes", f.choice("choice", *get_args(OtherShapes)),
    "fallback|refuse: what a bundle compiled for fixed shapes does with others [fallback].", key="task.other_shapes",
    shown='"fallback"', comment='or "refuse": what the bundle does with other shapes',
)  # fmt: skip
LOAD = (
    Option("concurrency", f.at_most(MOST_IN_FLIGHT, "requests in flight"),
           "Requests in flight while throughput is measured [1; with a gate or a weight on throughput, one a thread].",
           key="task.concurrency", shown="1", comment="requests in flight while throughput is measured"),
    Option("streams", f.COUNT, "Of these, how many a recipe made for throughput serves at once [one a thread].",
           key="task.streams", shown="1", comment="of these, how many a recipe made for throughput serves at once; one a thread"),
)  # fmt: skip
TEXTS = (
    Option(
        "eval_tokens",
        f.COUNT,
        "Tokens of the text that are scored [4096].",
        key="task.eval_tokens",
        shown="4096",
        comment="language models: tokens of the text that are scored",
        family=LANGUAGE_MODELS,
    ),
    Option(
        "prompt_tokens",
        f.COUNT,
        "Tokens of a timed prompt [128].",
        key="task.prompt_tokens",
        shown="128",
        comment="of a timed prompt",
        family=LANGUAGE_MODELS,
    ),
    Option(
        "output_tokens",
        f.COUNT,
        "Tokens of a timed answer [32].",
        key="task.output_tokens",
        shown="32",
        comment="of a timed answer",
        family=LANGUAGE_MODELS,
    ),
    Option(
        "context",
        f.COUNT,
        "Tokens that a language model's cache holds [512].",
        key="task.context",
        shown="512",
        comment="that a language model's cache holds",
        family=LANGUAGE_MODELS,
    ),
)
TARGET = Option(
    "target", f.DEVICE, "A device of the catalog, a profile of your own, or this-machine.", key="target.device", identifies=False,
    shown='"this-machine"', comment='one of `strop devices list`, or a profile of your own: "my-box.toml"', metavar="DEVICE",
)  # fmt: skip
PURPOSE = Option(
    "purpose", f.choice("purpose", *PURPOSES), "any, prototyping, enterprise, mobile, realtime, cross-platform [any].",
    key="target.purpose", flag="--for", shown='"any"',
    comment="prototyping, enterprise, mobile, realtime, cross-platform: for the advice", metavar="PURPOSE",
)  # fmt: skip
LIMITS = (
    Option("threads", f.COUNT, "Budget of cores [all that affinity and quota allow].", key="target.threads", shown="1",
           comment="budget of cores; all that affinity and quota allow"),
    Option("memory_limit_mb", f.COUNT, "MB a child may take [80 % of what is free].", key="target.memory_limit_mb",
           flag="--memory-limit", shown="2000", comment="what one child may take"),
    Option("time_limit_s", f.SECONDS, "Seconds one request to a child may take [600].", key="target.time_limit_s",
           flag="--time-limit", shown="600", comment="what one request to a child may take"),
)  # fmt: skip
GATES = (
    Option("must", f.GATES, "Gate that must pass, e.g. accuracy_retained>=0.99.", key="gates.must", field="gates",
           shown='["accuracy_retained>=0.95", "tail_ratio<=1.5"]'),
    Option("goal", f.GATES, "Gate that should pass, e.g. speedup>=1.5.", key="gates.goal", field="gates",
           shown='["speedup>=2", "memory_ratio<=0.5"]'),
    Option("strict", f.SWITCH, "Every goal is a must.", key="gates.strict", field="gates", shown="false",
           comment="every goal a must"),
    Option("prefer", f.WEIGHTS, "Weights, e.g. speed=0.6,memory=0.4.", key="gates.prefer", field="weights",
           shown='"speed=0.6,memory=0.3,accuracy=0.1"'),
)  # fmt: skip
ASKED = (
    Option("backends", f.TEXTS, "Backends to ask [all].", key="backends.only", flag="--backend"),
    Option("recipes", f.TEXTS, "Candidate recipes to try [all offered].", key="backends.recipes", flag="--recipe", shown="[]",
           comment="candidate recipes to try; all that are offered"),
)  # fmt: skip
OLIVE = Option(
    "olive_config", f.PATH, "An Olive workflow configuration: a recipe of its own.", key="backends.olive_config",
    identifies=False, shown='"olive.json"', comment="an Olive workflow configuration: a recipe of its own",
)  # fmt: skip
BUDGET = Option(
    "budget", f.BUDGET, "Time for the whole run: e.g. 90s, 5m; auto or none [auto].", key="run.budget", field="budget_s",
    shown='"5m"', comment="90 (seconds), 5m, 1h; auto or none",
)  # fmt: skip
OUT = Option(
    "out", f.FOLDER, "Where report and bundle go [strop-out/MODEL].", key="run.out", identifies=False,
    shown='"strop-out/model"',
)  # fmt: skip
KEPT = (
    Option("store", f.FOLDER, "Where builds, data and runs are kept [.strop].", key="run.store", identifies=False,
           shown='".strop"'),
    Option("seed", f.SEED, "Seed of everything random [0].", key="run.seed", shown="0"),
)  # fmt: skip
FRESH = Option(
    "fresh", f.SWITCH, "Measure again, even if this question was answered before.", key="run.fresh", identifies=False,
    shown="false", comment="measure again",
)  # fmt: skip
REPLACE = Option(
    "replace", f.SWITCH, "Replace a better result in the output folder, too.", key="run.replace", identifies=False,
    shown="false", comment="a better result, too",
)  # fmt: skip
PROFILE = Option(
    "profile", f.SWITCH, "Profile baseline and finalists too; some seconds beyond the budget.", key="run.profile",
    identifies=False, shown="false", comment="baseline and finalists",
)  # fmt: skip

OPTIONS = (
    *DATA, QUESTIONS, ADAPTER, *READING, OTHER_SHAPES, *LOAD, *TEXTS, TARGET, PURPOSE, *LIMITS, *GATES, *ASKED, OLIVE, BUDGET,
    OUT, *KEPT, FRESH, REPLACE, PROFILE,
)  # fmt: skip
"""In the order in which `--help` lists them, and `strop init` those of a section."""
LANGUAGE = (QUESTIONS, ADAPTER, *TEXTS)
"""Of language models only."""


def taken(*some: Option | Iterable[Option]) -> tuple[Option, ...]:
    """Those of these that have a flag, in their order."""
    names = {option.name for one in some for option in ((one,) if isinstance(one, Option) else one)}
    return tuple(option for option in OPTIONS if option.name in names and option.help)


OPTIMIZE = taken(OPTIONS)
OPTIMIZE_FOR = tuple(option for option in OPTIMIZE if option not in (TARGET, OUT))
BENCH = taken(DATA, READING, LIMITS, KEPT)
BUILD = taken(DATA, READING, LANGUAGE, LOAD, LIMITS, TARGET, GATES[:3], OLIVE, OUT, KEPT, REPLACE)
COMMANDS = {
    "OptimizeFor": (OPTIMIZE_FOR, ""), "Optimize": (OPTIMIZE, "OptimizeFor"), "Build": (BUILD, ""), "Bench": (BENCH, ""),
}  # fmt: skip
"""Public function → the options that it takes, and the function that takes most of them too."""


def named(name: str) -> Option:
    return next(option for option in OPTIONS if option.name == name)
