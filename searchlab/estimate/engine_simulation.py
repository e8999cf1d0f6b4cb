"""The simulation of a search as an engine carries it out: `auto` begins with one worker, which may end the search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from searchlab.engine.auto import FIRST_ESTIMATE_SECONDS, MIN_REMAINING_SECONDS, RAY_START_SECONDS
from searchlab.estimate.simulation import SimulationConfig, SimulationResult, simulate
from searchlab.pruning.pruner import Pruner
from searchlab.runs.config import EngineName

# seconds until the first trial: Ray and the tracking store have to start
START_SECONDS: Mapping[EngineName, float] = {"auto": 1.0, "tune": 6.0, "local": 1.0}


def simulate_engine(engine: EngineName, config: SimulationConfig, pruner: Pruner) -> tuple[int, SimulationResult]:
    """Return on how many workers the engine ends a search, and what the simulated search takes.

    Args:
        engine: The engine; "auto" trains in this process until Ray has started, or the search has ended.
        config: The search, on all its workers.
        pruner: Its pruner.
    """
    result = simulate(config, pruner)
    if engine != "auto":
        return config.workers, result
    alone = simulate(replace(config, workers=1, cores_are_busy=False), pruner)
    if alone.seconds < FIRST_ESTIMATE_SECONDS + MIN_REMAINING_SECONDS:
        return 1, alone
    seconds_alone = FIRST_ESTIMATE_SECONDS + RAY_START_SECONDS
    return config.workers, replace(result, seconds=result.seconds + seconds_alone * (1 - 1 / config.workers))
