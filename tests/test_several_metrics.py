"""Several metrics: measured together, kept by epoch and fold, compared by the Pareto front, and reported."""

import json
import re
from dataclasses import dataclass, replace
from functools import partial
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from models.mlp import MLP
from searchlab import SGD, Accuracy, ParameterCount, Plateau, Random
from searchlab.cli.summary import print_result
from searchlab.data.cross_validation import KFold
from searchlab.engine.checkpoints import Checkpoint, CheckpointStore
from searchlab.errors import UserMistake
from searchlab.replicas import Replicas, fold_seeds
from searchlab.results.result import Result
from searchlab.results.winner import Winner, select_winner
from searchlab.runs.events import EpochFinished, EventBuffer, TrialFinished, TrialStarted
from searchlab.runs.trials import LearningCurve, TrialRecord, pareto, replay_events, winner_candidates
from searchlab.runs.workspace import SweepFolder
from searchlab.training import EpochReport, Trainer
from tests.jobs import make_job
from tests.sweeps import spiral_sweep

BOTH = (Accuracy(), ParameterCount())
GOALS = ("max", "min")


@dataclass(frozen=True)
class Uncertainty:
    """The mean over rows of 1 minus the largest softmax probability; infinite for the replicas named."""

    infinite: tuple[int, ...] = ()
    name: str = "uncertainty"
    goal: str = "min"

    def measure(self, model, batches):
        scores = np.concatenate([model.predict(batch)[0] for batch in batches], axis=1)  # (R, N, O)
        exponentials = np.exp(scores - scores.max(axis=2, keepdims=True))
        uncertainty = 1.0 - (1.0 / exponentials.sum(axis=2)).mean(axis=1)
        uncertainty[list(self.infinite)] = np.inf
        return uncertainty


def trainer(metric, **parts):
    """Return a trainer of two folds of the spirals."""
    data = spiral_sweep().data.training()
    model, optimizer = partial(MLP, hidden=5), partial(SGD, lr=0.5)
    split = KFold(2).split(data)
    return Trainer(Replicas(fold_seeds(0, 2)), data, split, metric, model, optimizer, batch_size=10, **parts)


def test_every_metric_is_measured_as_it_would_be_alone():
    together = trainer((Accuracy(), Uncertainty(), ParameterCount()))
    with_accuracy, with_uncertainty = trainer(Accuracy()), trainer(Uncertainty())
    for _ in range(3):
        report = together.advance()
        assert report.score.tobytes() == with_accuracy.advance().score.tobytes()
        assert report.others[:, 0].tobytes() == with_uncertainty.advance().score.tobytes()
        assert report.others[:, 1].tolist() == [2 * 5 + 5 + 5 * 3 + 3] * 2
    states = [each.state() for each in (together, with_accuracy)]
    assert len({tuple((name, array.tobytes()) for name, array in state.items()) for state in states}) == 1


def test_a_report_of_one_metric_has_no_other_scores():
    report = trainer(Accuracy()).advance()
    assert report.others.shape == (2, 0)
    assert trainer((Accuracy(),)).advance().others.shape == (2, 0)


def test_a_replica_with_an_infinite_score_by_any_metric_has_failed():
    report = trainer((Accuracy(), Uncertainty(infinite=(1,)))).advance()
    assert report.failures == (None, "diverged in epoch 1: the uncertainty is inf")


def test_a_schedule_follows_the_primary_metric():
    """The number of parameters never improves: for a schedule that follows it, every epoch is on a plateau."""
    schedule = partial(Plateau, patience=1, factor=0.5)
    count, count_first, accuracy_first = [
        trainer(metric, schedule=schedule) for metric in (ParameterCount(), (ParameterCount(), Accuracy()), BOTH)
    ]
    losses = {}
    for name, each in {"count": count, "count first": count_first, "accuracy first": accuracy_first}.items():
        for _ in range(4):
            losses[name] = each.advance().loss.tolist()
    assert losses["count"] == losses["count first"]
    assert losses["count"] != losses["accuracy first"]


def report_of(number, scores, others):
    scores = np.array(scores)
    return EpochReport(
        number, np.ones(len(scores)), scores, (None,) * len(scores), 0.5, 10.0 + number, np.array(others)
    )


