"""Webhooks in the console: added, changed, tested, paused, replayed, deleted; of a tenant, and the platform's own."""

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings
from standardwebhooks import Webhook

from accounts.models import User
from budgets.services.lifecycle import close_tenant
from kernel.tenancy import in_public, in_tenant
from telemetry.models import AuditEntry, WebhookSubscription
from tenants.models import Tenant
from tests.support.books import TEST_ACTOR
from tests.support.console import signed_in
from tests.support.webhook_receiver import Sink, listening
from tests.support.webhooks import Hooks

LIST = "/t/acme/webhooks/"


@pytest.fixture(autouse=True)
def open_loopback(settings: Settings) -> None:
    settings.WEBHOOK_ALLOW_HTTP = True
    settings.WEBHOOK_OPEN_NETWORKS = ["127.0.0.0/8"]


@pytest.fixture
def sink() -> Iterator[Sink]:
    with listening() as found:
        yield found


@pytest.fixture
def member(ada: User) -> Client:
    return signed_in(ada)


@pytest.fixture
def hooks(acme: Tenant) -> Hooks:
    return Hooks(acme)


def text_of(answer: Any) -> str:
    return unescape(answer.content.decode())


def form(url: str, **more: Any) -> dict[str, Any]:
    return {
        "url": url,
        "event_types": ["budget.funded"],
        "max_retries": 2,
        "disable_after_failures": 3,
        "reason": "For the ledger",
    } | more


def only(hooks: Hooks) -> WebhookSubscription:
    with in_tenant(hooks.owner.tag):
        return WebhookSubscription.objects.get()


class TestNew:
    def test_shows_its_secret_once_and_is_delivered_to(self, member: Client, hooks: Hooks, sink: Sink) -> None:
        answer = member.post(f"{LIST}new/", form(sink.url, name="Ledger"))

        (secret,) = re.findall(r'id="secret">(whsec_[^<]+)<', text_of(answer))
        assert "no-store" in answer["Cache-Control"]
        assert secret not in text_of(member.get(LIST))
        hooks.happen("budget.funded")
        hooks.visit()
        (received,) = sink.received
        assert Webhook(secret).verify(received.body, received.headers)
        webhook = only(hooks)
        assert (webhook.name, webhook.max_retries, webhook.disable_after_failures) == ("Ledger", 2, 3)
        assert "Delivered" in text_of(member.get(f"{LIST}{webhook.pk}/"))

    @pytest.mark.parametrize(
        "change",
        [
            {"url": "ftp://hooks.invalid/"},
            {"url": "https://10.0.0.1/"},
            {"event_types": []},
            {"event_types": ["api_key.created"]},
            {"event_categories": ["system"]},
            {"scope_filter": "*****"},
            {"max_retries": 11},
            {"reason": ""},
        ],
    )
    def test_of_a_bad_form_is_none(self, member: Client, hooks: Hooks, change: dict[str, Any]) -> None:
        assert member.post(f"{LIST}new/", form("https://hooks.invalid/") | change).status_code == 422
        with in_tenant(hooks.owner.tag):
            assert not WebhookSubscription.objects.exists()

    def test_of_a_closed_tenant_is_refused(self, browser: Client, hooks: Hooks) -> None:
        close_tenant(tag=hooks.owner.tag, actor=TEST_ACTOR)

        answer = browser.post("/ops/tenants/acme/webhooks/new/", form("https://hooks.invalid/"))

        assert answer.status_code == 422
        assert "closed" in text_of(answer)


