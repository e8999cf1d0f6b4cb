"""Steps of recurrent language models against PyTorch, one thread each: `python -m bench.lm_torch`.

A step is forward, softmax cross entropy, backward, clipping to a joint norm, and an SGD update on a window that lies
ready, with the same sizes on both sides. Rates are tokens per second; R networks fused count R times. PyTorch is
optional (pip install torch). OpenBLAS takes the kernels that OPENBLAS_CORETYPE names, else its own choice.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

from bench.timing import in_turns, per_second, ratio  # first: it sets one BLAS thread

import numpy as np  # isort: skip

from threadpoolctl import threadpool_info

from models.rnn_lm import RnnLM
from searchlab.data import Batch
from searchlab.nn import Parameters
from searchlab.optim import SGD, clip_joint_norm
from searchlab.replicas import Replicas

try:
    import torch
except ImportError:
    torch = None

ROUNDS = 9
CLIP = 0.25


@dataclass(frozen=True)
class Case:
    """A network, a window, how many steps a round takes, and the goal for each number of replicas."""

    words: int
    hidden: int
    layers: int
    dropout: float | None
    tied: bool
    batch: int
    time: int
    steps: int
    goals: dict[int, float]


CASES = (
    Case(10_000, 650, 2, 0.5, True, 20, 35, 1, {1: 1.0}),
    Case(10_000, 100, 1, None, False, 20, 35, 4, {1: 1.2}),
    Case(60, 64, 1, None, False, 16, 30, 80, {1: 0.8, 20: 1.5}),
    Case(13, 128, 1, None, False, 128, 29, 8, {1: 0.9}),
)


def fused(case: Case, count: int) -> Callable[[], object]:
    """One step of so many networks."""
    replicas = Replicas(list(range(count)))
    sizes = {"layers": case.layers, "hidden": case.hidden, "embed": case.hidden}
    model = RnnLM(replicas, case.words, dropout=case.dropout, tied=case.tied, **sizes)
    parameters = Parameters(model.named_parameters())
    optimizer, limit = SGD(parameters, replicas, lr=0.1), replicas.vector(CLIP)
    generator, shape = np.random.default_rng(0), (count, case.time, case.batch)
    batch = Batch(generator.integers(case.words, size=shape), generator.integers(case.words, size=shape))

    def step() -> None:
        model.forward(batch, None, train=True)
        parameters.reset_gradients()
        model.backward()
        clip_joint_norm(parameters.grads, limit)
        optimizer.update()

    return step


def torch_step(case: Case) -> Callable[[], object]:
    """One step of the same network in PyTorch."""
    rate, hidden = case.dropout or 0.0, case.hidden
    embedding, drop = torch.nn.Embedding(case.words, hidden), torch.nn.Dropout(rate)
    cells = torch.nn.LSTM(hidden, hidden, case.layers, dropout=rate if case.layers > 1 else 0.0)
    output, cross_entropy = torch.nn.Linear(hidden, case.words), torch.nn.CrossEntropyLoss()
    if case.tied:
        output.weight = embedding.weight
    parameters = list(torch.nn.ModuleList([embedding, cells, output]).parameters())
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    x, y = (torch.randint(case.words, (case.time, case.batch)) for _ in range(2))

    def step() -> None:
        optimizer.zero_grad()
        h, _ = cells(drop(embedding(x)))
        cross_entropy(output(drop(h)).reshape(-1, case.words), y.reshape(-1)).backward()
        torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()

    return step


def rate(step: Callable[[], object], steps: int, tokens: int) -> Callable[[], float]:
    """Tokens per second of so many steps."""
    return lambda: per_second(lambda: [step() for _ in range(steps)], steps * tokens)


def compare(case: Case) -> None:
    """Print a case."""
    tokens = case.batch * case.time
    runs = {"PyTorch": rate(torch_step(case), case.steps, tokens)}
    for r in case.goals:
        runs[f"R = {r}"] = rate(fused(case, r), max(1, case.steps // r), tokens * r)
    with np.errstate(all="ignore"):
        rates = in_turns(runs, ROUNDS)
    shape = f"{case.layers}x{case.hidden}{' tied' if case.tied else ''}"
    dropout = f", dropout {case.dropout}" if case.dropout else ""
    print(f"| V {case.words}, {shape}{dropout}, B {case.batch}, T {case.time} | PyTorch | ", end="")
    print(f"{np.median(rates['PyTorch']):,.0f} | 1 | |", flush=True)
    for r, goal in case.goals.items():
        found = rates[f"R = {r}"]
        print(f"| | R = {r} | {np.median(found):,.0f} | {ratio(found, rates['PyTorch'])} | {goal} |", flush=True)


def main() -> None:
    """Print the table."""
    if torch is None:
        sys.exit("skipped: PyTorch is not installed (pip install torch)")
    torch.set_num_threads(1)
    kernels = {info.get("architecture") for info in threadpool_info() if info["internal_api"] == "openblas"}
    print(f"OpenBLAS kernels: {', '.join(map(str, kernels))}; PyTorch's: {torch.backends.cpu.get_cpu_capability()}\n")
    print("| network | | tokens/s | ratio, median (range) | goal |\n|---|---|---|---|---|")
    for case in CASES:
        compare(case)


if __name__ == "__main__":
    main()
