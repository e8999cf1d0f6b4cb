"""A study in a database, with patience: while the database is away, whatever is asked of it waits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial, wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from optuna.exceptions import DuplicatedStudyError, UpdateFinishedTrialError
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from optuna.storages._rdb import models
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import event
from sqlalchemy.engine import Engine, ExceptionContext
from sqlalchemy.orm import Session

from searchlab.errors import WorldFault
from searchlab.runs.retry import RetryPolicy
from searchlab.runs.urls import shown
from searchlab.study.storage.advisory_lock import OWNER
from searchlab.study.storage.database_errors import Missing, diagnose, engine_options, parts_of
from searchlab.study.storage.ownership import Ownership

PATIENCE = 300.0  # seconds that the owner waits for a database that went away
OPENING = 30.0  # seconds for one to come up: an address with a slip in it would be waited for as long
GLANCE = 5.0  # seconds that an onlooker waits
ON = "every trial that had ended is kept in it, and `searchlab resume` goes on once it answers."
LATER = "nothing of it is lost by that; ask again once it answers."
BOUND = "SET idle_in_transaction_session_timeout = 60000"  # else the locks of a lost connection are held for hours

P = ParamSpec("P")
T = TypeVar("T")


def own(url: str, waiting: Callable[[str], None] | None = None, study: str | None = None) -> BaseStorage:
    """The database at this URL for the one owner of a study, its tables made. `waiting` hears when it goes and comes.

    PostgreSQL itself keeps every other owner out of the study of this name. Raises WorldFault when the database cannot
    be opened or stays away, UserMistake when it has no such address or another process keeps the study. Whatever is
    asked of it later raises WorldFault once another process has taken the study over.
    """
    patience = RetryPolicy(OPENING, f"the study's database {shown(url)}", ON, waiting)
    options = engine_options(parts_of(url), timeout=10, pool=True)
    storage = patience.call(lambda: _Database(url, options, patience, tables=True))
    if study is not None and storage.engine.dialect.name == "postgresql":
        try:
            storage.ownership = patience.call(lambda: Ownership(storage.engine, study, waiting))
        except BaseException:
            storage.engine.dispose()
            raise
        patience.check = storage.ownership.keep
    patience.seconds = PATIENCE
    return storage


def sign(storage: RDBStorage, study: Study) -> None:
    """Write into the study that whoever opened this storage owns it, where ownership is told apart at all."""
    if isinstance(storage, _Database) and storage.ownership is not None:
        study.set_user_attr(OWNER, storage.ownership.token)


def release(storage: RDBStorage) -> None:
    """Close what connections there are, and let another process own the study. May be said twice."""
    if isinstance(storage, _Database) and storage.ownership is not None:
        storage.ownership.release()
    storage.engine.dispose()


def look(url: str) -> BaseStorage:
    """The database at this URL as it is, for reading: nothing is made in it. One without tables has no studies."""
    parts = parts_of(url)
    if parts.get_backend_name() == "sqlite" and not Path(parts.database or "").exists():
        return InMemoryStorage()  # connecting would make an empty file
    patience = RetryPolicy(GLANCE, f"the study's database {shown(url)}", LATER)
    options = engine_options(parts, timeout=3, pool=False)
    try:
        return patience.call(lambda: _Database(url, options, patience, tables=False))
    except Missing:
        return InMemoryStorage()


def _patient(
    method: Callable[Concatenate[RDBStorage, P], T], *, sure: bool = False
) -> Callable[Concatenate[RDBStorage, P], T]:
    """The same method, which asks again while the database is away. Twice must come to the same as once.

    With `sure` it is looked first whether the study is owned still.
    """

    @wraps(method)
    def asked(self: RDBStorage, /, *given: P.args, **named: P.kwargs) -> T:
        assert isinstance(self, _Database)
        return self.patience.call(lambda: method(self, *given, **named), check=self.surely_owned if sure else None)

    return asked


class _Begun(threading.local):
    """The latest trial that this thread began, as its id and the moment: the two tell it from any other's."""

    trial: tuple[Any, Any] | None = None


