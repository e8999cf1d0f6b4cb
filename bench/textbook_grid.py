"""The grid of the textbook at its size: 168 combinations x 5 folds of MNIST's 60,000 images x 20 epochs.

The textbook says that such a grid takes days. `shallow` is 784-100-10: all of it is searched with `searchlab run`'s
defaults on two workers, without pruning and with `Halving()`, beside PyTorch, which trains the networks one by one and
is estimated from a sample of every optimizer and batch size, taken before and after. `deep` is
784-1024-512-512-512-10: its sample and what `searchlab plan` predicts, and all of it where there is a GPU.

    python -m bench.textbook_grid [shallow] [deep] [--torch-python PATH] [--sample-only]

A search that was cut off goes on when the same command is started again; searches are kept in `--home`. A fraction is
measured with `--combinations 24 --epochs 2 --rows 6000`.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import bench.timing  # noqa: F401  # first: it sets one BLAS thread  # isort: skip

from bench.stopwatch import Stopwatch
from bench.textbook_sample import Points, searchlab_seconds, torch_seconds
from bench.textbook_sweep import DEEP, EPOCHS, SHALLOW, structure_of, textbook_sweep
from bench.timing import ROOT
from searchlab import Halving, Mnist
from searchlab.backend import unavailable_reason
from searchlab.cli.plan import summary
from searchlab.errors import UserMistake, WorldFault
from searchlab.estimate.estimate import estimate
from searchlab.results.result import Result
from searchlab.runner.resume import resume
from searchlab.runs.config import RunConfig
from searchlab.runs.trials import TrialRecord, ranked
from searchlab.runs.workspace import Workspace
from searchlab.space.sweep import Sweep

WORKERS = 2
ROWS = 60_000
NETWORKS = {"shallow": SHALLOW, "deep": DEEP}
FUSED = {SHALLOW: 7, DEEP: 1}  # combinations side by side in a sample: more deep ones gain nothing on a CPU


def duration(seconds: float) -> str:
    """Return a time as hours and minutes, or as minutes and seconds below an hour."""
    hours, minutes = divmod(round(seconds / 60.0), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{int(seconds // 60)} min {seconds % 60:02.0f} s"


def search(sweep: Sweep, arguments: argparse.Namespace, **options: object) -> tuple[Result, float]:
    """Run the sweep in a home of its own, or go on where it was cut off; return its result and all its seconds."""
    home = Path(arguments.home) / sweep.name
    begun = (Workspace.at(home).sweep(sweep.name).path / "sweep.json").exists()
    options = {"workers": WORKERS, "engine": arguments.engine, "trials": arguments.combinations, **options}
    finished = home / "finished"
    with Stopwatch(home / "seconds") as stopwatch:
        result = resume(sweep.name, sweep=sweep, home=home) if begun else sweep.run(home=home, **options)
        if not finished.exists():
            finished.write_text(f"{stopwatch.seconds:.3f}")  # a later look at the result costs nothing
    return result, float(finished.read_text())


def best_of(result: Result) -> TrialRecord:
    """Return the complete trial with the best score."""
    return ranked(result.trials, "max")[0]


def epochs_of(result: Result) -> int:
    """Return how many epochs all trials trained."""
    return sum(len(trial.curve.scores) for trial in result.trials)


def describe(trial: TrialRecord) -> str:
    """Return the score of a trial with its combination."""
    rate = next(value for path, value in trial.parameters.items() if path.endswith(".lr"))
    return f"{trial.value:.4f} ± {trial.std:.4f} ({structure_of(trial.parameters)}, learning rate {rate})"


def print_pruning(full: Result, pruned: Result) -> None:
    """Print what pruning kept of the search without it: trials, epochs, and the best combination."""
    by_parameters = {tuple(sorted(trial.parameters.items())): trial for trial in full.trials}
    order = [tuple(sorted(trial.parameters.items())) for trial in ranked(full.trials, "max")]
    chosen = tuple(sorted(best_of(pruned).parameters.items()))
    kept = next(t for t in pruned.trials if tuple(sorted(t.parameters.items())) == order[0])
    print(
        f"pruning kept {pruned.count('COMPLETE')} of {len(pruned.trials)} combinations and trained "
        f"{epochs_of(pruned) / epochs_of(full):.0%} of the epochs; the best combination was "
        f"{'kept' if kept.state == 'COMPLETE' else f'stopped after epoch {len(kept.curve.scores)}'}; the one chosen is "
        f"number {order.index(chosen) + 1} of all, {best_of(full).value - by_parameters[chosen].value:.4f} below the "
        "best in the search without pruning"
    )


def compare_searches(sweep: Sweep, points: Points, arguments: argparse.Namespace) -> None:
    """Print the searches without and with pruning beside PyTorch one by one."""
    before = sample_torch(sweep, points, arguments)
    full, full_seconds = search(sweep, arguments)
    print(f"without pruning: {duration(full_seconds)}, best {describe(best_of(full))}", flush=True)
    pruned, pruned_seconds = search(replace(sweep, name=f"{sweep.name}-halving", pruner=Halving()), arguments)
    print(f"with Halving(): {duration(pruned_seconds)}, best {describe(best_of(pruned))}", flush=True)
    print_pruning(full, pruned)
    after = sample_torch(sweep, points, arguments)
    if before and after:
        one_by_one = (before + after) / 2.0 / WORKERS
        print(
            f"PyTorch one by one on {WORKERS} cores: {duration(one_by_one)}, "
            f"{one_by_one / full_seconds:.1f} times as long as the search without pruning, and "
            f"{one_by_one / pruned_seconds:.1f} times as long as the one with it"
        )


def sample_torch(sweep: Sweep, points: Points, arguments: argparse.Namespace) -> float | None:
    """Print and return the processor time that PyTorch needs for the networks one by one; None without PyTorch."""
    python = arguments.torch_python or (sys.executable if find_spec("torch") else None)
    if python is None:
        print("PyTorch is not installed; --torch-python names a Python that has it", flush=True)
        return None
    seconds = torch_seconds(python, sweep, points, arguments.rows, arguments.sample_seconds)
    print(f"PyTorch one by one, from a sample: {duration(seconds)} of one core", flush=True)
    return seconds


def print_samples(sweep: Sweep, points: Points, arguments: argparse.Namespace) -> None:
    """Print what the grid takes by samples of searchlab and of PyTorch, and by `searchlab plan`."""
    fused = FUSED[sweep.model.arguments["hidden"]]
    own = searchlab_seconds(sweep, points, fused, arguments.sample_seconds)
    print(f"searchlab without pruning, from a sample: {duration(own)} of one core, {duration(own / WORKERS)} on two")
    one_by_one = sample_torch(sweep, points, arguments)
    if one_by_one:
        print(f"PyTorch one by one / searchlab: {one_by_one / own:.1f}")
    config = RunConfig(workers=WORKERS, engine=arguments.engine, trials=arguments.combinations)
    print(f"searchlab plan: {summary(estimate(sweep, config))}", flush=True)


def run_network(name: str, arguments: argparse.Namespace) -> None:
    """Print all measurements of one network."""
    data = Mnist(limit=arguments.rows)
    sweep = textbook_sweep(f"textbook-{name}", hidden=NETWORKS[name], data=data, epochs=arguments.epochs)
    grid = sweep.grid_points()
    assert grid is not None
    points = grid.points[: arguments.combinations]
    sizes = "-".join(map(str, (784, *NETWORKS[name], 10)))
    print(f"\n{sizes}: {len(points)} combinations x 5 folds x {arguments.epochs} epochs, {arguments.rows:,} images")
    if name == "deep" or arguments.sample_only:
        print_samples(sweep, points, arguments)
    if arguments.sample_only:
        return
    if name == "shallow":
        compare_searches(sweep, points, arguments)
    elif reason := unavailable_reason("cuda"):
        print(f"not searched: {reason}")
    else:
        result, seconds = search(sweep, arguments, device="cuda", engine="local", workers=1)
        print(f"on a GPU without pruning: {duration(seconds)}, best {describe(best_of(result))}")


def main() -> None:
    """Print the measurements of the networks that were named, by default of both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=[], metavar="shallow|deep")
    parser.add_argument("--combinations", type=int, help="only as many, spread over the grid; default: all 168")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--rows", type=int, default=ROWS, help="only the first images of MNIST")
    parser.add_argument("--torch-python", metavar="PATH", help="a Python with PyTorch; default: this one")
    parser.add_argument("--sample-seconds", type=float, default=2.0, help="of each optimizer and batch size")
    parser.add_argument("--sample-only", action="store_true", help="search nothing; print samples and the plan")
    parser.add_argument("--engine", default="auto", choices=["auto", "tune", "local"])
    parser.add_argument("--home", default=str(ROOT / ".searchlab" / "textbook-grid"), help="where searches are kept")
    arguments = parser.parse_args()
    if wrong := [name for name in arguments.networks if name not in NETWORKS]:
        parser.error(f"there is no network {wrong[0]!r}; use shallow or deep.")
    for name in arguments.networks or NETWORKS:
        try:
            run_network(name, arguments)
        except (UserMistake, WorldFault) as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main()
