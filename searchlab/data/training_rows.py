"""The training rows of a data set, read at most once in a process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from searchlab.data.dataset import Dataset
from searchlab.data.loaded import LoadedDataset
from searchlab.tracebacks import as_user_mistake


@dataclass
class TrainingRows:
    """The training rows of a data set, loaded on first use and then kept; pickled without what was loaded."""

    data: Dataset
    _loaded: LoadedDataset | None = field(default=None, init=False, repr=False, compare=False)

    def load(self) -> LoadedDataset:
        """Return the training rows on the host; raise UserMistake with the place of an error in a data set's code."""
        if self._loaded is None:
            with as_user_mistake("the training rows cannot be loaded"):
                self._loaded = self.data.training()
        return self._loaded

    def __getstate__(self) -> dict[str, Any]:
        return {"data": self.data, "_loaded": None}
