"""Live progress on stderr: what runs, what is done, the leader, the time left. Plain lines where there is no terminal.

Drawn on events only, never by a thread: nothing may be drawn while a block is timed.
"""

import time
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from strop.core.amounts import plain
from strop.core.budget import Asked
from strop.core.events import Event
from strop.core.foreign import clean
from strop.core.measurement import Company
from strop.report.budget import budget_line
from strop.report.unlabeled import figure_name
from strop.report.verdict import BY_CPU_TIME, NOISY, company_lines
from strop.run.forms import parse_budget

MARKS = {"measured": "✓", "failed": "✗", "dropped": "–", "duplicate": "=", "not reached": "…", "not measurable": "?"}

MOST = 3
"""Reasons that are shown."""
NOTICES: dict[Event, str] = {
    "beside": "written to {place}: {why}",
    "kept": "{name} was not as Strop wrote it: kept as {kept}",
    "earlier-kept": "the run was completed with a backend that was missing before; the earlier result stays: {why}",
    "installed-since": "installed since this run: {backends}; --fresh measures with it, or --backend NAME",
    "latest": "{link} links to it",
    "no-latest": "strop-out/latest was left as it is: it could not be made a link to {place}",
}
"""What is said once the command is over, even where nothing else is."""
STEPS, ENOUGH, CONFIRMING_S = 3, 2, 60
"""A candidate is built, checked, and done. Once so many are done the rest is estimated by them, and so many seconds are added."""


def about(seconds: float) -> str:
    """A rough time that is left."""
    return f"about {seconds / 60:.0f} min left" if seconds >= 90 else f"about {max(0, seconds):.0f} s left"


def show_progress(budget: str | float | None = None, quiet: bool = False) -> "Progress":
    """An observer that prints how a run goes on, on a terminal or below a notebook's cell.

    Args:
        budget: the run's, for the time that is left; None where it has none of its own.
        quiet: print nothing.

    Raises:
        UsageError: the budget is not a duration.

    Example:
        >>> observer = strop.show_progress()
    """
    console = Console(stderr=True)
    return Progress(Console() if console.is_jupyter else console, parse_budget(budget), quiet)


