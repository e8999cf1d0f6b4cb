"""Samplers: each draws deep conditional spaces, and what it draws is the same whatever was killed in between."""

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
from searchlab.space.initial_points import fits
from searchlab.space.structure import structural
from searchlab.study import tpe_history as history_file
from searchlab.study.optuna_samplers import along
from searchlab.study.samplers import Samplers, distribution, distributions, optuna_sampler, suggest
from searchlab.study.tpe_history import BEST, History
from tests.sweeps import spiral_sweep

EACH = [TPE(), Random(), QuasiRandom(), CmaEs()]
PLANS = [Grid(), BruteForce()]


class Cell:
    """A part with a part of its own, which has one too."""

    def __init__(self, *, inner: object = None, gate: bool = False, width: int = 4) -> None:
        self.given = (inner, gate, width)


class Gate:
    """The innermost part."""

    def __init__(self, *, bias: int = 0, kind: str = "soft", slope: int = 1) -> None:
        self.given = (bias, kind, slope)


class Norm:
    """Another one."""

    def __init__(self, *, power: int = 2) -> None:
        self.power = power


class Deep:
    """A model whose open arguments lie three choices deep, conditions at every level."""

    def __init__(
        self, replicas, features, classes, *, cell: object = None, layers: int = 1, skip: bool = False
    ) -> None:
        self.given = (cell, layers, skip)


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
    """Smooth, and the same in every process."""
    numbers = [v for v in point.values() if isinstance(v, (int, float)) and not isinstance(v, bool)]
    return sum((abs(n) ** 0.5 - 0.4) ** 2 for n in numbers) + 0.1 * len(point)


class Search:
    """Draws as the study does: three trials are open at a time, and a new process takes over when told to."""

    def __init__(self, sweep, path=None, seed=0):
        self.sweep, self.seed, self.path = sweep, seed, path
        self.memory = optuna.storages.InMemoryStorage()
        self.open, self.points, self.suggest = {}, {}, suggest
        self.begin(resumed=False)

    def begin(self, *, resumed=True):
        storage = self.memory
        if self.path:
            storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(self.path)))
        self.study = optuna.create_study(storage=storage, study_name="s", load_if_exists=True)
        self.samplers = Samplers(self.sweep, self.seed, resumed=resumed)
        for frozen in self.study.get_trials(states=(TrialState.RUNNING,)):
            self.study.sampler = self.samplers.of(frozen.number, {})
            self.settle(Trial(self.study, frozen._trial_id))

    def settle(self, trial):
        point = {}

        def ask(path, domain):
            point[path] = self.suggest(trial, path, domain)
            return point[path]

        self.sweep.draw(ask)
        self.open[trial.number], self.points[trial.number] = trial, point
        return point

    def draw(self, fixed=None):
        number = len(self.study.get_trials(deepcopy=False))
        self.study.sampler = self.samplers.of(number, fixed or {})
        point = self.settle(self.study.ask())
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

    def all(self, count, breaks=()):
        for number in range(count):
            if number in breaks:
                self.begin()
            self.draw()
        return [self.points[number] for number in range(count)]


def name_of(value):
    return repr(value)


@pytest.mark.parametrize("sampler", EACH, ids=name_of)
def test_a_space_three_choices_deep_is_drawn_as_it_is_written(sampler):
    sweep = deep_sweep(sampler=sampler)
    points = Search(sweep).all(60)
    assert all(fits(sweep, point) for point in points)
    assert {INNER, "model.Deep.skip"} <= set().union(*points)
    for point in points:
        assert ("model.Deep.cell.Cell.gate" in point) == (point.get(INNER, "Norm") != "Norm")
        assert (DEEPEST in point) == (point.get(f"{INNER}.Gate.kind") == "soft")


def test_random_samplers_reach_the_deepest_argument():
    for sampler in (Random(), QuasiRandom()):
        points = Search(deep_sweep(sampler=sampler)).all(160)
        assert {1, 2} <= {point.get(DEEPEST) for point in points}


