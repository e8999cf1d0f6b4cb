"""Several metrics: measured side by side, kept by epoch and fold, compared by the Pareto front, told to the end."""

import json
from dataclasses import dataclass, replace
from functools import partial
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from models.mlp import MLP
from searchlab import SGD, Accuracy, ParameterCount, Plateau, Random
from searchlab.cli.summary import print_result
from searchlab.data.splits import KFold
from searchlab.engine.checkpoints import Checkpoint, Checkpoints
from searchlab.errors import UserMistake
from searchlab.replicas import Replicas, fold_seeds
from searchlab.results.result import Result
from searchlab.results.winner import Winner, select_winner
from searchlab.runs.events import Buffer
from searchlab.runs.trials import LearningCurve, TrialRecord, contenders, pareto, retell
from searchlab.runs.workspace import SweepFolder
from searchlab.training import EpochReport, Trainer
from tests.sweeps import spiral_sweep

BOTH = (Accuracy(), ParameterCount())
GOALS = ("max", "min")


@dataclass(frozen=True)
class Doubt:
    """The mean over rows of 1 minus the largest softmax share; infinite for the replicas named."""

    infinite: tuple[int, ...] = ()
    name: str = "doubt"
    goal: str = "min"

    def measure(self, model, batches):
        scores = np.concatenate([model.predict(batch)[0] for batch in batches], axis=1)  # (R, N, O)
        powers = np.exp(scores - scores.max(axis=2, keepdims=True))
        doubt = 1.0 - (1.0 / powers.sum(axis=2)).mean(axis=1)
        doubt[list(self.infinite)] = np.inf
        return doubt


def trainer(metric, **parts):
    table = spiral_sweep().data.training()
    model, optimizer = partial(MLP, hidden=5), partial(SGD, lr=0.5)
    split = KFold(2).split(table)
    return Trainer(Replicas(fold_seeds(0, 2)), table, split, metric, model, optimizer, batch_size=10, **parts)


def test_every_metric_is_measured_as_it_would_be_alone():
    together, alone = trainer((Accuracy(), Doubt(), ParameterCount())), [trainer(m) for m in (Accuracy(), Doubt())]
    for _ in range(3):
        report, accuracy, doubt = together.advance(), *(one.advance() for one in alone)
        assert report.score.tobytes() == accuracy.score.tobytes()
        assert report.others[:, 0].tobytes() == doubt.score.tobytes()
        assert report.others[:, 1].tolist() == [2 * 5 + 5 + 5 * 3 + 3] * 2
    state, other = together.state(), alone[0].state()
    assert {name: array.tobytes() for name, array in state.items()} == {n: a.tobytes() for n, a in other.items()}


def test_one_metric_has_no_others():
    report = trainer(Accuracy()).advance()
    assert report.others.shape == (2, 0)
    assert trainer((Accuracy(),)).advance().others.shape == (2, 0)


def test_a_replica_that_any_metric_finds_sick_has_failed():
    report = trainer((Accuracy(), Doubt(infinite=(1,)))).advance()
    assert report.failures == (None, "diverged in epoch 1: the doubt is inf")


def test_a_schedule_goes_by_the_primary_metric():
    """A number of weights never gets better: a plateau from the first epoch on, to a schedule that sees it."""
    schedule = partial(Plateau, patience=1, factor=0.5)
    by_weights = [
        trainer(metric, schedule=schedule) for metric in (ParameterCount(), (ParameterCount(), Accuracy()), BOTH)
    ]
    told = [[one.advance() for _ in range(4)][-1].loss.tolist() for one in by_weights]
    assert told[0] == told[1]
    assert told[0] != told[2]


def report_of(number, scores, others):
    scores = np.array(scores)
    return EpochReport(
        number, np.ones(len(scores)), scores, (None,) * len(scores), 0.5, 10.0 + number, np.array(others)
    )


def curve_of_two():
    """Two trials of two folds in one group; the curve is that of the second."""
    curve = LearningCurve()
    for number in (1, 2):
        others = [[9.0, 1.0], [9.0, 1.0], [30.0 + number, 0.5], [50.0 + number, 0.25]]
        assert curve.add(report_of(number, [0.1, 0.1, 0.6 + number / 10, 0.8], others), slice(2, 4), 0.5)
    return curve