class _Database(RDBStorage):
    """Optuna's storage, told apart by its engine's errors whether the database is away.

    Errors are told before Optuna sees them: it would take them for a mistake in what is stored.
    """

    ownership: Ownership | None = None

    def __init__(self, url: str, options: dict[str, Any], patience: RetryPolicy, *, tables: bool) -> None:
        self.patience, self._shown, self._begun, self._opening = patience, shown(url), _Begun(), True
        plain = url.replace("{", "{{").replace("}", "}}")  # Optuna takes braces for a template
        try:
            super().__init__(plain, engine_kwargs=options, skip_table_creation=not tables)
        except Exception as error:
            self.engine.dispose()
            if type(error) is not RuntimeError:
                raise
            raise WorldFault(
                f"the study's database {self._shown} was made by another version of Optuna; `optuna storage upgrade` "
                "brings it to this one, and nothing of it is touched before that."
            ) from error
        self._opening = False

    @property
    def engine(self) -> Engine:
        """SQLAlchemy's, with its errors told apart."""
        return self._engine

    @engine.setter
    def engine(self, engine: Engine) -> None:
        self._engine = engine
        event.listen(engine, "handle_error", self._tell)
        if engine.dialect.name == "postgresql":
            event.listen(engine, "connect", _bound)

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        create = partial(super().create_new_study, directions, study_name)

        def again() -> int:
            try:
                return create()
            except DuplicatedStudyError:  # by the first try
                return self.get_study_id_from_name(study_name or "")

        return self.patience.call(create, again)

    def _create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> FrozenTrial:
        self._begun.trial = None
        create = partial(super()._create_new_trial, study_id, template_trial)
        return self.patience.call(create, check=self.surely_owned)

    def _get_prepared_new_trial(
        self, study_id: int, template_trial: FrozenTrial | None, session: Session
    ) -> models.TrialModel:
        """The new trial, or the one of a try whose answer was lost. The study is locked: no such try is under way."""
        if self._begun.trial:
            number, moment = self._begun.trial
            there = session.get(models.TrialModel, number)
            if there is not None and there.datetime_start == moment:
                return there
        trial = super()._get_prepared_new_trial(study_id, template_trial, session)
        self._begun.trial = trial.trial_id, trial.datetime_start
        return trial

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        tell = partial(super().set_trial_state_values, trial_id, state, values)

        def again() -> bool:
            try:
                return tell()
            except UpdateFinishedTrialError:  # by the first try, if it is as that would have it
                if self.get_trial(trial_id).state != state:
                    raise
                return True

        return self.patience.call(tell, again, self.surely_owned)

    get_all_studies = _patient(RDBStorage.get_all_studies)
    get_study_id_from_name = _patient(RDBStorage.get_study_id_from_name)
    get_study_name_from_id = _patient(RDBStorage.get_study_name_from_id)
    get_study_directions = _patient(RDBStorage.get_study_directions)
    get_study_user_attrs = _patient(RDBStorage.get_study_user_attrs)
    get_study_system_attrs = _patient(RDBStorage.get_study_system_attrs)
    set_study_user_attr = _patient(RDBStorage.set_study_user_attr)
    set_study_system_attr = _patient(RDBStorage.set_study_system_attr)
    get_trial = _patient(RDBStorage.get_trial)
    get_trial_user_attrs = _patient(RDBStorage.get_trial_user_attrs)
    get_trial_system_attrs = _patient(RDBStorage.get_trial_system_attrs)
    get_trial_id_from_study_id_trial_number = _patient(RDBStorage.get_trial_id_from_study_id_trial_number)
    get_trial_param = _patient(RDBStorage.get_trial_param)
    set_trial_user_attr = _patient(RDBStorage.set_trial_user_attr, sure=True)  # a trial's group, or its end
    set_trial_system_attr = _patient(RDBStorage.set_trial_system_attr)
    set_trial_intermediate_value = _patient(RDBStorage.set_trial_intermediate_value)
    _set_trial_param = _patient(RDBStorage._set_trial_param)  # a second time breaks a key, which Optuna ignores
    _get_trials = _patient(RDBStorage._get_trials)
    _get_best_trial_id = _patient(RDBStorage._get_best_trial_id)

    def surely_owned(self) -> None:
        """Raises WorldFault where another process has taken the study over: what is written next would be wrong."""
        if self.ownership is not None:
            self.ownership.keep(sure=True)

    def _tell(self, context: ExceptionContext) -> None:
        if self.ownership is not None and context.is_disconnect:
            self.ownership.doubt()
        diagnose(context, self._shown, opening=self._opening)


def _bound(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute(BOUND)
    cursor.close()
    connection.commit()
