"""What the user asked for, parsed once from flags and `strop.toml` into one typed value."""

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import Field

from strop.core.budget import Asked
from strop.core.choose import parse_weights
from strop.core.errors import ConfigError, UsageError
from strop.core.foreign import MOST_JSON, SURROGATE, ForeignError, parse_object
from strop.core.gate import assemble, parse_gate
from strop.core.metrics import UNLABELED, metric
from strop.core.noun import Noun
from strop.core.shapes import OtherShapes, Shape, text_of
from strop.core.target import THIS
from strop.core.task import Pooling, TaskKind
from strop.core.verdict import Gate, Kind
from strop.plan.rules import PURPOSES
from strop.plan.serving import MOST_IN_FLIGHT
from strop.run.config import MOST, Config, home_of, read_config, require_trust
from strop.run.devices import is_path
from strop.run.flags import LOAD, formed
from strop.store.files import read_bytes

MOST_BATCH = 1 << 16
PLACES = {
    "out",
    "store",
    "fresh",
    "replace",
    "model",
    "data",
    "calibration",
    "classes",
    "tokenizer",
    "config",
    "trusted",
    "folder",
    "profile",
    "target",
}


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
    weights: dict[str, float]
    backends: tuple[str, ...] = ()
    recipes: tuple[str, ...] = ()
    options: dict[str, str] = {}
    budget_s: Asked = "auto"
    seed: int = 0
    out: str | None = None
    store: str = ".strop"
    fresh: bool = False
    replace: bool = False
    profile: bool = False


def parse_budget(given: str | float | None) -> Asked:
    """`90`, `90s`, `5m`, `1h` → seconds; `auto`, also where nothing is given; `none` → None, no limit.

    Raises:
        UsageError: not a duration.
    """
    text = "auto" if given is None else str(given).strip()
    if text in ("auto", "none"):
        return "auto" if text == "auto" else None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text)
    if match is None or float(match.group(1)) <= 0:
        raise UsageError(f"--budget {text!r} is not a duration", "for example 90s, 5m or 1h; auto (the default) or none")
    return float(match.group(1)) * {"": 1, "s": 1, "m": 60, "h": 3600}[match.group(2)]


def parse_pairs(pairs: list[str] | tuple[str, ...], flag: str, last: bool = False) -> dict[str, str]:
    """`["a=b"]` → {"a": "b"}.

    Args:
        last: whether the last `=` divides, where a name may hold one but no value does.

    Raises:
        UsageError: an element without `=`.
    """
    parsed = dict[str, str]()
    for pair in pairs:
        name, sign, value = pair.rpartition("=") if last else pair.partition("=")
        if not sign or not name or not value:
            raise UsageError(
                f"{flag} {pair!r} is not of the form NAME=VALUE", f"for example {flag} input={'1x3x224x224' if last else 'x'}"
            )
        if last and name in parsed:
            raise UsageError(f"{flag} names {name!r} twice: {parsed[name]} and {value}", "give it once")
        parsed[name] = value
    return parsed


def parse_columns(config: Config, given: list[str] | tuple[str, ...]) -> dict[str, str]:
    """What is in which column: `text=sentence1`.

    Raises:
        UsageError: a name that is not known.
    """
    parsed = parse_pairs(given, "--column")
    known = ("file", "text", "text_pair", "label")
    odd = next((name for name in parsed if name not in known), None)
    if odd is not None:
        raise UsageError(f"--column {odd}=…: there is no {odd!r}", f"known: {', '.join(known)}")
    return {**{str(k): v for k, v in config.data.columns.items()}, **parsed}


def parse_preprocess(config: Config, preset: str | None) -> dict[str, Any]:
    """Keys of the preprocessing that were given."""
    return config.preprocess.given() | ({"preset": preset} if preset is not None else {})


def parse_sizes(pairs: list[str] | tuple[str, ...]) -> dict[str, int]:
    """Sizes of dynamic axes, for generated inputs."""
    sizes = parse_pairs(pairs, "--size")
    if not all(v.isdecimal() and int(v) > 0 for v in sizes.values()):
        raise UsageError(f"--size {pairs}: sizes are whole numbers above 0", "for example --size sequence=64")
    return {k: int(v) for k, v in sizes.items()}


