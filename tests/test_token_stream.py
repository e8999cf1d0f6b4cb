"""A stream of tokens read as parallel streams, one window after another, in training and in scoring."""

import numpy as np
import pytest

from searchlab import backend
from searchlab.data import Blocked, EveryRow, Holdout, Rows, Split, TokenStream, Vocabulary
from searchlab.data.batch import IGNORED
from searchlab.data.token_stream import SCORING_BATCH_SIZE
from searchlab.errors import UserMistake
from searchlab.replicas import Replicas
from tests import fake_cupy

VOCABULARY = Vocabulary(tuple(f"w{n}" for n in range(1000)))


def counting(length, window=3, **options):
    """Return a stream in which each token's id is its position."""
    return TokenStream(np.arange(length), VOCABULARY, window, **options)


def read_epoch(data, split, batch_size, seeds=None):
    batches = list(data.training_batches(split, Replicas(seeds or range(split.folds)), batch_size))
    assert all(batch.weight is None for batch in batches)
    return batches


def test_each_window_continues_the_streams_of_the_window_before():
    data = counting(25)
    split = EveryRow().split(data)
    first, second, third = read_epoch(data, split, 3)  # streams of 8 targets begin at 0, 8 and 16
    assert first.x[0].tolist() == [[0, 8, 16], [1, 9, 17], [2, 10, 18]]  # time-major
    assert first.y[0].tolist() == [[1, 9, 17], [2, 10, 18], [3, 11, 19]]
    assert second.x[0].tolist() == [[3, 11, 19], [4, 12, 20], [5, 13, 21]]
    assert third.x[0].tolist() == [[6, 14, 22], [7, 15, 23]], "the last window is shorter"
    assert third.y[0].tolist() == [[7, 15, 23], [8, 16, 24]]
    assert data.steps_per_epoch(split, 3) == 3
    assert (data.sizes, len(data), data.is_ordered) == ((1000,), 25, True)


@pytest.mark.parametrize("batch_size", [1, 3, 16, 32])
@pytest.mark.parametrize("window", [1, 7, 50])
@pytest.mark.parametrize("length", [33, 100, 101, 999])
def test_every_token_but_the_first_is_a_target_in_every_epoch(length, window, batch_size):
    data = counting(length, window)
    split = EveryRow().split(data)
    batches = read_epoch(data, split, batch_size)
    assert len(batches) == data.steps_per_epoch(split, batch_size)
    x, y = (np.concatenate([getattr(batch, name)[0] for batch in batches]) for name in ("x", "y"))
    counted = y != IGNORED
    assert sorted(y[counted].tolist()) == list(range(1, length))
    assert (x[counted] + 1 == y[counted]).all()
    assert np.ptp(counted.sum(axis=0)) <= 1, "streams are of equal length, or differ by one"


def test_folds_miss_at_most_what_the_smallest_one_lacks():
    data = counting(101, 7)
    split = Blocked(3).split(data)
    y = np.concatenate([batch.y for batch in read_epoch(data, split, 4)], axis=1)
    assert [(y[fold] != IGNORED).sum() for fold in range(3)] == [split.min_train_rows - 1] * 3
    assert max(split.train.counts) - split.min_train_rows <= 1


def test_fewer_targets_than_streams_are_refused():
    data = counting(3)
    assert data.steps_per_epoch(EveryRow().split(data), 2) == 1
    with pytest.raises(
        UserMistake, match=r"^3 training tokens are too few for batch size 3, which needs at least 4\.$"
    ):
        data.steps_per_epoch(EveryRow().split(data), 3)