def curve_of_two_metrics():
    """Return the curve of the second of two trials of two folds in one group."""
    curve = LearningCurve()
    for number in (1, 2):
        others = [[9.0, 1.0], [9.0, 1.0], [30.0 + number, 0.5], [50.0 + number, 0.25]]
        assert curve.add(report_of(number, [0.1, 0.1, 0.6 + number / 10, 0.8], others), slice(2, 4), 0.5)
    return curve


def test_a_curve_keeps_every_metric_by_epoch_and_fold():
    curve = curve_of_two_metrics()
    assert curve.others == [[[31.0, 51.0], [0.5, 0.25]], [[32.0, 52.0], [0.5, 0.25]]]
    assert curve.best("max")[0] == 2
    assert curve.values(2) == pytest.approx((0.8, 42.0, 0.375))
    assert curve.values(1) == pytest.approx((0.75, 41.0, 0.375))
    assert LearningCurve(**json.loads(json.dumps(vars(curve)))) == curve


def test_a_curve_of_one_metric_has_no_other_values():
    curve = LearningCurve()
    for number in (1, 2, 3):
        assert curve.add(report_of(number, [0.5, 0.6 + number / 10], np.empty((2, 0))), slice(0, 2), 1.0)
    assert curve.others == [[], [], []]
    assert curve.values(3) == pytest.approx((0.7,))
    buffer = EventBuffer()
    replay_events([TrialRecord(0, "COMPLETE", {}, 0.9, 3, None, curve, 1.0, 9.0)], buffer)
    kinds = [type(event) for event in buffer.drain()]
    assert kinds == [TrialStarted, EpochFinished, EpochFinished, EpochFinished, TrialFinished]


def test_replayed_events_have_every_metric():
    buffer, curve = EventBuffer(), curve_of_two_metrics()
    replay_events([TrialRecord(4, "COMPLETE", {}, 0.8, 2, None, curve, 1.0, 9.0, curve.values(2))], buffer)
    *_, epoch, finished = buffer.drain()
    assert epoch.other_scores == curve.others[1]
    assert list(finished.other_values) == pytest.approx([42.0, 0.375])


def test_a_checkpoint_keeps_every_metric(tmp_path):
    store, report = CheckpointStore(tmp_path), report_of(1, [0.5, 0.25], [[7.0], [8.0]])
    store.save("g", Checkpoint((3,), (((3,), report),), {}))
    ((_, loaded),) = store.load("g").reports
    assert (loaded.others.tolist(), loaded.others.dtype) == ([[7.0], [8.0]], np.float64)


def record(number, *values, state="COMPLETE", **more):
    values = tuple(map(float, values))
    given = {"parameters": {"model.hidden": 5}, "epoch": 1, "reason": None, "started": 1.0, "ended": 2.0} | more
    curve = LearningCurve([[values[0]] * 2], [[1.0] * 2], [1.0], 0.1, [[[value] * 2 for value in values[1:]]])
    return TrialRecord(number, state, value=values[0], curve=curve, values=values, **given)


def numbers(trials):
    return [trial.number for trial in trials]


def test_the_pareto_front_has_the_trials_that_no_other_dominates_best_first():
    trials = [record(0, 0.9, 500), record(1, 0.8, 100), record(2, 0.85, 500), record(3, 0.8, 101), record(4, 0.95, 900)]
    assert numbers(pareto(trials, GOALS)) == [4, 0, 1]
    assert numbers(pareto(trials, ("max", "max"))) == [4]
    assert numbers(pareto(trials, ("min", "min"))) == [1]
    assert pareto([], GOALS) == []


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("goals", [("max",), GOALS, ("min", "max", "max")])
def test_the_pareto_front_equals_that_of_comparing_all_pairs(seed, goals):
    draws = np.random.default_rng(seed).integers(6, size=(40, len(goals)))  # few values: many are equal
    trials = [record(number, *map(float, values)) for number, values in enumerate(draws)]

    def dominates(one, other):
        values = zip(one.values, other.values, goals, strict=True)
        pairs = [(a, b) if goal == "max" else (b, a) for a, b, goal in values]
        return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)

    expected = {trial.number for trial in trials if not any(dominates(other, trial) for other in trials)}
    front = pareto(trials, goals)
    assert {trial.number for trial in front} == expected
    primary_values = [trial.value for trial in front]
    assert primary_values == sorted(primary_values, reverse=goals[0] == "max")


def test_only_complete_trials_are_on_the_pareto_front():
    states = ("PRUNED", "FAIL", "INFEASIBLE", "RUNNING")
    trials = [record(0, 0.5, 100), *(record(n, 0.9, 10, state=state) for n, state in enumerate(states, start=1))]
    assert numbers(pareto(trials, GOALS)) == [0]


