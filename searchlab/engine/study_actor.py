"""The study as a Ray actor: the desk that workers on any machine report to, and the driver asks for news."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import ray

from searchlab.backend import Device
from searchlab.engine.crash_retries import CrashRetries
from searchlab.engine.payload import JobPayload
from searchlab.engine.shared_folder import mark
from searchlab.engine.worker_pool import WorkerPool
from searchlab.fusion.groups import Group, Later
from searchlab.runs.events import Buffer, Event
from searchlab.runs.study_client import Decision
from searchlab.runs.trials import TrialRecord
from searchlab.training import EpochReport

if TYPE_CHECKING:
    from searchlab.study.study import Study

SELDOM = 10_000  # a full collection comes after so many of the middle ones; Python's own number is 10


class StudyActor:
    """The study as an actor, with a buffer of what it has to tell. Only its news are told before it is open."""

    _study: Study
    _deaths: CrashRetries

    def __init__(self, parcel: JobPayload) -> None:
        self._parcel, self._buffer = parcel, Buffer()
        self._shifts = WorkerPool()
        self._more = True  # as of the last call that could change it: asked for by a thread that must not wait
        self._trained = False  # whether any worker has
        self._life: dict[str, str] = {}  # the process that a shift is, by its own mark
        self._gone: set[str] = set()  # processes that were given up, and may live on behind a cut network
        self._group_of: dict[int, str] = {}
        self._halted: str | None = None

    def open(self) -> None:
        """Open the study, which may have to wait for its database or for an earlier owner; the news say so meanwhile.

        Raises what Study does.
        """
        job = self._parcel.open()
        from searchlab.study.study import Study  # here alone: a worker imports this file and needs no Optuna

        if job.address:
            mark(job.checkpoints)
        self._study = Study(job, self._buffer)
        self._deaths = CrashRetries(self._study)
        if _in_actor():
            tune_garbage_collector()

    @ray.method(concurrency_group="news")
    def seat(self, seats: Mapping[Device, int]) -> tuple[int, bool]:
        """So many workers may train at once on each device; how many do, and whether there is work for more.

        It answers also while the study waits for its storage.
        """
        self._shifts.seats = seats
        return len(self._shifts), self._more

    def opening(self, shift: str) -> Device | Literal["later", "never"]:
        """The device that this new shift is to train on, unless there is no seat or no work now, or will be none."""
        self._look()
        if self._halted or self._study.done():
            return "never"
        device = self._shifts.free() if self._more else None
        if device is None:
            return "later"
        self._shifts.begin(shift, device)
        return device

    def take(self, shift: str, life: str = "", device: Device | None = None, node: str = "") -> Group | Later | None:
        """A group for this shift: the one its worker died with, else the next; None when it is over.

        `life` tells its process from another of the same shift: one that was given up gets nothing any more. `node` is
        where it is.
        """
        if not self._lives(shift, life) or not self._seated(shift, device, node):
            return None
        held = self._shifts.let_go(shift)
        again = self._left_of(shift, held) if held else None
        if self._shifts.too_many(shift) or self._shifts.was_asked(shift):
            self._shifts.end(shift)
            if again:
                self._study.put_back(again)
            self._look()
            return None
        self._study.workers = len(self._shifts) or self._study.workers
        group = again or (None if self._halted else self._study.ask())
        if isinstance(group, Group):
            self._hold(shift, group)
        elif group is None:
            self._shifts.end(shift)
        self._look()
        return group

    def lose(self, shift: str) -> None:
        """The shift's worker is gone, and Tune begins it anew: what it held is handed out again at once."""
        self._let_go(shift)
        self._shifts.lose(shift)

    def leave(self, shift: str) -> None:
        """The shift is over, or was given up after many deaths: what it may hold still is handed out again."""
        self._let_go(shift)
        self._shifts.end(shift)

    def _let_go(self, shift: str) -> None:
        self._gone |= {life} if (life := self._life.pop(shift, "")) else set()
        held = self._shifts.let_go(shift)
        again = self._left_of(shift, held) if held else None
        if again:
            self._study.put_back(again)
        self._look()

    def unfit(self, reason: str) -> None:
        """A worker cannot train where it is: that ends a search in which nobody has trained, and no other."""
        if self._trained:
            self._study.note(reason, reason)
        else:
            self.halt(reason)

    def idle(self, shift: str, life: str) -> bool:
        """Whether a worker that cannot train is to stay: as long as it keeps its seat, no other begins in its place."""
        stays = self._lives(shift, life) and not (self._halted or self._study.done() or self._shifts.too_many(shift))
        if not stays:
            self._shifts.end(shift)
        return stays

    def vacant(self) -> bool:
        """Whether nobody trains and nobody will: a shift that still waits for a node need not begin."""
        return (self._halted is not None or self._study.done()) and not len(self._shifts)

    def grow(self, group: Group, pays: int) -> Group:
        grown = self._study.grow(group, pays)
        shift = self._shifts.holder(group.id)
        if shift:
            self._hold(shift, grown)
        return grown

    def running(self, numbers: Sequence[int]) -> list[int]:
        return self._study.running(numbers)

    def reports(self, epochs: Sequence[tuple[Sequence[int], EpochReport]]) -> Decision:
        """Take in one epoch of a group or several in a row; who goes on after the last."""
        group = self._group_of.get(epochs[0][0][0], "")
        self._deaths.lives(group)
        self._trained = True
        verdict = [self._study.report(numbers, report) for numbers, report in epochs][-1]
        return replace(verdict, pause=verdict.pause or self._shifts.ask_to_leave(group))

    def recall(self, reports: Sequence[tuple[Sequence[int], EpochReport]]) -> None:
        self._study.recall(reports)

    def finish(self, numbers: Sequence[int], report: EpochReport) -> None:
        self._study.finish(numbers, report)

    def fail(self, numbers: Sequence[int], reason: str) -> None:
        self._study.fail(numbers, reason)

    def note(self, about: str, text: str) -> None:
        self._study.note(about, text)

    def take_back(self, group: Group, epoch: int) -> bool:
        taken = self._study.take_back(group, epoch)
        if taken:
            self._shifts.drop(group.id)
            self._look()
        return taken

    def weigh(self, numbers: Sequence[int], needed: int, memory: int) -> None:
        self._deaths.weigh(numbers, needed, memory)

    def pause(self, text: str) -> None:
        """Hand out no more, and have every group saved after its epoch."""
        self._study.note("pause", text)
        self._study.pause()

    def halt(self, reason: str) -> None:
        """Hand out no more: every group would meet the same fault. Open trials stay open, for another day."""
        self._halted = reason

    def halted(self) -> str | None:
        return self._halted

    def over(self) -> str | None:
        return self._study.over

    @ray.method(concurrency_group="news")
    def drain(self) -> list[Event]:
        return self._buffer.drain()

    def records(self) -> list[TrialRecord]:
        return self._study.records()

    def close(self) -> None:
        self._study.close()

    def _look(self) -> None:
        """See whether there is work for more workers."""
        self._more = not self._halted and self._study.more()

    def _lives(self, shift: str, life: str) -> bool:
        """Whether this process is the shift's; the newest is, and those before it are given up."""
        if life in self._gone:
            return False
        before = self._life.setdefault(shift, life)
        if before != life:
            self._gone.add(before)
            self._life[shift] = life
        return True

    def _seated(self, shift: str, device: Device | None, node: str) -> bool:
        """Whether the shift has a seat, or there is one for it again; where nobody counts, always."""
        if self._shifts.seats is None or device is None:
            return True
        self._shifts.back(shift)
        if shift not in self._shifts and not self._shifts.has_free(device):
            return False
        self._shifts.begin(shift, device, node)
        return True

    def _left_of(self, shift: str, held: Group) -> Group | None:
        """What is to be trained of the group that this shift had: saved because it was told to, or died with."""
        left = self._study.running(held.trials)
        if not left or self._study.paused:
            return None
        return replace(held.of(left), room=0) if self._shifts.was_asked(shift) else self._deaths.again(held.of(left))

    def _hold(self, shift: str, group: Group) -> None:
        self._shifts.hold(shift, group)
        self._group_of |= dict.fromkeys(group.trials, group.id)


def _in_actor() -> bool:
    """Whether this process is a Ray actor's, with nothing to do but this: not a test's, nor a notebook's."""
    return ray.is_initialized() and ray.get_runtime_context().get_actor_id() is not None


def tune_garbage_collector() -> None:
    """Keep the garbage collector from going through all trials time and again: it never finds one to free."""
    # A simulated search of 100,000 trials (bench/simulate.py), run and opened again: 30 full collections, 37 s in all,
    # up to 4.1 s in which every worker waits, to free 40 objects. With this: none once the study is open, the longest
    # wait 0.6 s instead of 7.8 s, and no more memory. The collections of what is new go on, and find what they found.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*gc.get_threshold()[:2], SELDOM)
