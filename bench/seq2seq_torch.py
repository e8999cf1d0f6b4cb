"""Steps of a sequence-to-sequence model against PyTorch, one thread each: `python -m bench.seq2seq_torch`.

The model is that of the addition of Deep Learning from Scratch 2, section 7.3: LSTM 128, embedding 16, 128 sums of 7
characters, whose 4 target characters count. A step is a forward pass, softmax cross entropy, a backward pass, clipping
to a joint norm, and Adam, with the same sizes on both sides. Rates are target tokens per second; R fused networks count
R times. PyTorch is optional (pip install torch).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from bench.timing import in_turns, per_second, ratio_text  # first: it sets one BLAS thread

import numpy as np  # isort: skip

from models.seq2seq import Seq2Seq
from searchlab.data import Batch
from searchlab.nn import Parameters
from searchlab.optim import Adam, clip_joint_norm
from searchlab.replicas import Replicas

try:
    import torch
except ImportError:
    torch = None

VOCABULARY, EMBED, HIDDEN, BATCH, SOURCE, TARGET = 13, 16, 128, 128, 7, 4
CLIP_NORM, ROUNDS, STEPS = 5.0, 9, 10
GOALS = {1: 1.0, 5: 1.3}  # by number of replicas


def fused_step(count: int) -> Callable[[], object]:
    """Return one training step of this many networks."""
    replicas = Replicas(list(range(count)))
    model = Seq2Seq(replicas, VOCABULARY, VOCABULARY, embed=EMBED, hidden=HIDDEN)
    parameters = Parameters(model.named_parameters())
    optimizer, max_norm = Adam(parameters, replicas), replicas.vector(CLIP_NORM)
    generator = np.random.default_rng(0)
    sources = generator.integers(VOCABULARY, size=(count, SOURCE, BATCH))
    inputs, targets = (generator.integers(VOCABULARY, size=(count, TARGET, BATCH)) for _ in range(2))
    batch = Batch(sources, targets, decoder_inputs=inputs)

    def step() -> object:
        loss = model.forward(batch, train=True)[0]
        parameters.reset_gradients()
        model.backward()
        clip_joint_norm(parameters.grads, max_norm)
        optimizer.update()
        return loss

    return step


def torch_step() -> Callable[[], object]:
    """Return one training step of the same network in PyTorch."""
    embeddings = [torch.nn.Embedding(VOCABULARY, EMBED) for _ in range(2)]
    encoder, decoder = (torch.nn.LSTM(EMBED, HIDDEN) for _ in range(2))
    output, cross_entropy = torch.nn.Linear(HIDDEN, VOCABULARY), torch.nn.CrossEntropyLoss()
    parameters = list(torch.nn.ModuleList([*embeddings, encoder, decoder, output]).parameters())
    optimizer = torch.optim.Adam(parameters)
    sources = torch.randint(VOCABULARY, (SOURCE, BATCH))
    inputs, targets = (torch.randint(VOCABULARY, (TARGET, BATCH)) for _ in range(2))

    def step() -> object:
        optimizer.zero_grad()
        _, (h, c) = encoder(embeddings[0](sources))
        states, _ = decoder(embeddings[1](inputs), (h, torch.zeros_like(c)))
        loss = cross_entropy(output(states).reshape(-1, VOCABULARY), targets.reshape(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
        optimizer.step()
        return loss.detach()

    return step


def token_rate(step: Callable[[], object], steps: int, count: int) -> Callable[[], float]:
    """Return a function that makes this many steps of `count` networks, and returns the target tokens per second."""
    return lambda: per_second(lambda: [step() for _ in range(steps)], steps * count * BATCH * TARGET)


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    if torch is None:
        sys.exit("skipped: PyTorch is not installed (pip install torch)")
    torch.set_num_threads(1)
    runs = {"PyTorch": token_rate(torch_step(), STEPS, 1)}
    runs |= {f"R = {count}": token_rate(fused_step(count), max(1, STEPS // count), count) for count in GOALS}
    rates = in_turns(runs, ROUNDS)
    print("| | target tokens/s | ratio, median (range) | goal |\n|---|---|---|---|")
    print(f"| PyTorch | {np.median(rates['PyTorch']):,.0f} | 1 | |")
    for count, goal in GOALS.items():
        fused = rates[f"R = {count}"]
        print(f"| R = {count} | {np.median(fused):,.0f} | {ratio_text(fused, rates['PyTorch'])} | {goal} |")


if __name__ == "__main__":
    main()
