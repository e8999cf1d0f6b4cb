"""Optuna's dashboard for reading only: `python -m searchlab.study.dashboard STORAGE PORT [HOST]`.

STORAGE is the path of a study's journal, or the URL of a database, whose studies are all shown. Without HOST, it serves
this machine alone.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from searchlab.errors import UserMistake, WorldFault
from searchlab.study.storage.opening import open_read_only

LOOPBACK = "127.0.0.1"
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def is_installed() -> bool:
    """Return whether the package optuna-dashboard is installed."""
    return importlib.util.find_spec("optuna_dashboard") is not None


def command(study: Path, port: int) -> list[str]:
    """Return the command of a server for the study in this journal file, on loopback only."""
    return [sys.executable, "-m", "searchlab.study.dashboard", str(study), str(port)]


def for_loopback(application: Application, port: int) -> Application:
    """Return the application for requests to this machine by its own names: a page of the web cannot ask it."""

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("HTTP_HOST") in (f"127.0.0.1:{port}", f"localhost:{port}"):
            return application(environ, start)
        start("403 Forbidden", [("Content-Type", "text/plain")])
        return [b"This server answers to 127.0.0.1 and localhost."]

    return answer


class _ThreadingServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Do not log requests."""


def main(storage: str, port: str, host: str = LOOPBACK) -> None:
    """Serve a study, or all studies of a database, until the process is ended."""
    from optuna_dashboard import wsgi

    application = wsgi(open_read_only(storage if "://" in storage else Path(storage)))
    if host == LOOPBACK:
        application = for_loopback(application, int(port))
    make_server(host, int(port), application, _ThreadingServer, _QuietHandler).serve_forever()


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (UserMistake, WorldFault) as error:
        sys.exit(str(error))
