"""Sessions of fixed shapes: which one answers a call. Needs numpy; measured in the child, and shipped in the bundle.

The setting `shapes` names the shapes of every input, `data=1x3x224x224`; several sets are separated by `|`, and `axes` holds the
same as sizes of named axes. With `crop` the sets differ in a length. What is shorter is padded with zeros, hidden by the
model's mask, to the next longer one, and the outputs are cut to the length asked for. `crop` is `hidden=1`: output and axis.
"""

import copy
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

OWN = ("shapes", "axes", "crop", "mask")
"""Settings that this file reads; the session for other shapes has none of them."""


class OtherShape(ValueError):
    """A shape that no session is compiled for, where others are refused."""


def open_shaped(open: Callable[[str, dict[str, Any]], Any], path: str, settings: dict[str, Any], others: str = "refuse") -> Any:
    """A session; one that is compiled for fixed shapes where the settings name them.

    Args:
        open: the runner's. others: "fallback", to answer other shapes by a session without fixed ones, or "refuse".
    """
    return Shaped(open, path, settings, others) if settings.get("shapes") else open(path, settings)


def plain(session: Any) -> Any:
    """The runner's own session: of several, the one for the first set of shapes."""
    return session.sessions.opened[0] if isinstance(session, Shaped) else session


def of_first(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of a single session: for the first set of shapes, which is the one that is timed."""
    plain = {name: value for name, value in settings.items() if name not in ("crop", "mask")}
    return {**plain, **{name: str(settings[name]).split("|")[0] for name in ("shapes", "axes") if name in settings}}


class Sessions:
    """What is open on one model, for all threads: a session for each set of shapes, and the one for all others."""

    def __init__(self, open: Callable[[str, dict[str, Any]], Any], path: str, settings: dict[str, Any], others: str) -> None:
        self.open, self.path, self.settings, self.others = open, path, settings, others
        self.lock = threading.Lock()
        texts, axes = settings["shapes"].split("|"), str(settings.get("axes", "")).split("|")
        self.sets = [shapes_of(text) for text in texts]
        plain = {name: value for name, value in settings.items() if name not in OWN}
        self.each = [
            {**plain, "shapes": text, **({"axes": axes[k]} if "axes" in settings else {})} for k, text in enumerate(texts)
        ]
        self.each.append({**plain, "varying": True})
        self.crop = {n: int(k) for n, _, k in (one.rpartition("=") for one in settings.get("crop", "").split(",") if one)}
        self.opened: dict[int, Any] = {}
        for place in range(len(texts)) if "crop" in settings else (0,):
            self.get(place)

    def get(self, place: int) -> Any:
        """The session of a set; the last place is that of other shapes. Opened when it is first needed, once."""
        with self.lock:
            if place not in self.opened:
                self.opened[place] = self.open(self.path, self.each[place])
            return self.opened[place]


class Shaped:
    """A session that hands each call to the session of its shapes. `fork` gives another thread's."""

    def __init__(self, open: Callable[[str, dict[str, Any]], Any], path: str, settings: dict[str, Any], others: str) -> None:
        self.sessions = Sessions(open, path, settings, others)
        self.properties = getattr(self.sessions.opened[0], "properties", {})
        self._begin(forked=False)

    def _begin(self, forked: bool) -> None:
        self.forked = forked
        self.ready: list[tuple[tuple[tuple[str, tuple[int, ...]], ...], Any]] = []
        self.known: dict[int, Any] = {}
        with self.sessions.lock:
            open_by_now = sorted(self.sessions.opened)
        for place in open_by_now:
            self._session(place)

    def _session(self, place: int) -> Any:
        """This thread's own."""
        if place not in self.known:
            shared = self.sessions.get(place)
            self.known[place] = shared.fork() if self.forked else shared
            if place < len(self.sessions.sets):
                self.ready.append((tuple(self.sessions.sets[place].items()), self.known[place]))
        return self.known[place]

    def run(self, feed: dict[str, Any]) -> dict[str, Any]:
        """Arrays by input name, shape [batch, …] → arrays by output name.

        Raises:
            OtherShape: a shape that is not taken, where others are refused.
        """
        session = self._compiled(feed)
        return session.run(feed) if session is not None else self._otherwise(feed)

    def run_views(self, feed: dict[str, Any]) -> dict[str, Any]:
        """As `run`; arrays that the next call may overwrite."""
        session = self._compiled(feed)
        return session.run_views(feed) if session is not None else self._otherwise(feed)

    def _compiled(self, feed: dict[str, Any]) -> Any:
        for wanted, session in self.ready:
            for name, shape in wanted:
                if feed[name].shape != shape:
                    break
            else:
                return session
        return None

    def _otherwise(self, feed: dict[str, Any]) -> dict[str, Any]:
        """By a set that was not needed so far, by the next longer one, by the session for other shapes; or refused."""
        shapes = {name: array.shape for name, array in feed.items()}
        known = self.sessions
        if shapes in known.sets:
            return self._session(known.sets.index(shapes)).run(feed)  # type: ignore[no-any-return]
        place = longer(shapes, known.sets) if "crop" in known.settings else None
        if place is not None:
            return self._filled_up(feed, place)
        if known.others == "refuse":
            name = next((n for n, s in shapes.items() if all(s != one.get(n) for one in known.sets)), next(iter(shapes)))
            raise OtherShape(f"input {name!r} has shape {list(shapes[name])}; it takes {known.settings['shapes']} only")
        return self.by_fallback(feed)

    def by_fallback(self, feed: dict[str, Any]) -> dict[str, Any]:
        """As `run`, by the session for other shapes."""
        return self._session(len(self.sessions.sets)).run(feed)  # type: ignore[no-any-return]

    def _filled_up(self, feed: dict[str, Any], place: int) -> dict[str, Any]:
        wanted = self.sessions.sets[place]
        filled = {n: np.pad(a, [(0, w - s) for s, w in zip(a.shape, wanted[n], strict=True)]) for n, a in feed.items()}
        length = max(array.shape[1] for array in feed.values())
        answer = self._session(place).run(filled)
        for name, axis in self.sessions.crop.items():
            answer[name] = np.ascontiguousarray(answer[name][(slice(None),) * axis + (slice(length),)])
        return answer  # type: ignore[no-any-return]

    def fork(self) -> "Shaped":
        """A session that may run at the same time as this one, on the same loaded models."""
        other = copy.copy(self)
        other._begin(forked=True)
        return other


def shapes_of(text: str) -> dict[str, tuple[int, ...]]:
    """`data=1x3,mask=1x3` → {"data": (1, 3), "mask": (1, 3)}."""
    pairs = [pair.rpartition("=") for pair in text.split(",")]
    return {name: tuple(int(d) for d in dims.split("x") if d) for name, _, dims in pairs}


def longer(shapes: dict[str, tuple[int, ...]], sets: list[dict[str, tuple[int, ...]]]) -> int | None:
    """The place of the shortest set that holds a feed, which may be shorter but not have fewer examples."""

    def holds(one: dict[str, tuple[int, ...]]) -> bool:
        same = all(len(s) == len(one[n]) == 2 and s[0] == one[n][0] and s[1] <= one[n][1] for n, s in shapes.items())
        return same and len({s[1] for s in shapes.values()}) == 1

    able = [k for k, one in enumerate(sets) if holds(one)]
    return min(able, key=lambda k: next(iter(sets[k].values()))[1], default=None)
