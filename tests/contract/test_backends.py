"""Both built-in backends pass the contract that is shipped for outsiders."""

import json
from pathlib import Path

import pytest

import strop
from strop.core.backend import Backend
from strop.plan.discover import backends
from strop.testing import BackendContract


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
