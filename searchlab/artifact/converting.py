"""An artifact in another format of weights files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from searchlab.artifact.format import MANIFEST, SAFETENSORS, SUM, WEIGHTS, manifest_sum
from searchlab.artifact.safetensors_file import write_safetensors
from searchlab.artifact.verified_files import DAMAGE, read_manifest, read_weights, unreadable
from searchlab.errors import UserMistake


def convert_to_safetensors(folder: Path | str) -> None:
    """Replace the weights of an artifact by a file in the format safetensors, with the same values.

    `artifact.load` reads either, with the same checks. The model is not imported. Killed at any moment, the folder
    still holds an artifact.

    Args:
        folder: Folder of the artifact.

    Raises:
        UserMistake: When the package safetensors is not installed, or the folder holds no whole artifact.
        OSError: When the folder cannot be written.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from searchlab.artifact import convert_to_safetensors, save
        >>> from searchlab.testing.linear_model import LinearModel
        >>> weights = {"affine.W": np.zeros((4, 3)), "affine.b": np.zeros((1, 3))}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(folder, weights, LinearModel, arguments={}, sizes=(4, 3), metadata={})
        ...     convert_to_safetensors(folder)
        ...     sorted(path.name for path in Path(folder).iterdir())
        ['manifest.json', 'weights.safetensors']
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    try:
        content = write_safetensors(read_weights(folder, manifest["weights"]))
    except DAMAGE as error:
        if isinstance(error, UserMistake):
            raise
        raise unreadable(folder, error) from error
    (folder / SAFETENSORS).write_bytes(content)
    manifest["weights"] |= {"file": SAFETENSORS, "sha256": hashlib.sha256(content).hexdigest()}
    part = folder / f"{MANIFEST}.part"
    part.write_text(json.dumps({**manifest, SUM: manifest_sum(manifest)}, indent=2) + "\n")
    part.replace(folder / MANIFEST)
    (folder / WEIGHTS).unlink(missing_ok=True)
