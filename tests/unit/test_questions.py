"""Questions of a language model: read with care, split where the choices part, answered by likelihood."""

import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from strop.core.gate import DEFAULT_GATES, for_language, parse_gate
from strop.core.metrics import answered, chance_of
from strop_child.questions import ROWS, TOKENS, answer_questions, write_questions
from strop_child.texts import DataError

WORDS = ("<s>", "<unk>", "the", "cat", "sat", "slept", "on", "mat")
CHOICE = {"prompt": "the cat", "choices": ["sat on mat", "slept"], "answer": 1}


@pytest.fixture
def tokenizer() -> Tokenizer:
    made = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return made


def asked(folder: Path, tokenizer: Tokenizer, *lines: object, room: int = 16) -> dict[str, int]:
    source = folder / "q.jsonl"
    source.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return write_questions(str(source), tokenizer, room, len(WORDS), str(folder))


def test_rows_of_choices_and_of_an_exact_answer(tmp_path: Path, tokenizer: Tokenizer) -> None:
    exact = {"prompt": "the cat sat on the", "answer": "mat"}
    assert asked(tmp_path, tokenizer, CHOICE, "", exact) == {"questions": 2, "rows": 3}
    rows, ids = np.load(tmp_path / ROWS), np.load(tmp_path / TOKENS)
    assert rows.tolist() == [[0, 6, 3, 0, 0], [6, 4, 3, 0, 1], [10, 7, 6, 1, 1]]
    assert ids[:6].tolist() == [0, 2, 3, 4, 6, 7], "the begin token, the prompt, the choice"


def test_choices_by_text_and_by_a_common_beginning(tmp_path: Path, tokenizer: Tokenizer) -> None:
    asked(tmp_path, tokenizer, {"prompt": "the", "choices": ["cat sat", "cat slept"], "answer": "cat slept"})
    rows = np.load(tmp_path / ROWS)
    assert rows[:, 2].tolist() == [2, 2], "the prompt's tokens; what the choices share is of the choices"
    assert rows[:, 4].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 1: not readable JSON"),
        ({**CHOICE, "prompt": "\ud800"}, "prompt: an unpaired surrogate"),
        ([1], "no object"),
        ({**CHOICE, "reason": "x"}, "unknown key 'reason'"),
        ({"prompt": " ", "answer": "x"}, "`prompt` is no text"),
        ({"prompt": "the"}, "`answer` is no text"),
        ({**CHOICE, "choices": ["sat"]}, "not at least two texts"),
        ({**CHOICE, "choices": ["sat", ""]}, "not all texts"),
        ({**CHOICE, "choices": ["sat", "sat"]}, "one twice"),
        ({**CHOICE, "answer": 2}, "no number of a choice"),
        ({**CHOICE, "answer": True}, "no number of a choice"),
        ({**CHOICE, "answer": "mat"}, "none of the `choices`"),
        ({"prompt": "the " * 20, "answer": "cat"}, "beyond the 16 of a window"),
        ("", "no question in it"),
    ],
)
def test_what_is_no_question_is_refused_by_line(tmp_path: Path, tokenizer: Tokenizer, line: object, said: str) -> None:
    with pytest.raises(DataError, match=said):
        asked(tmp_path, tokenizer, line)


def test_a_token_beyond_the_vocabulary(tmp_path: Path, tokenizer: Tokenizer) -> None:
    tokenizer.add_tokens(["dog"])
    with pytest.raises(DataError, match="beyond the vocabulary of 8"):
        asked(tmp_path, tokenizer, {"prompt": "the", "answer": "dog"})


def test_the_likelihood_is_of_the_continuation_alone(tmp_path: Path, tokenizer: Tokenizer) -> None:
    """A model that always expects the next id in the vocabulary."""
    asked(tmp_path, tokenizer, CHOICE, {"prompt": "the", "answer": "cat sat"}, {"prompt": "the", "answer": "cat slept"})

    def window(ids: np.ndarray) -> np.ndarray:
        log = np.full((len(ids) - 1, len(WORDS)), np.log(0.1 / (len(WORDS) - 1)), np.float32)
        log[np.arange(len(ids) - 1), (ids[:-1] + 1) % len(WORDS)] = np.log(0.9)
        return log

    rows = np.load(tmp_path / ROWS)
    found = answer_questions(window, rows, np.load(tmp_path / TOKENS))
    rare = np.log(0.1 / 7)
    assert found["likelihood"] == pytest.approx([2 * np.log(0.9) + rare, rare, 2 * np.log(0.9), np.log(0.9) + rare], rel=1e-5)
    assert found["greedy"].tolist() == [0, 0, 1, 0]
    assert answered(found["likelihood"], found["greedy"], rows).tolist() == [True, True, False]
    assert chance_of(rows) == pytest.approx(0.5 / 3)


def test_a_space_more_makes_no_other_choice(tmp_path: Path, tokenizer: Tokenizer) -> None:
    with pytest.raises(DataError, match="one twice"):
        asked(tmp_path, tokenizer, {"prompt": "the", "choices": ["cat", " cat"], "answer": 0})


def test_a_tie_with_a_wrong_choice_is_no_answer() -> None:
    rows = np.array([[0, 1, 1, 0, 1], [0, 1, 1, 0, 0]])
    assert answered(np.array([-1.0, -1.0]), np.zeros(2), rows).tolist() == [False]
    assert answered(np.array([-1.0, -1.1]), np.zeros(2), rows).tolist() == [True]


def test_what_holds_for_accuracy_holds_for_questions() -> None:
    plain = {str(g): g.kind for g in for_language(DEFAULT_GATES, questions=True)}
    assert plain["task_retained ≥ 0.95"] == "must"
    assert not any("task" in str(g) for g in for_language(DEFAULT_GATES))
    own = (*DEFAULT_GATES, parse_gate("task_retained>=0.8", "goal"))
    assert [str(g) for g in for_language(own, questions=True) if g.metric == "task_retained"] == ["task_retained ≥ 0.8"]


def test_a_gate_on_the_perplexity_ratio_replaces_the_default_on_its_inverse() -> None:
    own = (*DEFAULT_GATES, parse_gate("perplexity_ratio<=1.2", "must"))
    assert not [g for g in for_language(own) if g.metric == "accuracy_retained"]
    stricter = (*(g for g in own if g.metric != "accuracy_retained"), parse_gate("accuracy_retained>=0.99", "must"))
    assert [g.bound for g in for_language(stricter) if g.metric == "accuracy_retained"] == [0.99]
