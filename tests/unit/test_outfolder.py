"""Which folder a result goes to: named after the model; never in the place of another model's or a better result."""

from pathlib import Path

import pytest

from strop.core.budget import BudgetUse, Saving
from strop.core.errors import OutputError
from strop.core.standing import Standing, standing_of, why_worse
from strop.run.outfolder import choose_out, default_out, link_latest, model_name, require_writable
from strop.run.request import make_request
from strop.store.output import Record, rewrite

from .test_report import outcome, result

GOOD = Standing(bundle=True, asked=("valid", "speedup ≥ 2"), passed=("valid", "speedup ≥ 2"))
MISSED = GOOD.model_copy(update={"passed": ("valid",)})
UNTIMED = GOOD.model_copy(update={"timed": False})
NOTHING = Standing(bundle=False, asked=GOOD.asked)


@pytest.mark.parametrize(
    ("new", "old", "worse"),
    [
        (NOTHING, MISSED, "no bundle"),
        (NOTHING, NOTHING, ""),
        (MISSED, GOOD, "does not pass speedup ≥ 2"),
        (UNTIMED, GOOD, "could not be timed"),
        (GOOD, MISSED, ""),
        (UNTIMED, NOTHING, ""),
        (Standing(bundle=True, asked=("valid",), passed=("valid",)), GOOD, ""),  # a gate that is not asked for is not missed
    ],
)
def test_a_bundle_then_gates_then_timing_decide(new, old, worse):
    assert worse in why_worse(new, old)
    assert bool(worse) == bool(why_worse(new, old))
    assert why_worse(new, new) == ""


NO_SELF = BudgetUse(asked=30.0, seconds=30.0, left_out=(Saving(what="self-comparison"),))


