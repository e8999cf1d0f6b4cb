"""The Transformer of pairs of sequences passes its contract, and decodes as it was trained to predict."""

from dataclasses import replace

import numpy as np
import pytest

from models.transformer import Transformer
from searchlab.data import Addition, Batch, EveryRow, SequenceFormat, SequencePairs, Vocabulary
from searchlab.data.batch import IGNORED
from searchlab.errors import UserMistake
from searchlab.nn import Parameters
from searchlab.optim import Adam
from searchlab.replicas import Replicas
from searchlab.testing import check_model
from searchlab.testing.replica_rows import select_batch

SIZES = {"width": 8, "heads": 2, "inner": 6}
RATES = {"dropout": (0.0, 0.3, 0.6)}
SEEDS = [1, 2, 3]
TABLE = Addition(rows=60).training()  # sources of 3 to 7 characters, targets of 2 to 5


def build_model(**options):
    return lambda replicas, *sizes, **per_replica: Transformer(replicas, *sizes, **SIZES | options, **per_replica)


@pytest.mark.parametrize("dropout", [RATES, None], ids=["dropout", "plain"])
def test_transformer(dropout):
    check_model(build_model(), TABLE, per_replica=dropout)


@pytest.mark.parametrize("options", [{"layers": 1}, {"layers": 3, "heads": 1}], ids=str)
def test_transformer_of_other_depths(options):
    check_model(build_model(**options), TABLE, per_replica=RATES, batch_size=2)


def exact_model(seeds=tuple(SEEDS), dtype=np.float64):
    """Return a model with weights far from their initial values, which do not depend on the other replicas."""
    model = build_model(dropout=0.5)(replicas := Replicas(seeds, dtype=dtype), *TABLE.sizes)
    for _, parameter in model.named_parameters():
        parameter.value += replicas.normal(*parameter.value.shape[1:], scale=0.3)
    return model


def make_batch(replicas=3, size=6):
    split = EveryRow().split(TABLE)[np.zeros(replicas, int)]
    return next(TABLE.training_batches(split, Replicas(SEEDS[:replicas]), size))


def test_padding_of_a_source_changes_nothing():
    model, batch = exact_model(), make_batch()
    assert not batch.source_mask.all(), "some source is shorter than the longest"
    scores, decoded = model.predict(batch)[0].copy(), model.decode(batch)
    others = replace(batch, x=np.where(batch.source_mask, batch.x, (batch.x + 1) % TABLE.sizes[0]))
    assert (others.x != batch.x).any()
    assert (model.predict(others)[0] == scores).all()
    assert (model.decode(others).ids == decoded.ids).all()
    wider = replace(
        batch,
        x=np.concatenate([batch.x, batch.x[:, :2]], axis=1),
        source_mask=np.concatenate([batch.source_mask, np.zeros_like(batch.source_mask[:, :2])], axis=1),
    )
    assert model.predict(wider)[0] == pytest.approx(scores)


def test_a_row_does_not_depend_on_the_others_of_its_batch():
    model, batch = exact_model(), make_batch()
    scores, decoded = model.predict(batch)[0].copy(), model.decode(batch)
    x = batch.x.copy()
    x[:, :, 1:] = x[:, :, :1]
    changed = replace(batch, x=x, source_mask=np.ones_like(batch.source_mask) & batch.source_mask[:, :, :1])
    assert (model.predict(changed)[0] == scores)[:, :, 0].all()
    assert (model.decode(changed).ids == decoded.ids)[:, :, 0].all()


def test_a_target_token_does_not_depend_on_later_ones():
    model, batch = exact_model(), make_batch()
    scores = model.predict(batch)[0].copy()
    inputs = batch.decoder_inputs.copy()
    inputs[:, 3] = (inputs[:, 3] + 1) % TABLE.sizes[1]
    differs = (model.predict(replace(batch, decoder_inputs=inputs))[0] != scores).any(axis=(0, 2, 3))
    assert np.flatnonzero(differs).tolist() == list(range(3, scores.shape[1]))


def read_again(model, batch, decoded):
    """Return the log probabilities (R, T, B, V) where the decoder reads what was written, all at once."""
    inputs = np.concatenate([np.ones_like(decoded.ids[:, :1]), np.maximum(decoded.ids[:, :-1], 0)], axis=1)
    scores = model.predict(replace(batch, decoder_inputs=inputs, y=decoded.ids))[0]
    return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))