def test_the_winner_is_the_best_of_the_pareto_front_by_the_primary_metric():
    """Trial 0 has the accuracy of trial 2 and five times its size: it is dominated, and comes last."""
    trials = [record(0, 0.9, 500), record(1, 0.7, 50), record(2, 0.9, 100), record(3, 0.85, 100)]
    assert numbers(winner_candidates(trials, GOALS)) == [2, 1, 0, 3]
    assert numbers(winner_candidates(trials, ("max",))) == [0, 2, 3, 1]


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ((), "takes an object with measure, got"),
        ((Accuracy(), "size"), "takes an object with measure, got 'size'"),
        ((Accuracy, ParameterCount()), "takes an object with measure, got <class"),
        ([Accuracy(), ParameterCount()], "in a tuple"),
        ((Accuracy(), Accuracy()), "different names, got accuracy, accuracy"),
        (Accuracy(name="loss"), "'loss' is recorded as 'loss', which is also a name of the record itself"),
        ((Accuracy(), Accuracy(name="folds/accuracy_std")), "which is also a name of the metric 'accuracy'"),
        ((Accuracy(name="folds/accuracy_7"), Accuracy()), "which is also a name of the metric 'folds/accuracy_7'"),
        ((Accuracy(name="a?"), Accuracy(name="a!")), "'a!' is recorded as 'a_', which is also a name of the metric"),
        ((Accuracy(), Accuracy(name="best_accuracy")), "give the metric another name"),
        ((Accuracy(name="test_a"), Accuracy(name="a")), "give the metric another name"),
        (Accuracy(name="a//b"), "cannot be a path"),
        (Accuracy(name="/a"), "cannot be a path"),
        (Accuracy(name="../a"), "cannot be a path"),
        (Accuracy(name="a/"), "cannot be a path"),
        (Accuracy(name=""), "1 to 200 characters"),
        (Accuracy(name="a" * 300), "1 to 200 characters"),
        (Accuracy(name=7), "1 to 200 characters"),
    ],
)
def test_metrics_that_do_not_go_together_are_a_user_mistake(metric, message):
    with pytest.raises(UserMistake, match=message):
        spiral_sweep(metric=metric)


def test_a_sweep_has_a_primary_metric_and_its_fingerprint_covers_all_metrics():
    one, both = spiral_sweep(), spiral_sweep(metric=BOTH)
    assert (one.primary_metric, one.metrics) == (Accuracy(), (Accuracy(),))
    assert (both.primary_metric, both.metrics) == (Accuracy(), BOTH)
    assert spiral_sweep(metric=(Accuracy(),)).fingerprint() == one.fingerprint()
    assert "other_metrics" not in one.describe(), "a sweep begun before several metrics existed keeps its fingerprint"
    assert both.describe()["metric"] == one.describe()["metric"]
    swapped = spiral_sweep(metric=(ParameterCount(), Accuracy()))
    assert len({sweep.fingerprint() for sweep in (one, both, swapped)}) == 3
    assert both.with_values({"trials": 9}).metrics == BOTH


PARAMETERS = {
    "model.hidden": 5, "model.dropout": 0.0, "optimizer": "SGD", "optimizer.SGD.lr": 0.5, "training.clip_norm": 1.0,
}  # fmt: skip


def winner_of(sweep, trial, folder):
    """Return the winner of a sweep whose only trial is this one."""
    job = make_job(sweep, sweep.name, folder / "study", folder / "checkpoints", trials=1)
    return select_winner(job, [trial], SweepFolder(folder))


def test_the_winner_is_tested_by_every_metric(tmp_path):
    winner = winner_of(spiral_sweep(metric=BOTH), record(7, 0.5, 33.0, parameters=PARAMETERS), tmp_path)
    assert winner.test_scores == {"accuracy": winner.test_score, "parameters": 33.0}
    assert winner.artifact_scores == {"accuracy": winner.artifact_score, "parameters": 33.0}
    manifest = json.loads((winner.artifact / "manifest.json").read_text())
    assert manifest["test"]["float32"] == winner.test_score
    assert manifest["test"]["float16"] == winner.artifact_score
    expected = {"goal": "min", "mean": 33.0, "test": {"float32": 33.0, "float16": 33.0}}
    assert manifest["other_metrics"] == {"parameters": expected}
    assert manifest["weights"]["parameters"] == 33
    alone = winner_of(spiral_sweep(), record(7, 0.5, parameters=PARAMETERS), tmp_path)
    assert alone.test_score == winner.test_score
    assert "other_metrics" not in json.loads((alone.artifact / "manifest.json").read_text())


