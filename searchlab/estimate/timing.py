"""What structures take, measured by as many processes as the search will have workers, all at the same time.

Workers slow each other down: they share caches and the way to memory. So a step is timed while the others time theirs,
in processes of the environment that workers have.
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

import cloudpickle
import numpy as np
from threadpoolctl import threadpool_limits

from searchlab.backend import Device
from searchlab.environment import worker_environment
from searchlab.errors import UserMistake, WorldFault
from searchlab.fusion.memory import Need, Needs
from searchlab.fusion.speed import Speed, Speeds, between, scoring_seconds
from searchlab.space.domains import Scalar
from searchlab.space.loader import MODULE_PREFIX
from searchlab.space.sweep import Sweep

SECONDS = 8.0  # after which a process begins with no other structure


@dataclass(frozen=True)
class Request:
    """What one process is asked: to measure structures, each by one of its points, in this order."""

    sweep: Sweep
    points: Sequence[Mapping[str, Scalar]]
    most: int  # trials side by side
    device: Device
    seconds: float


@dataclass(frozen=True)
class Answer:
    """What one process measured of its points: a sentence for one that cannot be built, None for one left out.

    `slowed` is how many times as long it took as it was at work: above 1 where others took the processor meanwhile.
    """

    found: Sequence[Timing | str | None]
    slowed: float


@dataclass(frozen=True)
class Timing:
    """What trials of one structure take: steps, an epoch's scoring by trials side by side, and memory."""

    speed: Speed
    scoring: Mapping[int, float]
    need: Need

    def epoch(self, trials: int) -> float:
        """Seconds of an epoch of so many trials side by side, trained and scored."""
        return self.speed.steps_per_epoch * self.speed.step(trials) + between(self.scoring, trials)


def measured(
    sweep: Sweep,
    points: Sequence[Mapping[str, Scalar]],
    *,
    most: int,
    workers: int,
    device: Device = "cpu",
    seconds: float = SECONDS,
) -> Answer:
    """The timing of each point's structure, in order, by so many processes at once.

    Raises WorldFault when a process dies.
    """
    shares = [points[start::workers] for start in range(workers)]
    shares = [share or points for share in shares]  # none idles: those to come will not either
    running = [_begin(Request(sweep, share, most, device, seconds)) for share in shares]
    answers = [_answer(process) for process in running]
    in_turn = chain.from_iterable(zip_longest(*(answer.found for answer in answers[: len(points)])))
    return Answer(list(in_turn)[: len(points)], statistics.fmean(answer.slowed for answer in answers))


def measure(request: Request) -> Answer:
    """Measure in this process, until the time is used up: at least one structure."""
    table = request.sweep.data.training()
    speeds = Speeds(request.sweep, table.on(request.device), request.device, share=math.inf, settle=statistics.median)
    needs = Needs(request.sweep, table, request.device)
    found: list[Timing | str | None] = []
    started, worked = time.perf_counter(), time.thread_time()
    for parameters in request.points:
        late = found and time.perf_counter() - started > request.seconds
        found.append(None if late else _timing(speeds, needs, parameters, request.most))
    whole, worked = time.perf_counter() - started, time.thread_time() - worked
    return Answer(found, max(1.0, whole / worked) if request.device == "cpu" else 1.0)


def _timing(speeds: Speeds, needs: Needs, parameters: Mapping[str, Scalar], most: int) -> Timing | str:
    try:
        speed = speeds.of(parameters, most)
        scoring = {}
        for trials in sorted({1, speed.best}):
            trainer = speeds.trainer(parameters, trials)
            rows = trainer.split[np.zeros(1, dtype=int)].held_out
            scoring[trials] = scoring_seconds(trainer, sum(1 for _ in trainer.data.scoring(rows)))
        return Timing(speed, scoring, needs.of(parameters))
    except WorldFault:
        raise
    except Exception as error:  # of a part that the user wrote
        return str(error) if isinstance(error, UserMistake) else f"{type(error).__name__}: {error}"


def _begin(request: Request) -> subprocess.Popen[bytes]:
    """A process at work on the request. What the sweep file itself defines goes along by value."""
    for name, module in list(sys.modules.items()):
        if name.startswith(MODULE_PREFIX):
            cloudpickle.register_pickle_by_value(module)
    environment = {**os.environ, **worker_environment(), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", "from searchlab.estimate.timing import main; main()"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    assert process.stdin
    process.stdin.write(cloudpickle.dumps(request))
    process.stdin.close()
    process.stdin = None
    return process


def _answer(process: subprocess.Popen[bytes]) -> Answer:
    told, _ = process.communicate()
    if process.returncode:
        raise WorldFault(f"a process that measured structures died with code {process.returncode}; nothing was begun.")
    answer: Answer = pickle.loads(told)
    return answer


def main() -> None:
    """Read a request on stdin and answer on stdout, which is nobody else's: what a model prints goes to stderr."""
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    request: Request = cloudpickle.load(sys.stdin.buffer)
    with threadpool_limits(1), answer:
        answer.write(pickle.dumps(measure(request)))