@pytest.mark.parametrize("sampler", PLANS, ids=name_of)
def test_a_plan_of_a_deep_space_has_every_point_once(sampler):
    sweep = deep_sweep(sampler=sampler)
    points = sweep.plan().points
    # the gate: hard or soft with 2 slopes, each with 2 biases; with a gate, 2 of Cell.gate: 3*2*2; Norm: 1; None: 2
    cells = 3 * (3 * 2 * 2 + 1 + 2)  # 3 widths
    assert len(points) == len({tuple(sorted(p.items())) for p in points}) == (cells + 1) + (2 * cells + 1) + 2
    assert all(fits(sweep, point) for point in points)
    assert [structural(sweep, point) for point in points[:1]] == [points[0]], "nothing here differs within a group"


@pytest.mark.parametrize("sampler", EACH, ids=name_of)
@pytest.mark.parametrize("space", [deep_sweep, flat_sweep])
def test_a_search_that_was_killed_between_trials_draws_what_an_unbroken_one_draws(sampler, space, tmp_path):
    sweep = space(sampler=sampler)
    whole = Search(sweep).all(40)
    assert Search(sweep, tmp_path / "broken").all(40, breaks=(1, 7, 22, 23, 38)) == whole
    assert Search(sweep, seed=1).all(40) != whole
    assert len({tuple(sorted(point.items())) for point in whole}) > (30 if space is flat_sweep else 6)


class Killed(BaseException):
    """What ends a process in the middle."""


@pytest.mark.parametrize("sampler", EACH, ids=name_of)
@pytest.mark.parametrize("values", [2, 3, 4])
def test_a_trial_that_was_killed_half_drawn_gets_the_values_it_would_have_had(sampler, values):
    """Killed before its nth value is stored, once among the first trials and once when the sampler has learnt."""
    sweep = flat_sweep(sampler=sampler)
    whole = Search(sweep).all(36)
    search = Search(sweep)
    for number in range(36):
        if number in (4, 29):
            count = iter(range(1, 100))

            def until(*arguments, count=count):
                if next(count) == values:
                    raise Killed
                return suggest(*arguments)

            search.suggest = until
            with pytest.raises(Killed):
                search.draw()
            search.suggest, search.open = suggest, {}
            search.begin()
            if len(search.open) == 3:
                search.end(min(search.open))
        else:
            search.draw()
    assert [search.points[number] for number in range(36)] == whole


@pytest.mark.parametrize("sampler", EACH, ids=name_of)
def test_values_that_are_given_are_kept_and_the_others_drawn(sampler):
    search = Search(flat_sweep(sampler=sampler))
    for _ in range(15):
        search.draw()
    leader = search.draw()
    fixed = structural(search.sweep, leader)
    followers = [search.draw(fixed) for _ in range(8)]
    assert fixed == {"model.hidden": leader["model.hidden"]}
    assert {point["model.hidden"] for point in followers} == {leader["model.hidden"]}
    assert len({point["optimizer.lr"] for point in [leader, *followers]}) == 9


@pytest.mark.parametrize("sampler", [TPE(), CmaEs()], ids=name_of)
def test_samplers_that_learn_find_better_points_than_chance(sampler):
    def loss(point):
        rate, clip = np.log10(point["optimizer.lr"]) + 1.0, np.log10(point["training.clip_norm"])
        return float((rate + clip) ** 2 + clip**2 + (point["model.dropout"] - 0.1) ** 2)

    def best(kind, seed):
        sweep, study, losses = flat_sweep(sampler=kind), optuna.create_study(), []
        samplers = Samplers(sweep, seed)
        for number in range(70):
            study.sampler = samplers.of(number, {})
            trial, point = study.ask(), {}
            sweep.draw(
                lambda path, domain, trial=trial, point=point: point.setdefault(path, suggest(trial, path, domain))
            )
            losses.append(loss(point))
            study.tell(trial, losses[-1])
        return min(losses)

    learnt = statistics.median(best(sampler, seed) for seed in range(5))
    assert learnt < 0.5 * statistics.median(best(Random(), seed) for seed in range(5))


