"""Labeled photographs as arrays for a Caffe ImageNet classifier: `python -m benchmarks.peers.pictures FOLDER OUT`.

FOLDER has model.onnx, and eval and calibration with labels.csv (`file,imagenet_classes`); OUT gets model.onnx and an .npz of
each: `data` float32 [n, 3, 227, 227], BGR minus the mean, and `labels` [n, alternatives], filled up with -1.
"""

import argparse
import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SHORT, CROP, MEAN = 256, 227, (104, 117, 123)
SETS = ("eval", "calibration")


def arrays(folder: Path) -> dict[str, Any]:
    """The pictures of a folder, and every class that counts as right."""
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    classes = [[int(c) for c in row["imagenet_classes"].split(";")] for row in rows]
    most = max(map(len, classes))
    labels = np.array([[*c, *[-1] * (most - len(c))] for c in classes], np.int64)
    return {"data": np.stack([prepared(folder / row["file"]) for row in rows]), "labels": labels}


def prepared(path: Path) -> NDArray[Any]:
    """The shorter side becomes 256, the center is cut out, the channels are turned around."""
    picture = Image.open(path).convert("RGB")
    scale = SHORT / min(picture.size)
    size = (round(picture.width * scale), round(picture.height * scale))
    left, top = (size[0] - CROP) // 2, (size[1] - CROP) // 2
    cut = picture.resize(size, Image.Resampling.BILINEAR).crop((left, top, left + CROP, top + CROP))
    pixels = np.asarray(cut, np.float32)[..., ::-1] - np.array(MEAN, np.float32)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.pictures", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for name in SETS:
        np.savez(given.out / f"{name}.npz", **arrays(given.folder / name))
    shutil.copyfile(given.folder / "model.onnx", given.out / "model.onnx")


if __name__ == "__main__":
    main()
