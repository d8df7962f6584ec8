"""`init`: a commented `strop.toml` for a model."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import tomli_w

from strop.core.errors import OutputError
from strop.core.foreign import STEERING, clean, writable
from strop.core.model import Model
from strop.core.spelling import PathText, spelled
from strop.plan.discover import backends
from strop.run.config import CONFIG, home_of
from strop.run.intake import read_model
from strop.run.options import OPTIONS, Option
from strop.store import files
from strop.store.store import Store
from strop.worker.call import Limits


@spelled
def init(model: PathText, path: PathText | None = None, force: bool = False) -> Path:
    """Write a commented `strop.toml` beside a model, or in its folder, its inputs and outputs filled in.

    Args:
        path: where, instead of there.
        force: overwrite.

    Raises:
        ModelError: the model cannot be read. OutputError: the file is there already, or cannot be written.

    Example:
        >>> strop.init("model.onnx")
    """
    model = os.fspath(model)
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


COLUMN = 36
"""Where comments begin."""
INTRODUCED = {
    "data": "Arrays (.npz, .npy, a folder of them), a folder of pictures with labels.csv or one folder a class, or a table of "
    "texts\n(.csv, .tsv, .jsonl, .parquet); paths are relative to this file.",
    "data.columns": "of a table",
    "data.map": "model input = array name, where they differ",
}
"""What stands under the heading of a section."""
COLUMNS = """# file = "file"
# text = "sentence1"
# text_pair = "sentence2"
# label = "score"                   # several right classes: 3;7"""


def text(model: Model) -> str:
    """The file. Names come from the model, which may be anybody's: comments hold them cleaned, settings hold them quoted."""
    shapes = "\n".join(f"#   {clean(s.name)}: {s.dtype} {clean(str([d or '?' for d in s.shape]))}" for s in model.inputs)
    outputs = ", ".join(clean(o.name) for o in model.outputs)
    own = {
        "data.columns": COLUMNS, "data.map": "\n".join(setting(s.name, "x") for s in model.inputs),
        "task.output": setting("output", model.outputs[0].name), "backends.only": f'# only = ["{model.reader}"]',
    }  # fmt: skip
    parts = [
        f"# Strop's questions about this model. Everything is optional; any of it can be a flag of `strop optimize`.\n"
        f"# The model's inputs:\n{shapes}\n# and outputs: {outputs}"
    ]
    for section in dict.fromkeys(option.key.partition(".")[0] for option in OPTIONS if option.key):
        mine = [option for option in OPTIONS if option.key.startswith(f"{section}.")]
        parts.append(block(section, [own.get(o.key) or line(o) for o in mine if o.key not in INTRODUCED]))
        parts += [block(o.key, [own[o.key]]) for o in mine if o.key in INTRODUCED]
    return "\n\n".join(parts) + "\n"


def block(section: str, lines: Sequence[str]) -> str:
    """A section with its heading."""
    introduction = [f"# {told}" for told in INTRODUCED.get(section, "").splitlines()]
    return "\n".join([f"[{section}]", *introduction, *lines])


def line(option: Option) -> str:
    """An option's key as it is by default or for example, commented out, with its comment."""
    before = f"# {option.before}\n" if option.before else ""
    shown = f"# {option.key.partition('.')[2]} = {option.shown}"
    first, *more = option.comment.splitlines() or [""]
    told = f"{shown:<{COLUMN - 1}} # {first}" if first else shown
    return before + "\n".join([told, *(f"#{' ' * (COLUMN - 1)}# {further}" for further in more)])