@pytest.mark.parametrize(
    ("chosen", "confirmed", "itself", "budget", "timed"),
    [
        ("fast", True, True, None, True),
        ("fast", True, False, NO_SELF, True),  # the budget left the baseline against itself out
        ("fast", False, False, NO_SELF, False),  # a rough figure of the search
        ("plain", True, True, None, True),
        ("plain", True, False, NO_SELF, True),
        ("plain", True, False, None, False),  # too busy
        (None, True, False, None, False),
    ],
)
def test_a_result_is_timed_by_what_its_choice_rests_on(chosen, confirmed, itself, budget, timed):
    fast = result("fast", 3.0)
    if not confirmed:
        fast = fast.model_copy(update={"search": fast.confirmation, "confirmation": None})
    found = outcome(fast, chosen=chosen)
    noise = found.noise.model_copy(update={"speedup": found.noise.speedup if itself else None})
    assert standing_of(found.model_copy(update={"noise": noise, "budget": budget})).timed == timed


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Delivers a result and says where it went."""
    monkeypatch.chdir(tmp_path)

    def deliver(model="a/kws.onnx", run="one", digest="d1", standing=GOOD, target="this-machine", **flags):
        request = make_request(model, **flags)
        require_writable(request)
        about = Record(run=run, model=str(tmp_path / model), digest=digest, target=target, standing=standing)
        found = choose_out(request, about)
        rewrite(found.folder, about, lambda draft: (draft / "report.html").write_text(run))
        return str(found.folder), found.why

    return deliver


def test_a_model_is_called_like_its_file_or_its_folder(tmp_path):
    (tmp_path / "whisper.v2").mkdir()
    assert model_name(str(tmp_path / "whisper.v2")) == "whisper.v2"
    assert model_name("here/kws.onnx") == "kws"
    assert model_name("resnet/model.onnx") == "resnet"
    assert default_out("kws.onnx") == Path("strop-out/kws")
    assert default_out("kws.onnx", "raspberry-pi-5") == Path("strop-out/kws-raspberry-pi-5")
    assert default_out("kws.onnx", "boxes/mine.toml") == Path("strop-out/kws-mine")
    assert default_out("latest.onnx") != Path("strop-out/latest")


def test_two_models_of_one_name_do_not_replace_each_other(place):
    assert place() == ("strop-out/kws", "")
    folder, why = place("b/kws.onnx", "two", "d2")
    assert folder == "strop-out/kws-2"
    assert "a/kws.onnx" in why
    assert place("a/kws.onnx", "three", "new weights")[0] == "strop-out/kws"
    assert place("moved/kws.onnx", "four", "d2")[0] == "strop-out/kws-2"
    assert place("c/kws.onnx", "five", "d3")[0] == "strop-out/kws-3"
    assert place(run="six", target="raspberry-pi-5")[0] == "strop-out/kws-4"


def test_a_worse_result_goes_beside_unless_it_is_to_replace(place):
    place()
    folder, why = place(run="two", standing=NOTHING)
    assert folder == "strop-out/kws-2"
    assert why == "strop-out/kws holds a better result, of run one: the new one has no bundle; --replace puts it there"
    assert place(run="three", standing=UNTIMED)[0] == "strop-out/kws-2"  # no worse than what is there
    assert place(run="one") == ("strop-out/kws", "")
    assert place(run="four", standing=MISSED, replace=True) == ("strop-out/kws", "")


def test_the_files_of_one_recipe_do_not_replace_a_result(place):
    assert place(out="mine") == ("mine", "")
    why = "mine holds the result of run one; --replace puts it there"
    assert place(run="build", standing=None, out="mine") == ("mine-2", why)
    assert place(run="build again", standing=None, out="mine") == ("mine-2", why)  # nor is one beside it
    assert place(run="build", standing=None, out="mine", replace=True) == ("mine", "")
    assert place(run="two", out="mine") == ("mine", "")


def test_a_named_folder_is_taken_as_it_is(place, tmp_path):
    assert place(out="mine")[0] == "mine"
    assert place("b/other.onnx", "two", "d2", out="mine") == ("mine", "")
    assert place(run="three", standing=NOTHING, out="mine")[0] == "mine-2"
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.txt").write_text("")
    with pytest.raises(OutputError, match="not made by Strop"):
        place(out="thesis")
    (tmp_path / "strop-out" / "kws").mkdir(parents=True)
    (tmp_path / "strop-out" / "kws" / "mine.txt").write_text("")
    assert place() == ("strop-out/kws-2", "strop-out/kws was not made by Strop")


def test_a_second_command_leaves_a_delivery_in_progress_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    request = make_request("a/kws.onnx", out="mine")

    def slow(draft):
        (draft / "report.html").write_text("new")
        require_writable(request)  # another command, which has just begun
        assert (draft / "report.html").read_text() == "new"

    rewrite(Path("mine"), Record(run="one"), slow)
    assert Path("mine/report.html").read_text() == "new"


def test_what_a_killed_delivery_left_goes_before_the_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    left = tmp_path / ".partial-mine-0123abcd"
    left.mkdir()
    (left / "report.html").write_text("half")
    require_writable(make_request("a/kws.onnx", out="mine"))
    assert not left.exists()


def test_what_the_first_version_left_in_strop_out_stays(place, tmp_path):
    (tmp_path / "strop-out").mkdir()
    for name in (".strop-output", "report.html"):
        (tmp_path / "strop-out" / name).write_text("kws-12345678\n")
    assert place()[0] == "strop-out/kws"
    assert (tmp_path / "strop-out" / "report.html").read_text() == "kws-12345678\n"


@pytest.mark.parametrize("out", [".", "/", "/proc"])
def test_what_cannot_be_replaced_is_refused_before_the_work(place, out):
    with pytest.raises(OutputError):
        place(out=out)


def test_latest_links_to_the_newest_and_leaves_what_the_user_has_there(place, tmp_path):
    place()
    for name in ("kws", "other"):
        link = link_latest(Path("strop-out") / name)
        assert (link, Path(link).readlink()) == ("strop-out/latest", Path(name))
    Path("strop-out/latest").unlink()
    Path("strop-out/latest").mkdir()
    assert link_latest(Path("strop-out/kws")) == ""
    assert not Path("strop-out/latest").is_symlink()
