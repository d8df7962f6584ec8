"""ONNX Runtime's runner: fixed axes, answers that are copies unless views are asked for, and memory while shapes change."""

import gc
import threading

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from strop.backends.onnxruntime import runner
from strop.core.shapes import was_given
from strop_child import memory
from strop_child.shaped import OtherShape, open_shaped

WEIGHT = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
FAIR = {"threads": 1, "graph": "all", "spinning": False}
FIXED = {**FAIR, "shapes": "x=1x6|x=3x6", "axes": "batch=1|batch=3"}


@pytest.fixture
def path(tmp_path):
    """y = relu(x·W), any batch."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["a"]), helper.make_node("Relu", ["a"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])],
        [numpy_helper.from_array(WEIGHT, "w")],
    )
    file = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), file)
    return str(file)


def x(rows, seed=1):
    return {"x": np.random.default_rng(seed).standard_normal((rows, 6)).astype(np.float32)}


def y(feed):
    return np.maximum(feed["x"] @ WEIGHT, 0)


def test_fixed_axes_are_the_runtimes_own(path):
    session = runner.open(path, {**FAIR, "axes": "batch=3"})
    assert session.properties["shapes"] == "3x6"
    with pytest.raises(Exception, match="Got invalid dimensions"):
        session.run(x(1))
    session.run(x(3))
    with pytest.raises(Exception, match="Got invalid dimensions"):  # once its outputs have memory of their own, too
        session.run(x(1))


def test_axes_that_the_model_does_not_load_with_are_left_open(path, capsys):
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "n"  # 6 is all that its weights take
    onnx.save(model, path)
    session = runner.open(path, {**FAIR, "axes": "batch=1,n=5"})
    assert session.properties["shapes"] == "?x?"
    assert not was_given("x=1x5", session.properties["shapes"])
    assert "does not load with batch=1,n=5, runs without fixed shapes" in capsys.readouterr().err
    assert np.allclose(session.run(x(2))["y"], y(x(2)), atol=1e-5)


@pytest.mark.parametrize("settings", [FAIR, FIXED])
def test_answers_are_copies(path, settings):
    session = open_shaped(runner.open, path, settings)
    kept = [session.run(x(1, seed))["y"] for seed in range(4)]
    assert all(np.allclose(answer, y(x(1, seed)), atol=1e-5) for seed, answer in enumerate(kept))
    assert all(answer.flags.owndata and answer.flags.writeable for answer in kept[1:]) or settings is FAIR


def test_views_are_the_sessions_own_memory(path):
    session = open_shaped(runner.open, path, FIXED)
    session.run(x(1))
    first = session.run_views(x(1, 1))["y"]
    second = session.run_views(x(1, 2))["y"]
    assert np.shares_memory(first, second)
    assert np.allclose(second, y(x(1, 2)), atol=1e-5)


def test_inputs_in_any_order_in_memory_are_taken(path):
    session = open_shaped(runner.open, path, FIXED)
    for _ in range(3):
        feed = {"x": np.asfortranarray(np.repeat(x(3)["x"], 2, axis=0)[::2])}
        assert np.allclose(session.run(feed)["y"], y(feed), atol=1e-5)
    frozen = x(1)
    frozen["x"].flags.writeable = False
    assert np.allclose(session.run(frozen)["y"], y(frozen), atol=1e-5)


def test_outputs_that_are_not_as_declared_are_left_to_the_runtime(tmp_path):
    """Some exports declare a fixed number of detections, and the model finds as many as there are."""
    graph = helper.make_graph(
        [helper.make_node("Compress", ["x", "c"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [6]), helper.make_tensor_value_info("c", TensorProto.BOOL, [6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3])],
    )
    file = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), file)
    session, values = runner.open(str(file), FAIR), np.arange(6, dtype=np.float32)
    for kept in (3, 3, 2, 5, 3):
        chosen = np.arange(6) < kept
        assert np.array_equal(session.run({"x": values, "c": chosen})["y"], values[chosen])


def test_an_input_with_a_default_may_be_given_in_every_call(tmp_path):
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "k"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1]), helper.make_tensor_value_info("k", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
        [numpy_helper.from_array(np.array([2], np.float32), "k")],
    )
    file = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), file)
    session, one = runner.open(str(file), FAIR), np.ones(1, np.float32)
    given = [session.run({"x": one, "k": 5 * one})["y"].item() for _ in range(3)]
    assert (given, session.run({"x": one})["y"].item()) == ([5, 5, 5], 2)


def test_threads_do_not_see_each_others_answers(path):
    session = open_shaped(runner.open, path, FIXED, "fallback")
    wrong = []

    def call(seed):
        own, feeds = session.fork(), [x(rows, seed) for rows in (1, 3, 2)]
        wrong.extend(k for k in range(300) if not np.allclose(own.run(feeds[k % 3])["y"], y(feeds[k % 3]), atol=1e-5))

    callers = [threading.Thread(target=call, args=(seed,)) for seed in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


def test_changing_shapes_do_not_leak_memory(path):
    """Several hundred different batches through the session for other shapes; what a batch takes is given back or used again."""
    session = open_shaped(runner.open, path, FIXED, "fallback")
    with pytest.raises(OtherShape):
        open_shaped(runner.open, path, FIXED).run(x(2))
    big = np.zeros((30_000, 6), np.float32)

    def many(begin):
        for rows in range(begin, begin + 250):
            assert session.run({"x": big[: 100 * (rows % 280) + rows]})["y"].shape[1] == 4
        gc.collect()
        return memory.sample()["private"] or 0

    many(1)
    before = many(251)
    assert many(501) - before < 8 << 20
