"""Files of the winner beside its artifact, each in place of that of an earlier winner."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from searchlab.engine.text_samples import join_samples
from searchlab.errors import WorldFault
from searchlab.runs.workspace import SweepFolder
from searchlab.scoring import LayerStatistics


def write_samples(folder: SweepFolder, texts: Sequence[str]) -> Path | None:
    """Write what a model wrote after each epoch, in place of that of an earlier winner, and return the file."""
    folder.samples.unlink(missing_ok=True)
    if not texts:
        return None
    try:
        folder.samples.write_text(join_samples(texts), encoding="utf-8")
    except OSError as error:
        raise WorldFault(
            f"{folder.samples} could not be written ({error}); `searchlab resume {folder.name}` tries again."
        ) from error
    return folder.samples


def write_layer_statistics(folder: SweepFolder, layers: LayerStatistics | None) -> LayerStatistics | None:
    """Write the gradients and outputs by layer, in place of those of an earlier winner, and return them."""
    try:
        if layers is None:
            folder.layer_statistics.unlink(missing_ok=True)
        else:
            folder.write(folder.layer_statistics.stem, layers.to_json())
    except OSError as error:
        raise WorldFault(
            f"{folder.layer_statistics} could not be written ({error}); `searchlab resume {folder.name}` tries again."
        ) from error
    return layers
