"""The trainer: fused equals alone over many shapes, resumed equals uninterrupted, survivors and divergent replicas."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest

from models.mlp import MLP
from searchlab.data import Batch, Digits, EveryRow, Examples, Holdout, KFold, Mnist, Spiral
from searchlab.data.augmentation import GaussianNoise, Shift
from searchlab.errors import UserMistake
from searchlab.metrics import Accuracy
from searchlab.nn import Relu, Sigmoid, Tanh
from searchlab.optim import SGD, Adam, Momentum, Optimizer
from searchlab.optim.schedules import CosineDecay, Plateau
from searchlab.replicas import Replicas, fold_seeds
from searchlab.training import Trainer
from searchlab.training.divergence import MAX_LOSS_GROWTH

FOLDS = 5


@dataclass(frozen=True)
class BitSum:
    """A sum over the bits of all scores: unlike accuracy, it changes with the last bit of any score."""

    name: str = "bits"
    goal: str = "min"

    def measure(self, model, batches):
        scores = np.concatenate([model.predict(batch)[0] for batch in batches], axis=1)  # (R, N, O)
        bits = scores.reshape(len(scores), -1).view(np.uint32).astype(np.uint64).sum(axis=1) % 2**50
        return np.where(np.isfinite(scores).all(axis=(1, 2)), bits.astype(np.float64), np.nan)


def random_data(rows, features, classes):
    generator = np.random.default_rng(0)
    x = generator.random((rows, features), dtype=np.float32)
    return Examples(x, generator.integers(classes, size=rows), classes)


def trainer(data, rows, *, model=None, optimizer=Adam, batch_size=8, metric=None, validation=None, **rates):
    """Return a trainer of these replicas out of 2 trials x 5 folds; `rates` hold one value for each of the ten."""
    rows = np.array(rows)
    dropout = rates.get("dropout", np.linspace(0.0, 0.6, 10))[rows]
    lr = rates.get("lr", np.geomspace(1e-3, 3e-2, 10))[rows]
    clip_norm = rates.get("clip_norm", np.geomspace(0.05, 5.0, 10))[rows]
    return Trainer(
        Replicas(np.array(fold_seeds(0, FOLDS), np.uint64)[rows % FOLDS]),
        data,
        (validation or KFold(FOLDS)).split(data)[rows % FOLDS],
        metric or BitSum(),
        partial(MLP, **(model or {"hidden": 7}), dropout=dropout),
        partial(optimizer, lr=lr),
        batch_size=batch_size,
        clip_norm=clip_norm,
    )


def results(report):
    return np.stack([report.loss, report.score])


def assert_same(fused, alone, rows, fused_reports=(), alone_reports=()):
    """Assert that these rows of a trainer and of its reports equal those of another trainer bit for bit."""
    fused_state, alone_state = fused.state(), alone.state()
    assert set(fused_state) == set(alone_state)
    for name in fused_state:
        assert fused_state[name][rows].tobytes() == alone_state[name].tobytes(), name
    for fused_report, alone_report in zip(fused_reports, alone_reports, strict=True):
        assert results(fused_report)[:, rows].tobytes() == results(alone_report).tobytes()


SPIRAL, DIGITS, MNIST = (2, 3), (64, 10), (784, 10)
SHAPES = [
    (53, SPIRAL, {"hidden": 10, "activation": Sigmoid}, 1),
    (53, SPIRAL, {"hidden": 10, "activation": Tanh, "layers": 2}, 7),
    (301, SPIRAL, {"hidden": 10, "activation": Sigmoid}, 30),
    (103, DIGITS, {"hidden": 64}, 1),
    (103, DIGITS, {"hidden": 64, "layers": 2}, 32),
    (211, DIGITS, {"hidden": 33}, 33),
    (53, MNIST, {"hidden": 50}, 1),
    (103, MNIST, {"hidden": 50}, 17),
    (231, MNIST, {"hidden": 50}, 100),
    (24, (1, 2), {"hidden": 1, "activation": Tanh}, 3),
    (53, SPIRAL, {"hidden": 10}, 1000),
]


@pytest.mark.parametrize(("rows", "sizes", "model", "batch_size"), SHAPES)
def test_two_trials_by_five_folds_fused_equal_each_alone(rows, sizes, model, batch_size):
    """The number of rows is never divisible by the folds, so that folds have unequal sizes."""
    data, epochs = random_data(rows, *sizes), 2
    fused = trainer(data, range(10), model=model, batch_size=batch_size)
    reports = [fused.advance() for _ in range(epochs)]
    for r in (0, 3, 4, 9):
        alone = trainer(data, [r], model=model, batch_size=batch_size)
        assert_same(fused, alone, [r], reports, [alone.advance() for _ in range(epochs)])


@pytest.mark.parametrize(("rows", "sizes", "model", "batch_size"), SHAPES[1:10:3])
def test_forty_replicas_equal_one(rows, sizes, model, batch_size):
    data = random_data(rows, *sizes)
    many = np.tile(np.arange(10), 4)
    fused = trainer(data, many, model=model, batch_size=batch_size)
    report = fused.advance()
    alone = trainer(data, [7], model=model, batch_size=batch_size)
    assert_same(fused, alone, [37], [report], [alone.advance()])


def test_scores_do_not_depend_on_how_many_replicas_are_measured():
    """BLAS rounds a product of few rows differently: fused and alone must score rows in the same batches."""
    data = random_data(1310, 784, 10)
    fused, alone = (trainer(data, rows, batch_size=400, model={"hidden": 50}) for rows in (np.tile(range(10), 4), [3]))
    together, one = fused.advance(), alone.advance()
    assert together.score[3].tobytes() == one.score[0].tobytes()


@pytest.mark.parametrize("dataset", [Spiral(), Digits()])
def test_real_data_fused_equal_alone(dataset):
    data = dataset.training()
    fused, alone = trainer(data, range(10), batch_size=31), trainer(data, [8], batch_size=31)
    reports, alone_reports = ([each.advance() for _ in range(2)] for each in (fused, alone))
    assert_same(fused, alone, [8], reports, alone_reports)


def test_mnist_fused_equals_alone(mnist_files):
    data = Mnist(limit=1001).training()
    fused, alone = (trainer(data, rows, batch_size=99, model={"hidden": 50}) for rows in (range(10), [6]))
    assert_same(fused, alone, [6], [fused.advance()], [alone.advance()])


@pytest.mark.parametrize("optimizer", [SGD, Momentum, Adam])
@pytest.mark.parametrize("before", [1, 3])
def test_resumed_equals_uninterrupted(optimizer, before):
    """Dropout, clipping, shuffling, slots and the first loss continue; 3 epochs take over 256 draws."""
    data, model = random_data(143, *SPIRAL), {"hidden": 7, "layers": 2}
    make = partial(trainer, data, range(10), model=model, optimizer=optimizer, batch_size=2)
    unbroken, resumed = make(), make()
    for _ in range(before):
        unbroken.advance()
    state = unbroken.state()
    saved = {name: array.copy() for name, array in state.items()}
    later = [unbroken.advance() for _ in range(2)]
    assert all((state[name] == saved[name]).all() for name in state)  # a state does not change with its trainer
    resumed.restore(before, saved)
    again = [resumed.advance() for _ in range(2)]
    assert_same(unbroken, resumed, slice(None), later, again)
    assert [report.epoch for report in again] == [before + 1, before + 2]
    assert all(report.failures == (None,) * 10 for report in again)


def test_a_state_before_the_first_epoch_can_be_restored():
    data = random_data(53, *SPIRAL)
    first, second = trainer(data, range(10)), trainer(data, range(10))
    second.advance()
    second = trainer(data, range(10))
    second.restore(0, first.state())
    assert_same(first, second, slice(None), [first.advance()], [second.advance()])


def test_restoring_another_structure_is_an_error():
    data = random_data(53, *SPIRAL)
    state = trainer(data, range(10)).state()
    for other in (
        trainer(data, range(10), model={"hidden": 8}),
        trainer(data, range(10), model={"hidden": 7, "layers": 2}),
        trainer(data, range(5)),
        trainer(data, range(10), optimizer=Momentum),
    ):
        with pytest.raises(ValueError, match=r"expected the|in the saved state"):
            other.restore(0, state)


@pytest.mark.parametrize("batch_size", [1, 8])
@pytest.mark.parametrize("rows", [[5, 6, 7, 8, 9], [9, 2], [4]])
def test_survivors_continue_as_if_alone(rows, batch_size):
    data = random_data(53, *SPIRAL)
    fused, alone = trainer(data, range(10), batch_size=batch_size), trainer(data, rows, batch_size=batch_size)
    for each in (fused, alone):
        each.advance()
    fused.select_replicas(np.array(rows))
    reports, alone_reports = ([each.advance() for _ in range(2)] for each in (fused, alone))
    assert fused.replicas.count == len(rows)
    assert_same(fused, alone, slice(None), reports, alone_reports)


def test_survivors_can_be_reduced_again_and_resumed():
    data = random_data(53, *SPIRAL)
    fused, alone = trainer(data, range(10)), trainer(data, [7])
    fused.advance()
    alone.advance()
    fused.select_replicas(np.array([1, 7, 9]))
    fused.advance()
    alone.advance()
    fused.select_replicas(np.array([1]))
    resumed = trainer(data, [7])
    resumed.restore(2, fused.state())
    for each in (fused, alone, resumed):
        each.advance()
    assert_same(fused, alone, slice(None))
    assert_same(resumed, alone, slice(None))


@pytest.mark.parametrize("optimizer", [SGD, Momentum])
@pytest.mark.parametrize("activation", [Relu, Sigmoid])
def test_a_trial_that_diverges_is_reported_and_changes_no_other(optimizer, activation):
    data, model = Spiral(points=31).training(), {"hidden": 7, "activation": activation}
    lr = np.full(10, 0.1)
    converging = trainer(data, range(10), model=model, optimizer=optimizer, lr=lr, clip_norm=np.full(10, np.inf))
    lr = np.where(np.arange(10) < 5, 1e6, 0.1)  # the first trial's five folds
    diverging = trainer(data, range(10), model=model, optimizer=optimizer, lr=lr, clip_norm=np.full(10, np.inf))
    for epoch in (1, 2, 3):
        report, expected = diverging.advance(), converging.advance()
        assert expected.failures == (None,) * 10
        assert report.failures[5:] == (None,) * 5
        assert results(report)[:, 5:].tobytes() == results(expected)[:, 5:].tobytes()
        if epoch == 3:
            assert all(failure.startswith(f"diverged in epoch {epoch}: the ") for failure in report.failures[:5])
    state = converging.state()
    for name, array in diverging.state().items():
        assert array[5:].tobytes() == state[name][5:].tobytes(), name


def test_a_finite_loss_that_explodes_is_a_failure():
    data = random_data(53, *SPIRAL)
    runner = trainer(data, range(10), optimizer=SGD)
    runner.advance()
    assert (runner.reference_loss >= np.log(3)).all(), "the loss of equal probabilities"
    runner.reference_loss[2] /= 10.0 * MAX_LOSS_GROWTH
    failures = runner.advance().failures
    assert "without training" in failures[2]
    assert failures[:2] + failures[3:] == (None,) * 9


def test_a_score_that_is_not_finite_is_a_failure():
    class NaNInReplica4(BitSum):
        def measure(self, model, batches):
            scores = super().measure(model, batches)
            scores[4] = np.nan
            return scores

    failures = trainer(random_data(53, *SPIRAL), range(10), metric=NaNInReplica4()).advance().failures
    assert failures[4] == "diverged in epoch 1: the bits is nan"
    assert failures[:4] + failures[5:] == (None,) * 9


def test_networks_learn():
    """They separate the spirals on held-out rows."""
    replicas = Replicas(fold_seeds(0, FOLDS))
    data = Spiral().training()
    build, optimizer = partial(MLP, hidden=20, activation=Relu), partial(Adam, lr=0.02)
    run = Trainer(replicas, data, KFold(FOLDS).split(data), Accuracy(), build, optimizer, batch_size=30)
    reports = [run.advance() for _ in range(60)]
    assert (reports[0].score < 0.75).all()
    assert (reports[-1].score > 0.8).all()
    assert (reports[-1].loss < 0.3).all()


def test_a_report_has_float64_arrays_on_the_host():
    report = trainer(random_data(53, *SPIRAL), range(10)).advance()
    assert report.loss.dtype == report.score.dtype == np.float64
    assert report.loss.shape == report.score.shape == (10,)
    assert report.seconds > 0.0
    assert report.epoch == 1


def test_a_trainer_without_held_out_rows_has_no_scores():
    data = random_data(53, *SPIRAL)
    run = trainer(data, [0, 5], validation=EveryRow())
    report = run.advance()
    assert np.isnan(report.score).all()
    assert np.isfinite(report.loss).all()
    assert report.failures == (None, None)


def test_a_batch_size_above_the_fold_size_is_the_fold_size():
    data = random_data(20, *SPIRAL)
    whole, exact = (trainer(data, [0], batch_size=size, validation=Holdout(0.2)) for size in (999, 16))
    assert_same(whole, exact, [0], [whole.advance()], [exact.advance()])


def test_parameters_stay_float32():
    run = trainer(random_data(53, *SPIRAL), range(10))
    run.advance()
    kinds = {name: array.dtype.name for name, array in run.state().items() if array.dtype.kind == "f"}
    assert set(kinds.values()) == {"float32"}, kinds


def test_gradients_are_clipped_to_the_norm_of_each_replica():
    """With SGD at learning rate 1, one step changes the parameters by the clipped gradient."""
    limits = np.geomspace(1e-3, 1e-1, 10)
    data = random_data(53, *SPIRAL)
    run = trainer(data, range(10), optimizer=SGD, lr=np.ones(10), clip_norm=limits, batch_size=999)
    before = run.parameters.values.copy()
    run.advance()
    moved = np.linalg.norm(run.parameters.values - before, axis=1)
    assert moved == pytest.approx(limits, rel=1e-3)


def learner(folds=(0, 1), metric=None, data=None, optimizer=SGD, **parts):
    """Return a small trainer of these folds of the spirals, or of the table given."""
    data = data or Spiral(points=30).training()
    split = KFold(FOLDS).split(data)[np.array(folds)]
    replicas = Replicas([fold_seeds(0, FOLDS)[fold] for fold in folds])
    model = partial(MLP, hidden=6)
    return Trainer(replicas, data, split, metric or BitSum(), model, optimizer, batch_size=9, **parts)


EXTRAS = {
    "l2": lambda rows: {"l2": np.array([0.0, 0.01, 0.1])[rows]},
    "schedule": lambda rows: {"schedule": partial(Plateau, factor=np.array([0.1, 0.5, 0.9])[rows], patience=1)},
    "warmup": lambda rows: {"schedule": partial(CosineDecay, warmup=np.array([0.0, 1.5, 3.0])[rows])},
    "noise": lambda rows: {"augmentation": partial(GaussianNoise, scale=np.array([0.0, 0.1, 0.3])[rows])},
}


@pytest.mark.parametrize("extra", EXTRAS)
def test_options_fused_equal_alone_survive_and_resume(extra):
    """Three folds with different values: together, alone, after one is dropped, and from a checkpoint."""

    def build(rows):
        return learner(rows, epochs=6, **EXTRAS[extra](np.array(rows)))

    fused, alone, resumed = build([0, 1, 2]), [build([row]) for row in range(3)], build([0, 1, 2])
    for _ in range(3):
        together = results(fused.advance())
        assert (together == np.concatenate([results(one.advance()) for one in alone], axis=1)).all()
    resumed.restore(3, fused.state())
    for trainer in (fused, resumed):
        trainer.select_replicas(np.array([2, 0]))
    for _ in range(3):
        expected = np.concatenate([results(alone[row].advance()) for row in (2, 0)], axis=1)
        assert (results(fused.advance()) == expected).all()
        assert (results(resumed.advance()) == expected).all()


def test_l2_acts_on_weights_and_not_on_biases():
    plain, decayed = learner(), learner(l2=[0.5, 0.0])
    batch = next(iter(plain.data.training_batches(plain.split, plain.replicas, 9)))
    for trainer in (plain, decayed):
        for parameter in trainer.parameters.trainable.values():
            parameter.value += 0.1
        trainer.optimizer.update = lambda: None
    values = decayed.parameters.state()
    plain.step(batch)
    decayed.step(batch)
    for name, parameter in decayed.parameters.trainable.items():
        added = parameter.grad - plain.parameters.trainable[name].grad
        share = 0.5 if name.endswith("W") else 0.0
        assert added[0] == pytest.approx(share * values[name][0], abs=1e-6)
        assert (added[1] == 0.0).all()


def test_a_schedule_sets_the_learning_rate_of_every_step():
    rates = []

    class Recorder(SGD):
        def update(self):
            rates.append(self.lr.copy())
            super().update()

    trainer = learner(optimizer=partial(Recorder, lr=[0.1, 0.2]), epochs=4, schedule=CosineDecay)
    for _ in range(4):
        trainer.advance()
    steps = len(rates) // 4
    expected = np.stack([0.1 * (1 + np.cos(np.pi * step / len(rates))) / 2 for step in range(len(rates))])
    assert np.stack(rates)[:, 0] == pytest.approx(expected, rel=1e-5)
    assert np.stack(rates)[:, 1] == pytest.approx(2 * expected, rel=1e-5)
    assert steps == trainer.data.steps_per_epoch(trainer.split, 9) > 1


class ScriptedScores:
    """A metric that gives scripted scores (epochs, R), whatever the model predicts."""

    name = "scripted"

    def __init__(self, goal, scores):
        self.goal, self.epochs = goal, iter(np.array(scores))

    def measure(self, model, batches):
        return next(self.epochs)


@pytest.mark.parametrize(("goal", "factors"), [("max", [1.0, 0.25**4]), ("min", [0.25**4, 1.0])])
def test_plateau_reduces_the_rate_of_a_replica_whose_score_does_not_improve(goal, factors):
    """The score of replica 0 rises in every epoch, and that of replica 1 falls; the first epoch is always the best."""
    metric = ScriptedScores(goal, [[epoch, -epoch] for epoch in range(5)])
    trainer = learner(metric=metric, schedule=partial(Plateau, factor=0.25), epochs=9)
    for _ in range(5):
        trainer.advance()
    assert trainer.schedule.epoch_factors(5, 1)[0] == pytest.approx(factors)


def test_plateau_reduces_the_rate_of_a_replica_whose_score_stands_still():
    trainer = learner(metric=ScriptedScores("max", [[1.0, 1.0]] * 5), schedule=partial(Plateau, factor=0.25), epochs=9)
    for _ in range(5):
        trainer.advance()
    assert trainer.schedule.epoch_factors(5, 1)[0] == pytest.approx([0.25**4] * 2)


def test_plateau_follows_the_accuracy_of_a_network_that_learns():
    trainer = learner(
        metric=Accuracy(), optimizer=partial(SGD, lr=0.1), schedule=partial(Plateau, factor=0.25), epochs=9
    )
    scores = [trainer.advance().score for _ in range(5)]
    rows = np.stack(scores, axis=1)
    cuts = [sum(score <= max(row[:epoch]) for epoch, score in enumerate(row) if epoch) for row in rows]
    assert all(0 < count < 4 for count in cuts), "in some of the four epochs after the first the score improves"
    assert trainer.schedule.epoch_factors(5, 1)[0] == pytest.approx([0.25**count for count in cuts])


def test_plateau_follows_the_training_loss_where_no_rows_are_held_out():
    data = Spiral(points=30).training()
    model, plateau = partial(MLP, hidden=6), partial(Plateau, factor=0.5)
    trainer = Trainer(
        Replicas([0]), data, EveryRow().split(data), Accuracy(), model, partial(SGD, lr=1e-30), schedule=plateau
    )
    for _ in range(4):
        trainer.advance()
    assert trainer.schedule.epoch_factors(4, 1)[0, 0] < 1.0, "the loss stands still, and there is no score"


def test_a_schedule_needs_an_optimizer_with_a_learning_rate():
    class WithoutRate(Optimizer):
        def step_coefficients(self):
            return ()

        def step_block(self, arrays, rates):
            pass

    with pytest.raises(UserMistake, match="needs an optimizer with `lr`, and WithoutRate"):
        learner(optimizer=lambda parameters, replicas: WithoutRate(parameters), schedule=CosineDecay)


def test_augmentation_changes_training_inputs_and_not_held_out_rows():
    plain, noisy = learner(), learner(augmentation=partial(GaussianNoise, scale=[0.0, 0.5]))
    first, second = plain.advance(), noisy.advance()
    assert first.loss[0] == second.loss[0]
    assert first.loss[1] != second.loss[1]
    rows = noisy.data.scoring_batches(noisy.split.held_out)
    assert (noisy.metric.measure(noisy.model, rows) == second.score).all(), "held-out rows are measured unchanged"


def test_images_are_shifted_in_training():
    data = Digits().training()
    trainer = learner(data=data, augmentation=partial(Shift, pixels=1))
    assert trainer.augmentation.image_shape == (8, 8)
    assert np.isfinite(trainer.advance().loss).all()
    with pytest.raises(UserMistake, match="Shift needs images"):
        learner(augmentation=Shift)


def test_each_fold_standardizes_by_its_own_rows_also_after_others_are_dropped():
    generator = np.random.default_rng(0)
    x = (generator.standard_normal((90, 3)) * [1.0, 100.0, 1e-3] + [0.0, 5.0, 7.0]).astype(np.float32)
    data = Examples(x, (x[:, 1] > 5.0).astype(int), 2, standardize=True)
    fused, alone = learner([0, 1, 2], data=data), [learner([row], data=data) for row in range(3)]
    assert fused.data.scaling.mean.shape == (3, 3)
    for _ in range(2):
        assert (results(fused.advance()) == np.concatenate([results(one.advance()) for one in alone], axis=1)).all()
    fused.select_replicas(np.array([2, 0]))
    assert (results(fused.advance()) == np.concatenate([results(alone[row].advance()) for row in (2, 0)], axis=1)).all()


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"epochs": 0}])
def test_a_batch_size_or_epochs_below_one_is_a_user_mistake(wrong):
    data = random_data(20, *SPIRAL)
    with pytest.raises(UserMistake, match="batch_size >= 1 and epochs >= 1"):
        Trainer(Replicas([0]), data, Holdout().split(data), Accuracy(), MLP, SGD, **wrong)


@pytest.mark.parametrize("wrong", [{"clip_norm": -1.0}, {"clip_norm": [1.0, 0.0]}, {"l2": -0.1}, {"l2": np.nan}])
def test_a_negative_clip_norm_or_l2_is_a_user_mistake(wrong):
    data = random_data(20, *SPIRAL)
    with pytest.raises(UserMistake, match="clip_norm > 0 and l2 >= 0"):
        Trainer(Replicas([0, 1]), data, KFold(2).split(data), Accuracy(), MLP, SGD, **wrong)


def test_one_step_returns_the_loss_of_each_replica():
    run = trainer(random_data(53, *SPIRAL), range(3))
    loss, carry = run.step(Batch(np.ones((3, 4, 2), np.float32), np.zeros((3, 4), int)))
    assert loss.shape == (3,)
    assert carry is None
