"""The contract that every backend must pass, shipped for outsiders: subclass, give two fixtures, run pytest.

    from strop.testing import BackendContract

    class TestMyBackend(BackendContract):
        @pytest.fixture
        def backend(self):
            return strop_mybackend.spec.BACKEND

        @pytest.fixture
        def model_path(self):
            return Path("tests/data/tiny.my")      # a small model whose first axis is the batch

Everything runs through real child processes, as in `strop optimize`.
"""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from strop.core.backend import Backend
from strop.core.errors import WorkerError, WorkerFailure
from strop.core.model import Model
from strop.core.profile import Operator
from strop.core.recipe import Offer, Recipe
from strop.core.task import Dataset, Task
from strop.plan.discover import backends
from strop.run.builders import Builders
from strop.run.datasets import paths
from strop.run.intake import read_model
from strop.run.machine import this_machine
from strop.store.store import Store
from strop.worker.call import DATA_WORK, Child, Limits
from strop.worker.interpreter import work_of

LIMITS = Limits(120.0)
EXAMPLES = 16


class BackendContract:
    """What Strop relies on. A test that fails names the promise that is broken."""

    @pytest.fixture
    def backend(self) -> Backend:
        raise NotImplementedError("override this fixture: return your Backend")

    @pytest.fixture
    def model_path(self) -> Path:
        raise NotImplementedError("override this fixture: return the path of a small model")

    @pytest.fixture
    def model(self, backend: Backend, model_path: Path, tmp_path: Path) -> Model:
        return read_model({backend.name: backend}, model_path, tmp_path / "inspect.log", LIMITS, Store(tmp_path / "store"))

    @pytest.fixture
    def task(self, model: Model, tmp_path: Path) -> Task:
        """Generated inputs, as `strop optimize MODEL` alone would make them."""
        data = {}
        for part, seed in (("evaluation", 0), ("calibration", 1)):
            folder = tmp_path / part
            folder.mkdir()
            with Child(DATA_WORK, tmp_path / "data.log", LIMITS) as child:
                raw = child.call(
                    "generate", specs=[s.model_dump() for s in model.inputs], bounds=model.bounds, sizes={}, count=EXAMPLES,
                    seed=seed, out=str(folder),
                )  # fmt: skip
            data[part] = Dataset(digest=part, folder=str(folder), count=raw["count"], inputs=raw["inputs"], generated=True)
        return Task(
            evaluation=data["evaluation"], calibration=data["calibration"], metric="agreement", output=model.outputs[0].name
        )

    @pytest.fixture
    def offers(self, backend: Backend, model: Model, task: Task) -> list[Offer]:
        return list(backend.offer(model, this_machine(1), task))

    @pytest.fixture
    def reference(self, offers: list[Offer]) -> Recipe:
        return next(o.recipe for o in offers if o.recipe is not None and o.recipe.role == "reference")

    @pytest.fixture
    def child(self, backend: Backend, tmp_path: Path) -> Iterator[Child]:
        with Child(work_of(backend), tmp_path / "child.log", LIMITS) as process:
            yield process

    def open(self, child: Child, path: str, recipe: Recipe, task: Task, profile: bool = False) -> dict[str, Any]:
        batch, data = task.workload.batch, paths(task.evaluation)
        return child.ask(
            "open", artifact=path, settings=recipe.settings, inputs=data["inputs"], batch=batch, rotate=4, reference=None,
            count=data["count"], profile=profile,
        )  # fmt: skip

    # the parent's side

    def test_is_found_by_entry_point(self, backend: Backend) -> None:
        assert backends()[backend.name] == backend

    def test_spec_imports_no_framework(self, backend: Backend) -> None:
        """Loading the spec imports none of the backend's packages but numpy."""
        code = f"""
import json, sys
from strop.plan.discover import backends
backends()
print(json.dumps([m for m in {[p.replace("-", "_") for p in backend.packages if p != "numpy"]!r} if m in sys.modules]))
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert json.loads(done.stdout) == []

    def test_child_side_imports_nothing_of_strop(self, backend: Backend) -> None:
        """All modules but the spec and those of its own package that the spec imports."""
        place = backend.work.parent
        spec = ast.parse((place / "spec.py").read_text(encoding="utf-8"))
        imported = {(n.module or "").rpartition(".")[2] for n in ast.walk(spec) if isinstance(n, ast.ImportFrom)}
        for path in place.glob("*.py"):
            if path.stem in {"spec", "__init__", *imported} - {"work", "runner", "steps"}:
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                assert not [n for n in names if n.partition(".")[0] == "strop"], f"{path}:{node}"

    def test_offer_is_pure_and_has_reasons(self, backend: Backend, model: Model, task: Task, offers: list[Offer]) -> None:
        assert list(backend.offer(model, this_machine(1), task)) == offers
        assert all(o.why for o in offers)
        assert len({o.name for o in offers}) == len(offers)

    def test_offers_survive_json(self, offers: list[Offer]) -> None:
        for offer in offers:
            assert Offer.model_validate_json(offer.model_dump_json()) == offer

    def test_steps_fit_together(self, backend: Backend, model: Model, offers: list[Offer]) -> None:
        """Each step consumes what the one before produced; the last kind is one that the runtime runs."""
        for recipe in (o.recipe for o in offers if o.recipe is not None):
            kind = model.artifact.kind
            for step in recipe.steps:
                assert step.consumes == kind
                kind = step.produces
            if recipe.runtime == backend.name:
                assert kind in backend.runs

    def test_there_is_one_reference(self, offers: list[Offer]) -> None:
        assert sum(o.recipe is not None and o.recipe.role == "reference" for o in offers) == 1

    # the child's side

    def test_probe_says_what_works(self, child: Child) -> None:
        said = child.call("probe")
        assert {"works", "why_not", "versions", "devices"} <= said.keys()
        assert said["works"] or said["why_not"]

    def test_inspect_refuses_garbage(self, backend: Backend, child: Child, tmp_path: Path) -> None:
        for suffix, _ in backend.reads:
            garbage = tmp_path / f"garbage{suffix}"
            garbage.write_bytes(b"\x00garbage" * 20)
            with pytest.raises(WorkerFailure) as caught:
                child.call("inspect", path=str(garbage))
            assert caught.value.kind == "ModelError"

    def test_session_answers_by_name_and_in_shape(self, child: Child, model: Model, task: Task, reference: Recipe) -> None:
        opened = self.open(child, model.artifact.path, reference, task)
        assert set(opened["outputs"]) == {o.name for o in model.outputs}
        for spec in model.outputs:
            dtype, shape = opened["outputs"][spec.name]
            assert dtype == spec.dtype
            assert len(shape) == len(spec.shape)
            assert all(not isinstance(d, int) or d == s for d, s in zip(spec.shape, shape, strict=True))

    def test_session_is_deterministic(self, child: Child, model: Model, task: Task, reference: Recipe, tmp_path: Path) -> None:
        self.open(child, model.artifact.path, reference, task)
        answers = []
        for name in ("first", "second"):
            (tmp_path / name).mkdir()
            raw = child.ask("evaluate", out=str(tmp_path / name))
            answers.append(np.load(tmp_path / name / raw["shards"][task.output], allow_pickle=False))
        np.testing.assert_allclose(answers[0], answers[1], rtol=1e-5, atol=1e-6)

    def test_clock_is_ours(self, child: Child, model: Model, task: Task, reference: Recipe) -> None:
        self.open(child, model.artifact.path, reference, task)
        block = child.ask("block", runs=5)
        assert len(block["latencies_ns"]) == 5
        assert all(ns > 0 for ns in block["latencies_ns"])

    def test_a_profile_names_operators_as_onnx_does(self, child: Child, model: Model, task: Task, reference: Recipe) -> None:
        """For a backend with `work.profile`: sessions that give the time of each operator, under a standard name."""
        if not self.open(child, model.artifact.path, reference, task)["profiles"]:
            return
        self.open(child, model.artifact.path, reference, task, profile=True)
        found = [Operator.model_validate(o) for o in child.ask("operators", length_s=0.1, most=20)["operators"]]
        assert found, "a profile without operators"
        assert len({o.name for o in found}) == len(found)
        assert all(o.ns >= 0 and o.calls >= 3 and o.operator and o.kernel for o in found)
        if model.artifact.kind == "onnx":
            assert {o.operator for o in found if o.kind == "compute"} & set(model.operators)

    def test_settings_are_read_back(self, child: Child, model: Model, task: Task, reference: Recipe) -> None:
        properties = self.open(child, model.artifact.path, reference, task)["properties"]
        assert properties, "a session's `properties` say what was really chosen"
        if "threads" in reference.settings:
            assert properties["threads"] == reference.settings["threads"]

    def test_damaged_artifact_is_an_exception_not_a_crash(
        self, child: Child, model: Model, task: Task, reference: Recipe, tmp_path: Path
    ) -> None:
        whole = Path(model.artifact.path).read_bytes()
        damaged = tmp_path / Path(model.artifact.path).name
        damaged.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(WorkerFailure):
            self.open(child, str(damaged), reference, task)

    def test_every_step_builds_the_same_twice(
        self, backend: Backend, model: Model, task: Task, offers: list[Offer], tmp_path: Path
    ) -> None:
        """Each offered recipe builds, or fails with an exception; what it builds is the same the second time, by one
        builder for all."""
        turns: tuple[tuple[Builders, dict[str, str]], ...] = ((Builders(lasting=False), {}), (Builders(), {}))
        try:
            for number, recipe in enumerate(o.recipe for o in offers if o.recipe is not None and o.recipe.steps):
                made = [
                    self.build(backend, recipe, model, task, tmp_path / f"{number}-{turn}", builders, built)
                    for turn, (builders, built) in enumerate(turns)
                ]
                assert made[0] == made[1], f"{recipe.name} is not reproducible"
        finally:
            for builders, _ in turns:
                builders.close()

    def build(
        self, backend: Backend, recipe: Recipe, model: Model, task: Task, place: Path, builders: Builders, built: dict[str, str]
    ) -> bytes | str:  # fmt: skip
        """The bytes of the file that all steps lead to, or the kind of exception that ended them.

        Args:
            built: steps so far → the file they led to, shared by recipes that begin alike.
        """
        current = model.artifact.path
        for number, step in enumerate(recipe.steps):
            prefix = json.dumps([s.model_dump(mode="json") for s in recipe.steps[: number + 1]])
            if prefix in built:
                current = built[prefix]
                continue
            out = place / str(number)
            out.mkdir(parents=True)
            data = paths(task.calibration) if step.calibration and task.calibration else None
            try:
                builder = backend if step.builder == backend.name else backends()[step.builder]
                made = builders.build(
                    builder.name, work_of(builder), place / "build.log", LIMITS, 0,
                    step=step.model_dump(mode="json"), artifact=current, out_dir=str(out), data=data,
                )  # fmt: skip
            except WorkerFailure as error:
                return error.kind
            except WorkerError as error:
                return type(error).__name__
            current = built[prefix] = str(out / (made["file"] if isinstance(made, dict) else made))
        return Path(current).read_bytes() if Path(current).exists() else "nothing"
