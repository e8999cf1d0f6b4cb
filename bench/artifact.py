"""Artifacts against PyTorch and ONNX Runtime: bytes, load time, predictions per second: `python -m bench.artifact`.

The networks are an MLP for MNIST and an LSTM language model with the sizes of Deep Learning from Scratch 2, untrained:
neither bytes nor rates depend on the weights. Everything runs on one thread. A prediction is a row of the MLP through
`Artifact.predict`, checks of the inputs included, or a token of the LSTM through `model.predict`. PyTorch and ONNX
Runtime are optional (pip install torch onnx onnxscript onnxruntime).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench.timing import in_turns, per_second, ratio_text  # first: it sets one BLAS thread

import numpy as np  # isort: skip

from models.mlp import MLP
from models.rnn_lm import RnnLM
from searchlab import artifact
from searchlab.data import Batch
from searchlab.nn import Parameters, Replicas

try:
    import onnxruntime
    import torch
except ImportError:
    torch = None

ROUNDS = 9
FEATURES, HIDDEN, CLASSES = 784, 256, 10
WORDS, STATE, STEPS = 10_000, 100, 35
SECONDS = 0.2  # of predictions in a round


@dataclass(frozen=True, eq=False)
class Network:
    """A network in all three formats.

    Attributes:
        name: Its name in the table.
        model: The class in this project.
        sizes: Sizes of the data.
        arguments: Arguments of the class.
        module: The same network in PyTorch.
        inputs: Returns the inputs of a batch size for PyTorch and ONNX, as an array.
        unit: What is counted, and how many of them a batch has for each of its rows.
    """

    name: str
    model: Callable[..., Any]
    sizes: tuple[int, ...]
    arguments: dict[str, Any]
    module: Any
    inputs: Callable[[int], np.ndarray]
    unit: tuple[str, int]


def networks() -> list[Network]:
    """Return the networks."""
    generator = np.random.default_rng(0)
    mlp = torch.nn.Sequential(torch.nn.Linear(FEATURES, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, CLASSES))
    return [
        Network(
            f"MLP {FEATURES}-{HIDDEN}-{CLASSES}", MLP, (FEATURES, CLASSES), {"hidden": HIDDEN}, mlp,
            lambda rows: generator.random((rows, FEATURES), np.float32), ("rows", 1),
        ),
        Network(
            f"LSTM {STATE}, {WORDS:,} words", RnnLM, (WORDS,), {"hidden": STATE, "embed": STATE}, language_model(),
            lambda rows: generator.integers(WORDS, size=(STEPS, rows)), ("tokens", STEPS),
        ),
    ]  # fmt: skip


def language_model() -> Any:
    """Return the language model in PyTorch."""

    class LanguageModel(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(WORDS, STATE)
            self.lstm, self.output = torch.nn.LSTM(STATE, STATE), torch.nn.Linear(STATE, WORDS)

        def forward(self, x: Any) -> Any:
            return self.output(self.lstm(self.embedding(x))[0])

    return LanguageModel()


def write(network: Network, folder: Path) -> dict[str, int]:
    """Write the network in every format, and return the bytes of each."""
    model = network.model(Replicas([0]), *network.sizes, **network.arguments)
    weights = {name: value[0] for name, value in Parameters(model.named_parameters()).state().items()}
    artifact.save(folder / "float16", weights, network.model, network.arguments, network.sizes, metadata={})
    torch.save(network.module.state_dict(), folder / "model.pt")
    example = torch.from_numpy(network.inputs(2))
    dynamic = ({0 if network.model is MLP else 1: torch.export.Dim("batch")},)  # (B, F), or (T, B)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of PyTorch's own code
        torch.onnx.export(
            network.module.eval(), (example,), folder / "model.onnx", dynamic_shapes=dynamic, verbose=False
        )
    onnx = sum(path.stat().st_size for path in folder.glob("model.onnx*"))
    return {"artifact": size_of(folder / "float16"), "PyTorch": (folder / "model.pt").stat().st_size, "ONNX": onnx}


def size_of(folder: Path) -> int:
    """Return the bytes of the files of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def loaders(network: Network, folder: Path) -> dict[str, Callable[[], Any]]:
    """Return what loads the network, by format."""

    def load_torch() -> Any:
        network.module.load_state_dict(torch.load(folder / "model.pt", weights_only=True))
        return network.module.eval()

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return {
        "artifact": partial(artifact.load, folder / "float16"),
        "PyTorch": load_torch,
        "ONNX": lambda: onnxruntime.InferenceSession(folder / "model.onnx", options),
    }


def predictors(network: Network, folder: Path, rows: int) -> dict[str, Callable[[], Any]]:
    """Return what predicts one batch, by format."""
    loaded = {name: load() for name, load in loaders(network, folder).items()}
    x = network.inputs(rows)
    saved, session, tensor = loaded["artifact"], loaded["ONNX"], torch.from_numpy(x)
    feed = {session.get_inputs()[0].name: x}

    def predict_torch() -> Any:
        with torch.inference_mode():
            return network.module(tensor)

    if network.model is MLP:
        predict: Callable[[], Any] = partial(saved.predict, x)
    else:
        predict = partial(saved.model.predict, Batch(x[None], x[None]))  # (1, T, B)
    return {"artifact": predict, "PyTorch": predict_torch, "ONNX": lambda: session.run(None, feed)}


def repeated(work: Callable[[], Any], amount: float) -> Callable[[], float]:
    """Return a function that repeats the work for a while, and returns how much of `amount` it does per second."""
    started = time.perf_counter()
    work()
    repeats = max(1, int(SECONDS / (time.perf_counter() - started)))
    return lambda: per_second(lambda: [work() for _ in range(repeats)], amount * repeats)


def main() -> None:
    """Print both tables."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    if torch is None:
        sys.exit("skipped: PyTorch or ONNX Runtime is not installed (pip install torch onnx onnxscript onnxruntime)")
    torch.set_num_threads(1)
    print("| network | format | bytes | of float32 in PyTorch | load, ms |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary, np.errstate(all="ignore"):
        folders = {network: Path(temporary, network.model.__name__) for network in networks()}
        for network, folder in folders.items():
            folder.mkdir()
            sizes = write(network, folder)
            rates = in_turns({n: repeated(load, 1.0) for n, load in loaders(network, folder).items()}, ROUNDS)
            for name, size in sizes.items():
                share, seconds = size / sizes["PyTorch"], 1000 / np.median(rates[name])
                print(f"| {network.name} | {name} | {size:,} | {share:.0%} | {seconds:.2f} |", flush=True)
        print("\n| network | batch | format | per second | artifact / it, median (range) |\n|---|---|---|---|---|")
        for network, folder in folders.items():
            for rows in (1, 256):
                compare(network, folder, rows)


def compare(network: Network, folder: Path, rows: int) -> None:
    """Print the rows of a network and a batch size."""
    unit, each = network.unit
    work = predictors(network, folder, rows)
    rates = in_turns({name: repeated(predict, rows * each) for name, predict in work.items()}, ROUNDS)
    for name, measured in rates.items():
        ratio = "" if name == "artifact" else ratio_text(rates["artifact"], measured)
        print(f"| {network.name} | {rows} | {name} | {np.median(measured):,.0f} {unit} | {ratio} |", flush=True)


if __name__ == "__main__":
    main()
