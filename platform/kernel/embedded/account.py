"""The operating-system user that the servers run as.

PostgreSQL refuses to run as root. When we are root, the servers run as another user, who owns their
folders; otherwise they run as ourselves.
"""

import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kernel.embedded.errors import EmbeddedServerError


@dataclass(frozen=True, slots=True)
class ServerAccount:
    """Who runs the servers; ``prefix`` is put before each of their commands."""

    uid: int
    gid: int
    prefix: tuple[str, ...]

    def run(self, command: Sequence[str], *, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """Run one of the servers' commands to its end; the caller looks at the return code."""
        return subprocess.run(
            [*self.prefix, *command],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            cwd="/",
            # A terminal's Ctrl-C must not interrupt a set-up half-way.
            start_new_session=True,
        )

    def own(self, folder: Path) -> None:
        """Make the folder and let nobody but this account (and root) look into it."""
        folder.mkdir(parents=True, exist_ok=True)
        # In a temporary folder that all share, another user may have been there first.
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {self.uid, os.geteuid()}:
            raise EmbeddedServerError(f"{folder} belongs to another user: remove it and start again.")
        if found.st_uid != self.uid:
            os.chown(folder, self.uid, self.gid)
        folder.chmod(0o700)


def server_account(*, reaches: Sequence[Path], keeps: Path) -> ServerAccount:
    """The account for servers that must reach ``reaches`` and already own ``keeps`` if it exists."""
    if os.geteuid() != 0:
        return ServerAccount(uid=os.getuid(), gid=os.getgid(), prefix=())

    entry = _unprivileged_user(keeps)
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise EmbeddedServerError(
            "PostgreSQL refuses to run as root and setpriv (package util-linux) is missing: start as an ordinary user."
        )
    prefix = [setpriv, f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]
    if not all(_is_open_to_others(path) for path in reaches):
        # A clone under /root cannot be reached by another user. This one capability lets the server in;
        # the alternative is to open the folders of root to everybody. The bit is for access(2), which
        # otherwise ignores the capabilities of a user that is not root.
        prefix += ["--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--securebits=+no_setuid_fixup"]
    return ServerAccount(uid=entry.pw_uid, gid=entry.pw_gid, prefix=(*prefix, "--"))


def _unprivileged_user(keeps: Path) -> pwd.struct_passwd:
    # Data that exists stays with its owner, even if a `postgres` user was added since.
    if keeps.exists() and (uid := keeps.stat().st_uid) != 0:
        return pwd.getpwuid(uid)
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise EmbeddedServerError(
        "PostgreSQL refuses to run as root and this machine has neither a user postgres nor nobody: "
        "start as an ordinary user."
    )


def _is_open_to_others(path: Path) -> bool:
    resolved = path.resolve()
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in [resolved, *resolved.parents] if folder.is_dir())
