"""A TCP proxy to a server on loopback, which can start late and can drop an answer."""

from __future__ import annotations

import select
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Relay(socketserver.ThreadingTCPServer):
    """Passes on what arrives, in both directions. `dropped` counts the requests and answers that were not passed on."""

    allow_reuse_address = True

    def __init__(self, target: int, port: int, drop: bytes | None, drops_request: bool) -> None:
        super().__init__(("127.0.0.1", port), socketserver.BaseRequestHandler)
        self.target, self.dropped, self.is_closing = target, 0, False
        self._marker, self._drops_request = drop, drops_request

    @property
    def port(self) -> int:
        """The port on which it listens."""
        return int(self.server_address[1])

    def finish_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        with socket.create_connection(("127.0.0.1", self.target)) as server:
            is_dropping = False
            while not self.is_closing:
                for source in select.select([request, server], [], [], 0.05)[0]:
                    data = source.recv(65536)
                    if source is request and self._marker is not None and self._marker in data:
                        is_dropping = not self.dropped
                    if is_dropping and (source is server or self._drops_request):
                        self.dropped += 1  # with an answer, the request took effect, and the client does not know
                        return
                    if not data:
                        return
                    (server if source is request else request).sendall(data)


@contextmanager
def relay(target: int, port: int = 0, *, drop: bytes | None = None, drops_request: bool = False) -> Iterator[Relay]:
    """A relay to this port while the block lasts.

    With `drop` it closes a connection once: instead of passing on the answer to a request that contains these bytes,
    or with `drops_request` the request itself.
    """
    with Relay(target, port, drop, drops_request) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.05])
        thread.start()
        try:
            yield server
        finally:
            server.is_closing = True
            server.shutdown()
            thread.join()
