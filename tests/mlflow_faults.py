"""Servers for tests in the place of MLflow's: they refuse, hang, answer late, or vanish."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from contextlib import contextmanager


@contextmanager
def refusing_server():
    """Yield the address of a port where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: a connection is refused, and nobody else gets it
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@contextmanager
def hanging_server():
    """Yield the address of a server that accepts every connection and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@contextmanager
def answering_server(status=200, body=b"{}", seconds=0.0, echo=False):
    """Yield the address of a server that answers every request with this status and body, after some seconds.

    With `echo`, the body has the request's own credentials.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            time.sleep(seconds)
            answer = f"no: {self.headers.get('Authorization')}".encode() if echo else body
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_PATCH = do_PUT = do_DELETE = do_GET

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def vanishing_server():
    """Yield the address of a server that answers one request, drops the connection of the next, and is gone."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)

        def serve():
            connection, _ = listening.accept()
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
            connection.close()
            connection, _ = listening.accept()
            connection.close()
            listening.close()

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
