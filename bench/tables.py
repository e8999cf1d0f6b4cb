"""Tables beside scikit-learn: scores on the same folds, and what wide and long files take.

    python -m bench.tables [--trials 20] [--only churn]
    python -m bench.tables --scale

Three tables are generated from a seed: churn (5,000 rows, two columns of words, a date, 12 % empty cells, about 7 %
positives, judged by F1), crops (4,000 rows of four classes) and rents (4,000 rows, a number to predict). A sweep of
MLPs searches on five folds; scikit-learn's models are fitted to the training rows of the same folds, by a Pipeline that
imputes, encodes and standardizes. Each is measured on the held-out rows. `--scale` measures a table of 20,000 columns
and one of 1,000,000 rows of ten mixed columns: seconds of processor time to read it, to fit the encoding of five folds
and to encode the batches of an epoch, and the memory at its peak.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.metrics import accuracy_score, f1_score, root_mean_squared_error
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from bench.generated_tables import LARGE, POSITIVE, TABLES
from models.mlp import MLP
from searchlab import F1, Accuracy, Adam, Choice, Csv, Float, KFold, RootMeanSquaredError, Space, Sweep, Trainer
from searchlab.metrics.threshold import cross_fitted_decisions
from searchlab.nn import MeanSquaredError
from searchlab.replicas import Replicas

FOLDS = 5
EPOCH_STEPS = 50  # by which an epoch is measured


def f1_of(model, x, y):
    """Return the F1 of the positive class; as in a sweep, each row is judged by a threshold that other rows chose."""
    is_positive = (y == POSITIVE).to_numpy()
    probabilities = model.predict_proba(x)[:, list(model.classes_).index(POSITIVE)]
    decided = cross_fitted_decisions(probabilities, is_positive.astype(int), np.ones(len(y)), F1().score)
    return f1_score(is_positive, decided)


SCORES = {  # the metric of a sweep, and the same of a model of scikit-learn on held-out rows
    "accuracy": (Accuracy(), lambda model, x, y: accuracy_score(y, model.predict(x))),
    "f1": (F1(), f1_of),
    "rmse": (RootMeanSquaredError(), lambda model, x, y: root_mean_squared_error(y, model.predict(x))),
}


def sweep_of(name, table, path, trials):
    """Return a sweep of MLPs over a table."""
    metric = SCORES[table.metric][0]
    loss = {"loss": MeanSquaredError} if table.metric == "rmse" else {}
    return Sweep(
        name=name,
        data=Csv(path, target=table.target, positive=POSITIVE if table.metric == "f1" else None),
        validation=KFold(FOLDS),
        metric=metric,
        model=Space(MLP, hidden=Choice(16, 32, 64), dropout=Float(0.0, 0.5), **loss),
        optimizer=Space(Adam, lr=Float(3e-4, 1e-2, log=True)),
        training=Space(Trainer, batch_size=Choice(32, 128), epochs=20),
        trials=trials,
    )


def references(table):
    """Return scikit-learn's models, which encode a table by themselves."""
    features = table.frame.drop(columns=table.target)
    words = [
        name for name in features if features[name].dtype.kind not in "iuf" and name not in ("joined", "sown", "built")
    ]
    numbers = [name for name in features if name not in words]
    filled = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    frequent = OneHotEncoder(min_frequency=10, handle_unknown="infrequent_if_exist", sparse_output=False)
    dense = make_column_transformer(
        (filled, numbers), (make_pipeline(SimpleImputer(strategy="most_frequent"), frequent), words)
    )
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    trees = make_column_transformer((codes, words), ("passthrough", numbers))
    if table.metric != "rmse":
        return {
            "HistGradientBoosting": make_pipeline(trees, HistGradientBoostingClassifier(random_state=0)),
            "MLP": make_pipeline(dense, MLPClassifier(hidden_layer_sizes=(64,), early_stopping=True, random_state=0)),
        }
    return {
        "HistGradientBoosting": make_pipeline(trees, HistGradientBoostingRegressor(random_state=0)),
        "MLP": make_pipeline(
            dense, MLPRegressor(hidden_layer_sizes=(64,), early_stopping=True, max_iter=500, random_state=0)
        ),
    }


