"""Builds every candidate by its own command in its own environment, and races them against Strop's pick, as peers are."""

import json
import sys
from pathlib import Path

from benchmarks.options import Given, Options
from benchmarks.peers.interpreters import python
from benchmarks.peers.run import contest

ORT, OV = "benchmarks.by_hand.in_onnxruntime", "benchmarks.by_hand.in_openvino"


def run(options: Options) -> int:
    return contest("by_hand", options, commands)


def commands(given: Given, folder: Path, names: dict[str, str]) -> dict[str, list[str]]:
    """Each candidate's command, by its name; all but the first are made of the first."""
    model, calibration = str(given.model.absolute()), str(given.calibration.absolute())
    clean, static = (str(folder / f"ort-{kind}.onnx") for kind in ("clean", "static"))
    data = [calibration, *given.mapping]
    return {
        "ort-clean": [sys.executable, "-m", ORT, "clean", model, clean],
        "ort-static": [sys.executable, "-m", ORT, "static", clean, static, *data],
        "ort-qdq": [sys.executable, "-m", ORT, "qdq", static, str(folder / "ort-qdq.onnx"), *data],
        **{
            f"ov-{kind}": [python("openvino"), "-m", OV, kind, clean, str(folder / f"ov-{kind}.xml"), calibration,
                           json.dumps(names)]
            for kind in ("f32", "bf16", "int8", "int8-bf16")
        },
    }  # fmt: skip
