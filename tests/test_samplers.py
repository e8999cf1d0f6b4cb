"""Samplers: each proposes points of deep conditional spaces, which do not depend on restarts."""

from __future__ import annotations

import statistics
from collections import Counter
from itertools import pairwise

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import Trial, TrialState

from models.mlp import MLP
from searchlab import (
    SGD,
    TPE,
    Accuracy,
    Adam,
    BruteForce,
    Choice,
    CmaEs,
    Float,
    Grid,
    Int,
    Momentum,
    OptunaSampler,
    QuasiRandom,
    Random,
    RootMeanSquaredError,
    Space,
    Trainer,
)
from searchlab.errors import UserMistake
from searchlab.space.initial_points import is_valid_point
from searchlab.space.structure import structural_parameters
from searchlab.study import tpe_observations
from searchlab.study.optuna_samplers import from_unit_interval
from searchlab.study.samplers import SamplerFactory, create_sampler, distributions_of, suggest, to_distribution
from searchlab.study.tpe_observations import MAX_BEST, TPEObservations
from tests.sweeps import spiral_sweep

SAMPLERS = [TPE(), Random(), QuasiRandom(), CmaEs()]
ENUMERATING = [Grid(), BruteForce()]


class Cell:
    """A model's part, which has a part, which has one too."""

    def __init__(self, *, inner: object = None, gate: bool = False, width: int = 4) -> None:
        self.arguments = (inner, gate, width)


class Gate:
    """The innermost part."""

    def __init__(self, *, bias: int = 0, kind: str = "soft", slope: int = 1) -> None:
        self.arguments = (bias, kind, slope)


class Norm:
    """Another part."""

    def __init__(self, *, power: int = 2) -> None:
        self.power = power


class Deep:
    """A model whose open arguments lie three choices deep, conditions at every level."""

    def __init__(
        self, replicas, features, classes, *, cell: object = None, layers: int = 1, skip: bool = False
    ) -> None:
        self.arguments = (cell, layers, skip)


def deep_sweep(**changes):
    gate = Space(Gate, kind=Choice("hard", "soft"), slope=Int(1, 2).when(kind="soft"), bias=Choice(0, 1))
    cell = Space(
        Cell, inner=Choice(gate, Norm, None), gate=Choice(True, False).when(inner=(Gate, None)), width=Int(4, 6)
    )
    model = Choice(
        Space(Deep, layers=Int(1, 2), skip=Choice(True, False).when(layers=2, cell=Cell), cell=Choice(cell, Norm)),
        Space(MLP, hidden=Choice(5, 9)),
    )
    return spiral_sweep(**{"model": model, "optimizer": Space(SGD), "training": Space(Trainer), **changes})


INNER = "model.Deep.cell.Cell.inner"
DEEPEST = f"{INNER}.Gate.slope"


def flat_sweep(**changes):
    """Four ranges that are open in every trial, none of them structure, and a choice that is."""
    parts = {
        "model": Space(MLP, hidden=Choice(5, 9), dropout=Float(0.0, 0.4)),
        "optimizer": Space(Momentum, lr=Float(1e-3, 1.0, log=True), momentum=Float(0.5, 0.99)),
        "training": Space(Trainer, clip_norm=Float(0.1, 10.0, log=True)),
    }
    return spiral_sweep(**{**parts, **changes})


def loss_of(point):
    """A smooth function, equal in every process."""
    numbers = [v for v in point.values() if isinstance(v, (int, float)) and not isinstance(v, bool)]
    return sum((abs(n) ** 0.5 - 0.4) ** 2 for n in numbers) + 0.1 * len(point)


