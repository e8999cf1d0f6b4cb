"""Training steps of MLPs with Numba's kernels against NumPy's code, in turn in one process: `python -m bench.kernels`.

A step is a forward pass, the loss, a backward pass and an update on a batch that is in memory, of R fused networks, on
one thread. Recurrent networks are in bench/lm_torch.py.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import product

from bench.timing import in_turns, per_second, ratio_text  # first: it sets one BLAS thread

import numpy as np  # isort: skip

from bench.mlp_torch import fused_step
from searchlab.kernels import use_kernels
from searchlab.nn.activations import Relu, Sigmoid
from searchlab.optim import SGD, Adam

ROUNDS = 7
CASES = (  # sizes, activation, batch size, numbers R of networks, steps of one network in a round
    ((2, 10, 3), Sigmoid, 30, (1, 5, 25), 2000),
    ((64, 64, 10), Relu, 32, (1, 5, 25), 1000),
    ((64, 128, 10), Relu, 64, (1, 5, 25), 500),
    ((784, 100, 10), Relu, 100, (5,), 100),
    ((784, 1024, 512, 512, 512, 10), Relu, 256, (5,), 6),
)
SETTINGS = ((SGD, 0.0), (Adam, 0.0), (Adam, 0.2))  # the optimizer, and the rate of dropout


def step_rate(kernels: str, step: Callable[[], object], steps: int) -> Callable[[], float]:
    """Return a function that makes this many steps with these kernels, and returns how many it makes per second."""

    def rate() -> float:
        use_kernels(kernels)
        return per_second(lambda: [step() for _ in range(steps)], steps)

    return rate


def main() -> None:
    """Print the ratios, median and range."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    print("| network | R | optimizer | dropout | Numba / NumPy, median (range) |\n|---|---|---|---|---|")
    for sizes, activation, batch_size, counts, steps in CASES:
        for count, (optimizer, dropout) in product(counts, SETTINGS):
            steps_of_group = max(2, steps // max(1, count // 2))
            runs = {
                kernels: step_rate(
                    kernels, fused_step(sizes, activation, batch_size, count, optimizer, "cpu", dropout), steps_of_group
                )
                for kernels in ("numpy", "numba")
            }
            with np.errstate(all="ignore"):
                rates = in_turns(runs, ROUNDS)
            name = f"{'-'.join(map(str, sizes))}, batch {batch_size}"
            ratio = ratio_text(rates["numba"], rates["numpy"])
            print(f"| {name} | {count} | {optimizer.__name__} | {dropout} | {ratio} |", flush=True)


if __name__ == "__main__":
    main()
