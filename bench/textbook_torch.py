"""The networks of the textbook's grid in PyTorch, one by one: seconds of a step, and of scoring the held-out rows.

bench.textbook_grid runs it, in a Python that may have PyTorch and NumPy alone, and reads the JSON that it prints. Each
of the 24 optimizers and batch sizes trains on MNIST on one thread for some seconds. The rows are in memory, and no
DataLoader costs anything.

    python -m bench.textbook_torch --seconds 1 --hidden 100 --rows 60000
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from itertools import islice, pairwise

import bench.timing  # noqa: F401  # first: it sets one BLAS thread  # isort: skip

import torch

from bench.textbook_sweep import BATCH_SIZES, FOLDS
from searchlab.data import Mnist

OPTIMIZERS = {
    "SGD": torch.optim.SGD,
    "AdaGrad": torch.optim.Adagrad,
    "RMSprop": torch.optim.RMSprop,
    "Adam": torch.optim.Adam,
}
WARM_UP, SCORING_BATCH = 3, 1000  # steps before the clock starts, and rows that are scored at once


def batches(x: torch.Tensor, y: torch.Tensor, batch_size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield shuffled batches, epoch after epoch."""
    while True:
        order = torch.randperm(len(x))
        for start in range(0, len(x) - batch_size + 1, batch_size):
            rows = order[start : start + batch_size]
            yield x[rows], y[rows]


def network(features: int, hidden: list[int]) -> torch.nn.Sequential:
    """Return the network, with Relu between its layers."""
    sizes = (features, *hidden, 10)
    layers = [layer for n_in, n_out in pairwise(sizes) for layer in (torch.nn.Linear(n_in, n_out), torch.nn.ReLU())]
    return torch.nn.Sequential(*layers[:-1])


def step_seconds(name: str, hidden: list[int], train: tuple, batch_size: int, limit: float) -> float:
    """Return the seconds of processor time of a training step, measured for at least this long."""
    model, cross_entropy = network(train[0].shape[1], hidden), torch.nn.CrossEntropyLoss()
    optimizer, reader = OPTIMIZERS[name](model.parameters(), lr=0.001), batches(*train, batch_size)

    def take_steps(count: int | None, seconds: float) -> int:
        started, steps = time.process_time(), 0
        for x, y in islice(reader, count):
            optimizer.zero_grad()
            loss = cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            steps += 1
            if time.process_time() - started > seconds:
                break
        return steps

    take_steps(WARM_UP, limit)
    started = time.process_time()
    steps = take_steps(None, limit)
    return (time.process_time() - started) / steps


def scoring_seconds(hidden: list[int], held_out: tuple) -> float:
    """Return the seconds of processor time in which the accuracy on the held-out rows is found."""
    model, (x, y) = network(held_out[0].shape[1], hidden), held_out
    started = time.process_time()
    with torch.no_grad():
        right = sum(
            int((model(x[start : start + SCORING_BATCH]).argmax(1) == y[start : start + SCORING_BATCH]).sum())
            for start in range(0, len(x), SCORING_BATCH)
        )
    assert right >= 0
    return time.process_time() - started


def main() -> None:
    """Print the measurements as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="for each optimizer and batch size")
    parser.add_argument("--hidden", type=int, nargs="+", default=[100])
    parser.add_argument("--rows", type=int, default=60_000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = Mnist(limit=arguments.rows).training()
    x, y = torch.from_numpy(data.x), torch.from_numpy(data.y.astype("int64"))
    cut = len(x) // FOLDS
    train, held_out = (x[cut:], y[cut:]), (x[:cut], y[:cut])
    steps = {
        f"{name}, batch {batch_size}": step_seconds(name, arguments.hidden, train, batch_size, arguments.seconds)
        for name in OPTIMIZERS
        for batch_size in BATCH_SIZES
    }
    measured = {"version": torch.__version__, "steps": steps, "scoring": scoring_seconds(arguments.hidden, held_out)}
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
