"""Advice: a model and a target, held against the rules in `advice.toml`. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from strop.core.inspection import Advice, Choicepoint, Fit, Inspection, Ranked, Reason
from strop.core.noun import Noun
from strop.core.target import Target
from strop.plan.precision import odd_widths
from strop.plan.rules import Blocker, Branch, Fact, Platform, Rules, holds, rules


class Measured(Noun):
    """What a run in the store found: a framework's best candidate that kept the musts, on a device of this kind.

    `same_model` where it was this very model, not only one of its family.
    """

    framework: str
    candidate: str
    speedup: float
    run: str
    same_model: bool = False


def facts_of(inspection: Inspection, target: Target, purpose: str) -> dict[str, Fact]:
    """What rules can speak of."""
    kinds = [(a.kind, f"{a.kind} {a.vendor}") for a in target.accelerators if a.usable is not False]
    odd = {group: bool(odd_widths(inspection, group)) for group in (32, 64, 256)}
    return {
        "format": inspection.format, "family": inspection.family, "modality": inspection.modality,
        "architecture": inspection.architecture, "parameters": float(inspection.parameters),
        "operators": tuple(inspection.operators), "quantized": inspection.quantized is not None,
        "dynamic": any(not isinstance(d, int) for spec in inspection.inputs for d in spec.shape),
        **{f"odd_{group}": there for group, there in odd.items()},
        "os": target.os, "cpu_vendor": target.cpu_vendor, "cpu_architecture": target.architecture,
        "instructions": target.instructions, "instructions_known": bool(target.instructions),
        "accelerators": tuple(k for pair in kinds for k in pair),
        "device": target.kind, "purpose": purpose,
    }  # fmt: skip


def platform_of(facts: Mapping[str, Fact], known: Rules) -> Platform:
    """The first platform that holds."""
    return next(p for p in known.platform if holds(p.when, facts))


def advise(
    inspection: Inspection,
    target: Target,
    purpose: str = "any",
    absent: Mapping[str, str] | None = None,
    measured: Sequence[Measured] = (),
    fit: Sequence[Fit] = (),
    among: Rules | None = None,
) -> Advice:
    """The ranking of frameworks with every rule and fact that made it.

    Args:
        purpose: one of `PURPOSES`.
        absent: framework → why it cannot be started where Strop runs.
        measured: what runs in the store found for this family on this kind of device.
        fit: whether the model fits at each precision.
        among: other rules than the shipped ones.

    Example:
        >>> [ranked.framework for ranked in advise(inspection, target).ranking]
    """
    known = among or rules()
    facts = facts_of(inspection, target, purpose)
    platform = platform_of(facts, known)
    facts["platform"] = platform.name
    asked = _walk(known, facts)
    picked = next(b for b in known.tree if b.name == asked[-1].rule)
    ranking = []
    blocked = {framework: _blocked(known, framework, facts, inspection, fit) for framework in known.frameworks}
    instead = _instead(known, facts, picked, blocked)
    for framework in known.frameworks:
        reasons = [
            *_from_tree(known, framework, picked), *_from_fallback(known, framework, instead),
            *_from_platform(known, framework, platform),
            *_from_wishes(known, framework, purpose, facts),
            *_from_facts(known, framework, facts, inspection, absent or {}, measured),
        ]  # fmt: skip
        ranking.append(Ranked(
            framework=framework, title=known.titles[framework], points=sum(r.points for r in reasons), reasons=tuple(reasons),
            blocked=blocked[framework], yields=_yields(known, framework, facts),
            too_large=bool(blocked[framework]) and all(b.soft for b in _blockers(known, framework, facts)),
        ))  # fmt: skip
    ranking.sort(key=lambda r: (bool(r.blocked), -r.points))
    return Advice(
        target=target.name, platform=platform.title, purpose=purpose, ranking=tuple(ranking), asked=tuple(asked),
        strategy=_strategy(picked, blocked, inspection), instead=instead.strategy if instead is not None else "",
        quantization=_default_quantization(known, platform, inspection),
        moved=_moved(ranking, picked),
        notes=tuple(_notes(platform, target, picked, known)),
    )  # fmt: skip


def _walk(known: Rules, facts: Mapping[str, Fact]) -> list[Choicepoint]:
    """The questions up to the first that holds; the last one always does."""
    asked = []
    for branch in known.tree:
        yes = holds(branch.when, facts)
        asked.append(Choicepoint(rule=branch.name, ask=branch.ask, yes=yes, pick=branch.pick if yes else ()))
        if yes:
            break
    return asked


def _from_tree(known: Rules, framework: str, picked: Branch) -> Iterable[Reason]:
    if framework in picked.pick:
        points = known.points["tree" if framework == picked.pick[0] else "tree_second"]
        beside = [known.titles[other] for other in picked.pick if other != framework]
        compare = f"; compare with {', '.join(beside)}" if beside else ""
        yield Reason(rule=f"tree.{picked.name}", text=f"{picked.strategy}{compare}", points=points)


def _instead(known: Rules, facts: Mapping[str, Fact], picked: Branch, blocked: Mapping[str, str]) -> Branch | None:
    """The next branch that holds and picks what can be used, where nothing that was picked can."""
    if not all(blocked[framework] for framework in picked.pick):
        return None
    later = known.tree[known.tree.index(picked) + 1 :]
    return next((b for b in later if holds(b.when, facts) and not all(blocked[f] for f in b.pick)), None)


def _from_fallback(known: Rules, framework: str, instead: Branch | None) -> Iterable[Reason]:
    if instead is not None and framework in instead.pick:
        text = f"{instead.strategy}, since the tree's pick cannot be used"
        yield Reason(rule=f"tree.{instead.name}", text=text, points=known.points["tree_instead"])


def _from_platform(known: Rules, framework: str, platform: Platform) -> Iterable[Reason]:
    for place in ("primary", "secondary"):
        if getattr(platform, place) == framework:
            text = f"{place} for {platform.title}: {getattr(platform, f'{place}_why')}"
            yield Reason(rule=f"platform.{platform.name}", text=text, points=known.points[place])


def _from_wishes(known: Rules, framework: str, purpose: str, facts: Mapping[str, Fact]) -> Iterable[Reason]:
    for order in known.order:
        if order.purpose == purpose and framework in order.frameworks:
            place = order.frameworks.index(framework)
            text = f"number {place + 1} for {purpose}"
            yield Reason(rule=f"order.{purpose}", text=text, points=known.points["order"][place])
    for requirement in known.requirement:
        grade = requirement.grades.get(framework)
        if purpose in requirement.purposes and grade is not None:
            text = f"{requirement.name}: {grade}"
            yield Reason(rule=f"requirement.{requirement.name}", text=text, points=known.grades[grade])
    for use in known.use:
        mine = use.frameworks.get(framework)
        if mine is not None and holds(use.when, facts) and holds(mine["when"], facts):
            yield Reason(rule=f"use.{use.name}", text=f"{use.name}: {mine['for']}", points=known.points["use"])


def _from_facts(
    known: Rules, framework: str, facts: Mapping[str, Fact], inspection: Inspection, absent: Mapping[str, str],
    measured: Sequence[Measured],
) -> Iterable[Reason]:  # fmt: skip
    if absent.get(framework):
        yield Reason(rule="fact.absent", text=f"not here: {absent[framework]}", points=known.points["absent"])
    for blocker in _blockers(known, framework, facts):
        if blocker.soft:
            yield Reason(rule=f"blocker.{blocker.name}", text=f"{_words(blocker, inspection)} ({blocker.remedy})")
    mine = max((m for m in measured if m.framework == framework), key=lambda m: (m.same_model, m.speedup), default=None)
    if mine is not None:
        # the very model's figures count before its family's
        field = [m for m in measured if m.same_model == any(o.same_model for o in measured)]
        best = max(field, key=lambda m: m.speedup)
        whose = "this model" if mine.same_model else "a model of this family"
        text = f"measured on this kind of device: {mine.candidate} {mine.speedup:.2f}× with {whose}, in run {mine.run}"
        title = known.titles.get(best.framework, best.framework)
        if best.framework == framework:
            yield Reason(rule="fact.measured", text=f"{text}, the fastest of those measured", points=known.points["measured"])
        elif mine.same_model == best.same_model:
            yield Reason(rule="fact.measured", text=f"{text}; {title} was faster")
        else:
            yield Reason(rule="fact.measured", text=f"{text}; {title} was measured with this very model, which counts first")


def _blockers(known: Rules, framework: str, facts: Mapping[str, Fact]) -> list[Blocker]:
    return [b for b in known.blocker if b.framework in (framework, "*") and holds(b.when, facts)]


def _blocked(known: Rules, framework: str, facts: Mapping[str, Fact], inspection: Inspection, fit: Sequence[Fit]) -> str:
    """Why the framework cannot be used at all; empty where it can."""
    hard = next((b for b in _blockers(known, framework, facts) if not b.soft), None)
    if hard is not None:
        return f"{_words(hard, inspection)} (instead: {hard.remedy}; rule {hard.name})"
    if fit and all(f.verdict == "does not fit" for f in fit):
        return f"the model does not fit the device at any precision: at {fit[-1].precision} it {fit[-1].reason}"
    return ""


def _yields(known: Rules, framework: str, facts: Mapping[str, Fact]) -> bool:
    """Whether all that blocks it gives way to somebody who asks for it."""
    hard = [b for b in _blockers(known, framework, facts) if not b.soft]
    return bool(hard) and all(b.yields for b in hard)


def _words(blocker: Blocker, inspection: Inspection) -> str:
    """What it says, with what it met in this model."""
    met = [op for op in inspection.operators if op in blocker.when.get("operators", ())]
    values = {f"odd_{group}": ", ".join(map(str, odd_widths(inspection, group))) for group in (32, 64, 256)}
    return blocker.what.format(format=inspection.format, operators=", ".join(met), **values)


def _moved(ranking: Sequence[Ranked], picked: Branch) -> str:
    """What overturned the tree's pick, in words."""
    first = ranking[0]
    if first.framework in picked.pick:
        return ""
    lost = []
    for framework in picked.pick:
        ranked = next(r for r in ranking if r.framework == framework)
        fact = ranked.blocked or next((r.text for r in ranked.reasons if r.points < 0), "")
        lost += [f"{ranked.title}: {fact}"] if fact else []
    gained = [f"{first.title}: {r.text}" for r in first.reasons if r.rule == "fact.measured" and r.points > 0]
    return "; ".join([*lost, *gained])


def _strategy(picked: Branch, blocked: Mapping[str, str], inspection: Inspection) -> str:
    if all(blocked.values()):
        return f"none: no framework of Strop's can be used (the tree says {picked.strategy})"
    return f"run it as it is; {picked.strategy}, for the original" if inspection.quantized else picked.strategy


def _default_quantization(known: Rules, platform: Platform, inspection: Inspection) -> str:
    if inspection.quantized:
        return f"none, it is quantized already ({inspection.quantized})"
    return platform.quantization if inspection.family == "llm" else known.tensor_quantization


def _notes(platform: Platform, target: Target, picked: Branch, known: Rules) -> Iterable[str]:
    if platform.today:
        yield f"Today: {platform.today}."
    for one in target.accelerators:
        if not one.frameworks and one.usable is not False:
            yield f"{one.name}: no framework of Strop's computes on a {one.kind} device; what is made runs on the CPU beside it."
    if len(picked.pick) > 1:
        yield f"Compare {' and '.join(known.titles[f] for f in picked.pick)}: measure both."
