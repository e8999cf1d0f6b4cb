"""A class with fewer rows than folds: `init`, `show` and `run` say that some folds tell nothing about it."""

import json

import numpy as np
import pytest

from searchlab import BalancedAccuracy, Space, Trainer
from searchlab.data import Arrays, Blocked, Digits, EveryRow, Holdout, KFold, Spiral, StratifiedKFold
from searchlab.data.rare_classes import rare_class_warnings
from searchlab.runs.events import EventBuffer, Message
from tests.command_line import run_cli
from tests.jobs import run
from tests.sweeps import spiral_sweep


def rows(labels):
    return Arrays(np.ones((len(labels), 2)), np.array(labels), x_test=np.ones((1, 2)), y_test=[0]).training()


@pytest.mark.parametrize(
    ("labels", "validation", "said"),
    [
        ([0] * 20 + [1] * 2, Blocked(4), ["class '1' has 2 training rows, and 3 of 4 folds hold out none"]),
        ([0] * 20 + [1] * 5, Blocked(2), ["class '1' has 5 training rows, and 1 of 2 folds holds out none"]),
        ([0] * 20 + [1, 2, 2], Blocked(4), ["class '1' has 1 training row, and 3 of 4 folds hold out none", "1 more"]),
    ],
)
def test_the_rarest_class_that_a_fold_lacks_is_named(labels, validation, said):
    (sentence,) = rare_class_warnings(rows(labels), validation)
    assert all(part in sentence for part in said)


@pytest.mark.parametrize("validation", [KFold(2), StratifiedKFold(5), Holdout(0.5), EveryRow()])
def test_nothing_is_said_of_classes_that_every_fold_holds_out(validation):
    assert rare_class_warnings(rows([0] * 30 + [1] * 30), validation) == []


def test_nothing_is_said_of_numbers_and_of_data_sets_that_are_balanced():
    numbers = Arrays(np.ones((20, 2)), np.arange(20) * 0.5)
    assert rare_class_warnings(numbers.training(), KFold(5)) == []
    assert rare_class_warnings(Digits().training(), KFold(5)) == []
    assert rare_class_warnings(Spiral().training(), Holdout(0.2)) == []


def test_init_and_show_warn(tmp_path):
    lines = [f"{row * row % 17},{'rare' if row in (7, 41) else 'common'}" for row in range(60)]
    (tmp_path / "rare.csv").write_text("\n".join(["a,kind", *lines]))
    created = run_cli("init", "mine", "--data", "rare.csv", "--json", cwd=tmp_path)
    (sentence,) = json.loads(created.stdout)["warnings"]
    assert "class 'rare' has 2 training rows" in sentence
    assert sentence in created.stderr
    shown = run_cli("show", "search_spaces/first.py", "--json", cwd=tmp_path / "mine")
    assert json.loads(shown.stdout)["warnings"] == [sentence]


def test_run_warns(home):
    sweep = spiral_sweep(
        1,
        data=Arrays(np.ones((40, 2)), np.arange(40) // 38, test_size=0.1),
        validation=KFold(5),
        metric=BalancedAccuracy(),
        training=Space(Trainer, epochs=1, batch_size=8),
    )
    display = EventBuffer()
    run(sweep, engine="local", home=home, display=display)
    texts = [event.text for event in display.drain() if isinstance(event, Message)]
    assert [text.startswith("warning: class '1' has") for text in texts].count(True) == 1
