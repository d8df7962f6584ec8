"""The step `clean`: each fault of an export is found by the inspector and taken out, and the answers stay."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from benchmarks.export_faults import FAULTS, dynamic, in_float64, network, numbers, session
from benchmarks.spoil import weights_as_inputs
from onnx import TensorProto, helper, numpy_helper

from strop.backends.onnxruntime.cleaning import clean, groom
from strop.backends.onnxruntime.steps import prepare
from strop_child.onnx_faults import cancelling_transposes, cast_chains, collapses, default_inputs, faults

X = np.random.default_rng(3).standard_normal((3, 3, 32, 32)).astype(np.float32)


def found(path: Path | onnx.ModelProto) -> dict[str, dict[str, Any]]:
    model = path if isinstance(path, onnx.ModelProto) else onnx.load(path)
    return {fault["name"]: fault for fault in faults(model)}


def cleaned(model: onnx.ModelProto, folder: Path, **params: Any) -> tuple[Path, list[str]]:
    """The file that the step makes of the model, and its remarks."""
    given, out = folder / "given.onnx", folder / "out"
    out.mkdir()
    onnx.save(model, given)
    made = clean(str(given), str(out / "model.onnx"), None, **params)
    return out / made["file"], made["notes"]


def answers(path: Path, **feed: np.ndarray) -> np.ndarray:
    answer: np.ndarray = session(path).run(None, feed or {"x": X})[0]
    return answer


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found_and_taken_out_and_the_answers_stay(tmp_path: Path, fault: str) -> None:
    given = FAULTS[fault]()
    assert fault in found(given)
    assert found(given)[fault]["count"] > 0
    path, notes = cleaned(given, tmp_path)
    np.testing.assert_allclose(answers(path), answers(tmp_path / "given.onnx"), rtol=1e-5, atol=1e-5)
    left = {"dynamic-axes"} if fault == "dynamic-axes" else set()  # which sizes are meant, a file cannot tell
    assert found(path).keys() == left
    assert notes == []


def test_a_clean_export_has_no_fault() -> None:
    assert found(network()) == {}


def test_all_faults_at_once(tmp_path: Path) -> None:
    given = dynamic(weights_as_inputs(network(norms=True, between=in_float64, more=numbers())))
    path, _ = cleaned(given, tmp_path)
    np.testing.assert_allclose(answers(path), answers(tmp_path / "given.onnx"), rtol=1e-5, atol=1e-5)
    assert found(path).keys() == {"dynamic-axes"}
    assert {n.op_type for n in onnx.load(path).graph.node} <= {
        "Conv", "Relu", "Mul", "Add", "GlobalAveragePool", "Flatten", "Gemm"
    }  # fmt: skip


def test_unnamed_axes_get_names_of_their_own(tmp_path: Path) -> None:
    path, _ = cleaned(FAULTS["dynamic-axes"](), tmp_path)
    names = [dim.dim_param for dim in onnx.load(path).graph.input[0].type.tensor_type.shape.dim]
    assert names == ["x_axis0", "x_axis1", "x_axis2", "x_axis3"]


def test_float64_may_be_kept(tmp_path: Path) -> None:
    path, _ = cleaned(FAULTS["float64"](), tmp_path, single=False)
    assert found(path)["float64"]["count"] > 0


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ({"value": 1e300}, "float32 does not hold one of its constants"),
        ({"kind": TensorProto.DOUBLE}, "inputs or outputs have it"),
    ],
)
def test_float64_that_is_needed_stays_and_it_is_said(tmp_path: Path, model: dict[str, Any], why: str) -> None:
    path, notes = cleaned(scaled(**model), tmp_path)
    assert notes == [f"float64 is kept: {why}"]
    assert any(w.data_type == TensorProto.DOUBLE for w in onnx.load(path).graph.initializer)


def scaled(value: float = 2.0, kind: int = TensorProto.FLOAT) -> onnx.ModelProto:
    """y = x · value, computed in float64."""
    nodes = [
        helper.make_node("Cast", ["x"], ["a"], to=TensorProto.DOUBLE),
        helper.make_node("Mul", ["a", "k"], ["b"]),
        helper.make_node("Cast", ["b"], ["y"], to=kind),
    ]
    ports = [helper.make_tensor_value_info(name, kind, ["n", 4]) for name in "xy"]
    constant = numpy_helper.from_array(np.array(value), "k")
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], [constant])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def with_default(ir: int = 8) -> onnx.ModelProto:
    """The network with a temperature that a caller may set."""
    model = network(ir=ir)
    model.graph.output[0].name = "scaled"
    model.graph.node.append(helper.make_node("Mul", ["y", "temperature"], ["scaled"]))
    model.graph.initializer.append(numpy_helper.from_array(np.ones(1, np.float32), "temperature"))
    model.graph.input.append(helper.make_tensor_value_info("temperature", TensorProto.FLOAT, [1]))
    return model


@pytest.mark.parametrize("step", [clean, prepare])
def test_an_input_with_a_default_can_still_be_overridden(tmp_path: Path, step: Any) -> None:
    given = with_default()
    assert default_inputs(given) == ["temperature"] and "weights-as-inputs" not in found(given)
    onnx.save(given, tmp_path / "given.onnx")
    step(str(tmp_path / "given.onnx"), str(tmp_path / "model.onnx"), None)
    feeds = {"x": X, "temperature": np.array([3], np.float32)}
    np.testing.assert_allclose(answers(tmp_path / "model.onnx", **feeds), 3 * answers(tmp_path / "model.onnx"), rtol=1e-6)
    if step is clean:
        (tmp_path / "again").mkdir()
        assert cleaned(given, tmp_path / "again")[1] == ["inputs with a default stay inputs: temperature"]


def test_before_ir_4_the_format_lists_every_weight_and_none_can_be_overridden() -> None:
    model = with_default(ir=3)
    assert default_inputs(model) == []
    assert "old-ir" in found(model)


def branches() -> onnx.ModelProto:
    """An If whose branches read weights of the outer graph, two of which are equal, and name values of their own."""
    rng = np.random.default_rng(4)
    weight = rng.standard_normal((16, 16)).astype(np.float32)
    outer = [numpy_helper.from_array(weight, name) for name in ("left", "right")]
    inner = [numpy_helper.from_array(weight * scale, "own") for scale in (1, 2)]

    def branch(name: str, read: str, own: TensorProto) -> onnx.GraphProto:
        own.name = f"{name}_own"
        nodes = [helper.make_node("MatMul", ["x", read], [f"{name}_a"]),
                 helper.make_node("MatMul", [f"{name}_a", own.name], [f"{name}_y"])]  # fmt: skip
        return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info(f"{name}_y", TensorProto.FLOAT, None)], [own])

    nodes = [
        helper.make_node("ReduceSum", ["x"], ["total"], keepdims=0),
        helper.make_node("Greater", ["total", "zero"], ["positive"]),
        helper.make_node("If", ["positive"], ["y"], then_branch=branch("a", "left", inner[0]),
                         else_branch=branch("b", "right", inner[1])),
    ]  # fmt: skip
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 16]) for name in "xy"]
    zero = numpy_helper.from_array(np.zeros((), np.float32), "zero")
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], [*outer, zero])
    return weights_as_inputs(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))


def test_weights_that_branches_read_stay_theirs(tmp_path: Path) -> None:
    given = branches()
    assert {"weights-as-inputs", "duplicated-weights"} <= found(given).keys()
    path, notes = cleaned(given, tmp_path)
    x = np.random.default_rng(5).standard_normal((2, 16)).astype(np.float32)
    for feed in (x, -x):
        np.testing.assert_allclose(answers(path, x=feed), answers(tmp_path / "given.onnx", x=feed), rtol=1e-5, atol=1e-6)
    assert found(path) == {} and notes == []


def test_equal_weights_of_different_operators_stay_apart(tmp_path: Path) -> None:
    """A table and a matrix of the same values are quantized differently."""
    values = np.random.default_rng(6).standard_normal((32, 32)).astype(np.float32)
    nodes = [helper.make_node("Gather", ["table", "x"], ["a"]), helper.make_node("MatMul", ["a", "matrix"], ["y"])]
    given = helper.make_tensor_value_info("x", TensorProto.INT64, ["n"])
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 32])
    graph = helper.make_graph(nodes, "g", [given], [made], [numpy_helper.from_array(values, n) for n in ("table", "matrix")])
    assert found(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)) == {}


def test_large_weights_stay_in_their_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of them is read; only the graph changes."""
    monkeypatch.setattr("strop.backends.onnxruntime.cleaning.LARGE", 1 << 12)
    given, out = tmp_path / "given.onnx", tmp_path / "out"
    out.mkdir()
    onnx.save(FAULTS["weights-as-inputs"](), given, save_as_external_data=True, location="sub.data", size_threshold=64)
    made = clean(str(given), str(out / "model.onnx"), None)
    assert "weights-as-inputs" not in found(out / "model.onnx")
    assert {p.name for p in out.iterdir()} == {"model.onnx", "sub.data"}
    assert "stay in their files" in made["notes"][0]
    np.testing.assert_allclose(answers(out / "model.onnx"), answers(given), rtol=1e-5, atol=1e-5)


