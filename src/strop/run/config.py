"""`strop.toml`: its sections, and reading it."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from strop.core.errors import ConfigError, UntrustedError
from strop.core.foreign import MOST_TOML, ForeignError, parse_toml
from strop.core.shapes import OtherShapes
from strop.core.task import Pooling, TaskKind
from strop.store.files import read_bytes

CONFIG = "strop.toml"
MOST = 1 << 40
"""Of any whole number in it."""
CODE = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"
"""`module:function`."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class TaskSection(_Section):
    kind: TaskKind | None = None
    pooling: Pooling | None = None
    scorer: str | None = Field(None, pattern=CODE)
    metric: str | None = None
    k: int | None = Field(None, ge=1, le=MOST)
    output: str | None = None
    batches: list[int] | None = None
    concurrency: int | None = Field(None, ge=1, le=MOST)
    streams: int | None = Field(None, ge=1, le=MOST)
    sizes: dict[str, Annotated[int, Field(ge=1, le=MOST)]] = {}
    batch_axes: dict[str, Annotated[int, Field(ge=0, le=MOST)]] = {}
    shapes: dict[str, Annotated[list[Annotated[int, Field(ge=1, le=MOST)]], Field(min_length=1)]] = {}
    other_shapes: OtherShapes | None = None


class DataSection(_Section):
    evaluation: str | None = None
    calibration: str | None = None
    questions: str | None = None
    labels: str | None = None
    classes: str | None = None
    loader: str | None = Field(None, pattern=CODE)
    preprocess: str | None = Field(None, pattern=CODE)
    files: list[str] = []
    columns: dict[Literal["file", "text", "text_pair", "label"], str] = {}
    map: dict[str, str] = {}


class PreprocessSection(_Section):
    """Keys of `strop.core.preprocess.Images` and `Texts`; false switches off what a preset has."""

    preset: str | None = None
    resize: Annotated[int, Field(ge=1, le=MOST)] | tuple[int, int] | Literal[False] | None = None
    crop: Annotated[int, Field(ge=1, le=MOST)] | tuple[int, int] | Literal[False] | None = None
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"] | None = None
    rounding: Literal["nearest", "down"] | None = None
    color: Literal["RGB", "BGR", "gray"] | None = None
    scale: float | None = None
    mean: tuple[float, ...] | Literal[False] | None = None
    std: tuple[float, ...] | Literal[False] | None = None
    layout: Literal["NCHW", "NHWC"] | None = None
    tokenizer: str | None = None
    max_length: int | None = Field(None, ge=1, le=MOST)
    pad_to: int | None = Field(None, ge=1, le=MOST)
    special_tokens: bool | None = None

    def given(self) -> dict[str, Any]:
        """What was set, less `tokenizer`; what was switched off is None."""
        told = self.model_dump(exclude_unset=True, exclude={"tokenizer"})
        return {k: None if v is False and k != "special_tokens" else v for k, v in told.items()}


class TargetSection(_Section):
    device: str | None = None
    purpose: Literal["any", "prototyping", "enterprise", "mobile", "realtime", "cross-platform"] | None = None
    threads: int | None = Field(None, ge=1, le=MOST)
    memory_limit_mb: int | None = Field(None, ge=1, le=MOST)


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
    preprocess: PreprocessSection = PreprocessSection()
    target: TargetSection = TargetSection()
    gates: GatesSection = GatesSection()
    backends: BackendsSection = BackendsSection()


def require_trust(config: Config, found: str | None, named: bool, overridden: bool) -> None:
    """The one check that keeps a configuration that nobody named from running code, however its path is spelled.

    Args:
        named: whether the user named the file, which says that its code may run.
        overridden: whether a flag takes the place of `backends.olive_config`.

    Raises:
        UntrustedError: it was found by itself and names code.
    """
    if named or found is None:
        return
    keys = {
        "data.loader": config.data.loader, "data.preprocess": config.data.preprocess, "task.scorer": config.task.scorer,
        "backends.olive_config": None if overridden else config.backends.olive_config,
    }  # fmt: skip
    key = next((key for key, value in keys.items() if value is not None), None)
    if key is not None:
        raise UntrustedError(f"{found}: {key} = {keys[key]!r} names code, and the file was found, not named", found)


def home_of(model: str) -> Path:
    """Where a model's own files lie: beside it, or in it where it is a folder."""
    return Path(model) if Path(model).is_dir() else Path(model).parent


def read_config(path: Path | None, beside: Path) -> tuple[Config, Path, str | None]:
    """The configuration, the folder that its paths are relative to, and the file.

    Without a path, `strop.toml` in the working directory or beside the model, in a model that is a folder, is used where there
    is one.

    Raises:
        ConfigError: unreadable, or a key or value that cannot be meant; names file, key, what was found.
    """
    places = [path] if path is not None else [Path(CONFIG), beside / CONFIG]
    found = next((p for p in places if p.exists()), None)
    if found is None:
        if path is not None:
            raise ConfigError(f"{path}: no such file", "`strop init MODEL` writes one")
        return Config(), Path(), None
    try:
        told = parse_toml(read_bytes(found, MOST_TOML))
        return Config.model_validate_json(json.dumps(told)), found.parent, str(found.absolute())
    except OSError as error:
        raise ConfigError(f"{found}: cannot be read: {error.strerror}", "`strop init MODEL` writes a commented one") from error
    except ForeignError as error:
        raise ConfigError(f"{found}: {error}", "`strop init MODEL` writes a commented one") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        what = "no such key" if first["type"] == "extra_forbidden" else first["msg"]
        raise ConfigError(
            f"{found}: {key}: {what}, found {first['input']!r}", "`strop init MODEL` writes a commented one"
        ) from None