def test_decoding_with_kept_keys_and_values_equals_reading_all_again():
    model, batch = exact_model(), make_batch()
    decoded = model.decode(batch)
    log_probabilities, is_written = read_again(model, batch, decoded), decoded.ids != IGNORED
    assert (log_probabilities.argmax(axis=-1) == decoded.ids)[is_written].all()
    written = np.take_along_axis(log_probabilities, np.maximum(decoded.ids, 0)[..., None], axis=-1)[..., 0]
    assert decoded.log_probabilities == pytest.approx((written * is_written).sum(axis=1))


def test_hypotheses_of_a_beam_keep_their_own_keys_and_values():
    model, batch = exact_model(), make_batch()
    decoded = model.decode(batch, beam=3)
    log_probabilities, is_written = read_again(model, batch, decoded), decoded.ids != IGNORED
    written = np.take_along_axis(log_probabilities, np.maximum(decoded.ids, 0)[..., None], axis=-1)[..., 0]
    assert decoded.log_probabilities == pytest.approx((written * is_written).sum(axis=1))


@pytest.mark.parametrize("beam", [1, 3])
def test_fused_replicas_decode_what_each_decodes_alone(beam):
    batch, fused = make_batch(), exact_model(dtype=np.float32).decode(make_batch(), beam=beam)
    for r, seed in enumerate(SEEDS):
        alone = exact_model([seed], np.float32).decode(select_batch(batch, (r,)), beam=beam)
        assert (alone.ids[0] == fused.ids[r]).all()
        assert (alone.log_probabilities[0] == fused.log_probabilities[r]).all()


def test_nan_stays_in_its_replica():
    batch, model, other = make_batch(), exact_model(), exact_model()
    other.encoder[0].attention.query.W.value[1] = np.nan
    expected, actual = model.decode(batch), other.decode(batch)
    assert (actual.ids == expected.ids)[[0, 2]].all()
    assert (other.predict(batch)[0] == model.predict(batch)[0])[[0, 2]].all()


def test_attention_maps_are_distributions_over_real_places():
    model, batch = exact_model(), make_batch()
    maps = model.attention_maps(batch)
    assert maps.shape == (3, 6, 2, batch.y.shape[1], batch.x.shape[1])
    assert maps.sum(axis=-1) == pytest.approx(np.ones(maps.shape[:-1]))
    places = batch.source_mask.swapaxes(1, 2)[:, :, None, None]
    assert ((maps > 0.0) == places).all()


def reversal_pairs(rows=400):
    """Return sources of 2 to 4 of three letters, and the same letters in reverse."""
    generator, letters = np.random.default_rng(0), Vocabulary(tuple("abc"), unit="char")
    lengths = generator.integers(2, 5, size=rows)
    sources = generator.integers(3, size=(rows, 4))
    targets = np.full((rows, 5), IGNORED)
    for row, length in enumerate(lengths):
        targets[row, : length + 1] = [*(sources[row, :length][::-1] + 2), 0]
    answers = Vocabulary(("_", ">", *"abc"), unit="char")
    return SequencePairs(sources, lengths, targets, SequenceFormat(letters, answers, max_length=10))


@np.errstate(under="ignore")
def test_it_learns_to_reverse():
    table, replicas = reversal_pairs(), Replicas([0])
    split = EveryRow().split(table)
    model = Transformer(replicas, *table.sizes, width=32, heads=2, layers=1, inner=32)
    parameters = Parameters(model.named_parameters())
    optimizer = Adam(parameters, replicas, lr=5e-3)
    for _ in range(12):
        for batch in table.training_batches(split, replicas, 20):
            model.forward(batch, train=True)
            parameters.reset_gradients()
            model.backward()
            optimizer.update()
    written = model.decode(batch).ids[:, : batch.y.shape[1]]
    assert (written == batch.y).all(axis=1).mean() > 0.9


@pytest.mark.parametrize(
    "sizes", [{"width": 0}, {"heads": 0}, {"layers": 0}, {"inner": 0}, {"heads": 3}, {"width": 5, "heads": 5}], ids=str
)
def test_invalid_sizes_raise(sizes):
    with pytest.raises(UserMistake, match="Transformer needs sizes"):
        Transformer(Replicas([0]), 5, 6, **SIZES | sizes)


def test_data_without_targets_of_their_own_is_refused():
    ids = np.zeros((1, 3, 2), int)
    with pytest.raises(UserMistake, match="needs pairs of sequences"):
        Transformer(Replicas([0]), 5, 6, **SIZES).forward(Batch(ids, ids), train=True)
