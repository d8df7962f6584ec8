"""The races of one stage: contestants are timed together, set after set; whoever another leaves nothing to win drops out.

What a race finds selects and ranks. It never enters a verdict: the confirmation does.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from strop.core.candidate import Timing
from strop.core.errors import BudgetError, WorkerCrash, WorkerError
from strop.core.model import Model
from strop.core.race import COPY, MOST, SETS, RaceSet
from strop.core.race_statistics import Comparisons, Race
from strop.core.rivalry import ends_race
from strop.core.statistics import MAX_EXCLUDED, combine
from strop.core.task import Task
from strop.core.verdict import EXACTLY_ONE, Gate, Interval
from strop.plan.ladder import rounds_that_fit
from strop.run.answers import advantage
from strop.run.building import failure_of
from strop.run.context import Run
from strop.run.pairing import Subject, identity_of
from strop.run.planning import race_costs
from strop.run.preparing import fail, finish
from strop.run.quiet import quieter_cpus
from strop.run.race_set import SetPlan, how_many_fit, run_set
from strop.run.timing import measure, refuse_baseline_failure, timing_of, timing_of_race
from strop.run.trial import Trial, only_informs, racer_of
from strop.store.store import load, save
from strop.worker.call import Limits

PATIENCE = 4
"""A set ends early after this many times its planned time: on a busy machine blocks are taken again and again."""
ROOM, FLOOR_BYTES = 2, 256_000_000
"""A contestant's limit of memory is so many times what it was seen to hold, and so many bytes."""
HANGING, HANGING_S = 4, 20.0
"""A contestant that gives no answer for so many times what the whole set takes to start, and so many seconds, hangs: all others
wait for it."""
MOST_VOID = 2
"""Races of a stage that are run again where they are void; what one after these says is rough."""