def test_quasi_random_points_are_spread_evenly_and_go_by_number_alone():
    sweep = flat_sweep(sampler=QuasiRandom())
    samplers = Samplers(sweep, 3)
    study = optuna.create_study()

    def point(number, sampler):
        study.sampler = sampler.of(number, {})
        trial, drawn = study.ask(), {}
        sweep.draw(lambda path, domain: drawn.setdefault(path, suggest(trial, path, domain)))
        return drawn

    points = [point(number, samplers) for number in range(64)]
    eighths = Counter(int(p["model.dropout"] / 0.05) for p in points)
    decades = Counter(int(np.floor(np.log10(p["training.clip_norm"]))) for p in points)
    assert set(eighths.values()) == {8}, "64 Sobol points have 8 in each eighth of any dimension"
    assert set(decades.values()) == {32}
    assert Counter(p["model.hidden"] for p in points) == {5: 32, 9: 32}
    assert point(50, Samplers(sweep, 3)) == points[50], "whatever was drawn before"
    assert point(0, Samplers(sweep, 4)) != points[0]
    point(700, samplers)
    assert samplers._sobol.shape == (1024, 5)
    assert point(50, samplers) == points[50], "more points leave the first as they are"


def test_quasi_random_gives_an_argument_the_same_dimension_in_whatever_order_it_is_written():
    model = {"hidden": Choice(5, 9), "layers": Int(1, 3), "dropout": Float(0.0, 0.4)}
    one = flat_sweep(sampler=QuasiRandom(), model=Space(MLP, **model))
    other = flat_sweep(sampler=QuasiRandom(), model=Space(MLP, **dict(reversed(model.items()))))
    assert Search(one).all(9) == Search(other).all(9)


def test_with_nothing_open_there_is_nothing_to_draw():
    sweep = spiral_sweep(model=Space(MLP), optimizer=Space(SGD), training=Space(Trainer), sampler=QuasiRandom())
    assert Search(sweep).all(2) == [{}, {}]


LAST = np.nextafter(1.0, 0.0)