def test_what_onnx_runtime_cannot_optimize_is_cleaned_up_as_far_as_that_goes(tmp_path: Path) -> None:
    model = weights_as_inputs(network())
    model.opset_import.append(helper.make_opsetid("custom", 1))
    model.graph.node[0].domain = "custom"
    path, notes = cleaned(model, tmp_path)
    assert "weights-as-inputs" not in found(path)
    assert "not everything could be cleaned up" in notes[0]


@pytest.mark.parametrize(
    ("types", "same"),
    [
        (("FLOAT", "DOUBLE", "FLOAT"), True), (("FLOAT", "DOUBLE", "FLOAT16"), True), (("FLOAT", "FLOAT16", "FLOAT"), False),
        (("FLOAT", "DOUBLE", "INT32"), False), (("INT8", "INT32", "INT16"), True), (("INT32", "FLOAT", "INT32"), False),
        (("BOOL", "FLOAT", "BOOL"), True),
    ],
)  # fmt: skip
def test_casts_are_one_only_where_the_first_loses_nothing(types: tuple[str, str, str], same: bool) -> None:
    assert collapses(*(TensorProto.DataType.Value(name) for name in types)) == same


def test_a_chain_of_many_casts_ends(tmp_path: Path) -> None:
    """Each pass shortens it; a Cast that rounds stays, and so does one that somebody else reads."""
    kinds = ("DOUBLE", "FLOAT", "DOUBLE", "FLOAT16", "FLOAT", "FLOAT")
    names = ["x", *(f"v{n}" for n in range(len(kinds) - 1)), "y"]
    nodes = [
        helper.make_node("Cast", [given], [made], to=TensorProto.DataType.Value(kind))
        for given, made, kind in zip(names, names[1:], kinds, strict=False)
    ]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xy"]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:])
    given = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    assert len(cast_chains(given.graph)) > 2
    path, _ = cleaned(given, tmp_path)
    x = np.array([1 / 3, 70000.0, 1e-9, 2.0], np.float32)
    np.testing.assert_array_equal(answers(path, x=x), answers(tmp_path / "given.onnx", x=x))
    assert [n.op_type for n in onnx.load(path).graph.node] == ["Cast", "Cast"]


