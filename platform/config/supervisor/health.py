"""Asking a process of ours whether it answers."""

import http.client

from config.supervisor.ports import HOST


def answers(port: int, path: str) -> bool:
    """Whether a GET brings anything but a failure of the server."""
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