class Search:
    """Proposes points as the study does, with three open trials; `open_study` continues as a new process does."""

    def __init__(self, sweep, path=None, seed=0):
        self.sweep, self.seed, self.path = sweep, seed, path
        self.memory = optuna.storages.InMemoryStorage()
        self.open, self.points, self.suggest = {}, {}, suggest
        self.open_study(is_resumed=False)

    def open_study(self, *, is_resumed=True):
        storage = self.memory
        if self.path:
            storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(self.path)))
        self.study = optuna.create_study(storage=storage, study_name="s", load_if_exists=True)
        self.factory = SamplerFactory(self.sweep, self.seed, is_resumed=is_resumed)
        for frozen in self.study.get_trials(states=(TrialState.RUNNING,)):
            self.study.sampler = self.factory.create(frozen.number, {})
            self.suggest_values(Trial(self.study, frozen._trial_id))

    def suggest_values(self, trial):
        point = {}

        def suggest_value(path, domain):
            point[path] = self.suggest(trial, path, domain)
            return point[path]

        self.sweep.suggest_configuration(suggest_value)
        self.open[trial.number], self.points[trial.number] = trial, point
        return point

    def propose(self, fixed=None):
        number = len(self.study.get_trials(deepcopy=False))
        self.study.sampler = self.factory.create(number, fixed or {})
        point = self.suggest_values(self.study.ask())
        if len(self.open) == 3:
            self.end(min(self.open))
        return point

    def end(self, number):
        trial, loss = self.open.pop(number), loss_of(self.points[number])
        if number % 4 == 3:
            trial.report(loss, 1)
            self.study.tell(trial, state=TrialState.PRUNED)
        else:
            self.study.tell(trial, loss)

    def all(self, count, restarts=()):
        for number in range(count):
            if number in restarts:
                self.open_study()
            self.propose()
        return [self.points[number] for number in range(count)]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
def test_points_of_a_space_three_choices_deep_are_valid(sampler):
    sweep = deep_sweep(sampler=sampler)
    points = Search(sweep).all(60)
    assert all(is_valid_point(sweep, point) for point in points)
    assert {INNER, "model.Deep.skip"} <= set().union(*points)
    for point in points:
        assert ("model.Deep.cell.Cell.gate" in point) == (point.get(INNER, "Norm") != "Norm")
        assert (DEEPEST in point) == (point.get(f"{INNER}.Gate.kind") == "soft")


def test_random_samplers_reach_the_deepest_argument():
    for sampler in (Random(), QuasiRandom()):
        points = Search(deep_sweep(sampler=sampler)).all(160)
        assert {1, 2} <= {point.get(DEEPEST) for point in points}


@pytest.mark.parametrize("sampler", ENUMERATING, ids=repr)
def test_the_grid_of_a_deep_space_has_every_point_once(sampler):
    sweep = deep_sweep(sampler=sampler)
    points = sweep.grid_points().points
    # the gate: hard or soft with 2 slopes, each with 2 biases; with a gate, 2 of Cell.gate: 3*2*2; Norm: 1; None: 2
    cells = 3 * (3 * 2 * 2 + 1 + 2)  # 3 widths
    assert len(points) == len({tuple(sorted(p.items())) for p in points}) == (cells + 1) + (2 * cells + 1) + 2
    assert all(is_valid_point(sweep, point) for point in points)
    assert [structural_parameters(sweep, point) for point in points[:1]] == [points[0]], (
        "every parameter is structural here"
    )


@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
@pytest.mark.parametrize("space", [deep_sweep, flat_sweep])
def test_a_search_that_was_killed_between_trials_proposes_the_same_points(sampler, space, tmp_path):
    sweep = space(sampler=sampler)
    whole = Search(sweep).all(40)
    assert Search(sweep, tmp_path / "killed").all(40, restarts=(1, 7, 22, 23, 38)) == whole
    assert Search(sweep, seed=1).all(40) != whole
    assert len({tuple(sorted(point.items())) for point in whole}) > (30 if space is flat_sweep else 6)


class Killed(BaseException):
    """In place of a kill."""


@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
@pytest.mark.parametrize("values", [2, 3, 4])
def test_a_trial_killed_while_it_was_drawn_gets_the_values_it_would_have_had(sampler, values):
    """The kill comes before the n-th value is stored, once at random startup and once when the sampler has learnt."""
    sweep = flat_sweep(sampler=sampler)
    whole = Search(sweep).all(36)
    search = Search(sweep)
    for number in range(36):
        if number in (4, 29):
            count = iter(range(1, 100))

            def suggest_until_killed(*arguments, count=count):
                if next(count) == values:
                    raise Killed
                return suggest(*arguments)

            search.suggest = suggest_until_killed
            with pytest.raises(Killed):
                search.propose()
            search.suggest, search.open = suggest, {}
            search.open_study()
            if len(search.open) == 3:
                search.end(min(search.open))
        else:
            search.propose()
    assert [search.points[number] for number in range(36)] == whole


