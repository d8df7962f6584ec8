"""What carries over to a device that is not this machine, what it is held to, and what recipes its accelerators get."""

import ast
from collections.abc import Sequence
from pathlib import Path

import pytest

import strop
from strop.backends.onnxruntime import spec as onnxruntime
from strop.backends.openvino import spec as openvino
from strop.core.model import Model
from strop.core.recipe import Recipe, Step
from strop.core.target import Accelerator, Target
from strop.plan.discover import backends
from strop.run.host import ThisMachine
from strop.run.pairing import cores_for
from strop.run.place import Place, place_for
from strop.worker.call import Limits, Work
from strop.worker.process import Process

from .makers import model, task

HERE = Target(
    host="h", architecture="x86_64", instructions=("avx2", "avx512f", "avx512_vnni"), cores=4, threads=4, memory_bytes=8 * 10**9
)
OLD = Target(name="old", architecture="x86_64", instructions=("avx2",), cores=2, memory_bytes=2 * 10**9)
ARM = Target(name="arm", architecture="aarch64", instructions=("neon",))
SILENT = Target(name="silent", architecture="x86_64")
INT8 = Recipe(name="int8", runtime="onnxruntime", integers=True)
WEIGHTS = Recipe(name="weights", runtime="onnxruntime", precision="int8")


def onnx_model() -> Model:
    return model("onnx").model_copy(update={"reader": "onnxruntime", "weights": {"Conv": 3, "MatMul": 2}})


@pytest.mark.parametrize(
    ("target", "recipe", "given", "said"),
    [
        (HERE, INT8, "fp32", ""), (ARM, INT8, "fp32", ""), (OLD, WEIGHTS, "fp32", ""),
        (OLD, INT8, "fp32", "old in 16, which saturates"), (OLD, WEIGHTS, "int8", "old in 16, which saturates"),
        (SILENT, INT8, "fp32", "instruction sets of silent are not known"),
    ],
)  # fmt: skip
def test_accuracy_carries_over_where_the_arithmetic_is_alike(target: Target, recipe: Recipe, given: str, said: str) -> None:
    found = Place(HERE, target).why_not_carried(recipe, given)
    assert said in found
    assert bool(found) == bool(said)


def test_seven_bits_saturate_nowhere() -> None:
    step = Step(stage="quantize", builder="b", name="n", consumes="onnx", produces="onnx", params={"reduce_range": True})
    assert Place(HERE, OLD).why_not_carried(INT8.model_copy(update={"steps": (step,)})) == ""


def test_a_lesser_cpu_is_imitated_by_who_can() -> None:
    held = place_for(HERE, OLD, backends())
    assert held.kind == "imitated"
    assert held.imitation == {"openvino": {"ONEDNN_MAX_CPU_ISA": "AVX2"}}
    assert held.held == "the instruction sets of old (openvino), 2 core(s), its memory"
    more = OLD.model_copy(update={"cores": 64, "memory_bytes": 64 * 10**9})
    assert place_for(HERE, more, backends()).held == "the instruction sets of old (openvino)"
    assert place_for(HERE, ARM, backends()).kind == "elsewhere"
    assert place_for(HERE, OLD.model_copy(update={"instructions": ("avx2", "amx_int8")}), backends()).kind == "elsewhere"


def test_two_cards_of_one_maker_get_one_recipe() -> None:
    cards = tuple(Accelerator(kind="gpu", name=f"card {n}", vendor="NVIDIA", frameworks=("onnxruntime",)) for n in (1, 2))
    target = HERE.model_copy(update={"host": "", "accelerators": cards})
    names = [o.name for o in onnxruntime.offer(onnx_model(), target, task()) if o.recipe is not None]
    assert names.count("cuda-fp16") == 1


def test_the_card_that_a_framework_has_a_device_for_is_found_behind_another() -> None:
    cards = (Accelerator(kind="gpu", name="RTX", vendor="NVIDIA", frameworks=("onnxruntime",)),
             Accelerator(kind="gpu", name="Arc", vendor="Intel", frameworks=("openvino",)))  # fmt: skip
    target = HERE.model_copy(update={"host": "", "accelerators": cards})
    offers = {o.name: o for o in openvino.offer(onnx_model(), target, task())}
    assert offers["openvino-gpu-f16"].recipe is not None
    assert offers["openvino-gpu-f16"].recipe.device == "gpu"
    none = {o.name: o.why for o in openvino.offer(onnx_model(), HERE, task())}
    assert none["openvino-gpu"] == "the target has no GPU"


def test_here_only_what_an_inference_has_shown_is_used() -> None:
    untried = Accelerator(kind="gpu", name="Arc", vendor="Intel", frameworks=("openvino",))
    for usable, there in ((None, False), (False, False), (True, True)):
        here = HERE.model_copy(update={"accelerators": (untried.model_copy(update={"usable": usable, "why": "because"}),)})
        assert (here.accelerator("gpu", "openvino") is not None) == there


DOORS = {"host.py", "hardware.py", "company.py"}
"""The files of `run` that may know the machine that Strop runs on."""


def test_there_is_one_door_to_a_process() -> None:
    """Above `worker` nothing constructs a child or pins one but `run/host.py`, so that another host can stand behind a place."""
    root = Path(strop.__file__).parent
    for path in (*(root / "run").glob("*.py"), *(root / "cli").glob("*.py"), *(root / "report").glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert path.name == "host.py" or "Child" not in names, path
        assert path.name in DOORS or not names & {"sched_setaffinity", "sched_getaffinity", "psutil"}, path


class Elsewhere(ThisMachine):
    """Another host: it notes what is opened."""

    def __init__(self) -> None:
        self.opened: list[str] = []

    def open(self, work: Work, log: Path, limits: Limits, cores: Sequence[int] = ()) -> Process:
        self.opened.append(work.path.name)
        return super().open(work, log, limits, cores)

    def cpus(self) -> list[int]:
        return [40, 41]


def test_another_host_stands_behind_a_place(tmp_path: Path) -> None:
    host = Elsewhere()
    place = Place(HERE, HERE, host=host)
    with place.open(place.work_of(backends()["null"]), tmp_path / "log.txt", Limits(60.0)) as child:
        assert child.call("probe")["works"]
        assert child.resident_bytes() > 0
    assert host.opened == ["work.py"]
    assert cores_for(place.host, 1, 3) == [41]