def parse_shapes(config: Config, pairs: list[str] | tuple[str, ...]) -> dict[str, Shape]:
    """Whole shapes of inputs, the examples first: `data=1x3x224x224`.

    Raises:
        UsageError: not sizes above 0 joined by `x`, or inputs that differ in their number of examples.
    """
    shapes = {name: tuple(dims) for name, dims in config.task.shapes.items()}
    for name, text in parse_pairs(pairs, "--shape", last=True).items():
        dims = text.lower().split("x")
        if not all(d.isdecimal() and 0 < int(d) <= MOST for d in dims):
            raise UsageError(
                f"--shape {name}={text}: a shape is whole numbers above 0 joined by x", "for example --shape data=1x3x224x224"
            )
        shapes[name] = tuple(map(int, dims))
    if len({shape[0] for shape in shapes.values()}) > 1:
        told = ", ".join(f"{name}={text_of(shape)}" for name, shape in shapes.items())
        raise UsageError(f"--shape {told}: the inputs differ in their first size, the number of examples", "give all the same")
    return shapes


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


def parse_axes(pairs: list[str] | tuple[str, ...]) -> dict[str, int]:
    """The axis of the examples: `x=1`.

    Raises:
        UsageError: not a whole number.
    """
    axes = parse_pairs(pairs, "--batch-axis")
    if not all(v.isdecimal() for v in axes.values()):
        raise UsageError(f"--batch-axis {pairs}: axes are whole numbers from 0 on", "for example --batch-axis x=1")
    return {k: int(v) for k, v in axes.items()}


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


def device_of(given: str | None, config: Config, base: Path) -> str:
    """The target: by flag, or by `[target] device`, where a file is relative to the strop.toml."""
    named = config.target.device
    if given == "":
        raise UsageError("--target '' names no device", "`strop devices list` shows them")
    if given is not None or named is None:
        return given or THIS
    return str(base / named) if is_path(named) else named


def known_purpose(purpose: str | None) -> str:
    """What the model is wanted for.

    Raises:
        UsageError: no such purpose.
    """
    if purpose is not None and purpose not in PURPOSES:
        raise UsageError(f"--for {purpose}: no such purpose", f"known: {', '.join(PURPOSES)}")
    return purpose or PURPOSES[0]


def require_utf8(texts: Iterable[object]) -> None:
    """Names that are not UTF-8, as file systems allow, could be read and not written down.

    Raises:
        UsageError: one of these texts is.
    """
    odd = next((text for text in texts if isinstance(text, str) and SURROGATE.search(text)), None)
    if odd is not None:
        raise UsageError(f"{odd!r} is not UTF-8", "rename the file or the folder")