class Racing:
    """A stage's races against one baseline. Its trials change as sets are run; `merged` and `closed` give them back.

    Sets lie in the run's folder, one file each, and are read instead of run where the same contestants are in them.
    """

    def __init__(
        self, run: Run, model: Model, task: Task, baseline: Trial, stage: Literal["tuning", "search"]
    ) -> None:  # fmt: skip
        self.run, self.model, self.task, self.baseline = run, model, task, baseline
        self.place = run.folder.folder / "races" / stage / baseline.name
        self.field: dict[str, Trial] = {}
        self.sets: list[RaceSet] = []
        self.number = self.voids = 0
        self.alone: set[str] = set()
        self._killed: set[str] = set()
        self.told: set[str] = set()
        self._compared: dict[tuple[str, str], Mapping[str, Interval]] = {}

    @property
    def race(self) -> Race:
        return Race(self.sets)

    def over(self, name: str, other: str, error: float = 0.05) -> Interval | None:
        """Speed of one over another: within rounds where there are any, else by what each has over the baseline of the race."""
        found = self.race.speed(name, other, error) if self.sets else None
        one, two = self._over_baseline(name), self._over_baseline(other)
        return combine(one, two) if found is None and one is not None and two is not None else found

    def _over_baseline(self, name: str) -> Interval | None:
        if name == self.baseline.name:
            return EXACTLY_ONE
        timing = self.field[name].result.search if name in self.field else None
        return timing.speedup if timing is not None else None

    def timing(self, name: str, over: str) -> Timing | None:
        """A contestant's figures over another one; None where it was not timed."""
        if self.sets and {name, over} <= {n for one in self.sets for n in one.contestants}:
            return self._figures(self.race, name, over)
        known = self.field[name].result.search if name in self.field else None
        return None if known is None else known.model_copy(update={"speedup": self.over(name, over), "rough": None})

    def _figures(self, race: Race, name: str, over: str) -> Timing:
        """By the rounds that hold both; only rough ones, where the baseline differs from itself in every race."""
        found = timing_of_race(race, name, self.place, over)
        if not race.void:
            return found
        self.run.note("The baseline differed from a second process of itself in every race: speeds of the search are rough.")
        return found.model_copy(update={"speedup": None, "rough": found.speedup or found.rough})

    def merged(self, trials: Sequence[Trial]) -> list[Trial]:
        """These trials, those that race as they stand: what was timed and did not drop out is measured."""
        return [self._ended(self.field[t.name]) if t.name in self.field else t for t in trials]

    def closed(self, trials: Sequence[Trial]) -> list[Trial]:
        """As `merged`, where the race is over: the run is told of everybody."""
        for name in self.field:
            self._tell(name)
        return self.merged(trials)

    def _tell(self, name: str) -> None:
        if name not in self.told:
            self.told.add(name)
            finish(self.run, self.task, self._ended(self.field[name]))

    def _ended(self, trial: Trial) -> Trial:
        if not trial.ready:
            return trial
        if trial.result.search is None:
            why = "the budget left no time to time it" if self.run.budget.total is not None else "it could not be timed"
            return trial.not_reached(f"its answers were judged; {why}")
        return trial.with_result(status="measured")

    def enter(self, trials: Sequence[Trial]) -> None:
        """Contestants that are ready."""
        self.field |= {trial.name: trial for trial in trials}

    def running(self) -> list[Trial]:
        """Those that are still in the race, the fastest first; those not timed yet before all others, in the order of entry."""
        return sorted((t for t in self.field.values() if t.ready), key=_pace)

    def first_sets(self) -> None:
        """A set for everybody that was in none yet, with the leader of those before, so that all are compared with it."""
        while waiting := [t for t in self.running() if t.result.search is None]:
            raced = [t for t in self.running() if t.result.search is not None and t.name not in self.alone]
            leader = [t for t in raced if not only_informs(t, self.baseline)][:1]
            together = self._places([*leader, *waiting])[len(leader) : MOST - 1]
            contestants = [*together, *leader] if together else self._places(waiting[:1])
            if not contestants:
                self._in_twos(waiting[0])
            elif not self._set(contestants):
                break

    def further_sets(self, worth: Callable[[Sequence[Trial]], Sequence[Trial]], most: int = SETS) -> None:
        """More sets, as far as the budget allows, of those that are worth it.

        Args:
            worth: of those still in the race, whom a further set would serve.
            most: sets of each, those before counted.
        """
        while True:
            self.first_sets()  # of those whose sets were void
            race = self.race
            able = [t for t in self.running() if t.result.search is not None and t.name not in self.alone]
            due = [t for t in worth(able) if race.looks(t.name) < most]
            if not due or not self._set(self._places(due)[: MOST - 1]):
                break

    def _places(self, trials: Sequence[Trial]) -> list[Trial]:
        """The first of these that fit in memory with the baseline and its second process."""
        free = self.run.place.host.free_memory()
        return list(trials[: how_many_fit([limit_of(t) for t in trials], 2 * limit_of(self.baseline), free)])

    def _set(self, trials: Sequence[Trial]) -> bool:
        """One set of as many of these as the budget allows, and what follows from it; False where there is no time for any."""
        count = len(trials)
        while count and not self._rounds(trials[:count]):
            count -= 1
        one = self._measured(trials[:count]) if count else None
        if one is None:
            return False
        self.sets.append(one)
        self._note_failures(one)
        self._judge(one)
        return True

    def _note_failures(self, one: RaceSet) -> None:
        """What failed during a set; what somebody else killed has another turn, once."""
        for name, dropout in one.failed.items():
            if dropout.killed and name not in self._killed:
                self._killed.add(name)
            elif name in self.field:
                self.field[name] = fail(self.run, self.model, self.field[name], dropout.failure)
                self._tell(name)

    def _judge(self, one: RaceSet) -> None:
        """Figures after a set, and who drops out; nothing of a race in which the baseline differs from itself."""
        race = self.race
        if race.void and self.voids < MOST_VOID:
            self.voids += 1
            self.sets = []
            self.run.emit("race-void", stage=self.place.parent.name, sets=len(race.sets))
            self.field |= {t.name: t.with_result(search=None) for t in self.running() if t.name not in self.alone}
            return
        entered = [name for name in one.contestants if name in self.field and self.field[name].ready and name not in one.failed]
        for name in entered:
            self.field[name] = self.field[name].with_result(search=self._figures(race, name, self.baseline.name))
        for name in entered if not race.void else ():
            field = [self.baseline, *self.running()]
            beaten = beaten_by(race, self.field[name], field, self.run.gates, self.run.request.weights, self._advantage)
            if beaten is not None:
                sets = race.looks(name)
                shown = "1 set" if sets == 1 else f"{sets} sets"
                self.field[name] = self.field[name].dropped(
                    f"significantly slower than {beaten} after {shown} of a race, and better in nothing that counts"
                )
                self._tell(name)
        self.run.emit(
            "race-set", stage=self.place.parent.name, number=one.index, contestants=len(one.contestants) - COPY - 1,
            left=len(self.running()),
        )  # fmt: skip

    def _advantage(self, rival: Trial, trial: Trial) -> Mapping[str, Interval]:
        """How much better a rival's answers are than a contestant's, paired by example; computed once."""
        key = rival.name, trial.name
        if key not in self._compared:
            theirs, mine, before = rival.check_folder, trial.check_folder, self.baseline.quality_reference.check_folder
            assert theirs is not None and mine is not None and before is not None  # what is timed was checked
            self._compared[key] = advantage(theirs, mine, before, self.task)
        return self._compared[key]

    def _measured(self, trials: Sequence[Trial]) -> RaceSet | None:
        """A set from the run's folder, or run now; None where there is no time for it, or it ran out.

        On a machine that is busy for a while it waits for quiet, and runs the set again.
        """
        assert self.baseline.subject is not None
        subjects = [self.baseline.subject, self.baseline.subject, *map(_subject, trials)]
        sides = tuple(map(identity_of, subjects))
        path = self.place / f"set-{self.number}.json"
        self.number += 1
        known = load(path, RaceSet)
        if known is not None and known.sides == sides:
            return known
        found = self._run_set(subjects, trials, path)
        while found is not None and self._busy(found) and self._quiet_again(self.baseline.subject.threads):
            again = self._run_set(subjects, trials, path)
            if again is None:
                break
            found = again
        return found

    def _rounds(self, trials: Sequence[Trial]) -> int:
        """Rounds of a set of these that fit the time left."""
        costs = race_costs(self.run, self.baseline, trials)
        return rounds_that_fit(self.run.budget.left(), costs, self.run.family.pace.rounds)

    def _run_set(self, subjects: Sequence[Subject], trials: Sequence[Trial], path: Path) -> RaceSet | None:
        run, costs, rounds = self.run, race_costs(self.run, self.baseline, trials), self._rounds(trials)
        if not rounds:
            return None
        expected, begin = costs.start + rounds * costs.round, time.monotonic()
        threads = max(of.threads for of in subjects)
        cores = quieter_cpus(run.place.host, threads, self.number)
        plan = SetPlan(self.number - 1, rounds, run.request.seed, cores, begin + PATIENCE * expected)
        run.tell("racing", contestants=[t.name for t in trials])
        try:
            with run.spending("search"):
                one = self._twice(lambda: run_set(subjects, self._limits(trials, HANGING * costs.start), plan))
        except BudgetError:
            return None
        if len(one.rounds) == rounds:
            run.budget.observe(expected, time.monotonic() - begin)
        save(path, one)
        return one

    def _twice(self, action: Callable[[], RaceSet]) -> RaceSet:
        """Once more where somebody else killed the baseline's process.

        Raises:
            BaselineError: the baseline failed.
        """
        try:
            return action()
        except WorkerError as error:
            if not (isinstance(error, WorkerCrash) and error.killed):
                refuse_baseline_failure(error, self.baseline.name)
                raise
        try:
            return action()
        except WorkerError as error:
            refuse_baseline_failure(error, self.baseline.name)
            raise

    def _limits(self, trials: Sequence[Trial], seconds: float) -> list[Limits]:
        """Of the baseline's processes and of each contestant's: twice the memory that it was seen to take, and never more than
        the device that the session stands for has; of a contestant, the time for an answer.
        """
        most = self.run.limits(session=True)
        hangs = most._replace(seconds=min(most.seconds, max(HANGING_S, seconds)))

        def held(limits: Limits, trial: Trial) -> Limits:
            known = trial.footprints and trial.footprints[0].memory is not None
            return limits._replace(memory_bytes=min(limit_of(trial), limits.memory_bytes or limit_of(trial))) if known else limits

        return [held(most, self.baseline)] * 2 + [held(hangs, trial) for trial in trials]

    def _busy(self, one: RaceSet) -> bool:
        """Whether wall time says nothing, since the baseline itself was disturbed in most rounds."""
        race = Race([one])
        return max(race.excluded(name) for name in one.contestants[: COPY + 1]) > MAX_EXCLUDED

    def _quiet_again(self, threads: int) -> bool:
        def told(processes: Sequence[str], seconds: float) -> None:
            self.run.emit("waiting", processes=list(processes), seconds=seconds)

        return self.run.quiet.wait(threads, self.run.budget.left(), told)

    def _in_twos(self, trial: Trial) -> None:
        """Pairs of processes for what does not fit in memory beside two of the baseline."""
        run = self.run
        self.alone.add(trial.name)
        pairs, quads = run.family.pace.search
        assert self.baseline.subject is not None
        try:
            with run.spending("search"):
                found = measure(
                    run, self.baseline.subject, _subject(trial), "search", range(pairs), quads, lambda _: run.budget.left() <= 0
                )
        except WorkerError as error:
            refuse_baseline_failure(error, self.baseline.name)
            self.field[trial.name] = fail(run, self.model, trial, failure_of("timing", error))
            return
        except BudgetError:
            self.field[trial.name] = trial.not_reached("the budget ended while it was timed")
            return
        timing = timing_of(found, "search", run.folder.candidate(trial.name) / "search")
        self.field[trial.name] = trial.with_result(search=timing)


