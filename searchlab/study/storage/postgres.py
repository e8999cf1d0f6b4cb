"""A PostgreSQL database with studies: connections to it, its tables, and what its errors mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from searchlab.errors import UserMistake, WorldFault
from searchlab.runs.retry import Unavailable
from searchlab.runs.urls import POSTGRES_EXAMPLE, mask_password, split_password, validate_storage

if TYPE_CHECKING:
    from psycopg import Connection, Error

# One row for each append of a study's owner: `number` counts its appends, `lines` are lines of Optuna's journal. By the
# key, no append has a second row, even if it is sent again because its answer was lost.
TABLES = """
CREATE TABLE IF NOT EXISTS searchlab_studies (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    created timestamptz NOT NULL DEFAULT now(),
    closed timestamptz
);
CREATE TABLE IF NOT EXISTS searchlab_journal (
    study integer NOT NULL REFERENCES searchlab_studies ON DELETE CASCADE,
    number integer NOT NULL,
    lines text NOT NULL,
    PRIMARY KEY (study, number)
);
"""
TABLES_KEY = 5_231_864_907_712_361_009  # of the advisory lock under which the tables are created
CLIENT_OPTIONS: Mapping[str, str] = {
    "application_name": "searchlab",
    "keepalives": "1",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",  # milliseconds
}
TRANSIENT_CODES = {  # PostgreSQL's SQLSTATE codes of errors that pass, besides those of connections (08...)
    "25006",  # read-only: a standby that is about to take over
    "40001",  # serialization failure
    "40P01",  # deadlock
    "53300",  # too many connections
    "55P03",  # lock not available
    "57P01",  # shutdown
    "57P02",  # crash shutdown
    "57P03",  # starting up
    "57P05",  # idle session timeout
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
    "invalid ",  # as the value of an option in the URL
)
UNDEFINED_TABLE = "42P01"


class MissingTables(WorldFault):
    """A database without the tables of studies."""


class Database:
    """A PostgreSQL database, which may be unavailable for a while.

    Args:
        url: Its URL. Options in its query, such as `sslmode`, are those of PostgreSQL's client library.

    Attributes:
        shown_as: The URL without its password, for people.

    Raises:
        UserMistake: When the URL is not that of a PostgreSQL database, or the driver is not installed.
    """

    def __init__(self, url: str) -> None:
        self.shown_as = mask_password(url)
        self._options = _connection_options(url)

    def connect(self, timeout: int) -> Connection[Any]:
        """Return a new connection, made within this many seconds, that commits every statement by itself.

        Raises:
            Unavailable: When the server does not answer.
            WorldFault: When it refuses the connection.
        """
        import psycopg

        options = {"connect_timeout": str(timeout), **CLIENT_OPTIONS, **self._options}
        with self.translated(opening=True):
            return psycopg.connect(**options, autocommit=True)  # type: ignore[arg-type]

    @contextmanager
    def translated(self, *, opening: bool = False) -> Iterator[None]:
        """Within the block, raise what an error of the database means.

        Args:
            opening: Whether the study is being opened, so that nothing in it was changed.

        Raises:
            Unavailable: When another attempt may succeed.
            MissingTables: When there are no tables of studies.
            WorldFault: When the error lasts.
        """
        import psycopg

        try:
            yield
        except psycopg.Error as error:
            reason = self._reason(error)
            if _is_transient(error):
                raise Unavailable(reason) from error
            if error.sqlstate == UNDEFINED_TABLE:
                raise MissingTables(self._fault(reason, opening)) from error
            raise WorldFault(self._fault(reason, opening)) from error

    def create_tables(self, connection: Connection[Any]) -> None:
        """Create the tables that are missing; another process may be doing the same."""
        with self.translated(opening=True):
            (found,) = connection.execute("SELECT to_regclass('searchlab_journal')").fetchone() or (None,)
            if found is None:  # a role that may not create tables can use existing ones
                with connection.transaction():
                    connection.execute("SELECT pg_advisory_xact_lock(%s)", (TABLES_KEY,))
                    connection.execute(TABLES)

    def _fault(self, reason: str, opening: bool) -> str:
        if opening:
            return (
                f"the study's database {self.shown_as} cannot be used ({reason}); nothing in it was changed. "
                "Give another one with --storage or SEARCHLAB_STORAGE, or repair this one."
            )
        return (
            f"the study's database {self.shown_as} refuses an operation ({reason}); every trial that had ended is "
            "kept. Once this is fixed, `searchlab resume` continues the sweep."
        )

    def _reason(self, error: Error) -> str:
        """Return in one line what the server or its client library says, without the password."""
        lines = str(error).strip().splitlines() or [type(error).__name__]
        line = lines[-1] if lines[0].startswith("Multiple connection attempts failed") else lines[0]
        text = line.rpartition(" failed: ")[2].removeprefix("FATAL:").removeprefix("ERROR:").strip()
        password = self._options.get("password")
        return text.replace(password, "***") if password else text


def _connection_options(url: str) -> dict[str, str]:
    """Return the options of a connection; raise UserMistake when the URL is not that of a PostgreSQL database."""
    validate_storage(url)
    try:
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict
    except ImportError as error:
        raise UserMistake(
            "a study in PostgreSQL needs the package psycopg, which is not installed here: "
            "pip install 'searchlab[cluster]'."
        ) from error
    public, password = split_password(url)
    try:
        options = conninfo_to_dict(f"postgresql://{public.partition('://')[2]}")
        [int(port) for port in str(options.get("port", 5432)).split(",")]
    except (ProgrammingError, ValueError):  # their text is not shown: it may quote a password
        raise UserMistake(f"the URL of the study's database cannot be read; one reads {POSTGRES_EXAMPLE}.") from None
    options |= {"password": unquote(password)} if password else {}
    return {name: str(value) for name, value in options.items() if value is not None}


def _is_transient(error: Error) -> bool:
    import psycopg

    if error.sqlstate:
        return error.sqlstate in TRANSIENT_CODES or error.sqlstate.startswith("08")
    is_of_connection = isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))
    return is_of_connection and not any(phrase in str(error).lower() for phrase in REFUSAL_PHRASES)
