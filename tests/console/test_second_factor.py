"""An authenticator app, recovery codes, and who must have a second factor."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.core.cache import cache
from django.test import Client, override_settings
from pytest_django import Settings

from accounts.models import User
from accounts.services.second_factor import has_second_factor, must_set_up_second_factor, needs_second_factor
from tests.support.console import signed_in
from tests.support.sign_in import SECOND_STEP, SET_UP_APP, code_of, set_up_app, sign_in


@pytest.fixture(autouse=True)
def fresh_counts(database: None) -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def enter(client: Client, code: str) -> Any:
    return client.post(SECOND_STEP, {"code": code})


def with_app(user: User) -> tuple[str, list[str]]:
    client = Client()
    sign_in(client, user.email)
    return set_up_app(client)


class TestApp:
    def test_is_asked_for_after_the_password(self, olive: User) -> None:
        secret, _ = with_app(olive)
        client = Client()

        answer = sign_in(client, olive.email, next="/ops/tenants/")

        assert answer["Location"] == SECOND_STEP
        assert client.get("/ops/").status_code == 302
        assert enter(client, code_of(secret))["Location"] == "/ops/tenants/"
        assert client.get("/ops/").status_code == 200

    def test_takes_each_code_once(self, olive: User) -> None:
        secret, _ = with_app(olive)
        first, second = Client(), Client()
        sign_in(first, olive.email)
        sign_in(second, olive.email)
        code = code_of(secret)

        assert enter(first, code).status_code == 302
        assert enter(second, code).status_code == 422

    def test_does_not_let_codes_be_guessed(self, olive: User) -> None:
        secret, _ = with_app(olive)
        client = Client()
        sign_in(client, olive.email)
        wrong = "000000" if code_of(secret) != "000000" else "000001"

        tries = [enter(client, wrong) for _ in range(6)]

        assert b"wrong, or was used before" in tries[0].content
        assert b"Too many attempts" in tries[-1].content
        assert enter(client, code_of(secret)).status_code == 422

    def test_cannot_be_gone_around(self, olive: User) -> None:
        with_app(olive)
        client = Client()
        sign_in(client, olive.email)

        for address in ("/ops/", "/accounts/", "/accounts/2fa/", "/accounts/sessions/", "/accounts/password/change/"):
            assert client.get(address)["Location"].startswith("/accounts/login/")

    def test_keeps_its_secret_encrypted(self, olive: User) -> None:
        secret, _ = with_app(olive)

        kept = Authenticator.objects.get(user_id=olive.pk, type=Authenticator.Type.TOTP)

        assert secret not in str(kept.data)

    def test_draws_the_code_without_a_style(self, olive: User) -> None:
        client = Client()
        sign_in(client, olive.email)

        page = client.get(SET_UP_APP).content.decode()

        assert 'src="data:image/svg+xml;base64,' in page
        assert " style=" not in page

    def test_says_so_while_valkey_is_away(self, olive: User, settings: Settings) -> None:
        secret, _ = with_app(olive)
        client = Client(raise_request_exception=False)
        sign_in(client, olive.email)
        away = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}

        with override_settings(CACHES=settings.CACHES | {"default": away}):
            answer = enter(client, code_of(secret))

        assert answer.status_code == 503


class TestRecoveryCodes:
    def test_each_works_once(self, olive: User) -> None:
        _, codes = with_app(olive)
        assert len(codes) == 10

        for expected in (302, 422):
            client = Client()
            sign_in(client, olive.email)
            assert enter(client, codes[0]).status_code == expected

    def test_are_shown_once(self, olive: User) -> None:
        client = Client()
        sign_in(client, olive.email)
        _, codes = set_up_app(client)

        again = client.get("/accounts/2fa/recovery-codes/").content.decode()

        assert not any(code in again for code in codes)
        assert "10 codes left" in re.sub(r"\s+", " ", again)


class TestWhoNeedsOne:
    def test_an_operator_without_one_does(self, olive: User, cy: User, settings: Settings) -> None:
        settings.OPERATOR_SECOND_FACTOR_IS_REQUIRED = True

        assert needs_second_factor(olive)
        assert must_set_up_second_factor(olive)
        assert not needs_second_factor(cy)
        with_app(olive)
        assert has_second_factor(olive)
        assert not needs_second_factor(olive)

    def test_where_it_is_optional_nobody_must(self, olive: User, settings: Settings) -> None:
        settings.OPERATOR_SECOND_FACTOR_IS_REQUIRED = False

        assert needs_second_factor(olive)
        assert not must_set_up_second_factor(olive)

    def test_recovery_codes_alone_are_none(self, olive: User) -> None:
        with_app(olive)
        Authenticator.objects.filter(user_id=olive.pk, type=Authenticator.Type.TOTP).delete()

        assert not has_second_factor(olive)


class TestPages:
    @pytest.mark.parametrize(
        "address",
        [
            "/accounts/",
            "/accounts/2fa/",
            "/accounts/2fa/totp/activate/",
            "/accounts/2fa/webauthn/",
            "/accounts/2fa/webauthn/add/",
            "/accounts/password/change/",
            "/accounts/reauthenticate/",
            "/accounts/sessions/",
        ],
    )
    def test_stand_within_the_policy(self, olive: User, address: str) -> None:
        client = Client()
        sign_in(client, olive.email)

        answer = client.get(address)
        page = answer.content.decode()

        assert answer.status_code == 200
        assert "unsafe" not in answer["Content-Security-Policy"]
        assert "no-store" in answer["Cache-Control"]
        assert " style=" not in page
        assert "<style" not in page
        # The rest is data, which nothing executes.
        assert all(
            'src="/static/' in tag or 'type="application/json"' in tag for tag in re.findall(r"<script[^>]*>", page)
        )

    @pytest.mark.parametrize("address", ["/accounts/", "/accounts/2fa/", "/accounts/sessions/", "/accounts/go-on/"])
    def test_are_for_whoever_is_signed_in(self, database: None, address: str) -> None:
        assert Client().get(address)["Location"] == f"/accounts/login/?next={address}"

    @pytest.mark.parametrize(
        "address",
        [
            "/accounts/signup/",
            "/accounts/email/",
            "/accounts/password/reset/",
            "/accounts/3rdparty/",
            "/accounts/login/code/",
        ],
    )
    def test_nobody_signs_up_or_changes_their_address(self, olive: User, address: str) -> None:
        assert Client().get(address).status_code == 404
        assert signed_in(olive).post(address, {"email": "x@example.test"}).status_code == 404


class TestSessions:
    def test_lists_them_and_ends_all_others(self, olive: User) -> None:
        here, there = Client(HTTP_USER_AGENT="Here/1"), Client(HTTP_USER_AGENT="There/<b>2</b>")
        sign_in(here, olive.email)
        sign_in(there, olive.email)

        page = here.get("/accounts/sessions/").content.decode()
        assert "Here/1" in page
        assert "There/&lt;b&gt;2&lt;/b&gt;" in page
        here.post("/accounts/sessions/")

        assert here.get("/ops/").status_code == 200
        assert there.get("/ops/").status_code == 302

    def test_a_new_password_ends_all_others(self, olive: User) -> None:
        here, there = Client(), Client()
        sign_in(here, olive.email)
        sign_in(there, olive.email)
        new = "the-weir-is-closed-at-dusk"

        answer = here.post(
            "/accounts/password/change/",
            {"oldpassword": "the-sluice-opens-at-dawn", "password1": new, "password2": new},
        )

        assert answer["Location"] == "/accounts/"
        assert here.get("/ops/").status_code == 200
        assert there.get("/ops/").status_code == 302
        assert sign_in(Client(), olive.email, new).status_code == 302
