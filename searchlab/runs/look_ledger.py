"""The ledger of looks at test rows: a home records which sweeps have measured a winner on which test rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from searchlab.errors import WorldFault
from searchlab.runs.file_lock import FileLock
from searchlab.runs.workspace import write_atomically

LOCK_TIMEOUT = 30.0  # seconds to wait for another sweep that records its look


@dataclass(frozen=True)
class Look:
    """A measurement of one winner on test rows.

    Attributes:
        checksum: Checksum of the test rows.
        sweep: Name of the sweep.
        study: Id of the sweep, which distinguishes it from another of the same name.
        trial: Number of the trial that is measured.
        time: When the rows were opened, in seconds since 1970.
    """

    checksum: str
    sweep: str
    study: str
    trial: int
    time: float

    def repeats(self, other: Look) -> bool:
        """Return whether it is the same measurement, as after a kill: it teaches nothing new about the rows."""
        return replace(self, time=other.time) == other


class LookLedger:
    """The looks at test rows of all sweeps of a home.

    Args:
        path: The file; it need not exist.

    Example:
        >>> import tempfile
        >>> from searchlab.runs.look_ledger import Look, LookLedger
        >>> ledger = LookLedger(Path(tempfile.mkdtemp()) / "test_looks.json")
        >>> ledger.record(Look("3f5a", "digits", "id1", 4, 0.0))
        (True, [])
        >>> is_allowed, earlier = ledger.record(Look("3f5a", "digits-2", "id2", 7, 0.0))
        >>> is_allowed, [look.sweep for look in earlier]
        (False, ['digits'])
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def record(self, look: Look, *, again: bool = False) -> tuple[bool, list[Look]]:
        """Record a look before it is taken, if it may be.

        Args:
            look: The look; one that repeats another may be taken, and is not recorded twice.
            again: Whether it may be taken although there are others at the same rows; default False.

        Returns:
            Whether it may be taken, and the looks at the same rows that came before it.

        Raises:
            WorldFault: When the ledger cannot be read or written.
        """
        try:
            with FileLock(self.path.with_suffix(".lock"), timeout=LOCK_TIMEOUT):
                looks = self._read()
                same = [each for each in looks if each.checksum == look.checksum]
                position = next((n for n, each in enumerate(same) if each.repeats(look)), None)
                earlier = same if position is None else same[:position]
                is_allowed = again or not earlier or position is not None
                if is_allowed and position is None:
                    self._write([*looks, look])
                return is_allowed, earlier
        except OSError as error:
            raise WorldFault(f"{self.path} cannot be read or written ({error}); the study is untouched.") from error

    def _read(self) -> list[Look]:
        try:
            return [Look(**values) for values in json.loads(self.path.read_text(encoding="utf-8"))["looks"]]
        except FileNotFoundError:
            return []
        except (ValueError, TypeError, KeyError) as error:
            raise WorldFault(
                f"{self.path} is damaged ({error}); restore it, or remove it to forget which test rows were opened."
            ) from error

    def _write(self, looks: Sequence[Look]) -> None:
        content = {"looks": [asdict(look) for look in looks]}
        write_atomically(self.path, (json.dumps(content, indent=2) + "\n").encode())
