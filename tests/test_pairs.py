"""Pairs of sequences: their ids, padding, vocabularies, repeated sources, and the sentences for wrong files."""

import numpy as np
import pytest

from searchlab import Addition, Dates, Holdout, KFold, Pairs
from searchlab.data import EveryRow, SequenceFormat, Vocabulary
from searchlab.data.batch import IGNORED
from searchlab.data.pair_tables import PairFormat, split_pairs
from searchlab.errors import UserMistake

QUESTIONS = [("1+2", "3"), ("10+2", "12"), ("7+5", "12"), ("3+3", "6"), ("2+2", "4"), ("4+4", "8"), ("99+1", "100")]


def table_of(pairs=QUESTIONS, is_test=False, test_size=0.2, seed=0, **options):
    return split_pairs(pairs, PairFormat(**options), test_size=test_size, seed=seed, is_test=is_test)


def first_batch(table):
    return next(table.scoring_batches(EveryRow().split(table).train))


def test_targets_end_with_a_mark_and_what_follows_is_ignored():
    table = table_of()
    batch, tokens = first_batch(table), table.sequence_format.target_vocabulary.tokens
    assert tokens[:2] == ("<eos>", "<sos>")
    for row in range(len(table)):
        answer = table.target_text(row)
        ids = batch.y[0, :, row].tolist()
        assert [tokens[number] for number in ids[: len(answer)]] == list(answer)
        assert ids[len(answer) :] == [0] + [IGNORED] * (batch.y.shape[1] - len(answer) - 1)
        assert batch.decoder_inputs[0, : len(answer) + 1, row].tolist() == [1, *ids[: len(answer)]]
        assert batch.source_mask[0, :, row].sum() == len(table.source_text(row))


def test_decoding_may_write_twice_the_longest_training_target_in_both_parts():
    longest = max(len(table_of().target_text(row)) for row in range(len(table_of())))
    assert first_batch(table_of()).max_length == first_batch(table_of(is_test=True)).max_length == 2 * (longest + 1)


def test_learned_padding_fills_both_sides_and_counts():
    table = table_of(padding="learned", shared_vocabulary=True)
    batch = first_batch(table)
    assert table.sizes[0] == table.sizes[1]
    assert batch.source_mask is None
    assert (batch.y != IGNORED).all()
    assert batch.max_length == batch.y.shape[1] == 3
    assert (batch.y[0, 1:, table.targets[:, 1] == 0] == 0).all()
    assert sorted(table.target_text(row) for row in range(len(table)))[0] in {answer for _, answer in QUESTIONS}


def test_equal_sources_are_on_one_side():
    pairs = [(f"{n % 30}+1", str(n)) for n in range(90)]
    table, test = table_of(pairs), table_of(pairs, is_test=True)
    sources = [{part.source_text(row) for row in range(len(part))} for part in (table, test)]
    assert not sources[0] & sources[1]
    assert len(table.groups) == len(table)
    for split in (KFold(4).split(table), Holdout(0.3).split(table)):
        for fold in range(split.folds):
            train, held_out = (
                {table.source_text(row) for row in part.index[fold, : part.counts[fold]]}
                for part in (split.train, split.held_out)
            )
            assert train
            assert held_out
            assert not train & held_out


def test_kfold_of_groups_is_nearly_even_and_uses_each_row_once():
    pairs = [(f"{n // 3}", str(n)) for n in range(300)]
    table = table_of(pairs)
    split = KFold(5).split(table)
    assert split.held_out.counts.max() - split.held_out.counts.min() <= 3
    rows = np.concatenate([i[:n] for i, n in zip(split.held_out.index, split.held_out.counts, strict=True)])
    assert sorted(rows.tolist()) == list(range(len(table)))


@pytest.mark.parametrize("scheme", [KFold(5), KFold(9)])
def test_fewer_groups_than_folds_are_refused(scheme):
    table = table_of([(str(n % 5), str(n)) for n in range(40)])
    with pytest.raises(UserMistake, match=rf"KFold\({scheme.folds}\) needs at least {scheme.folds} groups"):
        scheme.split(table)


