"""What happened, over the protocol's management endpoints: the same events that webhooks carry."""

from typing import TYPE_CHECKING, Any, Final

from django.db.models import Q
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from budgets.api.management.pages import page_of
from budgets.api.webhooks.base import WebhookView, WirePageQuery
from budgets.api.webhooks.event_feed import event_feed_of
from budgets.api.webhooks.subscriptions import wire_page
from kernel.http.described import described
from kernel.http.errors import error_of_status, require_order
from kernel.http.serialized import Fields, FreeObject, OneOf, Text
from kernel.ids import parse_wire_id
from telemetry.event_names import CATEGORIES, CUSTOM, TENANT_CATEGORIES
from telemetry.event_owner import PLATFORM, Owner
from telemetry.selectors.events import event_facts, last_of_wire_time
from telemetry.selectors.webhooks import events
from tenants.services.webhook_visits import NobodyThere, in_schema_of, owner_of

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from telemetry.models import OutboxEvent

_TAG: Final = "events"
_SEARCH_MAX: Final = 128


class EventQuery(WirePageQuery):
    """Which events, by the time at which they happened; both bounds are included."""

    event_type = Text(max_length=128, required=False)
    category = OneOf(choices=list(CATEGORIES), required=False)
    scope = Text(max_length=1024, required=False, help_text="What their scope path begins with.")
    correlation_id = Text(max_length=512, required=False)
    to = serializers.DateTimeField(required=False)
    sort_dir = OneOf(
        choices=["asc", "desc"],
        default="desc",
        help_text="By time. With asc every page has a next_cursor, and behind the last one comes what is new.",
    )

    def get_fields(self) -> dict[str, Any]:
        # A word of Python's, so it cannot be an attribute.
        return super().get_fields() | {"from": serializers.DateTimeField(required=False)}


class TenantEventQuery(EventQuery):
    tenant = Text(max_length=63, required=False, help_text="For a platform key, which speaks for every tenant.")


class AdminEventQuery(EventQuery):
    tenant_id = Text(max_length=63, required=False, help_text="Left out, or __system__: the platform's own events.")
    trace_id = Text(max_length=32, required=False)
    request_id = Text(max_length=64, required=False)
    search = Text(max_length=_SEARCH_MAX, required=False, help_text="A part of the scope or of the correlation id.")


class EventFields(Fields):
    event_id = serializers.CharField()
    event_type = serializers.CharField()
    category = serializers.ChoiceField(choices=list(CATEGORIES))
    timestamp = serializers.DateTimeField()
    tenant_id = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]
    scope = serializers.CharField(required=False)
    actor = FreeObject(required=False)
    data = FreeObject(required=False)  # type: ignore[assignment]
    correlation_id = serializers.CharField(required=False)
    request_id = serializers.CharField(required=False)
    trace_id = serializers.CharField(required=False)


class EventPageFields(Fields):
    events = EventFields(many=True)
    next_cursor = serializers.CharField(required=False)
    has_more = serializers.BooleanField()


class EventsView(WebhookView):
    def listed(self, owner: Owner, query: dict[str, Any], *, categories: frozenset[str] | None) -> Response:
        """One page, the newest first unless asked otherwise; `categories` confines it, None does not."""
        since, until = query.get("from"), query.get("to")
        require_order(query, "from", "to")
        names = ("event_type", "category", "scope", "correlation_id", "trace_id", "request_id", "search")
        filters = {name: query.get(name) for name in names} | {"from": str(since), "to": str(until)}
        binding = ["events", query["sort_dir"], sorted(categories or ()), filters]
        found = _matching(query)
        if categories is not None:
            found = found.filter(_of_categories(categories))
        with in_schema_of(owner):
            if query["sort_dir"] == "asc":
                feed = event_feed_of(found, query=query, tag=owner.tag, binding=binding)
                facts = [event_facts(event, owner) for event in feed.rows]
                return Response({"events": facts, "next_cursor": feed.next_cursor, "has_more": feed.has_more})
            page = page_of(found, order=("seq",), descending=True, query=query, tag=owner.tag, binding=binding)
        return Response(wire_page("events", [event_facts(event, owner) for event in page.rows], page.next_cursor))


class Events(EventsView):
    @described(
        name="list_events",
        summary="A tenant's events of its budgets, its reservations and itself, the newest first",
        tag=_TAG,
        query=TenantEventQuery,
        answer=EventPageFields,
        refusals={404: "NOT_FOUND: no such tenant."},
    )
    def get(self, request: Request) -> Response:
        query = self.query(TenantEventQuery)
        return self.listed(self.owner_by_slug(query.get("tenant")), query, categories=TENANT_CATEGORIES)


class AdminEvents(EventsView):
    @described(
        name="list_all_events",
        summary="The platform's own events, or all of one tenant's, the newest first",
        tag=_TAG,
        query=AdminEventQuery,
        answer=EventPageFields,
        refusals={404: "NOT_FOUND: no such tenant."},
    )
    def get(self, request: Request) -> Response:
        query = self.query(AdminEventQuery)
        slug = query.get("tenant_id", PLATFORM.tenant_id)
        owner = PLATFORM if slug == PLATFORM.tenant_id else self.owner_by_slug(slug)
        return self.listed(owner, query, categories=None)


class AdminOneEvent(WebhookView):
    @described(
        name="get_event",
        summary="An event, as webhooks carry it",
        tag=_TAG,
        answer=EventFields,
        refusals={404: "NOT_FOUND: no such event."},
    )
    def get(self, request: Request, event_id: str) -> Response:
        wire = parse_wire_id("evt", event_id)
        if wire is None:
            raise error_of_status(404)
        try:
            owner = owner_of(wire.tag)
        except NobodyThere:
            raise error_of_status(404) from None
        with in_schema_of(owner):
            event = events().filter(pk=wire.uuid).first()
        if event is None:
            raise error_of_status(404)
        return Response(event_facts(event, owner))


def _matching(query: dict[str, Any]) -> "QuerySet[OutboxEvent]":
    found = events()
    for name in ("trace_id", "request_id"):
        if value := query.get(name):
            found = found.filter(**{name: value})
    if event_type := query.get("event_type"):
        # As `event_names.wire_name` has them.
        found = found.filter(event_type__in={event_type, event_type.removeprefix(CUSTOM)})
    if category := query.get("category"):
        found = found.filter(_of_categories(frozenset({category})))
    if scope := query.get("scope"):
        found = found.filter(scope_path__startswith=scope.lower())
    if correlation_id := query.get("correlation_id"):
        found = found.filter(payload__correlation_id=correlation_id)
    if search := query.get("search"):
        found = found.filter(Q(scope_path__icontains=search) | Q(payload__correlation_id__icontains=search))
    if since := query.get("from"):
        found = found.filter(at__gte=since)
    if until := query.get("to"):
        found = found.filter(at__lte=last_of_wire_time(until))
    return found


def _of_categories(categories: frozenset[str]) -> Q:
    """As `event_names.category_of` has them."""
    condition = Q()
    for category in sorted(categories):
        condition |= Q(event_type__startswith=f"{category}.") | Q(event_type__startswith=f"{CUSTOM}{category}.")
    if "system" in categories:
        named = Q()
        for category in CATEGORIES:
            named |= Q(event_type__startswith=f"{category}.") | Q(event_type__startswith=f"{CUSTOM}{category}.")
        condition |= ~named
    return condition