def test_a_curve_keeps_every_metric_by_epoch_and_fold():
    curve = curve_of_two()
    assert curve.others == [[[31.0, 51.0], [0.5, 0.25]], [[32.0, 52.0], [0.5, 0.25]]]
    assert curve.best("max")[0] == 2
    assert curve.values(2) == pytest.approx((0.8, 42.0, 0.375))
    assert curve.values(1) == pytest.approx((0.75, 41.0, 0.375))
    assert LearningCurve(**json.loads(json.dumps(vars(curve)))) == curve


def test_a_curve_from_before_there_were_several_metrics_is_read():
    old = {"scores": [[0.5, 0.7], [0.6, 0.8]], "losses": [[1.0, 1.0]] * 2, "times": [1.0, 2.0], "seconds": 3.0}
    curve = LearningCurve(**old)
    assert curve.values(2) == pytest.approx((0.7,))
    assert curve.add(report_of(3, [0.9, 0.9], np.empty((2, 0))), slice(0, 2), 1.0)
    assert curve.values(3) == (0.9,)
    buffer = Buffer()
    retell([TrialRecord(0, "COMPLETE", {}, 0.9, 3, None, curve, 1.0, 9.0)], buffer)
    assert [method for method, _ in buffer.drain()] == ["start", "log", "log", "log", "finish"]


def test_what_is_told_again_has_every_metric():
    buffer, curve = Buffer(), curve_of_two()
    retell([TrialRecord(4, "COMPLETE", {}, 0.8, 2, None, curve, 1.0, 9.0, curve.values(2))], buffer)
    told = {method: arguments for method, arguments in json.loads(json.dumps(buffer.drain()))}
    assert told["log"]["others"] == curve.others[1]
    assert told["finish"]["others"] == pytest.approx([42.0, 0.375])


def test_a_checkpoint_keeps_every_metric(tmp_path):
    checkpoints, report = Checkpoints(tmp_path), report_of(1, [0.5, 0.25], [[7.0], [8.0]])
    checkpoints.save("g", Checkpoint((3,), (((3,), report),), {}))
    ((_, back),) = checkpoints.load("g").reports
    assert (back.others.tolist(), back.others.dtype) == ([[7.0], [8.0]], np.float64)
    with np.load(tmp_path / "g.npz") as packed:
        meta = json.loads(packed["meta"].tobytes())
    del meta["reports"][0][1]["others"]  # as it was written before there were several metrics
    np.savez(tmp_path / "old.npz", meta=np.frombuffer(json.dumps(meta).encode(), np.uint8))
    ((_, old),) = checkpoints.load("old").reports
    assert old.score.tolist() == [0.5, 0.25]
    assert old.others.shape == (2, 0)


def record(number, *values, state="COMPLETE", **more):
    values = tuple(map(float, values))
    given = {"parameters": {"model.hidden": 5}, "epoch": 1, "reason": None, "started": 1.0, "ended": 2.0} | more
    curve = LearningCurve([[values[0]] * 2], [[1.0] * 2], [1.0], 0.1, [[[value] * 2 for value in values[1:]]])
    return TrialRecord(number, state, value=values[0], curve=curve, values=values, **given)


def numbers(trials):
    return [trial.number for trial in trials]


def test_the_front_holds_what_no_other_beats_best_first():
    trials = [record(0, 0.9, 500), record(1, 0.8, 100), record(2, 0.85, 500), record(3, 0.8, 101), record(4, 0.95, 900)]
    assert numbers(pareto(trials, GOALS)) == [4, 0, 1]
    assert numbers(pareto(trials, ("max", "max"))) == [4]
    assert numbers(pareto(trials, ("min", "min"))) == [1]
    assert pareto([], GOALS) == []


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("goals", [("max",), GOALS, ("min", "max", "max")])
def test_the_front_is_that_of_comparing_all_pairs(seed, goals):
    drawn = np.random.default_rng(seed).integers(6, size=(40, len(goals)))  # few values: many are equal
    trials = [record(number, *map(float, values)) for number, values in enumerate(drawn)]

    def beats(one, other):
        both = zip(one.values, other.values, goals, strict=True)
        pairs = [(a, b) if goal == "max" else (b, a) for a, b, goal in both]
        return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)

    expected = {trial.number for trial in trials if not any(beats(other, trial) for other in trials)}
    found = pareto(trials, goals)
    assert {trial.number for trial in found} == expected
    first = [trial.value for trial in found]
    assert first == sorted(first, reverse=goals[0] == "max")


