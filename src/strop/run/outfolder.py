"""Where a result goes: the user's folder, or one named after the model; never in the place of a better or another one."""

import os
import tempfile
from pathlib import Path
from typing import NamedTuple

from strop.core.errors import OutputError
from strop.core.model import Model
from strop.core.standing import Standing, why_worse
from strop.core.target import THIS, Target
from strop.run.located import repository
from strop.run.request import Request
from strop.store import files
from strop.store.output import Record, read_record, recover_unless_busy, require_ours

HOME = "strop-out"
LATEST = "latest"
GENERIC = ("model",)
"""File names that say nothing: such a model is called what its folder is called."""


class Placed(NamedTuple):
    """The folder of a result, and why it is not the first one that was meant; empty where it is."""

    folder: Path
    why: str = ""


def absolute(path: str | os.PathLike[str]) -> str:
    """A path from the root, without following links: the files of a download cache are links to names that say nothing."""
    return os.path.normpath(Path(path).absolute())


def model_name(model: str | os.PathLike[str]) -> str:
    """What a model is called: its folder, or its file without the suffix."""
    path = Path(absolute(model))
    if path.is_dir():
        return repository(path) or path.name or "model"
    return path.parent.name or path.stem if path.stem.lower() in GENERIC else path.stem


def default_out(model: str, target: str = THIS) -> Path:
    """`strop-out/<model>`; for another device `strop-out/<model>-<device>`."""
    device = "" if target == THIS else f"-{Path(target).stem if target.endswith('.toml') else target}"
    name = f"{model_name(model)}{device}"
    return Path(HOME) / (f"{name}-model" if name == LATEST else name)


def require_writable(request: Request, default: Path | None = None) -> None:
    """Fail before the work, not after it.

    Args:
        default: where it goes when `--out` is not given; by default as `default_out`.

    Raises:
        OutputError: the folder is not Strop's, or cannot be replaced or written.
    """
    out = Path(request.out) if request.out is not None else default or default_out(request.model, request.target)
    if not out.name or out.resolve() == Path.cwd():
        raise OutputError(f"--out {out}: the folder that you are in cannot be replaced", "give a folder of its own")
    if os.path.ismount(out):
        raise OutputError(f"--out {out}: a mount point cannot be replaced", f"give a folder in it, such as {out / 'result'}")
    with files.disk(out):
        parent = out.resolve().parent
        parent.mkdir(parents=True, exist_ok=True)
        recover_unless_busy(out.resolve())
        if request.out is not None:
            require_ours(out)
        with tempfile.TemporaryDirectory(prefix=files.PARTIAL, dir=parent):
            pass


def record_of(request: Request, model: Model, target: Target, run: str, standing: Standing | None = None) -> Record:
    """What the list in an output folder says of the result."""
    return Record(
        run=run, model=absolute(request.model), digest=model.artifact.digest, target=target.name, standing=standing
    )  # fmt: skip


def choose_out(request: Request, about: Record, default: Path | None = None, adds: bool = False) -> Placed:
    """The folder for a result.

    A folder that `--out` names is taken, whatever model's result it holds; a default one only for the same model and device.
    The same run always goes to the same folder. A worse result goes beside a better one, and what has no standing (the files of
    one recipe) beside a result that has one, unless `--replace` says otherwise.

    Args:
        adds: the result is added to what the folder holds, and replaces nothing.

    Raises:
        OutputError: the folder that `--out` names was not made by Strop.
    """
    base = Path(request.out) if request.out is not None else default or default_out(request.model, request.target)
    number, why = 1, ""
    while True:
        place = base if number == 1 else base.with_name(f"{base.name}-{number}")
        if not os.path.lexists(place) or (place.is_dir() and not any(place.iterdir())):
            return Placed(place, why)
        obstacle = _obstacle(place, about, request.replace or adds, named=request.out is not None and number == 1)
        if not obstacle:
            return Placed(place, why)
        number, why = number + 1, why or obstacle


def _obstacle(place: Path, about: Record, replace: bool, named: bool) -> str:
    """Why a result does not go into a folder that holds something; empty where it does.

    Args:
        named: whether the user named this folder.
    """
    if named:
        require_ours(place)
    record = read_record(place) if place.is_dir() else None
    if record is None:
        return f"{place} was not made by Strop"
    if not named and not _same(record, about):
        return f"{place} holds the result of {record.model or 'another model'}"
    if replace or record.run == about.run or record.standing is None:
        return ""
    if about.standing is None:
        return f"{place} holds the result of run {record.run}; --replace puts it there"
    worse = why_worse(about.standing, record.standing)
    return f"{place} holds a better result, of run {record.run}: {worse}; --replace puts it there" if worse else ""


def _same(record: Record, about: Record) -> bool:
    """Whether both are of one model and device; a folder for several devices has none of its own.

    A model is known by its path, which may hold a newer version by now, or by its digest.
    """
    model = record.model == about.model or bool(record.digest and record.digest == about.digest)
    return model and (record.target == about.target or not (record.target and about.target))


def link_latest(place: Path) -> str:
    """`strop-out/latest`, a link to the newest result. Returns its path; empty where none could be made."""
    link = place.parent / LATEST
    if os.path.lexists(link) and not (link.is_symlink() and os.sep not in str(link.readlink())):
        return ""  # the user's own
    draft = place.parent / f"{files.PARTIAL}{LATEST}-{os.getpid()}"
    try:
        draft.unlink(missing_ok=True)
        draft.symlink_to(place.name)
        draft.replace(link)
    except OSError:  # a file system without links
        return ""
    return str(link)
