"""Which rows each fold trains on and is judged by."""

import numpy as np
import pytest

from searchlab.data import EveryRow, Holdout, KFold, Rows, Split
from searchlab.errors import UserMistake


def real(rows, fold):
    return rows.index[fold][: rows.counts[fold]].tolist()


@pytest.mark.parametrize(("folds", "rows"), [(2, 2), (3, 10), (5, 1437), (5, 300), (7, 7), (4, 5)])
def test_kfold_holds_out_each_row_once(folds, rows):
    split = KFold(folds).split(rows)
    held = [real(split.held_out, fold) for fold in range(folds)]
    assert sorted(row for fold in held for row in fold) == list(range(rows))
    assert max(map(len, held)) - min(map(len, held)) <= 1
    for fold in range(folds):
        assert sorted(held[fold] + real(split.train, fold)) == list(range(rows))
    assert split.folds == folds == KFold(folds).folds
    assert split.shortest == split.train.counts.min() == rows - max(map(len, held))


def test_kfold_depends_on_its_seed_alone():
    assert (KFold(3).split(20).train.index == KFold(3).split(20).train.index).all()
    assert not (KFold(3, seed=1).split(20).train.index == KFold(3).split(20).train.index).all()
    assert real(KFold(2).split(100).held_out, 0) != list(range(50))  # shuffled: labels may lie sorted


@pytest.mark.parametrize(("fraction", "rows", "held"), [(0.2, 10, 2), (0.5, 3, 2), (0.01, 10, 1), (0.25, 1437, 359)])
def test_holdout_cuts_once(fraction, rows, held):
    split = Holdout(fraction).split(rows)
    assert split.held_out.counts.tolist() == [held]
    assert sorted(real(split.held_out, 0) + real(split.train, 0)) == list(range(rows))
    assert split.shortest == rows - held
    assert split.folds == Holdout(fraction).folds == 1


def test_every_row_trains_on_all_and_is_judged_by_none():
    split = EveryRow().split(6)
    assert real(split.train, 0) == [0, 1, 2, 3, 4, 5]
    assert split.held_out.counts.tolist() == [0]
    assert split.folds == EveryRow().folds == 1


def test_picking_folds_keeps_their_common_length():
    split = Split.of([np.arange(5), np.arange(4)], [np.array([5]), np.array([4, 5])])
    picked = split[np.array([0, 0, 1])]
    assert picked.shortest == split[np.array([0])].shortest == 4  # alone as in company
    assert picked.train.counts.tolist() == [5, 5, 4]
    assert picked.held_out.counts.tolist() == [1, 1, 2]
    assert picked.folds == 3


def test_padding_repeats_a_folds_own_rows():
    rows = Rows.of([np.array([7, 8, 9]), np.array([4])])
    assert rows.index.tolist() == [[7, 8, 9], [4, 4, 4]]
    assert rows.counts.tolist() == [3, 1]


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: KFold(1), r"at least 2 folds, got 1; Holdout\(0.2\)"),
        (lambda: KFold(2.0), "got 2.0"),
        (lambda: KFold(5).split(4), "needs at least 5 training rows, and there are 4"),
        (lambda: Holdout(0.0), "a fraction between 0 and 1, got 0.0"),
        (lambda: Holdout(1.0), "a fraction between 0 and 1, got 1.0"),
        (lambda: Holdout(0.5).split(1), "leaves nothing to train on of 1 training rows"),
    ],
)
def test_mistakes_are_told_in_a_sentence(make, told):
    with pytest.raises(UserMistake, match=told):
        make()
