"""Webhooks and events as the protocol's management contract has them, read from beside the project."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import yaml
from pytest_django import Settings

from tenants.models import Tenant
from tests.support.contract import SHARED, Contract
from tests.support.management import Caller, as_platform, as_tenant
from tests.support.webhook_receiver import Sink, listening
from tests.support.webhooks import Hooks

FILE = SHARED / "protocol" / "cycles-governance-admin-v0.1.25.yaml"

pytestmark = pytest.mark.skipif(
    not FILE.is_file(),
    reason="The management contract is not at hand; WATERMASTER_SHARED names the folder that has it.",
)


@pytest.fixture(autouse=True)
def open_loopback(settings: Settings) -> None:
    settings.WEBHOOK_ALLOW_HTTP = True
    settings.WEBHOOK_OPEN_NETWORKS = ["127.0.0.0/8"]


@pytest.fixture
def sink() -> Iterator[Sink]:
    with listening() as found:
        yield found


@cache
def contract() -> Contract:
    return Contract(yaml.safe_load(FILE.read_text()))


class Judged:
    """A caller whose every answer is compared with the contract."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def send(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._caller.send(method, path, body)
        plain = path.partition("?")[0]
        assert contract().operation(method, plain) is not None, path
        if answer.status_code not in {202, 204}:
            # The contract writes the answer of a replay down in its place, and that of a deletion is empty.
            contract().check_body(method, plain, answer.status_code, _as_known(answer.json()))
        return answer


def _as_known(body: Any) -> Any:
    """Names that begin with `custom.` are lawful by the contract's words, and its list cannot have them."""
    for event in [body, *body.get("events", [])]:
        if str(event.get("event_type", "")).startswith("custom."):
            event["event_type"] = "system.webhook_test"
    return body


def walk(caller: Judged, root: str, query: str, url: str, hooks: Hooks) -> None:
    """Every operation on one subscription."""
    body = {
        "url": url,
        "event_types": ["budget.funded"],
        "name": "Ledger",
        "description": "All money",
        "event_categories": ["reservation"],
        "scope_filter": "tenant:acme*",
        "headers": {"X-Token": "a"},
        "thresholds": {"budget_utilization": [0.5]},
        "retry_policy": {"max_retries": 1},
        "metadata": {"team": "finance"},
    }
    made = caller.send("POST", f"{root}{query}", body)
    assert made.status_code == 201
    one = f"{root}/{made.json()['subscription']['subscription_id']}"
    hooks.happen("budget.funded", "reservation.denied", scope="tenant:acme/workspace:prod")
    hooks.visit()
    caller.send("GET", f"{root}{query}")
    assert caller.send("GET", one).status_code == 200
    assert caller.send("PATCH", one, {"status": "PAUSED"}).status_code == 200
    assert caller.send("PATCH", one, {"status": "ACTIVE"}).status_code == 200
    assert caller.send("PATCH", one, {"url": "nonsense"}).status_code == 400
    assert caller.send("POST", f"{one}/test").json()["success"]
    assert caller.send("GET", f"{one}/deliveries").json()["deliveries"]
    assert caller.send("DELETE", one).status_code == 204
    assert caller.send("GET", one).status_code == 404


class TestContract:
    def test_allows_what_a_tenant_is_answered(self, acme: Tenant, sink: Sink) -> None:
        caller = Judged(as_tenant(acme))

        walk(caller, "/v1/webhooks", "", sink.url, Hooks(acme))

        assert caller.send("GET", "/v1/events").json()["events"]

    def test_allows_what_an_operator_is_answered(self, acme: Tenant, sink: Sink) -> None:
        caller = Judged(as_platform())

        walk(caller, "/v1/admin/webhooks", "?tenant_id=acme", sink.url, Hooks(acme))

        events = caller.send("GET", "/v1/admin/events?tenant_id=acme").json()["events"]
        assert caller.send("GET", f"/v1/admin/events/{events[0]['event_id']}").json() == events[0]
        caller.send("GET", "/v1/admin/config/webhook-security")

    def test_allows_what_an_operator_is_answered_for_many(self, acme: Tenant, sink: Sink) -> None:
        hooks = Hooks(acme)
        for status in ("ACTIVE", "PAUSED", "DISABLED"):
            made = hooks.subscribe(sink.url, "budget.funded")
            hooks.change(made, status=status)
        caller, path = Judged(as_platform()), "/v1/admin/webhooks/bulk-action"
        body = {"filter": {"tenant_id": "acme"}, "action": "RESUME", "idempotency_key": "a"}

        assert caller.send("POST", path, body | {"expected_count": 9}).status_code == 409
        done = caller.send("POST", path, body | {"expected_count": 3}).json()

        assert [len(done[name]) for name in ("succeeded", "failed", "skipped")] == [1, 1, 1]
        refused: list[dict[str, object]] = [{"filter": {}}, {"action": "ENABLE"}, {"idempotency_key": ""}]
        for wrong in refused:
            assert caller.send("POST", path, body | wrong).status_code == 400

    def test_allows_what_a_receiver_gets(self, acme: Tenant, sink: Sink) -> None:
        hooks = Hooks(acme)
        hooks.subscribe(sink.url, "budget.funded", "tenant.suspended")
        hooks.happen("budget.funded", "tenant.suspended", scope="tenant:acme")
        hooks.visit()

        for received in sink.received:
            errors = list(contract()._validator("urn:contract#/components/schemas/Event").iter_errors(received.event))
            assert not errors, errors[0].message
        assert len(sink.received) == 2