class Progress:
    """An observer of a run; use as a context manager."""

    def __init__(self, console: Console, budget: Asked = None, quiet: bool = False) -> None:
        self.console, self.budget, self.quiet = console, budget, quiet
        self.budget_s = budget if not isinstance(budget, str) else None
        self.start = self.budget_start = time.monotonic()
        self.known, self.built, self.checked, self.done = set[str](), set[str](), set[str](), set[str]()
        self.group: list[str] = []
        self.estimate_s: float | None = None
        self.leader, self.leading = "", 0.0
        self.doing = "reading the model"
        self.run = ""
        self.delivered = ""
        self.notices: list[str] = []
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal and not quiet else None

    def __enter__(self) -> "Progress":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, event: Event, details: dict[str, Any], /) -> None:
        """One event of the run."""
        if event == "delivered":
            self.delivered = details["place"]
        if event in NOTICES:
            shown = {key: ", ".join(v) if isinstance(v, list) else v for key, v in details.items()}
            self.notices.append(NOTICES[event].format(**shown))
        handler = getattr(self, "_on_" + event.replace("-", "_"), None)
        if handler is not None and not self.quiet:
            handler(**details)
            self._draw()

    def elapsed(self) -> str:
        seconds = int(time.monotonic() - self.start)
        return f"{seconds // 60}:{seconds % 60:02d}"

    def left(self) -> str:
        """By the budget where there is one, else by what was done so far, and by an estimate before anything was."""
        spent = time.monotonic() - self.budget_start
        if self.budget_s is not None:
            return f"{max(0, self.budget_s - spent):.0f} s of the budget left"
        steps, all_steps = len(self.built) + len(self.checked) + len(self.done), STEPS * len(self.known)
        if len(self.done) >= ENOUGH and steps < all_steps:
            return about(spent / steps * (all_steps - steps) + CONFIRMING_S)
        return about(self.estimate_s - spent) if self.estimate_s is not None and self.estimate_s > spent else ""

    def counts(self) -> str:
        """How far how many of the recipes are; they end at the number of all."""
        if not self.known:
            return ""
        parts = [("built", self.built), ("checked", self.checked), ("done", self.done)]
        shown = [f"{name} {len(names)}" for name, names in parts if name == "done" or (names and names != self.done)]
        return f"{', '.join(shown)} of {len(self.known)}"

    def _forget(self) -> None:
        """Another run begins, or is planned."""
        for names in (self.known, self.built, self.checked, self.done):
            names.clear()

    def _through(self, candidate: str) -> None:
        """Nothing more comes of this one."""
        for names in (self.known, self.built, self.checked, self.done):
            names.add(candidate)

    def _leave_out(self) -> None:
        """The search is over: what was not reached by now is not tried any more."""
        left = self.known - self.done
        if left:
            self._say(f"{len(left)} of {len(self.known)} recipes {'was' if len(left) == 1 else 'were'} not reached")
        for candidate in left:
            self._through(candidate)

    def _tell_counts(self) -> None:
        self._say("; ".join(part for part in (self.counts(), self.left()) if part))

    def _say(self, text: str, style: str = "") -> None:
        target = self._live.console if self._live is not None else self.console
        target.print(Text(f"[{self.elapsed():>5}] {clean(text)}", style=style), soft_wrap=True)

    def _draw(self) -> None:
        if self._live is None:
            return
        parts = [f"[{self.elapsed():>5}] {escape(self.doing)}", self.counts()]
        parts += [f"leader {escape(self.leader)} {self.leading:.2f}×" if self.leader else "", self.left()]
        self._live.update(Text.from_markup(clean(" · ".join(p for p in parts if p))), refresh=True)

    def _on_target(self, name: str) -> None:
        self._forget()
        self.budget_start = time.monotonic()
        self.budget_s = self.budget if not isinstance(self.budget, str) else None
        self._say(f"for {name}:", "bold")

    def _on_config_read(self, path: str) -> None:
        self._say(f"settings from {path}")

    def _on_run_opened(self, run: str, resumed: bool) -> None:
        self.run = run
        self._say(f"run {run}" + (" resumes where it stopped" if resumed else ""))

    def _on_company(self, cores: float, processes: tuple[str, ...], threads: int, fewer: bool, began: bool) -> None:
        for line in company_lines(Company(cores=cores, processes=processes, threads=threads, fewer=fewer), began):
            self._say(line, "yellow")

    def _on_run_new(self, since: str, why: list[str]) -> None:
        more = f" and {len(why) - MOST} more" if len(why) > MOST else ""
        self._say(f"a new run, since run {since}: {'; '.join(why[:MOST])}{more}")

    def _on_planned(self, offered: list[str], refused: list[str]) -> None:
        self._forget()
        self.known = set(offered)
        self._say(f"{len(offered)} recipes offered, {len(refused)} not; --dry-run says why")
        self.doing = "measuring the baseline"

    def _on_estimated(self, seconds: float) -> None:
        self.estimate_s = time.monotonic() - self.budget_start + seconds
        self._say(f"no budget: {about(seconds)}, by an estimate")

    def _on_preparing(self, candidates: list[str]) -> None:
        self.group = candidates
        self.known |= set(candidates)

    def _on_build_started(self, candidate: str) -> None:
        self.doing = f"building {candidate}"

    def _on_candidate_built(self, candidate: str) -> None:
        self.built.add(candidate)
        if len(self.group) > 1 and self.built >= set(self.group):
            self._tell_counts()

    def _on_candidate_started(self, candidate: str) -> None:
        self.doing = f"trying {candidate}"

    def _on_candidate_checked(self, candidate: str) -> None:
        self.checked.add(candidate)
        if len(self.group) > 1 and candidate == self.group[-1]:
            self._tell_counts()

    def _on_reference_done(self, candidate: str) -> None:
        self._through(candidate)

    def _on_candidate_done(
        self, candidate: str, status: str, reason: str, speedup: float | None, rough: float | None, accuracy: float | None,
        metric: str, clock: str,
    ) -> None:  # fmt: skip
        self._through(candidate)
        facts = [
            f"{speedup:.2f}×{_by(clock)}" if speedup is not None else f"~{rough:.2f}× {NOISY}" if rough is not None else "",
            f"{figure_name(metric)} {accuracy:.4f}" if accuracy is not None else "",
            reason,
        ]
        self._say(
            f"{_mark(status, speedup, rough, accuracy)} {candidate}: {status}; " + "; ".join(f for f in facts if f),
            "red" if status == "failed" else "",
        )
        if status == "measured" and speedup is not None and speedup > self.leading:
            self.leader, self.leading = candidate, speedup

    def _on_racing(self, contestants: list[str]) -> None:
        self.doing = f"racing {len(contestants)} against the baseline"

    def _on_race_set(self, stage: str, contestants: int, left: int, **_: Any) -> None:
        what = "settings of the baseline" if stage == "tuning" else "candidates"
        self._say(f"raced in fresh processes: {what}, {contestants} at once; {left} still in the race")

    def _on_race_void(self, sets: int, **_: Any) -> None:
        self._say(f"the baseline differed from itself: the race's {sets} sets do not count; running it again", "yellow")

    def _on_waiting(self, processes: list[str], seconds: float) -> None:
        named = f" ({', '.join(processes)})" if processes else ""
        self.doing = "waiting for a quieter machine"
        self._say(
            f"other processes disturb the timing{named}: waiting up to {seconds:.0f} s for quiet; use fewer --threads, or "
            "taskset, to avoid them",
            "yellow",
        )

    def _on_baseline_tuned(self, recipe: str) -> None:
        self.leader, self.leading = "", 0.0
        self._say(f"tuned baseline: {recipe}; speed-ups are over it from here on")

    def _on_imitating(self, candidate: str) -> None:
        self.doing = f"timing {candidate} under imitation"
        self._say(f"… {candidate}: timed on this machine, held to the target")

    def _on_budget_settled(self, seconds: float, asked: float | str, estimate: float | None) -> None:
        self.budget_s = seconds
        self._say(f"budget: {budget_line(asked, seconds, estimate)}")

    def _on_confirmation_cut(self, pairs: int) -> None:
        self._say(f"the budget ended before {pairs} pairs were measured: there is no confirmation", "yellow")

    def _on_confirmation_planned(self, finalists: int, pairs: int, quads: int, second_look: bool, with_self: bool) -> None:
        self._leave_out()
        if not finalists:
            self._say("no finalist is confirmed: " + ("none is left" if with_self else "the budget leaves no time for it"))
            return
        looks = "; once more as many where a gate is open" if second_look else ""
        self._say(f"confirming {finalists} finalist(s) with fresh samples: {pairs} pairs of processes, {quads} quads each{looks}")

    def _on_finalist_called_up(self, candidate: str) -> None:
        self._say(f"{candidate} takes the place of a finalist that fell")

    def _on_more_text(self, candidate: str, windows: int, open: list[str]) -> None:
        noun = "window" if windows == 1 else "windows"
        undecided = ", ".join("perplexity kept" if metric == "accuracy_retained" else metric for metric in open)
        self._say(f"{candidate}: {undecided} undecided: scoring {windows} more {noun} of text")

    def _on_confirming(self, candidate: str) -> None:
        self.doing = f"confirming {candidate}"

    def _on_confirmed(self, candidate: str, speedup: list[float] | None, rough: float | None, clock: str) -> None:
        if speedup:
            self._say(f"✓ {candidate} confirmed: {speedup[1]:.3f}× [{speedup[0]:.3f}, {speedup[2]:.3f}]{_by(clock)}")
            return
        about_it = f"; roughly {rough:.2f}×, which decides nothing" if rough is not None else ""
        self._say(f"? {candidate} not confirmed: the machine was too busy for a figure{about_it}", "yellow")

    def _on_server_chosen(self, recipe: str, concurrency: int) -> None:
        self._say(f"with {concurrency} requests in flight the given model does best under {recipe}")

    def _on_loading(self, candidate: str) -> None:
        self.doing = f"throughput of {candidate}"

    def _on_loaded(self, candidate: str, concurrency: int, rate: list[float] | None, ratio: list[float] | None) -> None:
        shown = f", {ratio[1]:.3f}× [{ratio[0]:.3f}, {ratio[2]:.3f}]" if ratio else ""
        mark, figure = ("✓", f"{plain(rate[1])} a second{shown}") if rate else ("?", "too disturbed for a figure")
        self._say(f"{mark} {candidate} with {concurrency} requests in flight: {figure}")

    def _on_pair_measured(self, **_: Any) -> None:
        pass

    def _on_profiling(self, candidate: str) -> None:
        self.doing = f"profiling {candidate}"
        self._say(self.doing)

    def _on_bundle_replaced(self, place: str, other: str, kept: str) -> None:
        self._say(f"{place} held the bundle of run {other}, which is kept in {kept}")

    def _on_packing(self) -> None:
        self._leave_out()
        self.doing = "packing and checking the bundle"


def _mark(status: str, speedup: float | None, rough: float | None, accuracy: float | None) -> str:
    """A tick means a figure: of what was timed its speed-up, of what is only judged that of its answers."""
    if status != "measured":
        return MARKS[status]
    if rough is not None:
        return "~"
    return MARKS[status] if speedup is not None or accuracy is not None else "?"


def _by(clock: str) -> str:
    """A mark on what is not taken by wall time."""
    return f" {BY_CPU_TIME}" if clock == "CPU time" else ""