def turned_twice(given: str, made: str) -> list[onnx.NodeProto]:
    """To channels last and back, for nothing."""
    return [
        helper.make_node("Transpose", [given], [f"{made}a"], f"{made}/last", perm=[0, 2, 3, 1]),
        helper.make_node("Transpose", [f"{made}a"], [made], f"{made}/first", perm=[0, 3, 1, 2]),
    ]


def test_transposes_that_cancel_each_other_are_found_and_taken_out(tmp_path: Path) -> None:
    given = network(between=turned_twice)
    assert found(given)["cancelling-transposes"] | {"count": 4, "total": 8} == found(given)["cancelling-transposes"]
    path, notes = cleaned(given, tmp_path)
    np.testing.assert_array_equal(answers(path), answers(tmp_path / "given.onnx"))
    assert "Transpose" not in {n.op_type for n in onnx.load(path).graph.node}
    assert found(path) == {} and notes == []


def turns(*orders: list[int] | None, read: str = "") -> onnx.ModelProto:
    """Transposes in a row, the result of each named t0, t1, …; `read` is an output beside the last."""
    names = ["x", *(f"t{n}" for n in range(len(orders)))]
    nodes = [
        helper.make_node("Transpose", [before], [name], **({} if order is None else {"perm": order}))
        for before, name, order in zip(names, names[1:], orders, strict=False)
    ]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ([names[-1], read] if read else names[-1:])]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["a", "b", "c"])
    graph = helper.make_graph(nodes, "g", [given], ports)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize(
    ("model", "count", "left"),
    [
        (turns([1, 2, 0], [2, 0, 1]), 1, 0),
        (turns([1, 2, 0], [1, 2, 0]), 0, 2),
        (turns(None, None), 1, 0),
        (turns([2, 1, 0], None), 1, 0),
        (turns([0, 2, 1], None), 0, 2),
        (turns([1, 2, 0], [2, 0, 1], [1, 2, 0]), 1, 1),
        (turns([1, 0, 2], [0, 2, 1], [0, 2, 1], [1, 0, 2]), 1, 0),
        (turns([1, 2, 0], [2, 0, 1], read="t0"), 1, 1),
    ],
)
def test_transposes_go_only_where_they_cancel(model: onnx.ModelProto, count: int, left: int) -> None:
    """Also across pairs that meet once what stood between them is gone; and not where the first is read by others."""
    assert len(cancelling_transposes(model.graph)) == count
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    before = session_of(model).run(None, {"x": x})
    groom(model, single=True, opset=0)
    assert sum(n.op_type == "Transpose" for n in model.graph.node) == left
    for one, other in zip(before, session_of(model).run(None, {"x": x}), strict=True):
        np.testing.assert_array_equal(one, other)