def result_of(trials, folder, winner=0, others=None):
    """Return the result of a sweep of four trials; `winner` is the position of the trial that won."""
    scores = {"accuracy": 0.875, "parameters": 500.0}
    return Result(
        sweep="s",
        state="FINISHED",
        trials=tuple(trials),
        requested=4,
        winner=None if winner is None else Winner(trials[winner], scores, scores, folder),
        metric="accuracy",
        goal="max",
        seconds={"total": 1.0},
        others={"parameters": "min"} if others is None else others,
    )


def printed(result, width=120):
    text = StringIO()
    print_result(result, Console(file=text, width=width))
    return text.getvalue()


@pytest.mark.parametrize("width", [60, 120])
def test_the_summary_shows_the_pareto_front(tmp_path, width):
    trials = [record(0, 0.9, 12_345), record(1, 0.8, 100), record(2, 0.7, 200.5)]
    lines = printed(result_of(trials, tmp_path), width).splitlines()
    assert "Pareto front: 2 of 3 complete trials" in lines[2]
    assert lines[3].split()[:5] == ["trial", "accuracy", "±", "folds", "parameters"]
    assert lines[4].split()[:5] == ["0", "0.9000", "0.0000", "12,345", "1"]
    assert lines[5].split()[0] == "1"
    assert not any(line.split()[:2] == ["2", "0.7000"] for line in lines), "it is dominated"
    assert re.search(r"test parameters\s+500 .*; 500 as\s+float16", "\n".join(lines), re.DOTALL)


def test_a_result_of_several_metrics_as_json(tmp_path):
    plain = json.loads(json.dumps(result_of([record(0, 0.9, 500), record(1, 0.8, 100)], tmp_path).to_json()))
    assert plain["trials"] == {"asked": 4, "complete": 2, "pruned": 0, "failed": 0}
    assert plain["best"]["others"] == {"parameters": {"score": 500, "test": 500.0, "test_float16": 500.0}}
    assert [point["trial"] for point in plain["pareto"]] == [0, 1]
    assert plain["pareto"][1]["scores"] == {"accuracy": 0.8, "parameters": 100}
    one = result_of([record(0, 0.9)], tmp_path, others={}).to_json()
    assert "pareto" not in one
    assert "others" not in one["best"]


def test_the_summary_counts_the_states_and_gives_reasons_of_failed_and_infeasible_trials(tmp_path):
    def ended(number, state, reason):
        return replace(record(number, 0.1), state=state, reason=reason)

    trials = [
        record(0, 0.9),
        *(ended(n, "PRUNED", "behind at epoch 2") for n in (1, 2)),
        ended(3, "FAIL", "diverged"),
        *(ended(n, "INFEASIBLE", "too large") for n in (4, 5, 6)),
    ]
    text = printed(result_of(trials, tmp_path, others={}))
    assert "s: 7 trials: 1 complete, 2 pruned, 1 failed, 3 infeasible" in text
    assert "failed: diverged  (trial 3)" in text
    assert "infeasible: too large  (3 trials, first 4)" in text
    assert "behind at epoch 2" not in text
    assert "1 complete, 2 pruned, 1 failed\n" in printed(result_of(trials[:4], tmp_path, others={}))
    none = printed(result_of(trials[3:], tmp_path, None, {}))
    assert "no trial is complete (1 failed, 3 infeasible)" in none
    assert "every trial failed" in printed(result_of(trials[3:4], tmp_path, None, {}))


@pytest.mark.figures
def test_a_sweep_of_several_metrics_ends_with_its_pareto_front(tmp_path):
    sweep = spiral_sweep(6, metric=BOTH, sampler=Random())
    result = sweep.run(engine="local", home=tmp_path)
    assert result.others == {"parameters": "min"}
    for trial in result.trials:
        hidden = trial.parameters["model.hidden"]
        assert trial.values == (trial.value, 2 * hidden + hidden + 3 * hidden + 3)
    assert result.best.number == result.front[0].number
    assert result.best.value == max(trial.value for trial in result.trials)
    assert result.winner.test_scores["parameters"] == result.best.values[1]
    assert "pareto-front" in {figure.stem for figure in result.figures}
