"""Spirals whose every epoch takes a while, though no processor is busy; each node writes down that it trains."""

import os
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from models.small import Small

from searchlab import SGD, Accuracy, Float, Int, KFold, NoPruning, Space, Spiral, Sweep, Trainer
from searchlab.data import Examples


@dataclass(frozen=True)
class SlowSpiral:
    """The spirals, of which an epoch takes `pause` seconds longer."""

    pause: float = 0.05

    def training(self):
        table = Spiral(points=30).training()
        rows = SlowRows(table.x, table.y, table.outputs)
        rows.pause = self.pause
        return rows

    def testing(self):
        return Spiral(points=30).testing()


class SlowRows(Examples):
    """Rows that take their time."""

    pause = 0.0

    def epoch(self, split, replicas, batch_size):
        home, pause = Path(os.environ["SEARCHLAB_HOME"]), self.pause
        with suppress(FileNotFoundError):  # a test slows all down while it does something to the cluster
            pause = float((home / "pace").read_text())
        time.sleep(pause)
        seen = home / "seen"
        seen.mkdir(exist_ok=True)
        with (seen / socket.gethostname()).open("a") as file:
            file.write(f"{time.time()}\n")
        return super().epoch(split, replicas, batch_size)

    def on(self, device):
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
