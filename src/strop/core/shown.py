"""An outcome where a program or a notebook shows it: a line, a table, a data frame."""

from html import escape
from typing import TYPE_CHECKING, Any

from strop.core.candidate import Result
from strop.core.errors import UsageError
from strop.core.verdict import Interval

if TYPE_CHECKING:
    from strop.core.outcome import Outcome

MEGA = 1e6
HEAD = {
    "candidate": "candidate", "status": "status", "speedup": "speed-up", "p50_ms": "p50 ms", "accuracy": "accuracy",
    "retained": "kept", "memory_ratio": "memory ratio", "disk_mb": "MB on disk",
}  # fmt: skip
"""Columns of the table in a notebook: key of a row → its head."""


def line(outcome: "Outcome") -> str:
    """`Outcome(chosen: int8-static, 2.1× speed, 99.2 % kept, 0.4 of the memory; report: strop-out/kws/report.html)`."""
    said, chosen = f"{outcome.outcome}", outcome.chosen
    if chosen is not None:
        figures = [
            f"{chosen.speedup.value:.3g}× speed" if chosen.speedup is not None else "speed unmeasured",
            f"{chosen.retained.value:.1%} kept" if chosen.retained is not None else "",
            f"{chosen.memory_ratio.value:.2g} of the memory" if chosen.memory_ratio is not None else "",
        ]
        said = f"{said}: {chosen.name}, {', '.join(figure for figure in figures if figure)}"
    report = f"; report: {outcome.report}" if outcome.report is not None else ""
    return f"Outcome({said}; {len(outcome.results)} candidates{report})"


def rows(outcome: "Outcome") -> list[dict[str, Any]]:
    """One row a candidate; None where something is not measured."""
    return [_row(outcome, result) for result in outcome.results]


def _row(outcome: "Outcome", result: Result) -> dict[str, Any]:
    recipe, timing, artifact, load = result.candidate.recipe, result.timing, result.candidate.artifact, result.throughput
    return {
        "candidate": result.name, "chosen": outcome.chosen is not None and result.name == outcome.chosen.name,
        "baseline": result.name == outcome.baseline, "status": result.status, "reason": result.reason,
        "runtime": recipe.runtime, "precision": recipe.precision,
        **_figure("speedup", result.speedup), "clock": timing.clock if timing is not None else None,
        "p50_ms": timing.latency_ms.get("p50") if timing is not None else None,
        "per_second": load.rate.value if load is not None and load.rate is not None else None,
        "metric": outcome.task.metric, "accuracy": result.accuracy, **_figure("retained", result.retained),
        **_figure("memory_ratio", result.memory_ratio),
        "disk_mb": artifact.bytes / MEGA if artifact is not None else None,
    }  # fmt: skip


def _figure(name: str, of: Interval | None) -> dict[str, float | None]:
    if of is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: of.value, f"{name}_low": of.low, f"{name}_high": of.high}


def table(outcome: "Outcome") -> str:
    """HTML for a notebook: the line, and a row a candidate, the chosen one in bold."""

    def cell(value: Any) -> str:
        return "" if value is None else f"{value:.4g}" if isinstance(value, float) else escape(str(value))

    head = "".join(f"<th>{escape(title)}</th>" for title in HEAD.values())
    body = ""
    for row in rows(outcome):
        cells = "".join(f"<td>{f'<b>{cell(row[key])}</b>' if row['chosen'] else cell(row[key])}</td>" for key in HEAD)
        body += f"<tr>{cells}</tr>"
    return f"<p>{escape(line(outcome))}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def frame(outcome: "Outcome") -> Any:
    """`rows` as a pandas.DataFrame, indexed by candidate.

    Raises:
        UsageError: pandas is not installed.
    """
    try:
        import pandas  # type: ignore[import-untyped,import-not-found,unused-ignore]
    except ImportError:
        raise UsageError("to_pandas() needs pandas, which is not installed", "pip install pandas") from None
    return pandas.DataFrame(rows(outcome)).set_index("candidate")