def make_request(model: str, config_path: str | None = None, **flags: Any) -> Request:
    """Flags over `strop.toml` over defaults.

    Args:
        flags: fields of `Request`, with `must`, `goal` (lists of gate texts), `strict`, `prefer`, `budget`, `map`
            and `size` still as text. None and empty mean "not given".

    Raises:
        ConfigError, UsageError: an invalid value. TypeError: a value of another type.
    """
    model, flags = os.fspath(model), formed(flags)
    given = [text for value in flags.values() for text in (value if isinstance(value, (list, tuple)) else [value])]
    require_utf8([str(Path(model).absolute()), config_path, *given])
    config, base, found = read_config(Path(config_path) if config_path else None, home_of(model))
    require_trust(config, found, named=bool(config_path), overridden=flags.get("olive_config") is not None)

    def pick(flag: str, configured: Any) -> Any:
        given = flags.get(flag)
        return configured if given in (None, (), [], {}) else given

    def path(flag: str, configured: str | None) -> str | None:
        given: str | None = flags.get(flag)
        return given if given is not None else (str(base / configured) if configured is not None else None)

    name = pick("metric", config.task.metric)
    if name is not None and name not in UNLABELED:
        metric(name)
    kinds: tuple[Kind, Kind] = ("must", "goal")
    texts: dict[Kind, list[str]] = {kind: list(pick(kind, getattr(config.gates, kind))) for kind in kinds}
    gates = assemble(
        [parse_gate(t, kind) for kind in kinds for t in texts[kind]], bool(pick("strict", config.gates.strict) or False)
    )
    counts = ("k", "eval_tokens", "prompt_tokens", "output_tokens", "context", "threads", *LOAD)
    for flag in (*counts, "memory_limit_mb", "time_limit_s"):
        if flags.get(flag) is not None and not 0 < flags[flag] <= MOST:
            what = "is not above 0" if not flags[flag] > 0 else f"is above {MOST}"
            raise UsageError(f"--{flag.removesuffix('_mb').removesuffix('_s').replace('_', '-')} {flags[flag]} {what}")
    if flags.get("store") == "":
        raise UsageError("--store '' names no folder", "leave it out, or give a folder")
    shapes = parse_shapes(config, flags.get("shape") or ())
    batches = batches_of(pick("batches", config.task.batches) or (), shapes)
    others = pick("other_shapes", config.task.other_shapes) or "fallback"
    if others not in get_args(OtherShapes):
        raise UsageError(f"--other-shapes {others}: there is no such choice", f"known: {', '.join(get_args(OtherShapes))}")
    concurrency = pick("concurrency", config.task.concurrency)
    if concurrency is not None and concurrency > MOST_IN_FLIGHT:
        raise UsageError(f"--concurrency {concurrency} is too many requests in flight", f"give at most {MOST_IN_FLIGHT}")
    code = {"loader": config.data.loader, "preprocess": config.data.preprocess, "scorer": config.task.scorer}
    if code["scorer"] is not None and name not in (None, "scorer"):
        raise ConfigError(f"metric {name!r} beside a scorer of your own", "remove one of them")
    simple = {
        k: flags[k]
        for k in (
            "eval_tokens",
            "prompt_tokens",
            "output_tokens",
            "context",
            "seed",
            "out",
            "store",
            "fresh",
            "replace",
            "profile",
            "time_limit_s",
        )
        if flags.get(k) is not None
    }
    return Request(
        model=model, data=path("data", config.data.evaluation), calibration=path("calibration", config.data.calibration),
        questions=path("questions", config.data.questions),
        labels=pick("labels", config.data.labels),
        mapping={**config.data.map, **parse_pairs(flags.get("map") or (), "--map")},
        columns=parse_columns(config, flags.get("column") or ()), classes=path("classes", config.data.classes),
        tokenizer=path("tokenizer", config.preprocess.tokenizer), preprocess=parse_preprocess(config, flags.get("preset")),
        code={k: v for k, v in code.items() if v is not None}, config=found, trusted=bool(config_path),
        files=tuple(config.data.files), folder=str(base.absolute()),
        kind=pick("task", config.task.kind), pooling=config.task.pooling,
        metric=name, k=pick("k", config.task.k) or 5, output=pick("output", config.task.output), batches=batches,
        concurrency=concurrency, streams=pick("streams", config.task.streams),
        batch_axes={**config.task.batch_axes, **parse_axes(flags.get("batch_axis") or ())},
        sizes={**config.task.sizes, **parse_sizes(flags.get("size") or ())}, shapes=shapes, other_shapes=others,
        target=device_of(flags.get("target"), config, base), purpose=known_purpose(pick("purpose", config.target.purpose)),
        threads=pick("threads", config.target.threads),
        memory_limit_mb=pick("memory_limit_mb", config.target.memory_limit_mb),
        gates=gates, weights=parse_weights(pick("prefer", config.gates.prefer)),
        backends=tuple(pick("backends", config.backends.only)), recipes=tuple(pick("recipes", config.backends.recipes)),
        options=backend_options(path("olive_config", config.backends.olive_config)),
        budget_s=parse_budget(flags.get("budget")), **simple,
    )  # fmt: skip
