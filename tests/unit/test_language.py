"""Language models: windows of a text, losses and divergences by hand, the gates and recipes that they get."""

import json
from pathlib import Path

import numpy as np
import pytest
from texts import DataError, prepare_tokens
from token_lane import TokenLane
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from strop.backends.llamacpp import spec as llamacpp
from strop.backends.mlx import spec as mlx
from strop.core.backend import without_extra
from strop.core.gate import DEFAULT_GATES, for_language, parse_gate
from strop.core.metrics import mean_interval, perplexity
from strop.core.model import Model
from strop.core.task import Language, Task

from .makers import model, target, task

WORDS = ["<s>", "a", "cat", "dog", "sat"]


@pytest.fixture
def tokenizer(tmp_path: Path) -> str:
    """Words by their place; `<s>` in front."""
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="a"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    made.save(str(tmp_path / "tokenizer.json"))
    return str(tmp_path / "tokenizer.json")


def prepared(folder: Path, tokenizer: str, text: str, window: int = 4, most: int = 100, vocabulary: int = 5) -> np.ndarray:
    (folder / "t.txt").write_text(text)
    prepare_tokens(str(folder / "t.txt"), tokenizer, window, most, vocabulary, str(folder))
    return np.load(folder / "tokens.npy")


def test_windows_begin_with_the_token_that_the_tokenizer_puts_there(tmp_path: Path, tokenizer: str) -> None:
    found = prepared(tmp_path, tokenizer, "cat dog sat cat dog sat cat")
    assert found.tolist() == [[0, 2, 3, 4], [0, 2, 3, 4]]
    assert found.dtype == np.int32
    assert len(prepared(tmp_path, tokenizer, "cat dog sat " * 50, most=9)) == 3


@pytest.mark.parametrize(
    ("text", "vocabulary", "said"),
    [("cat", 5, "1 tokens fill no window of 3"), ("cat dog sat", 3, "token 4 is beyond the model's vocabulary of 3")],
)
def test_a_text_that_cannot_be_used(tmp_path: Path, tokenizer: str, text: str, vocabulary: int, said: str) -> None:
    with pytest.raises(DataError, match=said):
        prepared(tmp_path, tokenizer, text, vocabulary=vocabulary)


def test_no_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {}}))
    with pytest.raises(DataError, match="not a tokenizer"):
        prepared(tmp_path, str(tmp_path / "tokenizer.json"), "cat")


class Bigrams:
    """A language model whose next token depends on the last one only: logits are a row of a table."""

    def __init__(self, table: np.ndarray, cache: str = "f32") -> None:
        self.table, self.properties, self.steps = table, {"cache": cache}, list[int]()

    def reset(self) -> None:
        self.steps.append(0)

    def step(self, tokens: np.ndarray, want: str = "last") -> np.ndarray:
        self.steps[-1] += len(tokens)
        found = self.table[np.asarray(tokens)].astype(np.float32)
        return found if want == "all" else found[-1:]


class Work:
    """A child side that opens it."""

    def __init__(self, session: Bigrams) -> None:
        self.session = session

    def open(self, _path: str, _settings: dict[str, object]) -> Bigrams:
        return self.session


def lane(folder: Path, session: Bigrams, tokens: np.ndarray) -> TokenLane:
    np.save(folder / "tokens.npy", tokens)
    (folder / "m.gguf").write_bytes(b"")
    language = Language(prompt=2, output=1, chunk=2).model_dump()
    return TokenLane(Work(session), str(folder / "m.gguf"), {}, {"tokens": str(folder / "tokens.npy")}, language=language)


