"""What the user asked for, parsed once from flags and `strop.toml` into one typed value."""

import json
import os
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from strop.core.budget import Asked
from strop.core.choose import DEFAULT_WEIGHTS
from strop.core.errors import ArgumentError, ConfigError, UsageError
from strop.core.foreign import MOST_JSON, SURROGATE, ForeignError, parse_object
from strop.core.gate import assemble, parse_gate
from strop.core.noun import Noun
from strop.core.shapes import OtherShapes, Shape, text_of
from strop.core.spelling import PathText
from strop.core.target import THIS
from strop.core.task import Pooling, TaskKind
from strop.core.verdict import Gate, Kind
from strop.run.config import Config, home_of, read_config, require_trust
from strop.run.forms import CODED
from strop.run.handed import stored
from strop.run.located import located
from strop.run.options import OPTIONS, Option
from strop.store.files import read_bytes

MOST_BATCH = 1 << 16
PLACES = {"model", "config", "trusted", "folder", *(option.part for option in OPTIONS if not option.identifies)}
"""Fields that do not identify a run: where things are, and what is done with the answer."""
ABSENT: Any = object()
"""The value of an option of which nothing is said; None is a value."""


class Request(Noun):
    """One run's question, whole. Everything in it but places, `fresh`, `replace` and `profile` (`PLACES`) identifies the run.

    `config` is the strop.toml that was read, `trusted` whether the user named it; user code is found in `folder`. `tokenizer` and
    `classes` are files.
    `preprocess` holds keys of `strop.core.preprocess` that were given, `code` the user's functions: loader, preprocess, scorer;
    `files` are what these read beside their modules.
    """

    model: str
    data: str | None = None
    calibration: str | None = None
    questions: str | None = None
    labels: str | None = None
    mapping: dict[str, str] = {}
    metric_options: dict[str, str] = {}
    output_kinds: dict[str, str] = {}
    columns: dict[str, str] = {}
    classes: str | None = None
    tokenizer: str | None = None
    preprocess: dict[str, Any] = {}
    code: dict[str, str] = {}
    files: tuple[str, ...] = ()
    config: str | None = None
    trusted: bool = False
    folder: str = "."
    kind: TaskKind | None = None
    pooling: Pooling | None = None
    metric: str | None = None
    k: int = Field(5, ge=1)
    output: str | None = None
    batches: tuple[int, ...] = (1,)
    concurrency: int | None = None
    streams: int | None = None
    batch_axes: dict[str, int] = {}
    sizes: dict[str, int] = {}
    shapes: dict[str, Shape] = {}
    other_shapes: OtherShapes = "fallback"
    adapter: str | None = None
    eval_tokens: int = Field(4096, ge=1)
    prompt_tokens: int = Field(128, ge=1)
    output_tokens: int = Field(32, ge=1)
    context: int | None = None
    target: str = THIS
    purpose: str = "any"
    threads: int | None = None
    memory_limit_mb: int | None = None
    time_limit_s: float = 600.0
    gates: tuple[Gate, ...]
    weights: dict[str, float] = DEFAULT_WEIGHTS
    backends: tuple[str, ...] = ()
    recipes: tuple[str, ...] = ()
    options: dict[str, str] = {}
    olive_config: str | None = None
    budget_s: Asked = "auto"
    seed: int = 0
    out: str | None = None
    store: str = ".strop"
    fresh: bool = False
    replace: bool = False
    profile: bool = False


def batches_of(given: Sequence[int], shapes: Mapping[str, Shape]) -> tuple[int, ...]:
    """The batch sizes: as given, else the number of examples in the shapes, else 1.

    Raises:
        UsageError: out of range, repeated, or other than the shapes'.
    """
    batches = tuple(given or {shape[0] for shape in shapes.values()} or (1,))
    if any(b < 1 for b in batches) or len(set(batches)) != len(batches):
        raise UsageError(f"--batch {batches}: batch sizes are different whole numbers above 0", "for example --batch 1 --batch 8")
    if max(batches) > MOST_BATCH:
        raise UsageError(f"--batch {max(batches)} is too large", f"give at most {MOST_BATCH}")
    odd = next((f"{name}={text_of(shape)}" for name, shape in shapes.items() if shape[0] != batches[0]), None)
    if odd is not None:
        raise UsageError(
            f"--shape {odd}: its first size, the number of examples, is not the {batches[0]} of --batch",
            "give the same in both, or leave --batch out",
        )
    return batches


COMPOSED = {"preprocess", "code", "gates", "batches"}
"""Fields that are made of several options, or of one with regard to another."""
SIMPLE = Request.model_fields.keys() - COMPOSED
"""Fields that are an option's value."""


