"""Optuna's database storage with retries: while the database is unavailable, every call waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from optuna.exceptions import DuplicatedStudyError, UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import event
from sqlalchemy.engine import Engine, ExceptionContext
from sqlalchemy.orm import Session

from searchlab.errors import WorldFault
from searchlab.runs.retry import RetryPolicy
from searchlab.runs.urls import mask_password
from searchlab.study.storage.database_errors import translate_error
from searchlab.study.storage.ownership import Ownership

LIMIT_IDLE_TRANSACTIONS = "SET idle_in_transaction_session_timeout = 60000"  # else a lost connection locks for hours

P = ParamSpec("P")
T = TypeVar("T")


def _retried(
    method: Callable[Concatenate[RDBStorage, P], T], *, verify_owner: bool = False
) -> Callable[Concatenate[RDBStorage, P], T]:
    """Return the method with retries. A call must be idempotent: after a lost answer it is made a second time.

    With `verify_owner` each attempt first asks the server whether this process still owns the study.
    """

    @wraps(method)
    def retried(self: RDBStorage, /, *args: P.args, **kwargs: P.kwargs) -> T:
        storage = cast("DatabaseStorage", self)  # which only wraps its own methods
        check = storage.verify_owner if verify_owner else None
        return storage.retry_policy.call(lambda: method(self, *args, **kwargs), before_attempt=check)

    return retried


class _CreatedTrial(threading.local):
    """The trial that this thread created last, as its id and start: together they identify it."""

    key: tuple[Any, Any] | None = None


class DatabaseStorage(RDBStorage):
    """Optuna's database storage, which repeats every call while the database is unavailable.

    Errors of the database are translated before Optuna handles them, because it would take an outage for a mistake in
    what is stored.

    Args:
        url: The URL of the database.
        options: For SQLAlchemy's create_engine.
        retry_policy: How long an outage may last.
        create_tables: Whether missing tables are created.

    Attributes:
        ownership: Keeps other processes from writing the study; None where nothing does.

    Raises:
        Unavailable: When the database does not answer.
        MissingTables: When it has no tables of Optuna's and `create_tables` is false.
        WorldFault: When it cannot be used, or was created by another version of Optuna.
    """

    ownership: Ownership | None = None

    def __init__(self, url: str, options: dict[str, Any], retry_policy: RetryPolicy, *, create_tables: bool) -> None:
        self.retry_policy, self._masked_url = retry_policy, mask_password(url)
        self._created, self._is_opening = _CreatedTrial(), True
        literal_url = url.replace("{", "{{").replace("}", "}}")  # Optuna takes braces for a template
        try:
            super().__init__(literal_url, engine_kwargs=options, skip_table_creation=not create_tables)
        except Exception as error:
            self.engine.dispose()
            if type(error) is not RuntimeError:
                raise
            raise WorldFault(
                f"the study's database {self._masked_url} was created by another version of Optuna, and is left as it "
                "is; `optuna storage upgrade` converts it to this version."
            ) from error
        self._is_opening = False

    @property
    def engine(self) -> Engine:
        """SQLAlchemy's engine, whose errors are translated."""
        return self._engine

    @engine.setter
    def engine(self, engine: Engine) -> None:
        self._engine = engine
        event.listen(engine, "handle_error", self._translate_error)
        if engine.dialect.name == "postgresql":
            event.listen(engine, "connect", _limit_idle_transactions)

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        create = partial(super().create_new_study, directions, study_name)

        def create_again() -> int:
            try:
                return create()
            except DuplicatedStudyError:  # the first attempt took effect
                return self.get_study_id_from_name(study_name or "")

        return self.retry_policy.call(create, create_again)

    def _create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> FrozenTrial:
        self._created.key = None
        create = partial(super()._create_new_trial, study_id, template_trial)
        return self.retry_policy.call(create, before_attempt=self.verify_owner)

    def _get_prepared_new_trial(
        self, study_id: int, template_trial: FrozenTrial | None, session: Session
    ) -> models.TrialModel:
        """Return a new trial, or the one that an attempt created whose answer was lost.

        Optuna locks the study's row before this call, so that no such attempt is still running.
        """
        if self._created.key:
            trial_id, started = self._created.key
            created = session.get(models.TrialModel, trial_id)
            if created is not None and created.datetime_start == started:
                return created
        trial = super()._get_prepared_new_trial(study_id, template_trial, session)
        self._created.key = trial.trial_id, trial.datetime_start
        return trial

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        set_values = partial(super().set_trial_state_values, trial_id, state, values)

        def set_again() -> bool:
            try:
                return set_values()
            except UpdateFinishedTrialError:  # the first attempt took effect, if the state is the one that it set
                if self.get_trial(trial_id).state != state:
                    raise
                return True

        return self.retry_policy.call(set_values, set_again, self.verify_owner)

    get_all_studies = _retried(RDBStorage.get_all_studies)
    get_study_id_from_name = _retried(RDBStorage.get_study_id_from_name)
    get_study_name_from_id = _retried(RDBStorage.get_study_name_from_id)
    get_study_directions = _retried(RDBStorage.get_study_directions)
    get_study_user_attrs = _retried(RDBStorage.get_study_user_attrs)
    get_study_system_attrs = _retried(RDBStorage.get_study_system_attrs)
    set_study_user_attr = _retried(RDBStorage.set_study_user_attr)
    set_study_system_attr = _retried(RDBStorage.set_study_system_attr)
    get_trial = _retried(RDBStorage.get_trial)
    get_trial_user_attrs = _retried(RDBStorage.get_trial_user_attrs)
    get_trial_system_attrs = _retried(RDBStorage.get_trial_system_attrs)
    get_trial_id_from_study_id_trial_number = _retried(RDBStorage.get_trial_id_from_study_id_trial_number)
    get_trial_param = _retried(RDBStorage.get_trial_param)
    set_trial_user_attr = _retried(RDBStorage.set_trial_user_attr, verify_owner=True)  # a trial's group, or its end
    set_trial_system_attr = _retried(RDBStorage.set_trial_system_attr)
    set_trial_intermediate_value = _retried(RDBStorage.set_trial_intermediate_value)
    _set_trial_param = _retried(RDBStorage._set_trial_param)  # the second time breaks a key, which Optuna ignores
    _get_trials = _retried(RDBStorage._get_trials)
    _get_best_trial_id = _retried(RDBStorage._get_best_trial_id)

    def verify_owner(self) -> None:
        """Raise WorldFault when another process has taken the study over: the next write would be wrong."""
        if self.ownership is not None:
            self.ownership.ensure(verify=True)

    def _translate_error(self, context: ExceptionContext) -> None:
        if self.ownership is not None and context.is_disconnect:
            self.ownership.connection_lost()
        translate_error(context, self._masked_url, opening=self._is_opening)


def _limit_idle_transactions(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute(LIMIT_IDLE_TRANSACTIONS)
    cursor.close()
    connection.commit()
