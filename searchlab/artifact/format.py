"""What the files of an artifact are called, and the sum of its manifest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

Task: TypeAlias = Literal["classification", "regression", "language model", "sequence to sequence", "word vectors"]
"""What the network of an artifact is for: the entry `task` of its manifest."""

FORMAT = 1
WEIGHTS, MANIFEST, VOCABULARY = "weights.npz", "manifest.json", "vocabulary.json"
SAFETENSORS = "weights.safetensors"  # in place of WEIGHTS, where it was asked for
SOURCE_VOCABULARY = "source_vocabulary.json"
SOURCE = "source"  # the folder of the source code of the model
SUM = "sha256"  # the entry of the manifest with the sum of all others
SCALING = ("inputs/mean", "inputs/scale")  # the names of the scaling among the weights
TABLE = ("inputs/fill", "inputs/known")  # of the encoding of a table, beside its scaling
TARGET_SCALING = ("targets/mean", "targets/scale")


def manifest_sum(manifest: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a manifest without its sum."""
    content = {name: value for name, value in manifest.items() if name != SUM}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
