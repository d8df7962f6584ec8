"""Does a bundle answer in a clean environment, from raw input, as it was measured?

    python -m benchmarks.clean_bundle strop-out/latest eval.npz
    python -m benchmarks.clean_bundle strop-out/latest pictures/              # in the order of its labels.csv
    python -m benchmarks.clean_bundle strop-out/latest pairs.tsv --column sentence1 --column sentence2

The environment is a new one with the bundle's requirements.txt alone. The answers are held against those that the run took the
accuracy from; INPUT must be the run's evaluation data, in its order. Prints the largest difference as a share of the output's
range. Exits 1 where one is beyond the tolerance of `strop.core.difference`, 2 where the bundle does not run.

A run fills its texts up to one length, the longest one's; a bundle fills a text that it is given up to that text's own. So texts
go through the bundle twice: filled up as in the run, which is judged, and at their own length, which is shown.
"""

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import NamedTuple

import numpy as np

from strop.bundle.pack import MANIFEST
from strop.bundle.verify import verify_bundle
from strop.core.difference import ABSOLUTE, RELATIVE, close, largest_difference
from strop.core.errors import StropError
from strop.core.manifest import Manifest
from strop.core.metrics import Array
from strop.core.outcome import Outcome
from strop.run.checking import open_array, shards
from strop.run.datasets import paths
from strop.run.open_run import OUTCOME
from strop.store.output import read_record
from strop.store.store import load

DRIVER = Path(__file__).with_name("clean_driver.py")


class BundleFailed(Exception):
    """The environment could not be made, the bundle did not run in it, or its answers do not fit those that were measured."""


class Found(NamedTuple):
    """One output. shape: [examples, …] of what was compared. difference: as a share of the measured output's range.

    judged: False where the inputs had another length than in the run.
    """

    output: str
    shape: tuple[int, ...]
    difference: float
    equal: bool
    judged: bool


def clean_python(folder: Path, requirements: Path) -> Path:
    """The interpreter of a new environment in `folder` that has these requirements alone."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(requirements)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BundleFailed(f"{requirements} cannot be installed:\n{done.stderr}")
    return python


def arguments_of(manifest: Manifest, given: Path, columns: list[str], scratch: Path) -> list[str]:
    """What infer.py is given: two .npz, the pictures that labels.csv names, or the texts of the columns, row by row."""
    if manifest.preprocess is None:
        return [str(given.absolute()), str(scratch / "answers.npz")]
    if manifest.preprocess.kind == "image":
        return [str((given / name).absolute()) for name in table(given / "labels.csv", ["file"])]
    texts = table(given, columns or ["text"])
    return [*(f"--text={text}" for text in texts), f"--output={scratch / 'embeddings.npz'}"]


def table(path: Path, columns: list[str]) -> list[str]:
    """The cells of these columns, row by row, of a table with a header; nothing is quoted in a table with tabs.

    Raises:
        BundleFailed: no such column.
    """
    tabs = path.suffix == ".tsv"
    with path.open(encoding="utf-8", newline="") as f:
        rows = csv.DictReader(f, delimiter="\t" if tabs else ",", quoting=csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL)
        missing = sorted(set(columns) - set(rows.fieldnames or ()))
        if missing:
            raise BundleFailed(f"{path}: no column {missing[0]!r}; has {', '.join(rows.fieldnames or ())}")
        return [row[name] for row in rows for name in columns]


def answers(python: Path, bundle: Path, arguments: list[str], scratch: Path) -> dict[str, list[Array]]:
    """Output → the answer to each example, by the bundle's own code in the clean environment."""
    asked, output = scratch / "arguments.json", scratch / "outputs.npz"
    asked.write_text(json.dumps(arguments), encoding="utf-8")
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    done = subprocess.run(
        [python, "-I", DRIVER, bundle.absolute(), asked, output],
        capture_output=True,
        text=True,
        check=False,
        env=keep,
        cwd=scratch,
    )
    if done.returncode:
        raise BundleFailed(f"infer.py ended with {done.returncode}:\n{done.stderr[-2000:]}")
    rows: dict[str, list[Array]] = {}
    with np.load(output, allow_pickle=False) as found:
        for key in found.files:
            rows.setdefault(key.rpartition("/")[0], []).append(found[key])
    return rows


