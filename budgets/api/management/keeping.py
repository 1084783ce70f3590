"""For how long a tenant's rows are kept, over the management API: operators say it, the tenant reads it."""

from typing import Any, Final

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.keys.api.views import answer
from budgets.api.management.fields import NeededReasonFields
from budgets.api.management.views import TenantView
from budgets.models import KeptKind
from budgets.selectors.keeping import KeptFrom
from budgets.services.keeping_terms import DAYS_MAX, DaysOutOfRange, drop_keeping, set_keeping
from budgets.services.kept_rows import KeptRows, kept_rows
from kernel.http.described import described
from kernel.http.errors import invalid_request
from kernel.http.serialized import Fields, Integer, OneOf
from kernel.ids import Tag
from telemetry.archive_kinds import ArchiveKind
from tenants.selectors.keeping_visits import last_visit

_TAG: Final = "retention"
_DAYS, _FOREVER, _PLAN = "days", "forever", "plan"


class KeptRowsFields(Fields):
    """One kind of rows: for how long it is really kept, and what was archived of it before it went."""

    kind = OneOf(choices=ArchiveKind.values)
    days = Integer(allow_null=True, help_text="Null for ever.")
    comes_from = OneOf(
        choices=[origin.value for origin in KeptFrom], help_text="Who said so: the tenant's own term goes first."
    )
    days_otherwise = Integer(allow_null=True, help_text="What counts without a term of the tenant's own.")
    days_min = Integer(help_text="So long rows are kept whatever is said.")
    can_differ = serializers.BooleanField(help_text="Whether the tenant may have a term of its own.")
    files = Integer(help_text="Archive files so far.")
    rows = Integer(help_text="Rows in them.")
    last_file = serializers.CharField(help_text="Empty before the first.")
    archived_until = serializers.DateTimeField(allow_null=True, help_text="All that is in them is from before.")
    archived_at = serializers.DateTimeField(allow_null=True, help_text="When the last one was written.")


class KeepingFields(Fields):
    """All kinds of rows that are archived before they go, and the worker's last look for old ones."""

    kinds = KeptRowsFields(many=True)
    visited_at = serializers.DateTimeField(allow_null=True)
    trouble = serializers.CharField(
        required=False, help_text="Why the last look could not archive all; empty where it could. For operators only."
    )


class KeepingEditFields(NeededReasonFields):
    """The term of one kind. It counts from the worker's next look on."""

    kind = OneOf(choices=KeptKind.values)
    keep = OneOf(choices=[_DAYS, _FOREVER, _PLAN], help_text="So many `days`, `forever`, or again as the `plan` says.")
    days = Integer(required=False, min_value=1, max_value=DAYS_MAX, help_text="With `days`, and only then.")


class Keeping(TenantView):
    @described(
        name="get_keeping",
        summary="For how long the tenant's rows are kept, who said so, and what was archived",
        tag=_TAG,
        answer=KeepingFields,
        refusals={404: "NOT_FOUND: no such tenant."},
    )
    def get(self, request: Request, slug: str) -> Response:
        self.tenant(slug)
        self.require_whole_tenant()
        return self._answer(self.tenant_with_books(slug).tag)

    @described(
        name="update_keeping",
        summary="For how long the tenant's rows are kept now. Safe to repeat",
        tag=_TAG,
        body=KeepingEditFields,
        answer=KeepingFields,
        refusals={404: "NOT_FOUND: no such tenant.", 409: "The tenant was not made to the end."},
    )
    def patch(self, request: Request, slug: str) -> Response:
        values = self.body(KeepingEditFields)
        tag, kind, keep = self.tenant_with_books(slug).tag, KeptKind(values["kind"]), values["keep"]
        if (keep == _DAYS) != ("days" in values):
            raise invalid_request("days must be there when keep is days, and only then.", field="days")
        actor = self.actor(reason=values["reason"], on_behalf=True)
        try:
            if keep == _PLAN:
                drop_keeping(tag=tag, kind=kind, actor=actor)
            else:
                set_keeping(tag=tag, kind=kind, days=values.get("days"), actor=actor)
        except DaysOutOfRange as error:
            raise invalid_request(str(error), field="days") from None
        return self._answer(tag)

    def _answer(self, tag: Tag) -> Response:
        visit = last_visit(tag)
        facts = {"kinds": [_facts(rows) for rows in kept_rows(tag)], "visited_at": visit.visited_at}
        # It may name folders and the like of the installation.
        trouble = {"trouble": visit.trouble} if self.caller.is_platform else {}
        return answer(KeepingFields, facts | trouble)


def _facts(rows: KeptRows) -> dict[str, Any]:
    return {
        "kind": rows.kind,
        "days": rows.days,
        "comes_from": rows.origin,
        "days_otherwise": rows.otherwise.days,
        "days_min": rows.days_min,
        "can_differ": rows.can_differ,
        "files": rows.archived.files,
        "rows": rows.archived.rows,
        "last_file": rows.archived.last,
        "archived_until": rows.archived.until_at,
        "archived_at": rows.archived.made_at,
    }
