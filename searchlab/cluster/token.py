"""The token of a local Ray, which every process that connects to it must have."""

from __future__ import annotations

import os
import secrets
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

TOKEN_VARIABLES = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")  # with which a user sets a token


def token_variables() -> dict[str, str]:
    """Return the variables that a local Ray needs for its token, and secure the token's file.

    Ray asks for a token unless RAY_AUTH_MODE is "disabled". The token is in Ray's own file in the user's home, which is
    created or changed so that only its owner can read it: other programs of this user that use Ray share it. Where
    there can be no such file, this process has a token of its own.
    """
    if any(name in os.environ for name in TOKEN_VARIABLES):
        return {}
    try:
        secure_token_file(Path.home() / ".ray" / "auth_token")
    except (OSError, RuntimeError):  # no home, or one that cannot be written
        return {TOKEN_VARIABLES[0]: _process_token()}
    return {}


def token_text() -> str:
    """Return where a person finds the token of a local Ray, as part of a sentence."""
    given = next((name for name in TOKEN_VARIABLES if name in os.environ), None)
    return given or "~/.ray/auth_token"


def secure_token_file(path: Path) -> None:
    """Create the file with a new token if there is none, and let only its owner read it."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, new = tempfile.mkstemp(dir=path.parent, prefix=".auth_token-")  # readable by the owner only
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_hex(32))
            with suppress(FileExistsError):  # another process was faster
                os.link(new, path)
        finally:
            os.unlink(new)
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)


@cache
def _process_token() -> str:
    """Return the token of this process: Ray's library reads it once."""
    return secrets.token_hex(32)