def compared(name: str, rows: list[Array], measured: Array, judged: bool) -> Found:
    """One output against the measured one; where it is not judged, the tokens that both have."""
    if len(rows) < len(measured) or (judged and rows[0].shape != measured.shape[1:]):
        shape = [len(rows), *rows[0].shape]
        raise BundleFailed(f"{name!r} has shape {shape}, {list(measured.shape)} was measured: is INPUT the evaluation data?")
    mine, theirs = np.array(measured), np.array(measured)
    for row, into in zip(rows, mine, strict=False):
        both = tuple(slice(0, min(a, b)) for a, b in zip(row.shape, into.shape, strict=True))
        into[both] = row[both]
    return Found(name, theirs.shape, largest_difference(mine, theirs), close(mine, theirs), judged)


def check_of(out: Path, store: Path, manifest: Manifest) -> Path:
    """The folder that holds what the run took the chosen candidate's accuracy from."""
    folder = run_of(out, store) / "candidates" / manifest.recipe.name / "check"
    if not folder.is_dir():
        raise BundleFailed(f"{folder}: no such folder: is --store the store of the run that wrote {out}?")
    return folder


def run_of(out: Path, store: Path) -> Path:
    """The folder of the run that wrote `out`."""
    record = read_record(out)
    if record is None:
        raise BundleFailed(f"{out} was not made by Strop")
    return store / "runs" / record.run


def filled_up(bundle: Path, length: int) -> None:
    """Make a copy of a bundle fill all texts up to one length, as the run did."""
    path = bundle / MANIFEST
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["preprocess"]["length"] = length
    path.write_text(json.dumps(manifest), encoding="utf-8")


def run_length(out: Path, store: Path) -> int:
    """Tokens that each text of the run's evaluation data was filled up to."""
    outcome = load(run_of(out, store) / OUTCOME, Outcome)
    assert outcome is not None
    return int(open_array(next(iter(paths(outcome.task.evaluation)["inputs"].values()))).shape[1])


def check(out: Path, given: Path, store: Path, columns: list[str]) -> list[Found]:
    """Each output of the bundle in `out`, made in a clean environment, against the measured one.

    Raises:
        BundleFailed: see there. BundleError: the bundle was changed.
    """
    manifest = verify_bundle(str(out / "bundle"))
    measured = {name: open_array(path) for name, path in shards(check_of(out, store, manifest)).items()}
    texts = manifest.preprocess is not None and manifest.preprocess.kind == "text"
    with tempfile.TemporaryDirectory(prefix="strop-clean-") as folder:
        scratch = Path(folder)
        bundle = scratch / "bundle"
        shutil.copytree(out / "bundle", bundle)
        python = clean_python(scratch / "venv", bundle / "requirements.txt")
        arguments = arguments_of(manifest, given, columns, scratch)
        found = held_against(measured, answers(python, bundle, arguments, scratch), judged=not texts)
        verify_bundle(str(bundle))
        if texts:
            filled_up(bundle, run_length(out, store))
            found += held_against(measured, answers(python, bundle, arguments, scratch), judged=True)
    return found


def held_against(measured: dict[str, Array], rows: dict[str, list[Array]], judged: bool) -> list[Found]:
    missing = sorted(measured.keys() - rows.keys())
    if missing:
        raise BundleFailed(f"output {missing[0]!r} is missing")
    return [compared(name, rows[name], shard, judged) for name, shard in measured.items()]


def main(arguments: list[str]) -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.clean_bundle", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="what `strop optimize` wrote")
    parser.add_argument("input", type=Path, help="the run's evaluation data: .npz, folder of pictures, or table of texts")
    parser.add_argument("--store", type=Path, default=Path(".strop"), help="the run's store [.strop]")
    parser.add_argument("--column", action="append", default=[], help="column of texts; repeat it for pairs [text]")
    given = parser.parse_args(arguments)
    try:
        found = check(given.out, given.input, given.store, given.column)
    except (StropError, BundleFailed, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    for f in found:
        verdict = f"{'equal' if f.equal else 'NOT equal'} within {RELATIVE:g}, {ABSOLUTE:g}"
        where = "" if f.judged else " (each text at its own length, not judged)"
        print(f"{f.output} {list(f.shape)}: largest difference {f.difference:.2g} of the range; {verdict}{where}")
    return 0 if all(f.equal for f in found if f.judged) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