def limit_of(trial: Trial) -> int:
    """Bytes that a contestant's process may hold: twice what it was seen to hold, and room for what is not counted; where the
    platform does not tell memory, by its files.
    """
    memory, artifact = trial.footprints[0].memory if trial.footprints else None, trial.candidate.artifact
    held = artifact.bytes if artifact is not None else 0
    if memory is not None:
        held = max(memory.total_rss, memory.peak + memory.empty)
    return ROOM * held + FLOOR_BYTES


def beaten_by(
    found: Comparisons, trial: Trial, field: Sequence[Trial], gates: Sequence[Gate], weights: Mapping[str, float],
    compared: Callable[[Trial, Trial], Mapping[str, Interval]],
) -> str | None:  # fmt: skip
    """A rival that leaves nothing to win; None too for what is timed for information, such as the runtime's defaults.

    Args:
        field: the baseline, and all that are still in the race.
        compared: how much better the answers of the first are than those of the second, by metric.
    """
    baseline = field[0]
    if only_informs(trial, baseline):
        return None
    others = [t for t in field if t.name != trial.name and (t is baseline or not only_informs(t, baseline))]
    rivals = [t for t in others if found.rounds(t.name, trial.name)]
    for rival in rivals:
        faster = found.beats(rival.name, trial.name, len(rivals))
        if ends_race(racer_of(rival), racer_of(trial), faster, gates, weights, partial(compared, rival, trial)):
            return rival.name
    return None


def _subject(trial: Trial) -> Subject:
    assert trial.subject is not None
    return trial.subject


def _pace(trial: Trial) -> tuple[int, float]:
    """Untimed first, then by speed."""
    figure = _figure(trial.result.search)
    return (0, 0.0) if trial.result.search is None else (1, -(figure.value if figure is not None else 0.0))


def _figure(timing: Timing | None) -> Interval | None:
    return None if timing is None else timing.speedup or timing.rough
