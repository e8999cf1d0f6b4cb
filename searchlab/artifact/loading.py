"""Loading an artifact: every file is verified before a part of the model is imported."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from searchlab.artifact.format import SCALING, SOURCE_VOCABULARY, TABLE, TARGET_SCALING, VOCABULARY
from searchlab.artifact.loaded import Artifact
from searchlab.artifact.verified_files import DAMAGE, read_manifest, read_verified, read_weights, unreadable
from searchlab.backend import Array
from searchlab.data.input_encoding import InputEncoding
from searchlab.data.scaling import Scaling
from searchlab.data.sequence_pairs import SequenceFormat
from searchlab.data.vocabulary import Vocabulary
from searchlab.errors import UserMistake
from searchlab.nn.ensemble import AVERAGES, Average, Ensemble
from searchlab.nn.import_paths import decode_parts, import_part
from searchlab.nn.module import Model
from searchlab.nn.parameter import Parameters
from searchlab.replicas import Replicas
from searchlab.tables.columns import Column, Layout
from searchlab.tables.encoding import TableEncoding

MAX_NETWORKS = 1000  # of an ensemble
MAX_LENGTH = 100_000  # tokens that decoding may write, or of a source


def load(folder: Path | str, *, allow: Collection[str] = ()) -> Artifact:
    """Read an artifact from its folder, and build its model.

    The manifest names the class of the model and its parts. Only parts of networks in searchlab, modules of the project
    and packages in `allow` are imported, and nothing is imported before all files are found to be whole.

    Args:
        folder: The folder of an artifact, such as `.searchlab/sweeps/NAME/artifact`.
        allow: Names of installed packages that a manifest may name too, default none: their code is run.

    Returns:
        The model, its manifest, and what it needs for inputs: scaling and vocabulary.

    Raises:
        UserMistake: When a file is missing or was changed, the format is unknown, or the code of the model cannot or
            may not be imported.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from searchlab.artifact import load, save
        >>> from searchlab.testing.linear_model import LinearModel
        >>> weights = {"affine.W": np.ones((2, 2)), "affine.b": np.zeros((1, 2))}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(folder, weights, LinearModel, arguments={}, sizes=(2, 2), metadata={})
        ...     load(folder).predict([[1.0, 2.0]]).tolist()
        [[3.0, 3.0]]
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    try:
        values = read_weights(folder, manifest["weights"])
        vocabulary, sources = (_read_vocabulary(folder, manifest, file) for file in (VOCABULARY, SOURCE_VOCABULARY))
        average, count = _ensemble(manifest)
        if average is None:
            values = {name: value[None] for name, value in values.items()}  # (1, ...): the replica axis again
        if any(len(value) != count for value in values.values()):
            raise ValueError(f"an ensemble of {count} networks has as many weights")
        model = _build_model(manifest["model"], count, allow)
        scaling, target_scaling = _pop_inputs(values, manifest), _pop_scaling(values, TARGET_SCALING)
        Parameters(model.named_parameters()).restore(values)
        model = Ensemble(model, count, average) if average else model
        sequence_format = _sequence_format(manifest, sources, vocabulary)
    except DAMAGE as error:
        if isinstance(error, UserMistake):
            raise
        raise unreadable(folder, error) from error
    return Artifact(model, manifest, scaling, target_scaling, vocabulary, sequence_format)


def _read_vocabulary(folder: Path, manifest: Mapping[str, Any], file: str) -> Vocabulary | None:
    """Return the vocabulary in a file of the artifact; None where the manifest has no entry for it."""
    entry = manifest.get(Path(file).stem)
    return Vocabulary.from_json(json.loads(read_verified(folder, entry, file))) if entry else None


def _sequence_format(
    manifest: Mapping[str, Any], sources: Vocabulary | None, targets: Vocabulary | None
) -> SequenceFormat | None:
    """Return vocabularies and lengths of a model of pairs of sequences; None for other models."""
    if "sequences" not in manifest:
        return None
    if sources is None or targets is None:
        raise ValueError("a model of pairs of sequences has two vocabularies")
    max_length, width = (manifest["sequences"][name] for name in ("max_length", "source_width"))
    for length in (max_length, max_length if width is None else width):
        if type(length) is not int or not 0 < length <= MAX_LENGTH:
            raise ValueError(f"sequences have lengths from 1 to {MAX_LENGTH:,}, not {length!r}")
    return SequenceFormat(sources, targets, max_length, width)


def _ensemble(manifest: Mapping[str, Any]) -> tuple[Average | None, int]:
    """Return what an ensemble averages, and of how many networks; None and 1 for a single network."""
    entry = manifest.get("ensemble")
    if entry is None:
        return None, 1
    average, count = entry["average"], entry["networks"]
    if average not in AVERAGES or type(count) is not int or not 0 < count <= MAX_NETWORKS:
        raise ValueError(f"an ensemble has up to {MAX_NETWORKS} networks, not {count!r}, and averages {average!r}")
    return average, count


def _build_model(entry: Mapping[str, Any], count: int, allow: Collection[str]) -> Model:
    """Return a new model of so many replicas; all parts are checked before one of them is called."""
    build, arguments = import_part(entry["class"], allow), decode_parts(entry["arguments"], allow)
    if isinstance(build, type) and not issubclass(build, Model):
        raise UserMistake(f"the manifest names {entry['class']} as the model, which is no subclass of Model.")
    model = build(Replicas([0] * count), *entry["sizes"], **arguments)
    if not isinstance(model, Model):
        raise UserMistake(f"the manifest names {entry['class']} as the model, which does not build a Model.")
    return model


def _pop_inputs(values: dict[str, Array], manifest: Mapping[str, Any]) -> InputEncoding | None:
    """Remove the arrays of what inputs are encoded by from the values, and return it."""
    scaling = _pop_scaling(values, SCALING)
    if "table" not in manifest:
        return scaling
    layout = Layout([Column.from_json(column) for column in manifest["table"]["columns"]])
    fill, known = (values.pop(name) for name in TABLE)
    widths = (fill.shape[1:], known.shape[1:], scaling.mean.shape[1:] if scaling else (len(layout.numbers),))
    if widths != ((len(layout.columns),), (layout.word_inputs,), (len(layout.numbers),)):
        raise ValueError("the encoding of the table has other columns than the manifest")
    if layout.width != manifest["model"]["sizes"][0]:
        raise ValueError("the network has another number of inputs than its table")
    return TableEncoding(layout, fill, known > 0, scaling)


def _pop_scaling(values: dict[str, Array], names: tuple[str, str]) -> Scaling | None:
    """Remove the arrays of a scaling (R, columns) from the values, and return them."""
    found = [values.pop(name) for name in names if name in values]
    return Scaling(*found) if found else None
