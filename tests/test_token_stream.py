"""A stream of tokens read in lanes and windows, trained on and scored."""

import numpy as np
import pytest

from searchlab import backend
from searchlab.data import Blocked, EveryRow, Holdout, Rows, Split, TokenStream, Vocabulary
from searchlab.data.batch import IGNORED
from searchlab.data.token_stream import SCORING_LANES
from searchlab.errors import UserMistake
from searchlab.replicas import Replicas
from tests import fake_cupy

VOCABULARY = Vocabulary(tuple(f"w{n}" for n in range(1000)))


def counting(length, window=3, **options):
    """A stream whose token at every place is its place."""
    return TokenStream(np.arange(length), VOCABULARY, window, **options)


def epoch(table, split, batch_size, seeds=None):
    batches = list(table.epoch(split, Replicas(seeds or range(split.folds)), batch_size))
    assert all(batch.weight is None for batch in batches)
    return batches


def test_windows_follow_each_other_in_lanes():
    table = counting(25)
    split = EveryRow().split(table)
    first, second = epoch(table, split, 3)  # lanes of 8 begin at 0, 8 and 16
    assert first.x[0].tolist() == [[0, 8, 16], [1, 9, 17], [2, 10, 18]]  # time goes down
    assert first.y[0].tolist() == [[1, 9, 17], [2, 10, 18], [3, 11, 19]]
    assert second.x[0].tolist() == [[3, 11, 19], [4, 12, 20], [5, 13, 21]]
    assert table.steps(split, 3) == 2
    assert (table.sizes, len(table), table.ordered) == ((1000,), 25, True)


@pytest.mark.parametrize(
    ("length", "lanes", "window", "steps"), [(24, 3, 7, 1), (23, 3, 7, 0), (24, 3, 1, 7), (2, 1, 1, 1)]
)
def test_an_epoch_has_as_many_windows_as_the_shortest_lane_holds(length, lanes, window, steps):
    table = counting(length, window)
    split = EveryRow().split(table)
    if steps:
        assert table.steps(split, lanes) == len(epoch(table, split, lanes)) == steps
    else:
        with pytest.raises(
            UserMistake, match=r"^23 training tokens are too few for 3 lanes and windows of 7, .* 24\.$"
        ):
            table.steps(split, lanes)


def test_each_fold_reads_its_own_blocks_joined():
    table = counting(20)
    split = Blocked(3).split(table)  # holds out 0..6, 7..13 and 14..19
    (only,) = epoch(table, split, 3)  # 13 tokens in lanes of 4
    assert only.x[:, :, 0].tolist() == [[7, 8, 9], [0, 1, 2], [0, 1, 2]]
    assert only.x[:, :, 1].tolist() == [[11, 12, 13], [4, 5, 6], [4, 5, 6]]
    assert only.x[:, :, 2].tolist() == [[15, 16, 17], [15, 16, 17], [8, 9, 10]]
    assert only.y[1, :, 1].tolist() == [5, 6, 14], "what follows the held-out block follows in the fold's own stream"


def test_any_choice_of_rows_is_a_stream():
    own = np.random.default_rng(0).permutation(50)
    table = counting(60)
    (batch,) = epoch(table, Split.of([own, own[::-1]], [np.arange(2)] * 2), 10)
    lanes = np.stack([own, own[::-1]]).reshape(2, 10, 5).swapaxes(1, 2)
    assert batch.x.tolist() == lanes[:, :3].tolist()
    assert batch.y.tolist() == lanes[:, 1:4].tolist()


def test_replicas_together_read_what_each_reads_alone_whatever_their_seeds():
    table = counting(500)
    split = Blocked(3).split(table)[np.array([2, 0, 2])]
    fused = epoch(table, split, 4, seeds=[5, 6, 7])
    for r in range(3):
        for one, alone in zip(fused, epoch(table, split[np.array([r])], 4, seeds=[9]), strict=True):
            assert (one.x[r] == alone.x[0]).all()
            assert (one.y[r] == alone.y[0]).all()


def test_targets_stay_when_inputs_are_changed():
    table = counting(25)
    batch = epoch(table, EveryRow().split(table), 3)[0]
    before = batch.y.copy()
    batch.x[:] = 0
    assert (batch.y == before).all()
    assert table.ids.tolist() == list(range(25))


def scored(table, rows):
    """Per replica the targets asked for, lane after lane, each after its input."""
    batches = list(table.scoring(rows))
    assert {batch.x.shape for batch in batches} == {(len(rows.counts), table.window, SCORING_LANES)}
    x, y = (np.concatenate([getattr(batch, name) for batch in batches], axis=1) for name in ("x", "y"))
    return [list(zip(one.T[two.T >= 0], two.T[two.T >= 0], strict=True)) for one, two in zip(x, y, strict=True)]


