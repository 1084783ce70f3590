"""One act on many webhooks: all or nothing, told once for each, and harmless when it comes twice."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection, transaction
from psycopg import sql
from pytest_django import Settings

from telemetry.models import AuditEntry, OutboxEvent, WebhookSubscription
from telemetry.services.webhooks import bulk
from telemetry.webhook_states import WebhookStatus
from tenants.models import Tenant
from tenants.services.webhook_visits import in_schema_of
from tests.plugins.live_api import database_url
from tests.support.management import as_platform, as_tenant
from tests.support.webhooks import Hooks

PATH = "/v1/admin/webhooks/bulk-action"
URL = "https://hooks.invalid/"


@pytest.fixture(autouse=True)
def open_loopback(settings: Settings) -> None:
    settings.WEBHOOK_ALLOW_HTTP = True


@pytest.fixture
def hooks(acme: Tenant) -> Hooks:
    """Of the tenant's three, one is paused and one was given up."""
    found = Hooks(acme)
    for status in (WebhookStatus.ACTIVE, WebhookStatus.PAUSED, WebhookStatus.DISABLED):
        found.change(found.subscribe(f"{URL}{status.lower()}", "budget.funded"), status=status)
    return found


def body(action: str = "PAUSE", **more: Any) -> dict[str, Any]:
    return {"filter": {"tenant_id": "acme"}, "action": action, "idempotency_key": "key-1"} | more


def statuses(hooks: Hooks) -> list[str]:
    with in_schema_of(hooks.owner):
        return list(WebhookSubscription.objects.order_by("id").values_list("status", flat=True))


def counts(answer: Any) -> list[int]:
    done = answer.json()
    return [done["total_matched"], *(len(done[name]) for name in ("succeeded", "failed", "skipped"))]


class TestTurn:
    def test_of_one_owner_is_not_waited_for_by_another(self, hooks: Hooks, initech: Tenant) -> None:
        with psycopg.connect(database_url("owner")) as stranger:
            stranger.execute(sql.SQL("SET search_path = {}").format(sql.Identifier(initech.schema_name)))
            stranger.execute(bulk._TURN)
            with in_schema_of(hooks.owner), transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '2s'")
                cursor.execute(bulk._TURN)

    def test_is_waited_for_by_the_owners_other_acts(self, hooks: Hooks, acme: Tenant) -> None:
        with psycopg.connect(database_url("owner")) as stranger:
            stranger.execute(sql.SQL("SET search_path = {}").format(sql.Identifier(acme.schema_name)))
            stranger.execute(bulk._TURN)
            with in_schema_of(hooks.owner), transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '100ms'")
                with pytest.raises(OperationalError):
                    cursor.execute(bulk._TURN)


class TestAction:
    @pytest.mark.parametrize(
        ("action", "counted", "left"),
        [
            ("PAUSE", [3, 1, 0, 2], ["PAUSED", "PAUSED", "DISABLED"]),
            ("RESUME", [3, 1, 1, 1], ["ACTIVE", "ACTIVE", "DISABLED"]),
            ("DELETE", [3, 3, 0, 0], []),
        ],
    )
    def test_is_done_where_it_can_be(self, hooks: Hooks, action: str, counted: list[int], left: list[str]) -> None:
        answer = as_platform().post(PATH, body(action))

        assert counts(answer) == counted
        assert statuses(hooks) == left

    def test_says_why_what_was_given_up_is_not_resumed(self, hooks: Hooks) -> None:
        (failed,) = as_platform().post(PATH, body("RESUME")).json()["failed"]

        assert failed["error_code"] == "INVALID_TRANSITION"
        assert failed["message"].startswith("It was given up")

    def test_is_told_once_for_each_and_audited_once(self, hooks: Hooks) -> None:
        with in_schema_of(hooks.owner):
            OutboxEvent.objects.update(delivered_at=datetime.now(UTC))
            before = AuditEntry.objects.count()

        done = as_platform().post(PATH, body("RESUME"))

        with in_schema_of(hooks.owner):
            (event,) = OutboxEvent.objects.filter(delivered_at=None)
            assert AuditEntry.objects.count() == before + 1
            entry = AuditEntry.objects.get(action=bulk.ACTION)
        assert event.event_type == "webhook.resumed"
        assert event.payload["correlation_id"] == f"webhook_bulk_action:resume:{done.headers['X-Request-Id']}"
        assert event.payload["data"]["subscription_id"] == done.json()["succeeded"][0]["id"]
        assert (event.payload["data"]["previous_status"], event.payload["data"]["new_status"]) == ("PAUSED", "ACTIVE")
        assert entry.actor_type == "admin_on_behalf_of"
        assert entry.after is not None
        assert entry.after["total_matched"] == 3

    def test_without_a_tenant_is_about_the_platforms_own(self, hooks: Hooks) -> None:
        own = Hooks(None)
        made = own.subscribe(f"{URL}own", "budget.funded")
        try:
            answer = as_platform().post(PATH, body("DELETE", filter={"search": f"{URL}own"}))

            assert counts(answer) == [1, 1, 0, 0]
            assert len(statuses(hooks)) == 3
        finally:
            with in_schema_of(own.owner):
                WebhookSubscription.objects.filter(pk=made.pk).delete()


