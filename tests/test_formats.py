"""The formats of numbers for people."""

import math
import subprocess
import sys

import pytest

from searchlab.reporting import formats


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.0 s"),
        (3.24, "3.2 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.94, "1 min"),
        (250.0, "4 min 10 s"),
        (3599.9, "1 h"),
        (7500.0, "2 h 5 min"),
        (3_600_000.0, "1,000 h"),
    ],
)
def test_durations_have_at_most_two_units(seconds, text):
    assert formats.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.31, "0.3 s"), (35.4, "35 s"), (724.0, "12 min"), (12_345.0, "3 h 20 min")]
)
def test_estimates_are_rounded_first(seconds, text):
    assert formats.duration(seconds, digits=2) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (math.nan, ""),
        (math.inf, "inf"),
        (0.98123, "0.9812"),
        (3.0, "3.0000"),  # an accuracy of 1 is no count
        (9610.0, "9,610"),
        (-12.0, "-12"),
        (99.98765, "99.9877"),
        (123.4567, "123.46"),
        (-12059.4004, "-12,059"),
    ],
)
def test_scores_have_fewer_decimals_where_they_are_large_and_counts_none(value, text):
    assert formats.score(value) == text


def test_numbers_that_belong_together_have_as_many_decimals():
    assert formats.score_with_std(12059.4004, 45.1323) == "12,059 ± 45"
    assert formats.score_with_std(137.0243, 2.5) == "137.02 ± 2.50"
    assert formats.score_with_std(0.97632, 0.0121) == "0.9763 ± 0.0121"
    assert formats.interval_text(-1.25, 1234.5) == "-1 to 1,234"
    assert formats.interval_text(math.nan, 1.0) == formats.interval_text(None, 1.0) == ""


@pytest.mark.parametrize(
    ("number", "text"),
    [(1, "for the first time"), (3, "for the third time"), (11, "for the 11th time"), (22, "for the 22nd time")],
)
def test_how_often_something_has_happened(number, text):
    assert formats.times(number) == text


@pytest.mark.parametrize(
    ("factors", "text"),
    [([], ""), ([1.0], "1 (epoch 1)"), ([1.0, 1.0, 0.25, 0.125], "1 (epochs 1-2), 0.25 (epoch 3), 0.125 (epoch 4)")],
)
def test_equal_factors_of_a_learning_rate_are_written_once(factors, text):
    assert formats.factors_text(factors) == text


def test_a_score_has_its_standard_deviation_where_it_is_known():
    assert formats.score_with_std(0.97632, 0.0121) == "0.9763 ± 0.0121"
    assert formats.score_with_std(0.97632, None) == formats.score_with_std(0.97632, math.nan) == "0.9763"


@pytest.mark.parametrize(
    ("value", "text"), [(0.0021234, "0.00212"), (128, "128"), ("Adam", "Adam"), (True, "True"), (None, "None")]
)
def test_parameter_values(value, text):
    assert formats.parameter_value(value) == text


def test_parameter_names():
    assert [formats.parameter_name(path) for path in ("optimizer.SGD.lr", "lr")] == ["lr", "lr"]


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [(0, "trial", "0 trials"), (1, "trial", "1 trial"), (2000, "trial", "2,000 trials"), (3, "process", "3 processes")],
)
def test_nouns_are_in_the_plural_unless_there_is_one(number, noun, text):
    assert formats.count(number, noun) == text


@pytest.mark.parametrize(
    ("per_second", "text"),
    [(2.5, "2.5 trials/s"), (0.25, "15 trials/min"), (0.001, "3.6 trials/h"), (1e-5, "0.036 trials/h")],
)
def test_rates_have_the_shortest_unit_with_at_least_one(per_second, text):
    assert formats.rate(per_second, "trial") == text


def test_formats_import_the_standard_library_alone():
    code = "import sys, searchlab.reporting.formats; print({'numpy', 'matplotlib', 'rich'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
