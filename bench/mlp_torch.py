"""Training steps against PyTorch, one thread each: `python -m bench.mlp_torch [cpu|cuda]`.

A step is a forward pass, the loss, a backward pass and an update on a batch that is in memory, with the same sizes on
both sides. Rates are steps of one network per second: R fused networks count R times. PyTorch is optional (pip install
torch).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from itertools import pairwise

from bench.timing import in_turns, per_second, ratio_text  # first: it sets one BLAS thread

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
CASES = (  # sizes of the layers, activation, batch size, steps in a round, goals at R = 1 and R = 5
    ((2, 10, 3), Sigmoid, 30, 1000, (1.8, 6.0)),
    ((64, 64, 10), Relu, 32, 600, (1.5, 4.0)),
    ((784, 100, 10), Relu, 100, 100, (1.0, 1.1)),
    (DEEP, Relu, 256, 2, (0.95, 0.95)),
)


def fused_step(
    sizes: tuple,
    activation: type,
    batch_size: int,
    replica_count: int,
    optimizer_class: type,
    device: str,
    dropout: float = 0.0,
) -> Callable[[], object]:
    """Return one training step of this many networks, which returns their losses on the device."""
    replicas = Replicas(list(range(replica_count)), device=device)
    model = MLP(replicas, sizes[0], sizes[-1], hidden=sizes[1:-1], activation=activation, dropout=dropout)
    parameters = Parameters(model.named_parameters())
    optimizer = optimizer_class(parameters, replicas, lr=0.01)
    generator = np.random.default_rng(0)
    x = generator.random((replica_count, batch_size, sizes[0]), dtype=np.float32)
    y = generator.integers(sizes[-1], size=(replica_count, batch_size))
    batch = Batch(to_device(x, device), to_device(y, device))

    def step() -> object:
        loss, _ = model.forward(batch, train=True)
        parameters.reset_gradients()
        model.backward()
        optimizer.update()
        return loss

    return step


def torch_step(
    sizes: tuple, activation: type, batch_size: int, optimizer_class: type, device: str
) -> Callable[[], object]:
    """Return one training step of the same network in PyTorch, which returns its loss on the device."""
    activation = {Sigmoid: torch.nn.Sigmoid, Relu: torch.nn.ReLU}[activation]
    layers = [layer for n_in, n_out in pairwise(sizes) for layer in (torch.nn.Linear(n_in, n_out), activation())]
    model = torch.nn.Sequential(*layers[:-1]).to(device)
    optimizer = {SGD: torch.optim.SGD, Adam: torch.optim.Adam}[optimizer_class](model.parameters(), lr=0.01)
    cross_entropy = torch.nn.CrossEntropyLoss()
    x = torch.rand(batch_size, sizes[0], device=device)
    y = torch.randint(sizes[-1], (batch_size,), device=device)

    def step() -> object:
        optimizer.zero_grad()
        loss = cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def step_rate(step: Callable[[], object], steps: int, networks: int, copy_to_host: Callable) -> Callable[[], float]:
    """Return a function that makes this many steps, and returns the steps of one network per second.

    `copy_to_host` copies the last loss to the host, which waits until the device has finished all steps.
    """
    return lambda: per_second(lambda: copy_to_host([step() for _ in range(steps)][-1]), steps * networks)


def compare(case: tuple, optimizer: type, device: str, counts: tuple[int, ...]) -> None:
    """Print the rows of a case: PyTorch's rate, and searchlab's by the number of networks."""
    sizes, activation, batch_size, steps, goals = case
    runs = {}
    for r in counts:
        step = fused_step(sizes, activation, batch_size, r, optimizer, device)
        runs[f"R = {r}"] = step_rate(step, max(1, steps // r), r, to_host)
    if torch:
        step = torch_step(sizes, activation, batch_size, optimizer, device)
        runs["PyTorch"] = step_rate(step, steps, 1, lambda loss: loss.cpu())
    with np.errstate(all="ignore"):
        rates = in_turns(runs, ROUNDS)
    baseline = "PyTorch" if torch else "R = 1"
    title = f"{'-'.join(map(str, sizes))}, batch {batch_size}, {optimizer.__name__}"
    print(f"| {title} | {baseline} | {np.median(rates[baseline]):,.0f} | 1 | |", flush=True)
    goals_by_count = dict(zip(counts, goals, strict=False)) if optimizer is SGD and device == "cpu" else {}
    for r in counts:
        name = f"R = {r}"
        ratio = ratio_text(rates[name], rates[baseline])
        print(f"| | {name} | {np.median(rates[name]):,.0f} | {ratio} | {goals_by_count.get(r, '')} |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("device", nargs="?", choices=["cpu", "cuda"], default="cpu")
    device = parser.parse_args().device
    if reason := unavailable_reason(device):
        sys.exit(f"skipped: {reason}")
    if device == "cpu" and torch is None:
        sys.exit("skipped: PyTorch is not installed (pip install torch)")
    if torch:
        torch.set_num_threads(1)
    print("| network | | steps/s of one network | ratio, median (range) | goal |\n|---|---|---|---|---|")
    for case in CASES if device == "cpu" else CASES[-1:]:
        for optimizer in (SGD, Adam):
            compare(case, optimizer, device, (1, 5) if device == "cpu" else (1, 5, 25))


if __name__ == "__main__":
    main()
