"""Tables of mixed columns from a seed, for `bench.tables`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

POSITIVE = "yes"


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
    return Table(with_gaps(g, frame, "churn"), "churn", "f1")


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
