"""The studies of a database as one journal for reading, whoever owns them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from optuna.storages.journal import BaseJournalBackend

from searchlab.study.storage.journal_format import Operation
from searchlab.study.storage.postgres_reader import StoredStudy, StudyReader, decoded


@dataclass
class _Numbers:
    """What a study has in the common journal: its id, the number of its next append, and the ids of its trials."""

    study: int
    next_append: int = 0
    trials: list[int] = field(default_factory=list)


class ReadOnlyDatabase(BaseJournalBackend):
    """The journals of all studies of a database as one, as Optuna's dashboard reads it, or that of one study.

    In its own journal a study has the id 0, and its trials have ids from 0 on. Here studies and trials are counted in
    the order in which they are read, which is always the same for one reader: it asks for what follows what it has.

    Args:
        url: The URL of the database. Nothing is created in it; without tables it has no studies.
        study: The name of the one study to read; None reads all.

    Raises:
        UserMistake: When the URL is not that of a PostgreSQL database.
    """

    def __init__(self, url: str, study: str | None = None) -> None:
        self._reader, self._name = StudyReader(url), study
        self._studies: dict[int, _Numbers] = {}  # by id in the database
        self._created, self._trials = 0, 0  # studies and trials so far, with those that are deleted

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Yield the operations that follow those of the last call; raise WorldFault when the database cannot be read.

        Optuna reads everything once and in order, so the number is always that of the next operation.
        """
        stored = self._reader.studies(self._name)
        for deleted in self._studies.keys() - {study.id for study in stored}:
            numbers = self._studies.pop(deleted)
            yield {"op_code": Operation.DELETE_STUDY, "worker_id": "", "study_id": numbers.study}
        for study in stored:
            if study.id not in self._studies:
                self._studies[study.id] = _Numbers(self._created)
                self._created += 1
            yield from self._new_operations(study, self._studies[study.id])

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Raise PermissionError."""
        raise PermissionError("the studies of this database are open for reading only")

    def _new_operations(self, study: StoredStudy, numbers: _Numbers) -> Iterator[dict[str, Any]]:
        for append in self._reader.appends(study, numbers.next_append):
            numbers.next_append = append.number + 1
            for operation in decoded(study.name, append):
                if operation["op_code"] == Operation.CREATE_TRIAL:
                    numbers.trials.append(self._trials)
                    self._trials += 1
                if "trial_id" in operation:
                    operation["trial_id"] = numbers.trials[operation["trial_id"]]
                if "study_id" in operation:
                    operation["study_id"] = numbers.study
                yield operation
