"""Webhooks over the protocol's management endpoints."""

from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings

from budgets.services.lifecycle import close_tenant
from kernel.tenancy import in_tenant
from telemetry.models import AuditEntry, OutboxEvent, WebhookSubscription
from tenants.models import Tenant
from tests.support.management import SCENE, as_platform, as_tenant
from tests.support.webhook_receiver import Sink, listening
from tests.support.webhooks import Hooks


@pytest.fixture(autouse=True)
def open_loopback(settings: Settings) -> None:
    settings.WEBHOOK_ALLOW_HTTP = True
    settings.WEBHOOK_OPEN_NETWORKS = ["127.0.0.0/8"]


@pytest.fixture
def sink() -> Iterator[Sink]:
    with listening() as found:
        yield found


def wanted(url: str, **more: Any) -> dict[str, Any]:
    return {"url": url, "event_types": ["budget.funded"], **more}


class TestCreate:
    def test_makes_a_subscription_that_is_delivered_to(self, acme: Tenant, sink: Sink) -> None:
        caller, hooks = as_tenant(acme), Hooks(acme)

        made = caller.post("/v1/webhooks", wanted(sink.url, name="Ledger"))

        assert made.status_code == 201, made.json()
        subscription = made.json()["subscription"]
        assert (subscription["status"], subscription["tenant_id"]) == ("ACTIVE", "acme")
        assert made.json()["signing_secret"].startswith("whsec_")
        hooks.happen("budget.funded")
        hooks.visit()
        assert sink.events == ["budget.funded"]
        (delivery,) = caller.get(f"/v1/webhooks/{subscription['subscription_id']}/deliveries").json()["deliveries"]
        assert (delivery["status"], delivery["response_status"]) == ("SUCCESS", 204)
        assert delivery["event_id"] == sink.ids[0]

    def test_says_nothing_of_a_secret_afterwards(self, acme: Tenant) -> None:
        caller = as_tenant(acme)
        body = wanted("https://hooks.invalid/", signing_secret="a secret of my own", headers={"X-Token": "canary"})
        subscription_id = caller.post("/v1/webhooks", body).json()["subscription"]["subscription_id"]

        shown = caller.get(f"/v1/webhooks/{subscription_id}").json()

        assert shown["headers"] == {"X-Token": "***"}
        assert "secret" not in repr(shown)
        with in_tenant(acme.tag):
            kept = repr([*AuditEntry.objects.values(), *OutboxEvent.objects.values()])
            kept += repr(list(WebhookSubscription.objects.values()))
        assert "canary" not in kept
        assert "a secret of my own" not in kept

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"url": "http://[fe80::1]/"}, "url"),
            ({"url": "https://10.0.0.1/"}, "url"),
            ({"url": "ftp://hooks.invalid/"}, "url"),
            ({"event_types": []}, "event_types"),
            ({"event_types": ["api_key.created"]}, "event_types"),
            ({"event_types": ["nonsense"]}, "event_types"),
            ({"event_types": ["system.webhook_test"]}, "event_types"),
            ({"event_categories": ["system"]}, "event_categories"),
            ({"event_categories": ["nonsense"]}, "event_categories"),
            ({"headers": {"Host": "x"}}, "headers"),
            ({"headers": {"webhook-id": "x"}}, "headers"),
            ({"headers": {"X-A": "x\r\nX-B: y"}}, "headers"),
            ({"signing_secret": "short"}, "signing_secret"),
            ({"signing_secret": "whsec_***"}, "signing_secret"),
            ({"scope_filter": "*" * 9}, "scope_filter"),
            ({"retry_policy": {"max_retries": 11}}, "retry_policy.max_retries"),
            ({"disable_after_failures": 0}, "disable_after_failures"),
            ({"status": "PAUSED"}, "status"),
            ({"tenant_id": "initech"}, "tenant_id"),
        ],
    )
    def test_refuses_what_is_wrong_and_names_it(self, acme: Tenant, change: dict[str, Any], field: str) -> None:
        refused = as_tenant(acme).post("/v1/webhooks", wanted("https://hooks.invalid/") | change)

        assert (refused.status_code, refused.json()["details"]["field"]) == (400, field), refused.json()
        with in_tenant(acme.tag):
            assert not WebhookSubscription.objects.exists()

    def test_for_the_platform_may_hear_of_everything(self, database: None) -> None:
        caller = as_platform()

        made = caller.post("/v1/admin/webhooks", wanted("https://hooks.invalid/", event_categories=["system"]))

        assert made.status_code == 201
        subscription = made.json()["subscription"]
        assert subscription["tenant_id"] == "__system__"
        assert caller.delete(f"/v1/admin/webhooks/{subscription['subscription_id']}").status_code == 204

    def test_by_an_operator_for_a_tenant_keeps_to_what_tenants_may_hear(self, acme: Tenant) -> None:
        body = wanted("https://hooks.invalid/", event_categories=["system"])

        assert as_platform().post("/v1/admin/webhooks?tenant_id=acme", body).status_code == 400

    def test_of_a_closed_tenant_is_refused(self, acme: Tenant) -> None:
        close_tenant(tag=acme.tag, actor=SCENE)

        refused = as_platform().post("/v1/webhooks?tenant=acme", wanted("https://hooks.invalid/"))

        assert (refused.status_code, refused.json()["error"]) == (409, "TENANT_CLOSED")

    def test_needs_a_key_of_the_whole_tenant(self, acme: Tenant) -> None:
        caller = as_tenant(acme, scopes=["tenant:acme/workspace:prod"])

        assert caller.post("/v1/webhooks", wanted("https://hooks.invalid/")).status_code == 403