@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
def test_fixed_values_are_kept_and_the_others_drawn(sampler):
    search = Search(flat_sweep(sampler=sampler))
    for _ in range(15):
        search.propose()
    leader = search.propose()
    fixed = structural_parameters(search.sweep, leader)
    followers = [search.propose(fixed) for _ in range(8)]
    assert fixed == {"model.hidden": leader["model.hidden"]}
    assert {point["model.hidden"] for point in followers} == {leader["model.hidden"]}
    assert len({point["optimizer.lr"] for point in [leader, *followers]}) == 9


@pytest.mark.parametrize("sampler", [TPE(), CmaEs()], ids=repr)
def test_learning_samplers_find_better_points_than_random_search(sampler):
    def loss(point):
        rate, clip = np.log10(point["optimizer.lr"]) + 1.0, np.log10(point["training.clip_norm"])
        return float((rate + clip) ** 2 + clip**2 + (point["model.dropout"] - 0.1) ** 2)

    def best(kind, seed):
        sweep, study, losses = flat_sweep(sampler=kind), optuna.create_study(), []
        factory = SamplerFactory(sweep, seed)
        for number in range(70):
            study.sampler = factory.create(number, {})
            trial, point = study.ask(), {}
            sweep.suggest_configuration(
                lambda path, domain, trial=trial, point=point: point.setdefault(path, suggest(trial, path, domain))
            )
            losses.append(loss(point))
            study.tell(trial, losses[-1])
        return min(losses)

    learned = statistics.median(best(sampler, seed) for seed in range(5))
    assert learned < 0.5 * statistics.median(best(Random(), seed) for seed in range(5))


def test_quasi_random_points_are_spread_evenly_and_depend_on_their_number_only():
    sweep = flat_sweep(sampler=QuasiRandom())
    factory = SamplerFactory(sweep, 3)
    study = optuna.create_study()

    def point(number, factory):
        study.sampler = factory.create(number, {})
        trial, values = study.ask(), {}
        sweep.suggest_configuration(lambda path, domain: values.setdefault(path, suggest(trial, path, domain)))
        return values

    points = [point(number, factory) for number in range(64)]
    eighths = Counter(int(p["model.dropout"] / 0.05) for p in points)
    decades = Counter(int(np.floor(np.log10(p["training.clip_norm"]))) for p in points)
    assert set(eighths.values()) == {8}, "64 Sobol points have 8 in each eighth of any dimension"
    assert set(decades.values()) == {32}
    assert Counter(p["model.hidden"] for p in points) == {5: 32, 9: 32}
    assert point(50, SamplerFactory(sweep, 3)) == points[50], "independent of earlier points"
    assert point(0, SamplerFactory(sweep, 4)) != points[0]
    assert point(50, SamplerFactory(sweep, 3, prior_seed=(1,))) not in points, "after other trials of the same seed"
    point(700, factory)
    assert factory._sobol.shape == (1024, 5)
    assert point(50, factory) == points[50], "a longer sequence begins with the same points"


def test_the_dimension_of_an_argument_does_not_depend_on_the_order_of_arguments():
    model = {"hidden": Choice(5, 9), "layers": Int(1, 3), "dropout": Float(0.0, 0.4)}
    one = flat_sweep(sampler=QuasiRandom(), model=Space(MLP, **model))
    other = flat_sweep(sampler=QuasiRandom(), model=Space(MLP, **dict(reversed(model.items()))))
    assert Search(one).all(9) == Search(other).all(9)


def test_without_open_arguments_points_are_empty():
    sweep = spiral_sweep(model=Space(MLP), optimizer=Space(SGD), training=Space(Trainer), sampler=QuasiRandom())
    assert Search(sweep).all(2) == [{}, {}]


LAST = np.nextafter(1.0, 0.0)


