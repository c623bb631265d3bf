"""Which ports are free, and who holds those that are not."""

import errno
import socket

import psutil

from cli.errors import CommandError
from foundation.settings import SettingsError
from serve_app.settings import ALL_INTERFACES


def is_free(host: str, port: int, setting: str = "MANAGEMENT_API") -> bool:
    """Whether a server could listen there. Raises `SettingsError` when nothing ever could; it names
    `{setting}_HOST` or `{setting}_PORT`."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            # As servers do: connections that a former engine left behind do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return False
        raise SettingsError(_unusable(host, port, setting, error)) from error
    return True


def demand_free(host: str, port: int, setting: str, otherwise: str = "") -> None:
    """Raises `CommandError` that names who listens there, and `SettingsError`. `otherwise` is one
    more way out, for the end of a sentence."""
    if is_free(host, port, setting):
        return
    by = holder(port)
    raise CommandError(
        f"Port {port} is taken{f' by {by}' if by else ''}.",
        f"Stop that program, or choose another port with {setting}_PORT{otherwise}.",
    )


def _unusable(host: str, port: int, setting: str, error: OSError) -> str:
    if error.errno == errno.EACCES:
        return f"{setting}_PORT: {port} needs the rights of root; choose one from 1024 on."
    return f"{setting}_HOST: {host} is not an address of this machine ({error.strerror})."


def holder(port: int) -> str:
    """Who listens on a port, for a sentence: `nginx (pid 123)`; empty where it cannot be seen."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:  # macOS shows other people's sockets to root only
        return ""
    for connection in connections:
        listens = connection.status == psutil.CONN_LISTEN
        if listens and connection.laddr and connection.laddr.port == port and connection.pid:
            return f"{_name(connection.pid)} (pid {connection.pid})"
    return ""


def _name(pid: int) -> str:
    try:
        return psutil.Process(pid).name()
    except psutil.Error:
        return "a process"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port


def usable_port(wanted: int) -> int:
    """The wanted port on all interfaces, or another that is free."""
    return wanted if is_free(ALL_INTERFACES[0], wanted) else free_port()
