"""Steps of the textbook's grid, measured: what a whole grid would take, in searchlab and, one by one, in PyTorch."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from statistics import fmean

from bench.textbook_sweep import FOLDS, points_by_structure, structure_of
from bench.timing import ROOT  # it sets one BLAS thread

import numpy as np  # isort: skip

from searchlab.backend import Device, to_host
from searchlab.data.batch import Batch
from searchlab.data.loaded import LoadedDataset
from searchlab.fusion.groups import build_trainer
from searchlab.space.domains import Scalar
from searchlab.space.sweep import Sweep
from searchlab.training import Trainer

Points = Sequence[Mapping[str, Scalar]]

WARM_UP_STEPS, STEPS_BETWEEN_WAITS = 2, 5
TORCH_PROCESSES = 2  # which measure at once, as they would train at once


def clock(device: Device) -> float:
    """Return seconds: of this process's processor time, or of the wall clock where a device computes."""
    return time.process_time() if device == "cpu" else time.perf_counter()


def trainer_of(sweep: Sweep, points: Points, data: LoadedDataset, device: Device) -> Trainer:
    """Return the trainer of these combinations of one structure, fused with their folds; the rows are on the device."""
    return build_trainer(sweep, points, data, sweep.validation.split(data), 0, device)


def epoch_seconds(trainer: Trainer, seconds: float) -> float:
    """Return the seconds of an epoch; steps are measured for about as many seconds as given."""
    return step_seconds(trainer, seconds) * trainer.steps_per_epoch + scoring_seconds(trainer)


def scoring_seconds(trainer: Trainer) -> float:
    """Return the seconds in which the held-out rows of all replicas are scored."""
    device = trainer.replicas.device
    started = clock(device)
    to_host(trainer.metric.measure(trainer.model, trainer.data.scoring_batches(trainer.split.held_out)))
    return clock(device) - started


def step_seconds(trainer: Trainer, seconds: float) -> float:
    """Return the seconds of a step with reading its batch, measured for about as many seconds as given."""
    batches = _endless_batches(trainer)
    _take_steps(trainer, islice(batches, WARM_UP_STEPS), seconds)
    return _take_steps(trainer, batches, seconds)


def _endless_batches(trainer: Trainer) -> Iterator[Batch]:
    while True:
        yield from trainer.data.training_batches(trainer.split, trainer.replicas, trainer.batch_size)


def _take_steps(trainer: Trainer, batches: Iterable[Batch], seconds: float) -> float:
    """Return the seconds of a step; a GPU is waited for after some steps."""
    device = trainer.replicas.device
    started, steps = clock(device), 0
    for batch in batches:
        loss, _ = trainer.step(batch)
        steps += 1
        if steps % STEPS_BETWEEN_WAITS == 0 or device == "cpu":
            to_host(loss)
            if clock(device) - started > seconds:
                break
    to_host(loss)
    return (clock(device) - started) / steps


def searchlab_seconds(sweep: Sweep, points: Points, fused: int, seconds: float) -> float:
    """Return the processor time in which all these combinations train on a CPU, from a sample of every structure.

    `fused` is the number of combinations that train side by side. The held-out rows are scored once: that takes the
    same time for every optimizer and batch size.
    """
    data, total, scoring = sweep.data.training(), 0.0, 0.0
    for group in points_by_structure(points).values():
        trainer = trainer_of(sweep, group[:fused], data, "cpu")
        with np.errstate(all="ignore"):
            step = step_seconds(trainer, seconds)
            scoring = scoring or scoring_seconds(trainer) / trainer.replicas.count
        total += (step * trainer.steps_per_epoch / len(group[:fused]) + FOLDS * scoring) * len(group)
    return total * sweep.training.arguments["epochs"]


def torch_seconds(python: str, sweep: Sweep, points: Points, rows: int, seconds: float) -> float:
    """Return the processor time in which PyTorch trains the networks of these combinations one by one."""
    hidden, epochs = sweep.model.arguments["hidden"], sweep.training.arguments["epochs"]
    command = [python, "-m", "bench.textbook_torch", "--seconds", str(seconds), "--rows", str(rows)]
    command += ["--hidden", *map(str, hidden)]
    processes = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(TORCH_PROCESSES)]
    outputs = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        sys.exit(f"PyTorch could not be measured with {python}.")
    measured = [json.loads(output.splitlines()[-1]) for output in outputs]
    train_rows, scoring = rows - rows // FOLDS, fmean(each["scoring"] for each in measured)
    total = 0.0
    for point in points:
        step = fmean(each["steps"][structure_of(point)] for each in measured)
        total += FOLDS * epochs * (step * (train_rows // int(point["training.batch_size"])) + scoring)
    return total
