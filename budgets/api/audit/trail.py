"""`GET /api/v1/tenants/<slug>/audit`: a tenant's audit trail with the search of the console's page."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.keys.api.views import answer
from budgets.api.audit.facts import names_of_keys
from budgets.api.audit.feed import feed_of
from budgets.api.management.pages import PageFields, PageQuery, page_of
from budgets.api.management.views import TenantView
from kernel.http.described import described
from kernel.http.errors import require_order
from kernel.http.serialized import Fields, FreeObject, OneOf, Text
from telemetry.selectors.trail import TrailFilter, trail_entries

if TYPE_CHECKING:
    from telemetry.models import AuditEntry

_LENGTH_MAX: Final = 200
_FIELDS: Final = ("actor", "action", "target", "reason", "reference", "since", "until")


class TrailQuery(PageQuery):
    """Which entries. Words are found anywhere, in either case; `until` is not included."""

    actor = Text(max_length=_LENGTH_MAX, required=False)
    action = Text(max_length=_LENGTH_MAX, required=False)
    target = Text(max_length=_LENGTH_MAX, required=False)
    reason = Text(max_length=_LENGTH_MAX, required=False)
    reference = Text(max_length=_LENGTH_MAX, required=False, help_text="A request's or a trace's id, whole.")
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)
    sort_dir = OneOf(
        choices=["asc", "desc"],
        default="desc",
        help_text="By time. With asc every page has a next_cursor, and behind the last one comes what is new.",
    )


class TrailEntryFields(Fields):
    """Who did what to what, and why. Names are those of keys."""

    entry_id = serializers.UUIDField()
    at = serializers.DateTimeField()
    actor = serializers.CharField()
    actor_type = serializers.CharField()
    key_name = serializers.CharField(allow_null=True)
    action = serializers.CharField()
    target = serializers.CharField()
    target_name = serializers.CharField(allow_null=True)
    reason = serializers.CharField()
    before = FreeObject(allow_null=True)
    after = FreeObject(allow_null=True)
    source_ip = serializers.CharField(allow_null=True)
    request_id = serializers.CharField(allow_null=True)
    trace_id = serializers.CharField(allow_null=True)


class TrailPageFields(PageFields):
    entries = TrailEntryFields(many=True)


class Trail(TenantView):
    @described(
        name="list_audit_entries",
        summary="The tenant's audit trail, the newest first",
        tag="audit",
        query=TrailQuery,
        answer=TrailPageFields,
        refusals={404: "NOT_FOUND: no such tenant."},
    )
    def get(self, request: Request, slug: str) -> Response:
        query = self.query(TrailQuery)
        require_order(query, "since", "until")
        with self.reading(slug) as tenant:
            # Who may see a part of the books alone does not see who did what to all of them.
            self.require_whole_tenant()
            wanted = {name: query[name] for name in _FIELDS if name in query}
            found = trail_entries(TrailFilter(**wanted))
            binding = ["audit", query["sort_dir"], {name: str(value) for name, value in wanted.items()}]
            more: dict[str, Any]
            if query["sort_dir"] == "asc":
                feed = feed_of(found, query=query, tag=tenant.tag, binding=binding)
                rows, more = feed.rows, {"next_cursor": feed.next_cursor, "has_more": feed.has_more}
            else:
                order = ("at", "id")
                page = page_of(found, order=order, descending=True, query=query, tag=tenant.tag, binding=binding)
                rows, more = page.rows, {"next_cursor": page.next_cursor, "has_more": page.next_cursor is not None}
            names = names_of_keys(rows, and_platform=self.caller.is_platform)
        return answer(TrailPageFields, {"entries": [_facts(entry, names) for entry in rows]} | more)


def _facts(entry: "AuditEntry", names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "entry_id": entry.id,
        "key_name": names.get(entry.actor),
        "target_name": names.get(entry.target),
        **{name: getattr(entry, name) for name in ("at", "actor", "actor_type", "action", "target", "reason")},
        **{name: getattr(entry, name) for name in ("before", "after")},
        **{name: getattr(entry, name) or None for name in ("source_ip", "request_id", "trace_id")},
    }
