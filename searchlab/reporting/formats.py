"""How numbers are formatted for people: durations, scores, parameter values, counts and rates.

This is the one place for such formats, except for sizes in bytes (`searchlab.space.byte_size`), which packages of a
lower rank need as well. It imports nothing large, so that `searchlab list` starts fast.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from itertools import groupby

from searchlab.wording import count as count  # another of these formats, which packages of a lower rank need as well

UNITS = {"s": 1, "min": 60, "h": 3600}  # of a rate, from the shortest to the longest


def duration(seconds: float, digits: int | None = None) -> str:
    """Return a duration in at most two units: "3.2 s", "35 s", "4 min 10 s", "2 h 5 min".

    With `digits`, the number of seconds is rounded to so many significant digits first, as suits an estimate.
    """
    if digits is not None:
        seconds = float(f"{seconds:.{digits}g}")
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return _two_units(whole // 60, "min", whole % 60, "s")
    minutes = round(seconds / 60)
    return _two_units(minutes // 60, "h", minutes % 60, "min")


def date_time(seconds: float) -> str:
    """Return a moment, given in seconds since 1970, as local date and time: "2026-01-31 09:30"."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def score(value: float | None, like: float | None = None) -> str:
    """Return the value of a metric: "0.9763", "137.02", and "12,059" for a large number or a count.

    A number has four decimals, two from 100 on, and none from 1,000 on; with `like`, as many as that number has. None
    and NaN give an empty string.
    """
    if value is None or math.isnan(value):
        return ""
    if math.isinf(value):
        return str(value)
    is_count = float(value).is_integer() and abs(value) >= 10
    return f"{value:,.{0 if is_count else _decimals(value if like is None else like)}f}"


def score_with_std(value: float | None, std: float | None) -> str:
    """Return a score with its standard deviation, where that is known: "0.9763 ± 0.0121"."""
    return f"{score(value)} ± {score(std, like=value)}" if score(std) else score(value)


def percent(share: float, digits: int = 0) -> str:
    """Return a share as percent: "70%", with one digit "66.7%"."""
    return f"{share:.{digits}%}"


def interval_text(low: float | None, high: float | None) -> str:
    """Return the ends of an interval: "0.9650 to 0.9832"; an empty string where there is none."""
    if low is None or high is None or not (score(low) and score(high)):
        return ""
    largest = max(low, high, key=abs)
    return f"{score(low, like=largest)} to {score(high, like=largest)}"


def times(number: int) -> str:
    """Return how often something has happened: "for the first time", "for the second time", "for the 12th time"."""
    ordinals = {1: "first", 2: "second", 3: "third"}
    suffixes = {} if 11 <= number % 100 <= 13 else {1: "st", 2: "nd", 3: "rd"}
    ordinal = ordinals.get(number) or f"{number}{suffixes.get(number % 10, 'th')}"
    return f"for the {ordinal} time"


def winner_training(networks: int, epochs: int) -> str:
    """Return how the winner was trained, as part of a sentence: one network, or an ensemble of those of its folds."""
    if networks == 1:
        return f"trained again on all training rows for {count(epochs, 'epoch')}"
    return f"the ensemble of the {networks} networks of its folds, each trained for {count(epochs, 'epoch')}"


def network_scores(scores: Sequence[float]) -> str:
    """Return what the networks of an ensemble score alone: "0.9650 to 0.9711, mean 0.9683"."""
    return f"{score(min(scores))} to {score(max(scores))}, mean {score(sum(scores) / len(scores))}"


def factors_text(factors: Sequence[float]) -> str:
    """Return the factors of a learning rate by epoch, equal ones once: "1 (epochs 1-4), 0.25 (epochs 5-6)"."""
    texts, start = list[str](), 1
    for factor, run in groupby(factors):
        length = len(list(run))
        epochs = f"epochs {start}-{start + length - 1}" if length > 1 else f"epoch {start}"
        texts.append(f"{factor:.3g} ({epochs})")
        start += length
    return ", ".join(texts)


def parameter_value(value: object) -> str:
    """Return the value of a parameter, a float with three significant digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def parameter_name(path: str) -> str:
    """Return the last part of a parameter's path: "lr" for "optimizer.SGD.lr"."""
    return path.rpartition(".")[2]


def rate(per_second: float, noun: str) -> str:
    """Return a rate per second, minute or hour, whichever is the shortest with at least one: "15 trials/min"."""
    unit = next((unit for unit, seconds in UNITS.items() if per_second * seconds >= 1), "h")
    return f"{per_second * UNITS[unit]:.3g} {noun}s/{unit}"


def _decimals(value: float) -> int:
    """Return how many decimals a score of this size has."""
    return 4 if abs(value) < 100 or not math.isfinite(value) else 2 if abs(value) < 1000 else 0


def _two_units(first: int, first_unit: str, second: int, second_unit: str) -> str:
    return f"{first:,} {first_unit} {second} {second_unit}" if second else f"{first:,} {first_unit}"
