"""The page: its structure, the same facts as report.json, nothing from outside that acts, nothing that it loads."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import strop.report
from strop.core.candidate import Candidate, Failure
from strop.core.profile import Profiled
from strop.core.recipe import Offer
from strop.report.advice import percentage_points
from strop.report.evidence import NO_EVIDENCE, Answer, Curve, Evidence, Example, Examples, InputRange
from strop.report.lineage import gains
from strop.report.picture import data_uri
from strop.report.render.html import page, policy_hash
from strop.report.render.json import report
from strop.report.render.markdown import markdown
from strop.report.sections import parts
from strop.report.verdict import ordered, ratio

from .test_bottlenecks import profile
from .test_report import outcome, result

VENDOR = Path(strop.report.__file__).parent / "vendor"
MOST_BYTES = 1_500_000
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Parsed(HTMLParser):
    """Elements with their attributes, in order; text; and whether every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        elif self.open and self.open[-1] == "style":
            self.styles.append(data)
        else:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


def evidence(picture: str = "") -> Evidence:
    curve = Curve(name="fast", calls=(100, 120), percent=(1, 50, 90), baseline_ms=(1.0, 2.0, 3.0), candidate_ms=(0.5, 1.0, 1.5))
    wrong = Answer(text="cat", score=0.25, right=False)
    example = Example(index=7, label="dog", baseline=Answer(text="dog", score=0.75, right=True), candidate=wrong, picture=picture)
    return Evidence(
        curves=(curve,),
        examples=Examples(candidate="fast", compared=100, differ=1, lost=1, shown=(example,) * 12, drawing="as they are"),
        inputs=(InputRange(name="x", low=-1.5, high=2.5, mean=0.25, deviation=0.5, examples=100),),
        requirements=("numpy==2",), command="strop optimize m.null --seed 0 --fresh", missing=("a thing is gone",),
        profiles=(Profiled(candidate="fast", profile=profile(candidate="fast", first_inference_s=0.02)),
                  Profiled(candidate="other", failure=Failure(stage="profile", kind="crash", message="killed by SIGSEGV"))),
    )  # fmt: skip


@pytest.fixture(scope="module")
def found():
    return outcome(result("fast", 3.0).model_copy(update={"examples": 100}), chosen="fast")


@pytest.fixture(scope="module")
def parsed(found) -> Parsed:
    return Parsed(page(found, evidence()))


def test_sections_are_there_in_order_and_linked(parsed):
    ids = [attrs["id"] for attrs in parsed.all("section")]
    assert ids == [
        "verdict", "leaderboard", "pareto", "latency", "profile", "steps", "left-out", "gates", "environment", "against",
        "noise", "examples", "trade-offs", "deployment", "watch", "reproduce",
    ]  # fmt: skip
    assert [a["href"] for a in parsed.all("a")] == ["#main", *(f"#{one}" for one in ids)]
    every = [attrs["id"] for _, attrs in parsed.elements if "id" in attrs]
    assert len(every) == len(set(every))
    assert {attrs["aria-labelledby"] for attrs in parsed.all("section")} <= set(every)