def backend_options(olive_config: str | None) -> dict[str, str]:
    """What single backends are told: the text of an Olive configuration.

    Raises:
        ConfigError: unreadable, or not a JSON object with passes.
    """
    if olive_config is None:
        return {}
    try:
        parsed = parse_object(read_bytes(Path(olive_config), MOST_JSON))
    except OSError as error:
        raise ConfigError(f"{olive_config}: cannot be read: {error.strerror}", "give an Olive workflow configuration") from error
    except ForeignError as error:
        raise ConfigError(f"{olive_config}: {error}", "give an Olive workflow configuration") from error
    if not isinstance(parsed.get("passes"), dict) or not parsed["passes"]:
        raise ConfigError(f"{olive_config}: no passes in it", "give an Olive workflow configuration with `passes`")
    return {"olive.config": json.dumps(parsed)}


def require_utf8(texts: Iterable[object]) -> None:
    """Names that are not UTF-8, as file systems allow, could be read and not written down.

    Raises:
        UsageError: one of these texts is.
    """
    odd = next((text for text in texts if isinstance(text, str) and SURROGATE.search(text)), None)
    if odd is not None:
        raise UsageError(f"{odd!r} is not UTF-8", "rename the file or the folder")


def formed(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords as the command line would give them: one text for a list of them, a number for a duration, a path.

    Raises:
        ArgumentError: a value of another type; says what was given and what is expected.
    """
    known, made = {option.name: option for option in OPTIONS}, {}
    flags = stored(flags)
    for name, value in flags.items():
        try:
            made[name] = None if value is None else known[name].form.python(value)
        except TypeError as error:
            what = f"{name}={reprlib.repr(value)} is {type(value).__name__}; expected {error}"
            raise ArgumentError(what, f"{name}: {known[name].help}") from None
    return made


def value_of(option: Option, given: Any, config: Config, base: Path) -> Any:
    """An option's value: the flag over `strop.toml`, or added to it; ABSENT where neither says anything."""
    absent, silent = given is None or given in ((), [], {}), config.get(option.key) in (None, [], {})
    told = option.form.configured(config[option.key], base) if not silent and (absent or option.form.merges) else ABSENT
    if absent:
        return told
    value = option.form.read(option.spelled, given)
    return {**told, **value} if told is not ABSENT else value


def make_request(model: PathText, config_path: PathText | None = None, **flags: Any) -> Request:
    """Flags over `strop.toml` over defaults.

    Args:
        flags: keywords of `strop.run.options`. None and empty mean "not given".

    Raises:
        ConfigError, UsageError: an invalid value. ArgumentError: a value of another type.
    """
    model, config_path, flags = os.fspath(model), os.fspath(config_path) if config_path else None, formed(flags)
    given = [text for value in flags.values() for text in (value if isinstance(value, (list, tuple)) else [value])]
    require_utf8([str(Path(model).absolute()), config_path, *given])
    config, base, found = read_config(Path(config_path) if config_path else None, home_of(model))
    require_trust(config, found, named=bool(config_path), overridden=flags.get("olive_config") is not None)
    settling = {option: value_of(option, flags.get(option.name), config, base) for option in OPTIONS}
    values = {option.name: value for option, value in settling.items() if value is not ABSENT}
    shapes = values.get("shape", {})
    require_one_count(shapes)
    code = {o.key.rpartition(".")[2]: values[o.name] for o in OPTIONS if o.form is CODED and o.name in values}
    if "scorer" in code and values.get("metric", "scorer") != "scorer":
        raise ConfigError(f"metric {values['metric']!r} beside a scorer of your own", "remove one of them")
    kinds: tuple[Kind, Kind] = ("must", "goal")
    gates = assemble([parse_gate(t, kind) for kind in kinds for t in values.get(kind, ())], values.get("strict", False))
    simple = {o.part: values[o.name] for o in OPTIONS if o.name in values and o.part in SIMPLE}
    return Request(
        model=str(located(Path(model))), config=found, trusted=bool(config_path), folder=str(base.absolute()), code=code,
        gates=gates,
        preprocess=preprocess_of(config, values.get("preset")), batches=batches_of(values.get("batches", ()), shapes),
        options=backend_options(values.get("olive_config")), **simple,
    )  # fmt: skip


def preprocess_of(config: Config, preset: str | None) -> dict[str, Any]:
    """Keys of `strop.core.preprocess.Images` and `Texts` that were given; what the file switches off with false is None."""
    told = {key.partition(".")[2]: value for key, value in config.items() if key.startswith("preprocess.")}
    told.pop("tokenizer", None)
    kept = {k: None if v is False and k != "special_tokens" else v for k, v in told.items()}
    return kept | ({"preset": preset} if preset is not None else {})


def require_one_count(shapes: Mapping[str, Shape]) -> None:
    """Raises UsageError where inputs differ in their number of examples."""
    if len({shape[0] for shape in shapes.values()}) > 1:
        told = ", ".join(f"{name}={text_of(shape)}" for name, shape in shapes.items())
        raise UsageError(f"--shape {told}: the inputs differ in their first size, the number of examples", "give all the same")
