"""Running a bundle by its own `infer.py`, in a child process."""

import json
from pathlib import Path

from strop.bundle.verify import verify_bundle
from strop.core.errors import BundleError, DataError, WorkerError, WorkerFailure
from strop.plan.discover import backends
from strop.worker.call import BUNDLE_WORK, Child, Limits
from strop.worker.interpreter import work_of

SECONDS = 3600.0


def infer_bundle(folder: str, inputs: str, output: str, log: str | None = None) -> None:
    """Run a verified bundle on the arrays of an `.npz`, write its outputs to another.

    Args:
        inputs: `.npz` with an array per model input, shape [examples, …].
        output: `.npz` to write; written whole or not at all.

    Raises:
        BundleError: the bundle is changed or does not run.
        DataError: the arrays do not fit.

    Example:
        >>> strop.infer_bundle("strop-out/bundle", "inputs.npz", "outputs.npz")
    """
    manifest = verify_bundle(folder)
    if not Path(inputs).is_file():
        raise DataError(f"{inputs}: no such file", f"an .npz with {', '.join(i.name for i in manifest.inputs)}")
    runtime = backends().get(manifest.recipe.runtime)
    work = BUNDLE_WORK._replace(python=work_of(runtime).python) if runtime is not None else BUNDLE_WORK
    place = Path(log) if log else Path(output).with_suffix(".log")
    try:
        with Child(work, place, Limits(SECONDS)) as child:
            child.call(
                "infer",
                folder=str(Path(folder).absolute()),
                inputs=str(Path(inputs).absolute()),
                output=str(Path(output).absolute()),
            )
    except WorkerFailure as error:
        kind = DataError if error.kind in ("DataError", "ValueError", "InvalidArgument") else BundleError
        raise kind(
            f"{folder}: {error.message}", f"inputs: {json.dumps({i.name: list(i.shape) for i in manifest.inputs})}"
        ) from error
    except WorkerError as error:
        raise BundleError(f"{folder}: {error.message}", f"see {place}") from error
    if log is None:
        place.unlink(missing_ok=True)