@pytest.mark.parametrize(
    ("along_it", "units", "values"),
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
def test_the_unit_interval_maps_onto_a_domain(along_it, units, values):
    found = [along(along_it, float(unit)) for unit in units]
    assert found == pytest.approx(values) if isinstance(along_it, FloatDistribution) else found == values
    assert all(along_it._contains(along_it.to_internal_repr(value)) for value in found)
    assert [type(value) for value in found] == [type(value) for value in values]


def test_cma_es_takes_trials_alone_where_a_range_is_structure():
    assert not CmaEs().alone(flat_sweep())
    assert CmaEs().alone(flat_sweep(model=Space(MLP, hidden=Int(5, 9))))
    assert not CmaEs().alone(flat_sweep(model=Space(MLP, hidden=Choice(5, 9))))
    assert not any(sampler.alone(deep_sweep()) for sampler in (TPE(), Random(), QuasiRandom(), *PLANS))


def test_cma_es_adapts_followers_whose_choices_are_given_and_no_ranges():
    search = Search(flat_sweep(sampler=CmaEs()))
    for _ in range(12):
        search.draw()
    search.draw({"model.hidden": 5})
    adapted = search.study.get_trials(deepcopy=False)[-1].system_attrs
    assert "cma:generation" in adapted
    search.draw({"model.dropout": 0.1})
    assert "cma:generation" not in search.study.get_trials(deepcopy=False)[-1].system_attrs


def test_cma_es_adapts_what_is_open_in_every_trial_whatever_the_first_trials_had():
    """Optuna alone would take the rate of an optimizer for open in every trial, as long as none has had another."""
    sweep = spiral_sweep(sampler=CmaEs())
    samplers = Samplers(sweep, 0)
    assert set(samplers.of(0, {}).infer_relative_search_space(None, None)) == {
        "model.dropout",
        "model.hidden",
        "training.clip_norm",
    }
    search = Search(sweep)
    search.all(30)
    drawn = [trial for trial in search.study.get_trials() if "cma:generation" in trial.system_attrs]
    assert len(drawn) > 20
    assert {trial.params["optimizer"] for trial in drawn} == {"SGD", "Adam"}
    assert max(trial.system_attrs["cma:generation"] for trial in drawn) >= 2


def test_cma_es_needs_the_latest_trials_alone(monkeypatch):
    whole = Search(flat_sweep(sampler=CmaEs())).all(60)
    monkeypatch.setattr(history_file, "LATEST", 24)
    assert Search(flat_sweep(sampler=CmaEs())).all(60) == whole


def test_cma_es_follows_one_metric():
    metrics = (Accuracy(), RootMeanSquaredError())
    with pytest.raises(
        UserMistake, match=r"^CmaEs\(\) searches by one metric and metric=\(\.\.\.\) has several; TPE\(\)"
    ):
        flat_sweep(sampler=CmaEs(), metric=metrics)
    assert flat_sweep(sampler=TPE(), metric=metrics).sampler == TPE()


def brute(**changes):
    """Four structures of 25 points."""
    model = Space(MLP, hidden=Choice(5, 9), dropout=Float(0.0, 0.4, step=0.1))
    optimizer = Choice(*(Space(kind, lr=Choice(0.1, 0.2, 0.3, 0.4, 0.5)) for kind in (SGD, Adam)))
    parts = {"model": model, "optimizer": optimizer, "training": Space(Trainer), "sampler": BruteForce()}
    return spiral_sweep(**parts | {"trials": None} | changes)


def test_brute_force_tries_what_a_grid_tries_in_small_batches_of_one_structure():
    sweep = brute()
    plan, grid = sweep.plan(), Grid().plan(sweep)
    assert len(plan.points) == sweep.asked() == 100
    assert sorted(map(repr, plan.points)) == sorted(map(repr, grid.points))
    assert plan.points != grid.points
    assert plan.structures == grid.structures == 4
    assert BruteForce().plan(sweep) == plan, "the same order in every process"
    at, sizes = 0, []
    while at < 100:
        sizes.append(plan.alike(at))
        assert len({repr(structural(sweep, point)) for point in plan.points[at : at + sizes[-1]]}) == 1
        at += sizes[-1]
    assert Counter(sizes) == {8: 12, 1: 4}
    assert all(before - after == 1 for n in (0, 3, 6) for before, after in [(plan.alike(n), plan.alike(n + 1))])


def test_brute_force_has_seen_the_whole_space_when_it_is_ended_early():
    sweep = brute()
    points = sweep.plan().points[:40]
    assert len({repr(structural(sweep, point)) for point in points}) == 4
    assert len({point["model.dropout"] for point in points[:8]}) > 2, "a batch is no corner of its structure"
    grid = Grid().plan(sweep).points[:40]
    assert len({repr(structural(sweep, point)) for point in grid}) == 2


def test_brute_force_knows_its_end_and_refuses_ranges():
    assert brute(trials=10).asked() == 10
    with pytest.raises(UserMistake, match="trials=101 asks for more"):
        brute(trials=101).asked()
    with pytest.raises(UserMistake, match=r"model\.dropout is a range without step"):
        brute(model=Space(MLP, dropout=Float(0.0, 0.5))).asked()


def test_a_sampler_object_of_optunas_is_used_as_it_is():
    theirs = optuna.samplers.TPESampler(seed=5, n_startup_trials=4)
    sweep = flat_sweep(sampler=theirs)
    assert sweep.sampler == OptunaSampler(optuna.samplers.TPESampler())
    assert (repr(sweep.sampler), sweep.plan()) == ("OptunaSampler(TPESampler(...))", None)
    found = Search(sweep).all(12)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=5, n_startup_trials=4))
    first, point = study.ask(), {}
    sweep.draw(lambda path, domain: point.setdefault(path, suggest(first, path, domain)))
    assert found[0] == point
    assert Search(sweep).all(12) == found, "the sweep's own object is not used up"


def test_an_optuna_sampler_does_not_repeat_itself_when_its_sweep_goes_on():
    sweep = flat_sweep(sampler=optuna.samplers.RandomSampler(seed=5))
    search = Search(sweep)
    first = [search.draw() for _ in range(6)]
    search.begin()
    assert not [point for point in (search.draw() for _ in range(6)) if point in first]


