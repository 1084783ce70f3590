"""Subscriptions over the protocol's management endpoints: a tenant's own, and for operators everybody's."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Q
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from budgets.api.management.pages import page_of
from budgets.api.webhooks.base import CLOSED, NOT_FOUND, TAG, WebhookView, WirePageQuery, require_url, webhook_facts
from budgets.api.webhooks.fields import (
    NewlyMadeFields,
    NewWebhookFields,
    WebhookFields,
    WebhookUpdateFields,
    changes_of,
)
from kernel.http.described import described
from kernel.http.serialized import Fields, OneOf, Text
from telemetry.event_owner import PLATFORM, Owner
from telemetry.selectors.webhooks import subscriptions
from telemetry.services.webhooks.subscriptions import (
    NewSubscription,
    create_subscription,
    delete_subscription,
    subscription_id,
    update_subscription,
)
from telemetry.webhook_states import WebhookStatus
from tenants.services.webhook_visits import in_schema_of

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from telemetry.models import WebhookSubscription

_SEARCH_MAX = 128


class TenantQuery(Fields):
    """Whose they are."""

    tenant = Text(max_length=63, required=False, help_text="For a platform key, which speaks for every tenant.")


class WebhookListQuery(WirePageQuery, TenantQuery):
    status = OneOf(choices=WebhookStatus.values, required=False)


class AdminTenantQuery(Fields):
    """Whose they are."""

    tenant_id = Text(max_length=63, required=False, help_text="Left out, or __system__: the platform's own.")


class AdminListQuery(WirePageQuery, AdminTenantQuery):
    status = OneOf(choices=WebhookStatus.values, required=False)
    event_type = Text(max_length=128, required=False)
    search = Text(max_length=_SEARCH_MAX, required=False, help_text="A part of the URL or of the subscription_id.")


class WebhookPageFields(Fields):
    subscriptions = WebhookFields(many=True)
    next_cursor = serializers.CharField(required=False)
    has_more = serializers.BooleanField()


class ListingView(WebhookView):
    def listed(self, owner: Owner, query: dict[str, Any]) -> Response:
        """One page of the owner's subscriptions, the newest first."""
        binding = ["webhooks", {name: query.get(name) for name in ("status", "event_type", "search")}]
        with in_schema_of(owner):
            page = page_of(
                matching(query, owner), order=("id",), descending=True, query=query, tag=owner.tag, binding=binding
            )
        return Response(wire_page("subscriptions", [webhook_facts(row, owner) for row in page.rows], page.next_cursor))

    def made(self, owner: Owner) -> Response:
        values = self.body(NewWebhookFields)
        require_url(values)
        columns = changes_of(values)
        retry = {name: columns.pop(name) for name in values.get("retry_policy", {})}
        with self.changing(owner) as (actor, now):
            new = NewSubscription(retry=retry, **columns)
            issued = create_subscription(new, owner=owner, actor=actor, now=now)
        facts = {"subscription": webhook_facts(issued.subscription, owner), "signing_secret": issued.secret}
        return Response(facts, status=201)


class Webhooks(ListingView):
    @described(
        name="list_webhooks",
        summary="A tenant's subscriptions, the newest first",
        tag=TAG,
        query=WebhookListQuery,
        answer=WebhookPageFields,
        refusals={404: NOT_FOUND},
    )
    def get(self, request: Request) -> Response:
        query = self.query(WebhookListQuery)
        return self.listed(self.owner_by_slug(query.get("tenant")), query)

    @described(
        name="create_webhook",
        summary="A new subscription, its signing secret shown once",
        tag=TAG,
        query=TenantQuery,
        body=NewWebhookFields,
        answer=NewlyMadeFields,
        status=201,
        refusals={404: NOT_FOUND, 409: CLOSED},
    )
    def post(self, request: Request) -> Response:
        return self.made(self.owner_by_slug(self.query(TenantQuery).get("tenant")))


class AdminOwnerView(WebhookView):
    def admin_owner(self, query: Mapping[str, Any]) -> Owner:
        """The tenant that an operator names, else the platform. Refuses with 404."""
        slug = query.get("tenant_id", PLATFORM.tenant_id)
        return PLATFORM if slug == PLATFORM.tenant_id else self.owner_by_slug(slug)


