"""`Outcome`: what a whole run found, and what the report is made from."""

from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field

from strop.core import shown
from strop.core.budget import BudgetUse
from strop.core.candidate import Result, Timing
from strop.core.choose import Choice
from strop.core.inspection import Advice
from strop.core.measurement import Clock, Company, Environment
from strop.core.model import Model
from strop.core.noun import Noun
from strop.core.prospects import Prospect, Untimed
from strop.core.recipe import Offer
from strop.core.target import Target
from strop.core.task import Task
from strop.core.verdict import Gate, Interval


class Noise(Noun):
    """The tuned baseline against itself: what this machine makes of no difference at all. clock: what `speedup` is taken by."""

    speedup: Interval | None
    clock: Clock = "wall time"
    half_width: float | None
    excluded: float
    memory_resolution_bytes: float
    rough: Interval | None = None
    latency_ms: dict[str, float] = {}
    """Percentiles of the baseline's calls there."""


class CleanUp(Noun):
    """What taking out an export's faults brings by itself, nothing quantized: `name` over the given file under the same settings.

    `taken` says whether the tuned baseline is so cleaned up, so that no speed-up over it counts that as a gain. `faults` are the
    names of rules in `export.toml`.
    """

    name: str
    speedup: Interval | None
    clock: Clock = "wall time"
    rough: Interval | None = None
    taken: bool
    faults: tuple[str, ...] = ()


class Outcome(Noun):
    """The result of `optimize`. `baseline` names the tuned baseline, the denominator of speed and memory. `as_is` names the model
    as its runtime runs it by default; of a language model, as PyTorch runs it, where another runtime gives the baseline.
    `reference` names the one whose answers all others were compared with; empty where that is the baseline.

    `place` is `here` where the target is this machine; elsewhere its speed, memory and energy are not measured, and imitated
    means that this machine was held to what the target has, as `held_to` says. `bundle_name` is the bundle's folder within
    the run's;
    `delivered` is the folder that the user was given it in, which is not stored; `report` and `bundle` are in that.
    `prospects` are faster than the choice, but a
    must on their answers stays open; `untimed` are settings of the baseline that may be faster than the tuned one.
    """

    run: str
    outcome: Literal["chosen", "provisional", "none"]
    model: Model
    task: Task
    gates: tuple[Gate, ...]
    weights: dict[str, float]
    offers: tuple[Offer, ...]
    results: tuple[Result, ...]
    baseline: str
    as_is: str | None
    choice: Choice | None
    against_as_is: Interval | None
    against_best_unquantized: Interval | None
    best_unquantized: str
    frontier: tuple[str, ...]
    noise: Noise
    environment: Environment
    timing: dict[str, float]
    notes: tuple[str, ...]
    batches: dict[int, Timing] = {}
    target: Target | None = None
    advice: Advice | None = None
    place: Literal["here", "imitated", "elsewhere"] = "here"
    held_to: str = ""
    company: Company | None = None
    """Who else used the machine when the run began; None where nobody did."""
    bundle_name: str = Field("bundle", alias="bundle")
    delivered: str = Field("", exclude=True)
    reference: str = ""
    prospects: tuple[Prospect, ...] = ()
    untimed: tuple[Untimed, ...] = ()
    budget: BudgetUse | None = None
    cleanup: CleanUp | None = None

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)

    def __repr__(self) -> str:
        return shown.line(self)

    __str__ = __repr__

    def _repr_html_(self) -> str:
        return shown.table(self)

    def to_pandas(self) -> Any:
        """All candidates as a pandas.DataFrame, a row each; ratios with their intervals, None where unmeasured.

        Raises:
            UsageError: pandas is not installed.
        """
        return shown.frame(self)

    @property
    def report(self) -> Path | None:
        """The page in the output folder; None for an outcome that was read from the store."""
        return Path(self.delivered) / "report.html" if self.delivered else None

    @property
    def bundle(self) -> Path | None:
        """The bundle in the output folder; None where nothing was chosen, or the outcome was read from the store."""
        return Path(self.delivered) / "bundle" if self.delivered and self.chosen is not None else None

    def result(self, name: str) -> Result:
        return next(r for r in self.results if r.name == name)

    @property
    def quality_reference(self) -> str:
        """Name of the one whose answers all others were compared with."""
        return self.reference or self.baseline

    @property
    def chosen(self) -> Result | None:
        return self.result(self.choice.name) if self.choice is not None and self.outcome != "none" else None
