"""Which rows each fold trains on and is judged by."""

import numpy as np
import pytest

from searchlab.data import (
    Blocked,
    EveryRow,
    Examples,
    GroupKFold,
    Holdout,
    KFold,
    Rows,
    Split,
    StratifiedKFold,
    TokenStream,
    Vocabulary,
)
from searchlab.errors import UserMistake


def rows_with(labels=None, groups=None, rows=None):
    """A table of which only the labels and groups matter; without labels its targets are numbers."""
    rows = rows or len(groups if labels is None else labels)
    y = np.zeros((rows, 1), np.float32) if labels is None else np.array(labels)
    return Examples(np.zeros((rows, 1), np.float32), y, 9, groups=None if groups is None else np.array(groups))


def plain(rows):
    return rows_with(rows=rows)


def stream(rows, validation=None):
    return TokenStream(np.zeros(rows, int), Vocabulary(("a",)), 3, validation=validation)


def real(rows, fold):
    return rows.index[fold][: rows.counts[fold]].tolist()


@pytest.mark.parametrize(("folds", "rows"), [(2, 2), (3, 10), (5, 1437), (5, 300), (7, 7), (4, 5)])
def test_kfold_holds_out_each_row_once(folds, rows):
    split = KFold(folds).split(plain(rows))
    held = [real(split.held_out, fold) for fold in range(folds)]
    assert sorted(row for fold in held for row in fold) == list(range(rows))
    assert max(map(len, held)) - min(map(len, held)) <= 1
    for fold in range(folds):
        assert sorted(held[fold] + real(split.train, fold)) == list(range(rows))
    assert split.folds == folds == KFold(folds).folds
    assert split.shortest == split.train.counts.min() == rows - max(map(len, held))


def test_kfold_depends_on_its_seed_alone():
    assert (KFold(3).split(plain(20)).train.index == KFold(3).split(plain(20)).train.index).all()
    assert not (KFold(3, seed=1).split(plain(20)).train.index == KFold(3).split(plain(20)).train.index).all()
    assert real(KFold(2).split(plain(100)).held_out, 0) != list(range(50))  # shuffled: labels may lie sorted


@pytest.mark.parametrize("table", [plain, stream])
@pytest.mark.parametrize(("folds", "rows"), [(2, 2), (3, 10), (5, 1437), (7, 7), (4, 5)])
def test_blocks_are_contiguous_and_each_held_out_once(folds, rows, table):
    split = Blocked(folds).split(table(rows))
    held = [real(split.held_out, fold) for fold in range(folds)]
    assert np.concatenate(held).tolist() == list(range(rows))  # in order, and so contiguous
    assert max(map(len, held)) - min(map(len, held)) <= 1
    for fold in range(folds):
        assert real(split.train, fold) == [row for row in range(rows) if row not in held[fold]]
    assert split.folds == folds == Blocked(folds).folds


@pytest.mark.parametrize(("fraction", "rows", "held"), [(0.2, 10, 2), (0.5, 3, 2), (0.01, 10, 1)])
def test_holdout_keeps_a_stream_in_order_and_holds_out_its_end(fraction, rows, held):
    for seed in (0, 1):
        split = Holdout(fraction, seed).split(stream(rows))
        assert real(split.train, 0) == list(range(rows - held))
        assert real(split.held_out, 0) == list(range(rows - held, rows))


def test_holdout_takes_a_corpus_own_validation_part():
    split = Holdout(0.5).split(stream(10, validation=np.array([7, 8, 9])))
    assert real(split.train, 0) == list(range(7))
    assert real(split.held_out, 0) == [7, 8, 9]
    assert split.shortest == 7


@pytest.mark.parametrize("kind", [KFold, StratifiedKFold, GroupKFold])
def test_a_stream_is_never_shuffled(kind):
    told = rf"^{kind.__name__} shuffles rows, .*; Blocked\(4\) and Holdout\(\) keep them in order\.$"
    with pytest.raises(UserMistake, match=told):
        kind(4).split(stream(100))


LABELS = {
    "equal": [0, 1, 2] * 20,
    "sorted": [0] * 30 + [1] * 20 + [2] * 10,
    "rare": [0] * 95 + [1] * 5,
    "missing": [0, 2] * 6,
    "ragged": np.random.default_rng(0).integers(5, size=137).tolist() + list(range(5)) * 5,
}


