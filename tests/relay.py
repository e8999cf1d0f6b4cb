"""A TCP proxy to a server on loopback, which can start late and can drop an answer."""

from __future__ import annotations

import select
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Relay(socketserver.ThreadingTCPServer):
    """Passes on what arrives, in both directions. `dropped` counts the answers that were not passed on."""

    allow_reuse_address = True

    def __init__(self, target: int, port: int, drop_commit_of: bytes | None) -> None:
        super().__init__(("127.0.0.1", port), socketserver.BaseRequestHandler)
        self.target, self.dropped, self.is_closing = target, 0, False
        self._statement = drop_commit_of

    @property
    def port(self) -> int:
        """The port on which it listens."""
        return int(self.server_address[1])

    def finish_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        with socket.create_connection(("127.0.0.1", self.target)) as server:
            has_statement, is_dropping = False, False
            while not self.is_closing:
                for source in select.select([request, server], [], [], 0.05)[0]:
                    data = source.recv(65536)
                    if source is server and is_dropping:  # the commit took effect, and the client does not know
                        self.dropped += 1
                        return
                    if not data:
                        return
                    (server if source is request else request).sendall(data)
                    if source is request and self._statement is not None and self._statement in data:
                        has_statement |= not self.dropped
                    is_dropping = has_statement and source is request and b"COMMIT" in data


@contextmanager
def relay(target: int, port: int = 0, *, drop_commit_of: bytes | None = None) -> Iterator[Relay]:
    """A relay to this port while the block lasts.

    With `drop_commit_of` it closes a connection once, before the answer to the COMMIT that follows this statement.
    """
    with Relay(target, port, drop_commit_of) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.05])
        thread.start()
        try:
            yield server
        finally:
            server.is_closing = True
            server.shutdown()
            thread.join()
