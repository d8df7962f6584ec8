"""Importances of a mixture of experts: each expert's own, by the tokens that it was given."""

from types import SimpleNamespace

import numpy as np

from strop.backends.llamacpp.experts import by_expert, means, numbers_of


def tensor(values: np.ndarray) -> SimpleNamespace:
    """As ggml describes an array: sizes and steps, innermost first, and where it lies."""
    whole = values.reshape((1,) * (4 - values.ndim) + values.shape)
    told = {f"n{place}": size for place, size in enumerate(whole.shape[::-1])}
    steps = {f"b{place}": step for place, step in enumerate(whole.strides[::-1])}
    return SimpleNamespace(**told, **steps, data=values.ctypes.data)


def test_each_expert_counts_the_tokens_that_it_got() -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(9, 2, 5)).astype(np.float32)
    chosen = np.array([random.permutation(4)[:2] for _ in range(9)], np.int32)  # of 5, so that the last one gets none
    sums, counts = by_expert(values, chosen, 5)
    for expert in range(5):
        mine = [values[t, p] for t in range(9) for p in range(2) if chosen[t, p] == expert]
        assert counts[expert] == len(mine)
        assert np.allclose(sums[expert], np.square(np.array(mine, np.float64)).sum(axis=0) if mine else 0)
    found = means(sums, counts).reshape(5, 5)
    assert np.allclose(found[:4], sums[:4] / counts[:4, None])
    assert (found[4] == 1).all()  # weighs all columns the same


def test_one_input_for_all_chosen_experts() -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 1, 3)
    sums, counts = by_expert(values, np.array([[0, 1], [1, 2]], np.int32), 3)
    assert sums.tolist() == [[0, 1, 4], [9, 17, 29], [9, 16, 25]]
    assert counts.tolist() == [1, 2, 1]


def test_a_plain_matrix_is_one_expert() -> None:
    values = np.ones((4, 1, 2), np.float32)
    assert means(*by_expert(values, np.zeros((4, 1), np.int32), 1)).tolist() == [1, 1]


def test_numbers_are_read_where_they_lie() -> None:
    wide = np.arange(40, dtype=np.int32).reshape(5, 8)
    chosen = wide[:, :2]  # the first of a sorted row, as ggml's top-k is
    assert (numbers_of(tensor(chosen), np.int32)[0, 0] == chosen).all()
    cube = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    assert (numbers_of(tensor(cube), np.float32)[0] == cube).all()