def test_each_fold_reads_its_blocks_joined():
    data = counting(20)
    split = Blocked(3).split(data)  # holds out 0..6, 7..13 and 14..19
    first, second = read_epoch(data, split, 3)  # 13 tokens: streams of 4 targets
    assert first.x[:, :, 0].tolist() == [[7, 8, 9], [0, 1, 2], [0, 1, 2]]
    assert first.x[:, :, 1].tolist() == [[11, 12, 13], [4, 5, 6], [4, 5, 6]]
    assert first.x[:, :, 2].tolist() == [[15, 16, 17], [15, 16, 17], [8, 9, 10]]
    assert first.y[1, :, 1].tolist() == [5, 6, 14], "the token after the held-out block follows in the fold's tokens"
    assert second.y.tolist() == [[[11, 15, 19]], [[4, 15, 19]], [[4, 8, 12]]]


def test_rows_in_any_order_are_read_in_that_order():
    rows = np.random.default_rng(0).permutation(50)
    data = counting(60)
    batches = read_epoch(data, Split.from_folds([rows, rows[::-1]], [np.arange(2)] * 2), 7)  # 7 streams of 7 targets
    x, y = (np.concatenate([getattr(batch, name) for batch in batches], axis=1) for name in ("x", "y"))  # (R, 7, 7)
    for fold, tokens in enumerate((rows, rows[::-1])):
        assert x[fold].T.reshape(-1).tolist() == tokens[:49].tolist()
        assert y[fold].T.reshape(-1).tolist() == tokens[1:].tolist()


def test_replicas_side_by_side_read_what_each_reads_alone_whatever_their_seeds():
    data = counting(500)
    split = Blocked(3).split(data)[np.array([2, 0, 2])]
    fused = read_epoch(data, split, 4, seeds=[5, 6, 7])
    for r in range(3):
        for batch, alone in zip(fused, read_epoch(data, split[np.array([r])], 4, seeds=[9]), strict=True):
            assert (batch.x[r] == alone.x[0]).all()
            assert (batch.y[r] == alone.y[0]).all()


def test_changed_inputs_do_not_change_targets():
    data = counting(25)
    batch = read_epoch(data, EveryRow().split(data), 3)[0]
    before = batch.y.copy()
    batch.x[:] = 0
    assert (batch.y == before).all()
    assert data.ids.tolist() == list(range(25))


def scored_pairs(data, rows):
    """Return the pairs of input and target that count, for each replica, stream after stream."""
    batches = list(data.scoring_batches(rows))
    assert {batch.x.shape for batch in batches} == {(len(rows.counts), data.window, SCORING_BATCH_SIZE)}
    x, y = (np.concatenate([getattr(batch, name) for batch in batches], axis=1) for name in ("x", "y"))  # (R, time, B)
    counts = y != IGNORED
    return [
        list(zip(x[r].T[counts[r].T].tolist(), y[r].T[counts[r].T].tolist(), strict=True))
        for r in range(len(rows.counts))
    ]


@pytest.mark.parametrize("length", [2, 3, 4, 30, 31, 32, 61, 299, 300, 301, 302, 1000])
@pytest.mark.parametrize("window", [1, 3, 35])
def test_scoring_has_each_token_but_the_first_as_a_target_once(length, window):
    data = counting(1000, window)
    (pairs,) = scored_pairs(data, Rows.from_folds([np.arange(1000 - length, 1000)]))
    assert pairs == [(n, n + 1) for n in range(1000 - length, 999)]


def test_scoring_batches_continue_their_streams():
    data = counting(71)
    batches = list(data.scoring_batches(Rows.from_folds([np.arange(71)])))  # 70 targets: 10 streams of 7, 3 windows
    assert [batch.x[0, 0].tolist() for batch in batches] == [
        [7 * stream + start for stream in range(10)] for start in (0, 3, 6)
    ]
    assert batches[2].y[0, :, 0].tolist() == [7, IGNORED, IGNORED]


def test_few_tokens_are_scored_in_fewer_streams():
    batches = list(counting(20).scoring_batches(Rows.from_folds([np.arange(20)])))  # 19 targets: 6 windows
    has_target = np.concatenate([batch.y[0] for batch in batches]) != IGNORED
    assert has_target.sum(axis=0).tolist() == [4, 4, 4, 4, 3] + [0] * 5


