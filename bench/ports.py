"""Ports for the processes under test."""

import socket

from config.supervisor.ports import HOST


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
