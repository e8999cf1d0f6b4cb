"""Tables beside scikit-learn: scores on the same folds, and what wide and long files take.

    python -m bench.tables [--trials 20] [--only churn]
    python -m bench.tables --scale

Three tables are generated from a seed: churn (5,000 rows, two columns of words, a date, 12 % empty cells, about 7 %
positives), crops (4,000 rows of four classes) and rents (4,000 rows, a number to predict). A sweep of MLPs searches on
five folds; scikit-learn's models are fitted to the training rows of the same folds, by a Pipeline that imputes, encodes
and standardizes. Each is measured on the held-out rows. `--scale` measures a table of 20,000 columns and one of 1,000,000
rows of ten mixed columns: seconds of processor time to read it, to fit the encoding of five folds and to encode the
batches of an epoch, and the memory at its peak.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.metrics import accuracy_score, root_mean_squared_error
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from models.mlp import MLP
from searchlab import Accuracy, Adam, Choice, Csv, Float, KFold, RootMeanSquaredError, Space, Sweep, Trainer
from searchlab.nn import MeanSquaredError
from searchlab.replicas import Replicas

SCORES = {"accuracy": (Accuracy(), accuracy_score), "rmse": (RootMeanSquaredError(), root_mean_squared_error)}
FOLDS = 5
EPOCH_STEPS = 50  # by which an epoch is measured


@dataclass(frozen=True)
class Table:
    """A generated table: its rows, its target, and the metric that it is judged by."""

    frame: pd.DataFrame
    target: str
    metric: str


def churn(rows=5000, seed=0):
    """Return customers of whom about 7 % leave."""
    g = np.random.default_rng(seed)
    frame = customers(g, rows)
    weekend = pd.to_datetime(frame["joined"]).dt.day_of_week >= 5
    score = 1.5 * (frame["plan"] == "basic") + 1.4 * frame["city"].isin(["City3", "City5", "City8", "City13"])
    score += 0.05 * (frame["age"] - 45) - 0.25 * frame["visits"] + 1.0 * weekend - 1.2 * frame["active"]
    score += 1.5 * (frame["income"] < 18_000)
    frame["churn"] = pick(g, score - np.quantile(score, 0.955))
    return Table(with_gaps(g, frame, "churn"), "churn", "accuracy")


def crops(rows=4000, seed=1):
    """Return fields of four crops, by soil, weather and day of sowing."""
    g = np.random.default_rng(seed)
    frame = customers(g, rows).rename(columns={"city": "region", "plan": "soil", "joined": "sown", "income": "yield"})
    month = pd.to_datetime(frame["sown"]).dt.month
    scores = np.stack([
        2.0 * (frame["soil"] == "pro") + 0.3 * frame["visits"] - 2,
        1.5 * np.sin(month / 12 * 2 * np.pi) + 1.5 * frame["active"],
        0.06 * (frame["age"] - 45) + 1.5 * frame["region"].isin([f"City{n}" for n in range(1, 20, 3)]),
        1.2 * np.log(frame["yield"] / 22_000) + 0.8,
    ])  # fmt: skip
    frame["crop"] = np.array(["maize", "wheat", "rye", "beans"])[(scores + g.gumbel(0, 0.4, scores.shape)).argmax(0)]
    return Table(with_gaps(g, frame, "crop"), "crop", "accuracy")


def rents(rows=4000, seed=2):
    """Return flats and their rents."""
    g = np.random.default_rng(seed)
    frame = customers(g, rows).rename(columns={"plan": "kind", "joined": "built", "age": "area"})
    base = frame["city"].str.removeprefix("City").astype(int).map(lambda n: 300 * np.sin(n))
    kind = frame["kind"].map({"basic": 0, "plus": 90, "pro": 200, "team": 420})
    frame["rent"] = 200 + 14 * frame["area"] + base + kind + 60 * np.sqrt(frame["visits"]) + g.normal(0, 60, rows)
    return Table(with_gaps(g, frame, "rent"), "rent", "rmse")


def customers(g, rows):
    """Return rows of numbers, two columns of words, a date and a boolean."""
    shares = 1 / np.arange(1, 41)
    return pd.DataFrame({
        "age": g.normal(45, 15, rows).clip(18, 90).round(),
        "income": g.lognormal(10, 0.5, rows).round(2),
        "city": g.choice([f"City{n}" for n in range(40)], rows, p=shares / shares.sum()),
        "plan": g.choice(["basic", "plus", "pro", "team"], rows, p=[0.5, 0.3, 0.15, 0.05]),
        "joined": (np.datetime64("2020-01-01") + g.integers(0, 1500, rows)).astype(str),
        "active": g.random(rows) < 0.6,
        "visits": g.poisson(6, rows),
    })  # fmt: skip


def pick(g, logits):
    """Return "yes" by the probability of each logit, otherwise "no"."""
    return np.where(g.random(len(logits)) < 1 / (1 + np.exp(-logits)), "yes", "no")


def with_gaps(g, frame, target, share=0.12):
    """Return the frame with a share of the cells of its features empty."""
    features = frame.drop(columns=target)
    return features.mask(g.random(features.shape) < share).assign(**{target: frame[target]})


TABLES = {"churn": churn, "crops": crops, "rents": rents}


def sweep_of(name, table, path, trials):
    """Return a sweep of MLPs over a table."""
    metric = SCORES[table.metric][0]
    loss = {} if table.metric == "accuracy" else {"loss": MeanSquaredError}
    return Sweep(
        name=name,
        data=Csv(path, target=table.target),
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
    if table.metric == "accuracy":
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
            scores.append(measure(y.iloc[held_out], model.predict(x.iloc[held_out])))
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


def wide(rows=1_000, columns=20_000):
    """Return a table of numbers with empty cells, and a column of words."""
    g = np.random.default_rng(0)
    frame = pd.DataFrame(g.normal(size=(rows, columns)).astype(np.float32).round(3)).add_prefix("c")
    frame = frame.mask(g.random(frame.shape, dtype=np.float32) < 0.05)
    words = g.choice([f"City{n}" for n in range(60)], rows)
    return Table(frame.assign(city=words, y=np.where(g.random(rows) < 0.3, "yes", "no")), "y", "accuracy")


def long(rows=1_000_000):
    """Return the table churn with more rows, a column of 5,000 shops, and a column of numbers with thousands."""
    g, table = np.random.default_rng(0), churn(rows)
    shops = g.choice([f"Shop{n}" for n in range(5_000)], rows)
    spent = pd.Series(g.integers(0, 100_000, rows)).map("{:,}".format)
    return Table(table.frame.assign(shop=shops, spent=spent), table.target, table.metric)


LARGE = {"wide": wide, "long": long}


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