class TestStranger:
    def test_finds_nobody_elses_webhook(self, acme: Tenant, initech: Tenant) -> None:
        path = f"/v1/webhooks/{made_by(acme)}"
        stranger = as_tenant(initech)

        answers = [
            stranger.get(path),
            stranger.patch(path, {"status": "PAUSED"}),
            stranger.delete(path),
            stranger.post(f"{path}/test"),
            stranger.get(f"{path}/deliveries"),
            stranger.post(f"{path}/replay"),
            as_tenant(acme).get(path[:-1] + ("0" if path[-1] != "0" else "1")),
        ]

        assert {answer.status_code for answer in answers} == {404}
        assert as_tenant(acme).get(path).json()["status"] == "ACTIVE"


class TestUpdate:
    def test_changes_what_is_named(self, acme: Tenant) -> None:
        caller, path = as_tenant(acme), f"/v1/webhooks/{made_by(acme)}"

        changed = caller.patch(path, {"status": "PAUSED", "name": "Ledger", "retry_policy": {"max_retries": 1}})

        assert changed.status_code == 200
        shown = changed.json()
        assert (shown["status"], shown["name"], shown["retry_policy"]["max_retries"]) == ("PAUSED", "Ledger", 1)
        with in_tenant(acme.tag):
            event = OutboxEvent.objects.order_by("seq").last()
        assert event is not None
        assert event.event_type == "webhook.paused"
        assert event.payload["data"]["changed_fields"] == ["max_retries", "name"]
        assert event.payload["correlation_id"].startswith("webhook_update:whsub_")

    def test_of_nothing_is_told_to_nobody(self, acme: Tenant) -> None:
        caller, path = as_tenant(acme), f"/v1/webhooks/{made_by(acme)}"
        with in_tenant(acme.tag):
            before = OutboxEvent.objects.count()

        assert caller.patch(path, {"status": "ACTIVE", "event_types": ["budget.funded"]}).status_code == 200

        with in_tenant(acme.tag):
            assert OutboxEvent.objects.count() == before

    def test_leaves_something_selected(self, acme: Tenant) -> None:
        caller, path = as_tenant(acme), f"/v1/webhooks/{made_by(acme)}"

        assert caller.patch(path, {"event_types": []}).status_code == 400
        assert caller.patch(path, {"event_types": [], "event_categories": ["budget"]}).status_code == 200
        assert caller.patch(path, {"event_categories": []}).status_code == 400


