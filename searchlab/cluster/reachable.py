"""The check whether a cluster answers at an address, before anything is written: Ray itself waits for many minutes."""

from __future__ import annotations

import socket
import urllib.request
from urllib.parse import urlsplit

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from searchlab.errors import UserMistake, WorldFault

CONNECT_SECONDS = 15.0  # in which a cluster that is being started may begin to answer
PAUSE, ATTEMPT_SECONDS = 0.5, 5.0  # between two attempts, and how long each of them waits for an answer
READY_SECONDS = 15.0  # in which Ray's server begins to speak gRPC: a busy head takes a while
CLIENT_PORT = 10001  # Ray's own default of ray://HOST
WEB_PORTS = {"http": 80, "https": 443}
EXAMPLES = "auto, HEAD:6379 or ray://HEAD:10001"


def require_cluster(address: str | None) -> None:
    """Check that something answers where a driver would join a cluster; None and "local" start a Ray of this machine.

    In a process that is connected to Ray nothing is checked: the driver uses that connection.

    Raises:
        UserMistake: When the address is not one that Ray understands, or Ray's TLS settings cannot be used.
        WorldFault: When nothing answers there, or something else than Ray.
    """
    if not address or address == "local":
        return
    import ray  # here alone: 0.7 s that a search on this machine saves

    if not ray.is_initialized():
        place = _host_and_port(_running_address(address))
        _require_answer(address, place, CONNECT_SECONDS)
        _require_grpc(address, place)


def require_web_server(address: str) -> None:
    """Raise WorldFault when nothing answers where a cluster takes jobs; a proxy between them is left to the request."""
    url = urlsplit(address)
    host = url.hostname or ""
    if url.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(host):
        return
    _require_answer(address, _host_and_port(f"{url.scheme}://{url.netloc}"), 0.0)


def _running_address(address: str) -> str:
    """Return the address of the Ray that runs on this machine for "auto", and any other address as it is."""
    if address != "auto":
        return address
    from ray._private import services

    try:
        return str(services.canonicalize_bootstrap_address(address))
    except (ConnectionError, ValueError, OSError) as error:
        raise WorldFault(
            "no Ray cluster runs on this machine, which `--address auto` joins; start one first."
        ) from error


def _require_answer(shown: str, place: tuple[str, int], seconds: float) -> None:
    """Connect to the host and the port of an address, again and again for so many seconds."""
    attempts = Retrying(
        retry=retry_if_exception_type(OSError), stop=stop_after_delay(seconds), wait=wait_fixed(PAUSE), reraise=True
    )
    try:
        attempts(socket.create_connection, place, timeout=ATTEMPT_SECONDS).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise WorldFault(
            f"cannot connect to the Ray cluster at {shown}: {reason}; check the address, and that the cluster runs."
        ) from error


def _require_grpc(shown: str, place: tuple[str, int]) -> None:
    """Check that the server there speaks gRPC, as Ray's do; a web server accepts connections too."""
    import grpc
    from ray._private import grpc_utils

    host, port = place
    try:
        channel = grpc_utils.init_grpc_channel(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    except (RuntimeError, OSError) as error:  # variables or files of certificates are missing
        raise UserMistake(f"Ray's TLS settings cannot be used: {error}") from error
    try:
        grpc.channel_ready_future(channel).result(timeout=READY_SECONDS)
    except grpc.FutureTimeoutError as error:
        raise WorldFault(
            f"what answers at {shown} is no Ray cluster, or one whose TLS settings differ (RAY_USE_TLS); "
            f"its port is 6379 by default, with ray:// {CLIENT_PORT}."
        ) from error
    finally:
        channel.close()


def _host_and_port(address: str) -> tuple[str, int]:
    """Return the host and the port of an address, with or without a scheme; raise UserMistake where it has none."""
    mistake = UserMistake(f"the address of a Ray cluster is {EXAMPLES}, got {address!r}.")
    url = urlsplit(address if "://" in address else f"//{address}")
    default = {**WEB_PORTS, "ray": CLIENT_PORT}.get(url.scheme)
    try:
        port = url.port or default
    except ValueError as error:  # not a number, or above 65535
        raise mistake from error
    if not url.hostname or not port or (url.scheme and default is None):
        raise mistake
    return url.hostname, port
