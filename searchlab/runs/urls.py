"""Addresses with a password in them: shown without it, written down without it, and made whole again."""

from __future__ import annotations

import re

SECRET = re.compile(r"([?&])(?:password|passwd|sslpassword)=[^&#]*", re.IGNORECASE)  # what drivers take in a query


def without_password(url: str) -> str:
    """The same address without its password; of a path or a file's URL there is nothing to take."""
    return _with(url, "")


def shown(url: str) -> str:
    """The address for people, with stars for its password."""
    return _with(url, ":***")


def with_password_of(url: str, other: str | None) -> str:
    """The other address where it is this one with a password, such as the one in the environment; else this one."""
    return other if other and without_password(other) == url else url


def _with(url: str, password: str) -> str:
    """The address with this in the place of its password and of the colon before it.

    Of a database's URL a password may hold anything as it is, save @; a web address ends at the first / after its host.
    """
    scheme, found, rest = url.partition("://")
    if not found or scheme.lower().startswith(("sqlite", "file")):
        return url
    inside = "[^/?#]" if scheme.lower() in ("http", "https") else "."
    rest = re.sub(rf"^([^:/?#@]*):{inside}*?@(?=[^@/?#]*(?:[/?#]|$))", lambda part: f"{part[1]}{password}@", rest)
    base, mark, query = rest.partition("?")
    return f"{scheme}://{base}{_open(mark + query)}"


def _open(query: str) -> str:
    """A query without secrets; what comes first in it follows the question mark."""
    kept = SECRET.sub(lambda part: "?" if part[1] == "?" else "", query)
    return kept.replace("?&", "?", 1).removesuffix("?") if kept != query else query
