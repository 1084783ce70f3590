"""Receivers on the loopback, which an installation must open for itself."""

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from kernel.tenancy import in_public
from telemetry.models import WebhookSubscription
from tenants.models import Tenant
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


@pytest.fixture
def hooks(acme: Tenant) -> Hooks:
    return Hooks(acme)


@pytest.fixture
def platform(database: None) -> Iterator[Hooks]:
    """The platform's own webhooks, gone afterwards."""
    found = Hooks(None)
    yield found
    with in_public():
        WebhookSubscription.objects.all().delete()