def test_only_complete_trials_are_on_the_front():
    states = ("PRUNED", "FAIL", "INFEASIBLE", "RUNNING")
    trials = [record(0, 0.5, 100), *(record(n, 0.9, 10, state=state) for n, state in enumerate(states, start=1))]
    assert numbers(pareto(trials, GOALS)) == [0]


def test_the_winner_is_the_best_of_the_front_in_the_primary_metric():
    """Trial 0 has the same accuracy as trial 2, at five times its size: it is beaten, and comes last."""
    trials = [record(0, 0.9, 500), record(1, 0.7, 50), record(2, 0.9, 100), record(3, 0.85, 100)]
    assert numbers(contenders(trials, GOALS)) == [2, 1, 0, 3]
    assert numbers(contenders(trials, ("max",))) == [0, 2, 3, 1]


@pytest.mark.parametrize(
    ("metric", "told"),
    [
        ((), "takes an object with measure, got"),
        ((Accuracy(), "size"), "takes an object with measure, got 'size'; several go in a tuple"),
        ((Accuracy, ParameterCount()), "takes an object with measure, got <class"),
        ([Accuracy(), ParameterCount()], "several go in a tuple"),
        ((Accuracy(), Accuracy()), "metrics of different names, got accuracy, accuracy"),
    ],
)
def test_metrics_that_make_no_sense_together_are_one_sentence(metric, told):
    with pytest.raises(UserMistake, match=told):
        spiral_sweep(metric=metric)


def test_a_sweep_knows_its_primary_metric_and_tells_itself_from_others():
    one, both = spiral_sweep(), spiral_sweep(metric=BOTH)
    assert (one.primary, one.metrics) == (Accuracy(), (Accuracy(),))
    assert (both.primary, both.metrics) == (Accuracy(), BOTH)
    assert spiral_sweep(metric=(Accuracy(),)).fingerprint() == one.fingerprint()
    assert "other_metrics" not in one.describe(), "a sweep begun before there were several keeps its fingerprint"
    assert both.describe()["metric"] == one.describe()["metric"]
    swapped = spiral_sweep(metric=(ParameterCount(), Accuracy()))
    assert len({sweep.fingerprint() for sweep in (one, both, swapped)}) == 3
    assert both.with_values({"trials": 9}).metrics == BOTH


PARAMETERS = {
    "model.hidden": 5, "model.dropout": 0.0, "optimizer": "SGD", "optimizer.SGD.lr": 0.5, "training.clip_norm": 1.0,
}  # fmt: skip


def test_the_winner_is_tested_by_every_metric(tmp_path):
    sweep, trials = spiral_sweep(metric=BOTH), [record(7, 0.5, 33.0, parameters=PARAMETERS)]
    won = select_winner(sweep, trials, SweepFolder(tmp_path), seed=0)
    assert won.test_scores == {"accuracy": won.test_score, "weights": 33.0}
    assert won.artifact_scores == {"accuracy": won.artifact_score, "weights": 33.0}
    manifest = json.loads((won.artifact / "manifest.json").read_text())
    assert manifest["test"]["float32"] == won.test_score
    assert manifest["test"]["float16"] == won.artifact_score
    told = {"goal": "min", "mean": 33.0, "test": {"float32": 33.0, "float16": 33.0}}
    assert manifest["other_metrics"] == {"weights": told}
    assert manifest["weights"]["parameters"] == 33
    alone = select_winner(spiral_sweep(), [record(7, 0.5, parameters=PARAMETERS)], SweepFolder(tmp_path), seed=0)
    assert alone.test_score == won.test_score
    assert "other_metrics" not in json.loads((alone.artifact / "manifest.json").read_text())


