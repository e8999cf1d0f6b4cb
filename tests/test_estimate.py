"""Estimates: structures measured in processes, a simulated search, and `searchlab plan`."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from models.mlp import MLP
from models.rnn_lm import RnnLM
from searchlab import (
    SGD,
    Accuracy,
    Arrays,
    Blocked,
    Choice,
    Float,
    Grid,
    GroupKFold,
    Halving,
    Holdout,
    Int,
    KFold,
    MeanSquaredError,
    NoPruning,
    Perplexity,
    RootMeanSquaredError,
    Space,
    StratifiedKFold,
    Text,
    Trainer,
)
from searchlab.cli import execute
from searchlab.cli.plan import summary
from searchlab.engine.auto import FIRST_ESTIMATE_SECONDS, RAY_START_SECONDS
from searchlab.errors import UserMistake
from searchlab.estimate import structures
from searchlab.estimate.engine_simulation import simulate_engine
from searchlab.estimate.estimate import estimate
from searchlab.estimate.extrapolation import StructureFeatures, extrapolate
from searchlab.estimate.point_sample import MAX_SAMPLE_POINTS, MIN_SAMPLE_POINTS, sample_points
from searchlab.estimate.simulation import (
    PROPOSE_SECONDS,
    REPORT_SECONDS,
    TRIAL_SECONDS,
    SimulationConfig,
    TrialKind,
    simulate,
)
from searchlab.estimate.structures import StructureEstimates
from searchlab.estimate.timing import (
    StructureTiming,
    TimingReply,
    TimingRequest,
    measure_in_processes,
    measure_request,
)
from searchlab.fusion.corner_points import corner_point
from searchlab.fusion.memory import MemoryModel, MemoryNeed
from searchlab.fusion.speed import SpeedProfile
from searchlab.runs.config import RunConfig
from searchlab.space.budget import Budget
from tests.command_line import write_sweep_file
from tests.sweeps import spiral_sweep

FUSES_WELL = TrialKind(lambda trials: 1.0, group_size=8, epochs=9)  # eight trials take as long as one
NO_GAIN = TrialKind(lambda trials: float(trials), group_size=1, epochs=9)


def simulated(kind=NO_GAIN, trials=40, pruner=None, **changes):
    """Return the result of simulating trials of one kind, by default with one worker and without pruning."""
    options = {"trials": trials, "workers": 1, "folds": 3, "cores_are_busy": False, **changes}
    return simulate(SimulationConfig([kind] * trials, **options), pruner or NoPruning())


def test_search_without_pruning_trains_every_epoch():
    result = simulated(trials=5)
    assert (result.epochs, result.pruned) == (45, 0)
    assert result.seconds == pytest.approx(5 * (PROPOSE_SECONDS + TRIAL_SECONDS + 9 * (1.0 + REPORT_SECONDS)))


def test_two_workers_halve_the_time_and_train_every_trial():
    one, two = (simulated(workers=workers) for workers in (1, 2))
    assert two.epochs == one.epochs == 360
    assert two.seconds == pytest.approx(one.seconds / 2.0, rel=0.02)


def engine_result(engine, trials, workers=2):
    config = SimulationConfig([NO_GAIN] * trials, trials=trials, workers=workers, folds=3, cores_are_busy=False)
    return simulate_engine(engine, config, NoPruning())


def test_a_short_search_of_the_automatic_engine_stays_in_its_process():
    assert engine_result("auto", 2) == (1, simulated(trials=2))
    assert engine_result("tune", 2) == (2, simulated(trials=2, workers=2))


def test_a_long_search_of_the_automatic_engine_trains_alone_until_ray_has_started():
    workers, result = engine_result("auto", 40)
    alone = FIRST_ESTIMATE_SECONDS + RAY_START_SECONDS
    assert workers == 2
    assert result.seconds == pytest.approx(engine_result("tune", 40)[1].seconds + alone / 2)
    assert engine_result("auto", 40, workers=1) == (1, simulated())


def test_study_proposes_one_trial_at_a_time():
    untrained = TrialKind(lambda trials: 0.0, group_size=1, epochs=1)
    assert simulated(untrained, workers=50).seconds >= 40 * PROPOSE_SECONDS


def test_halving_saves_epochs_and_the_simulation_is_deterministic():
    first, second = (simulated(trials=200, pruner=Halving()) for _ in range(2))
    assert first == second
    assert 0.2 < first.epochs / 1800 < 0.6
    assert first.pruned > 100
    assert first.seconds < 0.6 * simulated(trials=200).seconds


def test_fused_trials_save_time_after_the_startup_trials():
    fused = simulated(FUSES_WELL, trials=100)
    assert fused.seconds < simulated(FUSES_WELL, trials=100, fuse=1).seconds / 6.0
    with_startup = simulated(FUSES_WELL, trials=100, startup_trials=50)
    assert with_startup.seconds > 50 * 9.0 > 3 * fused.seconds


def test_groups_of_a_grid_end_with_their_structure():
    one_structure = simulated(FUSES_WELL, trials=12, structure_ends=[12] * 12)
    four_structures = simulated(FUSES_WELL, trials=12, structure_ends=[3] * 3 + [6] * 3 + [9] * 3 + [12] * 3)
    assert one_structure.seconds < 2.1 * 9.0 < 3.9 * 9.0 < four_structures.seconds  # groups of 8 and 4, and of 3


def test_result_is_scaled_to_more_trials_and_cut_to_fewer():
    result, scaled, cut = (
        simulate(SimulationConfig([NO_GAIN] * 40, trials=trials, workers=1, folds=3), NoPruning())
        for trials in (40, 4000, 7)
    )
    assert scaled.epochs == 100 * result.epochs
    assert cut.epochs == 63


def test_overhead_grows_with_the_slowdown_and_with_busy_cores():
    untrained = TrialKind(lambda trials: 0.0, group_size=1, epochs=1)
    seconds, slowed = (simulated(untrained, slowdown=slowdown).seconds for slowdown in (1.0, 3.0))
    assert slowed == pytest.approx(3.0 * seconds)
    assert simulated(untrained, cores_are_busy=True).seconds > 1.2 * seconds


def test_budget_ends_the_simulated_search():
    assert 30 <= simulated(budget=Budget(epochs=30)).epochs <= 31
    assert simulated(budget=Budget(seconds=20.0)).seconds == pytest.approx(20.0, abs=2.0)


def test_random_points_are_in_the_space_and_satisfy_the_constraint():
    sweep = spiral_sweep(
        model=Space(MLP, hidden=Int(5, 20, step=5), dropout=Float(0.0, 0.3).when(hidden=20)),
        constraint=lambda candidate: candidate["model.hidden"] - 15 if "optimizer.SGD.lr" in candidate else -1.0,
    )
    points = sample_points(sweep, 10).points
    assert len(points) == MIN_SAMPLE_POINTS
    for point in points:
        sweep.configuration(point)
        assert point["model.hidden"] in (5, 10, 15, 20)
        assert ("model.dropout" in point) == (point["model.hidden"] == 20)
        assert point["optimizer"] == "Adam" or point["model.hidden"] <= 15
        assert 0.5 <= point["training.clip_norm"] <= 5.0
    assert {point["optimizer"] for point in points} == {"SGD", "Adam"}
    with pytest.raises(UserMistake, match="violate the constraint"):
        sample_points(replace(sweep, constraint=lambda candidate: 1.0), 10)


def test_sample_of_a_grid_has_its_points_or_whole_structures_of_a_large_grid():
    rates = Choice(*(0.1 * number for number in range(1, 11)))
    small = spiral_sweep(
        model=Space(MLP, hidden=Choice(5, 10)), optimizer=Space(SGD, lr=rates),
        training=Space(Trainer, batch_size=10, epochs=3), sampler=Grid(), trials=None,
    )  # fmt: skip
    sample = sample_points(small, 20)
    assert (sample.points, sample.structure_ends) == (small.grid_points().points, [10] * 10 + [20] * 10)
    assert sample_points(small, 13).structure_ends == [10] * 10 + [13] * 3
    large = replace(small, model=Space(MLP, hidden=Int(1, 100)))
    sample = sample_points(large, 1000)
    assert MAX_SAMPLE_POINTS <= len(sample.points) < 1000
    assert sample.longest_structure_run == 10
    assert all(end - number <= 10 for number, end in enumerate(sample.structure_ends))


def test_timings_of_several_processes_are_in_the_order_of_the_points():
    sweep = spiral_sweep()
    sgd = {"optimizer": "SGD", "optimizer.SGD.lr": 0.1}
    points = [corner_point(sweep, largest=is_largest) | sgd for is_largest in (False, True)]
    points.append({"nothing": 1})
    reply = measure_in_processes(sweep, points, max_trials=2, workers=2)
    small, large, error = reply.timings
    assert small.memory.parameter_count < large.memory.parameter_count
    assert small.speed.step_seconds.keys() == large.speed.step_seconds.keys() >= {1}
    assert small.epoch_seconds(1) > small.speed.steps_per_epoch * small.speed.seconds_per_step(1) > 0.0
    assert error.startswith("KeyError")
    assert reply.slowdown >= 1.0
    late = measure_in_processes(sweep, [points[2], points[0], points[1]], max_trials=2, workers=1, time_limit=0.0)
    assert isinstance(late.timings[0], str)
    assert late.timings[1].has_group_sizes
    assert late.timings[2] is None


def scripted(timing_of):
    """Return a replacement of `measure_in_processes` that measures nothing: the timing of a point is `timing_of` it."""

    def measure(sweep, points, **options):
        return TimingReply([timing_of(point) for point in points], slowdown=1.0)

    return measure


def timing(step_seconds, best_size=4):
    """Return a timing with steps that take equally long up to the best group size."""
    steps = {size: step_seconds for size in (1, 2, 4, 8) if size <= best_size}
    return StructureTiming(SpeedProfile(steps, 10, 3), {1: 0.5}, MemoryNeed(100, 1000, 50))


def estimates_of(sweep, max_trials, memory_limit=None):
    return StructureEstimates(
        sweep,
        sample_points(sweep, 10),
        max_trials=max_trials,
        workers=1,
        device="cpu",
        memory_limit=memory_limit,
    )


def test_cost_of_a_structure_that_is_not_measured_follows_a_power_law(monkeypatch):
    known = {(5, "SGD"): timing(1.0), (20, "SGD"): timing(4.0), (5, "Adam"): timing(2.0)}
    measure = scripted(lambda point: known.get((point["model.hidden"], point["optimizer"])))
    monkeypatch.setattr(structures, "measure_in_processes", measure)
    estimates = estimates_of(spiral_sweep(), max_trials=4).by_frequency
    by_name = {one.name: one for one in estimates}
    assert sum(one.share for one in estimates) == pytest.approx(1.0)
    assert by_name["hidden=20, optimizer=SGD"].step_seconds == 4.0
    assert by_name["hidden=20, optimizer=SGD"].is_measured
    between = by_name["hidden=10, optimizer=SGD"]
    assert not between.is_measured
    assert between.step_seconds == pytest.approx(2.0, rel=0.05)  # twice the width, twice the seconds
    assert between.kind.epoch_seconds(4) == pytest.approx(10 * between.step_seconds + 2.0)  # scoring grows with trials
    assert between.trial_seconds == 3 * between.kind.epoch_seconds(4) / 4
    assert by_name["hidden=20, optimizer=Adam"].step_seconds == pytest.approx(8.0, rel=0.05)


def test_gain_of_trials_side_by_side_is_that_of_the_nearest_structure_that_was_timed_so():
    keys = [(("model.hidden", hidden), ("optimizer", "SGD")) for hidden in (8, 16, 32, 64)]
    of_one_trial = replace(timing(3.0, best_size=1), has_group_sizes=False)
    measured = {0: timing(1.0), 1: of_one_trial, 3: timing(2.0, best_size=1)}
    timings = extrapolate(StructureFeatures(keys), measured)
    assert [one.speed.best_group_size for one in timings] == [4, 4, 1, 1]
    assert [one.speed.seconds_per_step(1) for one in timings[:2]] == [1.0, 3.0]
    assert timings[1].speed.seconds_per_step(4) == 3.0
    assert timings[0].scoring_seconds == {1: 0.5}


def test_first_measured_are_frequent_and_far_from_each_other():
    keys = [(("model.hidden", hidden), ("optimizer", name)) for hidden in (8, 16, 32, 64) for name in ("Adam", "SGD")]
    order = StructureFeatures(keys).measuring_order([0.2] + [0.1] * 6 + [0.2])
    assert order[:2] == [0, 7]
    assert sorted(order) == list(range(8))
    one_number_of_some = [(("optimizer", "SGD"),), (("optimizer", "Momentum"), ("optimizer.momentum", 0.9))]
    assert StructureFeatures(one_number_of_some).measuring_order([0.4, 0.6]) == [1, 0]


def test_memory_limits_the_group_size_and_unavailable_structures_have_a_reason(monkeypatch):
    sweep = spiral_sweep()
    measure = scripted(lambda point: "no such layer" if point["model.hidden"] == 5 else timing(1.0, best_size=8))
    monkeypatch.setattr(structures, "measure_in_processes", measure)

    def by_frequency(memory_limit):
        return estimates_of(sweep, max_trials=8, memory_limit=memory_limit).by_frequency

    data_bytes = MemoryModel(sweep, sweep.data.training()).data_bytes
    three_trials = data_bytes + 50 + 3 * 2 * 1000  # two folds of 1000 bytes each
    assert {one.kind.group_size for one in by_frequency(None) if one.kind} == {8}
    assert {one.kind.group_size for one in by_frequency(three_trials) if one.kind} == {3}
    assert {one.unavailable_reason for one in by_frequency(None) if not one.kind} == {"no such layer"}
    others = [one for one in by_frequency(data_bytes + 10) if not one.name.startswith("hidden=5,")]
    assert others
    assert all("needs" in one.unavailable_reason for one in others)
    monkeypatch.setattr(structures, "measure_in_processes", scripted(lambda point: "no such layer"))
    with pytest.raises(UserMistake, match="can be trained: no such layer"):
        by_frequency(None)


def test_estimate_of_a_sweep_with_pruning():
    estimated = estimate(spiral_sweep(trials=30, epochs=20, pruner=Halving()), RunConfig(workers=2))
    assert estimated.unpruned_search.epochs == 600
    assert estimated.search.epochs < 400
    assert 0.0 < estimated.search.seconds < estimated.unpruned_search.seconds
    assert pytest.approx(sum(one.share for one in estimated.structures)) == 1.0
    assert "without pruning" in summary(estimated)
    assert "2 processes at once" in estimated.machine
    values = json.loads(json.dumps(estimated.to_json()))
    assert values["seconds"]["search"] == estimated.search.seconds
    assert len(values["structures"]) == 8
    assert all(one["measured"] and one["trial_seconds"] > 0.0 for one in values["structures"])


CLASSES = Arrays(np.random.default_rng(0).normal(size=(60, 4)), np.arange(60) % 3, groups=np.arange(60) // 4)
NUMBERS = Arrays(np.random.default_rng(0).normal(size=(60, 4)), np.arange(60.0))
MLP_PARTS = {"model": Space(MLP, hidden=Int(4, 5)), "metric": Accuracy()}
TEXT_PARTS = {"model": Space(RnnLM, hidden=Int(4, 5)), "metric": Perplexity()}
REGRESSION_PARTS = {"model": Space(MLP, hidden=Int(4, 5), loss=MeanSquaredError), "metric": RootMeanSquaredError()}


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize(
    ("data", "parts", "validation"),
    [
        *[(CLASSES, MLP_PARTS, scheme) for scheme in (KFold(3), StratifiedKFold(3), GroupKFold(3), Holdout(0.3))],
        *[(NUMBERS, REGRESSION_PARTS, scheme) for scheme in (KFold(3), Holdout(0.3))],
    ],
)
def test_rows_are_timed_with_every_validation(data, parts, validation, standardize):
    check_timing(spiral_sweep(data=replace(data, standardize=standardize), validation=validation, **parts))


@pytest.mark.parametrize("validation", [Blocked(3), Holdout(0.3)], ids=repr)
def test_text_is_timed_with_every_validation(tmp_path, validation):
    (tmp_path / "text.txt").write_text("the cat sat on the mat . " * 100)
    check_timing(spiral_sweep(data=Text(tmp_path / "text.txt", window=5), validation=validation, **TEXT_PARTS))


def check_timing(sweep):
    """Check that a structure is measured in this process, with one trial and with the best number side by side."""
    point = sample_points(sweep, 1).points[0]
    (timing,) = measure_request(TimingRequest(sweep, [point], max_trials=4, device="cpu", time_limit=0.0)).timings
    assert isinstance(timing, StructureTiming), timing
    assert all(seconds > 0.0 for seconds in timing.scoring_seconds.values())


def test_estimate_rejects_what_run_rejects():
    with pytest.raises(UserMistake, match="fewer workers"):
        estimate(spiral_sweep(), RunConfig(memory=1e-6))
    with pytest.raises(UserMistake, match="one device"):
        estimate(spiral_sweep(), RunConfig(device="either"))


def test_plan_prints_a_table_and_json(tmp_path, capfd):
    sweep = write_sweep_file(
        tmp_path,
        """
from models.mlp import MLP
from searchlab import *

def narrow(hidden):
    return hidden

sweep = Sweep(name="mine", data=Spiral(points=20), validation=KFold(2), metric=Accuracy(), sampler=Grid(),
              model=Space(MLP, hidden=Choice(3, 400)), optimizer=Space(SGD, lr=Choice(0.1, 1.0)),
              training=Space(Trainer, epochs=9), pruner=NoPruning())
""",
    )
    assert execute(["plan", str(sweep), "--set", "training.batch_size=7", "--epochs", "4", "--json"]) == 0
    out, err = capfd.readouterr()
    values = json.loads(out.splitlines()[-1])
    assert values["epochs"] == 16
    assert [one["structure"] for one in values["structures"]] == ["hidden=3", "hidden=400"]
    assert [one["share"] for one in values["structures"]] == [0.5, 0.5]
    assert all(one["step_seconds"] > 0 for one in values["structures"])
    assert "hidden=400" in err
    assert "search: about" in err
    assert not list(tmp_path.glob(".searchlab"))
    assert execute(["plan", str(sweep), "--memory", "0.000001"]) == 2
    assert "needs" in capfd.readouterr().err
