"""A way to a server on loopback that can be opened late, and can lose an answer."""

from __future__ import annotations

import select
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Relay(socketserver.ThreadingTCPServer):
    """Passes on what comes, both ways. `lost` counts the answers that were not passed on."""

    allow_reuse_address = True

    def __init__(self, target: int, port: int, loses_commit_of: bytes | None) -> None:
        super().__init__(("127.0.0.1", port), socketserver.BaseRequestHandler)
        self.target, self.lost, self.over = target, 0, False
        self._words = loses_commit_of

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def finish_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        with socket.create_connection(("127.0.0.1", self.target)) as there:
            near, losing = False, False
            while not self.over:
                for end in select.select([request, there], [], [], 0.05)[0]:
                    data = end.recv(65536)
                    if end is there and losing:  # it has taken effect, and nobody hears of it
                        self.lost += 1
                        return
                    if not data:
                        return
                    (there if end is request else request).sendall(data)
                    near |= end is request and not self.lost and self._words is not None and self._words in data
                    losing = near and end is request and b"COMMIT" in data


@contextmanager
def relay(target: int, port: int = 0, *, loses_commit_of: bytes | None = None) -> Iterator[Relay]:
    """A relay to this port while the block lasts.

    With `loses_commit_of` it cuts the line once, before the answer to the COMMIT after a statement with these words.
    """
    with Relay(target, port, loses_commit_of) as way:
        thread = threading.Thread(target=way.serve_forever, args=[0.05])
        thread.start()
        try:
            yield way
        finally:
            way.over = True
            way.shutdown()
            thread.join()
