"""The best score so far: what its series holds, in whatever order trials end, and that no point is written twice."""

import itertools

import pytest

from searchlab.runs.events import TrialFinished
from searchlab.tracking.sweep_series import BestSoFar, SweepSeries

VALUES = [None, 0.5, 0.4, 0.9, None, 0.7]  # by trial; None: it failed


def end(trial, state=None):
    value = VALUES[trial]
    return TrialFinished(trial, state or ("FAIL" if value is None else "COMPLETE"), value, 1, None, 1.0, 10.0 + trial)


@pytest.mark.parametrize(("goal", "best"), [("max", [0.5, 0.5, 0.9, 0.9, 0.9]), ("min", [0.5, 0.4, 0.4, 0.4, 0.4])])
def test_the_points_do_not_depend_on_the_order_in_which_trials_end(goal, best):
    expected = [(trial, value, 10.0 + trial) for trial, value in enumerate(best, start=1)]
    for order in itertools.permutations(range(6)):
        series, points = BestSoFar(goal), []
        for trial in order:
            series.add(end(trial))
            points += series.new_points()
        assert points == expected


def test_a_point_waits_for_the_trials_before_it_until_the_search_is_over():
    series = BestSoFar("max")
    for trial in (1, 3):
        series.add(end(trial))
    assert list(series.new_points()) == []
    assert [(trial, value) for trial, value, _ in series.new_points(at_end=True)] == [(1, 0.5), (3, 0.9)]


def test_a_pruned_trial_is_not_the_best():
    series = BestSoFar("max")
    for event in (end(0), end(1), end(2), end(3, "PRUNED")):
        series.add(event)
    assert [value for _, value, _ in series.new_points()] == [0.5, 0.5, 0.5]


class Store:
    """A store that keeps what is logged, and fails once where it is told to."""

    def __init__(self):
        self.points, self.fails = [], False

    def get_metric_history(self, run_id, key):
        return list(self.points)

    def log_batch(self, run_id, metrics):
        if self.fails:
            self.fails = False
            raise ConnectionError
        self.points += metrics


def test_every_point_is_written_once_also_after_an_outage_and_by_another_process():
    store = Store()
    first = SweepSeries(store, "run", "best_accuracy", "max")
    for trial in range(4):
        first.add(end(trial))
    store.fails = True
    with pytest.raises(ConnectionError):
        first.write()
    first.write()
    second = SweepSeries(store, "run", "best_accuracy", "max")
    for trial in range(6):
        second.add(end(trial))
    second.write(at_end=True)
    assert [(point.step, point.value) for point in store.points] == [(1, 0.5), (2, 0.5), (3, 0.9), (4, 0.9), (5, 0.9)]
