"""`init`: a commented `strop.toml` for a model."""

import tempfile
from pathlib import Path

import tomli_w

from strop.core.errors import OutputError
from strop.core.foreign import STEERING, clean, writable
from strop.core.model import Model
from strop.core.preprocess import PRESETS
from strop.core.spelling import spelled
from strop.plan.discover import backends
from strop.run.config import CONFIG, home_of
from strop.run.intake import read_model
from strop.store import files
from strop.store.store import Store
from strop.worker.call import Limits


@spelled()
def init(model: str, path: str | None = None, force: bool = False) -> Path:
    """Write a commented `strop.toml` beside a model, or in its folder, its inputs and outputs filled in.

    Args:
        path: where, instead of there.
        force: overwrite.

    Raises:
        ModelError: the model cannot be read. OutputError: the file is there already, or cannot be written.

    Example:
        >>> strop.init("model.onnx")
    """
    target = Path(path) if path is not None else home_of(model) / CONFIG
    with tempfile.TemporaryDirectory(prefix="strop-") as scratch:
        found = read_model(backends(), Path(model), Path(scratch) / "inspect.log", Limits(120.0), Store(Path(".strop")))
    if target.exists() and not force:
        raise OutputError(f"{target} exists", "use --force to overwrite it, or --path for another place")
    files.write_text(target, text(found))
    return target


def setting(key: str, value: str) -> str:
    """A key and its value, commented out. Both may be a model's own names: whatever is in them stays inside its quotes."""
    line = tomli_w.dumps({writable(key): writable(value)}).removesuffix("\n")
    return "# " + STEERING.sub(lambda found: f"\\u{ord(found.group()):04X}", line)


def text(model: Model) -> str:
    """The file. Names come from the model, which may be anybody's: comments hold them cleaned, settings hold them quoted."""
    shapes = "\n".join(f"#   {clean(s.name)}: {s.dtype} {clean(str([d or '?' for d in s.shape]))}" for s in model.inputs)
    outputs = ", ".join(clean(o.name) for o in model.outputs)
    mapping = "\n".join(setting(s.name, "x") for s in model.inputs)
    return f"""# Strop's questions about this model. Everything is optional; any of it can be a flag of `strop optimize`.
# The model's inputs:
{shapes}
# and outputs: {outputs}

[data]
# Arrays (.npz, .npy, a folder of them), a folder of pictures with labels.csv or one folder a class, or a table of texts
# (.csv, .tsv, .jsonl, .parquet); paths are relative to this file.
# evaluation = "eval.npz"
# calibration = "calibration.npz"   # never part of the evaluation data; without it the evaluation data are split
# questions = "questions.jsonl"     # language models: prompts with choices or exact answers, a line each
# labels = "y"                      # the array or column that holds the labels; "labels" needs no mention
# classes = "classes.txt"           # names of the classes, one a line
# Code of your own runs only where this file is named with --config: loader, preprocess, scorer, olive_config.
# loader = "mydata:load"            # load(path) yields (item, label); mydata.py stands beside this file
# preprocess = "mydata:prepare"     # prepare(item) gives an array, or one for each input
# files = ["vocabulary.txt"]        # what such code reads beside its own modules; goes into the bundle with it

[data.columns]
# of a table
# file = "file"
# text = "sentence1"
# text_pair = "sentence2"
# label = "score"                   # several right classes: 3;7

[data.map]
# model input = array name, where they differ
{mapping}

[preprocess]
# of pictures: a preset, overridden key by key; false switches off what it has
# preset = "imagenet"               # {", ".join(PRESETS)}
# resize = 256                      # the shorter side, or [height, width]
# crop = 224                        # or [height, width]; the model's own size where that is fixed
# interpolation = "bilinear"        # nearest, bilinear, bicubic, lanczos, box, hamming
# rounding = "nearest"              # down: of the longer side
# color = "RGB"                     # BGR, gray
# scale = 0.00392156862745098       # (value * scale - mean) / std
# mean = [0.485, 0.456, 0.406]
# std = [0.229, 0.224, 0.225]
# layout = "NCHW"                   # NHWC
# of texts
# tokenizer = "tokenizer.json"      # one beside the model needs no mention
# max_length = 512
# pad_to = 8
# special_tokens = true

[task]
# kind = "classification"           # sentence-similarity, feature-extraction, token-classification
# pooling = "mean"                  # cls, none: one vector of a text's hidden states
# scorer = "mydata:score"           # score(outputs, labels, inputs) gives one number an example, higher is better
# metric = "top1"                   # topk, f1, roc_auc, mae, spearman, pearson, token_accuracy, token_f1
#                                   # without labels: agreement, difference, cosine
# k = 5                             # of topk
{setting("output", model.outputs[0].name)}
# batches = [1]                     # the first decides, further ones are measured for the choice
# concurrency = 1                   # requests in flight while throughput is measured
# streams = 1                       # of these, how many a recipe made for throughput serves at once; one a thread
# batch_axes = {{ x = 1 }}            # the axis of the examples, where it is not the first
# sizes = {{ sequence = 64 }}         # of dynamic axes, for generated inputs
# shapes = {{ data = [1, 3, 224, 224] }}   # of every call, where the model leaves it open: sessions are compiled for it
# other_shapes = "fallback"         # or "refuse": what the bundle does with other shapes

[target]
# device = "this-machine"           # one of `strop devices list`, or a profile of your own: "my-box.toml"
# purpose = "any"                   # prototyping, enterprise, mobile, realtime, cross-platform: for the advice
# threads = 1                       # budget of cores; all that affinity and quota allow
# memory_limit_mb = 2000            # what one child may take

[gates]
# must = ["accuracy_retained>=0.95", "tail_ratio<=1.5"]
# goal = ["speedup>=2", "memory_ratio<=0.5"]
# strict = false                    # every goal a must
# prefer = "speed=0.6,memory=0.3,accuracy=0.1"

[backends]
# only = ["{model.reader}"]
# recipes = []                      # candidate recipes to try; all that are offered
# olive_config = "olive.json"       # an Olive workflow configuration: a recipe of its own
"""
