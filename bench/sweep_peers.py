"""One search, two ways: `searchlab` against Optuna with scikit-learn's MLPClassifier and cross_val_score.

The digits, 5 folds, 20 epochs, plain SGD; hidden 32, 64 or 128, batch 32, 64 or 128, learning rate 0.01 to 1. Two
processes on both sides, one BLAS thread each. Seconds are from the first ask to the last finish: starting Ray is not
counted, nor is importing scikit-learn; MLflow's record is kept on this side and none on the other.

    python -m bench.sweep_peers [--trials 40 200] [--rounds 3]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from dataclasses import replace

import bench.timing  # noqa: F401  # first: it sets one BLAS thread  # isort: skip

import optuna
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold as SklearnKFold
from sklearn.model_selection import cross_val_score
from sklearn.neural_network import MLPClassifier

from models.mlp import MLP
from searchlab import SGD, Accuracy, Choice, Digits, Float, Halving, KFold, NoPruning, Space, Sweep, Trainer
from searchlab.pruning.pruner import Pruner
from searchlab.runner.run import run
from searchlab.runs.trials import ranked

EPOCHS = 20
SWEEP = Sweep(
    name="peers",
    data=Digits(),
    validation=KFold(5),
    metric=Accuracy(),
    model=Space(MLP, hidden=Choice(32, 64, 128)),
    optimizer=Space(SGD, lr=Float(0.01, 1.0, log=True)),
    training=Space(Trainer, batch_size=Choice(32, 64, 128), epochs=EPOCHS),
    trials=40,
)


def ours(trials: int, seed: int, pruner: Pruner) -> tuple[float, float]:
    """Search seconds and the best trial's accuracy after its last epoch."""
    with tempfile.TemporaryDirectory() as home:
        result = run(replace(SWEEP, pruner=pruner), trials=trials, seed=seed, workers=2, home=home)
    seconds = max(trial.ended or 0.0 for trial in result.trials) - min(trial.started for trial in result.trials)
    best = max(statistics.mean(trial.curve.scores[-1]) for trial in ranked(result.trials, "max"))
    return seconds, best


def theirs(trials: int, seed: int) -> tuple[float, float]:
    """The same search as its documentation would have it written."""
    table = Digits().training()
    folds = SklearnKFold(5, shuffle=True, random_state=0)

    def objective(trial: optuna.Trial) -> float:
        network = MLPClassifier(
            (trial.suggest_categorical("hidden", [32, 64, 128]),),
            solver="sgd",
            alpha=0.0,
            momentum=0.0,
            batch_size=trial.suggest_categorical("batch_size", [32, 64, 128]),
            learning_rate_init=trial.suggest_float("lr", 0.01, 1.0, log=True),
            max_iter=EPOCHS,
            n_iter_no_change=EPOCHS,
            random_state=seed,
        )
        return float(cross_val_score(network, table.x, table.y, cv=folds, n_jobs=2).mean())

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    cross_val_score(MLPClassifier((2,), max_iter=1), table.x, table.y, cv=folds, n_jobs=2)  # its processes are up
    started = time.perf_counter()
    study.optimize(objective, n_trials=trials)
    return time.perf_counter() - started, study.best_value


def main() -> None:
    """Print both searches, in turns, for each number of trials."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[40, 200])
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=ConvergenceWarning)  # 20 epochs is what both are asked for
    for trials in asked.trials:
        print(f"{trials} trials, {asked.rounds} rounds in turn: seconds from the first ask to the last finish")
        ratios, pruned = [], []
        for seed in range(asked.rounds):
            (here, best_here), (there, best_there) = ours(trials, seed, NoPruning()), theirs(trials, seed)
            fewer, best_fewer = ours(trials, seed, Halving())
            ratios.append(there / here)
            pruned.append(there / fewer)
            print(
                f"  seed {seed}: searchlab {here:6.1f} (best {best_here:.4f})   pruning {fewer:6.1f} "
                f"({best_fewer:.4f})   scikit-learn {there:6.1f} ({best_there:.4f})   "
                f"{ratios[-1]:.1f} and {pruned[-1]:.1f} times",
                flush=True,
            )
        goal = "3" if trials < 200 else "7, better 10"
        print(f"  median {statistics.median(ratios):.1f} times; goal {goal}; pruning, {statistics.median(pruned):.1f}")


if __name__ == "__main__":
    main()
