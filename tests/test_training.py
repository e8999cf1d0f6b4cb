"""The trainer: fused equals alone over many shapes, resumed equals unbroken, survivors and divergent replicas."""

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
from searchlab.training import EXPLODED, Trainer

FOLDS = 5


@dataclass(frozen=True)
class EveryBit:
    """A sum of the bits of all scores: it shows a change of the last bit of any of them, as accuracy does not."""

    name: str = "bits"
    goal: str = "min"

    def measure(self, model, batches):
        scores = np.concatenate([model.predict(batch)[0] for batch in batches], axis=1)  # (R, N, O)
        bits = scores.reshape(len(scores), -1).view(np.uint32).astype(np.uint64).sum(axis=1) % 2**50
        return np.where(np.isfinite(scores).all(axis=(1, 2)), bits.astype(np.float64), np.nan)


def random_table(rows, features, classes):
    generator = np.random.default_rng(0)
    x = generator.random((rows, features), dtype=np.float32)
    return Examples(x, generator.integers(classes, size=rows), classes)


def trainer(table, rows, *, model=None, optimizer=Adam, batch_size=8, metric=None, validation=None, **rates):
    """A trainer of these replicas out of 2 trials x 5 folds; `rates` hold a value for each of the ten."""
    rows = np.array(rows)
    dropout = rates.get("dropout", np.linspace(0.0, 0.6, 10))[rows]
    lr = rates.get("lr", np.geomspace(1e-3, 3e-2, 10))[rows]
    clip_norm = rates.get("clip_norm", np.geomspace(0.05, 5.0, 10))[rows]
    return Trainer(
        Replicas(np.array(fold_seeds(0, FOLDS), np.uint64)[rows % FOLDS]),
        table,
        (validation or KFold(FOLDS)).split(table)[rows % FOLDS],
        metric or EveryBit(),
        partial(MLP, **(model or {"hidden": 7}), dropout=dropout),
        partial(optimizer, lr=lr),
        batch_size=batch_size,
        clip_norm=clip_norm,
    )


def told(report):
    return np.stack([report.loss, report.score])


def assert_same(fused, alone, rows, reports=(), ones=()):
    """These rows of one trainer and of its reports are all that the other has, bit for bit."""
    state, other = fused.state(), alone.state()
    assert set(state) == set(other)
    for name in state:
        assert state[name][rows].tobytes() == other[name].tobytes(), name
    for report, one in zip(reports, ones, strict=True):
        assert told(report)[:, rows].tobytes() == told(one).tobytes()


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
    """No shape is divisible by the folds, so that they are of unequal size."""
    table, epochs = random_table(rows, *sizes), 2
    fused = trainer(table, range(10), model=model, batch_size=batch_size)
    reports = [fused.advance() for _ in range(epochs)]
    for r in (0, 3, 4, 9):
        alone = trainer(table, [r], model=model, batch_size=batch_size)
        assert_same(fused, alone, [r], reports, [alone.advance() for _ in range(epochs)])


@pytest.mark.parametrize(("rows", "sizes", "model", "batch_size"), SHAPES[1:10:3])
def test_forty_replicas_equal_one(rows, sizes, model, batch_size):
    table = random_table(rows, *sizes)
    many = np.tile(np.arange(10), 4)
    fused = trainer(table, many, model=model, batch_size=batch_size)
    report = fused.advance()
    alone = trainer(table, [7], model=model, batch_size=batch_size)
    assert_same(fused, alone, [37], [report], [alone.advance()])


def test_scores_do_not_depend_on_how_many_replicas_are_measured():
    """BLAS rounds a product of few rows differently: rows must be scored in the same portions fused and alone."""
    table = random_table(1310, 784, 10)
    fused, alone = (trainer(table, rows, batch_size=400, model={"hidden": 50}) for rows in (np.tile(range(10), 4), [3]))
    together, one = fused.advance(), alone.advance()
    assert together.score[3].tobytes() == one.score[0].tobytes()


