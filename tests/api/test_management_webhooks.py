"""Webhooks over the protocol's management endpoints."""

from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings

from tenants.models import Tenant
from tests.support.management import as_tenant
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
