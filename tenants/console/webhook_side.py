"""Whose webhooks a page is about: a tenant's, or on the operators' side without one the platform's own."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from accounts.console.place import Place, place_of
from telemetry.event_owner import PLATFORM, Owner
from telemetry.selectors.webhooks import subscription_by_id
from telemetry.services.webhooks.addresses import shown_url
from tenants.selectors.directory import TenantStatus
from tenants.services.webhook_visits import in_schema_of

if TYPE_CHECKING:
    from telemetry.models import WebhookSubscription

CLOSED = "The tenant is closed: nothing of it changes any more."


class Side:
    """The owner, its schema and its addresses."""

    def __init__(self, request: HttpRequest) -> None:
        self.place: Place = place_of(request)
        tenant = self.place.tenant
        self.owner = Owner(tag=tenant.tag, tenant_id=tenant.slug) if tenant else PLATFORM
        self.is_closed = bool(tenant) and tenant.status == TenantStatus.CLOSED

    def schema(self) -> AbstractContextManager[None]:
        return in_schema_of(self.owner)

    def url(self, name: str, *args: object) -> str:
        if self.place.tenant:
            return self.place.url(name, *args)
        return reverse(f"ops:{name}" if name == "webhooks" else f"ops:platform_{name}", args=args)

    def subscription(self, webhook_id: UUID) -> "WebhookSubscription":
        with self.schema():
            found = subscription_by_id(webhook_id)
        if found is None:
            raise Http404
        return found

    def context(self) -> dict[str, Any]:
        tenant = self.place.tenant
        more = {"tenant": tenant, "time_zone": tenant.time_zone} if tenant else {}
        return {"section": "webhooks", "place": self.place, **more}

    def act_page(
        self, request: HttpRequest, form: forms.Form, context: Mapping[str, Any], *, back: str
    ) -> HttpResponse:
        status = 422 if form.is_bound and form.errors else 200
        return render(
            request, "act_page.html", self.context() | {"form": form, "back": back} | dict(context), status=status
        )


def name_of(subscription: "WebhookSubscription") -> str:
    return subscription.name or shown_url(subscription.url)
