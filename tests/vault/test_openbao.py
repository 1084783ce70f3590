"""Secrets from a real OpenBao: versions, sign-in by token and by AppRole, renewal, namespaces, and each way to fail."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import hvac  # type: ignore[import-untyped]
import pytest
from pytest_django import Settings

from kernel.ids import Tag, mint_tag
from tests.vault.conftest import BaoServer
from vault.backends.door import Fetched, FetchFailed
from vault.backends.openbao import OpenBao
from vault.backends.options import CredentialOptions, OpenBaoOptions
from vault.backends.signing_in import SignedIn
from vault.kinds import BackEnd, Health
from vault.locations import Location
from vault.services.fetching import fetch, probe

TOKEN: Final = "xoxb-kept-in-the-store"
NEWER: Final = "xoxb-kept-after-the-rotation"
SLACK: Final = Location(path="wm/{tenant}/slack", key="token")
POLICY: Final = """
path "secret/data/wm/*" { capabilities = ["read"] }
path "secret/metadata/wm/*" { capabilities = ["read"] }
"""


@pytest.fixture
def tag(bao: hvac.Client) -> Tag:
    """A tenant with one secret in two versions."""
    tag = mint_tag()
    for token in (TOKEN, NEWER):
        bao.secrets.kv.v2.create_or_update_secret(f"wm/{tag}/slack", {"token": token, "user": "bot"})
    return tag


def get(tag: Tag, location: Location = SLACK, back_end: BackEnd = BackEnd.KV) -> dict[str, str]:
    return fetch(tag=tag, back_end=back_end, location=location).secret.reveal()


def health_of(tag: Tag, location: Location = SLACK, back_end: BackEnd = BackEnd.KV) -> Health:
    """How fetching fails; looking at its health must say the same."""
    with pytest.raises(FetchFailed) as failure:
        fetch(tag=tag, back_end=back_end, location=location)
    assert failure.value.__cause__ is None
    assert failure.value.__context__ is None
    return failure.value.health


@pytest.mark.usefixtures("on_bao")
class TestKeyValue:
    def test_gives_the_newest_or_the_version_that_is_asked_for(self, tag: Tag) -> None:
        assert get(tag) == {"token": NEWER}
        assert get(tag, Location(path=SLACK.path, key="token", version="1")) == {"token": TOKEN}
        assert get(tag, Location(path=SLACK.path)) == {"token": NEWER, "user": "bot"}
        assert fetch(tag=tag, back_end=BackEnd.KV, location=SLACK).version == "2"
        assert probe(tag=tag, back_end=BackEnd.KV, location=SLACK) == Health.GOOD

    @pytest.mark.parametrize(
        "location",
        [
            Location(path="wm/{tenant}/nothing"),
            Location(path=SLACK.path, version="3"),
        ],
    )
    def test_says_what_is_not_there(self, tag: Tag, location: Location) -> None:
        assert health_of(tag, location) == Health.NOT_THERE
        assert probe(tag=tag, back_end=BackEnd.KV, location=location) == Health.NOT_THERE

    def test_says_which_field_is_not_there(self, tag: Tag) -> None:
        assert health_of(tag, Location(path=SLACK.path, key="password")) == Health.NOT_THERE

    @pytest.mark.parametrize("act", ["delete_secret_versions", "destroy_secret_versions"])
    def test_says_that_a_version_was_deleted(self, bao: hvac.Client, tag: Tag, act: str) -> None:
        getattr(bao.secrets.kv.v2, act)(f"wm/{tag}/slack", versions=[2])

        assert health_of(tag) == Health.NOT_THERE
        assert probe(tag=tag, back_end=BackEnd.KV, location=SLACK) == Health.NOT_THERE
        assert get(tag, Location(path=SLACK.path, key="token", version="1")) == {"token": TOKEN}

    @pytest.mark.parametrize("fields", [{"token": 1}, {"token": {"a": "b"}}, {"token": None}, {}])
    def test_takes_texts_alone(self, bao: hvac.Client, fields: dict[str, Any]) -> None:
        tag = mint_tag()
        bao.secrets.kv.v2.create_or_update_secret(f"wm/{tag}/slack", fields)

        assert health_of(tag) == Health.GARBAGE

    def test_of_two_tenants_with_the_same_name_are_two(self, bao: hvac.Client, tag: Tag) -> None:
        other = mint_tag()
        assert health_of(other) == Health.NOT_THERE
        bao.secrets.kv.v2.create_or_update_secret(f"wm/{other}/slack", {"token": "theirs"})

        assert (get(tag), get(other)) == ({"token": NEWER}, {"token": "theirs"})


class TestSignIn:
    @pytest.fixture
    def limited(self, bao: hvac.Client) -> str:
        bao.sys.create_or_update_policy("wm", POLICY)
        return "wm"

    def _use(self, settings: Settings, **options: Any) -> OpenBaoOptions:
        chosen = OpenBaoOptions(**options)
        settings.CREDENTIALS = CredentialOptions(openbao=chosen)
        return chosen

    def test_with_a_wrong_token_is_refused(self, bao_address: str, settings: Settings, tag: Tag) -> None:
        self._use(settings, address=bao_address, token="s.wrong")

        assert health_of(tag) == Health.FORBIDDEN
        assert probe(tag=tag, back_end=BackEnd.KV, location=SLACK) == Health.FORBIDDEN

    def test_without_a_token_is_refused(self, bao_address: str, settings: Settings, tag: Tag) -> None:
        self._use(settings, address=bao_address)

        assert health_of(tag) == Health.FORBIDDEN

    def test_whose_policy_does_not_reach_there_is_refused(
        self, bao: hvac.Client, bao_address: str, settings: Settings, tag: Tag
    ) -> None:
        bao.sys.create_or_update_policy("other", 'path "secret/data/other/*" { capabilities = ["read"] }')
        token = bao.auth.token.create(policies=["other"], ttl="1h")["auth"]["client_token"]
        self._use(settings, address=bao_address, token=token)

        assert health_of(tag) == Health.FORBIDDEN

    def test_by_a_file_takes_the_token_that_is_there_now(
        self, bao: hvac.Client, settings: Settings, tag: Tag, limited: str, tmp_path: Path
    ) -> None:
        file = tmp_path / "token"
        first, second = (bao.auth.token.create(policies=[limited], ttl="1h")["auth"]["client_token"] for _ in range(2))
        file.write_text(f"{first}\n")
        self._use(settings, address=bao.url, token_file=file)
        assert get(tag) == {"token": NEWER}

        bao.auth.token.revoke(first)
        assert health_of(tag) == Health.FORBIDDEN
        file.write_text(second)
        assert get(tag) == {"token": NEWER}

    @pytest.fixture
    def role(self, bao: hvac.Client, limited: str) -> Iterator[tuple[str, str]]:
        bao.sys.enable_auth_method("approle", path="machines")
        bao.auth.approle.create_or_update_approle(
            "watermaster", token_policies=[limited], token_ttl="10s", token_max_ttl="1h", mount_point="machines"
        )
        role_id = bao.auth.approle.read_role_id("watermaster", mount_point="machines")["data"]["role_id"]
        secret_id = bao.auth.approle.generate_secret_id("watermaster", mount_point="machines")["data"]["secret_id"]
        yield role_id, secret_id
        bao.sys.disable_auth_method("machines")

    def test_by_a_role(self, bao_address: str, settings: Settings, tag: Tag, role: tuple[str, str]) -> None:
        common: dict[str, Any] = {"address": bao_address, "sign_in": "approle", "sign_in_mount": "machines"}
        self._use(settings, **common, role_id=role[0], secret_id=role[1])
        assert get(tag) == {"token": NEWER}

        for role_id, secret_id in ((role[0], "wrong"), ("wrong", role[1])):
            self._use(settings, **common, role_id=role_id, secret_id=secret_id)
            assert health_of(tag) == Health.FORBIDDEN

    def test_by_a_role_whose_token_was_revoked_signs_in_anew(
        self, bao: hvac.Client, bao_address: str, tag: Tag, role: tuple[str, str]
    ) -> None:
        options = OpenBaoOptions(
            address=bao_address, sign_in="approle", sign_in_mount="machines", role_id=role[0], secret_id=role[1]
        )
        door = OpenBao(options, back_end=BackEnd.KV)
        ask: dict[str, Any] = {"tag": tag, "path": f"wm/{tag}/slack", "version": ""}
        door.fetch(**ask)
        bao.sys.revoke_prefix("auth/machines/login")

        assert isinstance(door.fetch(**ask), Fetched)

    def test_is_renewed_at_half_of_its_life_and_made_anew_after_it(
        self, bao_address: str, role: tuple[str, str]
    ) -> None:
        now = [1000.0]
        options = OpenBaoOptions(
            address=bao_address, sign_in="approle", sign_in_mount="machines", role_id=role[0], secret_id=role[1]
        )
        signed_in = SignedIn(options, clock=lambda: now[0])
        client = hvac.Client(url=bao_address, token="")
        tokens = []
        for now[0] in (1000.0, 1004.0, 1006.0, 1014.0, 1030.0):
            signed_in.enter(client)
            tokens.append(client.token)

        # Renewed at 1006, so it is good until 1016.
        assert len(set(tokens[:4])) == 1
        assert tokens[4] != tokens[3]

    def test_in_a_namespace_reads_the_tenants_own(self, bao: hvac.Client, bao_address: str, settings: Settings) -> None:
        tags = [mint_tag(), mint_tag()]
        for number, tag in enumerate(tags):
            bao.sys.create_namespace(tag)
            inside = hvac.Client(url=bao_address, token=bao.token, namespace=tag)
            inside.sys.enable_secrets_engine("kv", path="secret", options={"version": "2"})
            inside.secrets.kv.v2.create_or_update_secret(f"wm/{tag}/slack", {"token": str(number)})
        self._use(settings, address=bao_address, token=bao.token, tenant_namespace="{tenant}")

        assert [get(tag) for tag in tags] == [{"token": "0"}, {"token": "1"}]
        assert health_of(mint_tag()) in {Health.NOT_THERE, Health.FORBIDDEN}


class TestSealed:
    def test_says_so(self, bao: hvac.Client, bao_server: BaoServer, on_bao: CredentialOptions, tag: Tag) -> None:
        bao.sys.seal()
        try:
            assert health_of(tag) == Health.SEALED
            assert probe(tag=tag, back_end=BackEnd.KV, location=SLACK) == Health.SEALED
        finally:
            bao.sys.submit_unseal_key(bao_server.unseal_key)

        assert get(tag) == {"token": NEWER}