def session_of(model: onnx.ModelProto) -> ort.InferenceSession:
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def test_weights_that_no_node_uses_are_found_and_taken_out(tmp_path: Path) -> None:
    given = with_default()
    left_over = np.random.default_rng(7).standard_normal((500, 500)).astype(np.float32)
    given.graph.initializer.append(numpy_helper.from_array(left_over, "left_over"))
    fault = found(given)["unused-weights"]
    assert (fault["count"], fault["example"], fault["bytes"]) == (1, "left_over", 1_000_000)
    path, _ = cleaned(given, tmp_path)
    assert "unused-weights" not in found(path)
    assert path.stat().st_size < (tmp_path / "given.onnx").stat().st_size - 900_000
    np.testing.assert_array_equal(answers(path), answers(tmp_path / "given.onnx"))
    assert "unused-weights" not in found(branches()), "what only a nested graph reads is used"


def trained(operator: str, ratio: float = 0.5, mode: bool | None = True, **attributes: int) -> onnx.ModelProto:
    """The network with a Dropout or a batch normalization at its end."""
    model = network()
    model.graph.output[0].name = "z"
    if operator == "Dropout":
        held = {"ratio": np.array(ratio, np.float32)} | ({} if mode is None else {"mode": np.array(mode)})
        model.graph.node.append(helper.make_node("Dropout", ["y", *held], ["z"], "drop"))
    else:
        held = {name: np.ones(10, np.float32) for name in ("scale", "shift", "mean", "var")}
        model.graph.node.append(helper.make_node(operator, ["y", *held], ["z"], "norm", **attributes))
    model.graph.initializer.extend(numpy_helper.from_array(values, name) for name, values in held.items())
    return model


@pytest.mark.parametrize("model", [trained("Dropout"), trained("BatchNormalization", training_mode=1)])
def test_nodes_in_training_mode_are_found_and_left_as_they_are(model: onnx.ModelProto) -> None:
    assert found(model)["training-mode"]["count"] == 1
    assert "batch-norm" not in found(model), "it cannot be folded into weights"
    last = model.graph.node[-1].SerializeToString()
    groom(model, single=True, opset=17)
    assert model.graph.node[-1].SerializeToString() == last
    assert found(model)["training-mode"]["count"] == 1


@pytest.mark.parametrize(
    "model",
    [trained("Dropout", mode=False), trained("Dropout", mode=None), trained("Dropout", ratio=0.0), trained("BatchNormalization")],
)
def test_what_only_could_be_in_training_mode_is_none(model: onnx.ModelProto) -> None:
    assert "training-mode" not in found(model)