def test_an_optuna_sampler_goes_by_its_class_and_groups_by_structure():
    same = [flat_sweep(sampler=optuna.samplers.RandomSampler(seed=seed)).fingerprint() for seed in (1, 2)]
    assert same[0] == same[1] != flat_sweep(sampler=optuna.samplers.TPESampler()).fingerprint()
    assert flat_sweep(sampler=optuna.samplers.RandomSampler()).describe()["sampler"]["name"] == "RandomSampler"
    assert OptunaSampler(optuna.samplers.RandomSampler()).alone(flat_sweep())
    assert not OptunaSampler(optuna.samplers.RandomSampler()).alone(flat_sweep(model=Space(MLP, dropout=Float(0, 0.5))))


@pytest.mark.parametrize("given", [optuna.samplers.RandomSampler, "tpe", 3, None])
def test_what_is_no_sampler_is_refused(given):
    with pytest.raises(UserMistake, match=r"^OptunaSampler\(\.\.\.\) takes a sampler object of Optuna's, got "):
        OptunaSampler(given)
    with pytest.raises(UserMistake, match=r"^Sweep\(sampler=\.\.\.\) takes a sampler such as TPE\(\)"):
        flat_sweep(sampler=given)


def ended(values, directions=("minimize",)):
    study = optuna.create_study(directions=list(directions))
    for value in values:
        study.add_trial(optuna.trial.create_trial(values=value, params={}, distributions={}))
    return study


NOBODY = optuna.trial.create_trial(value=0.0)  # stands for a trial that is being drawn


def numbers(study):
    return [trial.number for trial in History().seen(study, NOBODY)._get_trials()]


def test_tpe_sees_all_that_is_running_the_best_and_the_latest(monkeypatch):
    monkeypatch.setattr(history_file, "LATEST", 50)
    generator = np.random.default_rng(0)
    values = generator.permutation(200).astype(float)
    few, many = ended([[v] for v in values[:75]]), ended([[v] for v in values])
    running = many.ask().number
    assert numbers(few) == list(range(75))
    best = set(np.argsort(values)[:BEST].tolist())
    rest = [number for number in range(200) if number not in best]
    assert numbers(many) == [*sorted(best | set(rest[-50:])), running]
    assert set(numbers(ended([[-v] for v in values], ["maximize"]))) == best | set(rest[-50:])
    assert History().seen(many, NOBODY).directions == many.directions


def test_of_several_metrics_tpe_sees_the_best_compromises(monkeypatch):
    monkeypatch.setattr(history_file, "LATEST", 10)
    front = [[float(n), float(19 - n)] for n in range(20)]
    behind = [[v[0] + 1.0 + n, v[1] + 1.0] for n, v in enumerate(front * 4)]
    assert set(range(20)) <= set(numbers(ended(front + behind, ["minimize", "minimize"])))
    assert set(range(20)) <= set(numbers(ended([[a, -b] for a, b in front + behind], ["minimize", "maximize"])))


def plainly_seen(study):
    """What TPE is to see, found by going through all trials: running, the best by value or by how many are better."""
    best_count, latest = history_file.BEST, history_file.LATEST
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