@pytest.mark.parametrize("dataset", [Spiral(), Digits()])
def test_real_data_fused_equal_alone(dataset):
    table = dataset.training()
    fused, alone = trainer(table, range(10), batch_size=31), trainer(table, [8], batch_size=31)
    reports, ones = ([each.advance() for _ in range(2)] for each in (fused, alone))
    assert_same(fused, alone, [8], reports, ones)


def test_mnist_fused_equals_alone(mnist_files):
    table = Mnist(limit=1001).training()
    fused, alone = (trainer(table, rows, batch_size=99, model={"hidden": 50}) for rows in (range(10), [6]))
    assert_same(fused, alone, [6], [fused.advance()], [alone.advance()])


@pytest.mark.parametrize("optimizer", [SGD, Momentum, Adam])
@pytest.mark.parametrize("before", [1, 3])
def test_resumed_equals_unbroken(optimizer, before):
    """Dropout, clipping, shuffling, slots and the first loss all go on; 3 epochs of 2 layers pass 256 draws."""
    table, model = random_table(143, *SPIRAL), {"hidden": 7, "layers": 2}
    make = partial(trainer, table, range(10), model=model, optimizer=optimizer, batch_size=2)
    unbroken, resumed = make(), make()
    for _ in range(before):
        unbroken.advance()
    state = unbroken.state()
    saved = {name: array.copy() for name, array in state.items()}
    later = [unbroken.advance() for _ in range(2)]
    assert all((state[name] == saved[name]).all() for name in state)  # a state does not move on with its trainer
    resumed.restore(before, saved)
    again = [resumed.advance() for _ in range(2)]
    assert_same(unbroken, resumed, slice(None), later, again)
    assert [report.epoch for report in again] == [before + 1, before + 2]
    assert all(report.failures == (None,) * 10 for report in again)


def test_a_state_before_the_first_epoch_restores_too():
    table = random_table(53, *SPIRAL)
    first, second = trainer(table, range(10)), trainer(table, range(10))
    second.advance()
    second = trainer(table, range(10))
    second.restore(0, first.state())
    assert_same(first, second, slice(None), [first.advance()], [second.advance()])


def test_restore_refuses_another_structure():
    table = random_table(53, *SPIRAL)
    state = trainer(table, range(10)).state()
    for other in (
        trainer(table, range(10), model={"hidden": 8}),
        trainer(table, range(10), model={"hidden": 7, "layers": 2}),
        trainer(table, range(5)),
        trainer(table, range(10), optimizer=Momentum),
    ):
        with pytest.raises(ValueError, match=r"expected the|in the saved state"):
            other.restore(0, state)


@pytest.mark.parametrize("batch_size", [1, 8])
@pytest.mark.parametrize("rows", [[5, 6, 7, 8, 9], [9, 2], [4]])
def test_survivors_go_on_as_if_alone(rows, batch_size):
    table = random_table(53, *SPIRAL)
    fused, alone = trainer(table, range(10), batch_size=batch_size), trainer(table, rows, batch_size=batch_size)
    for each in (fused, alone):
        each.advance()
    fused.keep(np.array(rows))
    reports, ones = ([each.advance() for _ in range(2)] for each in (fused, alone))
    assert fused.replicas.count == len(rows)
    assert_same(fused, alone, slice(None), reports, ones)


def test_survivors_are_kept_again_and_resumed():
    table = random_table(53, *SPIRAL)
    fused, alone = trainer(table, range(10)), trainer(table, [7])
    fused.advance()
    alone.advance()
    fused.keep(np.array([1, 7, 9]))
    fused.advance()
    alone.advance()
    fused.keep(np.array([1]))
    resumed = trainer(table, [7])
    resumed.restore(2, fused.state())
    for each in (fused, alone, resumed):
        each.advance()
    assert_same(fused, alone, slice(None))
    assert_same(resumed, alone, slice(None))


