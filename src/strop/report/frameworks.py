"""What the export does badly, which frameworks were advised and why: in words. Pure."""

from collections.abc import Iterator, Sequence

from strop.core.inspection import Advice, ExportRemark, Ranked

WIDTH = 3
"""Reasons that are shown where nobody asked for all."""


def ranking_lines(advice: Advice) -> Iterator[str]:
    """The frameworks in order, each with what counted most."""
    yield f"advice for {advice.target} ({advice.platform}), purpose {advice.purpose}:"
    for place, ranked in enumerate(advice.ranking, 1):
        if ranked.blocked:
            yield f"  – {ranked.title}: cannot be used: {ranked.blocked}"
            continue
        counted = sorted(ranked.reasons, key=lambda r: -abs(r.points))[:WIDTH]
        yield f"  {place}. {ranked.title}: {'; '.join(r.text for r in counted) or 'the fallback: it runs ONNX everywhere'}"
    instead = f" (cannot be followed; instead {advice.instead})" if advice.instead else ""
    yield f"  strategy: {advice.strategy}{instead}; quantize by default: {advice.quantization}"
    if advice.moved:
        yield f"  facts overrule the tree: {advice.moved}"
    yield from (f"  {note}" for note in advice.notes)


def export_lines(found: Sequence[ExportRemark]) -> Iterator[str]:
    """What the export does badly: each remark, what it is worth, what to do, and where that is known from."""
    if found:
        yield "what the export does badly, by the rules of export.toml:"
    for one in found:
        yield f"  {one.text}"
        yield f"    worth: {one.worth}"
        yield f"    remedy: {one.remedy} (rule {one.rule}; {one.evidence})"


def explain(advice: Advice) -> Iterator[str]:
    """The whole way: each question of the tree, then every rule that spoke, with its points."""
    yield f"advice for {advice.target}, step by step:"
    yield f"  platform: {advice.platform}"
    for asked in advice.asked:
        yield f"  {'└' if asked.yes else '├'}─ {asked.ask} {'yes' if asked.yes else 'no'} ({asked.rule})"
    yield f"     → {advice.strategy}" + (f"; cannot be followed, instead {advice.instead}" if advice.instead else "")
    for place, ranked in enumerate(advice.ranking, 1):
        yield f"{place}. {ranked.title}: {'blocked' if ranked.blocked else f'{ranked.points:+g} points'}"
        yield from _reasons(ranked)
    if advice.moved:
        yield f"facts overrule the tree: {advice.moved}"
    yield f"quantize by default: {advice.quantization}"
    yield from advice.notes


def _reasons(ranked: Ranked) -> Iterator[str]:
    if ranked.blocked:
        yield f"     blocked: {ranked.blocked}"
    for reason in ranked.reasons:
        points = f"{reason.points:+g}" if reason.points else "±0"
        yield f"     {points:>5}  {reason.text}  [{reason.rule}]"
