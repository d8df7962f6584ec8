"""Running a bundle by its own `infer.py` and `preprocess.py`, in child processes."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from strop.bundle.verify import verify_bundle
from strop.core.errors import BundleError, DataError, OutputError, UsageError, WorkerError, WorkerFailure
from strop.core.manifest import Manifest
from strop.core.spelling import PathText, spelled
from strop.plan.discover import backends
from strop.store import files
from strop.worker.call import BUNDLE_WORK, Child, Limits, Work
from strop.worker.interpreter import asked, find, work_of

SECONDS = 3600.0


@spelled
def infer_bundle(folder: PathText, inputs: PathText, output: PathText) -> None:
    """Run a verified bundle on the arrays of an `.npz`, write its outputs to another.

    Args:
        inputs: `.npz` with an array per model input, shape [examples, …].
        output: `.npz` to write; written whole or not at all.

    Raises:
        BundleError: the bundle is changed or does not run.
        DataError: the arrays do not fit.
        OutputError: the output's folder is not there, or the output is a folder or the input itself.
        UsageError: it holds a language model.

    Example:
        >>> strop.infer_bundle("strop-out/latest/bundle", "inputs.npz", "outputs.npz")
    """
    folder, inputs, output = os.fspath(folder), os.fspath(inputs), os.fspath(output)
    manifest = _not_of_language(folder, verify_bundle(folder))
    if not Path(inputs).is_file():
        raise DataError(f"{inputs}: no such file", f"an .npz with {', '.join(i.name for i in manifest.inputs)}")
    target = Path(output).absolute()
    if target.is_dir() or not target.parent.is_dir():
        what = "is a folder" if target.is_dir() else "lies in a folder that is not there"
        raise OutputError(f"{output} {what}", "give a file to write")
    if target == Path(inputs).absolute():
        raise OutputError(f"{output} is the input itself", "give another file to write")
    with tempfile.TemporaryDirectory(prefix="strop-") as scratch, files.disk(target):
        made = Path(scratch) / "outputs.npz"
        _run_arrays(folder, manifest, inputs, str(made), Path(scratch) / "log.txt")
        draft = target.with_name(f"{files.PARTIAL}{target.name}")
        shutil.copyfile(made, draft)
        draft.replace(target)


def predict_bundle(folder: str, items: list[Any], most: int = 5, output: str | None = None) -> list[Any]:
    """What a verified bundle says of pictures or texts, by the preprocessing that was evaluated.

    Args:
        items: paths of pictures, texts, or pairs of texts as tuples.
        most: how many classes to give.
        output: `.npz` to write embeddings to, where the bundle gives those.

    Returns:
        Per item: [class, probability] pairs, best first; [word, class] pairs; an [output, number] pair where a model gives one
        number that stands for no class; or an embedding.

    Raises:
        BundleError: the bundle is changed or does not run.
        DataError: an item cannot be used, or the bundle takes arrays only.
        UsageError: it holds a language model.
    """
    manifest = _not_of_language(folder, verify_bundle(folder))
    kind = manifest.preprocess.kind if manifest.preprocess is not None else ""
    if kind in ("image", "user"):  # the child has a working directory of its own; what a user's code takes may be anything
        items = [str(Path(i).absolute()) if kind == "image" or (isinstance(i, str) and Path(i).exists()) else i for i in items]
    about = {"folder": str(Path(folder).absolute()), "items": items}
    with tempfile.TemporaryDirectory(prefix="strop-") as scratch:
        place = Path(scratch)
        inputs, outputs = str(place / "inputs.npz"), str(place / "outputs.npz")
        _ask(BUNDLE_WORK, folder, place / "log.txt", "give items it can read", "encode", **about, output=inputs)
        _run_arrays(folder, manifest, inputs, outputs, place / "log.txt")
        target = str(Path(output).absolute()) if output is not None else None
        found: list[Any] = _ask(
            BUNDLE_WORK, folder, place / "log.txt", "", "answer", **about, inputs=inputs, outputs=outputs, most=most,
            embeddings=target,
        )  # fmt: skip
    return found


def _not_of_language(folder: str, manifest: Manifest) -> Manifest:
    if manifest.language is not None:
        raise UsageError(f"{folder} holds a language model", f"strop bundle infer {folder} --prompt TEXT")
    return manifest


def write_text(folder: str, prompt: str, tokens: int, chat: bool) -> None:
    """A verified bundle's language model goes on with a prompt, on stdout as it comes, by its own `infer.py`.

    Raises:
        BundleError: the bundle is changed, or it refuses the prompt or does not run: what it said.
        UsageError: it holds no language model.
    """
    manifest = verify_bundle(folder)
    if manifest.language is None:
        raise UsageError(f"{folder} holds no language model", "strop bundle infer FOLDER with an .npz, a picture or --text")
    command = [_able(folder, manifest), "-B", str(Path(folder) / "infer.py"), f"--prompt={prompt}", "--tokens", str(tokens)]
    done = subprocess.run([*command, *(["--chat"] if chat else [])], stderr=subprocess.PIPE, check=False)
    said = done.stderr.decode("utf-8", "replace").strip()
    if done.returncode:
        raise BundleError(f"{folder}: {said.splitlines()[-1] if said else 'its infer.py ended without a word'}", said)
    if said:
        print(said, file=sys.stderr)


NEEDS = "import sys, importlib.metadata as m\nfor name in sys.argv[1:]: m.version(name)"


def _able(folder: str, manifest: Manifest) -> str:
    """A Python here that has what the bundle's requirements name: its runtime's, Strop's own, or another backend's.

    Raises:
        BundleError: there is none.
    """
    told = (Path(folder) / "requirements.txt").read_text(encoding="utf-8").splitlines()
    names = [re.split(r"[\[=<>~! ;]", line)[0] for line in told if line.strip() and not line.startswith("#")]
    known = backends()
    apart = [backend for backend in known.values() if backend.requirements is not None]
    found = [interpreter for backend in apart if (interpreter := find(backend)) is not None and interpreter.there]
    found.sort(key=lambda interpreter: interpreter.backend != manifest.recipe.runtime)
    pythons = [interpreter.python for interpreter in found]
    for python in dict.fromkeys([*pythons[:1], sys.executable, *pythons]):
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            asked(python, NEEDS, *names)
            return python
    raise BundleError(
        f"{folder}: no environment here has all that it needs: {', '.join(names)}",
        f"pip install -r {folder}/requirements.txt, then python {folder}/infer.py --prompt TEXT",
    )


def _run_arrays(folder: str, manifest: Manifest, inputs: str, output: str, log: Path) -> None:
    """Arrays to arrays, under the interpreter of the bundle's runtime."""
    runtime = backends().get(manifest.recipe.runtime)
    work = BUNDLE_WORK._replace(python=work_of(runtime).python) if runtime is not None else BUNDLE_WORK
    hint = f"inputs: {json.dumps({i.name: list(i.shape) for i in manifest.inputs})}"
    _ask(
        work, folder, log, hint, "infer", folder=str(Path(folder).absolute()), inputs=str(Path(inputs).absolute()),
        output=str(Path(output).absolute()),
    )  # fmt: skip


def _ask(work: Work, subject: str, log: Path, hint: str, function: str, **arguments: Any) -> Any:
    """One call of the bundle's child side; its refusals become the user's."""
    try:
        with Child(work, log, Limits(SECONDS)) as child:
            return child.ask("call", function=function, arguments=arguments)["result"]
    except WorkerFailure as error:
        kind = DataError if error.kind in ("DataError", "ValueError", "OtherShape", "InvalidArgument") else BundleError
        raise kind(f"{subject}: {error.message}", error.hint or hint) from error
    except WorkerError as error:
        raise BundleError(f"{subject}: {error.message}", error.log_tail) from error