class TestReplay:
    def test_sends_again_what_was_sent_in_a_while(self, acme: Tenant, sink: Sink) -> None:
        caller, hooks = as_tenant(acme), Hooks(acme)
        path = f"/v1/webhooks/{made_by(acme, sink.url)}"
        hooks.happen("budget.funded", "budget.funded", "budget.frozen")
        hooks.visit()
        first = list(sink.ids)

        replayed = caller.post(f"{path}/replay", {"from": "2020-01-01T00:00:00Z"})

        assert (replayed.status_code, replayed.json()["events_queued"]) == (202, 2)
        assert caller.post(f"{path}/replay").json()["details"] == {"reason": "REPLAY_IN_PROGRESS"}
        hooks.visit()
        assert sink.ids == [*first, *first]
        assert len(caller.get(f"{path}/deliveries?status=SUCCESS").json()["deliveries"]) == 4

    def test_sends_all_or_nothing(self, acme: Tenant, sink: Sink) -> None:
        caller, hooks = as_tenant(acme), Hooks(acme)
        path = f"/v1/webhooks/{made_by(acme, sink.url)}"
        hooks.happen("budget.funded", "budget.funded")
        hooks.visit()

        assert caller.post(f"{path}/replay", {"max_events": 1}).status_code == 400
        assert caller.post(f"{path}/replay", {"to": "2020-01-01T00:00:00Z"}).json()["events_queued"] == 0
        assert caller.post(f"{path}/replay", {"max_events": 2}).json()["events_queued"] == 2

    def test_is_refused_while_nothing_would_be_sent(self, acme: Tenant) -> None:
        caller, path = as_tenant(acme), f"/v1/webhooks/{made_by(acme)}"
        caller.patch(path, {"status": "PAUSED"})

        assert caller.post(f"{path}/replay").status_code == 409


class TestTest:
    def test_says_what_the_receiver_answered(self, acme: Tenant, sink: Sink) -> None:
        caller, path = as_tenant(acme), f"/v1/webhooks/{made_by(acme, sink.url)}/test"

        done = caller.post(path).json()
        sink.answer = lambda _: 503
        failed = caller.post(path).json()

        assert (done["success"], done["response_status"], "error_message" in done) == (True, 204, False)
        assert (failed["success"], failed["error_message"]) == (False, "The receiver answered 503.")
        assert sink.events == ["system.webhook_test"] * 2


class TestEvents:
    def test_of_a_tenant_are_those_that_it_may_hear_of(self, acme: Tenant) -> None:
        hooks = Hooks(acme)
        hooks.happen("budget.funded", "api_key.created", "custom.kill_switch.thrown")

        mine = as_tenant(acme).get("/v1/events").json()["events"]
        all_of_them = as_platform().get("/v1/admin/events?tenant_id=acme&sort_dir=asc").json()["events"]

        assert [each["event_type"] for each in mine] == ["budget.funded", "tenant.created"]
        assert {"api_key.created", "custom.kill_switch.thrown"} < {each["event_type"] for each in all_of_them}
        event = all_of_them[0]
        assert as_platform().get(f"/v1/admin/events/{event['event_id']}").json() == event

    def test_are_found_by_the_time_that_they_say(self, acme: Tenant) -> None:
        Hooks(acme).happen("budget.funded")
        (event,) = as_tenant(acme).get("/v1/events?event_type=budget.funded").json()["events"]
        told = event["timestamp"]

        assert as_tenant(acme).get(f"/v1/events?from={told}&to={told}").json()["events"] == [event]

    def test_are_filtered_and_paged(self, acme: Tenant) -> None:
        hooks, caller = Hooks(acme), as_tenant(acme)
        hooks.happen("budget.funded", "budget.frozen", scope="tenant:acme/workspace:a")
        hooks.happen("budget.funded", scope="tenant:acme/workspace:b")

        first = caller.get("/v1/events?limit=2&category=budget").json()
        second = caller.get(f"/v1/events?limit=2&category=budget&cursor={first['next_cursor']}").json()

        assert first["has_more"]
        assert [len(first["events"]), len(second["events"])] == [2, 1]
        assert "next_cursor" not in second
        assert len(caller.get("/v1/events?scope=tenant:acme/workspace:a").json()["events"]) == 2
        assert len(caller.get("/v1/events?event_type=budget.frozen").json()["events"]) == 1
        assert caller.get("/v1/events?from=2030-01-01T00:00:00Z&to=2020-01-01T00:00:00Z").status_code == 400


class TestSecurity:
    def test_says_where_webhooks_may_not_lead(self, database: None) -> None:
        shown = as_platform().get("/v1/admin/config/webhook-security").json()

        assert shown["allow_http"] is True
        assert "10.0.0.0/8" in shown["blocked_cidr_ranges"]
        assert "127.0.0.0/8" not in shown["blocked_cidr_ranges"]


def made_by(tenant: Tenant, url: str = "https://hooks.invalid/") -> str:
    """The id of a new subscription."""
    made: str = as_tenant(tenant).post("/v1/webhooks", wanted(url)).json()["subscription"]["subscription_id"]
    return made
