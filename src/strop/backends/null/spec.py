"""The null backend's parent side: it offers whatever modes the null model lists."""

from collections.abc import Sequence
from pathlib import Path

from strop.core.backend import Backend
from strop.core.model import Model
from strop.core.noun import Scalar
from strop.core.recipe import Offer, Recipe, Step
from strop.core.target import Target
from strop.core.task import Task

HERE = Path(__file__).parent
NAME = "null"
FACTORS = {"fast": 0.4, "faster": 0.3, "same": 1.0, "foreign": 0.2}
TIMED_AFTER = 300
"""`lying` and `stuck` answer honestly this often: they pass an accuracy run of 200 examples, and are caught while timed."""


def offer(model: Model, _target: Target, _task: Task) -> Sequence[Offer]:
    """A reference and a variant of it, then one recipe for each mode in the model's `offers`."""
    if model.artifact.kind != NAME:
        return [Offer(name="null", refused="runs null models only")]
    offers = [
        _offer("plain", "the given null model", Recipe(name="plain", runtime=NAME, role="reference")),
        _offer("idle", "with pauses", Recipe(name="idle", runtime=NAME, settings={"factor": 1.2}, role="baseline-variant")),
    ]
    modes = model.traits.get("modes", [])
    for mode in modes if isinstance(modes, list) else []:
        kind, _, place = mode.partition("-")
        large = kind == "large"  # as many as are wanted: large-1, large-2, …, each 2 % faster than the one before
        step = Step(
            stage="quantize", builder=NAME, name="derive", consumes=NAME, produces=NAME,
            params={
                "mode": kind if large else "honest" if mode in FACTORS else mode,
                "factor": 0.98 ** int(place) if large else FACTORS.get(mode, 1.0),
                "after": TIMED_AFTER if mode in ("lying", "stuck") else 0,
            },
        )  # fmt: skip
        doubt = "it is made for another machine" if mode == "foreign" else ""
        recipe = Recipe(name=mode, runtime=NAME, steps=(step,), safety=1, follows_baseline=True, unrepresentative=doubt)
        offers.append(_offer(mode, f"mode {mode}", recipe))
    return offers


def _offer(name: str, reason: str, recipe: Recipe) -> Offer:
    return Offer(name=name, reason=reason, recipe=recipe)


def serve(settings: dict[str, Scalar], _target: Target, streams: int) -> dict[str, Scalar]:
    """As many sessions side by side."""
    return {**settings, "streams": streams}


BACKEND = Backend(
    name=NAME,
    hidden=True,
    work=HERE / "work.py",
    runner=HERE / "runner.py",
    runs=(NAME,),
    offer=offer,
    reads=((".null", NAME),),
    packages=("numpy",),
    runtime_packages=("numpy",),
    serve=serve,
)
