"""What one more trial costs when it trains for no time: through the tune engine, in groups of one.

python -m bench.overhead
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

import bench.timing  # noqa: F401  # first: it sets one BLAS thread  # isort: skip

from models.mlp import MLP
from searchlab import SGD, Accuracy, Float, KFold, Space, Spiral, Sweep, Trainer
from searchlab.service import tune
from searchlab.service.job import Job
from searchlab.tracking.tracker import Buffer

FEW, MANY = 40, 240  # the marginal cost is the difference over the 200 between
ROOT = Path(__file__).parents[1]
SWEEP = Sweep(
    name="trivial",
    data=Spiral(points=4),
    validation=KFold(2),
    metric=Accuracy(),
    model=Space(MLP, hidden=2),
    optimizer=Space(SGD, lr=Float(0.01, 1.0, log=True)),
    training=Space(Trainer, batch_size=4, epochs=1),
    trials=MANY,
)


def search_seconds(trials: int, workers: int) -> float:
    """From the first ask to the last finish of this many trivial trials."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        job = Job(
            SWEEP, "trivial", place / "study.journal", place / "checkpoints", trials, fuse=1, workers=workers, root=ROOT
        )
        records = tune.search(job, Buffer())
    return max(record.ended or 0.0 for record in records) - min(record.started for record in records)


def main() -> None:
    """Print the marginal cost of a trial, for one worker and for two."""
    for workers in (1, 2):
        costs = [(search_seconds(MANY, workers) - search_seconds(FEW, workers)) / (MANY - FEW) for _ in range(3)]
        told = ", ".join(f"{1000 * cost:.1f}" for cost in costs)
        middle = 1000 * statistics.median(costs)
        print(f"{workers} worker(s): one more trivial trial costs {middle:.1f} ms ({told}); goal 20")


if __name__ == "__main__":
    main()
