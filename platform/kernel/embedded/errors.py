"""What the embedded servers may refuse, each as one plain sentence."""

from pathlib import Path


class EmbeddedServerError(Exception):
    """A server did not start or stop; the message is meant for the person at the keyboard."""


class DiskFull(EmbeddedServerError):
    """The data folder's disk has no room for the servers."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"The disk that holds {folder} is full: free at least 500 MB and start again.")