def test_structure_serves_a_screen_reader(parsed):
    """Landmarks, one h1, headings that skip no level, captioned tables with scoped heads, text for every picture and plot."""
    assert all(len(parsed.all(tag)) == 1 for tag in ("main", "nav", "header", "footer", "h1", "title"))
    levels = [int(tag[1]) for tag, _ in parsed.elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert len(parsed.all("caption")) == len(parsed.all("table"))
    assert all(attrs.get("scope") in ("col", "row") for attrs in parsed.all("th"))
    assert all(attrs.get("alt") for attrs in parsed.all("img"))
    assert all(attrs.get("role") == "img" and attrs.get("aria-label") for attrs in parsed.all("canvas"))
    assert {attrs["for"] for attrs in parsed.all("label")} == {attrs["id"] for attrs in parsed.all("select")}
    assert ("html", {"lang": "en"}) in parsed.elements
    assert parsed.open == []


def test_page_markdown_and_json_hold_the_same_facts(found, parsed):
    given = evidence()
    document = json.loads(json.dumps(report(found, given), allow_nan=False))
    text = markdown(found, given)
    facts = [c["name"] for c in document["candidates"]] + [o["name"] for o in document["not_offered"]]
    facts += document["trade_offs"] + [w["alarm"] for w in document["watch"]] + list(document["deployment"]["needs"].values())
    facts += [*document["deployment"]["commands"], document["reproduce"], *document["notes"], *document["evidence"]["missing"]]
    found_by_rules = document["evidence"]["bottlenecks"]["fast"]
    assert [f["rule"] for f in found_by_rules] == ["first"]
    facts += [f["advice"] for f in found_by_rules] + ["other could not be profiled: profile: killed by SIGSEGV."]
    for fact in facts:
        assert fact in parsed.text, fact
        assert fact.replace("|", "\\|") in text, fact
    chosen = document["chosen"]["speedup"]
    assert ratio(found.chosen.speedup, "×") == f"{chosen['value']:.3g}× [{chosen['low']:.3g}, {chosen['high']:.3g}]"
    assert "2.9 to 3.1" in parsed.text
    assert "picture" not in document["evidence"]["examples"]["shown"][0]
    data = json.loads(next(script for script in parsed.scripts if script.startswith("{")))
    points = {p["name"]: p["axes"]["speed"] for p in data["points"]}
    assert points == {r.name: [r.speedup.value, r.speedup.low, r.speedup.high] for r in found.results if r.speedup}


def test_claims_are_shown_as_claims():
    claimed = result("fast", 3.0)
    claimed = claimed.model_copy(update={"candidate": claimed.candidate.model_copy(update={"claims": {"latency": 1.25}})})
    both = outcome(claimed, chosen="fast")
    for text in (Parsed(page(both, NO_EVIDENCE)).text, markdown(both)):
        assert "Claimed, not measured by Strop" in text
        assert "1.25" in text
    assert report(both)["candidates"][1]["claims"] == {"latency": 1.25}


def test_nothing_from_outside_acts(found):
    """A hostile model name, candidate, note, reason and log end as text."""
    broken = next(r for r in found.results if r.failure is not None)
    failure = broken.failure.model_copy(update={"message": HOSTILE, "log_tail": HOSTILE})
    recipe = broken.candidate.recipe.model_copy(update={"name": HOSTILE})
    bad = broken.model_copy(
        update={"candidate": Candidate(recipe=recipe), "failure": failure, "reason": HOSTILE, "reproduce": HOSTILE}
    )
    artifact = found.model.artifact.model_copy(update={"path": f"/models/{HOSTILE.replace('/', '_')}"})
    fast = result(HOSTILE, 3.0)
    hostile = outcome(fast, chosen=HOSTILE).model_copy(
        update={
            "model": found.model.model_copy(update={"artifact": artifact}), "notes": (HOSTILE,),
            "results": (*found.results[:1], fast, bad), "offers": (Offer(name=HOSTILE, refused=HOSTILE),),
        }
    )  # fmt: skip
    got = Parsed(
        page(hostile, evidence().model_copy(update={"command": HOSTILE, "requirements": (HOSTILE,), "missing": (HOSTILE,)}))
    )
    assert len(got.all("script")) == 4
    assert got.all("img") == []
    assert not [name for _, attrs in got.elements for name in attrs if name.startswith("on") or name == "style"]
    assert got.text.count("<script>alert(1)</script>") >= 8
    assert got.open == []
    assert json.loads(got.scripts[0])["points"][1]["name"] == HOSTILE


def test_nothing_is_loaded(found):
    """Pictures are data, links lead inside, styles name no file; the policy admits this script and style and no request."""
    got = Parsed(page(found, evidence(data_uri(np.zeros((8, 8, 3), np.uint8)))))
    for _, attrs in got.elements:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            assert (attrs.get(name) or "#").startswith(("#", "data:image/png;base64,"))
    assert "url(" not in got.styles[0] and "@import" not in got.styles[0]
    policy = next(a["content"] or "" for a in got.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy and "http" not in policy
    for text in (*got.scripts[1:], *got.styles):
        assert policy_hash(text) in policy


def test_size_is_kept_with_a_dozen_pictures(found):
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3)).astype(np.uint8)
    assert len(page(found, evidence(data_uri(noise))).encode()) < MOST_BYTES


def test_libraries_are_those_that_were_noted():
    noted = dict(reversed(line.split()) for line in re.findall(r"^[0-9a-f]{64} .*$", (VENDOR / "README.md").read_text(), re.M))
    assert noted == {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in VENDOR.glob("*.js")}
    assert base64.b64decode(policy_hash("").removeprefix("sha256-")) == hashlib.sha256(b"").digest()


def test_an_outcome_of_none_has_a_page_without_a_bundle():
    got = Parsed(page(outcome(result("slow", 0.5)), NO_EVIDENCE))
    ids = {attrs["id"] for attrs in got.all("section")}
    assert {"verdict", "leaderboard", "left-out"} <= ids
    assert not ids & {"deployment", "watch", "trade-offs", "latency", "examples"}
    assert "no version meets every must" in got.text


def test_each_section_is_a_function_of_the_run(found):
    """A file in the folder is on the page; one that has nothing to say is left out."""
    made = [part.make(found, NO_EVIDENCE) for part in parts()]
    assert None in made
    assert len({section.id for section in made if section is not None}) == sum(section is not None for section in made)


def test_order_and_points():
    both = outcome(result("slow", 0.5), result("fast", 3.0), chosen="fast")
    assert [r.name for r in ordered(both)][:3] == ["fast", "plain", "slow"]
    assert percentage_points(0.9, 0.875) == "-2.50 points"
    assert [g.name for g in gains(both)] == ["slow", "fast"]
