"""Steps of recurrent language models against PyTorch, one thread each: `python -m bench.lm_torch [cpu|cuda]`.

A step is a forward pass, softmax cross entropy, a backward pass, clipping to a joint norm, and an SGD update, on a
window that is in memory, with the same sizes on both sides. Rates are tokens per second; R fused networks count R
times. PyTorch is optional (pip install torch). OpenBLAS uses the kernels that OPENBLAS_CORETYPE names, or else those
that it chooses for the processor; SEARCHLAB_KERNELS=numba computes with those of Numba. MLPs as ensembles of torch.func
follow.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass

from bench.timing import in_turns, per_second, ratio_text  # first: it sets one BLAS thread

import numpy as np  # isort: skip

from bench.torch_ensembles import print_ensembles
from models.rnn_lm import RnnLM
from searchlab.backend import to_device, to_host, unavailable_reason
from searchlab.data import Batch
from searchlab.kernels import kernel_set
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
    cell: str = "lstm"

    def flop_per_token(self) -> float:
        """Return the operations of the matrix products of a step, divided by its tokens."""
        gates, tokens = {"lstm": 4, "gru": 3}[self.cell], self.batch * self.time
        rows = self.vocabulary_size if self.dropout is None and tokens > self.vocabulary_size else tokens
        recurrent = gates * self.hidden**2
        inputs = recurrent * (rows / tokens + self.layers - 1)  # each word, or each input, is multiplied once
        return 6.0 * (recurrent * self.layers + inputs + self.hidden * self.vocabulary_size)


CASES = (
    Case(10_000, 650, 2, 0.5, True, 20, 35, 1, {1: 1.0}),
    Case(10_000, 100, 1, None, False, 20, 35, 4, {1: 1.3}),
    Case(60, 64, 1, None, False, 16, 30, 80, {1: 1.3, 20: 2.0}),
    Case(13, 128, 1, None, False, 128, 29, 8, {1: 1.3}),
    Case(60, 64, 1, None, False, 16, 30, 80, {1: 1.3, 20: 2.0}, cell="gru"),
)


def fused_step(case: Case, count: int, device: str) -> Callable[[], object]:
    """Return one training step of this many networks, which returns their losses on the device."""
    replicas = Replicas(list(range(count)), device=device)
    sizes = {"layers": case.layers, "hidden": case.hidden, "embed": case.hidden}
    model = RnnLM(replicas, case.vocabulary_size, cell=case.cell, dropout=case.dropout, tied=case.tied, **sizes)
    parameters = Parameters(model.named_parameters())
    optimizer, max_norm = SGD(parameters, replicas, lr=0.1), replicas.vector(CLIP_NORM)
    generator, shape = np.random.default_rng(0), (count, case.time, case.batch)
    x, y = (to_device(generator.integers(case.vocabulary_size, size=shape), device) for _ in range(2))
    batch = Batch(x, y)

    def step() -> object:
        loss = model.forward(batch, None, train=True)[0]
        parameters.reset_gradients()
        model.backward()
        clip_joint_norm(parameters.grads, max_norm)
        optimizer.update()
        return loss

    return step


def torch_step(case: Case, device: str) -> Callable[[], object]:
    """Return one training step of the same network in PyTorch, which returns its loss on the device."""
    dropout_rate, hidden, vocabulary_size = case.dropout or 0.0, case.hidden, case.vocabulary_size
    embedding, dropout = torch.nn.Embedding(vocabulary_size, hidden), torch.nn.Dropout(dropout_rate)
    kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[case.cell]
    recurrent = kind(hidden, hidden, case.layers, dropout=dropout_rate if case.layers > 1 else 0.0)
    output, cross_entropy = torch.nn.Linear(hidden, vocabulary_size), torch.nn.CrossEntropyLoss()
    if case.tied:
        output.weight = embedding.weight
    parameters = list(torch.nn.ModuleList([embedding, recurrent, output]).to(device).parameters())
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    x, y = (torch.randint(vocabulary_size, (case.time, case.batch), device=device) for _ in range(2))

    def step() -> object:
        optimizer.zero_grad()
        h, _ = recurrent(dropout(embedding(x)))
        loss = cross_entropy(output(dropout(h)).reshape(-1, vocabulary_size), y.reshape(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
        optimizer.step()
        return loss.detach()

    return step


def token_rate(step: Callable[[], object], steps: int, tokens: int, copy_to_host: Callable) -> Callable[[], float]:
    """Return a function that makes this many steps, of `tokens` tokens each, and returns the tokens per second.

    `copy_to_host` copies the last loss to the host, which waits until the device has finished all steps.
    """
    return lambda: per_second(lambda: copy_to_host([step() for _ in range(steps)][-1]), steps * tokens)


def compare(case: Case, device: str, peak: float) -> None:
    """Print the rows of a case; `peak` is the operations per second of a large matrix product, 0 if not known."""
    tokens = case.batch * case.time
    steps = case.steps if device == "cpu" else 20
    goals = case.goals if device == "cpu" else dict.fromkeys((1, 5, 25), "")
    runs = {"PyTorch": token_rate(torch_step(case, device), steps, tokens, lambda loss: loss.cpu())}
    for r in goals:
        runs[f"R = {r}"] = token_rate(fused_step(case, r, device), max(1, steps // r), tokens * r, to_host)
    with np.errstate(all="ignore"):
        rates = in_turns(runs, ROUNDS)
    layers = f"{case.cell} {case.layers}x{case.hidden}{' tied' if case.tied else ''}"
    dropout = f", dropout {case.dropout}" if case.dropout else ""
    print(f"| V {case.vocabulary_size}, {layers}{dropout}, B {case.batch}, T {case.time} | PyTorch | ", end="")
    print(f"{np.median(rates['PyTorch']):,.0f} | 1 | | {_reached(case, rates['PyTorch'], peak)} |", flush=True)
    for r, goal in goals.items():
        fused = rates[f"R = {r}"]
        ratio, reached = ratio_text(fused, rates["PyTorch"]), _reached(case, fused, peak)
        print(f"| | R = {r} | {np.median(fused):,.0f} | {ratio} | {goal} | {reached} |", flush=True)


def _reached(case: Case, rates: np.ndarray, peak: float) -> str:
    """Return the operations per second in matrix products, and their share of the peak, as text."""
    reached = float(np.median(rates)) * case.flop_per_token()
    return f"{reached / 1e9:.1f} GFLOP/s, {reached / peak:.0%}" if peak else ""


def blas_peak() -> float:
    """Return the operations per second of NumPy's product of two large matrices: the best of ten."""
    a = np.ones((1024, 1024), np.float32)
    return max(per_second(lambda: a @ a, 2.0 * 1024**3) for _ in range(10))


def print_kernels() -> None:
    """Print which of their kernels NumPy's and PyTorch's matrix products use."""
    from threadpoolctl import threadpool_info

    kernels = {info.get("architecture") for info in threadpool_info() if info["internal_api"] == "openblas"}
    print(f"searchlab's kernels: {kernel_set(is_recurrent=True)}; ", end="")
    print(f"OpenBLAS': {', '.join(map(str, kernels))}; PyTorch's: {torch.backends.cpu.get_cpu_capability()}\n")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("device", nargs="?", choices=["cpu", "cuda"], default="cpu")
    device = parser.parse_args().device
    if torch is None:
        sys.exit("skipped: PyTorch is not installed (pip install torch)")
    if reason := unavailable_reason(device):
        sys.exit(f"skipped: {reason}")
    torch.set_num_threads(1)
    if device == "cpu":
        print_kernels()
    peak = blas_peak() if device == "cpu" else 0.0
    print("| network | | tokens/s | ratio, median (range) | goal | matrix products |\n|---|---|---|---|---|---|")
    for case in CASES:
        compare(case, device, peak)
    print_ensembles(device)


if __name__ == "__main__":
    main()
