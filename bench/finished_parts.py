"""Results of the finished parts of a long measurement, in a JSON file: a run that was cut off does not repeat them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from searchlab.runs.workspace import write_atomically


class FinishedParts:
    """Results by the name of their part, written after each part so that a kill leaves all that were finished.

    Args:
        path: The file; it is created with the first result.
        measured: What the results are of, such as the device: a file of another measurement is refused.
    """

    def __init__(self, path: Path, measured: str) -> None:
        self._path, self._measured, self.results = path, measured, dict[str, Any]()
        if path.exists():
            stored = json.loads(path.read_text())
            if stored["measured"] != measured:
                sys.exit(f"{path} holds results of {stored['measured']}, not of {measured}; name another file.")
            self.results = stored["parts"]

    def add(self, part: str, result: Any) -> None:
        """Keep the result, a value of JSON, of a part that has finished."""
        self.results[part] = result
        self._path.parent.mkdir(parents=True, exist_ok=True)
        content = {"measured": self._measured, "parts": self.results}
        write_atomically(self._path, json.dumps(content, indent=1).encode())
