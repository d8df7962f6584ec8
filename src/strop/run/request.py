"""What the user asked for, parsed once from flags and `strop.toml` into one typed value."""

import json
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from strop.core.choose import parse_weights
from strop.core.errors import ConfigError, UsageError
from strop.core.gate import assemble, parse_gate
from strop.core.metrics import metric
from strop.core.noun import Noun
from strop.core.verdict import Gate, Kind

CONFIG = "strop.toml"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TaskSection(_Section):
    metric: str | None = None
    k: int | None = Field(None, ge=1)
    output: str | None = None
    batches: list[int] | None = None
    sizes: dict[str, Annotated[int, Field(ge=1)]] = {}


class DataSection(_Section):
    evaluation: str | None = None
    calibration: str | None = None
    labels: str | None = None
    map: dict[str, str] = {}


class TargetSection(_Section):
    threads: int | None = Field(None, ge=1)
    memory_limit_mb: int | None = Field(None, ge=1)


class GatesSection(_Section):
    must: list[str] = []
    goal: list[str] = []
    strict: bool = False
    prefer: str | None = None


class BackendsSection(_Section):
    only: list[str] = []
    recipes: list[str] = []
    olive_config: str | None = None


class Config(_Section):
    """`strop.toml`, all of it optional; any of it can be a flag."""

    task: TaskSection = TaskSection()
    data: DataSection = DataSection()
    target: TargetSection = TargetSection()
    gates: GatesSection = GatesSection()
    backends: BackendsSection = BackendsSection()


class Request(Noun):
    """One run's question, whole. Everything in it but `out`, `store` and `fresh` identifies the run."""

    model: str
    data: str | None = None
    calibration: str | None = None
    labels: str | None = None
    mapping: dict[str, str] = {}
    metric: str | None = None
    k: int = Field(5, ge=1)
    output: str | None = None
    batches: tuple[int, ...] = (1,)
    sizes: dict[str, int] = {}
    threads: int | None = None
    memory_limit_mb: int | None = None
    time_limit_s: float = 600.0
    gates: tuple[Gate, ...]
    weights: dict[str, float]
    backends: tuple[str, ...] = ()
    recipes: tuple[str, ...] = ()
    options: dict[str, str] = {}
    budget_s: float | None = None
    seed: int = 0
    out: str = "strop-out"
    store: str = ".strop"
    fresh: bool = False


def read_config(path: Path | None, beside: Path) -> tuple[Config, Path]:
    """The configuration and the folder that its paths are relative to.

    Without a path, `strop.toml` in the working directory or beside the model is used where there is one.

    Raises:
        ConfigError: unreadable, or a key or value that cannot be meant; names file, key, what was found.
    """
    places = [path] if path is not None else [Path(CONFIG), beside / CONFIG]
    found = next((p for p in places if p.exists()), None)
    if found is None:
        if path is not None:
            raise ConfigError(f"{path}: no such file", "`strop init MODEL` writes one")
        return Config(), Path()
    try:
        return Config.model_validate(tomllib.loads(found.read_text(encoding="utf-8"))), found.parent
    except OSError as error:
        raise ConfigError(f"{found}: cannot be read: {error.strerror}", "`strop init MODEL` writes a commented one") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{found}: not valid TOML: {error}", "`strop init MODEL` writes a commented one") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"{found}: {key}: {first['msg']}, found {first['input']!r}", "`strop init MODEL` writes a commented one"
        ) from None


def parse_budget(text: str | None) -> float | None:
    """`90`, `90s`, `5m`, `1h` → seconds.

    Raises:
        UsageError: not a duration.
    """
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip())
    if match is None or float(match.group(1)) <= 0:
        raise UsageError(f"--budget {text!r} is no duration", "for example 90s, 5m or 1h")
    return float(match.group(1)) * {"": 1, "s": 1, "m": 60, "h": 3600}[match.group(2)]


def parse_pairs(pairs: list[str] | tuple[str, ...], flag: str) -> dict[str, str]:
    """`["a=b"]` → {"a": "b"}.

    Raises:
        UsageError: an element without `=`.
    """
    parsed = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name or not value:
            raise UsageError(f"{flag} {pair!r} is not of the form NAME=VALUE", f"for example {flag} input=x")
        parsed[name] = value
    return parsed


