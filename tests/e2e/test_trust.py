"""Through the real command line: nothing foreign runs or steers, and a reader that goes away ends a command quietly."""

import json
import os
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from conftest import DATA, null_model, run_strop

CANARY = 'open("{}", "w").write("imported")\ndef load(*_):\n    return []\n'
NAME = "y\n[data.columns]\ntext_pair = '''\n[task]\nscorer = \"canary:load\"\n#\x1b[2J|`<b>"


def canary(folder: Path) -> Path:
    """Code that leaves a trace where it is imported."""
    (folder / "canary.py").write_text(CANARY.format(folder / "CODE-RAN"))
    return folder / "CODE-RAN"


def test_names_in_a_model_become_no_code(tmp_path: Path) -> None:
    ran, path = canary(tmp_path), null_model(tmp_path, ["fast"])
    model = json.loads(path.read_text())
    model["outputs"][0]["name"] = NAME
    path.write_text(json.dumps(model))
    done = run_strop(tmp_path, "init", path)
    assert done.code == 0, done.err
    assert not any(isinstance(value, str) for value in tomllib.loads((tmp_path / "strop.toml").read_text()).values())
    done = run_strop(tmp_path, "optimize", path, *DATA, "--output", "z", "-q")
    assert done.code == 4, done.err
    assert "\x1b" not in done.err
    assert [line[:5] for line in done.err.splitlines() if not line.startswith("  ")] == ["error"], done.err
    assert not ran.exists()


def test_a_refusal_prints_the_command_that_trusts(tmp_path: Path) -> None:
    ran, path = canary(tmp_path), null_model(tmp_path, ["fast"])
    (tmp_path / "strop.toml").write_text('[data]\nevaluation = "."\nloader = "canary:load"\npreprocess = "canary:load"\n')
    done = run_strop(tmp_path, "optimize", path.name, "--dry-run", "-q")
    assert (done.code, ran.exists()) == (5, False)
    assert "data.loader = 'canary:load' names code" in done.err
    again = done.err.splitlines()[-1]
    assert again == f"  strop optimize {path.name} --dry-run -q --config {tmp_path / 'strop.toml'}"
    run_strop(tmp_path, *shlex.split(again)[1:])
    assert ran.exists()


@pytest.mark.parametrize(
    ("arguments", "errors_too"), [(["--version"], False), (["runs", "list"], True), (["devices", "list", "--json"], False)]
)
def test_where_nobody_reads_on_a_command_ends_quietly(tmp_path: Path, arguments: list[str], errors_too: bool) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "strop", *arguments]
    with os.fdopen(writer, "w") as nowhere:
        done = subprocess.run(
            command, cwd=tmp_path, stdout=nowhere, stderr=nowhere if errors_too else subprocess.PIPE, check=False, timeout=60
        )
    assert (done.returncode, done.stderr or b"") == (1, b"")