@pytest.mark.parametrize("folds", [2, 3, 5])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_stratified_folds_have_near_equal_sizes_and_shares_of_each_class(folds, labels):
    split = StratifiedKFold(folds).split(rows_with(labels))
    held = [real(split.held_out, fold) for fold in range(folds)]
    assert sorted(row for fold in held for row in fold) == list(range(len(labels)))
    assert max(map(len, held)) - min(map(len, held)) <= 1
    for fold in range(folds):
        assert sorted(held[fold] + real(split.train, fold)) == list(range(len(labels)))
    counts = np.array([np.bincount(np.array(labels)[fold], minlength=5) for fold in held])  # (folds, classes)
    assert np.ptp(counts, axis=0).max() <= 1


def test_stratified_folds_shuffle_each_class_by_their_seed():
    table = rows_with(LABELS["sorted"])
    held = [StratifiedKFold(3, seed=seed).split(table).held_out.index for seed in (0, 0, 1)]
    assert (held[0] == held[1]).all()
    assert not (held[0] == held[2]).all()
    zeros = sorted(row for row in held[0][0] if row < 30)
    assert np.ptp(np.diff(zeros)) > 0, "rows of a class are dealt in the order of the file"


GROUPS = {
    "equal": [5, 7, 9, 11] * 5,
    "one large": [1] * 40 + list(range(2, 22)),
    "ragged": np.random.default_rng(1).integers(17, size=200).tolist(),
}


@pytest.mark.parametrize("folds", [2, 3, 4])
@pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)
def test_group_folds_keep_groups_whole(folds, groups):
    split = GroupKFold(folds).split(rows_with(groups=groups))
    held = [real(split.held_out, fold) for fold in range(folds)]
    assert sorted(row for fold in held for row in fold) == list(range(len(groups)))
    for fold in range(folds):
        assert sorted(held[fold] + real(split.train, fold)) == list(range(len(groups)))
        inside, outside = ({groups[row] for row in rows} for rows in (held[fold], real(split.train, fold)))
        assert not inside & outside
    spread = max(map(len, held)) - min(map(len, held))
    assert spread <= np.bincount(groups).max()  # what dealing the largest first guarantees


def test_group_folds_deal_the_largest_first_and_order_equal_groups_by_seed():
    split = GroupKFold(2).split(rows_with(groups=[0] * 5 + [1] * 4 + [2] * 3 + [3] * 2))
    sides = [{0, 3}, {1, 2}]  # 5 | 4, then 3 to the smaller 4, then 2 to the 5: 7 and 7
    of = [0] * 5 + [1] * 4 + [2] * 3 + [3] * 2
    assert [{of[row] for row in real(split.held_out, fold)} for fold in (0, 1)] == sides
    many = rows_with(groups=list(range(12)) * 2)
    held = [sorted(real(GroupKFold(3, seed=seed).split(many).held_out, 0)) for seed in (0, 0, 1)]
    assert held[0] == held[1] != held[2]


@pytest.mark.parametrize(("fraction", "rows", "held"), [(0.2, 10, 2), (0.5, 3, 2), (0.01, 10, 1), (0.25, 1437, 359)])
def test_holdout_cuts_once(fraction, rows, held):
    split = Holdout(fraction).split(plain(rows))
    assert split.held_out.counts.tolist() == [held]
    assert sorted(real(split.held_out, 0) + real(split.train, 0)) == list(range(rows))
    assert split.shortest == rows - held
    assert split.folds == Holdout(fraction).folds == 1


def test_every_row_trains_on_all_and_is_judged_by_none():
    split = EveryRow().split(plain(6))
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
        (lambda: StratifiedKFold(1), "StratifiedKFold needs at least 2 folds, got 1"),
        (lambda: Blocked(1), "Blocked needs at least 2 folds, got 1"),
        (lambda: Blocked(5).split(stream(4)), r"Blocked\(5\) needs at least 5 training rows, and there are 4"),
        (lambda: GroupKFold(0), "GroupKFold needs at least 2 folds, got 0"),
        (lambda: StratifiedKFold(2).split(plain(9)), "by class, and these rows have no class labels"),
        (
            lambda: StratifiedKFold(3).split(rows_with([0, 0, 0, 4, 4])),
            "3 training rows of each class, and class 4 has 2",
        ),
        (lambda: GroupKFold(2).split(plain(9)), "by group, and these rows have no groups"),
        (lambda: GroupKFold(3).split(rows_with(groups=[1, 1, 8])), "at least 3 groups among .* there are 2"),
        (lambda: KFold(5).split(plain(4)), "needs at least 5 training rows, and there are 4"),
        (lambda: Holdout(0.0), "a fraction between 0 and 1, got 0.0"),
        (lambda: Holdout(1.0), "a fraction between 0 and 1, got 1.0"),
        (lambda: Holdout(0.5).split(plain(1)), "leaves nothing to train on of 1 training rows"),
    ],
)
def test_mistakes_are_told_in_a_sentence(make, told):
    with pytest.raises(UserMistake, match=told):
        make()
