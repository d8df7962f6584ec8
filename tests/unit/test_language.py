"""Language models: windows of a text, losses and divergences by hand, the gates and recipes that they get."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

from strop.backends.llamacpp import spec as llamacpp
from strop.backends.mlx import spec as mlx
from strop.backends.openvino import spec as openvino
from strop.core.backend import without_extra
from strop.core.gate import DEFAULT_GATES, for_language, parse_gate
from strop.core.measurement import Check
from strop.core.metrics import mean_interval, perplexity, perplexity_error, perplexity_interval
from strop.core.model import Model
from strop.core.statistics import t_quantile
from strop.core.task import Language, Task
from strop.run.checking import CHECK
from strop.run.families.language.answers import language_quality, looks
from strop.run.families.language.calls import windows_of
from strop.run.pairing import Subject
from strop.store.store import save
from strop.worker.call import DATA_WORK
from strop_child.language import SAMPLES, LanguageSession
from strop_child.texts import DataError, decode_tokens, prepare_tokens

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


def prepared(folder: Path, tokenizer: str, text: str, window: int = 4, wanted: int = 100, vocabulary: int = 5) -> np.ndarray:
    (folder / "t.txt").write_text(text)
    prepare_tokens(str(folder / "t.txt"), tokenizer, window, wanted, vocabulary, str(folder))
    return np.load(folder / "tokens.npy")


def test_windows_begin_with_the_token_that_the_tokenizer_puts_there(tmp_path: Path, tokenizer: str) -> None:
    found = prepared(tmp_path, tokenizer, "cat dog sat cat dog sat cat")
    assert found.tolist() == [[0, 2, 3, 4], [0, 2, 3, 4]]
    assert found.dtype == np.int32
    assert len(prepared(tmp_path, tokenizer, "cat dog sat " * 50, wanted=9)) == 3


@pytest.mark.parametrize(
    ("windows", "found"),
    [
        (20, {"count": 2, "pool": 8, "spared": 3, "begin": 0}),  # as much as is wanted of everything
        (9, {"count": 2, "pool": 6, "spared": 3, "begin": 0}),  # less for a later look
        (4, {"count": 2, "pool": 2, "spared": 2, "begin": 0}),  # what is scored comes first
        (2, {"count": 2, "pool": 2, "spared": 0, "begin": 0}),
        (1, {"count": 1, "pool": 1, "spared": 0, "begin": 0}),
    ],
)
def test_a_text_is_scored_first_then_kept_then_set_apart(
    tmp_path: Path, tokenizer: str, windows: int, found: dict[str, int]
) -> None:
    text = tmp_path / "t.txt"
    text.write_text(" ".join(["cat dog sat", "dog sat cat", "sat cat dog"][i % 3] for i in range(windows)))
    assert prepare_tokens(str(text), tokenizer, 4, 6, 5, str(tmp_path), more=4, spare=3) == found
    rows = [np.load(tmp_path / name) for name in ("tokens.npy", "spare.npy")]
    assert [len(r) for r in rows] == [found["pool"], found["spared"]]
    joined = np.concatenate(rows)
    assert [list(r[1:]) for r in joined] == [[[2, 3, 4], [3, 4, 2], [4, 2, 3]][i % 3] for i in range(len(joined))]


@pytest.mark.parametrize(
    ("text", "vocabulary", "said"),
    [
        ("", 5, "0 tokens fill no window of 4"),
        ("cat sat", 5, "2 tokens fill no window of 4"),
        ("cat", 5, "1 tokens fill no window of 4, which takes 3 and the token in front"),
        ("cat dog sat", 3, "token 4, beyond the model's vocabulary of 3"),
    ],
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


def lane(folder: Path, session: Bigrams, tokens: np.ndarray, ends: tuple[int, ...] = ()) -> LanguageSession:
    np.save(folder / "tokens.npy", tokens)
    (folder / "m.gguf").write_bytes(b"")
    language = Language(prompt=2, output=1, chunk=2, ends=ends).model_dump()
    return LanguageSession(Work(session), str(folder / "m.gguf"), {}, {"tokens": str(folder / "tokens.npy")}, called=language)


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


def test_memory_is_taken_with_a_full_cache(tmp_path: Path) -> None:
    session = Bigrams(np.zeros((5, 5)))
    tokens = np.zeros((3, 100), np.int32)
    assert lane(tmp_path, session, tokens).fill() == {"tokens": 511}, "one is left, so that no runtime refuses"
    assert session.steps[-1] == 511


def test_a_further_look_goes_on_where_the_first_ended(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    tables, tokens = rng.standard_normal((2, 5, 5)), rng.integers(0, 5, (8, 6)).astype(np.int32)
    whole, parts = {}, {}
    for name, table in zip(("base", "mine"), tables, strict=True):
        for place, (first, count) in {"all": (0, 8), "check": (0, 2), "check-1": (2, 2), "check-2": (4, 4)}.items():
            folder = tmp_path / name / place
            folder.mkdir(parents=True)
            expected = None if name == "base" else str(tmp_path / "base" / place)
            raw = lane(tmp_path, Bigrams(table), tokens).evaluate(str(folder), expected, first=first, count=count)
            save(folder / CHECK, Check(shards=raw["shards"], examples=count, seconds=1.0, rough_latency_ns=1))
        whole[name] = looks(tmp_path / name / "all", 0, "nll")
        parts[name] = looks(tmp_path / name / "check", 2, "nll")
    for name in whole:
        np.testing.assert_array_equal(whole[name], parts[name])
    mine = [
        language_quality(tmp_path / "mine" / place, tmp_path, language_task(), more) for place, more in (("all", 0), ("check", 2))
    ]
    assert mine[0]["kl"].value == pytest.approx(mine[1]["kl"].value, rel=1e-6)


@pytest.mark.parametrize(("pool", "found"), [(16, [(4, 4), (8, 8)]), (10, [(4, 4), (8, 2)]), (4, [(4, 0), (8, -4)])])
def test_each_look_doubles_the_text_until_it_ends(pool: int, found: list[tuple[int, int]]) -> None:
    language = Language(pool=pool).model_dump()
    of = Subject("m", DATA_WORK, "", {}, {}, 4, 1, 1, False, Path("log"), called=language)
    assert [tuple(windows_of(of, look).values()) for look in (1, 2)] == found
    assert windows_of(of, 0) == {}


def test_a_request_is_the_prompt_and_then_a_token_at_a_time(tmp_path: Path) -> None:
    session = Bigrams(np.eye(5))
    timed = lane(tmp_path, session, np.zeros((2, 6), np.int32))
    session.steps.clear()
    timed.call(0)
    assert session.steps == [3]
    apart = timed.phases(2)
    assert {name: len(times) for name, times in apart.items()} == {"latencies_ns": 2, "prompt_ns": 2, "token_ns": 2}
    session.steps.clear()
    assert len(timed.phases(2)["token_ns"]) == 2
    assert session.steps == [3, 3], "only the session's first request is left out"


def test_a_block_of_requests_begins_with_single_tokens(tmp_path: Path) -> None:
    """A whole untimed request before each block would take as long as the block."""
    session = Bigrams(np.eye(5))
    timed = lane(tmp_path, session, np.zeros((2, 6), np.int32))
    session.steps.clear()
    found = timed.block(2)
    assert session.steps[-2:] == [3, 3]
    assert set(session.steps[:-2]) == {1}
    assert (len(found["latencies_ns"]), len(found["steps_ns"])) == (2, 2)


@pytest.mark.parametrize(
    ("ends", "late", "made", "stopped"),
    [((), 5.0, [3, 4, 0, 1], "length"), ((0,), 5.0, [3, 4], "end"), ((), 0.0, [3], "time")],
)
def test_what_a_model_writes_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: tuple[int, ...], late: float, made: list[int], stopped: str
) -> None:
    """A model that counts: after a token comes the next one."""
    monkeypatch.setattr("strop_child.language.WRITING_S", late)
    tokens = np.full((4, 8), 2, np.int32)
    (tmp_path / "check").mkdir()
    lane(tmp_path, Bigrams(np.roll(np.eye(5), 1, axis=1)), tokens, ends).evaluate(str(tmp_path / "check"))
    found = json.loads((tmp_path / "check" / SAMPLES).read_text())["samples"]
    assert found == [{"prompt": [2, 2, 2, 2], "made": made, "stopped": stopped}] * 3


def test_a_letter_that_two_tokens_make_is_read_whole(tmp_path: Path) -> None:
    made = Tokenizer(models.BPE({"a": 0, "Ã": 1, "¤": 2, "Ġ": 3}, []))
    made.decoder = decoders.ByteLevel()
    made.save(str(tmp_path / "tokenizer.json"))
    asked = [{"prompt": [0, 3, 0], "made": [3, 1, 2]}, {"prompt": [0, 1], "made": [2, 0]}, {"prompt": [0], "made": []}]
    assert decode_tokens(str(tmp_path / "tokenizer.json"), asked) == [
        {"prompt": "a a", "made": " ä"}, {"prompt": "a", "made": "äa"}, {"prompt": "a", "made": ""},
    ]  # fmt: skip


def test_the_error_of_a_perplexity_is_that_of_the_mean_loss_times_the_perplexity() -> None:
    """Two windows of perplexity 2 and 8: mean loss ln 4, its standard error ln 4 / √2 / √2 = ln 2."""
    losses = np.log([[2.0, 2.0], [8.0, 8.0]])
    assert perplexity_error(losses) == pytest.approx(4 * np.log(2))
    assert perplexity_error(losses[:1]) is None
    found, wide = perplexity_interval(losses), np.exp(t_quantile(1 - 0.05 / 6, 1) * np.log(2))  # of three looks
    assert (found.low, found.value, found.high) == pytest.approx((1, 4, 4 * wide))  # 4 / wide is less than a perplexity can be
    alone = perplexity_interval(losses[:1])
    assert (alone.low, alone.value, alone.high) == pytest.approx((2, 2, 2))


def test_figures_of_a_check(tmp_path: Path) -> None:
    """The 99th percentile is over all positions: of 0 to 100, which is 99."""
    kl = np.tile(np.arange(101.0), (2, 1))
    for name, values in (("nll", np.log([[2.0] * 101] * 2)), ("kl", kl), ("same_top", np.ones((2, 101)))):
        np.save(tmp_path / f"{name}.npy", values)
    save(tmp_path / "check.json", Check(shards={name: f"{name}.npy" for name in ("nll", "kl", "same_top")}))
    found = {name: figure.value for name, figure in language_quality(tmp_path, tmp_path, language_task()).items()}
    assert found == {
        "perplexity": pytest.approx(2),
        "kl": 50,
        "kl_p99": pytest.approx(99),
        "same_top": 1,
        "perplexity_se": pytest.approx(0),
    }
    save(tmp_path / "check.json", Check(shards={"nll": "nll.npy"}))
    alone = {name: figure.value for name, figure in language_quality(tmp_path, tmp_path, language_task()).items()}
    assert alone == {"perplexity": pytest.approx(2), "perplexity_se": pytest.approx(0), "kl": 0, "kl_p99": 0, "same_top": 1}
    np.save(tmp_path / "nll.npy", np.log([[2.0] * 101]))
    assert language_quality(tmp_path, tmp_path, language_task()) == {}, "one window says nothing of the spread"


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


@pytest.mark.parametrize(
    ("backend", "first", "caches"),
    [
        (llamacpp, ["gguf-f32", "gguf-f16", "gguf-q8-0"], {"f32", "f16", "q8_0"}),
        (openvino, ["openvino-f32", "openvino-int8"], {"f32", "f16", "u8"}),
    ],
)
def test_recipes_are_offered_from_safe_to_bold(backend: Any, first: list[str], caches: set[str]) -> None:
    recipes = [o.recipe for o in backend.offer(llm(), target(), language_task()) if o.recipe is not None]
    assert [r.name for r in recipes][: len(first)] == first
    assert [r.safety for r in recipes] == sorted(r.safety for r in recipes)
    assert all(r.settings["context"] == 256 for r in recipes)
    assert {r.settings["cache"] for r in recipes} == caches


@pytest.mark.parametrize(("backend", "name"), [(llamacpp, "gguf-q4-k-m-im"), (openvino, "openvino-int4-gptq")])
def test_what_needs_calibration_text_says_so(backend: Any, name: str) -> None:
    without = language_task().model_copy(update={"calibration": None})
    offers = {o.name: o for o in backend.offer(llm(), target(), without)}
    assert offers[name].recipe is None
    assert "give --calibration, or a longer --data" in offers[name].why
    given = without.model_copy(update={"calibration": without.evaluation})
    made = {o.name: o.recipe for o in backend.offer(llm(), target(), given)}[name]
    assert any(step.calibration for step in made.steps)


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
