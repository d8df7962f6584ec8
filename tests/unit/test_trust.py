"""A configuration that Strop found by itself never runs code: by no key, no command and no spelling of a path."""

import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import strop
from strop.bundle.infer import NEEDS
from strop.core.errors import ConfigError, UntrustedError
from strop.core.events import nobody
from strop.core.task import TENSOR
from strop.run.budget import Budget
from strop.run.building import write_reproduce
from strop.run.context import Run
from strop.run.evidence import command
from strop.run.family import family_named
from strop.run.forms import CODED
from strop.run.options import OPTIONS
from strop.run.place import Place
from strop.run.request import make_request
from strop.store.store import RunFolder, Store, write_json
from strop.worker.interpreter import asked

from .makers import model, recipe, target

KEYS = {
    "data.loader": '[data]\nloader = "canary:load"\n',
    "data.preprocess": '[data]\npreprocess = "canary:load"\n',
    "task.scorer": '[task]\nscorer = "canary:load"\n',
    "backends.olive_config": '[backends]\nolive_config = "olive.json"\n',
}
DEMO = Path(strop.__file__).parent / "demo" / "kws.onnx"
CANARY = "open({!r}, 'w').write('imported')\ndef load(*_):\n    return []\n"
COMMANDS: dict[str, Callable[..., object]] = {
    "optimize": strop.optimize,
    "optimize --target --target": lambda model, **flags: strop.optimize_for(model, ["raspberry-pi-5"], **flags),
    "optimize --dry-run": strop.list_recipes,
    "build": lambda model, **flags: strop.build(model, "fast", **flags),
    "bench": lambda model, store, **_: strop.bench([model, model], store=store),
}
SPELLINGS: dict[str, tuple[str, str]] = {
    "beside the model": (".", "model/m.null"),
    "beside the model, absolute": (".", "{root}/model/m.null"),
    "beside the model, by ..": ("other", "../model/m.null"),
    "beside the model, by ./ and //": (".", ".//model/./m.null"),
    "beside the model, by a linked folder": (".", "link/m.null"),
    "in the folder": (".", "model"),
    "in the folder, with a slash": (".", "model/"),
    "in the folder, by ..": ("model", "../model"),
    "in the folder, by .. from elsewhere": ("other", "../other/../model"),
    "in the folder, by a link": (".", "link"),
    "in the folder, absolute": ("other", "{root}/model"),
    "the folder is the working directory": ("model", "."),
    "in the working directory": ("model", "../other/m.null"),
    "in the working directory, absolute": ("model", "{root}/other/m.null"),
}  # fmt: skip
"""What is meant → working directory, and the model as it is given."""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("model", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "m.null").write_text("{}")
    (tmp_path / "link").symlink_to("model")
    (tmp_path / "model" / "canary.py").write_text(CANARY.format(str(tmp_path / "CODE-RAN")))
    (tmp_path / "model" / "olive.json").write_text('{"passes": {"p": {"type": "X", "user_script": "canary.py"}}}')
    return tmp_path


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("ordered", COMMANDS)
@pytest.mark.parametrize("key", KEYS)
def test_no_code_runs_unasked(place: Path, monkeypatch: pytest.MonkeyPatch, key: str, ordered: str, spelling: str) -> None:
    cwd, given = SPELLINGS[spelling]
    (place / "model" / "strop.toml").write_text(KEYS[key])
    monkeypatch.chdir(place / cwd)
    with pytest.raises(UntrustedError) as refused:
        COMMANDS[ordered](given.format(root=place), store=str(place / "store"), out=str(place / "out"))
    assert key in refused.value.message
    assert refused.value.message.startswith(refused.value.config)
    assert Path(refused.value.config).samefile(place / "model" / "strop.toml")
    assert f"--config {refused.value.config}" in refused.value.hint
    assert not (place / "CODE-RAN").exists()
    assert not (place / "store").exists()


@pytest.mark.parametrize("ordered", ["inspect", "init"])
def test_commands_that_read_no_configuration_run_none_of_its_code(
    place: Path, monkeypatch: pytest.MonkeyPatch, ordered: str
) -> None:
    monkeypatch.chdir(place / "model")
    Path("strop.toml").write_text("".join(KEYS.values()).replace("[data]\npreprocess", "preprocess"))
    shutil.copyfile(DEMO, "m.onnx")
    if ordered == "inspect":
        assert strop.inspect("m.onnx", store=str(place / "store")).inspection.format == "onnx"
    else:
        strop.init("m.onnx", force=True)
        assert make_request("m.onnx").code == {}
    assert not (place / "CODE-RAN").exists()


