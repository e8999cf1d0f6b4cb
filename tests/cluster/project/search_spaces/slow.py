"""A sweep whose epochs are slow but need no CPU; each node records that it trains."""

import os
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import ray
from models.small import Small

from searchlab import SGD, Accuracy, Float, Int, KFold, NoPruning, Space, Spiral, Sweep, Trainer
from searchlab.data import Examples


@dataclass(frozen=True)
class SlowSpiral:
    """Spiral points with epochs that take `pause` seconds longer."""

    pause: float = 0.05

    def training(self):
        data = Spiral(points=30).training()
        rows = SlowRows(data.x, data.y, data.outputs)
        rows.pause = self.pause
        return rows

    def testing(self):
        return Spiral(points=30).testing()


class SlowRows(Examples):
    """Rows whose epochs are slow."""

    pause = 0.0

    def training_batches(self, split, replicas, batch_size):
        batches = super().training_batches(split, replicas, batch_size)
        if not ray.is_initialized():  # the driver's check of the space before the search
            return batches
        home, pause = Path(os.environ["SEARCHLAB_HOME"]), self.pause
        with suppress(FileNotFoundError):  # a test makes epochs slower while it changes the cluster
            pause = float((home / "epoch_pause").read_text())
        time.sleep(pause)
        folder = home / "training_times"  # a file for each node
        folder.mkdir(exist_ok=True)
        with (folder / socket.gethostname()).open("a") as file:
            file.write(f"{time.time()}\n")
        return batches

    def to(self, device):
        return self


sweep = Sweep(
    name="slow",
    data=SlowSpiral(),
    validation=KFold(2),
    metric=Accuracy(),
    model=Space(Small, hidden=Int(5, 20, step=5)),
    optimizer=Space(SGD, lr=Float(0.1, 2.0, log=True)),
    training=Space(Trainer, batch_size=10, epochs=12),
    pruner=NoPruning(),
    trials=20,
)
