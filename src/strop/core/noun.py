"""What every noun shares: frozen, strict about unknown keys, JSON in and JSON out."""

from pydantic import BaseModel, ConfigDict

SCHEMA = 2
"""Version of everything Strop writes to disk. A newer one is refused, an older one migrated
(`store/migration.py`)."""

Scalar = str | int | float | bool | None
Options = dict[str, Scalar | list[str]]
Params = dict[str, Scalar | list[str] | Options]


class Noun(BaseModel):
    """A frozen value. Equal fields are equal nouns."""

    model_config = ConfigDict(frozen=True, extra="forbid")
