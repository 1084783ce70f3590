"""A forgotten password: a link by mail, that tells nobody who is known here and lets nobody past a second factor."""

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Event
from typing import Any

import pytest
import time_machine
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.cache import cache
from django.db import DataError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from accounts.models import MemberRole, OperatorRole, User
from accounts.services import password_reset_mail
from accounts.services.password_reset import ResetOver, make_token, reset_password
from accounts.services.password_reset_mail import wait_until_mailed
from accounts.services.sign_in_attempts import (
    ATTEMPTS_FOR_ONE_EMAIL,
    ATTEMPTS_FROM_ONE_ADDRESS,
    MAILS_FOR_ONE_EMAIL,
    WINDOW_S,
)
from kernel.logs.redaction import redacted
from kernel.tenancy import in_public, in_tenant
from telemetry.models import AuditEntry
from tenants.models import Tenant
from tests.support.console import PASSWORD, member_of, person, signed_in
from tests.support.hashing import CountingHasher
from tests.support.sign_in import SECOND_STEP, code_of, set_up_app, sign_in

ASK = "/accounts/password/reset/"
SENT = "/accounts/password/reset/sent/"
CHOOSE = "/accounts/password/reset/choose/"
NEW = "the-heron-stands-in-the-ford"


@pytest.fixture(autouse=True)
def with_mail(database: None, settings: Settings) -> Iterator[None]:
    settings.SENDS_MAIL = True
    settings.CONSOLE_URL = "https://console.example.test/"
    cache.clear()
    wait_until_mailed(timeout_s=30)
    mail.outbox.clear()
    yield
    wait_until_mailed(timeout_s=30)
    cache.clear()


def ask(email: str, client: Client | None = None) -> Any:
    return (client or Client()).post(ASK, {"email": email})


def mails() -> list[Any]:
    wait_until_mailed(timeout_s=30)
    return list(mail.outbox)


def link_for(email: str) -> str:
    """The path of the link in the one mail that is sent."""
    ask(email)
    *_, message = mails()
    found = re.search(r"^https://console\.example\.test(/accounts/password/reset/[\w-]+/)$", message.body, re.MULTILINE)
    assert found is not None, message.body
    return found[1]


def open_link(link: str) -> Client:
    """A browser that stands before the form."""
    client = Client()
    answer = client.get(link)
    assert (answer.status_code, answer["Location"]) == (303, CHOOSE)
    return client


def choose(client: Client, password: str = NEW, again: str | None = None) -> Any:
    return client.post(CHOOSE, {"password": password, "again": password if again is None else again})


def seen_of(answer: Any) -> tuple[int, bytes, list[tuple[str, str]], list[str]]:
    """All that whoever asked gets to see."""
    return answer.status_code, answer.content, sorted(answer.headers.items()), sorted(answer.cookies)


class TestOffer:
    @pytest.mark.parametrize("is_sent", [True, False])
    def test_stands_on_the_sign_in_page_only_where_mail_is_sent(self, settings: Settings, is_sent: bool) -> None:
        settings.SENDS_MAIL = is_sent

        assert (ASK in Client().get("/accounts/login/").content.decode()) is is_sent

    def test_no_page_of_it_exists_where_no_mail_is_sent(self, olive: User, settings: Settings) -> None:
        link = link_for(olive.email)
        client = open_link(link)
        settings.SENDS_MAIL = False

        assert [client.get(path).status_code for path in (ASK, SENT, link, CHOOSE)] == [404] * 4
        assert [ask(olive.email, client).status_code, choose(client).status_code] == [404, 404]
        assert len(mails()) == 1


