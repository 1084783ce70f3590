"""Alerts are told to channels: many in one message, not too often, sealed, and without a secret in any log."""

import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

import pytest
from apprise.plugins.slack import NotifySlack
from django.db import connection
from pytest_django import Settings

from budgets.models import Alert, AlertChannel
from budgets.models.choices import AlertKind, ChannelKind, Severity
from budgets.selectors.alerts import next_telling
from budgets.services import alert_messages, alert_telling
from budgets.services.alert_addresses import AddressInvalid, ChannelNotAllowed, read_address
from budgets.services.alert_channels import (
    CHANNELS_MAX,
    NewChannel,
    TooManyChannels,
    add_channel,
    ask_for_test,
    remove_channel,
    switch_channel,
)
from budgets.services.alert_findings import Finding
from budgets.services.alert_telling import FAILURES_MAX, TRIES_MAX, tell_channels
from budgets.services.alerts import clear_alert, raise_alert
from budgets.tasks import dispatch_alerts
from config.celery import app
from config.sign_in import mail_server
from kernel.ids import uuid7
from kernel.tenancy import in_public, in_tenant
from telemetry.models import AuditEntry, OutboxEvent
from tenants.models import Tenant, TenantStanding
from tenants.services import standing
from tests.support.books import TEST_ACTOR, Books
from tests.support.mail_server import MailServer, listening_for_mail
from tests.support.owner import as_owner, let_time_pass
from tests.support.webhook_receiver import Sink, listening

SLACK = "https://hooks.slack.com/services/T0123ABCD/B0123ABCD/SoSecretToken123456789ab"
#: What comes in within it is told together.
GATHERED = timedelta(seconds=31)
PACED = timedelta(minutes=5, seconds=1)


@pytest.fixture
def books(acme: Tenant) -> Books:
    standing.enrol_tenants()
    return Books(acme)


@pytest.fixture
def sink(settings: Settings) -> Iterator[Sink]:
    settings.WEBHOOK_ALLOW_HTTP = True
    settings.WEBHOOK_OPEN_NETWORKS = ["127.0.0.0/8"]
    with listening() as receiver:
        receiver.url += "?token=so-secret"
        yield receiver


@pytest.fixture
def mail(settings: Settings) -> Iterator[MailServer]:
    with listening_for_mail() as server:
        settings.SENDS_MAIL = True
        settings.MAILERS = {"default": mail_server({"EMAIL_URL": server.url})}
        settings.DEFAULT_FROM_EMAIL = "watermaster@example.test"
        yield server


def channel(books: Books, text: str, kind: ChannelKind = ChannelKind.WEBHOOK, **changes: Any) -> Any:
    values: dict[str, Any] = {
        "id": uuid7(),
        "kind": kind,
        "name": "on-call",
        "severity_min": Severity.WARNING,
    } | changes
    with in_tenant(books.tenant.tag):
        add_channel(NewChannel(address=read_address(kind, text), **values), actor=TEST_ACTOR)
    return values["id"]


def kept(books: Books) -> AlertChannel:
    with in_tenant(books.tenant.tag):
        return AlertChannel.objects.get()


def found(books: Books, subject: str = "a", severity: Severity = Severity.WARNING, summary: str = "") -> None:
    words = summary or f"Something about {subject}."
    kind = AlertKind.EVIDENCE_LEAK
    finding = Finding(kind=kind, subject=subject, period="p", severity=severity, summary=words)
    assert raise_alert(tag=books.tenant.tag, finding=finding)


def told(books: Books, after: timedelta = GATHERED) -> int:
    """How many channels were told, when the worker comes by so much later."""
    let_time_pass(books.tenant.tag, after)
    return tell_channels(tag=books.tenant.tag, has_time=lambda: True, chance=lambda: 0.0)