class TestFilter:
    @pytest.mark.parametrize(
        ("more", "total"),
        [
            ({"status": "PAUSED"}, 1),
            ({"search": "HOOKS.invalid/dis"}, 1),
            ({"search": "nowhere"}, 0),
            ({"search": "WHSUB_"}, 3),
            ({"event_type": "budget.funded"}, 3),
            ({"event_type": "budget.funded", "status": "ACTIVE"}, 1),
            ({"event_type": "budget.created"}, 0),
        ],
        ids=lambda value: str(value) if isinstance(value, int) else "-".join(value),
    )
    def test_means_what_the_list_means(self, hooks: Hooks, more: dict[str, str], total: int) -> None:
        caller = as_platform()
        query = "&".join(f"{name}={value}" for name, value in more.items())
        listed = caller.get(f"/v1/admin/webhooks?tenant_id=acme&{query}").json()["subscriptions"]

        answer = caller.post(PATH, body("DELETE", filter={"tenant_id": "acme", **more}))

        done = answer.json()
        assert done["total_matched"] == total
        assert {row["id"] for row in done["succeeded"]} == {each["subscription_id"] for each in listed}

    def test_finds_one_by_a_part_of_its_id(self, hooks: Hooks) -> None:
        caller = as_platform()
        one = caller.get("/v1/admin/webhooks?tenant_id=acme").json()["subscriptions"][0]["subscription_id"]

        done = caller.post(PATH, body("DELETE", filter={"tenant_id": "acme", "search": one[30:60]})).json()

        assert [row["id"] for row in done["succeeded"]] == [one]

    @pytest.mark.parametrize(
        "wrong",
        [
            {"filter": {}},
            {"filter": {"tenant": "acme"}},
            {"filter": {"status": "GONE"}},
            {"filter": {"search": "x" * 129}},
            {"filter": {"search": ""}},
            {"action": "ENABLE"},
            {"idempotency_key": ""},
            {"idempotency_key": "x" * 129},
            {"expected_count": -1},
            {"surprise": 1},
        ],
        ids=str,
    )
    def test_or_action_that_is_wrong_does_nothing(self, hooks: Hooks, wrong: dict[str, Any]) -> None:
        answer = as_platform().post(PATH, body("DELETE") | wrong)

        assert answer.status_code == 400
        assert len(statuses(hooks)) == 3

    def test_of_a_tenant_that_is_not_there_finds_nothing(self, hooks: Hooks) -> None:
        assert as_platform().post(PATH, body(filter={"tenant_id": "nobody"})).status_code == 404

    def test_is_no_tenants_to_use(self, acme: Tenant, hooks: Hooks) -> None:
        assert as_tenant(acme).post(PATH, body()).status_code == 403
        assert statuses(hooks)[0] == "ACTIVE"


class TestGates:
    def test_another_number_than_expected_does_nothing(self, hooks: Hooks) -> None:
        answer = as_platform().post(PATH, body("DELETE", expected_count=2))

        assert (answer.status_code, answer.json()["error"]) == (409, "COUNT_MISMATCH")
        assert answer.json()["details"] == {"total_matched": 3}
        assert len(statuses(hooks)) == 3

    def test_too_many_do_nothing(self, hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bulk, "MATCHED_MAX", 2)

        answer = as_platform().post(PATH, body("DELETE"))

        assert (answer.status_code, answer.json()["error"]) == (400, "LIMIT_EXCEEDED")
        assert len(statuses(hooks)) == 3

    def test_the_same_key_is_answered_the_same_and_does_nothing_more(self, hooks: Hooks) -> None:
        caller = as_platform()
        first = caller.post(PATH, body("PAUSE"))
        hooks.subscribe(f"{URL}late", "budget.funded")

        second = caller.post(PATH, body("PAUSE"))

        assert second.json() == first.json()
        assert statuses(hooks)[-1] == "ACTIVE"

    def test_the_same_key_of_another_request_is_refused(self, hooks: Hooks) -> None:
        caller = as_platform()
        caller.post(PATH, body("PAUSE"))

        answer = caller.post(PATH, body("DELETE"))

        assert (answer.status_code, answer.json()["error"]) == (409, "IDEMPOTENCY_MISMATCH")
        assert len(statuses(hooks)) == 3

    def test_the_same_key_is_new_after_a_quarter_of_an_hour(
        self, hooks: Hooks, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        caller = as_platform()
        caller.post(PATH, body("PAUSE"))
        monkeypatch.setattr(bulk, "REMEMBERED", timedelta(0))

        assert counts(caller.post(PATH, body("PAUSE"))) == [3, 0, 0, 3]
