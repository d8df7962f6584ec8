"""The exporter's parent side: it reads a Hugging Face folder and makes the ONNX model that everything else starts from."""

from collections.abc import Sequence
from pathlib import Path

from strop.core.backend import Backend
from strop.core.model import Model
from strop.core.recipe import Offer
from strop.core.target import Target
from strop.core.task import Task

HERE = Path(__file__).parent


def offer(_model: Model, _target: Target, _task: Task) -> Sequence[Offer]:
    """None: its work is done before recipes are thought of."""
    return []


BACKEND = Backend(
    name="export",
    work=HERE / "work.py",
    runner=None,
    runs=(),
    offer=offer,
    reads=(("/config.json", "hf"),),
    exports="onnx",
    packages=("optimum", "optimum-onnx", "transformers", "torch", "onnx", "onnxruntime", "numpy"),
    requirements=HERE / "requirements.txt",
)
