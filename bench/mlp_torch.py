"""Training steps against PyTorch, one thread each: `python -m bench.mlp_torch [cpu|cuda]`.

A step is forward, loss, backward and update on a batch that lies ready, with the same sizes on both sides. Rates are
steps of one network per second: R networks fused count R. PyTorch is optional (pip install torch).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import pairwise

from bench.timing import in_turns, per_second, ratio  # first: it sets one BLAS thread

import numpy as np  # isort: skip

from models.mlp import MLP
from searchlab.backend import to_device, to_host, unavailable_reason
from searchlab.data import Batch
from searchlab.nn import Parameters, Relu, Sigmoid
from searchlab.optim import SGD, Adam
from searchlab.replicas import Replicas

try:
    import torch
except ImportError:
    torch = None

ROUNDS = 15
DEEP = (784, 1024, 512, 512, 512, 10)
CASES = (  # sizes, activation, batch, steps in a round, goals at R = 1 and 5
    ((2, 10, 3), Sigmoid, 30, 1000, (1.8, 6.0)),
    ((64, 64, 10), Relu, 32, 600, (1.5, 4.0)),
    ((784, 100, 10), Relu, 100, 100, (1.0, 1.1)),
    (DEEP, Relu, 256, 2, (0.95, 0.95)),
)


def fused(sizes: tuple, activation: type, batch: int, count: int, optimizer: type, device: str) -> Callable[[], object]:
    """One step of so many networks; gives their losses on the host, so that a device has finished."""
    replicas = Replicas(list(range(count)), device=device)
    model = MLP(replicas, sizes[0], sizes[-1], hidden=sizes[1:-1], activation=activation)
    parameters = Parameters(model.named_parameters())
    moves = optimizer(parameters, replicas, lr=0.01)
    generator = np.random.default_rng(0)
    x = generator.random((count, batch, sizes[0]), dtype=np.float32)
    y = generator.integers(sizes[-1], size=(count, batch))
    ready = Batch(to_device(x, device), to_device(y, device))

    def step() -> object:
        loss, _ = model.forward(ready, train=True)
        parameters.reset_gradients()
        model.backward()
        moves.update()
        return loss

    return step


def torch_step(sizes: tuple, activation: type, batch: int, optimizer: type, device: str) -> Callable[[], object]:
    """One step of the same network in PyTorch."""
    kind = {Sigmoid: torch.nn.Sigmoid, Relu: torch.nn.ReLU}[activation]
    layers = [part for n_in, n_out in pairwise(sizes) for part in (torch.nn.Linear(n_in, n_out), kind())]
    model = torch.nn.Sequential(*layers[:-1]).to(device)
    moves = {SGD: torch.optim.SGD, Adam: torch.optim.Adam}[optimizer](model.parameters(), lr=0.01)
    cross_entropy = torch.nn.CrossEntropyLoss()
    x, y = torch.rand(batch, sizes[0], device=device), torch.randint(sizes[-1], (batch,), device=device)

    def step() -> object:
        moves.zero_grad()
        loss = cross_entropy(model(x), y)
        loss.backward()
        moves.step()
        return loss.detach()

    return step


def rate(step: Callable[[], object], steps: int, networks: int, wait: Callable) -> Callable[[], float]:
    """Steps of one network per second; `wait` takes the last loss to the host, when all before it is done."""
    return lambda: per_second(lambda: wait([step() for _ in range(steps)][-1]), steps * networks)


def compare(case: tuple, optimizer: type, device: str, counts: tuple[int, ...]) -> None:
    """Print a case: PyTorch's rate, and searchlab's by the number of networks."""
    sizes, activation, batch, steps, goals = case
    runs = {
        f"R = {r}": rate(fused(sizes, activation, batch, r, optimizer, device), max(1, steps // r), r, to_host)
        for r in counts
    }
    if torch:
        runs["PyTorch"] = rate(torch_step(sizes, activation, batch, optimizer, device), steps, 1, lambda x: x.cpu())
    with np.errstate(all="ignore"):
        rates = in_turns(runs, ROUNDS)
    against = "PyTorch" if torch else "R = 1"
    title = f"{'-'.join(map(str, sizes))}, batch {batch}, {optimizer.__name__}"
    print(f"| {title} | {against} | {np.median(rates[against]):,.0f} | 1 | |", flush=True)
    aims = dict(zip(counts, goals, strict=False)) if optimizer is SGD and device == "cpu" else {}
    for r in counts:
        name = f"R = {r}"
        told = ratio(rates[name], rates[against])
        print(f"| | {name} | {np.median(rates[name]):,.0f} | {told} | {aims.get(r, '')} |", flush=True)


def main(device: str = "cpu") -> None:
    """Print the table."""
    missing = unavailable_reason(device)
    if missing:
        sys.exit(f"skipped: {missing}")
    if device == "cpu" and torch is None:
        sys.exit("skipped: PyTorch is not installed (pip install torch)")
    if torch:
        torch.set_num_threads(1)
    print("| network | | steps/s of one network | ratio, median (range) | goal |\n|---|---|---|---|---|")
    for case in CASES if device == "cpu" else CASES[-1:]:
        for optimizer in (SGD, Adam):
            compare(case, optimizer, device, (1, 5) if device == "cpu" else (1, 5, 25))


if __name__ == "__main__":
    main(*sys.argv[1:])
