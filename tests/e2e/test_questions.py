"""A real language model asked questions of its own text, in llama.cpp and OpenVINO; gates on them; bad ones refused."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import candidates, report, run_strop

STORIES = Path(__file__).parent.parent / "data" / "stories260k"
ASKED = ("--data", STORIES / "eval.txt", "--threads", 1, "--eval-tokens", 1024, "--prompt-tokens", 16, "--output-tokens", 4)


def cloze(folder: Path, count: int = 60) -> Path:
    """The last word of sentences of the text among three words of other sentences; every fourth asked for exactly."""
    text = (STORIES / "eval.txt").read_text()
    sentences = [m.group().split() for m in re.finditer(r"[A-Z][A-Za-z ]{25,90}(?=\.)", text)][:count]
    lines = []
    for number, words in enumerate(sentences):
        told: dict[str, object] = {"prompt": " ".join(words[:-1]), "answer": words[-1]}
        if number % 4:
            others = [sentences[(number + step) % len(sentences)][-1] for step in (3, 7, 11)]
            told["choices"] = sorted({words[-1], *others})
        lines.append(json.dumps(told))
    path = folder / "questions.jsonl"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copy = tmp_path / "stories"
    shutil.copytree(STORIES, copy, ignore=shutil.ignore_patterns("eval.txt"))
    return copy


def test_questions_through_the_frameworks(tmp_path: Path, folder: Path, own_environments: Callable[..., None]) -> None:
    """For a device that is elsewhere: built and judged, nothing is timed."""
    fast = ["llamacpp"] if shutil.which("npm") is not None else []
    own_environments("transformers", "openvino", *fast)
    recipes = ["openvino-f32", "openvino-int4-mixed", *(["gguf-f32", "gguf-q4-0-im"] if fast else [])]
    done = run_strop(
        tmp_path, "optimize", folder, *ASKED, "--questions", cloze(tmp_path), "--must", "task_accuracy>=0.3",
        *(part for name in recipes for part in ("--recipe", name)), "--target", "intel-core-ultra-7-258v", "--budget", "none",
    )  # fmt: skip
    assert done.code == 0, done.err
    found = report(tmp_path)
    of = candidates(found)
    quality = {name: of[name]["measurement"]["quality"] for name in ("transformers-fp32", *recipes) if of[name]["measurement"]}
    base = quality["transformers-fp32"]
    assert base["task_accuracy"]["value"] > 0.4, "far from guessing"
    assert base["task_retained"]["value"] == 1
    for name in (n for n in ("openvino-f32", "gguf-f32") if n in quality):
        assert quality[name]["task_accuracy"]["value"] == base["task_accuracy"]["value"], name
        assert quality[name]["kl"]["value"] < 1e-5
    gates = {g["gate"]: g["kind"] for g in of["openvino-f32"]["gates"]}
    assert gates["task_accuracy ≥ 0.3"] == gates["task_retained ≥ 0.95"] == "must"
    assert "questions right" in (tmp_path / "strop-out" / "latest" / "report.md").read_text()
    assert "--questions" in found["reproduce"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"prompt": "Once"}', "line 1: `answer` is no text"),
        ('{"prompt": "Once", "choices": ["a", "b"], "answer": "c"}', "`answer` is none of the `choices`"),
        ("\n", "no question in it"),
        ('{"prompt": "' + "Once upon a time " * 300 + '", "answer": "x"}', "beyond the 512 of a window"),
    ],
)
def test_what_is_no_question_is_refused_in_one_line(
    tmp_path: Path, folder: Path, own_environments: Callable[..., None], text: str, said: str
) -> None:
    own_environments("transformers")
    (tmp_path / "q.jsonl").write_text(text)
    done = run_strop(tmp_path, "optimize", folder, *ASKED, "--questions", "q.jsonl")
    assert done.code == 4, done.err
    assert said in " ".join(done.err.split())
    assert "Traceback" not in done.err