@pytest.mark.parametrize("length", [2, 3, 4, 30, 31, 32, 61, 299, 300, 301, 302, 1000])
@pytest.mark.parametrize("window", [1, 3, 35])
def test_scoring_asks_for_each_token_but_the_first_once(length, window):
    table = counting(1000, window)
    (pairs,) = scored(table, Rows.of([np.arange(1000 - length, 1000)]))
    assert pairs == [(n, n + 1) for n in range(1000 - length, 999)]


def test_scoring_carries_on_within_a_lane():
    table = counting(71)
    batches = list(table.scoring(Rows.of([np.arange(71)])))  # 70 targets in 10 lanes of 7, in 3 windows
    assert [batch.x[0, 0].tolist() for batch in batches] == [
        [7 * lane + start for lane in range(10)] for start in (0, 3, 6)
    ]
    assert batches[2].y[0, :, 0].tolist() == [7, IGNORED, IGNORED]


def test_a_short_stream_is_scored_in_fewer_lanes():
    batches = list(counting(20).scoring(Rows.of([np.arange(20)])))  # 19 targets: 6 windows
    asked = np.concatenate([batch.y[0] for batch in batches]) != IGNORED
    assert asked.sum(axis=0).tolist() == [4, 4, 4, 4, 3] + [0] * 5


def test_folds_of_unequal_length_are_scored_as_alone():
    table = counting(1000, 7)
    held_out = Rows.of([np.arange(100, 900), np.arange(30), np.array([5]), np.arange(0)])
    assert [len(pairs) for pairs in scored(table, held_out)] == [799, 29, 0, 0]
    for r in range(2):
        one = held_out[np.array([r])]
        for fused, alone in zip(table.scoring(held_out), table.scoring(one), strict=False):
            assert (fused.x[r] == alone.x[0]).all()
            assert (fused.y[r] == alone.y[0]).all()


@pytest.mark.parametrize("rows", [np.arange(0), np.array([3])])
def test_nothing_to_ask_is_no_batch(rows):
    assert not list(counting(20).scoring(Rows.of([rows, rows])))


def test_a_single_token_cannot_be_judged_by():
    table = counting(100)
    assert table.fitted(EveryRow().split(table)) is table
    assert table.fitted(Holdout(0.02).split(table)) is table
    with pytest.raises(UserMistake, match="holds out a single one of 100 tokens, and a score takes at least 2"):
        table.fitted(Holdout(0.01).split(table))


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_what_is_read_has_the_type_of_the_ids(dtype):
    table = TokenStream(np.arange(90, dtype=dtype), VOCABULARY, 3)
    (batch,) = epoch(table, EveryRow().split(table), 20)
    scoring = next(table.scoring(Rows.of([np.arange(90)])))
    assert {array.dtype for each in (batch, scoring) for array in (each.x, each.y)} == {np.dtype(dtype)}
    assert table.checksum() == counting(90).checksum()


def test_a_checksum_is_of_ids_words_and_the_validation_part():
    tables = [
        counting(90),
        counting(91),
        counting(90, validation=np.arange(80, 90)),
        TokenStream(np.arange(90), Vocabulary(VOCABULARY.entries[::-1]), 3),
    ]
    assert len({table.checksum() for table in tables}) == 4
    assert counting(90, window=9).checksum() == tables[0].checksum()


@pytest.mark.parametrize("ids", [np.zeros((2, 3), int), np.zeros(3, np.float32), np.zeros(3, np.int16)])
def test_ids_are_a_row_of_whole_numbers(ids):
    with pytest.raises(ValueError, match="ids are whole numbers"):
        TokenStream(ids, VOCABULARY, 3)


@pytest.mark.parametrize("window", [0, 3.0])
def test_a_window_holds_a_token(window):
    with pytest.raises(UserMistake, match=rf"window=\.\.\.\) is a whole number of tokens, at least 1, got {window}"):
        counting(9, window)


def test_a_device_reads_the_same_and_is_never_waited_for(monkeypatch):
    monkeypatch.setattr(backend, "_cupy", lambda: fake_cupy)
    table = counting(200, validation=np.arange(150, 200))
    there, split = table.on("cuda"), Blocked(3).split(table)
    assert there.checksum() == table.checksum()
    assert (there.validation == table.validation).all()
    before = fake_cupy.moved["to the host"]
    read = [list(there.epoch(split, Replicas(range(3)), 4)), list(there.scoring(split.held_out))]
    assert fake_cupy.moved["to the host"] == before
    for here, batches in zip([epoch(table, split, 4), list(table.scoring(split.held_out))], read, strict=True):
        for one, twin in zip(here, batches, strict=True):
            assert (one.x == fake_cupy.asnumpy(twin.x)).all()
            assert (one.y == fake_cupy.asnumpy(twin.y)).all()
