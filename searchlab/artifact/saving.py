"""Saving a trained model: weights in float16, and a manifest that describes them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from searchlab.artifact.format import (
    FORMAT,
    MANIFEST,
    SCALING,
    SOURCE,
    SOURCE_VOCABULARY,
    SUM,
    TABLE,
    TARGET_SCALING,
    VOCABULARY,
    WEIGHTS,
    manifest_sum,
)
from searchlab.artifact.rounding import OVERFLOW, Rounding
from searchlab.backend import Array
from searchlab.data.input_encoding import InputEncoding
from searchlab.data.scaling import Scaling
from searchlab.data.sequence_pairs import SequenceFormat
from searchlab.data.vocabulary import Vocabulary
from searchlab.nn.ensemble import Average
from searchlab.nn.import_paths import encode_parts, import_path
from searchlab.nn.module import Model
from searchlab.tables.encoding import TableEncoding


def save(
    folder: Path | str,
    weights: Mapping[str, Array],
    model: Callable[..., Model],
    arguments: Mapping[str, Any],
    sizes: Sequence[int],
    metadata: Mapping[str, Any],
    *,
    keep_float32: Mapping[str, str] | None = None,
    buffers: Mapping[str, Array] | None = None,
    scaling: InputEncoding | None = None,
    target_scaling: Scaling | None = None,
    average: Average | None = None,
    vocabulary: Vocabulary | None = None,
    sequence_format: SequenceFormat | None = None,
    sources: Mapping[str, bytes] | None = None,
) -> None:
    """Write a trained model to a folder: weights in float16, a manifest, and the vocabulary where there is one.

    A tensor with a weight beyond the range of float16 stays float32, and the manifest says so; it lists for every
    tensor what rounding does to it. Buffers and the scaling are not rounded: they are few numbers, in the units of the
    data, which float16 may not hold.

    Args:
        folder: The folder; it is made if need be, and files in it are replaced.
        weights: The trainable parameters of one replica by name, without replica axis; of an ensemble, those of its K
            networks, (K, ...) each, and buffers and scalings likewise.
        model: The class or function that builds the model; it must be importable by its name.
        arguments: The keyword arguments of the model.
        sizes: The sizes of the data, which the model takes after the replicas.
        metadata: More entries of the manifest, as JSON values.
        keep_float32: Names of weights that stay float32 too, each with the reason, a sentence; default none.
        buffers: The parameters that are not trainable (running statistics) by name; default none.
        scaling: Mean and scale, (1, features) each, by which inputs are standardized, or a table's encoding; default
            None.
        target_scaling: Mean and scale, (1, outputs) each, by which targets were standardized; default None.
        average: What an ensemble averages; default None, for a single network.
        vocabulary: The tokens of a language model; default None.
        sequence_format: Vocabularies and lengths of a model of pairs of sequences; default None.
        sources: Files of the project's source that defines the model, by their paths, such as "models/mlp.py"; they go
            into the folder `source`. Default none.

    Raises:
        OverflowError: When a weight is not a finite number, as after training has diverged.
        UserMistake: When the model, or a class or function among its arguments, cannot be imported by name.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from searchlab.artifact import save
        >>> from searchlab.testing.linear_model import LinearModel
        >>> weights = {"affine.W": np.zeros((4, 3)), "affine.b": np.zeros((1, 3))}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(folder, weights, LinearModel, arguments={}, sizes=(4, 3), metadata={})
        ...     sorted(path.name for path in Path(folder).iterdir())
        ['manifest.json', 'weights.npz']
    """
    folder = Path(folder)
    rounding = {name: Rounding.of(value) for name, value in weights.items()}
    kept = dict(keep_float32 or {}) | {name: OVERFLOW for name, each in rounding.items() if each.overflows}
    with np.errstate(under="ignore", over="ignore"):  # weights too small for float16 become 0
        rounded = {
            name: np.asarray(value, dtype=np.float32 if name in kept else np.float16) for name, value in weights.items()
        }
    for name, values in rounded.items():
        if not np.isfinite(values).all():
            raise OverflowError(f"{name} has weights that are no finite numbers")
    exact = {name: np.asarray(value, dtype=np.float32) for name, value in (buffers or {}).items()}
    table = scaling if isinstance(scaling, TableEncoding) else None
    numbers = scaling if isinstance(scaling, Scaling) else table and table.scaling
    for names, each in ((SCALING, numbers), (TARGET_SCALING, target_scaling)):
        exact |= _scaling_arrays(names, each, average) if each else {}
    if table:
        known = table.known.astype(np.float32)
        exact |= dict(zip(TABLE, (_stored(table.fill, average), _stored(known, average)), strict=True))
    arrays: dict[str, Any] = rounded | exact
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / WEIGHTS, allow_pickle=False, **arrays)
    manifest = {
        "format": FORMAT,
        "model": {"class": import_path(model), "sizes": list(sizes), "arguments": encode_parts(dict(arguments))},
        **_describe_ensemble(rounded, average),
        **({"table": {"columns": [column.to_json() for column in table.layout.columns]}} if table else {}),
        "weights": {
            "file": WEIGHTS,
            "dtype": "float16",
            "other_dtypes": {name: str(array.dtype) for name, array in sorted(arrays.items()) if array.itemsize > 2},
            "kept_float32": kept,
            "rounding": {name: each.to_json() for name, each in rounding.items()},
            "parameters": sum(each.size for each in rounded.values()),
            "sha256": hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest(),
        },
        **_write_vocabulary(folder, VOCABULARY, vocabulary),
        **_write_sequence_format(folder, sequence_format),
        **_write_sources(folder, sources or {}),
        **metadata,
    }
    manifest = json.loads(json.dumps(manifest, default=_number))  # as it will be read: the sum is of these values
    (folder / MANIFEST).write_text(json.dumps({**manifest, SUM: manifest_sum(manifest)}, indent=2) + "\n")


def _number(value: Any) -> Any:
    """Return a number of NumPy as Python's, for JSON."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _scaling_arrays(names: Sequence[str], scaling: Scaling, average: Average | None) -> dict[str, Array]:
    """Return mean and scale as they are stored."""
    return dict(zip(names, (_stored(scaling.mean, average), _stored(scaling.scale, average)), strict=True))


