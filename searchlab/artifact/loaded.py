"""A loaded artifact: a trained model with all that it needs to take inputs as they are in the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from searchlab.artifact.inputs import as_rows_of
from searchlab.artifact.similar_words import SimilarWords
from searchlab.artifact.table_inputs import encode_table
from searchlab.backend import Array
from searchlab.data.batch import Batch
from searchlab.data.input_encoding import InputEncoding
from searchlab.data.scaling import Scaling
from searchlab.data.sequence_pairs import SequenceFormat
from searchlab.data.vocabulary import UNKNOWN, Vocabulary
from searchlab.errors import UserMistake
from searchlab.nn.class_probabilities import decide, softmax
from searchlab.nn.ensemble import Ensemble
from searchlab.nn.generation import generate
from searchlab.nn.module import Model
from searchlab.nn.target_unit import in_target_unit
from searchlab.tables.columns import Column
from searchlab.tables.encoding import TableEncoding


@dataclass(frozen=True)
class Artifact:
    """A trained model that was read from files: one network or an ensemble, which computes in float32.

    Args:
        model: The model.
        manifest: What the manifest says: the class and the arguments of the model, and how it was found and tested.
        scaling: Mean and scale of the inputs, (1, features) each, of an ensemble (K, features), or the encoding of a
            table; default None where inputs are taken as they are.
        target_scaling: The same of the targets, (1, outputs) or (K, outputs); default None.
        vocabulary: The tokens of a language model, or of target sequences; default None.
        sequence_format: Vocabularies and lengths of a model of pairs of sequences; default None.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from searchlab.artifact import load, save
        >>> from searchlab.testing.linear_model import LinearModel
        >>> weights = {"affine.W": np.array([[1.0, -1.0]]), "affine.b": np.array([[0.0, 0.5]])}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(folder, weights, LinearModel, arguments={}, sizes=(1, 2), metadata={"sweep": "mine"})
        ...     artifact = load(folder)
        >>> artifact.predict([[2.0], [-1.0]]).tolist()  # two rows of one feature
        [[2.0, -1.5], [-1.0, 1.5]]
        >>> artifact.manifest["sweep"]
        'mine'
    """

    model: Model
    manifest: Mapping[str, Any]
    scaling: InputEncoding | None = None
    target_scaling: Scaling | None = None
    vocabulary: Vocabulary | None = None
    sequence_format: SequenceFormat | None = None

    def predict(self, x: Any) -> Array:
        """Return the scores of the model for inputs as they are in the data, or numbers in the unit of the targets.

        Args:
            x: Inputs (B, features), images (B, height, width), or a pandas frame, whose columns are found by name. Of a
                table with words, dates or empty cells, its raw cells.

        Returns:
            Scores (B, outputs); of a classifier, the largest one is at the predicted class.

        Raises:
            UserMistake: When the artifact is not one of rows, or the inputs are not what it takes.
        """
        if self.vocabulary is not None:
            has = "pairs of sequences; use translate" if self.sequence_format else "a vocabulary; use generate"
            raise UserMistake(f"predict needs a network of rows, and this artifact has {has}.")
        return self.predict_rows(self.rows_of(x))

    def rows_of(self, x: Any) -> Array:
        """Return inputs as rows of numbers (B, columns), as the data set of the sweep holds them.

        Args:
            x: Inputs, as for `predict`.

        Raises:
            UserMistake: When the inputs are not what the artifact takes.
        """
        if isinstance(self.scaling, TableEncoding):
            return encode_table(self.scaling.layout.columns, x, self.scaling.dtype, self._left_out)[0]
        return as_rows_of(self.manifest, x, self.scaling.dtype if self.scaling else np.float32)

    def unknown_words(self, x: Any) -> dict[str, int]:
        """Return in how many cells of each column a word is not one that the network knows, where there are such.

        The network knows the words that were not rare in its training rows; it takes all others as one.

        Args:
            x: Inputs, as for `predict`.

        Raises:
            UserMistake: When the inputs are not what the artifact takes.
        """
        if not isinstance(self.scaling, TableEncoding):
            return {}
        return encode_table(self.scaling.layout.columns, x, self.scaling.dtype, self._left_out)[1]

    def unknown_tokens(self, text: str) -> list[str]:
        """Return the distinct words or characters of a prompt or a source that the network takes as unknown ones.

        Args:
            text: A prompt, as for `generate`, or a source, as for `translate`.

        Raises:
            UserMistake: When the artifact has no vocabulary.
        """
        return self.input_vocabulary.unknown_tokens(text)

    @property
    def input_vocabulary(self) -> Vocabulary:
        """The tokens of prompts or of sources; raises UserMistake where the artifact takes no text."""
        vocabulary = self.sequence_format.source_vocabulary if self.sequence_format else self.vocabulary
        if vocabulary is None:
            raise UserMistake("this artifact takes no text: it has no vocabulary.")
        return vocabulary

    def predict_rows(self, rows: Array) -> Array:
        """Return what `predict` returns, for rows (B, columns) as `rows_of` returns them."""
        inputs = rows[None].copy()
        if isinstance(self.model, Ensemble):  # (K, B, features): each network has a scaling of its own
            inputs = inputs.repeat(self.model.count, axis=0)
        if self.scaling:
            inputs = self.scaling.standardize(inputs)
        model = in_target_unit(self.model, self.target_scaling)
        scores, _ = model.predict(Batch(inputs, np.zeros(inputs.shape[:2], dtype=np.int64)))
        first: Array = scores[0]
        return first

    def probabilities(self, x: Any) -> Array:
        """Return the probability of each class, the softmax of the scores, (B, classes); each row sums to 1.

        Args:
            x: Inputs, as for `predict`.

        Raises:
            UserMistake: When the artifact does not classify rows, or the inputs are not what it takes.
        """
        self._require_classes()
        return softmax(self.predict(x))

    def classify(self, x: Any) -> Array:
        """Return the class of each input (B,): its name, or its number where classes have no names.

        It is the likeliest class, or of two classes by the threshold that the search has chosen.

        Args:
            x: Inputs, as for `predict`.

        Raises:
            UserMistake: When the artifact does not classify rows, or the inputs are not what it takes.
        """
        names = self._require_classes()
        classes = self.decide(self.probabilities(x))
        return np.array(names)[classes] if names else classes

    def decide(self, probabilities: Array) -> Array:
        """Return the number of the predicted class (B,): the likeliest one, or of two classes by the threshold.

        Args:
            probabilities: What `probabilities` returns, (B, classes).
        """
        return decide(probabilities, self.threshold)

    @property
    def threshold(self) -> float | None:
        """The probability of class 1 from which on a row of two classes is in it; None: the likeliest is predicted."""
        entry = self.manifest.get("threshold")
        return float(entry["probability"]) if entry else None

    @property
    def class_names(self) -> list[str]:
        """The names of the classes in the order of the scores; none where they have no names."""
        return list(self.manifest.get("classes") or ())

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of a table with words, dates or empty cells; none for other inputs."""
        return self.scaling.layout.columns if isinstance(self.scaling, TableEncoding) else ()

    @property
    def _left_out(self) -> list[str]:
        """The columns of the table that are not inputs."""
        return list((self.manifest.get("inputs") or {}).get("left_out") or ())

    def _require_classes(self) -> list[str]:
        """Return the names of the classes; raise UserMistake where the artifact does not classify rows."""
        kind = (self.manifest.get("targets") or {}).get("kind")
        if self.vocabulary is not None or kind != "classes":
            raise UserMistake("this artifact does not classify rows: its manifest names no classes as targets.")
        return self.class_names

    def generate(
        self,
        prompt: str,
        length: int = 50,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        skip_tokens: Sequence[str] = (UNKNOWN,),
        seed: int = 0,
    ) -> str:
        """Return the prompt and the text with which a language model continues it.

        Args:
            prompt: Text of at least one word or character.
            length: Number of words or characters to add; default 50.
            temperature: Divisor of the scores before the softmax; 0 always takes the likeliest token; default 1.
            top_k: Number of likeliest tokens that may be drawn; default None, all.
            skip_tokens: Tokens that are never drawn, whether in the vocabulary or not; default `<unk>`.
            seed: Random seed; default 0.

        Raises:
            UserMistake: When the artifact has no vocabulary, the prompt is empty, or an argument is out of range.
        """
        if self.vocabulary is None or self.sequence_format is not None:
            has = "no vocabulary" if self.vocabulary is None else "pairs of sequences, for translate"
            raise UserMistake(f"generate needs a language model, and this artifact has {has}.")
        start = self.vocabulary.encode(prompt)
        skip_ids = [index for index, token in enumerate(self.vocabulary.tokens) if token in skip_tokens]
        ids = generate(self.model, start, length, seed=seed, temperature=temperature, top_k=top_k, skip_ids=skip_ids)
        return self.vocabulary.decode(ids[0])

    def translate(self, text: str, *, beam: int = 1, length_penalty: float = 0.0) -> str:
        """Return the target sequence that a model of pairs of sequences writes for a source, as text.

        Args:
            text: The source, such as "16+75".
            beam: Number of hypotheses of the beam search; default 1, greedy decoding.
            length_penalty: Exponent of the length by which log probabilities are divided; default 0.

        Raises:
            UserMistake: When the artifact has no such model, the text is empty, or a token is not in the vocabulary.
        """
        decode = getattr(self.model, "decode", None)
        if self.sequence_format is None or decode is None:
            raise UserMistake("translate needs a model of pairs of sequences, and this artifact holds another one.")
        with np.errstate(all="ignore"):
            batch = self.sequence_format.source_batch([text])
            decoded = decode(batch, beam=beam, length_penalty=length_penalty)
        return self.sequence_format.target_text(decoded.ids[0, :, 0])

    def most_similar(self, word: str, n: int = 5, *, normalized: bool = True) -> list[tuple[str, float]]:
        """Return the words whose vectors are nearest to that of a word, and their similarities.

        Args:
            word: A word of the vocabulary.
            n: Number of words; default 5.
            normalized: Whether the similarity is the cosine, in [-1, 1]; otherwise it is the product of a word's vector
                as it is with the vector of `word` at length 1. Default True.

        Raises:
            UserMistake: When the artifact has no word vectors, or the word is not in the vocabulary.
        """
        return SimilarWords.of(self.model, self.vocabulary).most_similar(word, n, normalized=normalized)

    def analogy(self, a: str, b: str, c: str, n: int = 5, *, normalized: bool = True) -> list[tuple[str, float]]:
        """Return the words that are to c as b is to a: those nearest to b - a + c, without the three words.

        Args:
            a: A word, such as "king".
            b: The word that belongs to a, such as "man".
            c: Another word, such as "queen".
            n: Number of words; default 5.
            normalized: Whether the vectors count with length 1 and the similarity is the cosine; otherwise vectors
                count as they are, as in Deep Learning from Scratch 2. Default True.

        Raises:
            UserMistake: When the artifact has no word vectors, or a word is not in the vocabulary.
        """
        return SimilarWords.of(self.model, self.vocabulary).analogy(a, b, c, n, normalized=normalized)

    def export_word2vec(self, path: Path | str) -> None:
        """Write the word vectors in the text format of word2vec, which gensim reads (KeyedVectors).

        Args:
            path: The file; it is replaced if it exists.

        Raises:
            UserMistake: When the artifact has no word vectors, or a token has blanks, as characters may.
        """
        SimilarWords.of(self.model, self.vocabulary).export_word2vec(path)
