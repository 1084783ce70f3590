"""Secrets in the environment of this machine: the variables whose names begin with the tenant's own beginning."""

from collections.abc import Mapping

from kernel.ids import Tag
from vault.backends.door import Fetched, FetchFailed
from vault.backends.texts import secret_of_text
from vault.kinds import BackEnd, Health
from vault.paths import own_place


class Variables:
    """Those that the process was started with. A variable holds a JSON object of strings, or the secret itself."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def fetch(self, *, tag: Tag, path: str, version: str) -> Fetched:
        self.probe(tag=tag, path=path, version=version)
        return Fetched(secret=secret_of_text(self._variables[path]))

    def renew(self, *, tag: Tag, lease_id: str, seconds: int) -> int:
        """Nothing is made for a lease here."""
        return seconds

    def give_back(self, *, tag: Tag, lease_id: str) -> None:
        """Nothing is made for a lease here."""

    def probe(self, *, tag: Tag, path: str, version: str) -> None:
        if not path.startswith(own_place(BackEnd.ENVIRONMENT, tag)):
            raise FetchFailed(Health.FORBIDDEN)
        if not self._variables.get(path):
            raise FetchFailed(Health.NOT_THERE)
