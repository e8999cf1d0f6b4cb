"""What a draw costs after so many trials, and whether TPE finds less when it sees its best and latest trials alone.

`python bench/samplers.py [SEEDS]`: a made-up loss of six arguments, two of them conditional, with noise like that of
folds. All figures are medians; a second of CPU time is a second of this process.
"""

import statistics
import sys
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
from searchlab.study import tpe_history as history_file
from searchlab.study.samplers import Samplers, suggest

MARKS, QUALITY = (100, 500, 1000, 2000), 800
EVERYTHING = 10**9
OPTIMIZERS = {"SGD": (-1.0, 0.03), "Momentum": (-2.0, 0.01), "Adam": (-2.7, 0.0)}  # best log10 rate, and loss there

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
    trials=max(MARKS),
)


def loss_of(drawn):
    """Of a point, without noise: 0 at the best one."""
    (best, floor), rate = OPTIMIZERS[drawn["optimizer"]], drawn[f"optimizer.{drawn['optimizer']}.lr"]
    momentum = drawn.get("optimizer.Momentum.momentum", 0.9)
    width = abs(np.log2(drawn["model.hidden"]) - 6) + abs(drawn["model.layers"] - 2)
    ends = (drawn["model.dropout"] - 0.2) ** 2 + 0.05 * np.log10(drawn["training.clip_norm"] / 2.0) ** 2
    together = (np.log10(rate) - best - 0.3 * np.log2(drawn["training.batch_size"] / 32)) ** 2
    return floor + 0.02 * width + ends + 0.1 * together + 0.2 * (momentum - 0.9) ** 2


def search(sampler, seed, trials):
    """Seconds of each draw, and the loss of the point that seemed best."""
    samplers, noise = Samplers(sweep.with_values({"sampler": sampler}), seed), np.random.default_rng(seed)
    study, seconds, points = optuna.create_study(), [], []
    for number in range(trials):
        begun = time.process_time()
        study.sampler = samplers.of(number, {})
        trial, drawn = study.ask(), {}
        sweep.draw(lambda path, domain, t=trial, d=drawn: d.setdefault(path, suggest(t, path, domain)))
        seconds.append(time.process_time() - begun)
        points.append(drawn)
        study.tell(trial, loss_of(drawn) + 0.003 * noise.standard_normal())
    return seconds, loss_of(points[study.best_trial.number])


def tell_cost():
    print(f"{'milliseconds of a draw after':<34}" + "".join(f"{mark:>8,}" for mark in MARKS))
    for sampler in (TPE(), CmaEs(), QuasiRandom(), Random()):
        seconds, _ = search(sampler, 0, max(MARKS))
        figures = [1000 * statistics.median(seconds[mark - 50 : mark]) for mark in MARKS]
        print(f"{type(sampler).__name__:<34}" + "".join(f"{figure:8.1f}" for figure in figures), flush=True)


def tell_quality(seeds):
    print(f"\nloss found in {QUALITY} trials, {seeds} seeds   median    worst   ms a draw")
    for latest in (EVERYTHING, 600, 300, 100):
        history_file.LATEST = latest
        found = [search(TPE(), seed, QUALITY) for seed in range(seeds)]
        losses = [1000 * loss for _, loss in found]
        cost = 1000 * statistics.median(found[0][0][-50:])
        name = "TPE, all trials" if latest == EVERYTHING else f"TPE, best 25 and latest {latest}"
        print(f"{name:<34}{statistics.median(losses):8.2f} {max(losses):8.2f} {cost:11.1f}", flush=True)
    losses = [1000 * search(Random(), seed, QUALITY)[1] for seed in range(seeds)]
    print(f"{'Random':<34}{statistics.median(losses):8.2f} {max(losses):8.2f}")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    tell_cost()
    tell_quality(int(sys.argv[1]) if len(sys.argv) > 1 else 8)
