"""OpenBao and HashiCorp Vault: key-value secrets of version 2, and secrets that an engine makes for each lease."""

from collections.abc import Callable
from typing import Any, Final, cast

import hvac  # type: ignore[import-untyped]
import requests
from hvac import exceptions

from kernel.ids import Tag
from vault.backends.door import Fetched, FetchFailed
from vault.backends.http import TIMEOUT_SECONDS, AnswerTooLarge, new_session
from vault.backends.options import OpenBaoOptions
from vault.backends.signing_in import Client, SignedIn
from vault.backends.texts import secret_of_fields
from vault.kinds import BackEnd, Health
from vault.paths import TENANT, mount_of

#: What the library raises, the first that fits. A sealed store answers 503, and so does one that is going down.
_HEALTH_OF: Final = (
    (exceptions.VaultDown, Health.SEALED),
    (exceptions.VaultNotInitialized, Health.SEALED),
    (exceptions.Forbidden, Health.FORBIDDEN),
    (exceptions.Unauthorized, Health.FORBIDDEN),
    (exceptions.InvalidPath, Health.NOT_THERE),
    (exceptions.VaultError, Health.UNREACHABLE),
    (AnswerTooLarge, Health.GARBAGE),
    (requests.RequestException, Health.UNREACHABLE),
)


class OpenBao:
    """One server, asked for key-value secrets or for those of its engines. Safe to share between threads."""

    def __init__(self, options: OpenBaoOptions, *, back_end: BackEnd) -> None:
        self._options = options
        self._is_dynamic = back_end == BackEnd.DYNAMIC
        self._session = new_session(ca_bundle=options.ca_bundle)
        self._signed_in = SignedIn(options)

    def fetch(self, *, tag: Tag, path: str, version: str) -> Fetched:
        if self._is_dynamic:
            self._require_mount(path)
            return self._asked(tag, lambda client: _made(client.read(path)))
        return self._asked(tag, lambda client: self._kept(client, path, version))

    def probe(self, *, tag: Tag, path: str, version: str) -> None:
        """Asks for the metadata, which hold no secret; of an engine, whether its role may be asked."""
        if self._is_dynamic:
            self._require_mount(path)
            self._asked(tag, lambda client: _require_read(client, path))
            return
        self._asked(tag, lambda client: self._require_there(client, path, version))

    def renew(self, *, tag: Tag, lease_id: str, seconds: int) -> int:
        """Prolong a lease of an engine; for how many seconds it is good then. Raises `FetchFailed`."""
        failure: Health | None = None
        try:
            return self._asked(
                tag, lambda client: int(client.sys.renew_lease(lease_id, increment=seconds)["lease_duration"])
            )
        except FetchFailed as failed:
            failure = failed.health
        # So a lease is answered that is not there any more, or may not be prolonged.
        raise FetchFailed(Health.NOT_THERE if failure == Health.GARBAGE else failure)

    def give_back(self, *, tag: Tag, lease_id: str) -> None:
        """End a lease of an engine before its time. Raises `FetchFailed`."""
        failure: Health | None = None
        try:
            self._asked(tag, lambda client: client.sys.revoke_lease(lease_id))
        except FetchFailed as failed:
            failure = failed.health
        if failure is not None:
            # So it is answered where the engine cannot end this one; that says nothing of others.
            raise FetchFailed(Health.FORBIDDEN if failure == Health.GARBAGE else failure)

    def _kept(self, client: Client, path: str, version: str) -> Fetched:
        answer = client.secrets.kv.v2.read_secret_version(
            path=path,
            version=int(version) if version else None,
            mount_point=self._options.kv_mount,
            raise_on_deleted_version=True,
        )
        found = answer["data"]
        return Fetched(secret=secret_of_fields(found["data"]), version=str(found["metadata"]["version"]))

    def _require_there(self, client: Client, path: str, version: str) -> None:
        known = client.secrets.kv.v2.read_secret_metadata(path=path, mount_point=self._options.kv_mount)["data"]
        state = known["versions"].get(version or str(known["current_version"]))
        if state is None or state["destroyed"] or state["deletion_time"]:
            raise FetchFailed(Health.NOT_THERE)

    def _require_mount(self, path: str) -> None:
        if mount_of(path) not in self._options.dynamic_mounts:
            raise FetchFailed(Health.NOT_SET_UP)

    def _asked[T](self, tag: Tag, ask: Callable[[Client], T]) -> T:
        """What `ask` gives. A token that is refused is followed by another one, once."""
        for is_last_try in (False, True):
            client: Client | None = None
            failure: Health | None = None
            try:
                signing_in = self._client(self._options.namespace)
                self._signed_in.enter(signing_in)
                client = self._client(self._namespace(tag))
                client.token = signing_in.token
                return ask(client)
            except FetchFailed:
                raise
            except exceptions.InvalidRequest:
                # By it a sign-in that is wrong is answered; a question never is, for it was checked before.
                failure = Health.FORBIDDEN if client is None else Health.GARBAGE
            except Exception as error:  # noqa: BLE001  it may carry what was answered, so it goes no further
                failure = next((health for kind, health in _HEALTH_OF if isinstance(error, kind)), Health.GARBAGE)
            if client is None or is_last_try or failure != Health.FORBIDDEN or not self._signed_in.can_sign_in_anew:
                break
            self._signed_in.forget(client.token)
        assert failure is not None
        raise FetchFailed(failure)

    def _namespace(self, tag: Tag) -> str:
        return (self._options.tenant_namespace or self._options.namespace).replace(TENANT, tag)

    def _client(self, namespace: str) -> Client:
        client = hvac.Client(
            url=self._options.address,
            # Left out, the library would look for one in the environment and in the home folder.
            token="",
            verify=self._options.ca_bundle or True,
            timeout=TIMEOUT_SECONDS,
            allow_redirects=False,
            session=self._session,
            namespace=namespace or None,
        )
        return cast("Client", client)


def _made(answer: Any) -> Fetched:
    if answer is None:
        raise FetchFailed(Health.NOT_THERE)
    return Fetched(
        secret=secret_of_fields(answer["data"]),
        lease_seconds=int(answer["lease_duration"]),
        lease_id=str(answer["lease_id"]),
    )


def _require_read(client: Client, path: str) -> None:
    answer = client.sys.get_capabilities([path])
    if not {"read", "root", "sudo"} & set(answer["data"]["capabilities"]):
        raise FetchFailed(Health.FORBIDDEN)
