"""Signing in by an identity provider: who is let in on its word, and who is not."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.socialaccount.models import SocialAccount
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from pytest_django import Settings

from accounts.models import Invitation, MemberRole, Membership, User
from accounts.services.invitations import invite
from config.sign_in import identity_providers, mail_server, operator_second_factor_is_required
from kernel.actor import Actor
from tenants.models import Tenant
from tests.support.identity_provider import IdentityProvider, identity_provider
from tests.support.owner import delete_shared
from tests.support.sign_in import SECOND_STEP, set_up_app, sign_in

BEGIN = "/accounts/oidc/acme-login/login/"


@pytest.fixture(autouse=True)
def nobody_left(database: None) -> Iterator[None]:
    cache.clear()
    yield
    delete_shared(Invitation.objects.all(), User.objects.filter(email__endswith="@example.test"))


@pytest.fixture
def provider(settings: Settings) -> Iterator[IdentityProvider]:
    with identity_provider() as running:
        environment = {
            "OIDC_NAME": "Acme login",
            "OIDC_ISSUER": running.url,
            "OIDC_CLIENT_ID": "watermaster",
            "OIDC_CLIENT_SECRET": "secret",
        }
        settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": identity_providers(environment)}}
        yield running


def claims(email: str, **more: Any) -> dict[str, Any]:
    return {"sub": "7", "email": email, "email_verified": True, **more}


def go_through(client: Client, provider: IdentityProvider, said: dict[str, Any], query: str = "") -> Any:
    """To the provider and back."""
    provider.claims = said
    asked = client.get(BEGIN + query)
    assert asked["Location"].startswith(f"{provider.url}/authorize?")
    given = parse_qs(urlsplit(asked["Location"]).query)
    assert given["code_challenge_method"] == ["S256"]
    return client.get(f"{BEGIN}callback/", {"code": "c", "state": given["state"][0]})


class TestSingleSignOn:
    def test_is_offered_where_it_is_set_up(self, provider: IdentityProvider) -> None:
        page = Client().get("/accounts/login/?next=/ops/tenants/").content.decode()

        assert f'href="{BEGIN}?next=%2Fops%2Ftenants%2F"' in page
        assert "Sign in with Acme login" in page

    def test_is_off_without_a_provider(self, database: None) -> None:
        assert "Sign in with Acme" not in Client().get("/accounts/login/").content.decode()
        assert Client().get(BEGIN).status_code == 404

    def test_signs_in_whoever_is_known_by_a_verified_address(self, provider: IdentityProvider, olive: User) -> None:
        client = Client()

        answer = go_through(client, provider, claims("Olive@Example.test"), "?next=/ops/tenants/")

        assert answer["Location"] == "/ops/tenants/"
        assert client.get("/ops/").status_code == 200
        assert "code_verifier=" in provider.token_requests[0]
        assert not SocialAccount.objects.exists()

    def test_still_asks_for_the_second_factor(self, provider: IdentityProvider, olive: User) -> None:
        first = Client()
        sign_in(first, olive.email)
        set_up_app(first)
        client = Client()

        assert go_through(client, provider, claims(olive.email))["Location"] == SECOND_STEP
        assert client.get("/ops/").status_code == 302

    @pytest.mark.parametrize("said", [{"email_verified": False}, {"email_verified": "false"}, {"email_verified": None}])
    def test_refuses_an_address_that_is_not_verified(
        self, provider: IdentityProvider, olive: User, said: dict[str, Any]
    ) -> None:
        client = Client()

        answer = go_through(client, provider, claims(olive.email, **said))

        assert b"There is no account for you here" in answer.content
        assert client.get("/ops/").status_code == 302

    def test_makes_nobody(self, provider: IdentityProvider) -> None:
        answer = go_through(Client(), provider, claims("nobody@example.test"))

        assert b"There is no account for you here" in answer.content
        assert not User.objects.filter(email="nobody@example.test").exists()

    def test_refuses_somebody_who_left(self, provider: IdentityProvider, olive: User) -> None:
        User.objects.filter(pk=olive.pk).update(is_active=False)
        client = Client()
        go_through(client, provider, claims(olive.email))

        assert "_auth_user_id" not in client.session

    def test_lets_in_whoever_was_invited(self, provider: IdentityProvider, acme: Tenant) -> None:
        invite(
            email="ben@example.test",
            role=MemberRole.VIEWER,
            tag=acme.tag,
            place_name="Acme",
            actor=Actor(name="ada@example.test", actor_type="admin", reason="joins"),
            now=datetime.now(UTC),
        )
        client = Client()
        go_through(client, provider, claims("ben@example.test"))

        assert client.get("/")["Location"] == "/t/acme/"
        assert Membership.objects.get(user__email="ben@example.test").tenant_tag == acme.tag

    def test_connects_no_identity_to_an_account(self, provider: IdentityProvider, olive: User) -> None:
        client = Client()
        sign_in(client, olive.email)
        go_through(client, provider, claims("mallory@example.test"), "?process=connect")

        assert not SocialAccount.objects.exists()
        stranger = Client()
        go_through(stranger, provider, claims("mallory@example.test"))
        assert "_auth_user_id" not in stranger.session

    def test_wants_the_state_that_it_gave(self, provider: IdentityProvider, olive: User) -> None:
        provider.claims = claims(olive.email)
        client = Client()

        client.get(f"{BEGIN}callback/", {"code": "c", "state": "planted"})

        assert "_auth_user_id" not in client.session


class TestEnvironment:
    def test_takes_several_providers(self) -> None:
        text = (
            '[{"name": "Acme login", "issuer": "https://a.test/", "client_id": "i", "client_secret": "s"},'
            ' {"id": "b", "name": "B", "issuer": "https://b.test", "client_id": "i", "client_secret": "s"}]'
        )

        found = identity_providers({"OIDC_PROVIDERS": text})

        assert [each["provider_id"] for each in found] == ["acme-login", "b"]
        assert found[0]["settings"]["server_url"] == "https://a.test"

    def test_has_none_without(self) -> None:
        assert identity_providers({}) == []

    @pytest.mark.parametrize(
        "environ",
        [
            {"OIDC_PROVIDERS": "x"},
            {"OIDC_PROVIDERS": "{}"},
            {"OIDC_PROVIDERS": "[1]"},
            {"OIDC_PROVIDERS": '[{"name": "A"}]'},
            {"OIDC_ISSUER": "https://a.test"},
        ],
    )
    def test_refuses_what_is_incomplete(self, environ: dict[str, str]) -> None:
        with pytest.raises(ImproperlyConfigured):
            identity_providers(environ)

    @pytest.mark.parametrize(
        ("value", "is_local", "is_required"),
        [("", True, False), ("", False, True), ("required", True, True), ("Optional", False, False)],
    )
    def test_wants_a_second_factor_but_for_a_local_run(self, value: str, is_local: bool, is_required: bool) -> None:
        environ = {"WATERMASTER_OPERATOR_MFA": value}

        assert operator_second_factor_is_required(environ, is_local=is_local) is is_required

    def test_refuses_another_word_for_it(self) -> None:
        with pytest.raises(ImproperlyConfigured):
            operator_second_factor_is_required({"WATERMASTER_OPERATOR_MFA": "no"}, is_local=True)

    def test_mails_by_the_server_that_is_named(self) -> None:
        options = mail_server({"EMAIL_URL": "smtps://me%40a.test:p%3Aw@mail.test"})["OPTIONS"]

        assert (options["host"], options["port"], options["use_ssl"]) == ("mail.test", 465, True)
        assert (options["username"], options["password"]) == ("me@a.test", "p:w")
        assert mail_server({"EMAIL_URL": "smtp://mail.test:587?tls=1"})["OPTIONS"]["use_tls"]

    @pytest.mark.parametrize("url", ["mail.test", "http://mail.test", "smtp://"])
    def test_refuses_another_address_for_mail(self, url: str) -> None:
        with pytest.raises(ImproperlyConfigured):
            mail_server({"EMAIL_URL": url})
