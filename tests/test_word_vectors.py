"""Similar words, analogies, word classes, and the files and commands that need them."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from models.word2vec import Cbow
from searchlab import UserMistake, WordClassShare, artifact
from searchlab.cli import searchlab as searchlab_command
from searchlab.data import Batch, Vocabulary
from searchlab.nn import Replicas
from searchlab.nn.word_vectors import analogy_query, nearest, neighbor_hits, unit_rows
from searchlab.reporting.figures import plot_word_map
from searchlab.results.word_map import word_map
from searchlab.testing.linear_model import LinearModel
from searchlab.word_classes import WORD_CLASSES, classes_left_out, members_by_class

WORDS = ("king", "man", "queen", "woman", "<unk>")
VECTORS = np.array([[2.0, 2.0, 0.0], [2.0, 0.0, 0.0], [0.5, 1.0, 2.0], [1.0, 0.0, 2.0], [0.0, -1.0, 0.0]])


def save(folder, vectors=VECTORS, words=WORDS):
    weights = {"embedding.W": vectors, "output.W": np.zeros_like(vectors)}
    size = {"dimensions": vectors.shape[1]}
    artifact.save(folder, weights, Cbow, size, (len(words),), {"sweep": "v"}, vocabulary=Vocabulary(words, "<unk>"))
    return artifact.load(folder)


def test_most_similar_by_the_cosine_and_by_the_product(tmp_path):
    saved = save(tmp_path)
    unit = unit_rows(VECTORS)
    cosines = unit @ unit[1]
    found = saved.most_similar("man", 2)
    assert [word for word, _ in found] == ["king", "woman"]
    assert [value for _, value in found] == pytest.approx([cosines[0], cosines[3]], abs=1e-3)
    products = saved.most_similar("man", 4, normalized=False)
    assert products[0] == ("king", pytest.approx(2.0))
    assert "man" not in dict(products)


def test_analogy_leaves_its_words_out(tmp_path):
    saved = save(tmp_path)
    (word, value), *rest = saved.analogy("king", "man", "queen", 5)
    assert word == "woman"
    assert {other for other, _ in rest} == {"<unk>"}
    query = VECTORS[1] - VECTORS[0] + VECTORS[2]
    expected = VECTORS[3] @ query / np.linalg.norm(query)
    assert saved.analogy("king", "man", "queen", 1, normalized=False) == [("woman", pytest.approx(expected, rel=1e-3))]
    assert value <= 1.0


def test_words_and_numbers_that_are_no_words(tmp_path):
    saved = save(tmp_path)
    with pytest.raises(UserMistake, match="did you mean 'king'"):
        saved.most_similar("kings")
    with pytest.raises(UserMistake, match="at least 1"):
        saved.analogy("king", "man", "queen", 0)
    artifact.save(tmp_path, {"affine.W": np.zeros((1, 2)), "affine.b": np.zeros((1, 2))}, LinearModel, {}, (1, 2), {})
    with pytest.raises(UserMistake, match="LinearModel"):
        artifact.load(tmp_path).most_similar("king")


def test_export_for_word2vec(tmp_path):
    path = tmp_path / "vectors.txt"
    save(tmp_path / "artifact").export_word2vec(path)
    header, *lines = path.read_text().splitlines()
    assert header == "5 3"
    assert [line.split()[0] for line in lines] == list(WORDS)
    assert np.array([line.split()[1:] for line in lines], float).tolist() == VECTORS.tolist()
    with pytest.raises(UserMistake, match="blank"):
        save(tmp_path / "other", words=("a b", "c", "d", "e", "<unk>")).export_word2vec(path)


def test_commands(tmp_path):
    home = tmp_path / "home"
    save(home / "sweeps" / "v" / "artifact")
    for arguments in (["most-similar", "v", "man"], ["analogy", "v", "king", "man", "queen", "--dot-product"]):
        outcome = CliRunner().invoke(searchlab_command, [*arguments, "-n", "1", "--json", "--home", str(home)])
        assert outcome.exit_code == 0, outcome.output
        answer = json.loads(outcome.stdout.splitlines()[-1])
        assert [each["word"] for each in answer["words"]] == ["king" if arguments[-1] == "man" else "woman"]
    outcome = CliRunner().invoke(searchlab_command, ["most-similar", "none", "man", "--home", str(home)])
    assert isinstance(outcome.exception, UserMistake)


def test_nearest_counts_and_order():
    vectors = np.eye(3)
    assert nearest(vectors, vectors[0], 10, excluded=[0, 0]) == [(1, 0.0), (2, 0.0)]
    assert analogy_query(vectors * 5.0, 0, 1, 2).tolist() == [-1.0, 1.0, 1.0]
    assert analogy_query(vectors * 5.0, 0, 1, 2, normalized=False).tolist() == [-5.0, 5.0, 5.0]


def test_neighbor_hits_against_a_full_sort():
    rng = np.random.default_rng(0)
    vectors, members = unit_rows(rng.standard_normal((60, 4))), [3, 7, 11, 40, 41, 58]
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -2.0)
    expected = sum(bool(set(np.argsort(-similarity[m])[:5]) & set(members)) for m in members)
    assert 0 < expected < len(members)
    assert neighbor_hits(vectors, members, 5) == expected


def class_batch(words):
    ids = np.zeros((2, 3), int)
    return Batch(np.zeros((2, 2, 3), int), ids, vocabulary=Vocabulary(tuple(words)))


def test_share_is_pooled_over_classes_and_small_classes_are_left_out():
    words = ["one", "two", "three", "i", "you", "he", "she", "monday", "friday", *"abcdefgh"]
    vocabulary = Vocabulary(tuple(words))
    assert members_by_class(vocabulary) == {"numbers": [0, 1, 2], "pronouns": [3, 4, 5, 6]}
    assert classes_left_out(vocabulary) == ["weekdays", "months", "car makers"]
    model = Cbow(Replicas([1, 2]), len(words), dimensions=len(words))
    vectors = model.word_vectors()
    vectors[0] = np.eye(len(words)) + np.arange(len(words))[:, None] * 0.01  # all alike
    vectors[1] = 0.01 * np.random.default_rng(0).standard_normal(vectors[1].shape)
    vectors[1, :3, 0] = 1.0  # numbers are together, and pronouns each beside five others
    for pronoun in range(3, 7):
        vectors[1, pronoun] = np.eye(len(words))[pronoun]
    vectors[1, 7:12] += vectors[1, 3:7].sum(axis=0)
    assert WordClassShare().measure(model, [class_batch(words)])[1] == pytest.approx(3 / 7)
    vectors[0, 5] = np.nan
    shares = WordClassShare().measure(model, [class_batch(words)])
    assert np.isnan(shares[0])
    assert shares[1] == pytest.approx(3 / 7)


def test_share_needs_classes_vectors_and_a_vocabulary():
    model = Cbow(Replicas([1, 2]), 4, dimensions=2)
    for wrong in ([class_batch("abcd")], [Batch(np.zeros((2, 2, 3), int), np.zeros((2, 3), int))]):
        with pytest.raises(UserMistake):
            WordClassShare().measure(model, wrong)
    with pytest.raises(UserMistake, match="LinearModel"):
        WordClassShare().measure(LinearModel(Replicas([1]), 1, 2), [class_batch("abcd")])


def test_each_member_is_in_one_class():
    members = [word for words in WORD_CLASSES.values() for word in words.split()]
    assert len(members) == len(set(members))


def test_word_map(tmp_path):
    words = ("one", "two", "three", "i", "you", "he", "<unk>")
    vectors = np.array([[1, 0, 0]] * 3 + [[0, 1, 0]] * 3 + [[0, 0, 1]], float)
    found = word_map(save(tmp_path, vectors, words))
    assert found.words == {"numbers": ["one", "two", "three"], "pronouns": ["i", "you", "he"]}
    assert np.allclose(found.points["numbers"], found.points["numbers"][0])
    distance = np.linalg.norm(found.points["numbers"][0] - found.points["pronouns"][0])
    assert distance == pytest.approx(np.sqrt(2.0), rel=1e-3)
    assert word_map(save(tmp_path)) is None
    for shown in (plot_word_map(found.words, found.points), plot_word_map({}, {})):
        assert shown.axes
