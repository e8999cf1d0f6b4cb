"""TPE draws what Optuna's own sampler draws from the same trials, without reading them again."""

from __future__ import annotations

import math

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import TPESampler
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters
from optuna.samplers._tpe.sampler import default_weights
from optuna.trial import TrialState, create_trial

from searchlab.study import tpe_observations
from searchlab.study.observation_table import ObservationTable
from searchlab.study.optuna_samplers import ConditionalTPESampler
from searchlab.study.parzen_estimator import ParzenEstimator
from searchlab.study.tpe_observations import TPEObservations

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")

SETTINGS = _ParzenEstimatorParameters(1.0, True, False, default_weights, True)
SPACE = {
    "rate": FloatDistribution(1e-4, 1.0, log=True),
    "dropout": FloatDistribution(-0.2, 0.7),
    "hidden": IntDistribution(5, 40, step=5),
    "units": IntDistribution(1, 500, log=True),
    "share": FloatDistribution(0.0, 1.0, step=0.25),
    "kind": CategoricalDistribution(["a", "b", "c"]),
}
ROUNDED = {"rtol": 1e-9, "atol": 1e-9}


def observations(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Values of every parameter, some of them at the ends of their ranges."""
    rng = np.random.default_rng(seed)
    edges = np.array([1e-4, 1.0])
    return {
        "rate": np.append(10.0 ** rng.uniform(-4, 0, count), edges)[-count:]
        if count > 1
        else 10.0 ** rng.uniform(-4, 0, count),
        "dropout": rng.uniform(-0.2, 0.7, count),
        "hidden": 5.0 * rng.integers(1, 9, count),
        "units": np.floor(np.exp(rng.uniform(0, math.log(500), count))),
        "share": 0.25 * rng.integers(0, 5, count),
        "kind": rng.integers(0, 3, count).astype(float),
    }


@pytest.mark.parametrize("count", [0, 1, 2, 30, 200])
def test_an_estimator_has_the_samples_and_densities_of_optunas(count):
    values = observations(count)
    own, optunas = ParzenEstimator(values, SPACE), _ParzenEstimator(values, SPACE, SETTINGS)
    samples = own.sample(np.random.RandomState(3), 200)
    with np.errstate(under="ignore"):
        expected = optunas.sample(np.random.RandomState(3), 200)
        density = optunas.log_pdf(expected)
    for name, found in samples.items():
        np.testing.assert_allclose(found, expected[name], err_msg=name, **ROUNDED)
    np.testing.assert_allclose(own.log_density(expected), density, rtol=1e-9, atol=1e-7)


def test_a_density_far_from_all_trials_is_finite_or_zero():
    values = {"rate": np.full(300, 1e-4)}
    space = {"rate": SPACE["rate"]}
    own, optunas = ParzenEstimator(values, space), _ParzenEstimator(values, space, SETTINGS)
    points = {"rate": np.array([1e-4, 1e-2, 1.0])}
    with np.errstate(under="ignore"):
        expected = optunas.log_pdf(points)
    np.testing.assert_allclose(own.log_density(points), expected, rtol=1e-9)


class Pair:
    """A study, and the two samplers that draw its next trial."""

    def __init__(self, direction: str) -> None:
        self.study, self.observations = optuna.create_study(direction=direction), TPEObservations()

    def suggest(self, trial: optuna.Trial) -> float:
        rate, kind = trial.suggest_float("rate", 1e-4, 1.0, log=True), trial.suggest_categorical("kind", ["a", "b"])
        momentum = trial.suggest_float("a.momentum", 0.0, 0.9) if kind == "a" else 0.5
        hidden = trial.suggest_int("hidden", 5, 40, step=5)
        return abs(math.log10(rate) + 2.0) + momentum + hidden / 100.0

    def draw(self, sampler: TPESampler) -> dict[str, object]:
        """Return the parameters that this sampler draws for another trial, which then fails."""
        self.study.sampler = sampler
        trial = self.study.ask()
        self.suggest(trial)
        self.study.tell(trial, state=TrialState.FAIL)
        return trial.params


class OptunaDraws(ConditionalTPESampler):
    """The same sampler, drawing by Optuna's own code from Optuna's own trials."""

    def _sample(self, study, trial, search_space):
        return TPESampler._sample(self, study._study, trial, search_space)


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_draws_are_those_of_optunas_code(direction):
    pair, rng = Pair(direction), np.random.default_rng(1)
    for number in range(120):
        pair.study.sampler = ConditionalTPESampler(number, startup_trials=5, observations=pair.observations)
        trial = pair.study.ask()
        score = pair.suggest(trial)
        if number % 9 == 4:
            trial.set_constraint("size", rng.uniform(-1.0, 2.0))
        if number % 13 == 6:
            continue  # it stays open
        if number % 17 == 3:
            pair.study.tell(trial, state=TrialState.FAIL)
        elif number % 3 == 1:
            if number % 4:  # some are pruned before their first epoch
                trial.report(math.nan if number % 5 == 0 else score, int(rng.integers(1, 9)))
            pair.study.tell(trial, state=TrialState.PRUNED)
        else:
            pair.study.tell(trial, round(score, 1))  # with ties
        if number > 10 and number % 4 == 0:
            seed = 1000 + number
            own = pair.draw(ConditionalTPESampler(seed, startup_trials=5, observations=pair.observations))
            optunas = pair.draw(OptunaDraws(seed, startup_trials=5))
            assert own.keys() == optunas.keys()
            expected = {n: v if isinstance(v, str) else pytest.approx(v, rel=1e-9) for n, v in optunas.items()}
            assert own == expected, number


def test_a_restarted_sampler_draws_as_a_new_one():
    pair = Pair("minimize")
    for number in range(15):
        pair.study.sampler = ConditionalTPESampler(number, startup_trials=5, observations=pair.observations)
        trial = pair.study.ask()
        pair.study.tell(trial, pair.suggest(trial))
    used = ConditionalTPESampler(1, startup_trials=5)
    pair.draw(used)
    used.restart(77)
    assert pair.draw(used) == pair.draw(ConditionalTPESampler(77, startup_trials=5))


def test_random_draws_end_although_a_view_holds_fewer_trials_than_are_drawn_at_random(monkeypatch):
    monkeypatch.setattr(tpe_observations, "MAX_LATEST", 5)
    pair, drawn = Pair("minimize"), []
    sample = ConditionalTPESampler._sample
    monkeypatch.setattr(
        ConditionalTPESampler, "_sample", lambda self, *rest: drawn.append(number) or sample(self, *rest)
    )
    for number in range(45):
        pair.study.sampler = ConditionalTPESampler(number, startup_trials=40, observations=pair.observations)
        trial = pair.study.ask()
        pair.study.tell(trial, pair.suggest(trial))
    assert min(drawn) == 40, "more than the 30 trials that a view holds"
    assert set(drawn) == set(range(40, 45))


def test_a_table_forgets_and_replaces_trials():
    table = ObservationTable(1.0)
    space = {"x": SPACE["dropout"]}
    trials = [create_trial(params={"x": 0.1 * n}, distributions=space, value=float(-n)) for n in range(5)]
    for number, trial in enumerate(trials):
        trial.number = number
        table.set(trial)
    assert table.ranked(table.rows([0, 1, 2, 3, 4])).tolist() == [4, 3, 2, 1, 0]
    table.keep({1, 3})
    assert len(table) == 2
    assert table.values(table.rows([1, 3]), ["x"])["x"].tolist() == pytest.approx([0.1, 0.3])
    late = create_trial(params={"x": 0.6}, distributions=space, value=-9.0)
    late.number = 3
    table.set(late)
    assert table.values(table.rows([1, 3]), ["x"])["x"].tolist() == pytest.approx([0.1, 0.6])


def test_parameters_with_several_distributions_are_left_to_optunas_code():
    study = optuna.create_study()
    for high in (0.7, 0.9):
        study.add_trial(create_trial(params={"x": 0.1}, distributions={"x": FloatDistribution(0.0, high)}, value=1.0))
    view = TPEObservations().view(study, create_trial(value=0.0))
    assert not view.has_values_of({"x": FloatDistribution(0.0, 0.7)})
    assert view.groups() == [{"x": FloatDistribution(0.0, 0.7)}]
