"""The demo's keys and its sign-in, kept in one file that only its user can read. What still works is kept."""

import os
import shlex
import tempfile
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from accounts.keys.selectors.keys import keys, verified_key
from accounts.keys.services.keys import (
    LIFETIME_DEFAULT,
    PLATFORM_PERMISSIONS,
    TENANT_PERMISSIONS,
    create_key,
    revoke_key,
)
from accounts.keys.tokens import parse_token
from budgets.services.demo.stage import ACTOR
from kernel.ids import Tag

#: What an agent's own key may do.
RUNTIME_PERMISSIONS: Final = frozenset(
    {
        "reservations:create",
        "reservations:commit",
        "reservations:release",
        "reservations:extend",
        "reservations:list",
        "balances:read",
    }
)
#: What the key of the tenant's admin may do: everything but spend.
# A key hands out no more than it has, and an admin makes the agents' keys.
ADMIN_PERMISSIONS: Final = frozenset(str(permission) for permission in TENANT_PERMISSIONS)
OPERATOR_PERMISSIONS: Final = frozenset(str(permission) for permission in PLATFORM_PERMISSIONS)


def ensure_key(token: str, *, tag: Tag, name: str, permissions: Iterable[str], now: datetime) -> str:
    """`token` if it is a good key of `tag` with these permissions, else a new one in the place of those of that name.

    Works in the schema that the connection is in.
    """
    wanted = frozenset(permissions)
    parsed = parse_token(token)
    if parsed is not None and parsed.tag == tag:
        key = verified_key(parsed)
        if key is not None and wanted <= key.permissions:
            return token
    # Their secrets are lost, so nobody can use them, and nobody should wonder whose they are.
    for lost in keys().filter(name=name, status="ACTIVE"):
        revoke_key(key_id=lost.key_id, actor=ACTOR, now=now)
    issued = create_key(
        tag=tag, name=name, permissions=sorted(wanted), expires_at=now + LIFETIME_DEFAULT, actor=ACTOR, now=now
    )
    return issued.token


def read_file(path: Path) -> dict[str, str]:
    """The names and values of ``NAME=value`` lines; empty if there is no such file or it is not readable as one."""
    try:
        words = shlex.split(path.read_text(), comments=True)
    except (FileNotFoundError, ValueError):
        return {}
    return dict(word.split("=", 1) for word in words if "=" in word)


def write_file(path: Path, values: Mapping[str, str]) -> None:
    """Replace the file in one step, readable by its user alone from the first byte on."""
    lines = ["# Keys and sign-in of the demo, for this machine only. Made by manage.py seed_demo."]
    lines += [f"{name}={shlex.quote(value)}" for name, value in values.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    # mkstemp makes files of mode 0600.
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".demo-")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write("\n".join([*lines, ""]))
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
