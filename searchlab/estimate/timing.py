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
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import IO, cast

import cloudpickle
import numpy as np
from threadpoolctl import threadpool_limits

from searchlab.backend import Device
from searchlab.environment import worker_environment
from searchlab.errors import UserMistake, WorldFault
from searchlab.fusion.memory import MemoryModel, MemoryNeed, cost_key
from searchlab.fusion.speed import SpeedModel, SpeedProfile, interpolate_seconds, time_scoring
from searchlab.nn.import_paths import SWEEP_FILE_PREFIX
from searchlab.project import import_first_from
from searchlab.space.callbacks import without_callbacks
from searchlab.space.domains import ParameterValues
from searchlab.space.sweep import Sweep

TIME_LIMIT_SECONDS = 8.0  # after which a process measures nothing more
SINGLE_TRIAL_SHARE = 0.75  # of the time limit, for single trials of every structure, before trials side by side


@dataclass(frozen=True)
class TimingRequest:
    """What one process measures: structures, each given by one of its points, in this order.

    Attributes:
        sweep: The sweep of the points.
        points: One point of each structure.
        max_trials: Largest number of trials side by side.
        device: Device to train on.
        time_limit: Seconds after which nothing more is measured.
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
        has_group_sizes: Whether trials side by side were timed, as far as they gain; otherwise only one trial was.
    """

    speed: SpeedProfile
    scoring_seconds: Mapping[int, float]
    memory: MemoryNeed
    has_group_sizes: bool = True

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
    timer = _RequestTimer(request)
    wall_start, cpu_start = time.perf_counter(), time.thread_time()

    def is_late(share: float) -> bool:
        return time.perf_counter() - wall_start > share * request.time_limit

    timings: list[StructureTiming | str | None] = [None] * len(request.points)
    measured: list[int] = []
    for number, parameters in enumerate(request.points):
        if not measured or not is_late(SINGLE_TRIAL_SHARE):
            timings[number] = timer.measure(parameters, 1)
            measured += [number] if isinstance(timings[number], StructureTiming) else []
    for number in measured:
        if not is_late(1.0) or number == measured[0]:
            timings[number] = timer.measure(request.points[number], request.max_trials)
    wall_seconds, cpu_seconds = time.perf_counter() - wall_start, time.thread_time() - cpu_start
    return TimingReply(timings, max(1.0, wall_seconds / cpu_seconds) if request.device == "cpu" else 1.0)


class _RequestTimer:
    """What the measurements of one process share: the data, and what has been measured."""

    def __init__(self, request: TimingRequest) -> None:
        self.sweep, self.max_trials, self.data = request.sweep, request.max_trials, request.sweep.data.training()
        self.speeds = SpeedModel(
            request.sweep,
            self.data.to(request.device),
            request.device,
            measuring_share=math.inf,
            summarize=statistics.median,
        )
        self.memory = MemoryModel(request.sweep, self.data, request.device)
        self._scoring_seconds: dict[Hashable, float] = {}

    def measure(self, parameters: ParameterValues, max_trials: int) -> StructureTiming | str:
        """Return the timing of one structure, or a sentence where its parts cannot be built."""
        try:
            profile = self.speeds.profile(parameters, max_trials)
            sizes = sorted({1, profile.best_group_size})
            scoring_seconds = {trials: self._time_scoring(parameters, trials) for trials in sizes}
            memory = self.memory.measure(parameters)
            return StructureTiming(profile, scoring_seconds, memory, has_group_sizes=max_trials == self.max_trials)
        except WorldFault:
            raise
        except Exception as error:  # raised by a part that the user wrote
            return str(error) if isinstance(error, UserMistake) else f"{type(error).__name__}: {error}"

    def _time_scoring(self, parameters: ParameterValues, trials: int) -> float:
        """Return the seconds of scoring after an epoch; structures whose models are equal are timed once."""
        model = tuple(item for item in cost_key(self.sweep, parameters) if item[0].startswith("model"))
        if (model, trials) not in self._scoring_seconds:
            trainer = self.speeds.build_trainer(parameters, trials)
            held_out = trainer.split[np.zeros(1, dtype=int)].held_out
            # of the data itself: those of the trainer are standardized, for all of its replicas together
            batches = sum(1 for _ in self.data.scoring_batches(held_out))
            self._scoring_seconds[model, trials] = time_scoring(trainer, batches)
        return self._scoring_seconds[model, trials]


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
