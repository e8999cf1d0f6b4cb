"""URLs of servers with a password: shown without it, stored without it, and completed with it again.

A web address is shown and stored without its user too, whose name may be a token; that of a database is no secret.

SQLAlchemy's URL is not used here: it encodes what it does not change, so that a stored URL would differ from the one
given, and of a password with an unquoted @ it takes the rest for the host, and shows it.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote, unquote

from searchlab.errors import UserMistake

SQLITE = "sqlite:///"
POSTGRES_SCHEMES = ("postgresql", "postgresql+psycopg", "postgres")  # the second is SQLAlchemy's
POSTGRES_EXAMPLE = "postgresql://USER:PASSWORD@HOST:5432/NAME"
SECRET_PARAMETERS = {"password", "passwd", "sslpassword"}  # what database drivers take in a URL's query
LOCAL_SCHEMES = ("sqlite", "file")  # these have no password
WEB_SCHEMES = ("http", "https")
HOST = r"@(?=[^@/?#]*(?:[/?#]|$))"  # the last @ before the host
WEB_CREDENTIALS = re.compile(rf"^[^/?#]*?{HOST}")  # a web address ends at the first / after its host
DATABASE_CREDENTIALS = re.compile(rf"^([^:/?#@]*):.*?{HOST}")  # the password may hold any character


def without_password(url: str) -> str:
    """Return the URL without its password, the user of a web address, and the secret parameters of its query.

    A path stays as it is.
    """
    return _with_credentials(url, web="", database=r"\g<1>@")


def mask_password(url: str) -> str:
    """Return the URL for people: `***` in place of its password, and no secret parameters in its query."""
    return _with_credentials(url, web="***@", database=r"\g<1>:***@")


def with_password_from(url: str, complete: str | None) -> str:
    """Return `complete`, such as a URL from the environment, where it is `url` with a password; else return `url`."""
    return complete if complete and without_password(complete) == without_password(url) else url


def sqlite_url(database: Path) -> str:
    """Return the URL of a SQLite file; only what would change the URL's meaning is quoted in its path."""
    return SQLITE + re.sub("[%?#]", lambda found: quote(found[0]), str(database))


def sqlite_path(url: str) -> Path:
    """Return the absolute path of the file that a URL of SQLite names."""
    return Path(unquote(url.removeprefix(SQLITE).partition("?")[0])).absolute()


def web_credentials(url: str) -> tuple[str, str]:
    """Return the user and the password of a web address; each is empty where there is none."""
    scheme, _, rest = url.partition("://")
    found = WEB_CREDENTIALS.match(rest) if scheme.lower() in WEB_SCHEMES else None
    user, _, password = found[0].removesuffix("@").partition(":") if found else ("", "", "")
    return unquote(user), unquote(password)


def password_of(url: str) -> str:
    """Return the password of a URL as it is written there, encoded or not; empty where there is none."""
    scheme, found, rest = url.partition("://")
    kind = scheme.lower().partition("+")[0]
    if not found or kind in LOCAL_SCHEMES:
        return ""
    credentials = (WEB_CREDENTIALS if kind in WEB_SCHEMES else DATABASE_CREDENTIALS).match(rest)
    in_query = [part.partition("=") for part in rest.partition("?")[2].split("&")]
    secret = next((value for name, _, value in in_query if name.lower() in SECRET_PARAMETERS), "")
    return credentials[0].removesuffix("@").partition(":")[2] if credentials else secret


def validate_storage(url: str | None) -> None:
    """Raise UserMistake for a URL that is not that of a PostgreSQL database; None, a journal file, is fine."""
    if url is not None and not url.lower().startswith(tuple(f"{scheme}://" for scheme in POSTGRES_SCHEMES)):
        raise UserMistake(  # the URL is not shown: its password cannot be told from the rest
            f"storage is the URL of a PostgreSQL database, such as {POSTGRES_EXAMPLE}; without it, the study is a "
            "journal file in the home folder."
        )


def split_password(url: str) -> tuple[str, str]:
    """Return the URL of a database without the password before its host, and that password as it is written there."""
    scheme, _, rest = url.partition("://")
    found = DATABASE_CREDENTIALS.match(rest)
    if not found:
        return url, ""
    return f"{scheme}://{found[1]}@{rest[found.end() :]}", found[0].removesuffix("@").partition(":")[2]


def _with_credentials(url: str, web: str, database: str) -> str:
    """Return the URL with these in place of a user with its password, and without secret parameters in its query.

    They are replacements of `re.sub`; `\\g<1>` is the user of a database.
    """
    scheme, found, rest = url.partition("://")
    kind = scheme.lower().partition("+")[0]
    if not found or kind in LOCAL_SCHEMES:
        return url
    if kind in WEB_SCHEMES:
        rest = WEB_CREDENTIALS.sub(web, rest, count=1)
    else:
        rest = DATABASE_CREDENTIALS.sub(database, rest, count=1)
    base, mark, query = rest.partition("?")
    public = [part for part in query.split("&") if part.partition("=")[0].lower() not in SECRET_PARAMETERS]
    return f"{scheme}://{base}{mark if public != [''] and public else ''}{'&'.join(public)}"