def is_waited_for() -> bool:
    """Whether somebody waits for what this connection holds."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))"
        )
        return bool(cursor.fetchone()[0])


class TestMessage:
    def test_gathers_what_comes_in_together(self, books: Books, sink: Sink) -> None:
        channel(books, sink.url)
        for subject in ("a", "b", "c"):
            found(books, subject)
        assert told(books, timedelta()) == 0

        assert told(books) == 1

        (message,) = sink.received
        assert message.event["title"] == "acme: 3 alerts"
        assert message.event["count"] == 3
        assert message.event["url"].endswith("/t/acme/alerts/")
        assert message.path.endswith("?token=so-secret")

    def test_of_a_thousand_alerts_is_one_with_twenty_lines(self, books: Books, sink: Sink) -> None:
        channel(books, sink.url)
        with in_tenant(books.tenant.tag):
            first = Alert(kind=AlertKind.EVIDENCE_LEAK, subject="", period="p", severity=2, summary="Something.")
            same = "kind, threshold, period, severity, scope_path, unit, facts, state, opened_at, tell_at, reopened"
            first.opened_at = first.tell_at = kept(books).told_at + timedelta(milliseconds=1)
            first.save()
        as_owner(
            books.tenant.tag,
            f"INSERT INTO alert (id, subject, summary, ended_by, end_reason, {same})"
            f" SELECT gen_random_uuid(), g::text, 'Number ' || g, '', '', {same} FROM alert, generate_series(1, 999) g",
        )

        assert told(books) == 1
        assert told(books, PACED) == 0

        (message,) = sink.received
        assert message.event["count"] == 1_000
        assert len(message.event["alerts"]) == 20
        assert "… and 980 more alerts." in message.event["text"]

    def test_is_not_followed_by_another_one_for_five_minutes(self, books: Books, sink: Sink) -> None:
        channel(books, sink.url)
        found(books, "a")
        assert told(books) == 1
        found(books, "b")
        assert told(books) == 0

        assert told(books, PACED) == 1

        assert [each.event["alerts"][0]["summary"] for each in sink.received] == [
            "Something about a.",
            "Something about b.",
        ]

    def test_says_the_worst_first_and_nothing_below_its_mark(self, books: Books, sink: Sink) -> None:
        channel(books, sink.url)
        for subject, severity in (("a", Severity.NOTICE), ("b", Severity.WARNING), ("c", Severity.CRITICAL)):
            found(books, subject, severity)

        told(books)

        assert [each["severity"] for each in sink.received[0].event["alerts"]] == ["critical", "warning"]

    def test_leaves_out_what_recovered_or_is_put_off(self, books: Books, sink: Sink) -> None:
        channel(books, sink.url)
        for subject in ("a", "b", "c"):
            found(books, subject)
        clear_alert(tag=books.tenant.tag, kind=AlertKind.EVIDENCE_LEAK, subject="a")
        as_owner(books.tenant.tag, "UPDATE alert SET snoozed_until = now() + interval '1 day' WHERE subject = 'b'")

        told(books)

        assert [each["summary"] for each in sink.received[0].event["alerts"]] == ["Something about c."]

    def test_does_not_say_what_was_there_before_the_channel(self, books: Books, sink: Sink) -> None:
        found(books, "a")
        channel(books, sink.url)

        assert told(books) == 0

    def test_of_one_tenant_goes_to_no_other(self, books: Books, initech: Tenant, sink: Sink) -> None:
        channel(books, sink.url)
        other = Books(initech)
        found(other)

        assert told(other) == told(books) == 0
        assert sink.received == []


class TestBack:
    """An alert that went away and came back within its period."""

    def again(self, books: Books, subject: str = "a") -> None:
        finding = Finding(
            kind=AlertKind.EVIDENCE_LEAK,
            subject=subject,
            period="p",
            severity=Severity.WARNING,
            summary=f"Something about {subject}.",
        )
        raise_alert(tag=books.tenant.tag, finding=finding)

    def over(self, books: Books, subject: str = "a") -> None:
        clear_alert(tag=books.tenant.tag, kind=AlertKind.EVIDENCE_LEAK, subject=subject)

    def test_is_told_where_it_was_not_told_before(self, books: Books, sink: Sink) -> None:
        channel(books, sink.url)
        found(books, "a")
        self.over(books)
        found(books, "b")
        assert told(books) == 1
        self.again(books)

        assert told(books, PACED) == 1
        assert told(books, PACED) == 0

        assert [[each["summary"] for each in message.event["alerts"]] for message in sink.received] == [
            ["Something about b."],
            ["Something about a."],
        ]

    def test_is_not_told_twice(self, books: Books, sink: Sink) -> None:
        channel(books, sink.url)
        found(books, "a")
        assert told(books) == 1
        for _ in range(2):
            self.over(books)
            self.again(books)

        assert told(books, PACED) == 0

    def test_is_told_by_the_one_channel_that_had_not_told_it(self, books: Books, sink: Sink) -> None:
        channel(books, sink.url)
        sink.answer = lambda _: 503 if sink.received[-1].path.endswith("&second") else 204
        channel(books, f"{sink.url}&second")
        found(books, "a")
        assert told(books) == 1
        sink.answer = lambda _: 204
        self.over(books)
        self.again(books)

        assert told(books, PACED) == 1

        assert [each.path.endswith("&second") for each in sink.received][-1]
        assert sum(not each.path.endswith("&second") for each in sink.received) == 1


class TestFailure:
    def test_is_tried_again_later_and_later(self, books: Books, sink: Sink) -> None:
        sink.answer = lambda _: 503
        channel(books, sink.url)
        found(books)
        assert told(books) == 0
        first = kept(books)
        assert (first.failures, first.failure, first.is_on) == (1, "It answered 503.", True)
        assert told(books, timedelta(seconds=50)) == 0
        assert len(sink.received) == 1

        told(books, timedelta(seconds=11))

        assert (kept(books).failures, len(sink.received)) == (2, 2)
        second = kept(books)
        assert second.retry_at is not None
        assert second.failed_at is not None
        assert second.retry_at - second.failed_at == timedelta(minutes=2)

    def test_loses_nothing(self, books: Books, sink: Sink) -> None:
        sink.answer = lambda _: 503
        channel(books, sink.url)
        found(books, "a")
        told(books)
        sink.answer = lambda _: 204
        found(books, "b")

        assert told(books, timedelta(minutes=2)) == 1

        assert {each["summary"] for each in sink.received[-1].event["alerts"]} == {
            "Something about a.",
            "Something about b.",
        }
        assert (kept(books).failures, kept(books).failure) == (0, "")

    def test_is_given_up_in_the_end_and_audited(self, books: Books, sink: Sink) -> None:
        sink.answer = lambda _: 410
        channel(books, sink.url)
        found(books)
        as_owner(books.tenant.tag, f"UPDATE alert_channel SET failures = {FAILURES_MAX - 1}")

        told(books)

        assert not kept(books).is_on
        with in_tenant(books.tenant.tag):
            assert AuditEntry.objects.filter(action="alert_channel.gave_up").count() == 1
        assert told(books, timedelta(days=1)) == 0

    def test_follows_no_redirect(self, books: Books, sink: Sink) -> None:
        sink.answer, sink.headers = (lambda _: 302), {"Location": sink.url}
        channel(books, sink.url)
        found(books)

        assert told(books) == 0
        assert len(sink.received) == 1

    def test_of_a_host_that_became_private_is_refused_at_the_connection(
        self, books: Books, sink: Sink, settings: Settings
    ) -> None:
        channel(books, sink.url)
        found(books)
        settings.WEBHOOK_OPEN_NETWORKS = []

        assert told(books) == 0
        assert sink.received == []
        assert "127.0.0.1" not in kept(books).failure

    def test_of_a_worker_that_died_is_made_good_after_a_minute(self, books: Books, sink: Sink) -> None:
        channel(books, sink.url)
        found(books)
        let_time_pass(books.tenant.tag, GATHERED)
        as_owner(books.tenant.tag, "UPDATE alert_channel SET busy_until = now() + interval '1 minute'")
        assert told(books, timedelta(seconds=50)) == 0

        assert told(books, timedelta(seconds=11)) == 1

    def test_of_a_worker_that_took_too_long_is_not_told_again_and_again(
        self, books: Books, sink: Sink, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        channel(books, sink.url)
        found(books)
        real = alert_telling._speak

        def slow(taken: Any) -> Any:
            spoken = real(taken)
            # Meanwhile somebody else has taken the channel.
            as_owner(books.tenant.tag, "UPDATE alert_channel SET busy_until = now() + interval '1 minute'")
            return spoken

        with monkeypatch.context() as patch:
            patch.setattr(alert_telling, "_speak", slow)
            told(books)
        assert kept(books).busy_until is not None

        assert told(books, PACED) == 0
        assert len(sink.received) == 1


class TestMail:
    def test_is_told_by_the_installations_server(self, books: Books, mail: MailServer) -> None:
        channel(books, "ada@example.test, ben@example.test", ChannelKind.EMAIL)
        found(books, summary="Agent x\r\nBcc: cy@example.test did it.")

        assert told(books) == 1

        received = mail.wait_for(2)
        assert sorted(str(each["To"]) for each in received) == ["ada@example.test", "ben@example.test"]
        message = received[0]
        assert message["Subject"] == "acme: 1 alert"
        assert message["Bcc"] is None
        text = str(message.get_content())
        assert "Warning: Agent x Bcc: cy@example.test did it." in text

    def test_is_told_once_to_those_who_take_it_though_somebody_does_not(self, books: Books, mail: MailServer) -> None:
        mail.refused = {"left@example.test"}
        channel(books, "ann@example.test, left@example.test", ChannelKind.EMAIL)
        found(books)

        assert told(books) == 1
        assert told(books, PACED) == 0

        assert len(mail.wait_for(1)) == 1

    def test_comes_later_to_whom_the_server_was_not_sure_of(self, books: Books, mail: MailServer) -> None:
        mail.unsure = {"ben@example.test"}
        channel(books, "ann@example.test,ben@example.test", ChannelKind.EMAIL)
        found(books, "a")
        assert told(books) == 1
        assert kept(books).behind == ["ben@example.test"]
        assert kept(books).failure == "Not all of its readers took it: the others are told again."
        mail.unsure = set()

        assert told(books, PACED) == 1
        assert told(books, PACED) == 0

        assert mail.readers == ["ann@example.test", "ben@example.test"]
        assert all("Something about a." in str(each.get_content()) for each in mail.received)
        assert (kept(books).behind, kept(books).behind_at, kept(books).failure) == ([], None, "")

    def test_with_news_does_not_wait_for_whom_the_server_is_not_sure_of(self, books: Books, mail: MailServer) -> None:
        mail.unsure = {"ben@example.test"}
        channel(books, "ann@example.test,ben@example.test", ChannelKind.EMAIL)
        found(books, "a")
        told(books)
        found(books, "b")
        for _ in range(4):
            told(books, PACED)
        assert mail.readers == ["ann@example.test"] * 2
        mail.unsure = set()

        told(books, timedelta(hours=2))

        assert mail.readers == ["ann@example.test"] * 2 + ["ben@example.test"]
        text = str(mail.received[-1].get_content())
        assert "Something about a." in text
        assert "Something about b." in text

    def test_of_what_is_over_comes_to_nobody_later(self, books: Books, mail: MailServer) -> None:
        mail.unsure = {"ben@example.test"}
        channel(books, "ann@example.test,ben@example.test", ChannelKind.EMAIL)
        found(books, "a")
        told(books)
        clear_alert(tag=books.tenant.tag, kind=AlertKind.EVIDENCE_LEAK, subject="a")
        mail.unsure = set()

        assert told(books, PACED) == 0
        assert mail.readers == ["ann@example.test"]
        assert (kept(books).behind, kept(books).failure) == ([], "")

    def test_of_what_came_back_reaches_whoever_missed_it_and_nobody_twice(self, books: Books, mail: MailServer) -> None:
        self.tell_ann_alone(books, mail)
        self.came(books)
        mail.unsure = set()

        assert told(books, PACED) == 1
        assert told(books, PACED) == 0
        assert mail.readers == ["ann@example.test", "ben@example.test"]
        assert kept(books).behind == []

    def test_of_what_came_back_after_a_while_reaches_whoever_missed_it(self, books: Books, mail: MailServer) -> None:
        self.tell_ann_alone(books, mail)
        mail.unsure = set()
        for _ in range(3):
            assert told(books, PACED) == 0
        assert kept(books).failure == ""
        with in_tenant(books.tenant.tag):
            # Nobody looks in vain until then.
            assert next_telling() == Alert.objects.get().period_ends_at
        self.came(books)

        assert told(books, PACED) == 1
        assert told(books, PACED) == 0
        assert mail.readers == ["ann@example.test", "ben@example.test"]

    def test_of_what_cannot_come_back_any_more_is_waited_for_no_longer(self, books: Books, mail: MailServer) -> None:
        self.tell_ann_alone(books, mail)
        told(books, PACED)
        assert kept(books).behind == ["ben@example.test"]

        assert told(books, timedelta(days=2)) == 0
        assert (kept(books).behind, kept(books).behind_at) == ([], None)
        assert mail.readers == ["ann@example.test"]

    def test_with_news_comes_soon_to_whoever_waits_for_what_may_come_back(self, books: Books, mail: MailServer) -> None:
        self.tell_ann_alone(books, mail)
        told(books, PACED)
        mail.unsure = set()
        found(books, "b")

        assert told(books) == 1
        assert told(books, PACED) == 1
        assert mail.readers == ["ann@example.test"] * 2 + ["ben@example.test"]

    def test_of_what_came_back_is_told_to_all_where_another_channel_had_not_spoken(
        self, books: Books, mail: MailServer, sink: Sink
    ) -> None:
        self.tell_ann_alone(books, mail, clear=False)
        # It was there, and has not spoken.
        other = channel(books, sink.url)
        as_owner(
            books.tenant.tag, f"UPDATE alert_channel SET told_at = created_at - interval '1 day' WHERE id = '{other}'"
        )
        self.went(books)
        self.came(books)
        mail.unsure = set()

        told(books, PACED)

        assert len(sink.received) == 1
        assert "ben@example.test" in mail.readers

    def test_of_what_came_back_reaches_whoever_heard_of_another_one_meanwhile(
        self, books: Books, mail: MailServer
    ) -> None:
        self.tell_ann_alone(books, mail)
        told(books, PACED)
        mail.unsure = set()
        found(books, "b")
        assert (told(books), told(books, PACED)) == (1, 1)
        assert "Something about a." not in str(mail.received[-1].get_content())
        self.came(books)

        told(books, PACED)

        heard = [str(each.get_content()) for each in mail.received if each["To"] == "ben@example.test"]
        assert ["Something about a." in text for text in heard] == [False, True]

    def test_of_what_came_back_is_told_to_no_channel_that_has_heard_of_it(
        self, books: Books, mail: MailServer, sink: Sink
    ) -> None:
        channel(books, sink.url)
        channel(books, "ann@example.test,ben@example.test", ChannelKind.EMAIL)
        mail.refused = {"ann@example.test", "ben@example.test"}
        self.came(books)
        told(books)
        self.went(books)
        mail.refused, mail.unsure = set(), {"ben@example.test"}
        self.came(books)
        told(books, PACED)
        assert mail.readers == ["ann@example.test"]
        self.went(books)
        self.came(books)
        mail.unsure = set()

        told(books, PACED)
        told(books, PACED)

        assert len(sink.received) == 1
        assert "ben@example.test" in mail.readers

    def test_of_what_comes_back_just_when_it_is_looked_at_reaches_whoever_missed_it(
        self, books: Books, mail: MailServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.tell_ann_alone(books, mail)
        mail.unsure = set()
        somebody = Thread(target=self.came_elsewhere, args=[books])
        real = alert_messages.may_come_back_until

        def meanwhile(*args: Any, **more: Any) -> datetime | None:
            until = real(*args, **more)
            somebody.start()
            while somebody.is_alive() and not is_waited_for():
                time.sleep(0.01)
            return until

        with monkeypatch.context() as patch:
            patch.setattr(alert_telling, "may_come_back_until", meanwhile)
            told(books, PACED)
        somebody.join()

        assert told(books, PACED) == 1
        assert mail.readers == ["ann@example.test", "ben@example.test"]

    def came_elsewhere(self, books: Books) -> None:
        try:
            self.came(books)
        finally:
            connection.close()

    def tell_ann_alone(self, books: Books, mail: MailServer, *, clear: bool = True) -> None:
        """Ben's mail was not taken; then it was over."""
        mail.unsure = {"ben@example.test"}
        channel(books, "ann@example.test,ben@example.test", ChannelKind.EMAIL)
        self.came(books)
        assert told(books) == 1
        if clear:
            self.went(books)

    def came(self, books: Books) -> None:
        with in_tenant(books.tenant.tag):
            ends_at = Alert.objects.values_list("period_ends_at", flat=True).first()
        finding = Finding(
            kind=AlertKind.EVIDENCE_LEAK,
            subject="a",
            period="p",
            period_ends_at=ends_at or datetime.now(UTC) + timedelta(days=1),
            severity=Severity.WARNING,
            summary="Something about a.",
        )
        raise_alert(tag=books.tenant.tag, finding=finding)

    def went(self, books: Books) -> None:
        assert clear_alert(tag=books.tenant.tag, kind=AlertKind.EVIDENCE_LEAK, subject="a") == 1

    def test_is_no_longer_sent_to_whom_it_never_reaches(self, books: Books, mail: MailServer) -> None:
        mail.refused = {"left@example.test"}
        channel(books, "ann@example.test,left@example.test", ChannelKind.EMAIL)
        found(books, "a")
        told(books)
        for _ in range(TRIES_MAX):
            told(books, timedelta(hours=7))

        assert kept(books).behind == []
        assert kept(books).is_on
        assert mail.readers == ["ann@example.test"]
        with in_tenant(books.tenant.tag):
            entry = AuditEntry.objects.get(action="alert_channel.left_behind")
        assert entry.after == {"readers": ["left@example.test"], "tries": TRIES_MAX}

    def test_is_no_longer_sent_to_whom_it_never_reaches_though_it_comes_and_goes(
        self, books: Books, mail: MailServer
    ) -> None:
        mail.refused = {"left@example.test"}
        channel(books, "ann@example.test,left@example.test", ChannelKind.EMAIL)
        self.came(books)
        as_owner(books.tenant.tag, "UPDATE alert SET period_ends_at = period_ends_at + interval '30 days'")
        told(books)
        for _ in range(TRIES_MAX):
            self.went(books)
            told(books, timedelta(hours=10))
            self.came(books)
            told(books, timedelta(hours=10))

        assert kept(books).behind == []
        assert mail.readers == ["ann@example.test"]
        with in_tenant(books.tenant.tag):
            assert AuditEntry.objects.filter(action="alert_channel.left_behind").count() == 1

    def test_that_nobody_takes_is_a_failure(self, books: Books, mail: MailServer, settings: Settings) -> None:
        channel(books, "ada@example.test", ChannelKind.EMAIL)
        found(books)
        settings.MAILERS = {"default": mail_server({"EMAIL_URL": "smtp://127.0.0.1:1"})}

        assert told(books) == 0
        assert kept(books).failure == "The mail server did not take it."