class TestAsking:
    def test_mails_a_plain_text_with_a_link(self, olive: User) -> None:
        answer = ask(" Olive@Example.TEST ")

        assert (answer.status_code, answer["Location"]) == (303, SENT)
        (message,) = mails()
        assert message.to == [olive.email]
        assert message.subject == "A new password for Watermaster"
        assert message.content_subtype == "plain"
        assert "within 60 minutes" in message.body
        assert PASSWORD not in message.body

    def test_answers_the_same_to_everybody_with_the_same_work(
        self, olive: User, cy: User, ben: User, settings: Settings
    ) -> None:
        settings.PASSWORD_HASHERS = ["tests.support.hashing.CountingHasher"]
        User.objects.filter(pk=cy.pk).update(is_active=False)
        ben.set_unusable_password()
        ben.save()
        CountingHasher.count = 0
        answers, asked = [], []
        for email in (olive.email, cy.email, ben.email, "nobody@example.test"):
            with CaptureQueriesContext(connection) as queries:
                answers.append(seen_of(ask(email)))
            asked.append(len(queries))

        assert answers == answers[:1] * 4
        assert (asked, CountingHasher.count) == ([asked[0]] * 4, 0)
        assert sorted(message.to[0] for message in mails()) == [ben.email, olive.email]

    def test_does_not_wait_for_the_mail_server(self, olive: User) -> None:
        may_go_on = Event()
        password_reset_mail._BESIDE.submit(may_go_on.wait, 30)
        try:
            answers = [ask(email).status_code for email in (olive.email, "nobody@example.test")]
            assert (answers, mail.outbox) == ([303, 303], [])
        finally:
            may_go_on.set()

        assert len(mails()) == 1

    def test_answers_as_ever_while_the_mail_server_is_away(
        self, olive: User, settings: Settings, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings.MAILERS = {
            "default": {
                "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
                "OPTIONS": {"host": "127.0.0.1", "port": 1, "timeout": 2},
            }
        }
        assert ask(olive.email).status_code == 303
        wait_until_mailed(timeout_s=30)

        assert "password_reset.mail_failed" in caplog.text
        assert make_token(olive) not in caplog.text

    def test_tells_somebody_with_single_sign_on_only_that_there_is_no_password(self, olive: User) -> None:
        olive.set_unusable_password()
        olive.save()
        ask(olive.email)

        (message,) = mails()
        assert "single sign-on" in message.body
        assert "https://console.example.test/accounts/login/" in message.body
        assert ASK not in message.body
        assert open_link(f"{ASK}{make_token(olive)}/").get(CHOOSE).status_code == 404

    def test_leads_to_our_own_address_whatever_host_was_asked(self, olive: User, settings: Settings) -> None:
        settings.ALLOWED_HOSTS = ["*"]
        Client(headers={"Host": "evil.test", "X-Forwarded-Host": "evil.test"}).post(ASK, {"email": olive.email})

        (message,) = mails()
        assert "evil.test" not in message.body

    @pytest.mark.parametrize(
        "email", ["", "nobody", "a@b@example.test", "x" * 300 + "@example.test", "a\0@example.test"]
    )
    def test_says_what_is_no_address(self, email: str) -> None:
        assert ask(email).status_code == 422
        assert mails() == []

    def test_wants_a_csrf_token(self, olive: User) -> None:
        assert ask(olive.email, Client(enforce_csrf_checks=True)).status_code == 403


class TestFlooding:
    @pytest.fixture(autouse=True)
    def in_the_middle_of_a_window(self) -> Iterator[None]:
        with time_machine.travel(time.time() // WINDOW_S * WINDOW_S + WINDOW_S / 2):
            yield

    @pytest.mark.parametrize("email", ["olive@example.test", "nobody@example.test"])
    def test_allows_as_many_tries_as_the_sign_in_and_not_one_more(self, olive: User, email: str) -> None:
        assert [ask(email).status_code for _ in range(ATTEMPTS_FOR_ONE_EMAIL)] == [303] * ATTEMPTS_FOR_ONE_EMAIL

        refused = ask(email)

        assert refused.status_code == 429
        assert 0 < int(refused["Retry-After"]) <= WINDOW_S + 1
        assert b"Too many attempts" in refused.content

    def test_one_place_cannot_try_one_address_after_the_other(self) -> None:
        answers = [ask(f"p{n}@example.test").status_code for n in range(ATTEMPTS_FROM_ONE_ADDRESS + 1)]

        assert answers == [303] * ATTEMPTS_FROM_ONE_ADDRESS + [429]

    def test_nobody_gets_more_than_a_few_mails_from_wherever_they_are_asked_for(self, olive: User) -> None:
        answers = [
            Client(REMOTE_ADDR=f"192.0.2.{n}").post(ASK, {"email": olive.email}).status_code
            for n in range(MAILS_FOR_ONE_EMAIL + 2)
        ]

        assert set(answers) == {303}
        assert len(mails()) == MAILS_FOR_ONE_EMAIL

    def test_is_open_to_whoever_failed_to_sign_in_and_shuts_nobody_out(self, olive: User) -> None:
        for _ in range(ATTEMPTS_FOR_ONE_EMAIL + 1):
            sign_in(Client(), olive.email, "wrong")
        assert sign_in(Client(), olive.email).status_code == 429
        assert ask(olive.email).status_code == 303

        cache.clear()
        for _ in range(ATTEMPTS_FOR_ONE_EMAIL + 1):
            ask(olive.email)
        assert sign_in(Client(), olive.email).status_code == 302


class TestLink:
    def test_replaces_the_password_and_signs_nobody_in(self, olive: User) -> None:
        client = open_link(link_for(olive.email))
        assert olive.email in client.get(CHOOSE).content.decode()

        answer = choose(client)

        assert (answer.status_code, answer["Location"]) == (303, "/accounts/login/")
        assert b"Your password is changed" in client.get("/accounts/login/").content
        assert client.get("/ops/").status_code == 302
        assert sign_in(Client(), olive.email).status_code == 422
        assert sign_in(client, olive.email, NEW).status_code == 302

    def test_outlives_whoever_opens_every_link_of_a_mail(self, olive: User) -> None:
        link = link_for(olive.email)
        for scanner in (Client(), Client()):
            scanner.head(link)
            scanner.get(link)
            scanner.get(CHOOSE)
            assert scanner.post(link).status_code == 405

        assert choose(open_link(link)).status_code == 303

    def test_works_once(self, olive: User) -> None:
        link = link_for(olive.email)
        other = open_link(link)
        choose(open_link(link))

        assert other.get(CHOOSE).status_code == choose(other, "another-long-enough-one").status_code == 404
        assert open_link(link).get(CHOOSE).status_code == 404
        assert sign_in(Client(), olive.email, NEW).status_code == 302

    def test_works_once_for_two_at_the_same_moment(self, olive: User) -> None:
        token = make_token(olive)

        def use(password: str) -> str:
            try:
                reset_password(token=token, password=password, source_ip="", now=datetime.now(UTC))
            except ResetOver:
                return "over"
            finally:
                connection.close()
            return password

        with ThreadPoolExecutor(2) as pool:
            won = sorted(pool.map(use, [NEW, "the-kingfisher-waits-a-while"]))

        assert won[0] == "over"
        assert sign_in(Client(), olive.email, won[1]).status_code == 302

    @pytest.mark.parametrize(("age_s", "status"), [(3590, 200), (3610, 404)])
    def test_ends_after_an_hour(self, olive: User, age_s: int, status: int) -> None:
        now = time.time()
        with time_machine.travel(now, tick=False):
            client = open_link(link_for(olive.email))
        with time_machine.travel(now + age_s, tick=False):
            assert client.get(CHOOSE).status_code == status

    def test_ends_when_they_sign_in_after_all_or_leave(self, olive: User) -> None:
        first = open_link(link_for(olive.email))
        sign_in(Client(), olive.email)
        assert first.get(CHOOSE).status_code == 404

        second = open_link(link_for(olive.email))
        User.objects.filter(pk=olive.pk).update(is_active=False)
        assert second.get(CHOOSE).status_code == choose(second).status_code == 404

    def test_is_for_one_person(self, olive: User, cy: User) -> None:
        proof = make_token(olive).partition("-")[2]

        assert open_link(f"{ASK}{cy.pk.hex}-{proof}/").get(CHOOSE).status_code == 404

    @pytest.mark.parametrize("token", ["nothing", "-", "0" * 32, "\N{PILE OF POO}-x-y", "x" * 5000])
    def test_that_is_made_up_leads_nowhere(self, token: str) -> None:
        client = open_link(f"{ASK}{token}/")

        assert client.get(CHOOSE).status_code == choose(client).status_code == 404
        assert Client().get(CHOOSE).status_code == 404

    @pytest.mark.parametrize(
        ("password", "again", "sentence"),
        [
            ("short-one", "short-one", "12 characters"),
            ("password123456", "password123456", "too common"),
            ("olive@example.test", "olive@example.test", "too similar"),
            (NEW, f"{NEW} ", "not the same"),
            ("", "", "required"),
        ],
    )
    def test_takes_no_weak_or_mistyped_password(self, olive: User, password: str, again: str, sentence: str) -> None:
        client = open_link(link_for(olive.email))

        answer = choose(client, password, again)

        assert answer.status_code == 422
        assert sentence in answer.content.decode()
        assert choose(client).status_code == 303


class TestAfter:
    def test_all_sessions_of_the_person_end_and_no_one_elses(self, olive: User, cy: User) -> None:
        sessions = [Client(), Client()]
        for each in sessions:
            sign_in(each, olive.email)
        theirs, mine = signed_in(cy), signed_in(olive)

        link = link_for(olive.email)
        mine.get(link)
        choose(mine)

        for each in (*sessions, mine):
            assert each.get("/accounts/")["Location"].startswith("/accounts/login/")
        assert theirs.get("/accounts/").status_code == 200
        sign_in(mine, olive.email, NEW)
        assert mine.get("/accounts/sessions/").content.decode().count("127.0.0.1") == 1

    def test_the_second_factor_is_asked_as_before(self, olive: User) -> None:
        owner = Client()
        sign_in(owner, olive.email)
        secret, _ = set_up_app(owner)

        choose(open_link(link_for(olive.email)))
        client = Client()
        assert sign_in(client, olive.email, NEW)["Location"] == SECOND_STEP
        assert client.get("/ops/").status_code == 302

        assert client.post(SECOND_STEP, {"code": code_of(secret)})["Location"] == "/"
        assert client.get("/ops/").status_code == 200

    def test_a_sign_in_that_stood_before_its_second_step_ends_too(self, olive: User) -> None:
        owner, thief = Client(), Client()
        sign_in(owner, olive.email)
        secret, _ = set_up_app(owner)
        link = link_for(olive.email)
        assert sign_in(thief, olive.email)["Location"] == SECOND_STEP

        choose(open_link(link))

        assert thief.post(SECOND_STEP, {"code": code_of(secret)})["Location"] == "/accounts/login/"
        assert thief.get("/ops/").status_code == 302
        cache.clear()
        sign_in(thief, olive.email, NEW)
        assert thief.post(SECOND_STEP, {"code": code_of(secret)})["Location"] == "/"

    def test_it_is_written_down_where_they_belong(self, acme: Tenant, olive: User) -> None:
        with member_of(acme, "dora", MemberRole.ADMIN) as dora:
            choose(open_link(link_for(dora.email)))
            with in_tenant(acme.tag):
                row = AuditEntry.objects.get(action="person.password_reset", target=dora.email)
        assert (row.actor, row.reason, row.source_ip) == (dora.email, "By a link in a mail", "127.0.0.1")
        assert (row.before, row.after) == (None, None)

        before = datetime.now(UTC)
        choose(open_link(link_for(olive.email)))
        with in_public():
            rows = AuditEntry.objects.filter(action="person.password_reset", at__gte=before)
            assert [row.target for row in rows] == [olive.email]

    def test_nothing_changes_that_cannot_be_written_down(self, olive: User) -> None:
        token = make_token(olive)

        # The trail takes no NUL.
        with pytest.raises(DataError, match="NUL"):
            reset_password(token=token, password=NEW, source_ip="\0", now=datetime.now(UTC))

        assert sign_in(Client(), olive.email).status_code == 302

    def test_the_one_whom_the_link_is_for_need_not_be_the_one_who_was_signed_in(self, olive: User) -> None:
        with person("odette", OperatorRole.OWNER) as odette:
            client = signed_in(odette)
            client.get(link_for(olive.email))
            choose(client)

            assert client.get("/ops/").status_code == 302
            assert signed_in(odette).get("/ops/").status_code == 200


class TestToken:
    def test_stands_on_no_page_and_in_no_session_that_others_read(self, olive: User) -> None:
        link = link_for(olive.email)
        token = link.removeprefix(ASK).rstrip("/")
        client = open_link(link)

        assert token not in repr(dict(client.session.items()))
        assert token not in client.get(CHOOSE).content.decode()

    def test_goes_to_nobody_as_the_referring_page(self, olive: User) -> None:
        answer = Client().get(link_for(olive.email))

        assert (answer["Referrer-Policy"], answer.content) == ("no-referrer", b"")
        assert "no-store" in answer["Cache-Control"]

    def test_forms_are_sent_by_pages_whose_origin_browsers_tell(self, olive: User) -> None:
        client = open_link(link_for(olive.email))

        for page in (ASK, CHOOSE):
            assert client.get(page)["Referrer-Policy"] == "same-origin"
        strict = Client(enforce_csrf_checks=True, headers={"Origin": "null"})
        assert ask(olive.email, strict).status_code == 403

    def test_is_in_no_log(self, olive: User, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("DEBUG")
        link = link_for(olive.email)
        client = open_link(link)
        client.get(CHOOSE)
        choose(client)
        open_link(link).get(CHOOSE)

        proof = link.removeprefix(ASK).rstrip("/").rpartition("-")[2]
        lines = [record.getMessage() for record in caplog.records if record.name != "django.db.backends"]
        assert [line for line in lines if proof in line] == []
        # A failure's line names the address that was asked.
        assert proof not in redacted(f"Internal Server Error: {link}")
        assert redacted(f"Internal Server Error: {CHOOSE}").endswith(CHOOSE)


def test_a_link_that_nobody_was_sent_leaves_nothing_behind() -> None:
    """Strangers would fill the table of sessions with them."""
    with in_public():
        before = Session.objects.count()
    for number in range(3):
        client = open_link(f"/accounts/password/reset/{number:032x}-abc-{number:032x}/")
        assert client.get(CHOOSE).status_code == 404

    with in_public():
        assert Session.objects.count() == before


def test_a_link_that_nobody_was_sent_takes_the_place_of_one_that_was(olive: User) -> None:
    client = open_link(link_for(olive.email))
    assert client.get(CHOOSE).status_code == 200

    client.get("/accounts/password/reset/nobody-knows-this/")

    assert client.get(CHOOSE).status_code == 404