class AdminWebhooks(ListingView, AdminOwnerView):
    @described(
        name="list_all_webhooks",
        summary="The platform's own subscriptions, or one tenant's",
        tag=TAG,
        query=AdminListQuery,
        answer=WebhookPageFields,
        refusals={404: NOT_FOUND},
    )
    def get(self, request: Request) -> Response:
        query = self.query(AdminListQuery)
        return self.listed(self.admin_owner(query), query)

    @described(
        name="create_platform_webhook",
        summary="A new subscription of the platform's or of a tenant's, its signing secret shown once",
        tag=TAG,
        query=AdminTenantQuery,
        body=NewWebhookFields,
        answer=NewlyMadeFields,
        status=201,
        refusals={404: NOT_FOUND, 409: CLOSED},
    )
    def post(self, request: Request) -> Response:
        return self.made(self.admin_owner(self.query(AdminTenantQuery)))


class OneWebhookView(WebhookView):
    def shown(self, subscription_id: str) -> Response:
        owner, subscription = self.found(subscription_id)
        return Response(webhook_facts(subscription, owner))

    def changed(self, subscription_id: str) -> Response:
        values = self.body(WebhookUpdateFields)
        owner, pk = self.owner_by_id(subscription_id)
        require_url(values)
        with self.changing(owner) as (actor, now):
            changed = update_subscription(pk, changes_of(values), owner=owner, actor=actor, now=now)
        return Response(webhook_facts(changed, owner))

    def deleted(self, subscription_id: str) -> Response:
        owner, pk = self.owner_by_id(subscription_id)
        with self.changing(owner) as (actor, now):
            delete_subscription(pk, owner=owner, actor=actor, now=now)
        return Response(status=204)


# The same operations at a tenant's addresses and at the operators'; only their names must differ.
_SHOWN: Final[dict[str, Any]] = {
    "summary": "A subscription",
    "tag": TAG,
    "answer": WebhookFields,
    "refusals": {404: NOT_FOUND},
}
_UPDATED: Final[dict[str, Any]] = {
    "summary": "The subscription as it is now; what is left out stays",
    "tag": TAG,
    "body": WebhookUpdateFields,
    "answer": WebhookFields,
    "refusals": {404: NOT_FOUND, 409: CLOSED},
}
_DELETED: Final[dict[str, Any]] = {
    "summary": "Gone for good; what waited for it is never sent",
    "tag": TAG,
    "answer": None,
    "status": 204,
    "refusals": {404: NOT_FOUND, 409: CLOSED},
}


class OneWebhook(OneWebhookView):
    @described(name="get_webhook", **_SHOWN)
    def get(self, request: Request, subscription_id: str) -> Response:
        return self.shown(subscription_id)

    @described(name="update_webhook", **_UPDATED)
    def patch(self, request: Request, subscription_id: str) -> Response:
        return self.changed(subscription_id)

    @described(name="delete_webhook", **_DELETED)
    def delete(self, request: Request, subscription_id: str) -> Response:
        return self.deleted(subscription_id)


class AdminOneWebhook(OneWebhookView):
    @described(name="get_any_webhook", **_SHOWN)
    def get(self, request: Request, subscription_id: str) -> Response:
        return self.shown(subscription_id)

    @described(name="update_any_webhook", **_UPDATED)
    def patch(self, request: Request, subscription_id: str) -> Response:
        return self.changed(subscription_id)

    @described(name="delete_any_webhook", **_DELETED)
    def delete(self, request: Request, subscription_id: str) -> Response:
        return self.deleted(subscription_id)


def wire_page(name: str, items: list[dict[str, Any]], next_cursor: str | None) -> dict[str, Any]:
    """A list as the protocol has it: no null, so the last page has no cursor."""
    more = {} if next_cursor is None else {"next_cursor": next_cursor}
    return {name: items, "has_more": next_cursor is not None} | more


def matching(filters: Mapping[str, Any], owner: Owner) -> "QuerySet[WebhookSubscription]":
    """Of the schema that the connection is in, which is the owner's. Asks once for the ids where it is to search."""
    found = subscriptions()
    if status := filters.get("status"):
        found = found.filter(status=status)
    if event_type := filters.get("event_type"):
        found = found.filter(event_types__contains=[event_type])
    if search := filters.get("search"):
        # The ids that callers see are not the ones that are stored.
        named = [each.pk for each in found.only("pk") if search.lower() in subscription_id(each, owner).lower()]
        found = found.filter(Q(url__icontains=search) | Q(pk__in=named))
    return found
