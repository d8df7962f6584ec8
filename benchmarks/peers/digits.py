"""A small recognizer of handwritten digits, trained here: `python -m benchmarks.peers.digits OUT`.

The images are scikit-learn's own (`load_digits`, from UCI, CC BY 4.0), enlarged to 16 × 16. OUT gets model.onnx as a careless
export leaves it, its batch norm not folded, and eval.npz and calibration.npz: `x` float32 [n, 1, 16, 16], `labels` [n].
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks import results
from benchmarks.peers.interpreters import python

TRAINED, CALIBRATION = 1097, 200
"""Images to train with; of these the first so many calibrate. The remaining 700 are evaluated."""
LOAD = """
import sys, numpy
from sklearn.datasets import load_digits
images, labels = load_digits(return_X_y=True)
numpy.savez(sys.argv[1], x=images, y=labels)
"""


def make(out: Path) -> None:
    """All of OUT; scikit-learn and PyTorch are those of the environments of `openvino` and `export`.

    Raises:
        SystemExit: either of them ended with an error.
    """
    out.mkdir(parents=True, exist_ok=True)
    raw = out / "digits.npz"
    step(python("openvino"), "-c", LOAD, str(raw))
    with np.load(raw) as found:
        order = np.random.default_rng(0).permutation(len(found["y"]))
        small, labels = found["x"][order].reshape(-1, 1, 8, 8) / 16, found["y"][order].astype(np.int64)
    images = np.kron(small, np.ones((2, 2))).astype(np.float32)
    parts = {"training": slice(TRAINED), "calibration": slice(CALIBRATION), "eval": slice(TRAINED, None)}
    for name, part in parts.items():
        np.savez_compressed(out / f"{name}.npz", x=images[part], labels=labels[part])
    step(python("export"), "-m", "benchmarks.peers.digits_train", str(out / "training.npz"), str(out / "model.onnx"))
    for path in (raw, out / "training.npz"):
        path.unlink()
    print(f"{out.name}: {len(labels) - TRAINED} to evaluate, {CALIBRATION} to calibrate, in {out}")


def step(*command: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(results.ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=results.ROOT, env=environment)
    if done.returncode:
        sys.exit(f"{' '.join(command[:3])}: {done.stderr.strip()[-300:]}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.digits", description=__doc__)
    parser.add_argument("out", type=Path)
    make(parser.parse_args().out.absolute())


if __name__ == "__main__":
    main()