@pytest.mark.parametrize("optimizer", [SGD, Momentum])
@pytest.mark.parametrize("activation", [Relu, Sigmoid])
def test_a_trial_that_diverges_is_reported_and_harms_no_other(optimizer, activation):
    table, model = Spiral(points=31).training(), {"hidden": 7, "activation": activation}
    lr = np.full(10, 0.1)
    calm = trainer(table, range(10), model=model, optimizer=optimizer, lr=lr, clip_norm=np.full(10, np.inf))
    lr = np.where(np.arange(10) < 5, 1e6, 0.1)  # the first trial's five folds
    wild = trainer(table, range(10), model=model, optimizer=optimizer, lr=lr, clip_norm=np.full(10, np.inf))
    for epoch in (1, 2, 3):
        report, expected = wild.advance(), calm.advance()
        assert expected.failures == (None,) * 10
        assert report.failures[5:] == (None,) * 5
        assert told(report)[:, 5:].tobytes() == told(expected)[:, 5:].tobytes()
        if epoch == 3:
            assert all(failure.startswith(f"diverged in epoch {epoch}: the ") for failure in report.failures[:5])
    state = calm.state()
    for name, array in wild.state().items():
        assert array[5:].tobytes() == state[name][5:].tobytes(), name


def test_a_loss_that_explodes_is_a_failure_though_finite():
    table = random_table(53, *SPIRAL)
    runner = trainer(table, range(10), optimizer=SGD)
    runner.advance()
    runner.first_loss[2] /= 10.0 * EXPLODED
    failures = runner.advance().failures
    assert "the training loss rose from" in failures[2]
    assert failures[:2] + failures[3:] == (None,) * 9


def test_a_score_that_is_not_finite_is_a_failure():
    class Sick(EveryBit):
        def measure(self, model, batches):
            scores = super().measure(model, batches)
            scores[4] = np.nan
            return scores

    failures = trainer(random_table(53, *SPIRAL), range(10), metric=Sick()).advance().failures
    assert failures[4] == "diverged in epoch 1: the bits is nan"
    assert failures[:4] + failures[5:] == (None,) * 9


def test_networks_learn():
    """The thing is alive: spirals are told apart, on rows that were not trained on."""
    replicas = Replicas(fold_seeds(0, FOLDS))
    table = Spiral().training()
    build, optimizer = partial(MLP, hidden=20, activation=Relu), partial(Adam, lr=0.02)
    run = Trainer(replicas, table, KFold(FOLDS).split(table), Accuracy(), build, optimizer, batch_size=30)
    reports = [run.advance() for _ in range(60)]
    assert (reports[0].score < 0.75).all()
    assert (reports[-1].score > 0.8).all()
    assert (reports[-1].loss < 0.3).all()


def test_a_report_is_on_the_host_in_float64():
    report = trainer(random_table(53, *SPIRAL), range(10)).advance()
    assert report.loss.dtype == report.score.dtype == np.float64
    assert report.loss.shape == report.score.shape == (10,)
    assert report.seconds > 0.0
    assert report.epoch == 1


def test_all_rows_can_be_trained_on_with_none_held_out():
    table = random_table(53, *SPIRAL)
    run = trainer(table, [0, 5], validation=EveryRow())
    report = run.advance()
    assert np.isnan(report.score).all()
    assert np.isfinite(report.loss).all()
    assert report.failures == (None, None)


def test_a_batch_larger_than_the_fold_is_the_fold():
    table = random_table(20, *SPIRAL)
    whole, exact = (trainer(table, [0], batch_size=size, validation=Holdout(0.2)) for size in (999, 16))
    assert_same(whole, exact, [0], [whole.advance()], [exact.advance()])


def test_parameters_stay_float32():
    run = trainer(random_table(53, *SPIRAL), range(10))
    run.advance()
    kinds = {name: array.dtype.name for name, array in run.state().items() if array.dtype.kind == "f"}
    assert set(kinds.values()) == {"float32"}, kinds


def test_clipping_holds_each_replica_to_its_norm():
    """With plain descent at rate 1, what moves in one step is the clipped gradient."""
    limits = np.geomspace(1e-3, 1e-1, 10)
    table = random_table(53, *SPIRAL)
    run = trainer(table, range(10), optimizer=SGD, lr=np.ones(10), clip_norm=limits, batch_size=999)
    before = run.parameters.values.copy()
    run.advance()
    moved = np.linalg.norm(run.parameters.values - before, axis=1)
    assert moved == pytest.approx(limits, rel=1e-3)


