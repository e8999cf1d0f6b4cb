"""URLs of servers with a password: shown without it, stored without it, and completed with it again.

SQLAlchemy's URL is not used here: it encodes what it does not change, so that a stored URL would differ from the one
given, and of a password with an unquoted @ it takes the rest for the host, and shows it.
"""

from __future__ import annotations

import re

SECRET_PARAMETERS = {"password", "passwd", "sslpassword"}  # what database drivers take in a URL's query
LOCAL_SCHEMES = ("sqlite", "file")  # these have no password
WEB_SCHEMES = ("http", "https")


def without_password(url: str) -> str:
    """Return the URL without its password and without the secret parameters of its query; a path stays as it is."""
    return _with_password(url, "")


def mask_password(url: str) -> str:
    """Return the URL for people: `***` in place of its password, and no secret parameters in its query."""
    return _with_password(url, ":***")


def with_password_from(url: str, complete: str | None) -> str:
    """Return `complete`, such as a URL from the environment, where it is `url` with a password; else return `url`."""
    return complete if complete and without_password(complete) == url else url


def _with_password(url: str, password: str) -> str:
    """Return the URL with this in place of its password and of the colon before it."""
    scheme, found, rest = url.partition("://")
    kind = scheme.lower().partition("+")[0]
    if not found or kind in LOCAL_SCHEMES:
        return url
    # the password of a database's URL may hold any character; a web address ends at the first / after its host
    character = "[^/?#]" if kind in WEB_SCHEMES else "."
    rest = re.sub(rf"^([^:/?#@]*):{character}*?@(?=[^@/?#]*(?:[/?#]|$))", rf"\g<1>{password}@", rest)
    base, mark, query = rest.partition("?")
    public = [part for part in query.split("&") if part.partition("=")[0].lower() not in SECRET_PARAMETERS]
    return f"{scheme}://{base}{mark if public != [''] and public else ''}{'&'.join(public)}"
