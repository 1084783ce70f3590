"""`GET /v1/admin/audit/logs`: the audit trail of the platform or of one tenant, as the protocol has it."""

from typing import TYPE_CHECKING, Any, Final

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.keys.api.views import KeyedView
from budgets.api.audit.facts import DONE, LogFields, log_facts, names_of_keys
from budgets.api.audit.feed import feed_of
from budgets.api.management.pages import page_of
from budgets.api.management.refusals import REFUSALS, scope_forbidden
from budgets.api.webhooks.base import WirePageQuery
from kernel.http.described import described
from kernel.http.errors import invalid_request, require_order
from kernel.http.serialized import Fields, Integer, OneOf, Text
from kernel.ids import PLATFORM_TAG
from telemetry.event_owner import Owner
from telemetry.selectors.audit_log import LogFilter, log_entries
from telemetry.selectors.events import last_of_wire_time
from tenants.selectors.directory import tenant_by_slug
from tenants.services.webhook_visits import in_schema_of

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from telemetry.models import AuditEntry

#: The protocol's word for what concerns no single tenant.
_PLATFORM: Final = Owner(tag=PLATFORM_TAG, tenant_id="__admin__")
_LISTED_MAX: Final = 25
_STATUS_MIN, _STATUS_MAX = 100, 599
#: What `sort_by` names, as the columns by which it sorts. Of one trail all entries have the same tenant and status.
_ORDERS: Final = {
    "timestamp": ("at", "id"),
    "operation": ("action", "at", "id"),
    "resource_type": ("noun", "at", "id"),
    "tenant_id": ("at", "id"),
    "key_id": ("key", "at", "id"),
    "status": ("at", "id"),
}


class _Words(Text):
    """Up to 25 words with commas between."""

    def __init__(self, **options: Any) -> None:
        told = "One of them, or up to 25 with commas between."
        super().__init__(**{"required": False, "max_length": 4096, "help_text": told} | options)

    def to_internal_value(self, data: Any) -> Any:
        words = [word.strip() for word in super().to_internal_value(data).split(",")]
        known = [word for word in words if word]
        if len(known) > _LISTED_MAX:
            raise serializers.ValidationError(f"must be at most {_LISTED_MAX} words", code="too_many")
        return known


class LogQuery(WirePageQuery):
    """Which entries; filters narrow together. Both ends of the time are included."""

    tenant_id = Text(max_length=63, required=False, help_text="A tenant. Left out, or __admin__: the platform's own.")
    key_id = Text(max_length=128, required=False)
    operation = _Words()
    resource_type = _Words()
    resource_id = Text(max_length=1024, required=False)
    status = Integer(required=False)
    status_min = Integer(min_value=_STATUS_MIN, max_value=_STATUS_MAX, required=False)
    status_max = Integer(min_value=_STATUS_MIN, max_value=_STATUS_MAX, required=False)
    error_code = _Words(help_text="No entry has one, so this finds none.")
    error_code_exclude = _Words(help_text="No entry has one, so this leaves none out.")
    to = serializers.DateTimeField(required=False)
    search = Text(max_length=128, required=False, help_text="A part of resource_id, log_id or operation.")
    trace_id = serializers.RegexField(r"^[0-9a-f]{32}\Z", required=False)
    request_id = Text(max_length=128, required=False)
    sort_by = OneOf(choices=list(_ORDERS), default="timestamp")
    sort_dir = OneOf(
        choices=["asc", "desc"],
        default="desc",
        help_text="By timestamp and asc, every page has a next_cursor, and behind the last one comes what is new.",
    )

    def get_fields(self) -> dict[str, Any]:
        # A word of Python's, so it cannot be an attribute.
        return super().get_fields() | {"from": serializers.DateTimeField(required=False)}


class LogPageFields(Fields):
    logs = LogFields(many=True)
    next_cursor = serializers.CharField(required=False)
    has_more = serializers.BooleanField()


class AuditLogs(KeyedView):
    refusals = REFUSALS

    @described(
        name="list_audit_logs",
        summary="The audit trail of the platform or of one tenant: who did what, and why",
        tag="audit",
        query=LogQuery,
        answer=LogPageFields,
    )
    def get(self, request: Request) -> Response:
        query = self.query(LogQuery)
        _require_sense(query)
        if self.caller.key.scope_filter:
            raise scope_forbidden()
        owner = _owner(query.get("tenant_id", _PLATFORM.tenant_id))
        if owner is None:
            return Response({"logs": [], "has_more": False})
        with in_schema_of(owner):
            rows, cursor, has_more = _page(query, owner)
            names = names_of_keys(rows, and_platform=not owner.is_platform)
        facts: dict[str, Any] = {
            "logs": [log_facts(entry, tenant_id=owner.tenant_id, names=names) for entry in rows],
            "has_more": has_more,
        }
        return Response(facts | ({} if cursor is None else {"next_cursor": cursor}))


def _require_sense(query: dict[str, Any]) -> None:
    """Refuses with 400 bounds that contradict each other."""
    low, high = query.get("status_min"), query.get("status_max")
    if "status" in query and (low is not None or high is not None):
        raise invalid_request("status goes without status_min and status_max.", field="status")
    if low is not None and high is not None and low > high:
        raise invalid_request("status_min must not be above status_max.", field="status_min")
    require_order(query, "from", "to")


def _owner(tenant_id: str) -> Owner | None:
    """Whose trail; None where nobody has that name, so that nothing is found."""
    if tenant_id == _PLATFORM.tenant_id:
        return _PLATFORM
    tenant = tenant_by_slug(tenant_id)
    return None if tenant is None or not tenant.has_books else Owner(tag=tenant.tag, tenant_id=tenant.slug)


def _page(query: dict[str, Any], owner: Owner) -> "tuple[list[AuditEntry], str | None, bool]":
    """The entries, the cursor behind them, and whether more are there."""
    order, is_descending = _ORDERS[query["sort_by"]], query["sort_dir"] == "desc"
    filters = {name: str(value) for name, value in query.items() if name not in {"limit", "cursor"}}
    binding = ["audit", filters]
    found = _matching(query)
    if query["sort_by"] == "timestamp" and not is_descending:
        feed = feed_of(found, query=query, tag=owner.tag, binding=binding)
        return feed.rows, feed.next_cursor, feed.has_more
    page = page_of(found, order=order, descending=is_descending, query=query, tag=owner.tag, binding=binding)
    return page.rows, page.next_cursor, page.next_cursor is not None


def _matching(query: dict[str, Any]) -> "QuerySet[AuditEntry]":
    lowest, highest = query.get("status_min", _STATUS_MIN), query.get("status_max", _STATUS_MAX)
    is_status = query.get("status", DONE) == DONE and lowest <= DONE <= highest
    found = log_entries(
        LogFilter(
            key_id=query.get("key_id", ""),
            operations=query.get("operation", ()),
            resource_types=query.get("resource_type", ()),
            resource_id=query.get("resource_id", ""),
            trace_id=query.get("trace_id", ""),
            request_id=query.get("request_id", ""),
            search=query.get("search", ""),
            since=query.get("from"),
            until=last_of_wire_time(query["to"]) if "to" in query else None,
        )
    )
    return found if is_status and not query.get("error_code") else found.none()
