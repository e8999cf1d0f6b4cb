"""Which rows each fold trains on and is validated on."""

import numpy as np
import pytest
from sklearn import model_selection as oracle

from searchlab.data import (
    Arrays,
    Blocked,
    EveryRow,
    Examples,
    GroupKFold,
    Holdout,
    KFold,
    Predefined,
    Rows,
    Split,
    StratifiedGroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
    TokenStream,
    Vocabulary,
)
from searchlab.data.splits import fold_count
from searchlab.errors import UserMistake
from searchlab.replicas import Replicas
from searchlab.space.fingerprint import to_json_value


def rows_with(labels=None, groups=None, rows=None):
    """Return rows of which only the labels and groups matter; without labels the targets are numbers."""
    rows = rows or len(groups if labels is None else labels)
    y = np.zeros((rows, 1), np.float32) if labels is None else np.array(labels)
    return Examples(np.zeros((rows, 1), np.float32), y, 9, groups=None if groups is None else np.array(groups))


def rows_without_labels(rows):
    return rows_with(rows=rows)


def stream(rows, validation_rows=None):
    return TokenStream(np.zeros(rows, int), Vocabulary(("a",)), 3, validation_rows=validation_rows)


def rows_of_fold(rows, fold):
    """Return the row numbers of a fold, without padding."""
    return rows.index[fold][: rows.counts[fold]].tolist()


@pytest.mark.parametrize(("folds", "rows"), [(2, 2), (3, 10), (5, 1437), (5, 300), (7, 7), (4, 5)])
def test_kfold_holds_out_each_row_once(folds, rows):
    split = KFold(folds).split(rows_without_labels(rows))
    held_out = [rows_of_fold(split.held_out, fold) for fold in range(folds)]
    assert sorted(row for fold in held_out for row in fold) == list(range(rows))
    assert max(map(len, held_out)) - min(map(len, held_out)) <= 1
    for fold in range(folds):
        assert sorted(held_out[fold] + rows_of_fold(split.train, fold)) == list(range(rows))
    assert split.folds == folds == KFold(folds).folds
    assert split.min_train_rows == split.train.counts.min() == rows - max(map(len, held_out))


def test_kfold_depends_on_its_seed_alone():
    data = rows_without_labels(20)
    assert (KFold(3).split(data).train.index == KFold(3).split(data).train.index).all()
    assert not (KFold(3, seed=1).split(data).train.index == KFold(3).split(data).train.index).all()
    first_fold = rows_of_fold(KFold(2).split(rows_without_labels(100)).held_out, 0)
    assert first_fold != list(range(50))  # shuffled, because a file may be sorted by label


@pytest.mark.parametrize("make_data", [rows_without_labels, stream])
@pytest.mark.parametrize(("folds", "rows"), [(2, 2), (3, 10), (5, 1437), (7, 7), (4, 5)])
def test_blocks_are_contiguous_and_each_held_out_once(folds, rows, make_data):
    split = Blocked(folds).split(make_data(rows))
    held_out = [rows_of_fold(split.held_out, fold) for fold in range(folds)]
    assert np.concatenate(held_out).tolist() == list(range(rows))  # in order, and so contiguous
    assert max(map(len, held_out)) - min(map(len, held_out)) <= 1
    for fold in range(folds):
        assert rows_of_fold(split.train, fold) == [row for row in range(rows) if row not in held_out[fold]]
    assert split.folds == folds == Blocked(folds).folds


@pytest.mark.parametrize(("fraction", "rows", "held_out"), [(0.2, 10, 2), (0.5, 3, 2), (0.01, 10, 1)])
def test_holdout_keeps_a_stream_in_order_and_holds_out_its_end(fraction, rows, held_out):
    for seed in (0, 1):
        split = Holdout(fraction, seed).split(stream(rows))
        assert rows_of_fold(split.train, 0) == list(range(rows - held_out))
        assert rows_of_fold(split.held_out, 0) == list(range(rows - held_out, rows))


def test_holdout_uses_the_validation_part_of_a_corpus():
    split = Holdout(0.5).split(stream(10, validation_rows=np.array([7, 8, 9])))
    assert rows_of_fold(split.train, 0) == list(range(7))
    assert rows_of_fold(split.held_out, 0) == [7, 8, 9]
    assert split.min_train_rows == 7


@pytest.mark.parametrize("scheme", [KFold, StratifiedKFold, GroupKFold])
def test_a_stream_is_never_shuffled(scheme):
    with pytest.raises(UserMistake, match=rf"^{scheme.__name__} shuffles rows.* Blocked\(4\) and Holdout\(\)"):
        scheme(4).split(stream(100))


