"""Secrets in files of this machine, for development: a directory per tenant, no links followed."""

import os
import stat
from pathlib import Path

from kernel.ids import Tag
from vault.backends.door import BYTES_MAX, Fetched, FetchFailed
from vault.backends.texts import secret_of_text
from vault.kinds import Health

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A pipe in the place of a file must not keep anybody waiting.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Files:
    """Below one folder. A file holds a JSON object of strings, or the secret itself."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fetch(self, *, tag: Tag, path: str, version: str) -> Fetched:
        descriptor = self._open(path)
        with os.fdopen(descriptor, "rb") as file:
            content = file.read(BYTES_MAX + 1)
        text = None
        try:
            text = content.decode()
        except UnicodeDecodeError:
            text = None
        if text is None or len(content) > BYTES_MAX or not text.strip():
            raise FetchFailed(Health.GARBAGE)
        return Fetched(secret=secret_of_text(text.rstrip("\r\n")))

    def renew(self, *, tag: Tag, lease_id: str, seconds: int) -> int:
        """Nothing is made for a lease here."""
        return seconds

    def give_back(self, *, tag: Tag, lease_id: str) -> None:
        """Nothing is made for a lease here."""

    def probe(self, *, tag: Tag, path: str, version: str) -> None:
        os.close(self._open(path))

    def _open(self, path: str) -> int:
        """A regular file, reached from the folder step by step, so that no link leads out of it."""
        *folders, name = path.split("/")
        failure: Health | None = None
        here = descriptor = -1
        try:
            here = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            for folder in folders:
                inner = os.open(folder, _FOLDER, dir_fd=here)
                os.close(here)
                here = inner
            descriptor = os.open(name, _FILE, dir_fd=here)
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                failure = Health.FORBIDDEN
        except (FileNotFoundError, NotADirectoryError):
            failure = Health.NOT_THERE
        except OSError:
            failure = Health.FORBIDDEN
        finally:
            if here >= 0:
                os.close(here)
        if failure is not None:
            if descriptor >= 0:
                os.close(descriptor)
            raise FetchFailed(failure)
        return descriptor