class TestSlack:
    def test_is_told_in_its_own_words(self, books: Books, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
        # Slack's own address is public; what stands there in this test is ours.
        monkeypatch.setattr(NotifySlack, "webhook_url", sink.url.partition("?")[0])
        sink.answer = lambda _: 200
        channel(books, SLACK, ChannelKind.SLACK)
        found(books, summary="Key <!channel> & co expires.")

        told(books)

        (message,) = sink.received
        assert message.path == "/hooks/T0123ABCD/B0123ABCD/SoSecretToken123456789ab"
        assert b"<!channel>" not in message.body
        assert b"&lt;!channel&gt; &amp; co" in message.body

    def test_is_spoken_to_past_the_proxies_of_the_environment(
        self, books: Books, sink: Sink, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.setattr(NotifySlack, "webhook_url", sink.url.partition("?")[0])
        channel(books, SLACK, ChannelKind.SLACK)
        found(books)

        assert told(books) == 1
        assert len(sink.received) == 1


class TestSecrets:
    @pytest.mark.parametrize("kind", [ChannelKind.SLACK, ChannelKind.WEBHOOK])
    def test_are_in_no_log_no_row_and_no_repr(
        self,
        books: Books,
        sink: Sink,
        kind: ChannelKind,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level(logging.DEBUG)
        monkeypatch.setattr(NotifySlack, "webhook_url", sink.url.partition("?")[0])
        sink.answer = lambda _: 500
        text, secret = (SLACK, "SoSecretToken") if kind == ChannelKind.SLACK else (sink.url, "so-secret")
        channel(books, text, kind)
        found(books)

        told(books)

        assert secret in sink.received[0].path
        with in_tenant(books.tenant.tag):
            rows = str(list(AlertChannel.objects.values())) + str(list(AuditEntry.objects.values()))
        assert secret not in caplog.text + rows + repr(read_address(kind, text))
        assert kept(books).failure


class TestAddress:
    @pytest.mark.parametrize(
        ("kind", "text"),
        [
            (ChannelKind.SLACK, "https://hooks.slack.com.example.test/services/T0123ABCD/B0123ABCD/abcdefgh1234"),
            (ChannelKind.SLACK, "slack://token"),
            (ChannelKind.SLACK, f"{SLACK}/../x"),
            (ChannelKind.SLACK, f"{SLACK}?redirect=yes"),
            (ChannelKind.WEBHOOK, "http://example.test/"),
            (ChannelKind.WEBHOOK, "https://127.0.0.1/"),
            (ChannelKind.WEBHOOK, "https://169.254.169.254/latest/"),
            (ChannelKind.WEBHOOK, "https://[::1]/"),
            (ChannelKind.WEBHOOK, "json://example.test/"),
            (ChannelKind.WEBHOOK, "file:///etc/passwd"),
            (ChannelKind.WEBHOOK, "syslog://"),
            (ChannelKind.EMAIL, "ada"),
            (ChannelKind.EMAIL, ""),
            (ChannelKind.EMAIL, ",".join(f"a{number}@example.test" for number in range(11))),
        ],
    )
    def test_that_is_none_of_its_kind_is_refused(self, mail: MailServer, kind: ChannelKind, text: str) -> None:
        with pytest.raises(AddressInvalid):
            read_address(kind, text)

    def test_of_a_kind_that_is_not_allowed_is_refused(self, settings: Settings) -> None:
        settings.ALERT_CHANNELS = ["webhook"]

        with pytest.raises(ChannelNotAllowed):
            read_address(ChannelKind.SLACK, SLACK)

    def test_for_mail_needs_a_mail_server(self, settings: Settings) -> None:
        settings.SENDS_MAIL = False

        with pytest.raises(ChannelNotAllowed):
            read_address(ChannelKind.EMAIL, "ada@example.test")

    def test_of_a_kind_that_is_no_longer_allowed_is_not_spoken_to(
        self, books: Books, sink: Sink, settings: Settings
    ) -> None:
        channel(books, sink.url)
        found(books)
        settings.ALERT_CHANNELS = []

        assert told(books) == 0
        assert sink.received == []


class TestTold:
    def test_others_hear_what_is_done_with_a_channel(self, books: Books, sink: Sink) -> None:
        which = channel(books, sink.url)
        ask_for_test(tag=books.tenant.tag, channel_id=which, actor=TEST_ACTOR)
        with in_tenant(books.tenant.tag):
            switch_channel(channel_id=which, is_on=False, actor=TEST_ACTOR)
            remove_channel(channel_id=which, actor=TEST_ACTOR)

            events = list(OutboxEvent.objects.filter(event_type__startswith="custom.alert_channel").order_by("seq"))
            acts = set(AuditEntry.objects.filter(action__startswith="alert_channel").values_list("action", flat=True))

        told = [each.event_type.removeprefix("custom.") for each in events]
        assert told == [f"alert_channel.{act}" for act in ("added", "tested", "switched_off", "removed")]
        assert set(told) == acts
        assert "so-secret" not in str([each.payload for each in events])


class TestChannel:
    def test_is_made_once_by_one_form(self, books: Books, sink: Sink) -> None:
        same = channel(books, sink.url)
        channel(books, sink.url, id=same)

        assert kept(books).hint == "127.0.0.1"

    def test_is_one_of_so_many(self, books: Books, sink: Sink) -> None:
        for _ in range(CHANNELS_MAX):
            channel(books, sink.url)

        with pytest.raises(TooManyChannels):
            channel(books, sink.url)

    def test_that_is_off_hears_nothing_and_later_only_what_is_new(self, books: Books, sink: Sink) -> None:
        which = channel(books, sink.url)
        for is_on in (False, False):
            with in_tenant(books.tenant.tag):
                switch_channel(channel_id=which, is_on=is_on, actor=TEST_ACTOR)
        found(books, "a")
        assert told(books) == 0
        with in_tenant(books.tenant.tag):
            switch_channel(channel_id=which, is_on=True, actor=TEST_ACTOR)
        found(books, "b")

        assert told(books) == 1
        assert [each["summary"] for each in sink.received[0].event["alerts"]] == ["Something about b."]

    def test_that_is_removed_is_forgotten_with_its_address(self, books: Books, sink: Sink) -> None:
        which = channel(books, sink.url)
        with in_tenant(books.tenant.tag):
            assert remove_channel(channel_id=which, actor=TEST_ACTOR)
            assert not remove_channel(channel_id=which, actor=TEST_ACTOR)
            assert not AlertChannel.objects.exists()

    def test_is_tested_even_while_it_is_off(self, books: Books, sink: Sink) -> None:
        which = channel(books, sink.url)
        found(books)
        with in_tenant(books.tenant.tag):
            switch_channel(channel_id=which, is_on=False, actor=TEST_ACTOR)
        ask_for_test(tag=books.tenant.tag, channel_id=which, actor=TEST_ACTOR)

        assert told(books, timedelta()) == 1

        assert [each.event["type"] for each in sink.received] == ["watermaster.alerts.test"]
        assert (kept(books).test_asked_at, kept(books).is_on) == (None, False)


class TestDispatch:
    def due(self) -> list[str]:
        with in_public():
            TenantStanding.objects.filter(tell_at__isnull=False).update(tell_at="2020-01-01T00:00:00Z")
        return [str(tag) for tag in standing.ask_for_telling(limit=10)]

    def test_asks_only_for_tenants_with_something_to_tell(self, books: Books, initech: Tenant, sink: Sink) -> None:
        standing.enrol_tenants()
        channel(books, sink.url)
        found(books)
        found(Books(initech))

        assert self.due() == [books.tenant.tag]
        assert standing.ask_for_telling(limit=10) == []

    def test_forgets_a_tenant_that_has_told_everything(self, books: Books, sink: Sink) -> None:
        channel(books, sink.url)
        found(books)
        assert self.due()
        told(books)

        assert self.due() == []

    def test_has_the_worker_tell(self, books: Books, sink: Sink) -> None:
        channel(books, sink.url)
        found(books)
        let_time_pass(books.tenant.tag, GATHERED)
        with in_public():
            TenantStanding.objects.update(tell_at="2020-01-01T00:00:00Z")
        app.conf.task_always_eager = True
        try:
            dispatch_alerts()
        finally:
            app.conf.task_always_eager = False

        assert len(sink.received) == 1