LABELS = {
    "equal": [0, 1, 2] * 20,
    "sorted": [0] * 30 + [1] * 20 + [2] * 10,
    "rare": [0] * 95 + [1] * 5,
    "missing": [0, 2] * 6,
    "unequal": np.random.default_rng(0).integers(5, size=137).tolist() + list(range(5)) * 5,
}


@pytest.mark.parametrize("folds", [2, 3, 5])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_stratified_folds_have_near_equal_sizes_and_shares_of_each_class(folds, labels):
    split = StratifiedKFold(folds).split(rows_with(labels))
    held_out = [rows_of_fold(split.held_out, fold) for fold in range(folds)]
    assert sorted(row for fold in held_out for row in fold) == list(range(len(labels)))
    assert max(map(len, held_out)) - min(map(len, held_out)) <= 1
    for fold in range(folds):
        assert sorted(held_out[fold] + rows_of_fold(split.train, fold)) == list(range(len(labels)))
    counts = np.array([np.bincount(np.array(labels)[fold], minlength=5) for fold in held_out])  # (folds, classes)
    assert np.ptp(counts, axis=0).max() <= 1


def test_stratified_folds_shuffle_each_class_by_their_seed():
    data = rows_with(LABELS["sorted"])
    held_out = [StratifiedKFold(3, seed=seed).split(data).held_out.index for seed in (0, 0, 1)]
    assert (held_out[0] == held_out[1]).all()
    assert not (held_out[0] == held_out[2]).all()
    zeros = sorted(row for row in held_out[0][0] if row < 30)
    assert np.ptp(np.diff(zeros)) > 0, "the rows of a class are in the order of the file"


GROUPS = {
    "equal": [5, 7, 9, 11] * 5,
    "one large": [1] * 40 + list(range(2, 22)),
    "unequal": np.random.default_rng(1).integers(17, size=200).tolist(),
}


@pytest.mark.parametrize("folds", [2, 3, 4])
@pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)
def test_group_folds_keep_groups_whole(folds, groups):
    split = GroupKFold(folds).split(rows_with(groups=groups))
    held_out = [rows_of_fold(split.held_out, fold) for fold in range(folds)]
    assert sorted(row for fold in held_out for row in fold) == list(range(len(groups)))
    for fold in range(folds):
        assert sorted(held_out[fold] + rows_of_fold(split.train, fold)) == list(range(len(groups)))
        inside, outside = ({groups[row] for row in rows} for rows in (held_out[fold], rows_of_fold(split.train, fold)))
        assert not inside & outside
    spread = max(map(len, held_out)) - min(map(len, held_out))
    assert spread <= np.bincount(groups).max()  # guaranteed by placing the largest group first


def test_the_largest_group_is_placed_first_and_the_seed_orders_equal_groups():
    split = GroupKFold(2).split(rows_with(groups=[0] * 5 + [1] * 4 + [2] * 3 + [3] * 2))
    expected = [{0, 3}, {1, 2}]  # 5 | 4, then 3 to the smaller 4, then 2 to the 5: 7 and 7
    group_of_row = [0] * 5 + [1] * 4 + [2] * 3 + [3] * 2
    assert [{group_of_row[row] for row in rows_of_fold(split.held_out, fold)} for fold in (0, 1)] == expected
    many = rows_with(groups=list(range(12)) * 2)
    held_out = [sorted(rows_of_fold(GroupKFold(3, seed=seed).split(many).held_out, 0)) for seed in (0, 0, 1)]
    assert held_out[0] == held_out[1] != held_out[2]


@pytest.mark.parametrize(
    ("fraction", "rows", "held_out"), [(0.2, 10, 2), (0.5, 3, 2), (0.01, 10, 1), (0.25, 1437, 359)]
)
def test_holdout_has_one_fold(fraction, rows, held_out):
    split = Holdout(fraction).split(rows_without_labels(rows))
    assert split.held_out.counts.tolist() == [held_out]
    assert sorted(rows_of_fold(split.held_out, 0) + rows_of_fold(split.train, 0)) == list(range(rows))
    assert split.min_train_rows == rows - held_out
    assert split.folds == Holdout(fraction).folds == 1


def test_every_row_trains_on_all_rows_and_holds_out_none():
    split = EveryRow().split(rows_without_labels(6))
    assert rows_of_fold(split.train, 0) == [0, 1, 2, 3, 4, 5]
    assert split.held_out.counts.tolist() == [0]
    assert split.folds == EveryRow().folds == 1


def test_selected_folds_keep_their_common_epoch_length():
    split = Split.from_folds([np.arange(5), np.arange(4)], [np.array([5]), np.array([4, 5])])
    selected = split[np.array([0, 0, 1])]
    assert selected.min_train_rows == split[np.array([0])].min_train_rows == 4  # the same alone and side by side
    assert selected.train.counts.tolist() == [5, 5, 4]
    assert selected.held_out.counts.tolist() == [1, 1, 2]
    assert selected.folds == 3