def learner(folds=(0, 1), metric=None, table=None, optimizer=SGD, **parts):
    """A small trainer of these folds, of the spirals unless another table is given."""
    table = table or Spiral(points=30).training()
    split = KFold(FOLDS).split(table)[np.array(folds)]
    replicas = Replicas([fold_seeds(0, FOLDS)[fold] for fold in folds])
    model = partial(MLP, hidden=6)
    return Trainer(replicas, table, split, metric or EveryBit(), model, optimizer, batch_size=9, **parts)


EXTRAS = {
    "l2": lambda rows: {"l2": np.array([0.0, 0.01, 0.1])[rows]},
    "schedule": lambda rows: {"schedule": partial(Plateau, factor=np.array([0.1, 0.5, 0.9])[rows], patience=1)},
    "warmup": lambda rows: {"schedule": partial(CosineDecay, warmup=np.array([0.0, 1.5, 3.0])[rows])},
    "noise": lambda rows: {"augmentation": partial(GaussianNoise, scale=np.array([0.0, 0.1, 0.3])[rows])},
}


@pytest.mark.parametrize("extra", EXTRAS)
def test_extras_fused_equal_alone_survive_and_resume(extra):
    """Three folds with a value of their own each: together, alone, after one is dropped, and from a checkpoint."""

    def build(rows):
        return learner(rows, epochs=6, **EXTRAS[extra](np.array(rows)))

    fused, alone, resumed = build([0, 1, 2]), [build([row]) for row in range(3)], build([0, 1, 2])
    for _ in range(3):
        together = told(fused.advance())
        assert (together == np.concatenate([told(one.advance()) for one in alone], axis=1)).all()
    resumed.restore(3, fused.state())
    for trainer in (fused, resumed):
        trainer.keep(np.array([2, 0]))
    for _ in range(3):
        expected = np.concatenate([told(alone[row].advance()) for row in (2, 0)], axis=1)
        assert (told(fused.advance()) == expected).all()
        assert (told(resumed.advance()) == expected).all()


def test_l2_adds_its_share_of_the_weights_and_not_of_the_biases():
    plain, decayed = learner(), learner(l2=[0.5, 0.0])
    batch = next(iter(plain.data.epoch(plain.split, plain.replicas, 9)))
    for trainer in (plain, decayed):
        for parameter in trainer.parameters.named.values():
            parameter.value += 0.1
        trainer.optimizer.update = lambda: None
    values = decayed.parameters.state()
    plain.step(batch)
    decayed.step(batch)
    for name, parameter in decayed.parameters.named.items():
        added = parameter.grad - plain.parameters.named[name].grad
        share = 0.5 if name.endswith("W") else 0.0
        assert added[0] == pytest.approx(share * values[name][0], abs=1e-6)
        assert (added[1] == 0.0).all()


def test_a_schedule_moves_the_rate_of_every_step():
    rates = []

    class Told(SGD):
        def update(self):
            rates.append(self.lr.copy())
            super().update()

    trainer = learner(optimizer=partial(Told, lr=[0.1, 0.2]), epochs=4, schedule=CosineDecay)
    for _ in range(4):
        trainer.advance()
    steps = len(rates) // 4
    expected = np.stack([0.1 * (1 + np.cos(np.pi * at / len(rates))) / 2 for at in range(len(rates))])
    assert np.stack(rates)[:, 0] == pytest.approx(expected, rel=1e-5)
    assert np.stack(rates)[:, 1] == pytest.approx(2 * expected, rel=1e-5)
    assert steps == trainer.data.steps(trainer.split, 9) > 1


@dataclass(frozen=True)
class Stuck:
    """A score that never changes."""

    name: str = "stuck"
    goal: str = "max"

    def measure(self, model, batches):
        return np.ones(len(next(iter(batches)).y))


