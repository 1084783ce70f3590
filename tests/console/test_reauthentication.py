"""What cannot be undone is asked twice, and what was typed is not lost."""

import re
import time
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY
from django.core.cache import cache
from django.test import Client

from accounts.console.gate import SEEN_AT
from accounts.models import Invitation, OperatorRole, User
from tests.support.console import PASSWORD, person, signed_in
from tests.support.owner import delete_shared
from tests.support.sign_in import code_of, set_up_app, sign_in

INVITE = "/ops/operators/invite/"
FORM = {"email": "ben@example.test", "role": "viewer", "reason": 'he is "new" <b>here</b>'}


@pytest.fixture(autouse=True)
def nobody_left(database: None) -> Iterator[None]:
    cache.clear()
    yield
    delete_shared(Invitation.objects.all())


@pytest.fixture
def odette(database: None) -> Any:
    """An owner of the platform."""
    with person("odette", OperatorRole.OWNER) as user:
        yield user


def let_proof_age(client: Client, seconds: int) -> None:
    session: Any = client.session
    for record in session[AUTHENTICATION_METHODS_SESSION_KEY]:
        record["at"] = time.time() - seconds
    session.save()


def fields_of(page: str) -> dict[str, str]:
    """The hidden fields of the form that is offered again."""
    body = page.split('<h2 id="kept-title"')[1]
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', body)
    return {name: unescape(value) for name, value in found if name != "csrfmiddlewaretoken"}


class TestReauthentication:
    @pytest.mark.parametrize(("age_s", "is_asked"), [(4 * 60 + 50, False), (5 * 60 + 5, True)])
    def test_is_asked_for_after_five_minutes(self, odette: User, age_s: int, is_asked: bool) -> None:
        client = Client()
        sign_in(client, odette.email)
        let_proof_age(client, age_s)

        answer = client.post(INVITE, FORM | {"email": "nobody"})

        assert answer.status_code == (302 if is_asked else 422)

    def test_offers_the_form_again_as_it_was_typed(self, odette: User) -> None:
        client = signed_in(odette)

        asked = client.post(INVITE, FORM)
        assert asked["Location"].startswith("/accounts/reauthenticate/?next=/accounts/kept/")
        assert client.post(asked["Location"], {"password": "wrong"}).status_code == 200
        offered = client.post(asked["Location"], {"password": PASSWORD})
        page = client.get(offered["Location"]).content.decode()

        assert f'action="{INVITE}"' in page
        assert "<b>here</b>" not in page
        assert fields_of(page) == FORM
        assert client.post(INVITE, fields_of(page)).status_code == 303

    def test_does_nothing_by_itself(self, odette: User) -> None:
        client = signed_in(odette)
        asked = client.post(INVITE, FORM)
        client.post(asked["Location"], {"password": PASSWORD})

        assert "ben@example.test" not in client.get("/ops/operators/").content.decode()

    def test_can_be_done_with_the_app(self, odette: User) -> None:
        client = Client()
        sign_in(client, odette.email)
        secret, _ = set_up_app(client)
        let_proof_age(client, 3600)
        assert client.post(INVITE, FORM).status_code == 302

        client.post("/accounts/2fa/reauthenticate/", {"code": code_of(secret)})

        assert client.post(INVITE, FORM).status_code == 303

    def test_somebody_whom_only_a_provider_knows_goes_back_there(self, odette: User) -> None:
        odette.set_unusable_password()
        odette.save()
        client = signed_in(odette)

        answer = client.post(INVITE, FORM)

        assert answer["Location"].startswith("/accounts/login/?next=/accounts/kept/")
        assert "_auth_user_id" not in client.session

    def test_lets_nobody_guess_the_password(self, odette: User) -> None:
        client = signed_in(odette)
        tries = [client.post("/accounts/reauthenticate/", {"password": "wrong"}) for _ in range(6)]

        assert b"This is not your password" in tries[0].content
        assert b"Too many attempts" in tries[-1].content

    def test_a_kept_form_is_for_nobody_else(self, odette: User, cy: User) -> None:
        client = signed_in(odette)
        address = client.post(INVITE, FORM)["Location"].partition("next=")[2]

        others = signed_in(cy)
        session: Any = others.session
        session["kept_forms"] = client.session["kept_forms"]
        session.save()

        assert client.get(address).status_code == 200
        assert others.get(address).status_code == 404

    def test_is_offered_again_after_a_session_that_ended_meanwhile(self, odette: User) -> None:
        client = Client(headers={"Origin": "http://testserver"})

        asked = client.post(INVITE, FORM)
        kept = asked["Location"].partition("next=")[2]
        assert asked["Location"].startswith("/accounts/login/?next=/accounts/kept/")
        assert sign_in(client, odette.email, next=kept)["Location"] == kept

        assert client.post(INVITE, fields_of(client.get(kept).content.decode())).status_code == 303

    def test_of_a_session_that_fell_asleep_is_for_whoever_typed_it(self, odette: User, cy: User) -> None:
        client = signed_in(odette)
        client.defaults["HTTP_ORIGIN"] = "http://testserver"
        session: Any = client.session
        session[SEEN_AT] -= 31 * 60
        session.save()
        address = client.post(INVITE, FORM)["Location"].partition("next=")[2]

        sign_in(client, cy.email)
        assert client.get(address).status_code == 404

    @pytest.mark.parametrize("origin", [{}, {"Origin": "http://evil.test"}, {"Origin": "null"}])
    def test_another_site_plants_no_form(self, database: None, origin: dict[str, str]) -> None:
        answer = Client(headers=origin).post(INVITE, FORM)

        assert answer["Location"] == f"/accounts/login/?next={INVITE}"

    def test_keeps_no_password_and_nothing_huge(self, odette: User) -> None:
        client = signed_in(odette)
        address = client.post(INVITE, FORM | {"password": "secret-in-a-form"})["Location"].partition("next=")[2]
        client.post("/accounts/reauthenticate/", {"password": PASSWORD})
        assert "password" not in fields_of(client.get(address).content.decode())

        huge = client.session
        del huge[AUTHENTICATION_METHODS_SESSION_KEY]
        huge.save()
        assert client.post(INVITE, FORM | {"reason": "x" * 40_000})["Location"].endswith(f"next={INVITE}")
