"""Fitting in one pass: counts, PPMI and their vectors, and a sweep without optimizer and gradients."""

from functools import partial

import numpy as np
import pytest
from scipy.sparse import csr_array

from models.cooccurrence import Cooccurrence, ppmi
from models.mlp import MLP
from models.word2vec import Cbow
from searchlab import (
    SGD,
    Blocked,
    Choice,
    ContextWindows,
    Fit,
    Float,
    Holdout,
    LossPerTarget,
    NoPruning,
    ParameterCount,
    Space,
    Spiral,
    Sweep,
    Text,
    Trainer,
    UserMistake,
    artifact,
)
from searchlab.data import EveryRow, TokenStream, Vocabulary, WordContexts
from searchlab.fusion.groups import build_trainer
from searchlab.fusion.memory import MemoryModel
from searchlab.fusion.speed import SpeedModel, time_steps
from searchlab.fusion.trial_check import validate_trials
from searchlab.nn import Replicas
from searchlab.nn.word_vectors import unit_rows

HELLO = "you say goodbye and i say hello ."
WORDS = Vocabulary.from_tokens(HELLO.split())


def hello(max_window=2, repeats=1):
    return WordContexts(TokenStream(WORDS.encode(" ".join([HELLO] * repeats)), WORDS, 1), max_window)


def counts_of(data, window, rows=None):
    model = Cooccurrence(Replicas([0]), data.sizes[0], window=window, dimensions=2)
    return model.count(data.scoring_batches(EveryRow().split(data).train if rows is None else rows)).toarray()


def test_counts_of_the_books_toy_text():
    expected = [
        [0, 1, 0, 0, 0, 0, 0],
        [1, 0, 1, 0, 1, 1, 0],
        [0, 1, 0, 1, 0, 0, 0],
        [0, 0, 1, 0, 1, 0, 0],
        [0, 1, 0, 1, 0, 0, 0],
        [0, 1, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 1, 0],
    ]  # Deep Learning from Scratch 2, section 2.3
    counts = counts_of(hello(), 1)
    assert counts.tolist() == expected
    you, i = unit_rows(counts[[0, 4]].astype(float))
    assert you @ i == pytest.approx(0.7071067, abs=1e-6)


def test_counts_stop_at_a_cut():
    data = hello(repeats=3)
    split = Blocked(3).split(data)
    counts = counts_of(data, 2, split.train[np.array([1])])  # the first and the last of three equal texts
    assert (counts == 2 * counts_of(hello(), 2)).all()


def naive_ppmi(C, shift, a):
    N, S = C.sum(), C.sum(axis=1)
    weighted = S**a * N / (S**a).sum()
    result = np.zeros(C.shape)
    for x, y in zip(*C.nonzero(), strict=True):
        result[x, y] = max(0.0, np.log2(C[x, y] * N / (S[x] * weighted[y])) - np.log2(shift))
    return result


@pytest.mark.parametrize(("shift", "a"), [(1.0, 1.0), (2.0, 1.0), (1.0, 0.75), (1.5, 0.5)])
def test_ppmi(shift, a):
    counts = np.random.default_rng(0).poisson(0.7, (9, 9))
    counts += counts.T
    found = ppmi(csr_array(counts), shift, a).toarray()
    np.testing.assert_allclose(found, naive_ppmi(counts.astype(float), shift, a), atol=1e-6)


def test_vectors_are_those_of_the_decomposition():
    data = hello(repeats=5)
    split = EveryRow().split(data)
    information = ppmi(csr_array(counts_of(data, 2))).toarray()
    _, S, _ = np.linalg.svd(information)
    for power in (0.0, 0.5, 1.0):
        model = partial(Cooccurrence, window=2, dimensions=3, power=power)
        fit = Fit(Replicas([1]), data, split, ParameterCount(), model)
        fit.advance()
        vectors = fit.model.word_vectors()[0].astype(float)
        np.testing.assert_allclose(np.diag(vectors.T @ vectors), S[:3] ** (2 * power), rtol=1e-4)
        if power == 1.0:  # then products of vectors are those of the matrix of rank 3
            U, S, _ = np.linalg.svd(information)
            np.testing.assert_allclose(vectors @ vectors.T, U[:, :3] * S[:3] ** 2 @ U[:, :3].T, atol=1e-4)


def fit_of(seeds, folds, **arguments):
    data = hello(repeats=12)
    split = Blocked(3).split(data)[np.array(folds)]
    model = partial(Cooccurrence, window=2, dimensions=3, **arguments)
    return Fit(Replicas(seeds), data, split, ParameterCount(), model)


