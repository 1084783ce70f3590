"""Where the embedded servers keep their files, and the addresses that follow from it."""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

DATABASE = "watermaster"
SUPERUSER = "postgres"

# sockaddr_un holds 108 bytes on Linux and 104 on macOS, the closing NUL included.
SOCKET_PATH_BYTES_MAX = 100


@dataclass(frozen=True, slots=True)
class Layout:
    """The folder of one pair of servers. Two layouts with different roots never touch each other."""

    root: Path

    @property
    def postgres_folder(self) -> Path:
        return self.root / "postgres"

    @property
    def valkey_folder(self) -> Path:
        return self.root / "valkey"

    @property
    def log_folder(self) -> Path:
        return self.root / "log"

    @property
    def socket_folder(self) -> Path:
        """``run/`` beside the data, or a short folder of the same user when the path is too long for a socket."""
        folder = self.root / "run"
        if len(os.fsencode(folder / ".s.PGSQL.5432.lock")) <= SOCKET_PATH_BYTES_MAX:
            return folder
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"watermaster-{os.getuid()}-{digest}"

    @property
    def valkey_socket(self) -> Path:
        return self.socket_folder / "valkey.sock"

    @property
    def redis_url(self) -> str:
        return f"unix://{self.valkey_socket}"

    def database_url(self, *, user: str, database: str = DATABASE) -> str:
        host = quote(str(self.socket_folder), safe="")
        return f"postgresql://{user}@/{database}?host={host}"