def _stored(values: Array, average: Average | None) -> Array:
    """Return the values (R, columns) of a scaling as they are stored: without replica axis for a single network."""
    return values if average else values[0]


def _describe_ensemble(weights: Mapping[str, Array], average: Average | None) -> dict[str, Any]:
    """Return the entry of an ensemble in the manifest: how many networks it has, and what it averages."""
    if average is None:
        return {}
    return {"ensemble": {"networks": len(next(iter(weights.values()))), "average": average}}


def _write_vocabulary(folder: Path, file: str, vocabulary: Vocabulary | None) -> dict[str, Any]:
    """Write a vocabulary, and return its entry in the manifest, by the name of its file."""
    if vocabulary is None:
        return {}
    content = (json.dumps(vocabulary.to_json(), ensure_ascii=False) + "\n").encode()
    (folder / file).write_bytes(content)
    entry = {"file": file, "words": len(vocabulary), "sha256": hashlib.sha256(content).hexdigest()}
    return {Path(file).stem: entry}


def _write_sources(folder: Path, sources: Mapping[str, bytes]) -> dict[str, Any]:
    """Write source files in place of those of an earlier model, and return their entry in the manifest."""
    shutil.rmtree(folder / SOURCE, ignore_errors=True)
    for name, content in sources.items():
        path = folder / SOURCE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in sources.items()}
    return {"source": {"folder": SOURCE, "sha256": sums}} if sums else {}


def _write_sequence_format(folder: Path, sequence_format: SequenceFormat | None) -> dict[str, Any]:
    """Write both vocabularies of a model of pairs of sequences, and return their entries in the manifest."""
    if sequence_format is None:
        return {}
    return {
        **_write_vocabulary(folder, VOCABULARY, sequence_format.target_vocabulary),
        **_write_vocabulary(folder, SOURCE_VOCABULARY, sequence_format.source_vocabulary),
        "sequences": {"max_length": sequence_format.max_length, "source_width": sequence_format.source_width},
    }