@pytest.mark.parametrize(
    ("distribution", "units", "values"),
    [
        (FloatDistribution(2.0, 4.0), [0.0, 0.5, LAST], [2.0, 3.0, 4.0]),
        (FloatDistribution(0.01, 100.0, log=True), [0.0, 0.25, 0.5, LAST], [0.01, 0.1, 1.0, 100.0]),
        (FloatDistribution(0.0, 1.0, step=0.5), [0.0, 0.33, 0.34, 0.66, 0.67, LAST], [0.0, 0.0, 0.5, 0.5, 1.0, 1.0]),
        (IntDistribution(1, 4), [0.0, 0.24, 0.26, 0.51, LAST], [1, 1, 2, 3, 4]),
        (IntDistribution(2, 8, step=3), [0.0, 0.34, 0.67, LAST], [2, 5, 8, 8]),
        (IntDistribution(1, 100, log=True), [0.0, 0.5, LAST], [1, 7, 100]),
        (CategoricalDistribution([None, "a", True]), [0.0, 0.34, LAST], [None, "a", True]),
    ],
)
def test_the_unit_interval_is_mapped_onto_a_distribution(distribution, units, values):
    found = [from_unit_interval(distribution, float(unit)) for unit in units]
    assert found == pytest.approx(values) if isinstance(distribution, FloatDistribution) else found == values
    assert all(distribution._contains(distribution.to_internal_repr(value)) for value in found)
    assert [type(value) for value in found] == [type(value) for value in values]


def test_cma_es_trains_trials_alone_where_a_range_is_structural():
    assert not CmaEs().one_trial_per_group(flat_sweep())
    assert CmaEs().one_trial_per_group(flat_sweep(model=Space(MLP, hidden=Int(5, 9))))
    assert not CmaEs().one_trial_per_group(flat_sweep(model=Space(MLP, hidden=Choice(5, 9))))
    assert not any(
        sampler.one_trial_per_group(deep_sweep()) for sampler in (TPE(), Random(), QuasiRandom(), *ENUMERATING)
    )


def test_cma_es_adapts_trials_with_fixed_choices_and_not_those_with_fixed_ranges():
    search = Search(flat_sweep(sampler=CmaEs()))
    for _ in range(12):
        search.propose()
    search.propose({"model.hidden": 5})
    attributes = search.study.get_trials(deepcopy=False)[-1].system_attrs
    assert "cma:generation" in attributes
    search.propose({"model.dropout": 0.1})
    assert "cma:generation" not in search.study.get_trials(deepcopy=False)[-1].system_attrs


def test_cma_es_adapts_the_arguments_that_are_open_in_every_trial():
    """Optuna's own takes the rate of an optimizer for always open until a trial has another optimizer."""
    sweep = spiral_sweep(sampler=CmaEs())
    factory = SamplerFactory(sweep, 0)
    assert set(factory.create(0, {}).infer_relative_search_space(None, None)) == {
        "model.dropout",
        "model.hidden",
        "training.clip_norm",
    }
    search = Search(sweep)
    search.all(30)
    adapted = [trial for trial in search.study.get_trials() if "cma:generation" in trial.system_attrs]
    assert len(adapted) > 20
    assert {trial.params["optimizer"] for trial in adapted} == {"SGD", "Adam"}
    assert max(trial.system_attrs["cma:generation"] for trial in adapted) >= 2


def test_cma_es_needs_only_the_latest_trials(monkeypatch):
    whole = Search(flat_sweep(sampler=CmaEs())).all(60)
    monkeypatch.setattr(tpe_observations, "MAX_LATEST", 24)
    assert Search(flat_sweep(sampler=CmaEs())).all(60) == whole


def test_cma_es_needs_a_single_metric():
    metrics = (Accuracy(), RootMeanSquaredError())
    with pytest.raises(UserMistake, match=r"^CmaEs\(\).*one metric.*TPE\(\)"):
        flat_sweep(sampler=CmaEs(), metric=metrics)
    assert flat_sweep(sampler=TPE(), metric=metrics).sampler == TPE()


