"""Errors of a study's database: which of them pass, and with which options it is connected to."""

from __future__ import annotations

from typing import Any

import sqlalchemy
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from searchlab.errors import UserMistake, WorldFault
from searchlab.runs.retry import Unavailable

KNOWN_DIALECTS = ("postgresql", "sqlite")  # of others only the loss of a connection is recognized
TRANSIENT_CODES = {  # PostgreSQL's SQLSTATE codes of errors that pass, besides those of connections (08...)
    "25006",  # read-only: a standby that is about to take over
    "40001",  # serialization failure
    "40P01",  # deadlock
    "53300",  # too many connections
    "55P03",  # lock not available
    "57P01",  # shutdown
    "57P02",  # crash shutdown
    "57P03",  # starting up
}
REFUSAL_PHRASES = (  # a failure to connect has no code; one with these phrases lasts, any other may pass
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
UNDEFINED_TABLE = "42P01"
SQLITE_BUSY_CODES = (5, 6)  # a locked database, a locked table
KEEPALIVE_OPTIONS = {"keepalives": 1, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
POOL_OPTIONS = {"pool_size": 5, "max_overflow": 10}


class MissingTables(Exception):
    """A database without Optuna's tables."""


def parse_url(url: str) -> sqlalchemy.URL:
    """Return the URL in its parts; raise UserMistake when it is not that of a database that can be used here."""
    try:
        parts = sqlalchemy.make_url(url)
        sqlalchemy.create_engine(parts)  # loads the driver, and does not connect
    except ImportError as error:
        raise UserMistake(f"the study's database needs a driver that is not installed here: {error}.") from error
    except (ArgumentError, ValueError):  # the URL is not shown: its password cannot be told from the rest
        raise UserMistake(
            "the study's storage is not the URL of a database that can be used here; one reads "
            "postgresql://USER:PASSWORD@HOST:5432/NAME or sqlite:////FOLDER/study.db."
        ) from None
    return parts


def engine_options(parts: sqlalchemy.URL, timeout: int, *, pool: bool) -> dict[str, Any]:
    """Return the options for SQLAlchemy's create_engine; options in the URL's query take precedence.

    Args:
        parts: The URL of the database.
        timeout: Seconds within which a connection must be made.
        pool: Whether connections are kept open and shared.
    """
    options: dict[str, Any] = {"pool_pre_ping": True} if pool else {"poolclass": NullPool}
    if parts.get_backend_name() != "sqlite" and pool:
        options |= POOL_OPTIONS
    if parts.get_driver_name() in ("psycopg", "psycopg2"):
        defaults = {
            "connect_timeout": timeout,
            "tcp_user_timeout": 30_000,  # milliseconds
            "application_name": "searchlab",
            **KEEPALIVE_OPTIONS,
        }
        options["connect_args"] = {name: value for name, value in defaults.items() if name not in parts.query}
    return options


def translate_error(context: ExceptionContext, database: str, *, opening: bool) -> None:
    """Raise what an error of the database means; return where Optuna handles it, as with duplicate keys.

    Args:
        context: The error, as SQLAlchemy passes it to its event handlers.
        database: The database's URL without its password.
        opening: Whether the storage is being opened.

    Raises:
        Unavailable: When another attempt may succeed.
        MissingTables: When the tables do not exist while the storage is being opened.
        WorldFault: When the error lasts.
    """
    error, dbapi = context.original_exception, context.dialect.loaded_dbapi
    if context.is_pre_ping or not isinstance(error, dbapi.Error):
        return  # the pool reconnects, or it is not an error of the database
    reason = _reason(error, context)
    if context.is_disconnect or _is_transient(context):
        raise Unavailable(reason)
    if opening and "already exists" in str(error):
        raise Unavailable("another process is creating its tables")
    if context.dialect.name not in KNOWN_DIALECTS or isinstance(error, (dbapi.IntegrityError, dbapi.DataError)):
        return
    if opening and (_sqlstate(error) == UNDEFINED_TABLE or "no such table" in str(error)):
        raise MissingTables(reason)
    if opening:
        raise WorldFault(
            f"the study's database {database} cannot be used ({reason}); nothing in it was changed. "
            "Give another one with --storage or SEARCHLAB_STORAGE, or repair this one."
        )
    raise WorldFault(
        f"the study's database {database} refuses an operation ({reason}); every trial that had ended is kept. "
        "Once this is fixed, `searchlab resume` continues the sweep."
    )


def _is_transient(context: ExceptionContext) -> bool:
    error, code = context.original_exception, _sqlstate(context.original_exception)
    if context.dialect.name == "sqlite":
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in SQLITE_BUSY_CODES
    if code:
        return code in TRANSIENT_CODES or code.startswith("08")
    connecting = context.connection is None and isinstance(error, context.dialect.loaded_dbapi.OperationalError)
    return connecting and not any(phrase in str(error).lower() for phrase in REFUSAL_PHRASES)


def _sqlstate(error: BaseException) -> str:
    """Return the SQLSTATE code of an error of psycopg or psycopg2; "" where it has none."""
    return getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or ""


def _reason(error: BaseException, context: ExceptionContext) -> str:
    """Return the first line of what the database or its driver says, without the password."""
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    text = first.rpartition(" failed: ")[2].removeprefix("FATAL:").removeprefix("ERROR:").strip()
    password = context.engine.url.password if context.engine else None
    return text.replace(password, "***") if password else text
