"""Replica-steps per second of fused training against R = 1, and of R = 1 against plain two-dimensional code.

python -m bench.fused
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

from bench.timing import in_turns, per_second, ratio_text  # first: it sets one BLAS thread

import numpy as np  # isort: skip

from models.mlp import MLP
from searchlab.data import Digits, Holdout, KFold, Spiral
from searchlab.metrics import Accuracy
from searchlab.nn import Relu, Sigmoid
from searchlab.optim import SGD
from searchlab.replicas import Replicas, fold_seeds
from searchlab.training import Trainer

ROUNDS = 15
CASES = {  # data, arguments of the model, batch size, epochs in a round, and the goal of the ratio by R
    "spiral 2-10-3, batch 30": (Spiral(), dict(hidden=10, activation=Sigmoid), 30, 40, {5: 3.0, 40: 6.0}),
    "digits 64-64-10, batch 32": (Digits(), dict(hidden=64, activation=Relu), 32, 8, {5: 2.5, 40: 3.5}),
}


def trainer_of(data: object, model: dict, batch: int, replicas: int) -> Trainer:
    """Return a trainer of this many replicas over five folds."""
    table = data.training()
    folds = np.arange(replicas) % 5  # (R,)
    seeds = np.array(fold_seeds(0, 5))[folds]
    build = partial(MLP, **model)
    split = KFold(5).split(table)[folds]
    return Trainer(Replicas(seeds), table, split, Accuracy(), build, partial(SGD, lr=0.1), batch_size=batch)


def whole_epochs(trainer: Trainer, epochs: int) -> Callable[[], float]:
    """Return a function that trains whole epochs, with validation, and returns the replica-steps per second."""
    steps = trainer.split.min_train_rows // trainer.batch_size * trainer.replicas.count * epochs
    return lambda: per_second(lambda: [trainer.advance() for _ in range(epochs)], steps)


class Affine2d:
    """`searchlab.nn.Affine` for one network: x (B, I), W (I, O), b (O,)."""

    def __init__(self, rng: np.random.Generator, n_in: int, n_out: int) -> None:
        self.W = rng.normal(0, (1 / n_in) ** 0.5, (n_in, n_out)).astype(np.float32)
        self.b = np.zeros(n_out, np.float32)

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.x = x
        y = np.matmul(x, self.W)
        y += self.b
        return y

    def backward(self, dy: np.ndarray, first: bool) -> np.ndarray | None:
        self.dW = np.matmul(self.x.T, dy)
        self.db = dy.sum(axis=0)
        return None if first else np.matmul(dy, self.W.T)


class Relu2d:
    """`searchlab.nn.Relu` for one network."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.y = np.maximum(x, 0.0)
        return self.y

    def backward(self, dy: np.ndarray, first: bool) -> np.ndarray:
        return dy * (self.y > 0.0)


class Sigmoid2d:
    """`searchlab.nn.Sigmoid` for one network."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        y = x * 0.5
        np.tanh(y, out=y)
        y += 1.0
        y *= 0.5
        self.y = y
        return y

    def backward(self, dy: np.ndarray, first: bool) -> np.ndarray:
        dx = 1.0 - self.y
        dx *= self.y
        dx *= dy
        return dx


class SoftmaxCrossEntropy2d:
    """`searchlab.nn.SoftmaxCrossEntropy` for one network."""

    def forward(self, z: np.ndarray, y: np.ndarray) -> float:
        shifted = z - z.max(axis=1, keepdims=True)
        self.label_positions = np.arange(len(y)), y
        label_scores = shifted[self.label_positions]
        self.p = np.exp(shifted, out=shifted)
        total = self.p.sum(axis=1, keepdims=True)
        self.p /= total
        return (np.log(total[:, 0]) - label_scores).mean()

    def backward(self) -> np.ndarray:
        self.p[self.label_positions] -= 1.0
        self.p *= 1.0 / len(self.p)
        return self.p


def epoch_2d(x: np.ndarray, y: np.ndarray, model: dict, batch: int) -> Callable[[], None]:
    """Return one epoch of the same layers, written for one network with two-dimensional arrays, as in the books."""
    rng = np.random.default_rng(0)
    activation = Relu2d() if model["activation"] is Relu else Sigmoid2d()
    affines = Affine2d(rng, x.shape[1], model["hidden"]), Affine2d(rng, model["hidden"], int(y.max()) + 1)
    layers, loss, total_loss = [affines[0], activation, affines[1]], SoftmaxCrossEntropy2d(), 0.0

    def epoch() -> None:
        nonlocal total_loss
        order = rng.permutation(len(x))
        for start in range(0, len(x) - batch + 1, batch):
            rows = order[start : start + batch]
            h = x.take(rows, axis=0)
            for layer in layers:
                h = layer.forward(h)
            total_loss += loss.forward(h, y.take(rows))
            dy = loss.backward()
            for layer in reversed(layers):
                dy = layer.backward(dy, first=layer is layers[0])
            for affine in affines:
                affine.W -= 0.1 * affine.dW
                affine.b -= 0.1 * affine.db

    return epoch


def steps_only(data: object, model: dict, batch: int, epochs: int) -> dict[str, Callable[[], float]]:
    """Return functions that measure one network, without validation: with a replica axis of 1, and without the axis."""
    table = data.training()
    split = Holdout(0.2).split(table)
    trainer = Trainer(
        Replicas([0]), table, split, Accuracy(), partial(MLP, **model), partial(SGD, lr=0.1), batch_size=batch
    )
    rows = split.train.index[0]
    train_epoch_2d = epoch_2d(table.x[rows], table.y[rows], model, batch)

    def one_replica() -> None:
        for _ in range(epochs):
            for minibatch in table.training_batches(split, trainer.replicas, batch):
                trainer.step(minibatch)

    def two_dimensional() -> None:
        for _ in range(epochs):
            train_epoch_2d()

    steps = epochs * (split.min_train_rows // batch)
    return {"R = 1": lambda: per_second(one_replica, steps), "plain": lambda: per_second(two_dimensional, steps)}


def main() -> None:
    """Print both comparisons for each case."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    for name, (data, model, batch, epochs, goals) in CASES.items():
        runs = {
            r: whole_epochs(trainer_of(data, model, batch, r), max(1, epochs // (r // 5 + 1))) for r in (1, 5, 40, 100)
        }
        rates = in_turns({str(r): run for r, run in runs.items()}, ROUNDS)
        print(f"{name}: replica-steps per second, whole epochs, median of {ROUNDS} rounds")
        for r in runs:
            goal = f", goal {goals[r]}" if r in goals else ""
            ratio = ratio_text(rates[str(r)], rates["1"])
            print(f"  R = {r:3d}  {np.median(rates[str(r)]):9,.0f}   {ratio} x R = 1{goal}")
        rates = in_turns(steps_only(data, model, batch, epochs), ROUNDS)
        ratio = ratio_text(rates["R = 1"], rates["plain"])
        print(f"  R = 1 against the same layers in two dimensions: {ratio}, goal 0.9")


if __name__ == "__main__":
    main()