def reference_scores(table, sweep):
    """Return the score of each of scikit-learn's models on each fold of the sweep, and seconds."""
    training = sweep.data.training()
    order = np.flatnonzero(~test_rows(table, training))
    frame = table.frame.iloc[order].reset_index(drop=True)
    split, measure = sweep.validation.split(training), SCORES[table.metric][1]
    x, y = with_dates(frame.drop(columns=table.target)), frame[table.target]
    for name, model in references(table).items():
        start, scores = time.perf_counter(), []
        for fold in range(FOLDS):
            train, held_out = (rows.index[fold][: rows.counts[fold]] for rows in (split.train, split.held_out))
            model.fit(x.iloc[train], y.iloc[train])
            scores.append(measure(model, x.iloc[held_out], y.iloc[held_out]))
        yield name, np.array(scores), time.perf_counter() - start


def test_rows(table, training):
    """Return which rows of a table are test rows: its data set draws them by seed and class."""
    from searchlab.data.train_test_split import draw_test_rows

    labels = None if training.labels is None else table.frame[table.target].to_numpy(str)
    return draw_test_rows(len(table.frame), 0.2, 0, labels=labels)


def with_dates(features):
    """Return features with dates as days, weekday and month, and words and booleans as texts."""
    prepared = {}
    for name, column in features.items():
        if name in ("joined", "sown", "built"):
            days = pd.to_datetime(column)
            prepared[name] = (days - pd.Timestamp("1970-01-01")).dt.days
            prepared |= {f"{name} weekday": days.dt.day_of_week, f"{name} month": days.dt.month}
        else:
            prepared[name] = (
                column if column.dtype.kind in "iuf" else column.map(str, na_action="ignore").astype(object)
            )
    return pd.DataFrame(prepared)


def compare(trials, only):
    """Print the score and the seconds of a sweep and of scikit-learn's models on each table."""
    print(f"{'table':8}{'model':24}{'metric':10}{'mean':>9}{'± folds':>9}{'seconds':>9}")
    for name, build in TABLES.items():
        if only not in (None, name):
            continue
        table = build()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"{name}.csv")
            table.frame.to_csv(path, index=False)
            sweep, start = sweep_of(name, table, path, trials), time.perf_counter()
            result = sweep.run(home=f"{folder}/home", tracking=None, engine="local", progress="off")
            rows = [(f"searchlab, {trials} trials", np.array(result.best.folds), time.perf_counter() - start)]
            for model, scores, seconds in [*rows, *reference_scores(table, sweep)]:
                print(
                    f"{name:8}{model:24}{table.metric:10}{scores.mean():9.4f}{scores.std():9.4f}{seconds:9.1f}",
                    flush=True,
                )


def scale():
    """Print what large tables take, written and read in processes of their own: each has a peak of its own."""
    spawn = multiprocessing.get_context("spawn")
    for name in LARGE:
        with tempfile.TemporaryDirectory() as folder:
            for step in (write_large, measure_reading):
                process = spawn.Process(target=step, args=(name, Path(folder, f"{name}.csv")))
                process.start()
                process.join()


def write_large(name, path):
    """Write a large table to a file."""
    LARGE[name]().frame.to_csv(path, index=False)


def measure_reading(name, path):
    """Print the seconds of processor time and the peak of memory that the table in a file takes."""
    before = peak_gigabytes()
    start = time.process_time()
    data = Csv(path, target={"wide": "y", "long": "churn"}[name]).training()
    read = time.process_time() - start
    split = KFold(FOLDS).split(data)
    start = time.process_time()
    fitted = data.fitted(split)
    fit = time.process_time() - start
    one_fold = split[np.array([0])]
    fitted = data.fitted(one_fold)
    start = time.process_time()
    batches = list(zip(fitted.training_batches(one_fold, Replicas([0]), 128), range(EPOCH_STEPS), strict=False))
    epoch = (time.process_time() - start) / len(batches) * data.steps_per_epoch(one_fold, 128)
    print(
        f"{name}: {len(data) * 5 // 4:,} rows, {data.x.shape[1] + 1:,} columns, {path.stat().st_size / 1e6:,.0f} MB, "
        f"{data.sizes[0]:,} inputs: read {read:.1f} s, fitted to {FOLDS} folds {fit:.1f} s, batches of an epoch "
        f"{epoch:.1f} s of processor time; peak {peak_gigabytes():.2f} GB (before {before:.2f} GB), "
        f"training rows {data.x.nbytes / 1e6:,.0f} MB",
        flush=True,
    )


def peak_gigabytes():
    """Return the peak of this process's memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--only", choices=[*TABLES])
    parser.add_argument("--scale", action="store_true")
    arguments = parser.parse_args()
    if arguments.scale:
        scale()
    else:
        compare(arguments.trials, arguments.only)


if __name__ == "__main__":
    main()
