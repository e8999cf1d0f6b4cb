"""The importance of hyperparameters: found at equal epochs, for conditional parameters too, the same every time."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import optuna
import pytest
from optuna.trial import create_trial

from searchlab import Choice, Float, Int
from searchlab.runs.equal_epochs import common_epoch, folds_until
from searchlab.runs.trials import LearningCurve, TrialRecord
from searchlab.study.importance import parameter_importance
from searchlab.study.reading import to_domain
from searchlab.study.samplers import to_distribution
from tests.jobs import run
from tests.sweeps import spiral_sweep

LR = Float(1e-4, 1.0, log=True)


def trial(number, scores, state="COMPLETE", domains=None, **parameters):
    """A trial with one fold, whose score after each epoch is given."""
    curve = LearningCurve(scores=[[score] for score in scores])
    best = max(scores, default=None)
    return TrialRecord(
        number, state, parameters, best, 1, None, curve, started=0.0, ended=1.0, domains=domains or {}
    )  # fmt: skip


def search(count=40, seed=0):
    """Trials whose score depends on lr alone; width is noise, and momentum belongs to one optimizer."""
    generator, trials = np.random.default_rng(seed), []
    for number in range(count):
        lr = float(10 ** generator.uniform(-4, 0))
        parameters = {"lr": lr, "width": int(generator.integers(1, 9)), "optimizer": ("SGD", "Momentum")[number % 2]}
        parameters |= {"momentum": float(generator.uniform(0.5, 1.0))} if number % 2 else {}
        score = 1.0 - abs(np.log10(lr) + 2.0) / 4.0
        trials.append(trial(number, [score / 2, score], domains={"lr": LR}, **parameters))
    return trials


def test_the_parameter_that_decides_the_score_comes_first():
    found = parameter_importance(search(), "max")
    assert next(iter(found.shares)) == "lr"
    assert found.shares["lr"] > 0.5
    assert set(found.shares) == {"lr", "width", "optimizer", "momentum"}
    assert sum(found.shares.values()) == pytest.approx(1.0)
    assert list(found.shares.values()) == sorted(found.shares.values(), reverse=True)
    assert (found.epoch, found.trials, found.best, found.reason) == (2, 40, 5, None)
    assert parameter_importance(search(), "max") == found


def test_the_goal_decides_which_trials_are_the_best():
    negated = [trial(t.number, [-s[0] for s in t.curve.scores], **t.parameters) for t in search()]
    direct = [trial(t.number, [s[0] for s in t.curve.scores], **t.parameters) for t in search()]
    assert parameter_importance(negated, "min").shares == parameter_importance(direct, "max").shares
    assert parameter_importance(negated, "max").shares != parameter_importance(direct, "max").shares


def test_trials_are_compared_at_equal_epochs():
    """Half of the trials were stopped after an epoch; by their last scores they would all be worse than the others."""
    trials = []
    for number in range(40):
        good, stopped = number % 4 < 2, number % 2
        scores = [0.6 if good else 0.5] if stopped else [0.6 if good else 0.5, 0.9]
        trials.append(trial(number, scores, "PRUNED" if stopped else "COMPLETE", good=str(good), stopped=str(stopped)))
    found = parameter_importance(trials, "max")
    assert found.epoch == 1
    assert found.best == 20
    assert found.shares["good"] > 0.99


def test_trials_without_a_score_do_not_count():
    failed = [trial(100, [np.nan], lr=0.1), trial(101, [], lr=0.1), trial(102, [9.0], "FAIL", lr=0.1, width=1)]
    assert parameter_importance([*search(), *failed], "max").trials == 40


@pytest.mark.parametrize(
    "trials",
    [
        [],
        search(9),
        [trial(n, [0.5], lr=0.1) for n in range(20)],
        [trial(n, [float(n)]) for n in range(20)],
        [trial(n, [0.5], lr=0.1 * n) for n in range(20)],
        [trial(n, [0.5], "RUNNING", lr=0.1 * n) for n in range(20)],
    ],
    ids=["none", "nine", "one value", "no parameters", "one score", "running"],
)
def test_there_is_a_reason_where_there_is_no_importance(trials):
    found = parameter_importance(trials, "max")
    assert found.reason
    assert found.shares == {}


def test_a_parameter_of_a_single_trial_raises_no_warning():
    trials = [trial(n, [float(n)], lr=float(n), **({"momentum": 0.5} if n == 3 else {})) for n in range(12)]
    assert parameter_importance(trials, "max").shares["lr"] == 1.0


@pytest.mark.parametrize(
    ("complete", "pruned", "epoch"),
    [
        ([20] * 9, [1] * 31, 1),
        ([20] * 3, [2], 20),
        ([20] * 2, [2, 4], 4),
        ([], [3, 5, 5, 5], 5),
        ([5, 10, 30], [], 30),
        ([0, 0], [5, 0], 5),
        ([0], [], None),
        ([], [], None),
    ],
)
def test_the_common_epoch_is_the_last_that_three_quarters_of_the_trials_reached(complete, pruned, epoch):
    assert common_epoch(complete, pruned) == epoch


def test_scores_until_an_epoch_ignore_what_comes_later():
    curve = [[0.2, 0.4], [np.nan, 0.9], [0.5, 0.5], [0.9, 0.9]]
    assert folds_until(curve, 3, "max").tolist() == [0.5, 0.5]
    assert folds_until(curve, 2, "max").tolist() == [0.2, 0.4]
    assert folds_until(curve, 4, "min").tolist() == [0.2, 0.4]
    assert folds_until([[np.nan]], 1, "max") is None
    assert folds_until([], 1, "max") is None


@pytest.mark.parametrize("domain", [LR, Float(0.0, 0.5, step=0.1), Choice("a", 1, None)])
def test_the_domain_of_a_distribution_gives_it_back(domain):
    assert to_domain(to_distribution(domain)) == domain


def test_stored_trials_have_their_domains(tmp_path):
    sweep = replace(spiral_sweep(), trials=2)
    (first, *_) = run(sweep, home=tmp_path, engine="local").trials
    assert set(first.domains) == set(first.parameters)
    declared = {path: value for path, value, _ in sweep.iter_arguments() if path in first.domains}
    assert {path: str(domain) for path, domain in first.domains.items()} == {p: str(d) for p, d in declared.items()}


@pytest.mark.parametrize("seed", range(6))
def test_the_importances_are_those_of_optunas_evaluator(seed):
    """Numbers with and without steps and logarithms, choices, and parameters that only some trials have."""
    generator, trials, stored = np.random.default_rng(seed), [], []
    domains = {
        "lr": LR,
        "width": Int(8, 512, log=True),
        "depth": Int(1, 4),
        "rate": Float(0.0, 0.5, step=0.1),
        "x": Float(-1.0, 1.0),
        "kind": Choice("a", "b", "c"),
    }
    for number in range(int(generator.integers(12, 70))):
        present = {path: domain for path, domain in domains.items() if path != "x" or number % 3}
        present |= {"width": Int(1, 4)} if number % 5 == 0 else {}
        values = {path: draw(domain, generator) for path, domain in present.items()}
        score = float(np.log(values["lr"]) * values["depth"] + generator.normal())
        trials.append(trial(number, [score], domains=present, **values))
        distributions = {path: to_distribution(domain) for path, domain in present.items()}
        stored.append(create_trial(params=values, distributions=distributions, value=score))
    study = optuna.create_study(direction="maximize")
    study.add_trials(stored)
    found = parameter_importance(trials, "max")
    with warnings.catch_warnings(action="ignore"), np.errstate(under="ignore"):
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=found.best / len(trials))
        expected = optuna.importance.get_param_importances(study, evaluator=evaluator)
    assert dict(found.shares) == pytest.approx(expected, rel=1e-9)


def draw(domain, generator):
    """A random value of the domain."""
    if isinstance(domain, Choice):
        return str(generator.choice(list(domain.labels)))
    if domain.log:
        value = np.exp(generator.uniform(np.log(domain.low), np.log(domain.high)))
        return round(value) if isinstance(domain, Int) else float(value)
    if isinstance(domain, Int):
        return int(generator.integers(domain.low, domain.high + 1))
    value = generator.uniform(domain.low, domain.high)
    return float(np.round(value / domain.step) * domain.step) if domain.step else float(value)