@pytest.mark.parametrize("key", KEYS)
def test_naming_the_file_is_trust(place: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    (place / "model" / "strop.toml").write_text(KEYS[key])
    monkeypatch.chdir(place / "model")
    request = make_request("m.null", "strop.toml")
    assert request.trusted
    assert bool(request.code) != bool(request.options)
    with pytest.raises(UntrustedError):
        make_request("m.null", "")


def test_what_is_trusted_runs(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the canary would stay silent for another reason."""
    monkeypatch.chdir(place / "model")
    Path("strop.toml").write_text('[data]\nevaluation = "."\nloader = "canary:load"\npreprocess = "canary:load"\n')
    Path("m.null").write_text(
        '{"inputs": [{"name": "x", "dtype": "float32", "shape": ["b", 2]}],'
        ' "outputs": [{"name": "y", "dtype": "float32", "shape": ["b", 2]}], "seed": 0, "milliseconds": 1, "offers": []}'
    )
    with pytest.raises(strop.StropError):  # it yields nothing
        strop.list_recipes("m.null", config="strop.toml", store=str(place / "store"))
    assert (place / "CODE-RAN").read_text() == "imported"


def test_the_flag_is_trust_for_the_file_it_names_alone(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place / "model")
    Path("strop.toml").write_text(KEYS["backends.olive_config"])
    assert make_request("m.null", olive_config="olive.json").options
    Path("strop.toml").write_text(KEYS["backends.olive_config"] + KEYS["task.scorer"])
    with pytest.raises(UntrustedError, match=r"task\.scorer"):
        make_request("m.null", olive_config="olive.json")


def test_a_found_file_without_code_is_used_and_not_trusted(place: Path) -> None:
    (place / "model" / "strop.toml").write_text("[task]\nk = 3\n")
    request = make_request(str(place / "model" / "m.null"))
    assert (request.k, request.trusted) == (3, False)


def test_every_key_that_names_code_is_checked() -> None:
    """A new key of the kind `module:function` has to be added to the check, and to this file."""
    coded = {option.key for option in OPTIONS if option.form is CODED}
    assert coded | {"backends.olive_config"} == KEYS.keys()


@pytest.mark.parametrize("named", [True, False])
def test_what_runs_again_is_trusted_as_the_run_was(place: Path, monkeypatch: pytest.MonkeyPatch, named: bool) -> None:
    """A file that was found is found again, and refused if it names code by then; its folder may be called anything."""
    odd = place / "it's $(touch CODE-RAN) a folder"
    odd.mkdir()
    (odd / "strop.toml").write_text("[task]\nk = 3\n")
    monkeypatch.chdir(odd)
    request = make_request("m.null", "strop.toml" if named else None, labels="'; touch CODE-RAN; '\n", k=4)
    folder = RunFolder(place / "store" / "runs" / "r")
    run = Run(
        request,
        Store(place / "store"),
        folder,
        {},
        Place(target(), target()),
        nobody,
        Budget(request.budget_s),
        family_named(TENSOR),
    )
    write_json(folder.folder / "run.json", {"request": request.model_dump(mode="json")})
    script = Path(write_reproduce(run, recipe("it's 'odd'"), model())).read_text()
    words = shlex.split(script.partition("exec ")[2])
    assert script.startswith("#!/bin/sh\n") and subprocess.run(["sh", "-n"], input=script, text=True, check=True)
    assert words[:5] == [sys.executable, "-P", "-m", "strop", "build"]
    assert request.labels in words and ("--config" in words) == named
    assert words[-1] == (str(odd / "strop.toml") if named else "$(mktemp -d)/built")
    assert script.split("\n")[2].startswith('cd "$(mktemp -d)"' if named else f"cd {shlex.quote(str(odd))} && ")
    again = shlex.split(command(folder.folder / "run.json"))
    assert request.labels in again and ("--config" in again) == named


def test_no_module_of_the_working_directory_is_imported(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -c` and `python -m` import from the working directory first, which may be a downloaded model's folder."""
    monkeypatch.chdir(place / "model")
    for name in ("json", "sysconfig", "csv", "importlib", "venv", "pip", "numpy"):
        shutil.copyfile("canary.py", f"{name}.py")
    with pytest.raises(strop.StropError):
        strop.install_backend("openvino", python=sys.executable)
    with pytest.raises(subprocess.CalledProcessError):
        asked(sys.executable, NEEDS, "no-such-package")
    asked(sys.executable, NEEDS, "numpy")
    assert not (place / "CODE-RAN").exists()


PLAIN = {
    "data.evaluation": '[data]\nevaluation = "d.npz"\n',
    "data.calibration": '[data]\nevaluation = "ok.npz"\ncalibration = "d.npz"\n',
}


@pytest.mark.parametrize("key", PLAIN)
def test_pickled_arrays_are_not_opened(place: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """Keys that name data may be found: data are read as data."""
    monkeypatch.chdir(place / "other")
    Path("m.null").write_text(
        '{"inputs": [{"name": "x", "dtype": "float32", "shape": ["b", 2]}],'
        ' "outputs": [{"name": "y", "dtype": "float32", "shape": ["b", 2]}], "seed": 0, "milliseconds": 1, "offers": []}'
    )
    np.savez("ok.npz", x=np.ones((4, 2), np.float32), labels=np.zeros(4, int))
    np.savez("d.npz", x=np.array([_Bomb(str(place / "CODE-RAN"))] * 4, dtype=object))
    Path("strop.toml").write_text(PLAIN[key])
    with pytest.raises((strop.StropError, ConfigError), match="pickled"):
        strop.list_recipes("m.null", store=str(place / "store"))
    assert not (place / "CODE-RAN").exists()


class _Bomb:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return open, (self.path, "w")