def brute_force_sweep(**changes):
    """Four structures of 25 points."""
    model = Space(MLP, hidden=Choice(5, 9), dropout=Float(0.0, 0.4, step=0.1))
    optimizer = Choice(*(Space(kind, lr=Choice(0.1, 0.2, 0.3, 0.4, 0.5)) for kind in (SGD, Adam)))
    parts = {"model": model, "optimizer": optimizer, "training": Space(Trainer), "sampler": BruteForce()}
    return spiral_sweep(**parts | {"trials": None} | changes)


def test_brute_force_has_the_points_of_a_grid_in_small_batches_of_one_structure():
    sweep = brute_force_sweep()
    plan, grid = sweep.grid_points(), Grid().grid_points(sweep)
    assert len(plan.points) == sweep.resolve_trials() == 100
    assert sorted(map(repr, plan.points)) == sorted(map(repr, grid.points))
    assert plan.points != grid.points
    assert plan.structure_count == grid.structure_count == 4
    assert BruteForce().grid_points(sweep) == plan, "the same order in every process"
    at, sizes = 0, []
    while at < 100:
        sizes.append(plan.structure_run(at))
        assert len({repr(structural_parameters(sweep, point)) for point in plan.points[at : at + sizes[-1]]}) == 1
        at += sizes[-1]
    assert Counter(sizes) == {8: 12, 1: 4}
    assert all(
        before - after == 1 for n in (0, 3, 6) for before, after in [(plan.structure_run(n), plan.structure_run(n + 1))]
    )


def test_brute_force_covers_the_whole_space_when_it_ends_early():
    sweep = brute_force_sweep()
    points = sweep.grid_points().points[:40]
    assert len({repr(structural_parameters(sweep, point)) for point in points}) == 4
    assert len({point["model.dropout"] for point in points[:8]}) > 2, "a batch covers its structure"
    grid = Grid().grid_points(sweep).points[:40]
    assert len({repr(structural_parameters(sweep, point)) for point in grid}) == 2


def test_brute_force_has_a_number_of_trials_and_rejects_ranges():
    assert brute_force_sweep(trials=10).resolve_trials() == 10
    with pytest.raises(UserMistake, match="trials=101"):
        brute_force_sweep(trials=101).resolve_trials()
    with pytest.raises(UserMistake, match=r"model\.dropout.*step"):
        brute_force_sweep(model=Space(MLP, dropout=Float(0.0, 0.5))).resolve_trials()


def test_a_sampler_object_of_optuna_is_used_unchanged():
    sampler = optuna.samplers.TPESampler(seed=5, n_startup_trials=4)
    sweep = flat_sweep(sampler=sampler)
    assert sweep.sampler == OptunaSampler(optuna.samplers.TPESampler())
    assert (repr(sweep.sampler), sweep.grid_points()) == ("OptunaSampler(TPESampler(...))", None)
    found = Search(sweep).all(12)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=5, n_startup_trials=4))
    first, point = study.ask(), {}
    sweep.suggest_configuration(lambda path, domain: point.setdefault(path, suggest(first, path, domain)))
    assert found[0] == point
    assert Search(sweep).all(12) == found, "the sweep's own object is not changed"


def test_an_optuna_sampler_repeats_no_point_after_a_restart():
    sweep = flat_sweep(sampler=optuna.samplers.RandomSampler(seed=5))
    search = Search(sweep)
    first = [search.propose() for _ in range(6)]
    search.open_study()
    assert not [point for point in (search.propose() for _ in range(6)) if point in first]


def test_an_optuna_sampler_is_described_by_its_class_and_may_train_alone():
    same = [flat_sweep(sampler=optuna.samplers.RandomSampler(seed=seed)).fingerprint() for seed in (1, 2)]
    assert same[0] == same[1] != flat_sweep(sampler=optuna.samplers.TPESampler()).fingerprint()
    assert flat_sweep(sampler=optuna.samplers.RandomSampler()).describe()["sampler"]["name"] == "RandomSampler"
    assert OptunaSampler(optuna.samplers.RandomSampler()).one_trial_per_group(flat_sweep())
    assert not OptunaSampler(optuna.samplers.RandomSampler()).one_trial_per_group(
        flat_sweep(model=Space(MLP, dropout=Float(0, 0.5)))
    )