def test_padding_repeats_a_folds_own_rows():
    rows = Rows.from_folds([np.array([7, 8, 9]), np.array([4])])
    assert rows.index.tolist() == [[7, 8, 9], [4, 4, 4]]
    assert rows.counts.tolist() == [3, 1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: KFold(1), r"at least 2 folds, got 1; Holdout\(0.2\)"),
        (lambda: KFold(2.0), "got 2.0"),
        (lambda: StratifiedKFold(1), "StratifiedKFold needs at least 2 folds, got 1"),
        (lambda: Blocked(1), "Blocked needs at least 2 folds, got 1"),
        (lambda: Blocked(5).split(stream(4)), r"Blocked\(5\) needs at least 5 training rows, and there are 4"),
        (lambda: GroupKFold(0), "GroupKFold needs at least 2 folds, got 0"),
        (lambda: StratifiedKFold(2).split(rows_without_labels(9)), "needs class labels, and these rows have none"),
        (
            lambda: StratifiedKFold(3).split(rows_with([0, 0, 0, 4, 4])),
            "3 training rows of each class, and class 4 has 2",
        ),
        (lambda: GroupKFold(2).split(rows_without_labels(9)), "needs groups, and these rows have none"),
        (lambda: GroupKFold(3).split(rows_with(groups=[1, 1, 8])), "at least 3 groups among .* there are 2"),
        (lambda: KFold(5).split(rows_without_labels(4)), "needs at least 5 training rows, and there are 4"),
        (lambda: Holdout(0.0), "a fraction between 0 and 1, got 0.0"),
        (lambda: Holdout(1.0), "a fraction between 0 and 1, got 1.0"),
        (lambda: Holdout(0.5).split(rows_without_labels(1)), "leaves no row to train on: there are 1 "),
    ],
)
def test_mistakes_are_reported(make, message):
    with pytest.raises(UserMistake, match=message):
        make()


@pytest.mark.parametrize("scheme", [KFold, StratifiedKFold])
def test_each_repeat_holds_out_every_row_once_and_the_first_is_that_of_no_repeats(scheme):
    data = rows_with(labels=np.arange(50) % 5)
    split, single = scheme(4, repeats=3).split(data), scheme(4).split(data)
    assert split.folds == fold_count(scheme(4, repeats=3)) == 12
    held_out = [rows_of_fold(split.held_out, fold) for fold in range(12)]
    assert held_out[:4] == [rows_of_fold(single.held_out, fold) for fold in range(4)]
    for repeat in range(3):
        parts = held_out[4 * repeat : 4 * repeat + 4]
        assert sorted(row for part in parts for row in part) == list(range(50))
        for fold, part in enumerate(parts):
            train = rows_of_fold(split.train, 4 * repeat + fold)
            assert sorted(train + part) == list(range(50))
    assert len({tuple(sorted(part)) for part in held_out}) == 12


def test_a_scheme_without_repeats_keeps_the_fingerprint_of_older_sweeps():
    assert to_json_value(KFold(5)) == {"kind": "KFold", "folds": 5, "seed": 0}
    assert to_json_value(KFold(5, repeats=2))["repeats"] == 2


@pytest.mark.parametrize("folds", [2, 3, 5])
@pytest.mark.parametrize("seed", range(3))
def test_stratified_group_folds_keep_groups_whole_and_classes_as_even_as_scikit_learn(folds, seed):
    generator = np.random.default_rng(seed)
    groups = np.sort(generator.integers(40, size=400))
    labels = (generator.random(400) < np.where(groups % 7 == 0, 0.6, 0.1)).astype(int)
    split = StratifiedGroupKFold(folds, seed=seed).split(rows_with(labels, groups))
    held_out = [rows_of_fold(split.held_out, fold) for fold in range(folds)]
    assert sorted(row for part in held_out for row in part) == list(range(400))
    for fold, part in enumerate(held_out):
        assert not set(groups[part]) & set(groups[rows_of_fold(split.train, fold)])

    def spread(parts):
        return np.std([[np.sum(labels[part] == c) / np.sum(labels == c) for c in (0, 1)] for part in parts], axis=0)

    known = oracle.StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    expected = [test for _, test in known.split(groups, labels, groups)]
    assert spread(held_out).mean() <= spread(expected).mean() + 0.01