def test_losses_and_divergences_by_hand(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    tables = rng.standard_normal((2, 5, 5))
    tokens = rng.integers(0, 5, (3, 6)).astype(np.int32)
    logs = tables - np.log(np.exp(tables).sum(axis=2, keepdims=True))
    folders = [tmp_path / name for name in ("base", "mine")]
    for folder in folders:
        folder.mkdir()
    base = lane(tmp_path, Bigrams(tables[0]), tokens).evaluate(str(folders[0]))
    mine = lane(tmp_path, Bigrams(tables[1], cache="f16"), tokens).evaluate(str(folders[1]), str(folders[0]))
    assert set(base["shards"]) == {"nll"}
    assert set(mine["shards"]) == {"nll", "kl", "same_top"}
    given, next_ = tokens[:, :-1], tokens[:, 1:]
    np.testing.assert_allclose(np.load(folders[0] / "nll.npy"), -logs[0][given, next_], rtol=1e-5)
    np.testing.assert_allclose(np.load(folders[1] / "nll.npy"), -logs[1][given, next_], rtol=1e-5)
    divergence = (np.exp(logs[0]) * (logs[0] - logs[1])).sum(axis=1)
    np.testing.assert_allclose(np.load(folders[1] / "kl.npy"), divergence[given], rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(np.load(folders[1] / "same_top.npy"), (logs[0].argmax(1) == logs[1].argmax(1))[given])


def test_a_request_is_the_prompt_and_then_a_token_at_a_time(tmp_path: Path) -> None:
    session = Bigrams(np.eye(5))
    timed = lane(tmp_path, session, np.zeros((2, 6), np.int32))
    session.steps.clear()
    timed.call(0)
    assert session.steps == [3]
    apart = timed.phases(2)
    assert (len(apart["prompt_ns"]), len(apart["token_ns"])) == (2, 2)


def test_perplexity_is_paired_by_window() -> None:
    base = np.log([[2.0, 2.0], [8.0, 8.0]])
    found = perplexity(base + np.log(1.1), base)
    assert found.value == pytest.approx(4 * 1.1)
    assert found.retained is not None
    assert found.retained.value == pytest.approx(1 / 1.1)
    assert found.retained.high - found.retained.low < 1e-9  # every window lost alike
    assert mean_interval(np.array([[1.0, 3.0], [2.0, 2.0]])).value == 2.0


def test_language_models_have_gates_of_their_own() -> None:
    names = [gate.metric for gate in for_language(DEFAULT_GATES)]
    assert names[-2:] == ["same_top", "kl"]
    mine = parse_gate("kl<=0.5", "must")
    assert [g for g in for_language((mine,)) if g.metric == "kl"] == [mine]


def llm() -> Model:
    return model("hf").model_copy(update={"family": "llm", "reader": "transformers"})


def language_task() -> Task:
    return task().model_copy(update={"language": Language(context=256), "metric": "perplexity"})


def test_gguf_types_are_offered_from_safe_to_bold() -> None:
    recipes = [o.recipe for o in llamacpp.offer(llm(), target(), language_task()) if o.recipe is not None]
    assert [r.name for r in recipes][:3] == ["gguf-f32", "gguf-f16", "gguf-q8-0"]
    assert [r.safety for r in recipes] == sorted(r.safety for r in recipes)
    assert all(r.settings["context"] == 256 for r in recipes)
    assert {r.settings["cache"] for r in recipes} == {"f32", "f16"}


def test_mlx_is_offered_from_safe_to_bold() -> None:
    recipes = [o.recipe for o in mlx.offer(llm(), target(), language_task()) if o.recipe is not None]
    assert [r.name for r in recipes] == [
        "mlx-fp32", "mlx-fp16", "mlx-8bit-g64", "mlx-6bit-g64", "mlx-4bit-g32", "mlx-4bit-g64", "mlx-4bit-g128",
    ]  # fmt: skip
    assert [r.safety for r in recipes] == sorted(r.safety for r in recipes)
    assert min(recipes, key=lambda r: r.turn).name == "mlx-4bit-g64"
    assert all(r.settings == {"context": 256} for r in recipes), "MLX has no setting for threads"
    assert recipes[0].turn == max(r.turn for r in recipes), "a check comes last"


def test_mlx_says_that_its_speed_counts_on_apple_only() -> None:
    for system, doubtful in (("Linux", True), ("Darwin", False), ("macOS", False)):
        device = target().model_copy(update={"os": system})
        recipes = [o.recipe for o in mlx.offer(llm(), device, language_task()) if o.recipe is not None]
        assert {bool(r.unrepresentative) for r in recipes} == {doubtful}


def test_a_requirement_with_an_extra_is_of_a_distribution() -> None:
    assert [without_extra(p) for p in mlx.BACKEND.runtime_packages] == ["mlx", "mlx-lm", "transformers", "numpy"]