def result_of(trials, tmp_path, winner=0, others=None):
    tested = {"accuracy": 0.875, "weights": 500.0}
    won = None if winner is None else Winner(trials[winner], tested, tested, tmp_path)
    others = {"weights": "min"} if others is None else others
    return Result("s", tuple(trials), 4, won, "accuracy", "max", {"total": 1.0}, None, "", (), others)


def printed(result, width=120):
    text = StringIO()
    print_result(result, Console(file=text, width=width))
    return text.getvalue()


@pytest.mark.parametrize("width", [60, 120])
def test_the_summary_shows_the_front(tmp_path, width):
    trials = [record(0, 0.9, 12_345), record(1, 0.8, 100), record(2, 0.7, 200.5)]
    lines = printed(result_of(trials, tmp_path), width).splitlines()
    assert "Pareto front: 2 of 3 complete trials" in lines[2]
    assert lines[3].split()[:5] == ["trial", "accuracy", "±", "folds", "weights"]
    assert lines[4].split()[:5] == ["0", "0.9000", "0.0000", "12,345", "1"]
    assert lines[5].split()[0] == "1"
    assert not any(line.split()[:2] == ["2", "0.7000"] for line in lines), "it is beaten"
    assert any(line.split() == ["test", "weights", "500;", "500", "as", "float16"] for line in lines)


def test_a_result_of_several_metrics_is_plain(tmp_path):
    told = json.loads(json.dumps(result_of([record(0, 0.9, 500), record(1, 0.8, 100)], tmp_path).plain()))
    assert told["trials"] == {"asked": 4, "complete": 2, "pruned": 0, "failed": 0}
    assert told["best"]["others"] == {"weights": {"score": 500, "test": 500.0, "test_float16": 500.0}}
    assert [point["trial"] for point in told["pareto"]] == [0, 1]
    assert told["pareto"][1]["scores"] == {"accuracy": 0.8, "weights": 100}
    one = result_of([record(0, 0.9)], tmp_path, others={}).plain()
    assert "pareto" not in one
    assert "others" not in one["best"]


def test_how_trials_ended_is_counted_and_only_mishaps_have_reasons(tmp_path):
    def stopped(number, state, reason):
        return replace(record(number, 0.1), state=state, reason=reason)

    trials = [
        record(0, 0.9),
        *(stopped(n, "PRUNED", "behind at epoch 2") for n in (1, 2)),
        stopped(3, "FAIL", "diverged"),
        *(stopped(n, "INFEASIBLE", "too large") for n in (4, 5, 6)),
    ]
    text = printed(result_of(trials, tmp_path, others={}))
    assert "s: 7 trials: 1 complete, 2 pruned, 1 failed, 3 infeasible" in text
    assert "failed: diverged  (trial 3)" in text
    assert "infeasible: too large  (3 trials, first 4)" in text
    assert "behind at epoch 2" not in text
    assert "1 complete, 2 pruned, 1 failed\n" in printed(result_of(trials[:4], tmp_path, others={}))
    none = printed(result_of(trials[3:], tmp_path, None, {}))
    assert "No winner: no trial is complete (1 failed, 3 infeasible); the reasons are above." in none
    assert "every trial failed" in printed(result_of(trials[3:4], tmp_path, None, {}))


def test_a_sweep_of_several_metrics_ends_with_its_front(tmp_path):
    sweep = spiral_sweep(6, metric=BOTH, sampler=Random())
    result = sweep.run(engine="local", home=tmp_path)
    assert result.others == {"weights": "min"}
    for trial in result.trials:
        hidden = trial.parameters["model.hidden"]
        assert trial.values == (trial.value, 2 * hidden + hidden + 3 * hidden + 3)
    assert result.best.number == result.front[0].number
    assert result.best.value == max(trial.value for trial in result.trials)
    assert result.winner.test_scores["weights"] == result.best.values[1]
    assert "pareto-front" in {figure.stem for figure in result.figures}
