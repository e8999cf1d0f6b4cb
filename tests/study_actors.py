"""Study actors in the test's own process."""

from __future__ import annotations

from searchlab.engine.payload import payload_for_study
from searchlab.engine.study_actor import StudyActor
from searchlab.runs.events import Message
from searchlab.space.samplers import Random
from tests.jobs import make_job
from tests.sweeps import spiral_sweep
from tests.test_study import epoch


def spiral_payload(folder, name="s", *, trials=12, space_trials=None, **options):
    """The payload of a job that draws random trials of `spiral_sweep`; options as for `make_job`."""
    sweep = spiral_sweep(trials=space_trials or trials, sampler=Random())
    return payload_for_study(make_job(sweep, name, folder / "j", folder / "c", trials=trials, **options))


def open_actor(folder, **options):
    """An open study actor; options as for `spiral_payload`."""
    actor = StudyActor(spiral_payload(folder, **options))
    actor.open()
    return actor


def report_epoch(actor, group, number):
    """Report an epoch of equal scores for a group of two folds, and return the decision."""
    return actor.report_epochs([(group.trials, epoch(number, [0.5] * 2 * len(group.trials)))])


def finish(actor, group, number=1):
    """Report the last epoch of a group of two folds."""
    actor.finish(group.trials, epoch(number, [0.5] * 2 * len(group.trials)))


def states(actor):
    return [record.state for record in actor.records()]


def messages(actor):
    return [event.text for event in actor.drain_events() if isinstance(event, Message)]