@pytest.mark.parametrize(
    "arguments",
    [{}, {"gap": 3}, {"test_size": 4}, {"max_train_size": 20}, {"test_size": 5, "gap": 2, "max_train_size": 9}],
    ids=repr,
)
@pytest.mark.parametrize(("folds", "rows"), [(2, 20), (3, 50), (5, 101)])
def test_time_series_folds_are_those_of_scikit_learn(folds, rows, arguments):
    if arguments.get("test_size", 0) * folds + arguments.get("gap", 0) >= rows:
        return
    split = TimeSeriesSplit(folds, **arguments).split(rows_without_labels(rows))
    known = oracle.TimeSeriesSplit(folds, **arguments)
    for fold, (train, test) in enumerate(known.split(np.zeros(rows))):
        assert rows_of_fold(split.train, fold) == train.tolist()
        assert rows_of_fold(split.held_out, fold) == test.tolist()


def test_folds_of_a_time_series_make_as_many_steps_and_read_all_their_rows():
    data = Examples(np.arange(60, dtype=np.float32)[:, None], np.arange(60.0, dtype=np.float32)[:, None], 1)
    split = TimeSeriesSplit(4).split(data)
    assert split.epoch_rows == max(split.train.counts) == 48
    assert data.steps_per_epoch(split, 8) == 6
    seen = np.concatenate([b.x[..., 0] for b in data.training_batches(split, Replicas(range(4)), 8)], axis=1)
    for fold in range(4):
        rows, times = np.unique(seen[fold], return_counts=True)
        assert rows.tolist() == rows_of_fold(split.train, fold), "it sees its own rows, all of them"
        assert times.max() - times.min() <= 1
    alone = split[np.array([1])]
    own = np.concatenate([b.x[..., 0] for b in data.training_batches(alone, Replicas([1]), 8)], axis=1)
    assert (own[0] == seen[1]).all(), "the same alone and side by side"


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: TimeSeriesSplit(1), "at least 2 folds"),
        (lambda: TimeSeriesSplit(3, gap=-1), "gap"),
        (lambda: TimeSeriesSplit(3, test_size=0), "test_size"),
        (lambda: TimeSeriesSplit(5).split(rows_without_labels(4)), "at least 6 training rows, and there are 4"),
        (lambda: TimeSeriesSplit(2).split(stream(30)), "Blocked"),
        (lambda: KFold(5, repeats=0), "repeats"),
        (lambda: StratifiedGroupKFold(2).split(rows_with([0, 0, 1, 1])), "needs groups"),
        (lambda: StratifiedGroupKFold(2).split(rows_with(groups=[0, 0, 1, 1])), "class labels"),
    ],
)
def test_wrong_arguments_of_splits_are_a_user_mistake(build, message):
    with pytest.raises(UserMistake, match=message):
        build()


@pytest.mark.parametrize("scheme", [StratifiedKFold(3), StratifiedGroupKFold(3)])
def test_a_class_that_is_rarer_than_the_folds_is_named_by_its_word(scheme):
    labels = np.array([0] * 8 + [1] * 2)
    data = Examples(np.ones((10, 1), np.float32), labels, 2, target_names=("no", "yes"), groups=np.arange(10))
    with pytest.raises(UserMistake, match="class 'yes' has 2"):
        scheme.split(data)


@pytest.mark.parametrize("kind", [int, str])
def test_predefined_folds_are_those_of_scikit_learn_also_after_test_rows_are_drawn(kind):
    folds = np.random.default_rng(0).integers(-1, 3, size=60)
    data = Arrays(np.arange(60.0)[:, None], np.arange(60) % 2, columns={"fold": folds.astype(kind)}, standardize=False)
    training = data.training().to("cpu")
    own = folds[training.x[:, 0].astype(int)]
    split = Predefined("fold", folds=3).split(training)
    for fold, (train, test) in enumerate(oracle.PredefinedSplit(own).split()):
        assert sorted(rows_of_fold(split.train, fold)) == train.tolist()
        assert rows_of_fold(split.held_out, fold) == test.tolist()
    taken = training.take(np.arange(10))
    assert taken.columns["fold"].tolist() == training.columns["fold"][:10].tolist()
    assert data == Arrays(
        np.arange(60.0)[:, None], np.arange(60) % 2, columns={"fold": folds.astype(kind)}, standardize=False
    )


def test_a_predefined_column_that_does_not_fit_is_a_user_mistake():
    data = Arrays(np.ones((10, 1)), np.arange(10) % 2, columns={"fold": np.arange(10) % 3})
    with pytest.raises(UserMistake, match="say folds=3"):
        Predefined("fold").split(data.training())
    with pytest.raises(UserMistake, match="it has 'fold'"):
        Predefined("part").split(data.training())
    with pytest.raises(UserMistake, match="columns="):
        Predefined("part").split(rows_without_labels(5))
    with pytest.raises(UserMistake, match="one number or text for each of 10 rows"):
        Arrays(np.ones((10, 1)), np.arange(10) % 2, columns={"fold": np.arange(9)})
