"""`strop.toml`: its sections, made from the options, and reading it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from strop.core.errors import ConfigError, UntrustedError
from strop.core.foreign import MOST_TOML, ForeignError, parse_toml
from strop.run.forms import CODED
from strop.run.options import OPTIONS
from strop.store.files import read_bytes

CONFIG = "strop.toml"
Config = Mapping[str, Any]
"""What a file says: `section.key` → value, in the form that it has there."""
OF_CODE = (*(option.key for option in OPTIONS if option.form is CODED), "backends.olive_config")
"""Keys that lead to code."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


def _empty(toml: Any) -> Any:
    """What a key has that is not given."""
    return {list: [], dict: {}, bool: False}.get(get_origin(toml) or toml)


def _sections() -> type[BaseModel]:
    """The whole file as a model, for its checks and their messages."""
    sections: dict[str, dict[str, Any]] = {}
    for option in OPTIONS:
        section, _, key = option.key.partition(".")
        if section:
            sections.setdefault(section, {})[key] = (option.form.toml, _empty(option.form.toml))
    made = {name: create_model(f"{name.capitalize()}Section", __base__=_Section, **keys) for name, keys in sections.items()}
    return create_model("File", __base__=_Section, **{name: (section, section()) for name, section in made.items()})  # type: ignore[no-any-return,call-overload]


File = _sections()


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
    keys = [key for key in OF_CODE if not (overridden and key == "backends.olive_config")]
    key = next((key for key in keys if config.get(key) is not None), None)
    if key is not None:
        raise UntrustedError(f"{found}: {key} = {config[key]!r} names code, and the file was found, not named", found)


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
        return {}, Path(), None
    try:
        told = parse_toml(read_bytes(found, MOST_TOML))
        return _flat(File.model_validate_json(json.dumps(told))), found.parent, str(found.absolute())
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


def _flat(told: BaseModel) -> Config:
    """Only what was given."""
    return {f"{name}.{key}": value for name, keys in told.model_dump(exclude_unset=True).items() for key, value in keys.items()}
