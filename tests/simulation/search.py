"""A whole search, one process at a time: the study's actor, Tune, the workers and their deaths in a drawn order."""

from __future__ import annotations

import random
from collections import deque

from searchlab.engine.payload import payload_for_study, payload_for_workers
from searchlab.engine.study_actor import StudyActor
from searchlab.fusion.groups import Group
from searchlab.training import EpochReport
from tests.simulation.environment import DriverKilled, Environment
from tests.simulation.processes import DirectHandle
from tests.simulation.tune import SimulatedTune

MAX_STEPS = 30_000  # of a search; far more than any needs
DISTURBANCE_RATE = 0.015  # disturbances per step, while any are left


class SimulatedSearch:
    """A search of these settings, whose schedule is drawn from a seed.

    Attributes:
        events: For each life of the study, its events.
        end_reason: Why the search ended before all its trials; None where it did not.
        trace: The latest steps, as text.
    """

    def __init__(self, settings, folder, seed):
        self.settings, self.job, self._draws = settings, settings.job(folder), random.Random(seed)
        self.environment = Environment(settings, self._draws, self._pause)
        self.events, self.end_reason, self.trace, self._steps = [], None, deque(maxlen=150), 0
        self._weights = {name: self._draws.choice([1.0, 1.0, 4.0, 16.0]) for name in ("run", "deliver", "tune")}
        self._weights["suggest"] = 0.1 * self._weights["tune"]
        self._disturbances = deque(settings.disturbances)

    def run(self, monkeypatch):
        """Search to the end, through as many lives of the study as there are, and return the records of the trials."""
        self.environment.patch(monkeypatch)
        while True:
            self._actor, self._tune, self._is_paused = None, None, False
            try:
                records = self._live()
            except DriverKilled:
                self.trace.append("the driver is killed")
                self._is_paused = True
            finally:
                self._end_life()
            if not self._is_paused:
                return records

    def _live(self):
        """Open the study and search until Tune ends; return the records of the trials."""
        self._actor = StudyActor(payload_for_study(self.job))
        self._actor.open()
        self._actor.set_slots({"cpu": self.settings.workers})
        handle, payload = DirectHandle(self._execute), payload_for_workers(self.job)
        max_workers, is_hasty = self.settings.workers + 1, self.settings.has_zombies
        self._tune = SimulatedTune(handle, payload, max_workers, is_hasty=is_hasty)
        while not self._tune.is_over:
            self._steps += 1
            assert self._steps < MAX_STEPS, "the search does not end"
            self._take_step()
        assert self._actor.stop_reason() is None, self._actor.stop_reason()
        self.end_reason = self._actor.end_reason()
        return self._actor.records()

    def _take_step(self):
        """Take a step that is drawn from all that are possible."""
        if self._disturbances and self._draws.random() < DISTURBANCE_RATE:
            self._disturb(self._disturbances.popleft())
            return
        processes = self._tune.processes
        steps = [("run", process.name, process.resume) for process in processes if process.can_run]
        steps += [("deliver", p.name, lambda p=p: self._deliver(p)) for p in processes if p.calls]
        steps += self._tune.steps()
        kind, name, step = self._draws.choices(steps, [self._weights[kind] for kind, _, _ in steps])[0]
        if kind == "tune":
            self.trace.append(name)
        step()

    def _disturb(self, kind):
        running = self._tune.running
        if kind in ("kill worker", "cut worker") and running:
            self._harm_worker(kind, self._draws.choice(running))
        elif kind == "preempt":
            slots = {"cpu": self._draws.randint(1, self.settings.workers)}
            self.trace.append(f"the slots are {slots}")
            self._actor.set_slots(slots)
        elif kind == "pause":
            self.trace.append("the search is paused")
            self._actor.pause("the search is paused")
            self._is_paused = True
        elif kind == "kill driver":
            raise DriverKilled
        elif kind == "kill study":
            self.environment.lines_left = self._draws.randint(0, 12)

    def _harm_worker(self, kind, trial):
        """Kill the process of a worker or cut its connection; or have it count as dead while it goes on."""
        process = trial.process
        delivered = self._draws.randint(0, len(process.calls))
        self.trace.append(f"{kind}: {process.name}; {delivered} of {[call.method for call in process.calls]} arrive")
        if kind == "cut worker":
            process.cut(delivered)
            return
        trial.is_lost = True
        if not self.settings.has_zombies or self._draws.random() < 0.5:
            process.kill(delivered)

    def _deliver(self, process):
        call = process.calls.popleft()
        self.trace.append(f"{process.name} calls {call.method}")
        result = self._execute(call.method, call.arguments)
        if not call.reference.is_ready:  # else its connection was cut
            call.reference.resolve(result)

    def _execute(self, method, arguments):
        """Carry out a call in the study's actor, whose exceptions end the test."""
        result = getattr(self._actor, method)(*arguments)
        if result != "later":
            self.trace.append(f"    {method} {_short(arguments)} -> {_short(result)}")
        if method == "next_group" and isinstance(result, Group):
            self._check_handed_out(result)
        return result

    def _check_handed_out(self, group):
        """Check that every trial of the group is open, and that no other worker trains it."""
        assert len(set(group.trials)) == len(group.trials) > 0, f"a group of {group.trials}"
        ended = set(group.trials) - set(self._actor.running(group.trials))
        assert not ended, f"the group {group.id} was handed out with {ended}, which have ended"
        groups = self._actor._workers._group_by_worker.values()
        trials = [number for other in groups for number in self._actor.running(other.trials)]
        assert self.settings.has_zombies or len(trials) == len(set(trials)), f"two workers train one trial of {trials}"

    def _end_life(self):
        """End all processes, and leave the study as a kill leaves it."""
        self.environment.lines_left = None
        for process in self._tune.processes if self._tune else ():
            process.kill(delivered=0)
        if self._actor:
            self.events.append(self._actor.drain_events())
            if hasattr(self._actor, "_study"):
                self._actor.close()

    def _pause(self):
        """Let others run, where a process and not the driver calls."""
        process = next((p for p in self._tune.processes if p.is_current), None) if self._tune else None
        if process:
            process.pause()


def _short(value):
    """Return a value as a short text for the trace."""
    match value:
        case Group():
            return f"<{value.id}: {value.trials}{f' of {value.merged_groups}' if value.merged_groups else ''}>"
        case EpochReport():
            return f"epoch {value.epoch}"
        case list() | tuple():
            return f"({', '.join(map(_short, value))})"
    return repr(value)[:100]
