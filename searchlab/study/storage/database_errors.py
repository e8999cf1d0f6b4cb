"""Diagnosis: what an error of a study's database means, and with which options it is connected to."""

from __future__ import annotations

from typing import Any

import sqlalchemy
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from searchlab.errors import UserMistake, WorldFault
from searchlab.runs.retry import Unavailable

KNOWN = ("postgresql", "sqlite")  # of others' errors no more is known than whether a connection was lost
PASSING = {  # PostgreSQL's codes of what is over after a while, besides those of connections (08...)
    "25006",  # read-only: a standby that is about to take over
    "40001",
    "40P01",  # a deadlock
    "53300",  # too many connections
    "55P03",
    "57P01",  # shut down
    "57P02",
    "57P03",  # starting up
}
LASTING = (  # said instead of connecting, which comes without a code; what else is said then may pass
    "authentication failed",
    "no password supplied",
    "does not exist",
    "pg_hba.conf",
    "permission denied",
    "not permitted to log in",
    "does not support ssl",
    "certificate",
    "access denied",
    "unknown database",
)
BUSY = (5, 6)  # SQLite's codes of a database and a table that are locked
LIBPQ = {"keepalives": 1, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
POOL = {"pool_size": 5, "max_overflow": 10}


class Missing(Exception):
    """The database has no tables of Optuna's."""


def parts_of(url: str) -> sqlalchemy.URL:
    """The URL in its parts; raises UserMistake when it is none of a database that can be spoken to from here."""
    try:
        parts = sqlalchemy.make_url(url)
        sqlalchemy.create_engine(parts)  # which loads the driver, and connects to nothing
    except ImportError as error:
        raise UserMistake(f"the study's database needs a driver that is not installed here: {error}.") from error
    except (ArgumentError, ValueError):  # not shown: nobody knows where in it a password is
        raise UserMistake(
            "the study's storage is not the URL of a database that can be used here; one reads "
            "postgresql://USER:PASSWORD@HOST:5432/NAME or sqlite:////FOLDER/study.db."
        ) from None
    return parts


def engine_options(parts: sqlalchemy.URL, timeout: int, *, pool: bool) -> dict[str, Any]:
    """How to connect: within so many seconds, noticing when the other side is gone; what the URL says goes first."""
    options: dict[str, Any] = {"pool_pre_ping": True} if pool else {"poolclass": NullPool}
    if parts.get_backend_name() != "sqlite" and pool:
        options |= POOL
    if parts.get_driver_name() in ("psycopg", "psycopg2"):
        ours = {"connect_timeout": timeout, "tcp_user_timeout": 30_000, "application_name": "searchlab", **LIBPQ}
        options["connect_args"] = {name: value for name, value in ours.items() if name not in parts.query}
    return options


def diagnose(context: ExceptionContext, database: str, *, opening: bool) -> None:
    """Raise what an error means: Away, Missing, or WorldFault where it will not pass. Conflicts of keys stay."""
    error, dbapi = context.original_exception, context.dialect.loaded_dbapi
    if context.is_pre_ping or not isinstance(error, dbapi.Error):
        return  # the pool connects anew; or it is nothing of the database's
    reason = _reason(error, context)
    if context.is_disconnect or _passes(context):
        raise Unavailable(reason)
    if opening and "already exists" in str(error):
        raise Unavailable("another process is making its tables")
    if context.dialect.name not in KNOWN or isinstance(error, (dbapi.IntegrityError, dbapi.DataError)):
        return
    if opening and (_code(error) == "42P01" or "no such table" in str(error)):
        raise Missing(reason)
    if opening:
        raise WorldFault(
            f"the study's database {database} cannot be used ({reason}); what is in it is untouched. "
            "Give another with --storage or SEARCHLAB_STORAGE, or mend this one."
        )
    raise WorldFault(
        f"the study's database {database} does not take what it should ({reason}); every trial that had ended is "
        "kept, and `searchlab resume` goes on when that is mended."
    )


def _passes(context: ExceptionContext) -> bool:
    error, code = context.original_exception, _code(context.original_exception)
    if context.dialect.name == "sqlite":
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in BUSY
    if code:
        return code in PASSING or code.startswith("08")
    connecting = context.connection is None and isinstance(error, context.dialect.loaded_dbapi.OperationalError)
    return connecting and not any(words in str(error).lower() for words in LASTING)


def _code(error: BaseException) -> str:
    return getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or ""


def _reason(error: BaseException, context: ExceptionContext) -> str:
    """What the database or its driver said, in short and without the password, should it be in there."""
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    text = first.rpartition(" failed: ")[2].removeprefix("FATAL:").removeprefix("ERROR:").strip()
    password = context.engine.url.password if context.engine else None
    return text.replace(password, "***") if password else text
