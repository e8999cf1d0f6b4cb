"""The cost of a proposal by number of trials, and what TPE finds when it reads only the best and the latest trials.

`python -m bench.samplers [SEEDS]`: a synthetic loss of six arguments, two of them conditional, with noise like that of
folds. All numbers are medians; times are CPU times of this process.
"""

import argparse
import statistics
import time
import warnings

import numpy as np
import optuna

from models.mlp import MLP
from searchlab import (
    SGD,
    TPE,
    Accuracy,
    Adam,
    Choice,
    CmaEs,
    Float,
    Int,
    KFold,
    Momentum,
    QuasiRandom,
    Random,
    Space,
    Spiral,
    Sweep,
    Trainer,
)
from searchlab.study import tpe_observations
from searchlab.study.samplers import SamplerFactory, suggest

TRIAL_COUNTS, QUALITY_TRIALS = (100, 500, 1000, 2000), 800
ALL_TRIALS = 10**9
OPTIMIZERS = {  # the best log10 learning rate, and the loss there
    "SGD": (-1.0, 0.03),
    "Momentum": (-2.0, 0.01),
    "Adam": (-2.7, 0.0),
}

sweep = Sweep(
    name="samplers",
    data=Spiral(),
    validation=KFold(5),
    metric=Accuracy(),
    model=Space(MLP, hidden=Choice(16, 32, 64, 128), layers=Int(1, 4), dropout=Float(0.0, 0.6)),
    optimizer=Choice(
        Space(SGD, lr=Float(1e-3, 10.0, log=True)),
        Space(Momentum, lr=Float(1e-4, 1.0, log=True), momentum=Float(0.5, 0.99)),
        Space(Adam, lr=Float(1e-5, 0.1, log=True)),
    ),
    training=Space(Trainer, batch_size=Choice(16, 32, 64, 128), epochs=20, clip_norm=Float(0.1, 10.0, log=True)),
    trials=max(TRIAL_COUNTS),
)


def loss_of(point):
    """Return the loss of a point without noise; 0 at the best point."""
    (best, floor), rate = OPTIMIZERS[point["optimizer"]], point[f"optimizer.{point['optimizer']}.lr"]
    momentum = point.get("optimizer.Momentum.momentum", 0.9)
    width = abs(np.log2(point["model.hidden"]) - 6) + abs(point["model.layers"] - 2)
    ends = (point["model.dropout"] - 0.2) ** 2 + 0.05 * np.log10(point["training.clip_norm"] / 2.0) ** 2
    together = (np.log10(rate) - best - 0.3 * np.log2(point["training.batch_size"] / 32)) ** 2
    return floor + 0.02 * width + ends + 0.1 * together + 0.2 * (momentum - 0.9) ** 2


def search(sampler, seed, trials):
    """Return the seconds of each proposal, and the loss of the point that is best with noise."""
    factory, noise = SamplerFactory(sweep.with_values({"sampler": sampler}), seed), np.random.default_rng(seed)
    study, seconds, points = optuna.create_study(), [], []
    for number in range(trials):
        started = time.process_time()
        study.sampler = factory.create(number, {})
        trial, point = study.ask(), {}
        sweep.suggest_configuration(lambda path, domain, t=trial, p=point: p.setdefault(path, suggest(t, path, domain)))
        seconds.append(time.process_time() - started)
        points.append(point)
        study.tell(trial, loss_of(point) + 0.003 * noise.standard_normal())
    return seconds, loss_of(points[study.best_trial.number])


def print_cost():
    print(f"{'milliseconds per proposal after':<34}" + "".join(f"{count:>8,}" for count in TRIAL_COUNTS))
    for sampler in (TPE(), CmaEs(), QuasiRandom(), Random()):
        seconds, _ = search(sampler, 0, max(TRIAL_COUNTS))
        milliseconds = [1000 * statistics.median(seconds[count - 50 : count]) for count in TRIAL_COUNTS]
        print(f"{type(sampler).__name__:<34}" + "".join(f"{value:8.1f}" for value in milliseconds), flush=True)


def print_quality(seeds):
    print(f"\nloss found in {QUALITY_TRIALS} trials, {seeds} seeds   median    worst   ms per proposal")
    for latest in (ALL_TRIALS, 600, 300, 100):
        tpe_observations.MAX_LATEST = latest
        searches = [search(TPE(), seed, QUALITY_TRIALS) for seed in range(seeds)]
        losses = [1000 * loss for _, loss in searches]
        cost = 1000 * statistics.median(searches[0][0][-50:])
        name = "TPE, all trials" if latest == ALL_TRIALS else f"TPE, best 25 and latest {latest}"
        print(f"{name:<34}{statistics.median(losses):8.2f} {max(losses):8.2f} {cost:11.1f}", flush=True)
    losses = [1000 * search(Random(), seed, QUALITY_TRIALS)[1] for seed in range(seeds)]
    print(f"{'Random':<34}{statistics.median(losses):8.2f} {max(losses):8.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("seeds", nargs="?", type=int, default=8)
    seeds = parser.parse_args().seeds
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print_cost()
    print_quality(seeds)
