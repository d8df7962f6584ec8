"""The built-in backends pass the contract that is shipped for outsiders."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import strop
from strop.core.backend import Backend
from strop.plan.discover import backends
from strop.testing import LIMITS, BackendContract
from strop.worker.call import Child
from strop.worker.interpreter import work_of


class TestOnnxRuntime(BackendContract):
    @pytest.fixture
    def backend(self) -> Backend:
        return backends()["onnxruntime"]

    @pytest.fixture
    def model_path(self) -> Path:
        return Path(strop.__file__).parent / "demo" / "kws.onnx"


class TestNull(BackendContract):
    @pytest.fixture
    def backend(self) -> Backend:
        return backends()["null"]

    @pytest.fixture
    def model_path(self, tmp_path: Path) -> Path:
        path = tmp_path / "model.null"
        path.write_text(
            json.dumps(
                {
                    "inputs": [{"name": "x", "dtype": "float32", "shape": ["batch", 16]}],
                    "outputs": [{"name": "y", "dtype": "float32", "shape": ["batch", 4]}],
                    "seed": 0,
                    "milliseconds": 0.2,
                    "offers": ["fast", "nan", "build-crash", "build-exception", "build-empty"],
                }
            )
        )
        return path


class TestOpenVino(BackendContract):
    @pytest.fixture(autouse=True)
    def environment(self, own_environments: Callable[..., None]) -> None:
        own_environments("openvino")

    @pytest.fixture
    def backend(self) -> Backend:
        return backends()["openvino"]

    @pytest.fixture
    def model_path(self, backend: Backend, tmp_path: Path) -> Path:
        """The demo's model as an IR."""
        step = {"name": "convert", "params": {"compress": False}}
        onnx = str(Path(strop.__file__).parent / "demo" / "kws.onnx")
        (tmp_path / "ir").mkdir()
        with Child(work_of(backend), tmp_path / "convert.log", LIMITS) as child:
            name = child.call("build", step=step, artifact=onnx, out_dir=str(tmp_path / "ir"))
        return tmp_path / "ir" / name
