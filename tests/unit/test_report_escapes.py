"""Names and texts of anybody's end as text in the reports: no heading, cell, tag, link or fence of theirs, and nothing steers."""

import itertools
import json
import re

from strop.bundle.card import model_card
from strop.core.candidate import Candidate
from strop.core.foreign import cleaned
from strop.core.model import TensorSpec
from strop.core.recipe import Offer
from strop.report.evidence import Evidence
from strop.report.render.html import page
from strop.report.render.markdown import markdown

from .makers import recipe
from .test_report import BROKEN, outcome, result

FOREIGN = "a|b\n# FOREIGN heading\n```\n<img src=x> [link](http://x) ![i](http://y) \x1b[2J\u202e \\| c"


def lines_outside_fences(text: str) -> list[str]:
    """Without blocks of code; a fence is closed by one as long."""
    found, fence = [], ""
    for line in text.splitlines():
        run = re.match(r"`{3,}", line)
        if fence:
            fence = "" if line == fence else fence
        elif run:
            fence = run.group()
        else:
            found.append(line)
    assert not fence
    return found


def check(text: str) -> None:
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
    outside = lines_outside_fences(text)
    assert not [line for line in outside if line.startswith("# FOREIGN")]
    assert not [line for line in outside if "<img" in line or "](http" in line]
    for above, line in itertools.pairwise(outside):
        if above.startswith("|") and line.startswith("|"):
            assert cells(above) == cells(line), line


def cells(line: str) -> int:
    return len(re.findall(r"(?:\\.|[^|\\])*\|", line))


def test_the_report_and_the_card_hold_foreign_texts_as_texts() -> None:
    bad = BROKEN.model_copy(update={
        "candidate": Candidate(recipe=recipe(FOREIGN)), "reason": FOREIGN, "reproduce": FOREIGN,
        "failure": BROKEN.failure and BROKEN.failure.model_copy(update={"message": FOREIGN, "log_tail": FOREIGN}),
    })  # fmt: skip
    fast = result("fast", 3.0)
    fast = fast.model_copy(
        update={"candidate": fast.candidate.model_copy(update={"notes": (FOREIGN,), "claims": {FOREIGN: 1.0}})}
    )
    found = outcome(fast, chosen="fast")
    spec = TensorSpec(name=FOREIGN, dtype="float32", shape=(FOREIGN, 4))
    artifact = found.model.artifact.model_copy(update={"path": f"/models/{FOREIGN.replace('/', '_')}"})
    found = found.model_copy(update={
        "notes": (FOREIGN,), "results": (*found.results[:-1], bad), "offers": (Offer(name=FOREIGN, refused=FOREIGN),),
        "model": found.model.model_copy(update={"artifact": artifact, "inputs": (spec,), "outputs": (spec,)}),
    })  # fmt: skip
    check(markdown(found, Evidence(command=FOREIGN, missing=(FOREIGN,))))
    check(model_card(found, fast))
    shown = page(found, Evidence(command=FOREIGN, missing=(FOREIGN,)))
    assert "\x1b" not in shown and "\u202e" not in shown
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', shown)
    assert data is not None and json.loads(data[1]) == cleaned(json.loads(data[1]))