def test_folds_of_unequal_length_are_scored_side_by_side_as_alone():
    data = counting(1000, 7)
    held_out = Rows.from_folds([np.arange(100, 900), np.arange(30), np.array([5]), np.arange(0)])
    assert [len(pairs) for pairs in scored_pairs(data, held_out)] == [799, 29, 0, 0]
    for r in range(2):
        fold = held_out[np.array([r])]
        for fused, alone in zip(data.scoring_batches(held_out), data.scoring_batches(fold), strict=False):
            assert (fused.x[r] == alone.x[0]).all()
            assert (fused.y[r] == alone.y[0]).all()


@pytest.mark.parametrize("rows", [np.arange(0), np.array([3])])
def test_rows_without_a_target_give_no_batch(rows):
    assert not list(counting(20).scoring_batches(Rows.from_folds([rows, rows])))


def test_a_fold_that_holds_out_a_single_token_is_rejected():
    data = counting(100)
    assert data.fitted(EveryRow().split(data)) is data
    assert data.fitted(Holdout(0.02).split(data)) is data
    with pytest.raises(UserMistake, match="holds out 1 of 100 tokens"):
        data.fitted(Holdout(0.01).split(data))


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_batches_have_the_dtype_of_the_ids(dtype):
    data = TokenStream(np.arange(90, dtype=dtype), VOCABULARY, 3)
    batch = read_epoch(data, EveryRow().split(data), 20)[-1]
    scoring_batch = next(data.scoring_batches(Rows.from_folds([np.arange(90)])))
    dtypes = {array.dtype for read in (batch, scoring_batch) for array in (read.x, read.y)}
    assert dtypes == {np.dtype(dtype)}
    assert data.checksum() == counting(90).checksum()


def test_the_checksum_covers_ids_vocabulary_and_validation_part():
    streams = [
        counting(90),
        counting(91),
        counting(90, validation_rows=np.arange(80, 90)),
        TokenStream(np.arange(90), Vocabulary(VOCABULARY.tokens[::-1]), 3),
    ]
    assert len({stream.checksum() for stream in streams}) == 4
    assert counting(90, window=9).checksum() == streams[0].checksum()


@pytest.mark.parametrize("ids", [np.zeros((2, 3), int), np.zeros(3, np.float32), np.zeros(3, np.int16)])
def test_ids_that_are_not_a_vector_of_whole_numbers_are_rejected(ids):
    with pytest.raises(ValueError, match="ids are whole numbers"):
        TokenStream(ids, VOCABULARY, 3)


@pytest.mark.parametrize("window", [0, 3.0])
def test_a_window_of_no_tokens_is_rejected(window):
    with pytest.raises(UserMistake, match=rf"window=\.\.\.\) is a whole number of tokens, at least 1, got {window}"):
        counting(9, window)


def test_a_device_reads_the_same_batches_without_waiting(monkeypatch):
    monkeypatch.setattr(backend, "_cupy", lambda: fake_cupy)
    host = counting(200, validation_rows=np.arange(150, 200))
    device, split = host.to("cuda"), Blocked(3).split(host)
    assert device.checksum() == host.checksum()
    assert (device.validation_rows == host.validation_rows).all()
    before = fake_cupy.transfers["to_host"]
    device_batches = [
        *device.training_batches(split, Replicas(range(3)), 4),
        *device.scoring_batches(split.held_out),
    ]
    assert fake_cupy.transfers["to_host"] == before
    host_batches = [*read_epoch(host, split, 4), *host.scoring_batches(split.held_out)]
    for expected, batch in zip(host_batches, device_batches, strict=True):
        assert (expected.x == fake_cupy.asnumpy(batch.x)).all()
        assert (expected.y == fake_cupy.asnumpy(batch.y)).all()
