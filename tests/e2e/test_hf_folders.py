"""Hugging Face folders: trained ones to bundles that answer raw items as measured; unsafe ones and false exports are refused."""

import dataclasses
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from conftest import report, run_strop
from strop.core.backend import Backend
from strop.core.errors import ModelError
from strop.core.events import nobody
from strop.plan.discover import backends
from strop.plan.space import by_role
from strop.run.baseline import establish
from strop.run.intake import read_model
from strop.run.open_run import opened
from strop.run.optimize import plan_recipes
from strop.run.request import make_request
from strop.store.store import Store
from strop.worker.call import Limits
from strop.worker.interpreter import work_of

TRAINER = Path(__file__).with_name("hf_folders.py")
SUFFIX = {"vit": "", "resnet": "", "text": ".tsv", "token": ".jsonl"}
"""Of each kind's data; pictures are in folders."""
TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}
"""As between a bundle and the session that was measured."""


@pytest.fixture
def trained(tmp_path: Path, own_environments: Callable[..., None]) -> Callable[[str], Path]:
    """Trains a kind of classifier: the folder with `model`, `eval` and `calibration`."""

    def make(kind: str) -> Path:
        own_environments("export")
        python = work_of(backends()["export"]).python
        subprocess.run([python, TRAINER, tmp_path, kind], capture_output=True, check=True, timeout=300)
        return tmp_path / kind

    return make


def optimized(folder: Path, kind: str, *flags: object) -> dict[str, Any]:
    """The report of a whole run, which must end in a bundle."""
    data = [part for name, flag in (("eval", "--data"), ("calibration", "--calibration")) for part in (flag, name + SUFFIX[kind])]
    done = run_strop(folder, "optimize", "model", *data, "--threads", 1, "-q", *flags)
    assert done.code == 0, done.err
    assert "its answers differ from the original's by at most" in done.out
    return report(folder)


def raw_items(folder: Path, kind: str) -> list[Any]:
    """The evaluation data as a user has them, in the order in which they were measured."""
    if kind == "text":
        return [line.split("\t")[0] for line in (folder / "eval.tsv").read_text().splitlines()[1:]]
    if kind == "token":
        return [" ".join(json.loads(line)["tokens"]) for line in (folder / "eval.jsonl").read_text().splitlines()]
    return [str(path) for path in sorted((folder / "eval").rglob("*.ppm"))]


def measured(folder: Path, document: dict[str, Any]) -> np.ndarray:
    """Logits of the chosen candidate, as its accuracy was taken from them."""
    check = next(folder.glob(f".strop/runs/*/candidates/{document['chosen']['name']}/check"))
    return np.load(check / json.loads((check / "check.json").read_text())["shards"]["logits"])


def require_bundle_answers_as_measured(folder: Path, kind: str, document: dict[str, Any]) -> None:
    """From raw items: the same numbers at the same length, and the same classes at an item's own length."""
    code = ModuleType("infer")
    exec((folder / "strop-out" / "latest" / "bundle" / "infer.py").read_text(), code.__dict__)
    bundle, wanted, raw = (
        code.load(folder / "strop-out" / "latest" / "bundle"),
        measured(folder, document),
        raw_items(folder, kind),
    )
    answers = bundle.predict(raw)
    items, length = bundle.items.items(raw), None if wanted.ndim == 2 else wanted.shape[1]
    if kind == "text":
        length = bundle.items.tool.length(max(len(t["ids"]) for t in bundle.items.tool.tokenize(items)))
    got = bundle.run_in_batches(bundle.items.tool.encode(items, length), 1)["logits"]
    np.testing.assert_allclose(got, wanted, **TOLERANCE)
    names = json.loads((folder / "model" / "config.json").read_text())["id2label"]
    if kind == "token":
        said = [name for answer in answers for _, name in answer]
        rows = [
            wanted[row][at] for row, words in enumerate(bundle.items.tool.tokenize(items)) for at in first_tokens(words["words"])
        ]
    else:
        said, rows = [answer[0][0] for answer in answers], list(wanted)
    same = [name == names[str(int(row.argmax()))] for name, row in zip(said, rows, strict=True)]
    assert np.mean(same) > 0.97


def first_tokens(words: np.ndarray) -> np.ndarray:
    """Where a word begins among the tokens of a text."""
    return np.flatnonzero((words >= 0) & (words != np.roll(words, 1)))