@pytest.mark.parametrize("value", [optuna.samplers.RandomSampler, "tpe", 3, None])
def test_a_value_that_is_no_sampler_is_a_mistake(value):
    with pytest.raises(UserMistake, match=r"^OptunaSampler\(\.\.\.\) takes a sampler object.*got "):
        OptunaSampler(value)
    with pytest.raises(UserMistake, match=r"^Sweep\(sampler=\.\.\.\) takes"):
        flat_sweep(sampler=value)


def study_of(values, directions=("minimize",)):
    study = optuna.create_study(directions=list(directions))
    for value in values:
        study.add_trial(optuna.trial.create_trial(values=value, params={}, distributions={}))
    return study


CURRENT = optuna.trial.create_trial(value=0.0)  # in place of a trial that is being drawn


def numbers(study):
    return [trial.number for trial in TPEObservations().view(study, CURRENT)._get_trials()]


def test_tpe_reads_running_trials_the_best_and_the_latest(monkeypatch):
    monkeypatch.setattr(tpe_observations, "MAX_LATEST", 50)
    generator = np.random.default_rng(0)
    values = generator.permutation(200).astype(float)
    few, many = study_of([[v] for v in values[:75]]), study_of([[v] for v in values])
    running = many.ask().number
    assert numbers(few) == list(range(75))
    best = set(np.argsort(values)[:MAX_BEST].tolist())
    rest = [number for number in range(200) if number not in best]
    assert numbers(many) == [*sorted(best | set(rest[-50:])), running]
    assert set(numbers(study_of([[-v] for v in values], ["maximize"]))) == best | set(rest[-50:])
    assert TPEObservations().view(many, CURRENT).directions == many.directions


def test_with_several_metrics_tpe_reads_the_pareto_front(monkeypatch):
    monkeypatch.setattr(tpe_observations, "MAX_LATEST", 10)
    front = [[float(n), float(19 - n)] for n in range(20)]
    behind = [[v[0] + 1.0 + n, v[1] + 1.0] for n, v in enumerate(front * 4)]
    assert set(range(20)) <= set(numbers(study_of(front + behind, ["minimize", "minimize"])))
    assert set(range(20)) <= set(numbers(study_of([[a, -b] for a, b in front + behind], ["minimize", "maximize"])))


