"""Secrets of this process's environment, which are masked in every text that is written.

A secret is the value of a variable whose name says so, such as MLFLOW_TRACKING_PASSWORD or AWS_SECRET_ACCESS_KEY, and
what a URL of the environment has before its @.
"""

from __future__ import annotations

import base64
import html
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus, unquote

from searchlab.runs.urls import password_of, web_credentials

MASK = "***"
MIN_LETTERS = 6  # of a secret: a shorter one is a part of too many words
SECRET_NAME = re.compile(
    r"PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN(?!IZERS)|CREDENTIAL|APIKEY|_(?:KEY|PASS|PAT|PWD|PW)(?:_|$)", re.IGNORECASE
)
PUBLIC_NAME = re.compile(r"_(?:PATH|FILE|DIR|MODE|NAME|USER|USERNAME|URL|URI|ID|TYPE|SOCK)$", re.IGNORECASE)
WEB_USER = re.compile(r"\b(https?://)[^\s/?#'\"]+@(?=[\w\[])", re.IGNORECASE)
PASSWORD = re.compile(r"\b(\w[\w+.-]*://[^\s:/?#@'\"]*):[^\s/?#'\"]+@(?=[\w\[])")


def mask(text: str) -> str:
    """Return the text with `***` in place of every secret of the environment and of the credentials in URLs."""
    return masker()(text)


def masker() -> Callable[[str], str]:
    """Return `mask` for many texts: the environment is read once."""
    forms = _forms(tuple(_secrets(os.environ)))

    def mask_forms(text: str) -> str:
        for form in forms:
            text = text.replace(form, MASK)
        if "://" not in text:
            return text
        return PASSWORD.sub(rf"\1:{MASK}@", WEB_USER.sub(rf"\1{MASK}@", text))

    return mask_forms


def mask_all(value: Any) -> Any:
    """Return JSON values with every text in them masked."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, Mapping):
        return {name: mask_all(inner) for name, inner in value.items()}
    return [mask_all(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _secrets(environment: Mapping[str, str]) -> Iterator[str]:
    for name, value in environment.items():
        if SECRET_NAME.search(name) and not PUBLIC_NAME.search(name):
            yield value
        if "://" in value:
            yield from _secrets_of(value)


def _secrets_of(url: str) -> Iterator[str]:
    """Return the password of a URL, the user of a web address without one, and how browsers send the two."""
    user, password = web_credentials(url)
    if user or password:
        yield password or user
        yield base64.b64encode(f"{user}:{password}".encode()).decode()
    yield password_of(url)


@lru_cache(maxsize=8)
def _forms(secrets: tuple[str, ...]) -> list[str]:
    """Return every way in which texts spell these secrets, the longest first."""
    forms: set[str] = set()
    for secret in secrets:
        for plain in {secret.strip(), unquote(secret.strip())}:
            spelled = (plain, quote(plain, safe=""), quote(plain), quote_plus(plain), html.escape(plain))
            forms |= {*spelled, json.dumps(plain)[1:-1], repr(plain)[1:-1]} if len(plain) >= MIN_LETTERS else set()
    return sorted(forms, key=lambda form: (-len(form), form))
