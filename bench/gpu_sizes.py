"""The sizes of bench.gpu: those that a GPU is measured with, and tiny ones with which a CPU runs the same code."""

from __future__ import annotations

from dataclasses import dataclass

import bench.timing  # noqa: F401  # first: it sets one BLAS thread  # isort: skip

import numpy as np

from bench.lm_torch import CASES, Case
from bench.mlp_torch import DEEP
from bench.textbook_sweep import BATCH_SIZES, EPOCHS
from searchlab.backend import Device, xp_for_device
from searchlab.data import Dataset, Examples, Mnist
from searchlab.data.download import no_downloads
from searchlab.errors import WorldFault


@dataclass(frozen=True)
class Sizes:
    """What is measured, on which device.

    Attributes:
        device: The device.
        tests: Arguments of pytest.
        mlp: Sizes of the layers of the deep MLP.
        mlp_batch: Its batch size, where folds are compared.
        lm: The large language model.
        small_lm: The small LSTM.
        fused_lms: How many small LSTMs train fused.
        steps: Training steps of a round.
        rounds: Rounds that are measured.
        data: Images of the grid.
        real_data: Whether these are MNIST's; otherwise they are random, and no score means anything.
        epochs: Epochs of the grid.
        batch_sizes: Batch sizes of the grid.
        sample_seconds: How long the steps of a group of the grid are measured.
    """

    device: Device
    tests: tuple[str, ...]
    mlp: tuple[int, ...]
    mlp_batch: int
    lm: Case
    small_lm: Case
    fused_lms: int
    steps: int
    rounds: int
    data: Dataset
    real_data: bool
    epochs: int
    batch_sizes: tuple[int, ...]
    sample_seconds: float


@dataclass(frozen=True)
class RandomImages:
    """Random images of MNIST's size with random classes."""

    rows: int

    def training(self) -> Examples:
        """Return the images."""
        generator = np.random.default_rng(0)
        x = generator.random((self.rows, 784), dtype=np.float32)
        return Examples(x, generator.integers(10, size=self.rows), outputs=10)

    def testing(self) -> Examples:
        """Return the same images: nothing is tested on them."""
        return self.training()


def full_sizes() -> Sizes:
    """Return the sizes for a GPU; where MNIST's files are missing, with random images in their place."""
    data, is_real = _mnist()
    return Sizes(
        device="cuda",
        tests=("-m", "gpu", "tests/test_gpu.py"),
        mlp=DEEP,
        mlp_batch=256,
        lm=CASES[0],
        small_lm=CASES[2],
        fused_lms=25,
        steps=20,
        rounds=7,
        data=data,
        real_data=is_real,
        epochs=EPOCHS,
        batch_sizes=BATCH_SIZES,
        sample_seconds=0.5,
    )


def tiny_sizes() -> Sizes:
    """Return sizes with which a CPU runs the same code in some seconds."""
    return Sizes(
        device="cpu",
        tests=("-k", "fake_cupy and arrays_move", "tests/test_gpu.py"),
        mlp=(784, 8, 8, 10),
        mlp_batch=16,
        lm=Case(30, 8, 2, 0.5, True, 4, 5, 1, {}),
        small_lm=Case(12, 4, 1, None, False, 4, 5, 1, {}),
        fused_lms=3,
        steps=2,
        rounds=1,
        data=RandomImages(100),
        real_data=True,
        epochs=1,
        batch_sizes=(16, 32),
        sample_seconds=0.0,
    )


def sizes_of(device: Device) -> Sizes:
    """Return the sizes for this device."""
    return tiny_sizes() if device == "cpu" else full_sizes()


def device_name(device: Device) -> str:
    """Return the name of the GPU, or "tiny sizes on a CPU"."""
    if device == "cpu":
        return "tiny sizes on a CPU"
    properties = xp_for_device(device).cuda.runtime.getDeviceProperties(0)
    return str(properties["name"].decode())


def _mnist() -> tuple[Dataset, bool]:
    """Return MNIST, or random images where its files are missing: a bare machine cannot download them."""
    try:
        with no_downloads():
            Mnist().training()
    except WorldFault:
        return RandomImages(60_000), False
    return Mnist(), True
