"""How a language model is called: requests of a first look, windows of a further one, quads of a confirmation."""

import math
from collections.abc import Sequence

import numpy as np

from strop.core.tail import tail_percentile
from strop.run.checking import Footprint
from strop.run.pairing import Subject, even_runs, quad_seconds
from strop.worker.process import Process

QUADS, PAIR_S = (2, 12), (1.5, 10.0)
"""Quads of a pair at least and at most, each call of which is a whole request; seconds that a pair's quads may take, and
that they may where steps for a p99 are lacking."""
REQUESTS = 3
"""Of a first look, each of many steps."""


def requests(child: Process, brief: bool, patience: float) -> dict[str, list[int]]:
    """Nanoseconds of some requests to a language model, of their prompts and of their tokens; of a single request if brief, or if
    more do not fit the time.
    """
    first: dict[str, list[int]] = child.ask("phases", requests=1)
    room = REQUESTS if math.isinf(patience) else int(patience * 1e9 / max(1, *first["latencies_ns"]))
    more = 0 if brief else min(REQUESTS, room) - 1
    later = child.ask("phases", requests=more) if more > 0 else {}
    return {name: [*times, *later.get(name, [])] for name, times in first.items()}


def windows_of(of: Subject, longer: int) -> dict[str, int]:
    """Which windows a further look takes; empty for a check."""
    begin = of.examples << max(0, longer - 1)
    most = int((of.called or {}).get("pool", 0))
    return {"first": begin, "count": min(begin, most - begin)} if longer else {}


def plan_language_quads(latency_ns: tuple[float, float], steps: int, pairs: int) -> int:
    """Quads of a pair of language models: what fits 1.5 s, and enough that `pairs` pairs hold steps for a p99, unless that takes
    more than ten seconds.

    A request is an average over its steps, and a pair's own bias soon outweighs the noise that further quads would take away.

    Args:
        steps: answered tokens of a request.
    """
    least, most = QUADS
    runs, quad_s = min(even_runs(latency_ns, (1, 1))), quad_seconds(latency_ns, 1)
    quads = max(least, int(PAIR_S[0] / quad_s))
    while quads < most and tail_percentile(2 * runs * steps * quads * pairs) != 99 and (quads + 1) * quad_s <= PAIR_S[1]:
        quads += 1
    return min(quads, most)


def token_paces(found: Sequence[Footprint], subject: Subject | None) -> dict[str, float]:
    """Tokens a second of all texts of a batch, and milliseconds: from calls alone and unpaired, of all
    processes; empty where none were made."""
    prompts, tokens = [x for f in found for x in f.prompt_ns], [x for f in found for x in f.token_ns]
    if subject is None or subject.called is None or not prompts or not tokens:
        return {}
    prompt, token = float(np.median(prompts)), float(np.median(tokens))
    return {
        "prefill tok/s": subject.batch * subject.called["prompt"] / prompt * 1e9, "decode tok/s": subject.batch * 1e9 / token,
        "time to first token, ms": prompt / 1e6,
        "time per token p50, ms": token / 1e6, "time per token p95, ms": float(np.percentile(tokens, 95)) / 1e6,
    }  # fmt: skip
