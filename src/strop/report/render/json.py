"""`report.json`: the outcome for programs, as facts; what belongs to a section is told by that section's file."""

from typing import Any

from strop.core.amounts import memory_mb
from strop.core.candidate import Result, Timing
from strop.core.noun import SCHEMA
from strop.core.outcome import Outcome
from strop.core.prospects import Prospect
from strop.core.verdict import Interval
from strop.plan.bottlenecks import find_bottlenecks
from strop.report.evidence import NO_EVIDENCE, Evidence
from strop.report.lineage import over_each_framework
from strop.report.sections import facts_of
from strop.report.verdict import hasty, reached


def figure(interval: Interval | None) -> dict[str, float] | None:
    """value, low, high; None where unmeasured."""
    if interval is None:
        return None
    return {"value": interval.value, "low": interval.low, "high": interval.high}


def report(outcome: Outcome, evidence: Evidence = NO_EVIDENCE) -> dict[str, Any]:
    """The whole document, plain values. Pictures are left to the page."""
    chosen = outcome.chosen
    return {
        "schema": SCHEMA,
        "run": outcome.run,
        "outcome": outcome.outcome,
        "chosen": _chosen(outcome, chosen) if chosen is not None else None,
        "model": outcome.model.model_dump(mode="json"),
        "task": outcome.task.model_dump(mode="json"),
        "baseline": {
            **_candidate(outcome.result(outcome.baseline)),
            "as_is": outcome.as_is,
            "quality_reference": outcome.quality_reference,
            "best_unquantized": outcome.best_unquantized,
            "cleanup": _cleanup(outcome),
            "untimed_settings": [u.model_dump(mode="json") for u in outcome.untimed],
        },
        "gates": [{**g.model_dump(mode="json"), "text": str(g)} for g in outcome.gates],
        "target": outcome.target.model_dump(mode="json") if outcome.target else None,
        "place": outcome.place,
        "advice": outcome.advice.model_dump(mode="json") if outcome.advice else None,
        "weights": outcome.weights,
        "candidates": [_candidate(r) for r in outcome.results],
        "not_offered": [{"name": o.name, "reason": o.refused} for o in outcome.offers if not o.offered],
        "frontier": list(outcome.frontier),
        "choice": outcome.choice.model_dump(mode="json") if outcome.choice else None,
        "prospects": [_prospect(found) for found in outcome.prospects],
        "environment": outcome.environment.model_dump(mode="json"),
        "noise": {
            "speedup": figure(outcome.noise.speedup),
            "clock": outcome.noise.clock,
            "half_width": outcome.noise.half_width,
            "excluded": None if outcome.noise.speedup is None and hasty(outcome) else outcome.noise.excluded,
            "memory_resolution_bytes": outcome.noise.memory_resolution_bytes,
            "rough": figure(outcome.noise.rough),
        },
        "company": outcome.company.model_dump(mode="json") if outcome.company else None,
        "timing": outcome.timing,
        "budget": outcome.budget.model_dump(mode="json") if outcome.budget else None,
        "notes": list(outcome.notes),
        **facts_of(outcome, evidence),
        "evidence": _evidence(evidence),
    }


def _cleanup(outcome: Outcome) -> dict[str, Any] | None:
    """What taking out an export's faults brings alone, and whether the baseline has it."""
    found = outcome.cleanup
    if found is None:
        return None
    return {
        "candidate": found.name, "speedup": figure(found.speedup), "rough_speedup": figure(found.rough), "clock": found.clock,
        "in_baseline": found.taken, "faults": list(found.faults),
    }  # fmt: skip


def _prospect(found: Prospect) -> dict[str, Any]:
    return {
        "candidate": found.candidate, "speedup": figure(found.speedup), "confirmed": found.confirmed,
        "gate": str(found.gate), "metric": found.gate.metric, "figure": figure(found.figure),
        "reached": float(reached(found.gate, found.figure)),
    }  # fmt: skip


def _evidence(evidence: Evidence) -> dict[str, Any]:
    """What was read from the run's folder, without pictures and what stands elsewhere in the document."""
    left: dict[str, Any] = {"examples": {"shown": {"__all__": {"picture"}}}, "command": True, "samples": True, "sessions": True}
    kept = evidence.model_dump(mode="json", exclude=left)
    found = {p.candidate: find_bottlenecks(p.profile) for p in evidence.profiles if p.profile is not None}
    kept["bottlenecks"] = {name: [finding.model_dump(mode="json") for finding in each] for name, each in found.items()}
    return kept


def _chosen(outcome: Outcome, chosen: Result) -> dict[str, Any]:
    return {
        "name": chosen.name,
        "backend": chosen.candidate.recipe.runtime,
        "recipe": chosen.candidate.recipe.model_dump(mode="json"),
        "speedup": figure(chosen.speedup),
        "throughput": chosen.throughput.model_dump(mode="json") if chosen.throughput else None,
        "accuracy_retained": figure(chosen.retained),
        "memory_mb": figure(memory_mb(chosen)),
        "memory_ratio": figure(chosen.memory_ratio),
        "against_as_is": figure(outcome.against_as_is),
        "against_best_unquantized": figure(outcome.against_best_unquantized),
        "against_each_framework": {
            runtime: {"candidate": name, "speedup": figure(speedup)}
            for runtime, (name, speedup) in over_each_framework(outcome).items()
        },
        "missed": [{"gate": str(r.gate), "result": r.result, "reason": r.reason} for r in missed(chosen)],
        "batches": {str(batch): _timing(timing) for batch, timing in outcome.batches.items()},
    }


def missed(result: Result) -> list[Any]:
    """Gate results that are not PASS."""
    return list(result.verdict.missed) if result.verdict is not None else []


def _timing(timing: Timing | None) -> dict[str, Any] | None:
    return timing.model_dump(mode="json") if timing is not None else None


def _candidate(result: Result) -> dict[str, Any]:
    candidate = result.candidate
    return {
        "name": result.name,
        "backend": candidate.recipe.runtime,
        "recipe": candidate.recipe.model_dump(mode="json"),
        "status": result.status,
        "reason": result.reason,
        "failure": result.failure.model_dump(mode="json") if result.failure else None,
        "reproduce": result.reproduce,
        "claims": candidate.claims,
        "notes": list(candidate.notes),
        "versions": candidate.versions,
        "measurement": {
            "speedup": figure(result.speedup),
            "rough_speedup": figure(result.noisy),
            "clock": result.timing.clock if result.timing else None,
            "stage": result.timing.stage if result.timing else None,
            "accuracy": result.accuracy,
            "accuracy_retained": figure(result.retained),
            "examples": result.examples,
            "ran": result.ran,
            "memory_mb": figure(memory_mb(result)),
            "memory_ratio": figure(result.memory_ratio),
            "memory": [m.model_dump(mode="json") for m in result.memory],
            "bytes": candidate.artifact.bytes if candidate.artifact else None,
            "search": _timing(result.search),
            "confirmation": _timing(result.confirmation),
            "build_s": candidate.build_s,
            "quality": {name: figure(interval) for name, interval in result.quality.items()},
            "pace": result.pace,
            "throughput": result.throughput.model_dump(mode="json") if result.throughput else None,
            "representative": not candidate.recipe.unrepresentative,
            "imitated": result.imitated.model_dump(mode="json") if result.imitated else None,
        },
        "gates": [
            {
                "gate": str(r.gate),
                "metric": r.gate.metric,
                "kind": r.gate.kind,
                "result": r.result,
                "reason": r.reason,
                "cause": r.cause,
            }
            for r in (result.verdict.results if result.verdict else ())
        ],
    }
