"""Measurements of structures in as many processes as the search has workers, all at the same time.

Workers slow each other down: they share caches and memory bandwidth. So each process times steps while the others do
the same, with the environment variables of a worker.
"""

from __future__ import annotations

import math
import os
import pickle
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import IO, cast

import cloudpickle
import numpy as np
from threadpoolctl import threadpool_limits

from searchlab.backend import Device
from searchlab.data.loaded import LoadedDataset
from searchlab.environment import worker_environment
from searchlab.errors import UserMistake, WorldFault
from searchlab.fusion.memory import MemoryModel, MemoryNeed
from searchlab.fusion.speed import SpeedModel, SpeedProfile, interpolate_seconds, time_scoring
from searchlab.nn.import_paths import SWEEP_FILE_PREFIX
from searchlab.project import import_first_from
from searchlab.space.callbacks import without_callbacks
from searchlab.space.domains import ParameterValues
from searchlab.space.sweep import Sweep

TIME_LIMIT_SECONDS = 8.0  # after which a process measures no other structure


@dataclass(frozen=True)
class TimingRequest:
    """What one process measures: structures, each given by one of its points, in this order.

    Attributes:
        sweep: The sweep of the points.
        points: One point of each structure.
        max_trials: Largest number of trials side by side.
        device: Device to train on.
        time_limit: Seconds after which no other structure is measured.
    """

    sweep: Sweep
    points: Sequence[ParameterValues]
    max_trials: int
    device: Device
    time_limit: float


@dataclass(frozen=True)
class StructureTiming:
    """The cost of trials of one structure.

    Attributes:
        speed: Seconds of training steps.
        scoring_seconds: Seconds of scoring the held-out rows after an epoch, by trials side by side.
        memory: Memory of the replicas.
    """

    speed: SpeedProfile
    scoring_seconds: Mapping[int, float]
    memory: MemoryNeed

    def epoch_seconds(self, trials: int) -> float:
        """Return the seconds of an epoch with this many trials side by side, of training and scoring."""
        training = self.speed.steps_per_epoch * self.speed.seconds_per_step(trials)
        return training + interpolate_seconds(self.scoring_seconds, trials)


@dataclass(frozen=True)
class TimingReply:
    """The measurements of one process, or of all processes together.

    Attributes:
        timings: For each point its timing; a sentence where its structure cannot be built; None where it was left out.
        slowdown: Wall-clock time divided by CPU time; above 1 where other programs used the processor meanwhile.
    """

    timings: Sequence[StructureTiming | str | None]
    slowdown: float


def measure_in_processes(
    sweep: Sweep,
    points: Sequence[ParameterValues],
    *,
    max_trials: int,
    workers: int,
    device: Device = "cpu",
    time_limit: float = TIME_LIMIT_SECONDS,
) -> TimingReply:
    """Return the timing of each point's structure, in order, measured by this many processes at the same time.

    Raises:
        WorldFault: When a process dies.
    """
    shares = [points[start::workers] for start in range(workers)]
    shares = [share or points for share in shares]  # no process is idle, just as later no worker is
    sweep = without_callbacks(sweep)
    processes = [_start_process(TimingRequest(sweep, share, max_trials, device, time_limit)) for share in shares]
    replies = [_read_reply(process) for process in processes]
    timings = chain.from_iterable(zip_longest(*(reply.timings for reply in replies[: len(points)])))
    return TimingReply(list(timings)[: len(points)], statistics.fmean(reply.slowdown for reply in replies))


def measure_request(request: TimingRequest) -> TimingReply:
    """Measure in this process until the time limit, and at least one structure."""
    data = request.sweep.data.training()
    speeds = SpeedModel(
        request.sweep,
        data.to(request.device),
        request.device,
        measuring_share=math.inf,
        summarize=statistics.median,
    )
    memory = MemoryModel(request.sweep, data, request.device)
    timings: list[StructureTiming | str | None] = []
    wall_start, cpu_start = time.perf_counter(), time.thread_time()
    for parameters in request.points:
        is_late = timings and time.perf_counter() - wall_start > request.time_limit
        timings.append(None if is_late else _measure_structure(data, speeds, memory, parameters, request.max_trials))
    wall_seconds, cpu_seconds = time.perf_counter() - wall_start, time.thread_time() - cpu_start
    return TimingReply(timings, max(1.0, wall_seconds / cpu_seconds) if request.device == "cpu" else 1.0)


def _measure_structure(
    data: LoadedDataset, speeds: SpeedModel, memory: MemoryModel, parameters: ParameterValues, max_trials: int
) -> StructureTiming | str:
    """Return the timing of one structure, or a sentence where its parts cannot be built."""
    try:
        profile = speeds.profile(parameters, max_trials)
        scoring_seconds = {}
        for trials in sorted({1, profile.best_group_size}):
            trainer = speeds.build_trainer(parameters, trials)
            held_out = trainer.split[np.zeros(1, dtype=int)].held_out
            # of the data itself: those of the trainer are standardized, for all of its replicas together
            batches = sum(1 for _ in data.scoring_batches(held_out))
            scoring_seconds[trials] = time_scoring(trainer, batches)
        return StructureTiming(profile, scoring_seconds, memory.measure(parameters))
    except WorldFault:
        raise
    except Exception as error:  # raised by a part that the user wrote
        return str(error) if isinstance(error, UserMistake) else f"{type(error).__name__}: {error}"


def _start_process(request: TimingRequest) -> subprocess.Popen[bytes]:
    """Start a process that measures; what the sweep file itself defines is pickled by value."""
    for name, module in list(sys.modules.items()):
        if name.startswith(SWEEP_FILE_PREFIX):
            cloudpickle.register_pickle_by_value(module)
    environment = {**os.environ, **worker_environment(), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    code = "import sys; from searchlab.estimate.timing import main; main(sys.argv[1])"
    command = [sys.executable, "-c", code, sys.path[0]]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    with cast(IO[bytes], process.stdin) as stdin:
        stdin.write(cloudpickle.dumps(request))
    process.stdin = None
    return process


def _read_reply(process: subprocess.Popen[bytes]) -> TimingReply:
    output, _ = process.communicate()
    if process.returncode:
        raise WorldFault(
            f"a process that measured structures died with exit code {process.returncode}; no search was started, and "
            "the command can be repeated."
        )
    reply: TimingReply = pickle.loads(output)  # noqa: S301, written by this program's own process
    return reply


def main(first_on_path: str) -> None:
    """Read a request from stdin and write the reply to stdout; what a model prints goes to stderr."""
    import_first_from(Path(first_on_path or "."))  # as in the process that asks
    reply = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    request: TimingRequest = cloudpickle.load(sys.stdin.buffer)
    with threadpool_limits(1), reply:
        reply.write(pickle.dumps(measure_request(request)))