@pytest.mark.parametrize("ways", [["minimize"], ["maximize"], ["minimize", "maximize"], ["maximize"] * 3])
@pytest.mark.parametrize("seed", range(4))
def test_what_tpe_is_shown_is_what_it_would_find_among_all(monkeypatch, seed, ways):
    """Trials end in any order and in every way, many of them equal; at times another process takes the study up."""
    monkeypatch.setattr(history_file, "BEST", 4)
    monkeypatch.setattr(history_file, "LATEST", 10)
    monkeypatch.setattr(history_file, "ABREAST", 7)
    draws, study = np.random.default_rng(seed), optuna.create_study(directions=ways)
    samplers, under_way = Samplers(flat_sweep(), 0), []
    for number in range(150):
        if draws.random() < 0.02:
            samplers = Samplers(flat_sweep(), 0)
        study.sampler = samplers.of(number, {"x": 0.5} if draws.random() < 0.3 else {})
        trial = study.ask()
        under_way.append(trial)
        if draws.random() < 0.8:  # else nothing of it is open, and nobody looks
            drawn = study._storage.get_trial(trial._trial_id)
            seen = samplers._history.seen(study, drawn)._get_trials()
            others = [other for other in plainly_seen(study) if other.number != trial.number]
            assert facts(other for other in seen if other.number != trial.number) == facts(others)
            trial.suggest_float("x", 0.0, 1.0)
        while under_way and draws.random() < 0.5:
            one = under_way.pop(int(draws.integers(len(under_way))))
            kind = draws.choice(["COMPLETE", "COMPLETE", "PRUNED", "FAIL"])
            if kind == "PRUNED" and len(ways) == 1:
                one.report(float(draws.integers(5)), 1)
            values = draws.integers(0, 6, len(ways)).astype(float).tolist()
            study.tell(one, values if kind == "COMPLETE" else None, state=TrialState[kind])


def test_a_draw_reads_what_has_changed_and_no_other_trial(monkeypatch):
    """After five hundred trials as after fifty, five of them under way."""
    study, samplers, under_way = optuna.create_study(), Samplers(flat_sweep(), 0), []
    reads, get, everything = [], study._storage.get_trial, study._storage.get_all_trials
    monkeypatch.setattr(study._storage, "get_all_trials", lambda *a, **k: reads.append("all") or everything(*a, **k))
    found = []
    for number in range(500):
        study.sampler = samplers.of(number, {})
        trial = study.ask()
        reads.clear()
        monkeypatch.setattr(study._storage, "get_trial", lambda one: reads.append(one) or get(one))
        samplers._history.seen(study, get(trial._trial_id))
        monkeypatch.setattr(study._storage, "get_trial", get)
        found.append(list(reads))
        under_way.append(trial)
        if len(under_way) == 5:
            study.tell(under_way.pop(0), float(number))
    assert found[0] == ["all"]
    assert all(len(one) <= 2 and "all" not in one for one in found[1:]), "the trial before, and one that ended"
    assert all(
        len(kept) <= BEST + history_file.LATEST for kept in vars(samplers._history).values() if hasattr(kept, "__len__")
    )
    assert len(samplers._history._contenders._trials) == BEST


def test_tpe_goes_on_where_it_no_longer_sees_all(monkeypatch):
    monkeypatch.setattr(history_file, "LATEST", 5)
    sweep = deep_sweep(sampler=TPE())
    whole = Search(sweep).all(60)
    assert all(fits(sweep, point) for point in whole)
    assert Search(sweep).all(60, breaks=(45, 52)) == whole


def test_the_good_trials_are_those_of_optunas_own():
    """As many as it ever calls good: what is not seen can be no good trial."""
    assert max(optuna.samplers._tpe.sampler.default_gamma(n) for n in (10, 300, 10_000)) == BEST


def test_distributions_are_those_that_a_draw_stores():
    sweep = deep_sweep(
        sampler=Random(), training=Space(Trainer, clip_norm=Float(0.1, 10, log=True), l2=Float(0, 1, step=0.5))
    )
    search = Search(sweep)
    for point in search.all(20):
        stored = next(trial for trial in search.study.get_trials() if trial.params == point)
        assert stored.distributions == distributions(sweep, point)
    with pytest.raises(TypeError, match="no distribution is a"):
        distribution(None)


def test_one_sampler_for_each_trial_needs_no_study():
    drawn = [optuna_sampler(Random(), seed, {}) for seed in (1, 1, 2)]
    values = [one.sample_independent(None, None, "x", FloatDistribution(0, 1)) for one in drawn]
    assert values[0] == values[1] != values[2]
    other = drawn[0].sample_independent(None, None, "y", FloatDistribution(0, 1))
    assert other != values[0], "each argument has numbers of its own"
    assert all(a != b for a, b in pairwise([*values[1:], other]))
