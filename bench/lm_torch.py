"""Steps of recurrent language models against PyTorch, one thread each: `python -m bench.lm_torch`.

A step is a forward pass, softmax cross entropy, a backward pass, clipping to a joint norm, and an SGD update, on a
window that is in memory, with the same sizes on both sides. Rates are tokens per second; R fused networks count R
times. PyTorch is optional (pip install torch). OpenBLAS uses the kernels that OPENBLAS_CORETYPE names, or else those
that it chooses for the processor.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

from bench.timing import in_turns, per_second, ratio_text  # first: it sets one BLAS thread

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
CLIP_NORM = 0.25


@dataclass(frozen=True)
class Case:
    """A network, a window, the number of steps in a round, and the goals of the ratio by number of replicas."""

    vocabulary_size: int
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


def fused_step(case: Case, count: int) -> Callable[[], object]:
    """Return one training step of this many networks."""
    replicas = Replicas(list(range(count)))
    sizes = {"layers": case.layers, "hidden": case.hidden, "embed": case.hidden}
    model = RnnLM(replicas, case.vocabulary_size, dropout=case.dropout, tied=case.tied, **sizes)
    parameters = Parameters(model.named_parameters())
    optimizer, max_norm = SGD(parameters, replicas, lr=0.1), replicas.vector(CLIP_NORM)
    generator, shape = np.random.default_rng(0), (count, case.time, case.batch)
    x, y = (generator.integers(case.vocabulary_size, size=shape) for _ in range(2))
    batch = Batch(x, y)

    def step() -> None:
        model.forward(batch, None, train=True)
        parameters.reset_gradients()
        model.backward()
        clip_joint_norm(parameters.grads, max_norm)
        optimizer.update()

    return step


def torch_step(case: Case) -> Callable[[], object]:
    """Return one training step of the same network in PyTorch."""
    dropout_rate, hidden, vocabulary_size = case.dropout or 0.0, case.hidden, case.vocabulary_size
    embedding, dropout = torch.nn.Embedding(vocabulary_size, hidden), torch.nn.Dropout(dropout_rate)
    lstm = torch.nn.LSTM(hidden, hidden, case.layers, dropout=dropout_rate if case.layers > 1 else 0.0)
    output, cross_entropy = torch.nn.Linear(hidden, vocabulary_size), torch.nn.CrossEntropyLoss()
    if case.tied:
        output.weight = embedding.weight
    parameters = list(torch.nn.ModuleList([embedding, lstm, output]).parameters())
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    x, y = (torch.randint(vocabulary_size, (case.time, case.batch)) for _ in range(2))

    def step() -> None:
        optimizer.zero_grad()
        h, _ = lstm(dropout(embedding(x)))
        cross_entropy(output(dropout(h)).reshape(-1, vocabulary_size), y.reshape(-1)).backward()
        torch.nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
        optimizer.step()

    return step


def token_rate(step: Callable[[], object], steps: int, tokens: int) -> Callable[[], float]:
    """Return a function that makes this many steps, of `tokens` tokens each, and returns the tokens per second."""
    return lambda: per_second(lambda: [step() for _ in range(steps)], steps * tokens)


def compare(case: Case) -> None:
    """Print the rows of a case."""
    tokens = case.batch * case.time
    runs = {"PyTorch": token_rate(torch_step(case), case.steps, tokens)}
    for r in case.goals:
        runs[f"R = {r}"] = token_rate(fused_step(case, r), max(1, case.steps // r), tokens * r)
    with np.errstate(all="ignore"):
        rates = in_turns(runs, ROUNDS)
    layers = f"{case.layers}x{case.hidden}{' tied' if case.tied else ''}"
    dropout = f", dropout {case.dropout}" if case.dropout else ""
    print(f"| V {case.vocabulary_size}, {layers}{dropout}, B {case.batch}, T {case.time} | PyTorch | ", end="")
    print(f"{np.median(rates['PyTorch']):,.0f} | 1 | |", flush=True)
    for r, goal in case.goals.items():
        fused = rates[f"R = {r}"]
        print(f"| | R = {r} | {np.median(fused):,.0f} | {ratio_text(fused, rates['PyTorch'])} | {goal} |", flush=True)


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
