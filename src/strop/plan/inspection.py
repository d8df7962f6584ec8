"""From what a reader found in its worker to a typed `Model`."""

from typing import Any

from pydantic import ValidationError

from strop.core.errors import BackendError
from strop.core.model import Artifact, Model


def model_from(raw: dict[str, Any], artifact: Artifact, reader: str) -> Model:
    """The model that `work.inspect` described.

    Raises:
        BackendError: the description is not of the promised form.
    """
    try:
        return Model.model_validate({"artifact": artifact, "reader": reader, **raw})
    except ValidationError as error:
        first = error.errors()[0]
        raise BackendError(f"backend {reader!r}: inspect() answered {first['loc']}: {first['msg']}") from error