class TestActs:
    def test_change_it_with_a_reason(self, member: Client, hooks: Hooks) -> None:
        webhook = hooks.subscribe("https://hooks.invalid/", "budget.funded")
        page = f"{LIST}{webhook.pk}/"

        for act, status in {"pause": "PAUSED", "resume": "ACTIVE"}.items():
            assert member.post(f"{page}{act}/", {"reason": ""}).status_code == 422
            assert member.post(f"{page}{act}/", {"reason": "Maintenance"}).status_code == 302
            assert only(hooks).status == status
        member.post(f"{page}edit/", form("https://other.invalid/", event_types=[], event_categories=["budget"]))
        assert (only(hooks).url, only(hooks).event_types) == ("https://other.invalid/", [])
        assert "whsec_" in text_of(member.post(f"{page}secret/", {"reason": "Leaked"}))
        assert only(hooks).previous_secret_until is not None
        assert member.post(f"{page}delete/", {"reason": "Gone"}).status_code == 302
        assert member.get(page).status_code == 404
        with in_tenant(hooks.owner.tag):
            trail = AuditEntry.objects.filter(action__startswith="webhook.").order_by("at", "pk")
            told = [(entry.action, entry.reason) for entry in trail][1:]
        assert told == [
            ("webhook.paused", "Maintenance"),
            ("webhook.resumed", "Maintenance"),
            ("webhook.updated", "For the ledger"),
            ("webhook.updated", "Leaked"),
            ("webhook.deleted", "Gone"),
        ]

    def test_test_it(self, member: Client, hooks: Hooks, sink: Sink) -> None:
        webhook = hooks.subscribe(sink.url, "budget.funded")

        done = member.post(f"{LIST}{webhook.pk}/test/", {"reason": "Try"}, follow=True)
        sink.answer = lambda _: 500
        failed = member.post(f"{LIST}{webhook.pk}/test/", {"reason": "Try"}, follow=True)

        assert "It answered 204" in text_of(done)
        assert "The receiver answered 500." in text_of(failed)
        with in_tenant(hooks.owner.tag):
            trail = AuditEntry.objects.filter(action="webhook.tested", target__contains="whsub")
            assert [entry.reason for entry in trail] == ["Try", "Try"]

    def test_send_again_what_was_given_up(self, member: Client, hooks: Hooks, sink: Sink) -> None:
        webhook = hooks.subscribe(sink.url, "budget.funded", retry={"max_retries": 0})
        sink.answer = lambda _: 500
        hooks.happen("budget.funded")
        hooks.visit()
        (given_up,) = hooks.deliveries(status="FAILED")
        sink.answer = lambda _: 200

        page = f"{LIST}{webhook.pk}/"
        assert "Given up" in text_of(member.get(f"{page}?state=FAILED"))
        assert member.post(f"{page}{given_up.pk}/again/", {"reason": "Mended"}).status_code == 302
        hooks.visit()
        assert member.post(f"{page}replay/", {"hours": "1", "max_events": 10, "reason": "All"}).status_code == 302
        hooks.visit()

        assert len(set(sink.ids)) == 1
        assert len(sink.ids) == 3
        assert member.post(f"{page}replay/", {"hours": "9", "max_events": 10, "reason": "All"}).status_code == 422
        assert member.post(f"{page}999999/again/", {"reason": "None"}).status_code == 404


class TestPlatform:
    def test_has_webhooks_of_its_own(self, browser: Client, acme: Tenant, sink: Sink) -> None:
        answer = browser.post("/ops/webhooks/new/", form(sink.url, event_types=["api_key.created"], name="Watch"))

        assert "whsec_" in text_of(answer)
        with in_public():
            webhook = WebhookSubscription.objects.get(name="Watch")
        assert "Watch" in text_of(browser.get("/ops/webhooks/"))
        assert browser.get(f"/ops/webhooks/{webhook.pk}/").status_code == 200
        assert browser.get(f"/ops/tenants/acme/webhooks/{webhook.pk}/").status_code == 404
        assert browser.post(f"/ops/webhooks/{webhook.pk}/delete/", {"reason": "Gone"}).status_code == 302


class TestLooking:
    def test_is_all_that_a_viewer_may(self, ben: User, hooks: Hooks) -> None:
        webhook = hooks.subscribe("https://hooks.invalid/?a=<script>", "budget.funded")
        browser = signed_in(ben)

        page = text_of(browser.get(f"{LIST}{webhook.pk}/"))

        assert "Pause" not in page
        assert browser.post(f"{LIST}{webhook.pk}/pause/", {"reason": "x"}).status_code == 403