def test_rare_and_new_tokens_are_unknown():
    table = table_of(min_count=2)
    counts = "".join(table.source_text(row) for row in range(len(table)))
    for each in table.sequence_format.source_vocabulary.tokens:
        assert each == "<unk>" or counts.count(each) >= 2
    batch = table.sequence_format.source_batch(["x"])
    assert table.sequence_format.source_vocabulary.lookup_tokens(batch.x[0, :, 0]) == ["<unk>"]


def test_sums_are_right_and_no_unordered_pair_occurs_twice():
    data = Addition(digits=2, rows=600, seed=5)
    seen = set()
    for part in (data.training(), data.testing()):
        for row in range(len(part)):
            left, right = map(int, part.source_text(row).split("+"))
            assert left + right == int(part.target_text(row))
            assert frozenset((left, right)) not in seen
            seen.add(frozenset((left, right)))
    assert len(seen) == 600
    assert len(Addition(digits=1, rows=5000).training()) == round(27 * 0.9)


def test_dates_are_right():
    data = Dates(rows=300, seed=2).training()
    months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
    for row in range(len(data)):
        source, (year, month, day) = data.source_text(row), data.target_text(row).split("-")
        if "/" in source:
            assert source == f"{int(month)}/{int(day)}/{year[2:]}"
        else:
            assert source.lower().split(", ")[-2].startswith(months[int(month) - 1])
            assert source.split(", ")[-2:] == [f"{source.split(', ')[-2].split(' ')[0]} {int(day)}", year]


def test_published_files_are_read_from_the_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SEARCHLAB_DATA", str(tmp_path))
    (tmp_path / "addition.txt").write_text("16+75  _91  \n52+607 _659 \n75+22  _97  \n1+2    _3   \n5+5    _10  \n")
    table = Pairs("addition.txt", separator="_").training()
    pairs = {(table.source_text(row), table.target_text(row)) for row in range(len(table))}
    assert pairs < {("16+75", "91"), ("52+607", "659"), ("75+22", "97"), ("1+2", "3"), ("5+5", "10")}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\tb\nc d\ne\tf\ng\th\n", r"line 2: .* separated by '\\t' are needed, and the line has 1 part\."),
        ("a\tb\tc\n" * 5, r"line 1: .* the line has 3 parts\."),
        ("a\tb\n \tc\n" * 5, r"line 2: the source is empty"),
        ("a\tb\nc\t \n" * 5, r"line 2: the target is empty"),
        ("a\tb\n", r"has 1 pairs, and at least 4 are needed"),
    ],
)
def test_wrong_lines_are_named(tmp_path, content, message):
    (tmp_path / "pairs.tsv").write_text(content)
    with pytest.raises(UserMistake, match=message):
        Pairs(tmp_path / "pairs.tsv").training()


def test_a_file_that_is_not_utf8_is_named(tmp_path):
    (tmp_path / "pairs.tsv").write_bytes(b"\xff\xfe\xfa\tb\n" * 9)
    with pytest.raises(UserMistake, match="cannot be read as UTF-8 text"):
        Pairs(tmp_path / "pairs.tsv").training()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Pairs("x", unit="letter"), "unit=.* is 'word' or 'char', got 'letter'"),
        (lambda: Pairs("x", padding="left"), "padding=.* is 'masked' or 'learned', got 'left'"),
        (lambda: Pairs("x", min_count=0), "needs min_count >= 1"),
        (lambda: Pairs("x", separator=""), "and a separator"),
        (lambda: Pairs("x", test_size=1.0), "between 0 and 1; got 1.0"),
        (lambda: Addition(digits=0), "1 to 9 digits"),
        (lambda: Addition(rows=3), "at least 10 rows"),
        (lambda: Dates(rows=10**9), "is from 10 to"),
    ],
)
def test_wrong_options_are_refused(make, message):
    with pytest.raises(UserMistake, match=message):
        make()


def test_a_source_longer_than_learned_padding_is_refused():
    vocabulary = Vocabulary(("<eos>", "<sos>", "a"), unit="char")
    sequences = SequenceFormat(vocabulary, vocabulary, max_length=3, source_width=2)
    assert sequences.source_batch(["a"]).x[0, :, 0].tolist() == [2, 0]
    with pytest.raises(UserMistake, match=r"at least 1 token, at most 2 .*; got 'aaa'"):
        sequences.source_batch(["aaa"])
