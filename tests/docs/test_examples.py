"""The example in every public docstring runs as it stands, in a folder with a real model and its data."""

import doctest
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import strop

DEMO = Path(strop.__file__).parent / "demo"
QUICK = [
    "list_backends", "init", "list_recipes", "build", "Store", "inspect", "this_device", "list_devices", "find_device",
    "device_profile", "show_progress", "doctor",
]  # fmt: skip
INSTALLING = ["install_backend", "remove_backend"]
SEVERAL = ["optimize_for"]
AFTER_OPTIMIZE = ["verify_bundle", "infer_bundle", "report_run", "profile_run", "bench"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as a user would have it, and it is the working directory."""
    shutil.copy(DEMO / "kws.onnx", tmp_path / "model.onnx")
    for name in ("eval.npz", "calibration.npz"):
        shutil.copy(DEMO / name, tmp_path)
    np.savez(tmp_path / "inputs.npz", input=np.load(DEMO / "eval.npz")["input"][:3])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_example(name: str) -> None:
    """Executes every `>>>` line of one docstring; what it prints is not compared, what it raises fails."""
    examples = doctest.DocTestParser().get_examples(getattr(strop, name).__doc__ or "")
    assert examples, f"strop.{name} has no example"
    scope: dict[str, object] = {"strop": strop, "Path": Path}
    for example in examples:
        exec(compile(example.source, f"<example of {name}>", "single"), scope)


@pytest.mark.parametrize("name", QUICK)
def test_example(folder: Path, name: str) -> None:
    run_example(name)


@pytest.mark.slow
def test_examples_of_installing(folder: Path) -> None:
    """In the tests' own empty home: from nothing to an environment, and back."""
    for name in INSTALLING:
        run_example(name)


@pytest.mark.slow
def test_examples_of_a_whole_run(folder: Path) -> None:
    run_example("optimize")
    for name in AFTER_OPTIMIZE:
        run_example(name)


@pytest.mark.slow
def test_examples_of_several_targets(folder: Path) -> None:
    for name in SEVERAL:
        run_example(name)


@pytest.mark.slow
def test_the_page_from_python_runs(folder: Path) -> None:
    """Block after block, as in a notebook."""
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "from-python.md").read_text(encoding="utf-8")
    scope: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(compile(block, "<from-python.md>", "exec"), scope)


def test_every_public_function_is_an_example_here() -> None:
    assert {*QUICK, *AFTER_OPTIMIZE, *INSTALLING, *SEVERAL, "optimize", "StropError", "__version__"} == set(strop.__all__)
