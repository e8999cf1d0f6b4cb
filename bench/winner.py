"""What running the best trials again is worth, in simulated searches: `python -m bench.winner [--record]`.

bench/recorded/digits-seeds.npz holds configurations that were each trained with many seeds; --record makes it, in ten
minutes. A simulated search draws some of them, sees one seed of each, and prunes by the default pruner. It chooses its
winner by the scores of that seed, or among finalists by those of fresh seeds too. The true score of a configuration is
the mean over the seeds that no choice has seen, after the epoch that the search found best; the regret of a choice is
the true score that it lacks to the best of the candidates.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import bench.timing  # noqa: F401  # first: it sets one BLAS thread  # isort: skip

import numpy as np

from bench.recordings import DIGITS, FOLDER
from searchlab import Halving, NoPruning, Refit
from searchlab.backend import Array
from searchlab.data.repeated import Repeated
from searchlab.engine import local
from searchlab.metrics import Goal
from searchlab.pruning.replay import replay
from searchlab.results.finalists import Finalist, affordable_runs, rank_finalists
from searchlab.runs.config import RunConfig
from searchlab.runs.events import NullHandler
from searchlab.runs.job import Job
from searchlab.space.constraints import count_weights

FILE = FOLDER / "digits-seeds.npz"
TRIALS, SEEDS = 240, 12  # of the recording
SEARCHES, SEARCH_TRIALS = 1000, 60
RULES = {  # by name, beside the default
    "Refit()": Refit(),
    "Refit(2, 1)": Refit(2, 1, max_cost=9.0),
    "Refit(3, 1)": Refit(3, 1, max_cost=9.0),
    "Refit(3, 3)": Refit(3, 3, max_cost=9.0),
    "Refit(5, 3)": Refit(5, 3, max_cost=9.0),
}
MAX_FRESH = 3  # fresh seeds for finalists
HELD_OUT_RATIO = 0.25  # held-out rows by training rows, of five folds


@dataclass(frozen=True)
class Search:
    """One simulated search.

    Attributes:
        ranked: The complete trials, best first, as rows of the recording.
        epochs: The best epoch of each of them, from 1.
        seed: The seed that the search has seen.
        fresh: Other seeds, for finalists.
        unseen: The seeds that are left, for the truth.
        trained: Number of epochs that the search trained.
    """

    ranked: Array
    epochs: Array
    seed: int
    fresh: Array
    unseen: Array
    trained: int


def record() -> None:
    """Train every configuration with every seed, without pruning, and save scores (trials, seeds, epochs, folds)."""
    folds = DIGITS.validation.folds
    sweep = replace(DIGITS, validation=Repeated(DIGITS.validation, SEEDS), trials=TRIALS, pruner=NoPruning())
    with tempfile.TemporaryDirectory() as folder:
        config = RunConfig(workers=1, fuse=1)
        job = Job(sweep, sweep.name, Path(folder, "study.journal"), Path(folder, "checkpoints"), TRIALS, config=config)
        trials = local.search(job, NullHandler()).trials
    scores = [np.array(trial.curve.scores, np.float32).reshape(-1, SEEDS, folds).swapaxes(0, 1) for trial in trials]
    sizes = job.rows.load().sizes
    weights = [count_weights(sweep, trial.parameters, sizes) for trial in trials]
    np.savez_compressed(FILE, scores=np.stack(scores), weights=weights)


def simulate(scores: Array, goal: Goal, generator: np.random.Generator) -> Search:
    """Search some of the configurations with one seed."""
    rows, seeds = generator.permutation(len(scores))[:SEARCH_TRIALS], generator.permutation(scores.shape[1])
    seed, fresh, unseen = seeds[0], seeds[1 : 1 + MAX_FRESH], seeds[1 + MAX_FRESH :]
    curves = dict(enumerate(scores[rows, seed].astype(np.float64)))
    result = replay(curves, goal, Halving(), list(curves), 1)
    means = scores[rows, seed].mean(axis=2)  # (trials, epochs)
    complete = np.array([row for row in curves if row not in result.stopped])
    order = np.argsort(-means[complete].max(axis=1), kind="stable")
    ranked = complete[order]
    return Search(rows[ranked], means[ranked].argmax(axis=1) + 1, seed, fresh, unseen, result.epochs)


def choices(search: Search, scores: Array, weights: Array) -> Iterator[tuple[str, int, int]]:
    """Yield the name of each way to choose, the place of its choice in the ranking, and the epochs that it costs."""
    yield "best of the search", 0, 0
    for name, rule in RULES.items():
        candidates = min(rule.finalists, len(search.ranked))
        count, seeds = affordable_runs(rule, search.epochs[:candidates].tolist(), search.trained)
        finalists = []
        for place in range(count):
            row, epoch = search.ranked[place], search.epochs[place] - 1
            known, fresh = scores[row, search.seed, epoch], scores[row, search.fresh[:seeds], epoch]
            finalists.append(Finalist(place, float(known.mean()), known.tolist(), fresh.tolist(), int(weights[row])))
        cost = seeds * int(search.epochs[:count].sum())
        ranked = rank_finalists(finalists, "max", HELD_OUT_RATIO)
        best = max(ranked, key=lambda finalist: float(finalist.all_scores.mean()))
        yield name, ranked[0].trial, cost
        yield f"{name}, best mean even where tied", best.trial, cost


def main() -> None:
    """Simulate the searches, and print the regret and the cost of each way to choose."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true", help="train all configurations again, in ten minutes")
    if parser.parse_args().record:
        record()
    recorded = np.load(FILE)
    scores, weights = recorded["scores"], recorded["weights"]
    regrets: dict[str, list[float]] = {}
    costs: dict[str, list[float]] = {}
    sizes: dict[str, list[int]] = {}
    for number in range(SEARCHES):
        search = simulate(scores, "max", np.random.default_rng(number))
        places = search.ranked[:, None], search.unseen, search.epochs[:, None] - 1
        truth = scores[places].mean(axis=(1, 2))  # (candidates,)
        for name, place, cost in choices(search, scores, weights):
            regrets.setdefault(name, []).append(float(truth.max() - truth[place]))
            costs.setdefault(name, []).append(cost / search.trained)
            sizes.setdefault(name, []).append(int(weights[search.ranked[place]]))
    plain = np.array(regrets["best of the search"])
    for name, values in regrets.items():
        gain = plain - np.array(values)
        error = gain.std(ddof=1) / len(gain) ** 0.5
        text = f"{name:45} regret {np.mean(values):.5f}, better by {gain.mean():+.5f} ± {error:.5f}, "
        print(f"{text}{np.mean(costs[name]):6.1%} more epochs, {np.mean(sizes[name]):,.0f} weights")


if __name__ == "__main__":
    main()