def test_fused_equals_alone_and_state_is_restored():
    fused = fit_of([1, 2, 3], [0, 1, 2], power=[0.0, 0.5, 1.0])
    report = fused.advance()
    assert report.epoch == fused.epoch == fused.epochs == 1
    assert report.failures == (None, None, None)
    assert np.isnan(report.loss).all()
    for r in range(3):
        alone = fit_of([r + 1], [r], power=[[0.0, 0.5, 1.0][r]])
        alone.advance()
        assert alone.model.word_vectors()[0].tobytes() == fused.model.word_vectors()[r].tobytes()
    restored = fit_of([1, 2, 3], [0, 1, 2])
    restored.restore(1, fused.state())
    assert restored.model.word_vectors().tobytes() == fused.model.word_vectors().tobytes()
    fused.select_replicas(np.array([2, 0]))
    assert fused.model.word_vectors().tobytes() == restored.model.word_vectors()[[2, 0]].tobytes()


@pytest.mark.parametrize(
    "arguments",
    [{"window": 0}, {"dimensions": 8}, {"shift": 0.5}, {"smoothing": 0.0}, {"smoothing": 2.0}, {"power": -1}],
)
def test_wrong_arguments(arguments):
    with pytest.raises(UserMistake):
        Cooccurrence(Replicas([0]), len(WORDS), **{"dimensions": 2, **arguments})


def test_a_model_with_gradients_cannot_be_fitted_and_a_fitted_model_has_no_loss():
    data = hello(repeats=3)
    split = Holdout(0.2).split(data)
    with pytest.raises(UserMistake, match="Trainer"):
        Fit(Replicas([0]), data, split, ParameterCount(), partial(Cbow, dimensions=2))
    model = partial(Cooccurrence, dimensions=2)
    with pytest.raises(UserMistake, match="Fit"):
        Trainer(Replicas([0]), data, split, ParameterCount(), model, SGD, batch_size=4).advance()
    with pytest.raises(UserMistake, match="Fit"):
        Fit(Replicas([0]), data, split, LossPerTarget(), model).advance()
    with pytest.raises(UserMistake, match="max_window"):
        Fit(Replicas([0]), hello(1, repeats=3), split, ParameterCount(), model).advance()


@pytest.fixture
def sweep(tmp_path):
    path = tmp_path / "text.txt"
    words = np.random.default_rng(0).choice([*HELLO.split(), "one", "two", "three", "he", "she"], 600)
    path.write_text(" ".join(words))
    return Sweep(
        name="counts",
        data=ContextWindows(Text(path), max_window=2),
        validation=Holdout(),
        metric=ParameterCount(),
        model=Space(Cooccurrence, window=Choice(1, 2), dimensions=Choice(2, 3), power=Float(0.0, 1.0)),
        training=Space(Fit),
        pruner=NoPruning(),
        trials=4,
    )


POINT = {"model.window": 1, "model.dimensions": 3, "model.power": 0.5}


def test_a_sweep_asks_for_no_gradient(sweep):
    data = sweep.data.training()
    validate_trials(sweep, data)
    need = MemoryModel(sweep, data).measure(POINT)
    assert need.parameter_count == data.sizes[0] * 3
    profile = SpeedModel(sweep, data, measuring_share=np.inf).profile(POINT)
    assert (profile.best_group_size, profile.steps_per_epoch, profile.epochs) == (1, 1, 1)
    assert SpeedModel(sweep, data).best_group_size(POINT, 16) == 1
    trainer = build_trainer(sweep, [POINT] * 2, data, sweep.validation.split(data), 0, "cpu")
    assert isinstance(trainer, Fit)
    assert len(time_steps(trainer, 3)) == 1


def test_a_sweep_needs_an_optimizer_exactly_where_it_trains(sweep):
    parts = {name: getattr(sweep, name) for name in ("name", "data", "validation", "metric", "model", "trials")}
    with pytest.raises(UserMistake, match="no optimizer"):
        Sweep(**parts, training=Space(Fit), optimizer=Space(SGD))
    with pytest.raises(UserMistake, match="missing"):
        Sweep(**parts, training=Space(Trainer))


def test_data_is_not_searched():
    with pytest.raises(UserMistake, match="data is not searched"):
        Space(Spiral, noise=Float(0.0, 1.0))
    assert Space(MLP, hidden=8).arguments == {"hidden": 8}


@pytest.mark.figures
def test_search_winner_and_artifact(sweep, tmp_path):
    result = sweep.run(engine="local", home=tmp_path / "home", tracking=None)
    assert [trial.state for trial in result.trials] == ["COMPLETE"] * 4
    (figure,) = [path for path in result.figures if path.stem == "word-map"]
    assert figure.stat().st_size > 10_000
    saved = artifact.load(result.winner.artifact)
    assert len(saved.most_similar("one", 4)) == 4
