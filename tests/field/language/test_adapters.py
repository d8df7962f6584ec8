"""LoRA adapters merged on request: by their formula, in the exporter's interpreter."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import strop
from strop.core.errors import UsageError
from strop.plan.discover import backends
from strop.run.intake import read_model
from strop.store.store import Store
from strop.worker.call import CHILD, Limits
from strop.worker.interpreter import work_of
from unit.inspected import folder

STORIES = Path(strop.__file__).parent / "demo" / "stories"


def test_adapters_of_several_forms(tmp_path: Path, own_environments: Callable[..., None]) -> None:
    own_environments("export")
    work = work_of(backends()["transformers"])
    script = [
        str(Path(__file__).parent / "merging.py"),
        str(tmp_path),
        str(work.path.with_name("lora.py")),
        str(CHILD.parent.parent),
    ]
    done = subprocess.run([work.python, *script], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    said = json.loads(done.stdout)
    for text, words in zip(said, ("DoRA", "kind IA3", "z_proj", "is [12, 8], the weight [8, 8]", "magnitude"), strict=True):
        assert words in text and ("merge it yourself" in text or "trained on" in text)
    assert "acme/base" in said[2]

    made = tmp_path / "adapter"
    made.mkdir()
    make = (
        "import sys, torch, safetensors.torch as s; q = 'base_model.model.model.layers.0.self_attn.q_proj.lora_'; "
        "s.save_file({q + 'A.weight': torch.randn(4, 256), q + 'B.weight': torch.randn(256, 4)}, sys.argv[1])"
    )
    subprocess.run([work.python, "-c", make, str(made / "adapter_model.safetensors")], check=True)
    (made / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "lora_alpha": 8}))
    store = Store(tmp_path / "store")
    plain, changed, again = (
        read_model(backends(), STORIES, tmp_path / "log.txt", Limits(120.0), store, adapter=adapter)
        for adapter in (None, str(made), str(made))
    )
    assert changed.artifact.digest == again.artifact.digest != plain.artifact.digest
    assert (changed.traits, changed.artifact.bytes) == (plain.traits, plain.artifact.bytes)
    assert changed.artifact.path.startswith(str((tmp_path / "store" / "build").absolute()))


def test_what_no_adapter_can_be_merged_into(tmp_path: Path) -> None:
    for given, adapter, words in (
        (folder(tmp_path / "m"), tmp_path, "no adapter_config.json in it"),
        (tmp_path / "m.gguf", tmp_path, "is none"),
    ):
        given.touch()
        with pytest.raises(UsageError, match=words):
            read_model(backends(), given, tmp_path / "log.txt", Limits(60.0), Store(tmp_path / "store"), adapter=str(adapter))