def expected_trials(study):
    """The trials that TPE is to read, found in all trials: running ones, the best, the latest of the others."""
    best_count, latest = tpe_observations.MAX_BEST, tpe_observations.MAX_LATEST
    trials = study.get_trials(deepcopy=False)
    ended = [trial for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    if len(ended) > best_count + latest:
        complete = [trial for trial in ended if trial.state is TrialState.COMPLETE]
        signs = [-1.0 if way.name == "MAXIMIZE" else 1.0 for way in study.directions]
        losses = [np.array(trial.values) * signs for trial in complete]
        better = [sum((a <= b).all() and (a < b).any() for a in losses) for b in losses]
        best = {complete[at].number for at in sorted(range(len(complete)), key=lambda at: better[at])[:best_count]}
        kept = best | set([trial.number for trial in ended if trial.number not in best][-latest:])
        ended = [trial for trial in ended if trial.number in kept]
    return sorted(
        [*ended, *(trial for trial in trials if trial.state is TrialState.RUNNING)], key=lambda trial: trial.number
    )


def facts(trials):
    return [(t.number, t.state, t.values, t.params, t.intermediate_values) for t in trials]


@pytest.mark.parametrize("directions", [["minimize"], ["maximize"], ["minimize", "maximize"], ["maximize"] * 3])
@pytest.mark.parametrize("seed", range(4))
def test_tpe_reads_the_expected_trials(monkeypatch, seed, directions):
    """Trials end in any order and every state, many of them equal; at times another process continues the study."""
    monkeypatch.setattr(tpe_observations, "MAX_BEST", 4)
    monkeypatch.setattr(tpe_observations, "MAX_LATEST", 10)
    monkeypatch.setattr(tpe_observations, "COMPARE_CHUNK", 7)
    draws, study = np.random.default_rng(seed), optuna.create_study(directions=directions)
    factory, open_trials = SamplerFactory(flat_sweep(), 0), []
    for number in range(150):
        if draws.random() < 0.02:
            factory = SamplerFactory(flat_sweep(), 0)
        study.sampler = factory.create(number, {"x": 0.5} if draws.random() < 0.3 else {})
        trial = study.ask()
        open_trials.append(trial)
        if draws.random() < 0.8:  # else nothing of it is open, and no sampler reads trials
            current = study._storage.get_trial(trial._trial_id)
            seen = factory._observations.view(study, current)._get_trials()
            others = [other for other in expected_trials(study) if other.number != trial.number]
            assert facts(other for other in seen if other.number != trial.number) == facts(others)
            trial.suggest_float("x", 0.0, 1.0)
        while open_trials and draws.random() < 0.5:
            one = open_trials.pop(int(draws.integers(len(open_trials))))
            kind = draws.choice(["COMPLETE", "COMPLETE", "PRUNED", "FAIL"])
            if kind == "PRUNED" and len(directions) == 1:
                one.report(float(draws.integers(5)), 1)
            values = draws.integers(0, 6, len(directions)).astype(float).tolist()
            study.tell(one, values if kind == "COMPLETE" else None, state=TrialState[kind])


def test_a_proposal_reads_only_trials_that_have_changed(monkeypatch):
    """After five hundred trials as after fifty, with five open ones."""
    study, factory, open_trials = optuna.create_study(), SamplerFactory(flat_sweep(), 0), []
    reads, get, everything = [], study._storage.get_trial, study._storage.get_all_trials
    monkeypatch.setattr(study._storage, "get_all_trials", lambda *a, **k: reads.append("all") or everything(*a, **k))
    found = []
    for number in range(500):
        study.sampler = factory.create(number, {})
        trial = study.ask()
        reads.clear()
        monkeypatch.setattr(study._storage, "get_trial", lambda one: reads.append(one) or get(one))
        factory._observations.view(study, get(trial._trial_id))
        monkeypatch.setattr(study._storage, "get_trial", get)
        found.append(list(reads))
        open_trials.append(trial)
        if len(open_trials) == 5:
            study.tell(open_trials.pop(0), float(number))
    assert found[0] == ["all"]
    assert all(len(reads) <= 2 and "all" not in reads for reads in found[1:]), "the previous trial, and one that ended"
    sized = [value for value in vars(factory._observations).values() if hasattr(value, "__len__")]
    assert all(len(value) <= MAX_BEST + tpe_observations.MAX_LATEST for value in sized)
    assert len(factory._observations._best.trials) == MAX_BEST


def test_tpe_is_reproducible_when_it_does_not_read_all_trials(monkeypatch):
    monkeypatch.setattr(tpe_observations, "MAX_LATEST", 5)
    sweep = deep_sweep(sampler=TPE())
    whole = Search(sweep).all(60)
    assert all(is_valid_point(sweep, point) for point in whole)
    assert Search(sweep).all(60, restarts=(45, 52)) == whole


def test_the_best_trials_include_all_that_optuna_calls_good():
    """A trial that is not read cannot be one of its good trials."""
    assert max(optuna.samplers._tpe.sampler.default_gamma(n) for n in (10, 300, 10_000)) == MAX_BEST


def test_distributions_equal_those_that_a_proposal_stores():
    sweep = deep_sweep(
        sampler=Random(), training=Space(Trainer, clip_norm=Float(0.1, 10, log=True), l2=Float(0, 1, step=0.5))
    )
    search = Search(sweep)
    for point in search.all(20):
        stored = next(trial for trial in search.study.get_trials() if trial.params == point)
        assert stored.distributions == distributions_of(sweep, point)
    with pytest.raises(TypeError, match="no distribution for"):
        to_distribution(None)


def test_a_random_sampler_needs_no_study():
    samplers = [create_sampler(Random(), seed, {}) for seed in (1, 1, 2)]
    values = [sampler.sample_independent(None, None, "x", FloatDistribution(0, 1)) for sampler in samplers]
    assert values[0] == values[1] != values[2]
    other = samplers[0].sample_independent(None, None, "y", FloatDistribution(0, 1))
    assert other != values[0], "each argument has a stream of random numbers of its own"
    assert all(a != b for a, b in pairwise([*values[1:], other]))
