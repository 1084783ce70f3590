"""Signing in and out, and who is let through the gate."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.test import Client, override_settings
from pytest_django import Settings

from accounts.console.gate import SEEN_AT, SIGNED_IN_AT
from accounts.models import OperatorRole, User
from accounts.services.sign_in_attempts import ATTEMPTS_FOR_ONE_EMAIL, WINDOW_S
from tests.support.console import PASSWORD, person, signed_in
from tests.support.hashing import CountingHasher

SIGN_IN = "/accounts/login/"


@pytest.fixture(autouse=True)
def fresh_counts(database: None) -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def sign_in(client: Client, email: str, password: str = PASSWORD, **more: str) -> Any:
    return client.post(SIGN_IN, {"login": email, "password": password, **more})


class TestSignIn:
    def test_leads_home_which_is_the_overview(self, olive: User) -> None:
        client = Client()

        answer = sign_in(client, olive.email)

        assert (answer.status_code, answer["Location"]) == (302, "/")
        assert client.get("/")["Location"] == "/ops/"
        assert client.get("/ops/").status_code == 200

    def test_does_not_mind_the_case_of_the_address(self, olive: User) -> None:
        assert sign_in(Client(), " Olive@Example.TEST ").status_code == 302

    def test_goes_back_to_the_page_that_was_asked_for(self, olive: User) -> None:
        client = Client()
        asked = client.get("/ops/tenants/?q=acme")

        assert asked["Location"] == "/accounts/login/?next=/ops/tenants/%3Fq%3Dacme"
        assert sign_in(client, olive.email, next="/ops/tenants/?q=acme")["Location"] == "/ops/tenants/?q=acme"

    @pytest.mark.parametrize(
        "elsewhere",
        ["//evil.test/", "/\\evil.test", "https://evil.test/", "\thttps://evil.test", "javascript:alert(1)", "///evil"],
    )
    def test_never_leads_to_another_host(self, olive: User, elsewhere: str) -> None:
        assert sign_in(Client(), olive.email, next=elsewhere)["Location"] == "/"

    def test_says_the_same_of_an_unknown_address_and_a_wrong_password(self, olive: User) -> None:
        def text(answer: Any) -> str:
            body: str = answer.content.decode()
            token = body.split('name="csrfmiddlewaretoken" value="')[1].split('"', maxsplit=1)[0]
            return body.replace(token, "")

        wrong, unknown = sign_in(Client(), olive.email, "wrong"), sign_in(Client(), "aliva@example.test", "wrong")

        assert (wrong.status_code, unknown.status_code) == (422, 422)
        assert text(wrong) == text(unknown).replace("aliva@", "olive@")
        assert "do not match" in text(wrong)

    def test_spends_one_hash_on_everybody(self, olive: User, settings: Settings) -> None:
        settings.PASSWORD_HASHERS = ["tests.support.hashing.CountingHasher"]
        spent = []
        for email, is_active in ((olive.email, True), (olive.email, False), ("aliva@example.test", True)):
            User.objects.filter(pk=olive.pk).update(is_active=is_active)
            CountingHasher.count = 0
            sign_in(Client(), email, "wrong")
            spent.append(CountingHasher.count)

        assert spent == [1, 1, 1]

    def test_refuses_somebody_who_left(self, olive: User) -> None:
        User.objects.filter(pk=olive.pk).update(is_active=False)

        assert sign_in(Client(), olive.email).status_code == 422

    def test_changes_the_session_so_that_none_can_be_planted(self, olive: User) -> None:
        client = Client()
        sign_in(client, olive.email)
        first = client.cookies["watermaster-session"].value
        client.post("/accounts/logout/")
        sign_in(client, olive.email)

        assert client.cookies["watermaster-session"].value != first

    def test_hardens_the_session_cookie(self, olive: User) -> None:
        client = Client()
        sign_in(client, olive.email)
        cookie = client.cookies["watermaster-session"]

        assert cookie["httponly"]
        assert cookie["samesite"] == "Lax"

    def test_wants_a_csrf_token(self, olive: User) -> None:
        answer = sign_in(Client(enforce_csrf_checks=True), olive.email)

        assert answer.status_code == 403
        assert b"The form was too old" in answer.content

    def test_keeps_the_form_out_of_caches_and_frames(self, database: None) -> None:
        answer = Client().get(SIGN_IN)

        assert "no-store" in answer["Cache-Control"]
        assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]


class TestGuessing:
    @pytest.fixture(autouse=True)
    def in_the_middle_of_a_window(self) -> Iterator[None]:
        """Tries are counted by the quarter of an hour: half of them before its end would be another count."""
        with time_machine.travel(time.time() // WINDOW_S * WINDOW_S + WINDOW_S / 2):
            yield

    def test_allows_as_many_tries_as_it_says_and_not_one_more(self, olive: User) -> None:
        answers = [sign_in(Client(), olive.email, "wrong").status_code for _ in range(ATTEMPTS_FOR_ONE_EMAIL)]
        assert answers == [422] * ATTEMPTS_FOR_ONE_EMAIL

        refused = sign_in(Client(), olive.email)

        assert refused.status_code == 429
        assert 0 < int(refused["Retry-After"]) <= 15 * 60 + 1
        assert b"Too many attempts" in refused.content

    def test_tells_nothing_about_who_is_known(self, olive: User) -> None:
        for _ in range(ATTEMPTS_FOR_ONE_EMAIL):
            sign_in(Client(), "nobody@example.test", "wrong")

        assert sign_in(Client(), "nobody@example.test", "wrong").status_code == 429

    def test_lets_nobody_be_locked_out_from_elsewhere(self, olive: User) -> None:
        for _ in range(ATTEMPTS_FOR_ONE_EMAIL + 1):
            Client(REMOTE_ADDR="192.0.2.7").post(SIGN_IN, {"login": olive.email, "password": "wrong"})

        assert sign_in(Client(REMOTE_ADDR="192.0.2.8"), olive.email).status_code == 302

    def test_forgets_the_tries_of_whoever_got_it_right(self, olive: User) -> None:
        for _ in range(2):
            for _ in range(ATTEMPTS_FOR_ONE_EMAIL - 1):
                sign_in(Client(), olive.email, "wrong")
            assert sign_in(Client(), olive.email).status_code == 302

    @override_settings(
        CACHES={
            "default": {
                "BACKEND": "django.core.cache.backends.redis.RedisCache",
                "LOCATION": "redis://127.0.0.1:1/0",
            },
            "process": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "guessing"},
        }
    )
    def test_goes_on_counting_while_valkey_is_away(self, olive: User) -> None:
        for _ in range(ATTEMPTS_FOR_ONE_EMAIL):
            assert sign_in(Client(), olive.email, "wrong").status_code == 422

        assert sign_in(Client(), olive.email).status_code == 429


class TestSession:
    @pytest.mark.parametrize(("mark", "age_s"), [(SEEN_AT, 30 * 60 + 5), (SIGNED_IN_AT, 8 * 3600 + 5)])
    def test_ends_after_idling_and_after_a_working_day(self, olive: User, mark: str, age_s: int) -> None:
        client = signed_in(olive)
        session: Any = client.session
        session[mark] = int(time.time()) - age_s
        session.save()

        assert client.get("/ops/")["Location"] == "/accounts/login/?next=/ops/"
        assert "_auth_user_id" not in client.session

    def test_lasts_as_long_as_somebody_works(self, olive: User) -> None:
        client = signed_in(olive)
        session: Any = client.session
        session[SEEN_AT] = int(time.time()) - 29 * 60
        session.save()

        assert client.get("/ops/").status_code == 200
        assert client.session[SEEN_AT] > time.time() - 60

    def test_ends_with_a_changed_password(self, olive: User) -> None:
        client = signed_in(olive)
        olive.set_password("another-long-enough-one")
        olive.save()

        assert client.get("/ops/").status_code == 302

    def test_ends_with_signing_out_which_no_link_can_do(self, olive: User) -> None:
        client = signed_in(olive)

        assert client.get("/accounts/logout/").status_code == 405
        assert client.post("/accounts/logout/")["Location"] == SIGN_IN
        assert client.get("/ops/").status_code == 302


class TestRoles:
    @pytest.mark.parametrize("role", OperatorRole)
    def test_every_operator_reads_the_overview(self, database: None, role: OperatorRole) -> None:
        with person("ada", role) as user:
            assert signed_in(user).get("/ops/").status_code == 200

    def test_the_root_leads_to_the_sign_in(self, database: None) -> None:
        assert Client().get("/")["Location"] == "/accounts/login/?next=/"
