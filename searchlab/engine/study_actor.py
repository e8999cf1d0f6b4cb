"""The study as a Ray actor: workers on any machine report to it, and the driver collects its events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import ray

from searchlab.backend import Device
from searchlab.engine.crash_retries import CrashRetries
from searchlab.engine.garbage_collection import tune_garbage_collector
from searchlab.engine.payload import JobPayload
from searchlab.engine.shared_folder import create_marker
from searchlab.engine.worker_pool import WorkerPool
from searchlab.fusion.groups import Group, NoGroupYet
from searchlab.runs.events import Event, EventBuffer
from searchlab.runs.study_client import Decision
from searchlab.runs.trials import TrialRecord
from searchlab.training import EpochReport

if TYPE_CHECKING:
    from searchlab.study.study import Study


class StudyActor:
    """The study, its workers and its events in one process.

    Until `open` returns, only `drain_events` and `set_slots` may be called. A worker is identified by its Tune trial,
    which stays the same when Tune restarts the worker; `process` identifies its process.
    """

    _study: Study
    _crash_retries: CrashRetries

    def __init__(self, payload: JobPayload) -> None:
        self._payload, self._events = payload, EventBuffer()
        self._workers = WorkerPool()
        self._has_work = True  # updated by every call that may change it, for `set_slots`, which must not wait
        self._has_trained = False  # whether any worker has reported an epoch
        self._group_by_trial: dict[int, str] = {}
        self._stop_reason: str | None = None

    def open(self) -> None:
        """Open the study; while it waits for its database or for an earlier owner, its events report that.

        Raises what the constructor of Study raises.
        """
        job = self._payload.open()
        from searchlab.study.study import Study  # here, because workers import this module without Optuna

        if job.config.address:
            create_marker(job.checkpoints)
        self._study = Study(job, self._events)
        self._crash_retries = CrashRetries(self._study)
        if _is_actor_process():
            tune_garbage_collector()

    @ray.method(concurrency_group="events")
    def set_slots(self, slots: Mapping[Device, int]) -> tuple[int, bool]:
        """Set the number of workers that may train on each device; return how many do, and whether there is more work.

        It returns at once even while the study waits for its storage.
        """
        self._workers.slots = slots
        return len(self._workers), self._has_work

    def start_worker(self, worker: str) -> Device | Literal["later", "never"]:
        """Return the device for a new worker; "later" while no slot is free or no work is left, "never" at the end."""
        self._update_has_work()
        if self._stop_reason or self._study.is_done():
            return "never"
        device = self._workers.next_free_device() if self._has_work else None
        if device is None:
            return "later"
        self._workers.assign_slot(worker, device)
        return device

    def next_group(
        self, worker: str, process: str = "", device: Device | None = None, node: str = ""
    ) -> Group | NoGroupYet | None:
        """Return the next group for this worker: the one that its last process crashed with, or else a new one.

        None tells the worker to end. A process that counts as dead gets None.
        """
        if not self._workers.is_current_process(worker, process) or not self._obtain_slot(worker, device, node):
            return None
        previous = self._workers.release_group(worker)
        unfinished = self._unfinished(worker, previous) if previous else None
        if self._workers.exceeds_slots(worker) or self._workers.is_preempted(worker):
            self._workers.remove(worker)
            if unfinished:
                self._study.return_group(unfinished)
            self._update_has_work()
            return None
        self._study.workers = len(self._workers) or self._study.workers
        group = unfinished or (None if self._stop_reason else self._study.ask())
        if isinstance(group, Group):
            self._assign(worker, group)
        elif group is None:
            self._workers.remove(worker)
        self._update_has_work()
        return group

    def worker_lost(self, worker: str) -> None:
        """Return the group of a worker whose process died to the study at once; Tune restarts the worker."""
        self._return_group(worker)
        self._workers.mark_lost(worker)

    def worker_ended(self, worker: str) -> None:
        """Return the group of a worker that has ended, or that Tune does not restart any more, to the study."""
        self._return_group(worker)
        self._workers.remove(worker)

    def report_unusable_node(self, reason: str) -> None:
        """Stop the search when no worker has trained yet; otherwise only notify, because other nodes can train."""
        if self._has_trained:
            self._study.notify(reason, reason)
        else:
            self.stop(reason)

    def should_wait(self, worker: str, process: str) -> bool:
        """Return whether a worker on an unusable node must wait: it keeps its slot, so that no other starts there."""
        is_ending = self._stop_reason or self._study.is_done() or self._workers.exceeds_slots(worker)
        if self._workers.is_current_process(worker, process) and not is_ending:
            return True
        self._workers.remove(worker)
        return False

    def is_idle(self) -> bool:
        """Return whether no worker trains and none will, even if a Tune trial still waits for a node."""
        return (self._stop_reason is not None or self._study.is_done()) and not len(self._workers)

    def grow(self, group: Group, size: int) -> Group:
        """Return the group with more trials, see `StudyClient.grow`; its worker now trains all of them.

        A process that counts as dead, behind a cut network, may call too: a group grows once, and only while it has a
        worker, because trials that no worker knows of would stay open for ever.
        """
        worker = self._workers.worker_of(group.id)
        known = self._workers.group_of(worker) if worker else None
        if worker is None or known is None:
            return replace(group, max_followers=0)
        if len(known.trials) > len(group.trials):
            return known
        grown = self._study.grow(group, size)
        self._assign(worker, grown)
        return grown

    def running(self, numbers: Sequence[int]) -> list[int]:
        return self._study.running(numbers)

    def report_epochs(self, epochs: Sequence[tuple[Sequence[int], EpochReport]]) -> Decision:
        """Report one or several consecutive epochs of a group; return the decision after the last one."""
        group = self._group_by_trial.get(epochs[0][0][0], "")
        self._crash_retries.record_epoch(group)
        self._has_trained = True
        decision = [self._study.report(numbers, report) for numbers, report in epochs][-1]
        return replace(decision, pause=decision.pause or self._workers.preempt(group))

    def restore_reports(self, reports: Sequence[tuple[Sequence[int], EpochReport]]) -> None:
        self._study.restore_reports(reports)

    def finish(self, numbers: Sequence[int], report: EpochReport) -> None:
        self._study.finish(numbers, report)

    def fail(self, numbers: Sequence[int], reason: str, traceback: str | None = None) -> None:
        self._study.fail(numbers, reason, traceback)

    def notify(self, topic: str, text: str) -> None:
        self._study.notify(topic, text)

    def return_survivors(self, group: Group, epoch: int) -> bool:
        """Return whether the study keeps these survivors, see `StudyClient`; their worker is then free."""
        is_kept = self._study.return_survivors(group, epoch)
        if is_kept:
            self._workers.forget_group(group.id)
            self._update_has_work()
        return is_kept

    def report_memory(self, numbers: Sequence[int], needed: int, limit: int) -> None:
        self._crash_retries.report_memory(numbers, needed, limit)

    def pause(self, text: str) -> None:
        """Give out no more groups, have every group saved after its epoch, and notify with this text."""
        self._study.notify("pause", text)
        self._study.pause()

    def stop(self, reason: str) -> None:
        """Give out no more groups, because each would fail for this reason. Open trials stay open for `resume`."""
        self._stop_reason = reason

    def stop_reason(self) -> str | None:
        """Return why the search was stopped; None when it was not."""
        return self._stop_reason

    def end_reason(self) -> str | None:
        """Return why the study ended the search before all its trials; None when it did not."""
        return self._study.end_reason

    @ray.method(concurrency_group="events")
    def drain_events(self) -> list[Event]:
        """Return the events since the last call, in order."""
        return self._events.drain()

    def records(self) -> list[TrialRecord]:
        """Return every trial so far."""
        return self._study.records()

    def close(self) -> None:
        """Close the study, so that another process can open it."""
        self._study.close()

    def _update_has_work(self) -> None:
        self._has_work = not self._stop_reason and self._study.has_more()

    def _obtain_slot(self, worker: str, device: Device | None, node: str) -> bool:
        """Return whether the worker has a slot, or gets one again after a restart; always without a limit of slots."""
        if self._workers.slots is None or device is None:
            return True
        self._workers.mark_restarted(worker)
        if worker not in self._workers and not self._workers.has_free_slot(device):
            return False
        self._workers.assign_slot(worker, device, node)
        return True

    def _return_group(self, worker: str) -> None:
        self._workers.abandon_process(worker)
        group = self._workers.release_group(worker)
        unfinished = self._unfinished(worker, group) if group else None
        if unfinished:
            self._study.return_group(unfinished)
        self._update_has_work()

    def _unfinished(self, worker: str, group: Group) -> Group | None:
        """Return what is left to train of this worker's group, which it has saved if preempted, or crashed with.

        None where the search ends: a worker then leaves its group without a crash, and `resume` continues it.
        """
        numbers = self._study.running(group.trials)
        if not numbers or self._study.paused or self._stop_reason:
            return None
        unfinished = group.subset(numbers)
        if self._workers.is_preempted(worker):
            return replace(unfinished, max_followers=0)
        return self._crash_retries.retry(unfinished)

    def _assign(self, worker: str, group: Group) -> None:
        self._workers.assign_group(worker, group)
        self._group_by_trial |= dict.fromkeys(group.trials, group.id)


def _is_actor_process() -> bool:
    """Return whether this process runs nothing but a Ray actor, unlike that of a test or a notebook."""
    return ray.is_initialized() and ray.get_runtime_context().get_actor_id() is not None
