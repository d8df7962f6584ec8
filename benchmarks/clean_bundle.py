"""Does a bundle answer in a clean environment, from raw input, as it was measured?

    python -m benchmarks.clean_bundle strop-out eval.npz
    python -m benchmarks.clean_bundle strop-out pictures/              # in the order of its labels.csv
    python -m benchmarks.clean_bundle strop-out pairs.tsv --column sentence1 --column sentence2

The environment is a new one with the bundle's requirements.txt alone. The answers are held against those that the run took the
accuracy from; INPUT must be the run's evaluation data, in its order. Prints the largest difference as a share of the output's
range. Exits 1 where one is beyond the tolerance of `strop.core.difference`, 2 where the bundle does not run.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import NamedTuple

import numpy as np

from strop.bundle.verify import verify_bundle
from strop.core.difference import ABSOLUTE, RELATIVE, close, largest_difference
from strop.core.errors import StropError
from strop.core.manifest import Manifest
from strop.core.metrics import Array
from strop.run.checking import open_array, shards
from strop.run.deliver import MARK

DRIVER = Path(__file__).with_name("clean_driver.py")


class BundleFailed(Exception):
    """The environment could not be made, the bundle did not run in it, or its answers do not fit those that were measured."""


class Found(NamedTuple):
    """One output. shape: [examples, …] of what was compared. difference: as a share of the measured output's range."""

    output: str
    shape: tuple[int, ...]
    difference: float
    equal: bool


def clean_python(folder: Path, requirements: Path) -> Path:
    """The interpreter of a new environment in `folder` that has these requirements alone."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BundleFailed(f"{requirements} cannot be installed:\n{done.stderr}")
    return python


def arguments_of(manifest: Manifest, given: Path, columns: list[str], scratch: Path) -> list[str]:
    """What infer.py is given: two .npz, the pictures that labels.csv names, or the texts of the columns, row by row."""
    if manifest.preprocess is None:
        return [str(given.absolute()), str(scratch / "answers.npz")]
    if manifest.preprocess.kind == "image":
        return [str((given / row["file"]).absolute()) for row in table(given / "labels.csv", ",")]
    rows = table(given, "\t" if given.suffix == ".tsv" else ",")
    texts = [row[name] for row in rows for name in columns or ["text"]]
    return [*(f"--text={text}" for text in texts), f"--output={scratch / 'embeddings.npz'}"]


def table(path: Path, delimiter: str) -> list[dict[str, str]]:
    """The rows of a table with a header; nothing is quoted in a table with tabs."""
    with path.open(encoding="utf-8", newline="") as f:
        return list(csv.DictReader(f, delimiter=delimiter, quoting=csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL))


def answers(python: Path, bundle: Path, arguments: list[str], scratch: Path) -> dict[str, list[Array]]:
    """Output → the answer to each example, by the bundle's own code in the clean environment."""
    asked, output = scratch / "arguments.json", scratch / "outputs.npz"
    asked.write_text(json.dumps(arguments), encoding="utf-8")
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    done = subprocess.run(
        [python, "-I", DRIVER, bundle.absolute(), asked, output], capture_output=True, text=True, check=False, env=keep, cwd=scratch
    )
    if done.returncode:
        raise BundleFailed(f"infer.py ended with {done.returncode}:\n{done.stderr[-2000:]}")
    rows: dict[str, list[Array]] = {}
    with np.load(output, allow_pickle=False) as found:
        for key in found.files:
            rows.setdefault(key.rpartition("/")[0], []).append(found[key])
    return rows


def compared(name: str, rows: list[Array], measured: Array, texts: bool) -> Found:
    """One output against the measured one.

    A text alone is filled up to fewer tokens than it had among the evaluation data; the tokens that both have are compared.
    """
    if len(rows) < len(measured) or (not texts and rows[0].shape != measured.shape[1:]):
        shape = [len(rows), *rows[0].shape]
        raise BundleFailed(f"{name!r} has shape {shape}, {list(measured.shape)} was measured: is INPUT the evaluation data?")
    mine, theirs = np.array(measured), np.array(measured)
    for row, into in zip(rows, mine, strict=False):
        both = tuple(slice(0, min(a, b)) for a, b in zip(row.shape, into.shape, strict=True))
        into[both] = row[both]
    return Found(name, theirs.shape, largest_difference(mine, theirs), close(mine, theirs))


def measured_outputs(out: Path, store: Path, manifest: Manifest) -> dict[str, Array]:
    """Output → the shard that the run took the chosen candidate's accuracy from."""
    run = (out / MARK).read_text(encoding="utf-8").strip()
    return {name: open_array(path) for name, path in shards(store / "runs" / run / "candidates" / manifest.recipe.name / "check").items()}


def check(out: Path, given: Path, store: Path, columns: list[str]) -> list[Found]:
    """Each output of the bundle in `out`, made in a clean environment, against the measured one.

    Raises:
        BundleFailed: see there. BundleError: the bundle was changed.
    """
    bundle = out / "bundle"
    manifest = verify_bundle(str(bundle))
    measured = measured_outputs(out, store, manifest)
    texts = manifest.preprocess is not None and manifest.preprocess.kind == "text"
    with tempfile.TemporaryDirectory(prefix="strop-clean-") as folder:
        scratch = Path(folder)
        python = clean_python(scratch / "venv", bundle / "requirements.txt")
        rows = answers(python, bundle, arguments_of(manifest, given, columns, scratch), scratch)
    verify_bundle(str(bundle))
    missing = sorted(measured.keys() - rows.keys())
    if missing:
        raise BundleFailed(f"output {missing[0]!r} is missing")
    return [compared(name, rows[name], shard, texts) for name, shard in measured.items()]


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
    for output, shape, difference, equal in found:
        verdict = "equal" if equal else "NOT equal"
        print(f"{output} {list(shape)}: largest difference {difference:.2g} of the range; {verdict} within {RELATIVE:g}, {ABSOLUTE:g}")
    return 0 if all(f.equal for f in found) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