@pytest.mark.slow
@pytest.mark.parametrize("kind", SUFFIX)
def test_a_trained_folder_ends_in_a_bundle_that_answers_as_measured(trained: Callable[[str], Path], kind: str) -> None:
    """By the whole choice of recipes that ONNX Runtime has, in whose environment pictures and texts can be read."""
    folder = trained(kind)
    document = optimized(folder, kind, "--backend", "onnxruntime", "--budget", "60s")
    assert document["baseline"]["measurement"]["accuracy"] > 0.8
    require_bundle_answers_as_measured(folder, kind, document)


@pytest.mark.parametrize("kind", ["vit", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("resnet", "text", "token"))])
def test_a_trained_folder_is_read_exported_and_right_about_its_own_data(trained: Callable[[str], Path], kind: str) -> None:
    """Class names come from the model's configuration, whose order is not that of the folders or of the alphabet."""
    folder = trained(kind)
    request = make_request(
        str(folder / "model"), data=str(folder / ("eval" + SUFFIX[kind])), store=str(folder / "store"), threads=1
    )
    with opened(request, nobody, keep=False) as (run, model):
        task = run.family.read_task(run, model)
        found = establish(run, model, task, by_role(plan_recipes(run, model, task).offers, "reference")[0])
    assert model.origin is not None
    assert max(model.origin.differences.values()) < 1e-5
    assert found.result.accuracy is not None
    assert found.result.accuracy > 0.8


FALSE_EXPORT = """
import importlib.util, os, shutil
spec = importlib.util.spec_from_file_location("real", os.path.join(REAL, "work.py"))
real = importlib.util.module_from_spec(spec)
spec.loader.exec_module(real)
probe, examine = real.probe, real.examine

def export(path, out_dir, task):
    \"\"\"Exports a copy whose classifier is a tenth larger, then compares with the folder that was given.\"\"\"
    from safetensors.torch import load_file, save_file
    changed = shutil.copytree(path, os.path.join(os.getcwd(), "changed"))
    weights = load_file(os.path.join(changed, "model.safetensors"))
    weights["classifier.weight"] *= 1.1
    save_file(weights, os.path.join(changed, "model.safetensors"), {"format": "pt"})
    real.convert(changed, out_dir, task)
    return {"file": real.FILE, "differences": real.compare(path, os.path.join(out_dir, real.FILE), task)}
"""


def test_an_export_that_answers_otherwise_is_refused_with_the_difference(trained: Callable[[str], Path], tmp_path: Path) -> None:
    """A real reader whose export really differs: nothing of it is kept."""
    model = trained("text") / "model"
    honest = backends()["export"]
    (tmp_path / "reader").mkdir()
    work = tmp_path / "reader" / "work.py"
    work.write_text(f"REAL = {str(honest.work.parent)!r}\n{FALSE_EXPORT}")
    false: dict[str, Backend] = {**backends(), "export": dataclasses.replace(honest, work=work)}
    store = Store(tmp_path / "store")
    with pytest.raises(ModelError) as refused:
        read_model(false, model, tmp_path / "log.txt", Limits(120.0), store)
    shown = str(refused.value)
    assert f"{model}: the export answers differently from the original: 'logits' by " in shown
    assert "% of its range, 0.1% is allowed" in shown
    assert float(shown.split("'logits' by ")[1].split("%")[0]) > 1
    assert not list((tmp_path / "store").rglob("model.onnx"))


@pytest.mark.parametrize(
    ("config", "weights", "refusal"),
    [
        ({"auto_map": {"AutoModel": "own.Model"}}, "model.safetensors", "brings code of its own"),
        ({"architectures": ["BertModel"]}, "pytorch_model.bin", "its weights are pickled"),
        ({"architectures": ["BertModel"]}, "readme.txt", "no weights"),
        ({"architectures": ["T5ForConditionalGeneration"]}, "model.safetensors", "has an encoder and a decoder"),
    ],
)
def test_an_unsafe_or_unknown_folder_is_refused(
    tmp_path: Path, own_environments: Callable[..., None], config: dict[str, Any], weights: str, refusal: str
) -> None:
    own_environments("export")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    (tmp_path / "model" / weights).write_bytes(b"")
    done = run_strop(tmp_path, "optimize", "model")
    assert done.code == 3
    assert refusal in done.err
