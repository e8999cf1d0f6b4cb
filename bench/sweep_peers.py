"""The same search with searchlab, and with Optuna and scikit-learn's MLPClassifier and cross_val_score.

The digits, 5 folds, 20 epochs, plain SGD; hidden 32, 64 or 128, batch 32, 64 or 128, learning rate 0.01 to 1. Two
processes on both sides, one BLAS thread each. Seconds of a search run from the first trial requested to the last one
finished: they include neither the start of Ray nor the import of scikit-learn. Seconds of a whole command run from the
start of its process to its end, with imports; that of searchlab also runs the best trials again, tests the winner, and
writes artifact, figures and report. Only searchlab keeps a record in MLflow.

    python -m bench.sweep_peers [--trials 40 200] [--rounds 3] [--engine auto]
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

from bench.commands import command_seconds
from bench.peer_sweep import sweep
from searchlab import Digits, Halving, NoPruning
from searchlab.pruning.pruner import Pruner
from searchlab.runs.config import EngineName
from searchlab.runs.trials import ranked

EPOCHS = 20


def search_with_searchlab(trials: int, seed: int, pruner: Pruner, engine: EngineName) -> tuple[float, float]:
    """Return the seconds of the search, and the accuracy of the best trial after its last epoch."""
    with tempfile.TemporaryDirectory() as home:
        result = replace(sweep, pruner=pruner).run(trials=trials, seed=seed, workers=2, engine=engine, home=home)
    seconds = max(trial.ended or 0.0 for trial in result.trials) - min(trial.started for trial in result.trials)
    best = max(statistics.mean(trial.curve.scores[-1]) for trial in ranked(result.trials, "max"))
    return seconds, best


def search_with_sklearn(trials: int, seed: int) -> tuple[float, float]:
    """Return the same for Optuna and scikit-learn, used as their documentation shows."""
    data = Digits().training()
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
        return float(cross_val_score(network, data.x, data.y, cv=folds, n_jobs=2).mean())

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    cross_val_score(MLPClassifier((2,), max_iter=1), data.x, data.y, cv=folds, n_jobs=2)  # starts its processes
    started = time.perf_counter()
    study.optimize(objective, n_trials=trials)
    return time.perf_counter() - started, study.best_value


def searchlab_command(spec: str, trials: int, seed: int, engine: EngineName) -> float:
    """Return the seconds of `searchlab run` in a new home, with the default pruner."""
    with tempfile.TemporaryDirectory() as home:
        options = ["--trials", str(trials), "--seed", str(seed), "--workers", "2", "--engine", engine, "--home", home]
        return float(command_seconds(["-m", "searchlab.cli", "run", spec, *options])[0])


def compare_searches(trials: int, rounds: int, engine: EngineName) -> None:
    """Print the seconds of both searches seed by seed, and the median ratios."""
    print(f"{trials} trials, {rounds} seeds: seconds from the first trial requested to the last finished")
    ratios, pruning_ratios = [], []
    for seed in range(rounds):
        seconds, best = search_with_searchlab(trials, seed, NoPruning(), engine)
        sklearn_seconds, sklearn_best = search_with_sklearn(trials, seed)
        pruning_seconds, pruning_best = search_with_searchlab(trials, seed, Halving(), engine)
        ratios.append(sklearn_seconds / seconds)
        pruning_ratios.append(sklearn_seconds / pruning_seconds)
        print(
            f"  seed {seed}: searchlab {seconds:6.1f} (best {best:.4f})   pruning {pruning_seconds:6.1f} "
            f"({pruning_best:.4f})   scikit-learn {sklearn_seconds:6.1f} ({sklearn_best:.4f})   "
            f"{ratios[-1]:.1f} and {pruning_ratios[-1]:.1f} times",
            flush=True,
        )
    goal = "3" if trials < 200 else "7, better 10"
    medians = statistics.median(ratios), statistics.median(pruning_ratios)
    print(f"  median {medians[0]:.1f} times; goal {goal}; pruning, {medians[1]:.1f}")


def compare_commands(trials: int, rounds: int, engine: EngineName) -> None:
    """Print the seconds of both whole commands seed by seed, and the median ratio."""
    print(f"{trials} trials, {rounds} seeds: seconds of the whole command")
    ratios, digits = [], []
    for seed in range(rounds):
        seconds = searchlab_command("bench/peer_sweep.py", trials, seed, engine)
        alone = ["-m", "bench.sweep_peers", "--sklearn-alone", str(trials), str(seed)]
        sklearn_seconds = float(command_seconds(alone)[0])
        digits.append(searchlab_command("search_spaces/digits_mlp.py", trials, seed, engine))
        ratios.append(sklearn_seconds / seconds)
        print(
            f"  seed {seed}: searchlab {seconds:6.1f}   scikit-learn {sklearn_seconds:6.1f}   {ratios[-1]:.1f} times   "
            f"digits_mlp.py {digits[-1]:6.1f}",
            flush=True,
        )
    goal = "7 times, digits_mlp.py 4 s" if trials < 200 else "10 times"
    print(
        f"  median {statistics.median(ratios):.1f} times, digits_mlp.py {statistics.median(digits):.1f} s; goal {goal}"
    )


def main() -> None:
    """Print the comparisons of searches and of whole commands, for each number of trials."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[40, 200])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engine", default="auto", choices=["auto", "tune", "local"])
    parser.add_argument(
        "--sklearn-alone", type=int, nargs=2, metavar=("TRIALS", "SEED"), help="one search, and no more"
    )
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=ConvergenceWarning)  # both train for 20 epochs
    if arguments.sklearn_alone:
        search_with_sklearn(*arguments.sklearn_alone)
        return
    for trials in arguments.trials:
        compare_searches(trials, arguments.rounds, arguments.engine)
        compare_commands(trials, arguments.rounds, arguments.engine)


if __name__ == "__main__":
    main()
