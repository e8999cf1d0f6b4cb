"""What must hold after a search, whatever its schedule was: each function yields violations."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from searchlab.runs.events import EpochFinished, TrialFinished, TrialStarted
from tests.simulation.search import SimulatedSearch
from tests.simulation.settings import FOLDS, draw_settings
from tests.simulation.training import BROKEN, DIVERGED, expected_scores

EXPECTED_FAILURES = (BROKEN, DIVERGED, "infeasible: ", "the same parameters as trial ")


def search_with(settings, folder, seed, schedule=0):
    """Search with these settings, check every invariant, and return the records of the trials."""
    folder.mkdir(parents=True)
    search = SimulatedSearch(settings, folder, f"{seed} {schedule}")
    with pytest.MonkeyPatch.context() as monkeypatch:
        try:
            records = search.run(monkeypatch)
            found = violations(search, records)
        except Exception as error:
            raise AssertionError(f"{error!r}\n{_explanation(search, seed, schedule)}") from error
    assert not found, "\n".join([*found, _explanation(search, seed, schedule)])
    return records


def check_reproducible(folder, seed):
    """Search twice in different orders, and check that the trials are the same."""
    settings = draw_settings(seed, reproducible=True)
    outcomes = [
        [
            (record.parameters, record.state, len(record.curve.scores))
            for record in search_with(settings, folder / str(schedule), seed, schedule)
        ]
        for schedule in (1, 2)
    ]
    differences = [(n, *pair) for n, pair in enumerate(zip(*outcomes, strict=True)) if pair[0] != pair[1]]
    assert not differences, f"seed {seed}: {settings}\n{settings.changes}\n{differences}"


def _explanation(search, seed, schedule):
    steps = "\n".join(search.trace)
    return f"seed {seed}, schedule {schedule}: {search.settings}\n{search.settings.changes}\nlatest steps:\n{steps}"


def violations(search, records):
    """Return every violation of every invariant."""
    return [
        *_all_ended(search, records),
        *_curves_are_whole(search, records),
        *_ended_once(search, records),
        *_no_checkpoint_left(search),
    ]


def _all_ended(search, records):
    """Check that there are as many trials as requested, that each has ended, and for a known reason."""
    job = search.job
    is_grid = job.sweep.grid_points() is not None
    counted = sum(is_grid or record.state != "INFEASIBLE" for record in records)
    if counted != job.trials and not search.end_reason:
        yield f"{job.trials} trials were requested, and there are {counted}"
    for record in records:
        if record.state == "RUNNING":
            yield f"trial {record.number} has not ended"
        if record.state == "FAIL" and not any(known in record.reason for known in EXPECTED_FAILURES):
            yield f"trial {record.number} has failed: {record.reason}"


def _curves_are_whole(search, records):
    """Check that each curve has the scores of its trial without gaps, and each complete trial all its epochs."""
    sweep = search.job.sweep
    epochs, early_stopping = sweep.training.arguments["epochs"], sweep.early_stopping
    for record in records:
        scores = np.array(record.curve.scores).reshape(-1, FOLDS)
        expected = expected_scores(record.parameters, FOLDS, epochs, search.settings.diverging)
        if not np.array_equal(scores, expected[: len(scores)], equal_nan=True):
            yield f"trial {record.number} has other scores than its training: {scores} and {expected}"
        others = np.array(record.curve.others).reshape(len(scores), len(sweep.metrics) - 1, FOLDS)
        if not np.array_equal(others, np.broadcast_to(1.0 - scores[:, None], others.shape), equal_nan=True):
            yield f"trial {record.number} has other scores by the second metric than its training: {others}"
        stopped_early = early_stopping and early_stopping.should_stop(scores.mean(axis=1).tolist(), "max")
        if record.state == "COMPLETE" and len(scores) != epochs and not stopped_early:
            yield f"trial {record.number} is complete after {len(scores)} of {epochs} epochs"


def _ended_once(search, records):
    """Check that each trial ended once in all lives, and that in each life its events are in order."""
    ends = Counter(event.trial for life in search.events for event in life if isinstance(event, TrialFinished))
    for record in records:
        allowed = (0, 1) if search.environment.is_torn else (1,)
        if ends[record.number] not in allowed:
            yield f"trial {record.number} has ended {ends[record.number]} times"
    for life in search.events:
        epochs, closed = {}, set()
        for event in life:
            if isinstance(event, TrialStarted) and epochs.setdefault(event.trial, 0):
                yield f"trial {event.trial} has started twice"
            elif isinstance(event, EpochFinished):
                if event.epoch != epochs.get(event.trial, -1) + 1 or event.trial in closed:
                    yield f"epoch {event.epoch} of trial {event.trial} came after epoch {epochs.get(event.trial)}"
                epochs[event.trial] = event.epoch
            elif isinstance(event, TrialFinished):
                closed.add(event.trial)


def _no_checkpoint_left(search):
    """Check that no checkpoint is left, unless its process died, or the search was over before its trials ended."""
    left, deaths = sorted(search.environment.checkpoints), {"kill worker", "cut worker", "kill driver", "kill study"}
    if left and not search.end_reason and not deaths & set(search.settings.disturbances):
        yield f"the checkpoints {left} are left"
