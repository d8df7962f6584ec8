"""Olive's build steps; child side. Each returns the file to go on with, and Olive's own claims about it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

MODEL = "model.onnx"
CALIBRATION = "strop_calibration"
LATENCY = "strop_latency"
Built = dict[str, Any]


def auto_opt(artifact: str, out_dir: str, data: dict[str, Any] | None, precision: str) -> Built:
    """`olive auto-opt`, as a user would call it."""
    work = Path.cwd() / "auto-opt"
    command = [
        sys.executable, "-m", "olive", "auto-opt", "-m", artifact, "--device", "cpu", "--provider", "CPUExecutionProvider",
        "--precision", precision, "-o", str(work), "--log_level", "1",
    ]  # fmt: skip
    done = subprocess.run(command, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise RuntimeError(f"olive auto-opt ended with exit code {done.returncode}")
    found = sorted(work.rglob("*.onnx"))
    if not found:
        raise RuntimeError("olive auto-opt ended with exit code 0 and wrote no model")
    return _taken(found[0], out_dir, {})


def run_pass(
    artifact: str, out_dir: str, data: dict[str, Any] | None, type: str, options: dict[str, Any], samples: int = 0
) -> Built:  # fmt: skip
    """One of Olive's passes on the model, with Olive's own latency measurement beside it."""
    config: dict[str, Any] = {"passes": {"only": {"type": type, **options}}}
    if data is not None and samples:
        config["passes"]["only"]["data_config"] = CALIBRATION
    return _run(config, artifact, out_dir, data, samples)


def run_config(artifact: str, out_dir: str, data: dict[str, Any] | None, config: str, samples: int) -> Built:
    """The user's own Olive configuration, on the given model; Strop's calibration data are there as `strop_calibration`."""
    return _run(json.loads(config), artifact, out_dir, data, samples)


def _run(config: dict[str, Any], artifact: str, out_dir: str, data: dict[str, Any] | None, samples: int) -> Built:
    from olive.workflows import run

    work = Path.cwd() / "olive"
    cpu = {"type": "LocalSystem", "accelerators": [{"device": "cpu", "execution_providers": ["CPUExecutionProvider"]}]}
    whole = {"systems": {"strop_cpu": cpu}, "host": "strop_cpu", "target": "strop_cpu", "log_severity_level": 2, **config}
    whole["systems"] = {"strop_cpu": cpu, **config.get("systems", {})}
    if data is not None:
        _register(data, samples)
        known = [c for c in config.get("data_configs", []) if c.get("name") != CALIBRATION]
        whole["data_configs"] = [*known, {
            "name": CALIBRATION, "type": "DataContainer", "load_dataset_config": {"type": CALIBRATION},
            "dataloader_config": {"type": "default_dataloader", "batch_size": 1},
        }]  # fmt: skip
        if "evaluator" not in config:
            metric = {
                "name": LATENCY,
                "type": "latency",
                "data_config": CALIBRATION,
                "sub_types": [{"name": "avg", "priority": 1}],
            }
            whole["evaluators"] = {**config.get("evaluators", {}), "strop": {"type": "OnnxEvaluator", "metrics": [metric]}}
            whole["evaluator"] = "strop"
    whole |= {
        "input_model": {"type": "OnnxModel", "model_path": artifact},
        "output_dir": str(work / "out"), "cache_dir": str(work / "cache"),
    }  # fmt: skip
    out = run(whole)
    if not out.has_output_model():
        raise RuntimeError("Olive returned without an error and without a model: no pass produced one")
    best = out.get_best_candidate() or out.get_output_models()[0]
    claims = {f"olive {name}": value for name, value in _flat(best.metrics_value).items()}
    return _taken(Path(best.model_path), out_dir, claims)


def _flat(metrics: Any) -> dict[str, float]:
    return {str(name): float(said["value"]) for name, said in (metrics or {}).items()}


def _register(data: dict[str, Any], samples: int) -> None:
    """Calibration examples under a name that a configuration can refer to: items without a batch axis."""
    import torch
    from olive.data.registry import Registry

    shards = {n: np.load(p, mmap_mode="r", allow_pickle=False) for n, p in data["inputs"].items()}
    count = min(samples or data["count"], data["count"])

    def calibration(**_: Any) -> list[Any]:
        return [({n: torch.from_numpy(np.array(s[row])) for n, s in shards.items()}, 0) for row in range(count)]

    Registry.register_dataset(CALIBRATION)(calibration)


def _taken(model: Path, out_dir: str, claims: dict[str, float]) -> Built:
    """The model, and the weights beside it, moved into the step's folder."""
    folder = model if model.is_dir() else model.parent
    model = next(iter(sorted(folder.glob("*.onnx")))) if model.is_dir() else model
    for beside in folder.iterdir():
        if beside.is_file() and beside.suffix not in (".onnx", ".json", ".txt"):
            shutil.copyfile(beside, os.path.join(out_dir, beside.name))
    shutil.copyfile(model, os.path.join(out_dir, MODEL))
    return {"file": MODEL, "claims": claims}
