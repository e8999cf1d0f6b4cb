"""The Transformer language model passes its contract, and reads earlier windows as if all were one."""

import numpy as np
import pytest

from models.transformer_lm import TransformerLM
from searchlab import artifact
from searchlab.data import Batch, Vocabulary
from searchlab.errors import UserMistake
from searchlab.nn import Parameters
from searchlab.nn.generation import generate
from searchlab.optim import Adam
from searchlab.replicas import Replicas
from searchlab.testing import check_model
from tests.contracts.test_language_models import RATES, VOCABULARY_SIZE, make_tokens

SIZES = {"width": 8, "heads": 2, "inner": 5}


def build_model(**options):
    return lambda replicas, words, **per_replica: TransformerLM(replicas, words, **SIZES | options, **per_replica)


@pytest.mark.parametrize(
    ("options", "dropout"),
    [({}, RATES), ({"tied": True}, None), ({"layers": 1, "heads": 1}, RATES), ({"layers": 3}, None)],
)
def test_transformer_lm(options, dropout):
    check_model(build_model(**options), make_tokens(4), per_replica=dropout, batch_size=2)


@pytest.mark.parametrize("context", [1, 4])
def test_transformer_lm_with_a_context_shorter_than_two_windows(context):
    check_model(build_model(context=context), make_tokens(3), per_replica=RATES, batch_size=2)


@pytest.mark.parametrize(("window", "batch_size"), [(1, 1), (1, 3), (5, 1)])
def test_transformer_lm_on_odd_batches(window, batch_size):
    check_model(build_model(), make_tokens(window), per_replica=RATES, batch_size=batch_size)


def exact_model(**options):
    """Return a model of two replicas in float64, with weights and biases far from their initial values."""
    model = build_model(**options)(Replicas([1, 2], dtype=np.float64), VOCABULARY_SIZE)
    generator = np.random.default_rng(0)
    for _, parameter in model.named_parameters():
        parameter.value += 0.5 * generator.standard_normal(parameter.value.shape)
    return model


@pytest.mark.parametrize("context", [1, 4, 64])
@pytest.mark.parametrize("window", [1, 3, 7])
def test_windows_with_their_carry_equal_one_pass_over_the_text(window, context):
    model = exact_model(context=context)
    ids = np.random.default_rng(1).integers(VOCABULARY_SIZE, size=(2, 21, 3))
    expected, carry = model.predict(Batch(ids, ids))[0].copy(), None
    for start in range(0, 21, window):
        part = ids[:, start : start + window]
        scores, carry = model.predict(Batch(part, part), carry)
        assert scores == pytest.approx(expected[:, start : start + window])
    assert all(keys.shape == values.shape == (2, min(21, context - 1), 3, 8) for keys, values in carry)


def test_a_word_attends_to_its_context_only():
    """With one layer, a word further back than the context has no influence, and the nearest others have one."""
    model, ids = exact_model(context=4, layers=1), np.zeros((2, 9, 1), int)
    scores = model.predict(Batch(ids, ids))[0].copy()
    for place in range(9):
        changed = ids.copy()
        changed[:, place] = 1
        differs = (model.predict(Batch(changed, changed))[0] != scores).any(axis=(0, 2, 3))
        assert np.flatnonzero(differs).tolist() == [t for t in range(9) if place <= t < place + 4]


def test_generated_text_has_the_scores_of_one_pass():
    model = exact_model(context=6)
    text = generate(model, np.array([3, 1]), 30, temperature=0.0)
    scores = model.predict(Batch(text[:, :, None], text[:, :, None]))[0]
    assert (scores[:, 1:-1, 0].argmax(axis=2) == text[:, 2:]).all()
    assert len(np.unique(text)) > 2, "else the test would compare one word with itself"


def test_fused_replicas_generate_what_each_generates_alone():
    fused = build_model(dropout=0.5)(Replicas([1, 2, 3]), 30)
    texts = generate(fused, np.array([1, 0, 2]), 40, seed=[7, 8, 7])
    for row, (weights, seed) in enumerate([(1, 7), (2, 8), (3, 7)]):
        alone = build_model(dropout=0.5)(Replicas([weights]), 30)
        assert (generate(alone, np.array([1, 0, 2]), 40, seed=[seed])[0] == texts[row]).all()


@pytest.mark.parametrize(("context", "low", "high"), [(8, 0.0, 0.05), (1, 0.34, 0.4)])
def test_what_the_carry_tells_is_learned(context, low, high):
    """In windows of one word only the carry tells what follows the 0 in 0 1 0 2 0 1 0 2; else it is log(2) / 2."""
    replicas, ids = Replicas([0]), np.tile([0, 1, 0, 2], 60)[:, None][None]
    model = TransformerLM(replicas, 3, width=16, heads=2, inner=16, context=context)
    parameters = Parameters(model.named_parameters())
    optimizer, carry, losses = Adam(parameters, replicas, lr=0.01), None, []
    for t in range(200):
        loss, carry = model.forward(Batch(ids[:, t : t + 1], ids[:, t + 1 : t + 2]), carry, train=True)
        parameters.reset_gradients()
        model.backward()
        optimizer.update()
        losses.append(loss[0])
    assert low <= np.mean(losses[-40:]) < high


@pytest.mark.parametrize(
    "sizes",
    [{"width": 0}, {"heads": 0}, {"layers": 0}, {"inner": 0}, {"context": 0}, {"heads": 3}, {"width": 6, "heads": 2}],
    ids=str,
)
def test_invalid_sizes_raise(sizes):
    with pytest.raises(UserMistake, match="TransformerLM needs sizes"):
        TransformerLM(Replicas([0]), VOCABULARY_SIZE, **SIZES | sizes)


@pytest.mark.parametrize("tied", [False, True])
def test_an_untrained_model_knows_nothing(tied):
    """Its loss is near that of equal probabilities: initial scores are not far apart."""
    model = TransformerLM(Replicas(range(5)), 100, tied=tied)
    ids = np.random.default_rng(0).integers(100, size=(5, 20, 8))
    assert model.forward(Batch(ids[:, :-1], ids[:, 1:]), train=False)[0] == pytest.approx(np.log(100), abs=1.0)


def test_an_artifact_of_it_generates(tmp_path):
    vocabulary = Vocabulary.from_tokens("the cat <unk> a dog", unit="char")
    model = TransformerLM(Replicas([4]), len(vocabulary), **SIZES)
    weights = {name: parameter.value[0] for name, parameter in model.named_parameters()}
    artifact.save(tmp_path, weights, TransformerLM, SIZES, (len(vocabulary),), {"sweep": "s"}, vocabulary=vocabulary)
    loaded = artifact.load(tmp_path)
    text = loaded.generate("the cat", 80, seed=3)
    assert text == loaded.generate("the cat", 80, seed=3) != loaded.generate("the cat", 80, seed=4)
    assert text.startswith("the cat")
