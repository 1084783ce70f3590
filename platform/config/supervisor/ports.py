"""The two ports that we listen on."""

import errno
import socket

import psutil

from config.supervisor.errors import StartRefused

HOST = "127.0.0.1"


def require_free_port(port: int, *, variable: str) -> None:
    """Raise `StartRefused` with the way out if somebody listens on the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the servers do: a connection of the last run that is still closing is not in the way.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except PermissionError as error:
            raise StartRefused(
                f"Port {port} may not be opened by this user: choose one above 1023 with make up {variable}=..."
            ) from error
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise StartRefused(
                f"Port {port} is in use{_by_whom(port)}: stop that, or choose another with "
                f"make up {variable}={port + 1000 if port < 64000 else port - 1000}."
            ) from error


def port_from(value: str, *, variable: str) -> int:
    """A port's number; raises `StartRefused` for anything else."""
    if value.isascii() and value.isdigit() and 1 <= int(value) <= 65535:
        return int(value)
    raise StartRefused(f"{variable} is a port between 1 and 65535, so {value!r} is not understood.")


def _by_whom(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            address = connection.laddr
            if connection.status == psutil.CONN_LISTEN and address and address.port == port and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:
        # Another user's process, or a system that does not tell.
        pass
    return ""
