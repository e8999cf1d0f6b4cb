"""Fused MLPs against an ensemble of PyTorch, `torch.func.stack_module_state` with `vmap`; bench.lm_torch prints it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise

from bench.mlp_torch import fused_step, step_rate  # first: it sets one BLAS thread
from bench.timing import in_turns, ratio_text

import numpy as np  # isort: skip

from searchlab.backend import to_host
from searchlab.nn import Relu
from searchlab.optim import SGD

try:
    import torch
except ImportError:
    torch = None

ROUNDS = 9
CASES = (((64, 64, 10), 32, 5, 100), ((64, 64, 10), 32, 20, 40), ((784, 100, 10), 100, 5, 20))  # ..., networks, steps


def ensemble_step(sizes: tuple, batch_size: int, networks: int, device: str) -> Callable[[], object]:
    """Return one training step by SGD of an ensemble in PyTorch, which returns its losses on the device."""
    layers = [layer for n_in, n_out in pairwise(sizes) for layer in (torch.nn.Linear(n_in, n_out), torch.nn.ReLU())]
    models = [torch.nn.Sequential(*copy.deepcopy(layers[:-1])).to(device) for _ in range(networks)]
    parameters, buffers = torch.func.stack_module_state(models)
    parameters = {name: value.detach() for name, value in parameters.items()}
    skeleton = copy.deepcopy(models[0]).to("meta")
    x = torch.rand(networks, batch_size, sizes[0], device=device)
    y = torch.randint(sizes[-1], (networks, batch_size), device=device)

    def loss(parameters: dict, buffers: dict, x: object, y: object) -> object:
        scores = torch.func.functional_call(skeleton, (parameters, buffers), (x,))
        return torch.nn.functional.cross_entropy(scores, y)

    gradients = torch.func.vmap(torch.func.grad_and_value(loss))

    def step() -> object:
        grads, losses = gradients(parameters, buffers, x, y)
        for name, value in parameters.items():
            value.sub_(grads[name], alpha=0.01)
        return losses

    return step


def print_ensembles(device: str) -> None:
    """Print a row for each case."""
    print("\n| MLPs, SGD | steps/s of torch.func | of searchlab | ratio, median (range) |\n|---|---|---|---|")
    for sizes, batch_size, networks, steps in CASES:
        ensemble = ensemble_step(sizes, batch_size, networks, device)
        fused = fused_step(sizes, Relu, batch_size, networks, SGD, device)
        runs = {
            "torch.func": step_rate(ensemble, steps, networks, lambda losses: losses.cpu()),
            "fused": step_rate(fused, steps, networks, to_host),
        }
        with np.errstate(all="ignore"):
            rates = in_turns(runs, ROUNDS)
        ratio = ratio_text(rates["fused"], rates["torch.func"])
        title = f"{'-'.join(map(str, sizes))}, batch {batch_size}, R = {networks}"
        medians = " | ".join(f"{np.median(rates[name]):,.0f}" for name in runs)
        print(f"| {title} | {medians} | {ratio} |", flush=True)