def parse_sizes(pairs: list[str] | tuple[str, ...]) -> dict[str, int]:
    """Sizes of dynamic axes, for generated inputs."""
    sizes = parse_pairs(pairs, "--size")
    if not all(v.isdecimal() and int(v) > 0 for v in sizes.values()):
        raise UsageError(f"--size {pairs}: sizes are whole numbers above 0", "for example --size sequence=64")
    return {k: int(v) for k, v in sizes.items()}


def backend_options(olive_config: str | None) -> dict[str, str]:
    """What single backends are told: the text of an Olive configuration.

    Raises:
        ConfigError: unreadable, or not a JSON object with passes.
    """
    if olive_config is None:
        return {}
    try:
        text = Path(olive_config).read_text(encoding="utf-8")
        parsed = json.loads(text)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{olive_config}: not a readable JSON file: {error}", "give an Olive workflow configuration") from error
    if not isinstance(parsed, dict) or not parsed.get("passes"):
        raise ConfigError(f"{olive_config}: no passes in it", "give an Olive workflow configuration with `passes`")
    return {"olive.config": json.dumps(parsed)}


def make_request(model: str, config_path: str | None = None, **flags: Any) -> Request:
    """Flags over `strop.toml` over defaults.

    Args:
        flags: fields of `Request`, with `must`, `goal` (lists of gate texts), `strict`, `prefer`, `budget`, `map`
            and `size` still as text. None and empty mean "not given".

    Raises:
        ConfigError, UsageError: what cannot be meant.
    """
    config, base = read_config(Path(config_path) if config_path else None, Path(model).parent)

    def pick(flag: str, configured: Any) -> Any:
        given = flags.get(flag)
        return configured if given in (None, (), [], {}) else given

    def path(flag: str, configured: str | None) -> str | None:
        given: str | None = flags.get(flag)
        return given if given is not None else (str(base / configured) if configured is not None else None)

    name = pick("metric", config.task.metric)
    if name is not None and name != "agreement":
        metric(name)
    kinds: tuple[Kind, Kind] = ("must", "goal")
    texts: dict[Kind, list[str]] = {kind: list(pick(kind, getattr(config.gates, kind))) for kind in kinds}
    gates = assemble(
        [parse_gate(t, kind) for kind in kinds for t in texts[kind]], bool(pick("strict", config.gates.strict) or False)
    )
    for flag in ("k", "threads", "memory_limit_mb", "time_limit_s"):
        if flags.get(flag) is not None and flags[flag] <= 0:
            raise UsageError(f"--{flag.removesuffix('_mb').removesuffix('_s').replace('_', '-')} {flags[flag]} is not above 0")
    batches = tuple(pick("batches", config.task.batches) or (1,))
    if any(b < 1 for b in batches) or len(set(batches)) != len(batches):
        raise UsageError(f"--batch {batches}: batch sizes are different whole numbers above 0", "for example --batch 1 --batch 8")
    simple = {k: flags[k] for k in ("seed", "out", "store", "fresh", "time_limit_s") if flags.get(k) is not None}
    return Request(
        model=model, data=path("data", config.data.evaluation), calibration=path("calibration", config.data.calibration),
        labels=pick("labels", config.data.labels),
        mapping={**config.data.map, **parse_pairs(flags.get("map") or (), "--map")},
        metric=name, k=pick("k", config.task.k) or 5, output=pick("output", config.task.output), batches=batches,
        sizes={**config.task.sizes, **parse_sizes(flags.get("size") or ())},
        threads=pick("threads", config.target.threads),
        memory_limit_mb=pick("memory_limit_mb", config.target.memory_limit_mb),
        gates=gates, weights=parse_weights(pick("prefer", config.gates.prefer)),
        backends=tuple(pick("backends", config.backends.only)), recipes=tuple(pick("recipes", config.backends.recipes)),
        options=backend_options(path("olive_config", config.backends.olive_config)),
        budget_s=parse_budget(flags.get("budget")), **simple,
    )  # fmt: skip
