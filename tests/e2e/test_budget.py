"""A budget is kept: what does not fit is left out and told; nothing that the budget ended is recorded as a failure."""

import json
from pathlib import Path

from conftest import DATA, candidates, null_model, run_strop


def test_a_short_budget_gives_an_answer_that_says_what_was_left_out(tmp_path: Path) -> None:
    """One candidate that never finishes building, and too little time to wait for it."""
    model = null_model(tmp_path, ["build-hang", "fast"])
    command = ("optimize", model, *DATA, "--recipe", "build-hang", "--budget", "6s", "--out", "out")
    done = run_strop(tmp_path, *command)
    assert done.code == 0, done.err
    assert "budget: 6 s" in done.err
    document = json.loads((tmp_path / "out" / "report.json").read_text())
    assert document["outcome"] == "provisional"
    strict = run_strop(tmp_path, *command, "--require-goals", "--allow-provisional")
    assert strict.code == 10
    assert "--allow-provisional does nothing" in strict.err
    hung = candidates(document)["build-hang"]
    assert (hung["status"], hung["failure"]) == ("not reached", None)
    assert "the budget ended" in hung["reason"]
    assert document["budget"]["asked"] == document["budget"]["seconds"] == 6
    assert "candidates" in {saving["what"] for saving in document["budget"]["left_out"]}
    assert any(note.startswith("To keep the budget of 6 s: ") for note in document["notes"])
    assert (tmp_path / "out" / "bundle" / "infer.py").is_file()
    assert not list(tmp_path.glob(".strop/runs/*/candidates/build-hang/candidate.json"))
