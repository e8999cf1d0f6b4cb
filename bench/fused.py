"""Replica-steps per second, fused against one by one, on one BLAS thread; and R = 1 against plain two-dimensional code.

python -m bench.fused
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from bench.timing import in_turns, per_second, ratio  # first: it sets one BLAS thread

import numpy as np  # isort: skip

from models.mlp import MLP
from searchlab.data import Digits, Holdout, KFold, Spiral
from searchlab.metrics import Accuracy
from searchlab.nn import Relu, Sigmoid
from searchlab.optim import SGD
from searchlab.replicas import Replicas, fold_seeds
from searchlab.training import Trainer

ROUNDS = 15
CASES = {
    "spiral 2-10-3, batch 30": (Spiral(), dict(hidden=10, activation=Sigmoid), 30, 40, {5: 3.0, 40: 6.0}),
    "digits 64-64-10, batch 32": (Digits(), dict(hidden=64, activation=Relu), 32, 8, {5: 2.5, 40: 3.5}),
}


def trainer(data: object, model: dict, batch: int, replicas: int) -> Trainer:
    """A trainer of this many replicas over five folds."""
    table = data.training()
    folds = np.arange(replicas) % 5
    seeds = np.array(fold_seeds(0, 5))[folds]
    build = partial(MLP, **model)
    split = KFold(5).split(table)[folds]
    return Trainer(Replicas(seeds), table, split, Accuracy(), build, partial(SGD, lr=0.1), batch_size=batch)


def whole_epochs(runner: Trainer, epochs: int) -> Callable[[], float]:
    """Replica-steps per second of whole epochs: batches gathered, trained, and the held-out rows measured."""
    steps = runner.split.min_train_rows // runner.batch_size * runner.replicas.count * epochs
    return lambda: per_second(lambda: [runner.advance() for _ in range(epochs)], steps)


class Affine2d:
    """searchlab.nn.Affine for one network: x (B, I), W (I, O), b (O,)."""

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
    """searchlab.nn.Relu for one network."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.y = np.maximum(x, 0.0)
        return self.y

    def backward(self, dy: np.ndarray, first: bool) -> np.ndarray:
        return dy * (self.y > 0.0)


class Sigmoid2d:
    """searchlab.nn.Sigmoid for one network."""

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
    """searchlab.nn.SoftmaxCrossEntropy for one network."""

    def forward(self, z: np.ndarray, y: np.ndarray) -> float:
        shifted = z - z.max(axis=1, keepdims=True)
        self.at = np.arange(len(y)), y
        at_label = shifted[self.at]
        self.p = np.exp(shifted, out=shifted)
        total = self.p.sum(axis=1, keepdims=True)
        self.p /= total
        return (np.log(total[:, 0]) - at_label).mean()

    def backward(self) -> np.ndarray:
        self.p[self.at] -= 1.0
        self.p *= 1.0 / len(self.p)
        return self.p


def flat(x: np.ndarray, y: np.ndarray, model: dict, batch: int) -> Callable[[], None]:
    """One epoch of the same layers written for one network with two-dimensional arrays, as the books write them."""
    rng = np.random.default_rng(0)
    act = Relu2d() if model["activation"] is Relu else Sigmoid2d()
    affines = Affine2d(rng, x.shape[1], model["hidden"]), Affine2d(rng, model["hidden"], int(y.max()) + 1)
    layers, loss, seen = [affines[0], act, affines[1]], SoftmaxCrossEntropy2d(), 0.0

    def epoch() -> None:
        nonlocal seen
        order = rng.permutation(len(x))
        for start in range(0, len(x) - batch + 1, batch):
            rows = order[start : start + batch]
            h = x.take(rows, axis=0)
            for layer in layers:
                h = layer.forward(h)
            seen += loss.forward(h, y.take(rows))
            dy = loss.backward()
            for layer in reversed(layers):
                dy = layer.backward(dy, first=layer is layers[0])
            for affine in affines:
                affine.W -= 0.1 * affine.dW
                affine.b -= 0.1 * affine.db

    return epoch


def steps_only(data: object, model: dict, batch: int, count: int) -> dict[str, Callable[[], float]]:
    """Steps per second of one network: with a replica axis of 1, and in plain two-dimensional code."""
    table = data.training()
    split = Holdout(0.2).split(table)
    one = Trainer(
        Replicas([0]), table, split, Accuracy(), partial(MLP, **model), partial(SGD, lr=0.1), batch_size=batch
    )
    rows = split.train.index[0]
    plain = flat(table.x[rows], table.y[rows], model, batch)

    def fused() -> None:
        for _ in range(count):
            for each in table.training_batches(split, one.replicas, batch):
                one.step(each)

    def two_dimensional() -> None:
        for _ in range(count):
            plain()

    steps = count * (split.min_train_rows // batch)
    return {"R = 1": lambda: per_second(fused, steps), "plain": lambda: per_second(two_dimensional, steps)}


def main() -> None:
    """Print both tables."""
    for name, (data, model, batch, epochs, goals) in CASES.items():
        runs = {
            r: whole_epochs(trainer(data, model, batch, r), max(1, epochs // (r // 5 + 1))) for r in (1, 5, 40, 100)
        }
        rates = in_turns({str(r): run for r, run in runs.items()}, ROUNDS)
        print(f"{name}: replica-steps per second, whole epochs, median of {ROUNDS} rounds in turn")
        for r in runs:
            goal = f", goal {goals[r]}" if r in goals else ""
            against = ratio(rates[str(r)], rates["1"])
            print(f"  R = {r:3d}  {np.median(rates[str(r)]):9,.0f}   {against} x one by one{goal}")
        rates = in_turns(steps_only(data, model, batch, epochs), ROUNDS)
        print(f"  R = 1 against the same layers in two dimensions: {ratio(rates['R = 1'], rates['plain'])}, goal 0.9")


if __name__ == "__main__":
    main()