@pytest.mark.parametrize("metric", [Accuracy(), Stuck()])
def test_plateau_cuts_the_rate_of_what_does_not_get_better(metric):
    trainer = learner(metric=metric, schedule=partial(Plateau, factor=0.25), epochs=9)
    scores = [trainer.advance().score for _ in range(5)]
    factors = trainer.schedule.epoch(5, 1)[0]
    if isinstance(metric, Stuck):
        assert factors == pytest.approx([0.25**4] * 2), "the first epoch is the best, and four are no better"
    else:
        better = [sum(b <= max(row[:at]) for at, b in enumerate(row) if at) for row in np.stack(scores, axis=1)]
        assert factors == pytest.approx([0.25**count for count in better])


def test_plateau_goes_by_the_training_loss_where_nothing_is_held_out():
    table = Spiral(points=30).training()
    model, plateau = partial(MLP, hidden=6), partial(Plateau, factor=0.5)
    trainer = Trainer(
        Replicas([0]), table, EveryRow().split(table), Accuracy(), model, partial(SGD, lr=1e-30), schedule=plateau
    )
    for _ in range(4):
        trainer.advance()
    assert trainer.schedule.epoch(4, 1)[0, 0] < 1.0, "a loss that stands still is a plateau, and there is no score"


def test_a_schedule_needs_a_rate_to_move():
    class Still(Optimizer):
        def prepare(self):
            return ()

        def move(self, arrays, rates):
            pass

    with pytest.raises(UserMistake, match="Still has no learning rate `lr`"):
        learner(optimizer=lambda parameters, replicas: Still(parameters), schedule=CosineDecay)


def test_augmentation_changes_training_and_not_the_measuring():
    plain, noisy = learner(), learner(augmentation=partial(GaussianNoise, scale=[0.0, 0.5]))
    first, second = plain.advance(), noisy.advance()
    assert first.loss[0] == second.loss[0]
    assert first.loss[1] != second.loss[1]
    rows = noisy.data.scoring(noisy.split.held_out)
    assert (noisy.metric.measure(noisy.model, rows) == second.score).all(), "held-out rows are measured as they are"


def test_images_are_shifted_in_training():
    table = Digits().training()
    trainer = learner(table=table, augmentation=partial(Shift, pixels=1))
    assert trainer.augmentation.image == (8, 8)
    assert np.isfinite(trainer.advance().loss).all()
    with pytest.raises(UserMistake, match="Shift moves images"):
        learner(augmentation=Shift)


def test_standardized_rows_are_those_of_each_fold_and_survive():
    generator = np.random.default_rng(0)
    x = (generator.standard_normal((90, 3)) * [1.0, 100.0, 1e-3] + [0.0, 5.0, 7.0]).astype(np.float32)
    table = Examples(x, (x[:, 1] > 5.0).astype(int), 2, standardize=True)
    fused, alone = learner([0, 1, 2], table=table), [learner([row], table=table) for row in range(3)]
    assert fused.data.scaling[0].shape == (3, 3)
    for _ in range(2):
        assert (told(fused.advance()) == np.concatenate([told(one.advance()) for one in alone], axis=1)).all()
    fused.keep(np.array([2, 0]))
    assert (told(fused.advance()) == np.concatenate([told(alone[row].advance()) for row in (2, 0)], axis=1)).all()


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"epochs": 0}])
def test_numbers_below_one_are_refused(wrong):
    table = random_table(20, *SPIRAL)
    with pytest.raises(UserMistake, match="batch_size >= 1 and epochs >= 1"):
        Trainer(Replicas([0]), table, Holdout().split(table), Accuracy(), MLP, SGD, **wrong)


@pytest.mark.parametrize("wrong", [{"clip_norm": -1.0}, {"clip_norm": [1.0, 0.0]}, {"l2": -0.1}, {"l2": np.nan}])
def test_clipping_and_decay_against_the_gradient_are_refused(wrong):
    table = random_table(20, *SPIRAL)
    with pytest.raises(UserMistake, match="clip_norm > 0 and l2 >= 0"):
        Trainer(Replicas([0, 1]), table, KFold(2).split(table), Accuracy(), MLP, SGD, **wrong)


def test_one_step_returns_the_loss_of_each_replica():
    run = trainer(random_table(53, *SPIRAL), range(3))
    loss, carry = run.step(Batch(np.ones((3, 4, 2), np.float32), np.zeros((3, 4), int)))
    assert loss.shape == (3,)
    assert carry is None
