"""Tenants over the management API: for operators, and for a tenant that looks at itself."""

from datetime import UTC, datetime
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.keys.api.views import answer
from budgets.api.cursors import mint_cursor, read_cursor
from budgets.api.management.fields import NeededReasonFields, StopTenantFields
from budgets.api.management.pages import PageFields, PageQuery
from budgets.api.management.views import TenantView
from budgets.models.choices import TenantStatus
from budgets.selectors.standing import extensions_max, standing
from budgets.services.lifecycle import Standing, close_tenant, create_tenant, resume_tenant, suspend_tenant
from budgets.services.tenant_terms import Terms, set_terms
from kernel.http.described import described
from kernel.http.errors import invalid_request
from kernel.http.serialized import Fields, Integer, OneOf, ReasonFields, Text
from kernel.ids import PLATFORM_TAG
from tenants.selectors.directory import TenantLine, directory_page
from tenants.selectors.plans import latest_plan
from tenants.services.provisioning import NewTenant

_TAG = "tenants"
_NOT_FOUND = "NOT_FOUND: no such tenant, or not the key's own."
_CLOSED = "TENANT_CLOSED: a closed tenant stays closed. Or it was not made to the end."
#: As many as the books can keep.
_EXTENSIONS_MAX = 2**15 - 1
_STATUSES = ["PROVISIONING", *TenantStatus.values]


class TenantFields(Fields):
    """A tenant. `status` is what its own books say, in a list what the directory says."""

    slug = serializers.CharField()
    name = serializers.CharField()
    status = OneOf(choices=_STATUSES)
    time_zone = serializers.CharField()
    plan = serializers.CharField(allow_null=True)
    plan_version = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)


class TenantDetailFields(TenantFields):
    """A tenant, with what its own books say of it."""

    extensions_max = Integer(
        allow_null=True, help_text="How often one reservation may be extended; null while the tenant is being made."
    )


class TenantEditFields(ReasonFields):
    extensions_max = Integer(
        max_value=_EXTENSIONS_MAX, help_text="How often one reservation may be extended, from the next call on."
    )


class TenantPageFields(PageFields):
    tenants = TenantFields(many=True)


class TenantQuery(PageQuery):
    """Which tenants."""

    search = Text(max_length=256, required=False, help_text="A part of the slug or of the name.")
    status = OneOf(choices=_STATUSES, required=False)


class NewTenantFields(Fields):
    slug = Text(max_length=63, help_text="a-z 0-9 _ . -; the first segment of every scope path, for good.")
    name = Text(max_length=256)
    time_zone = Text(max_length=64, default="UTC", help_text="Where its days begin, like Europe/Berlin.")
    plan = Text(max_length=64, required=False, help_text="The code of a plan, whose latest version it starts on.")
    reason = Text(max_length=512, default="", allow_blank=True)


class StandingFields(Fields):
    """What became of the tenant."""

    tenant = TenantFields()
    is_changed = serializers.BooleanField(help_text="False where it was so already.")
    holds_released = serializers.IntegerField()


class TenantStateView(TenantView):
    def current_facts(self, slug: str) -> dict[str, Any]:
        """The directory's line with the status that counts, the one in the tenant's own books."""
        line = self.tenant(slug)
        return _facts(line) | ({"status": standing(line.tag)} if line.has_books else {})

    def detail(self, slug: str, *, status: int = 200) -> Response:
        line = self.tenant(slug)
        terms = {"extensions_max": extensions_max(line.tag) if line.has_books else None}
        return answer(TenantDetailFields, self.current_facts(slug) | terms, status=status)


class Tenants(TenantStateView):
    @described(name="list_tenants", summary="Tenants by slug", tag=_TAG, query=TenantQuery, answer=TenantPageFields)
    def get(self, request: Request) -> Response:
        query = self.query(TenantQuery)
        search, status = query.get("search", ""), query.get("status")
        binding = f"tenants\0{search}\0{status}".encode()
        cursor = query.get("cursor")
        after = read_cursor(cursor, tag=PLATFORM_TAG, binding=binding)[0] if cursor is not None else ""
        page = directory_page(search=search, status=status, after=str(after), limit=query["limit"])
        next_cursor = (
            mint_cursor([page.next_after], tag=PLATFORM_TAG, binding=binding) if page.next_after is not None else None
        )
        facts = {
            "tenants": [_facts(line) for line in page.tenants],
            "next_cursor": next_cursor,
            "has_more": next_cursor is not None,
        }
        return answer(TenantPageFields, facts)

    @described(
        name="create_tenant",
        summary="The new tenant, holding what its plan gives. Repeated, one that was cut off is completed",
        tag=_TAG,
        body=NewTenantFields,
        answer=TenantDetailFields,
        status=201,
        refusals={409: "Another tenant has the slug, or had it."},
    )
    def post(self, request: Request) -> Response:
        values = self.body(NewTenantFields)
        plan = latest_plan(values["plan"]) if "plan" in values else None
        if plan is None and "plan" in values:
            raise invalid_request("plan must be the code of a plan.", field="plan")
        new = NewTenant(slug=values["slug"], name=values["name"], time_zone=values["time_zone"], plan=plan)
        actor = self.actor(reason=values["reason"], on_behalf=True)
        tenant = create_tenant(new, now=datetime.now(UTC), actor=actor)
        return self.detail(tenant.slug, status=201)


class OneTenant(TenantStateView):
    @described(name="get_tenant", summary="The tenant", tag=_TAG, answer=TenantDetailFields, refusals={404: _NOT_FOUND})
    def get(self, request: Request, slug: str) -> Response:
        return self.detail(slug)

    @described(
        name="update_tenant",
        summary="The tenant on its new terms. Safe to repeat",
        tag=_TAG,
        body=TenantEditFields,
        answer=TenantDetailFields,
        refusals={404: _NOT_FOUND, 409: _CLOSED},
    )
    def patch(self, request: Request, slug: str) -> Response:
        values = self.body(TenantEditFields)
        actor = self.actor(reason=values["reason"], on_behalf=True)
        terms = Terms(extensions_max=values["extensions_max"])
        set_terms(tag=self.tenant_with_books(slug).tag, terms=terms, actor=actor)
        return self.detail(slug)


class TenantSuspend(TenantStateView):
    @described(
        name="suspend_tenant",
        summary="The tenant, which takes no new work. Safe to repeat",
        tag=_TAG,
        body=StopTenantFields,
        answer=StandingFields,
        refusals={404: _NOT_FOUND, 409: _CLOSED},
    )
    def post(self, request: Request, slug: str) -> Response:
        values = self.body(StopTenantFields)
        actor = self.actor(reason=values["reason"], on_behalf=True)
        tag = self.tenant_with_books(slug).tag
        change = suspend_tenant(tag=tag, cancel_holds=values["cancel_holds"], actor=actor)
        return answer(StandingFields, _standing(self.current_facts(slug), change))


class TenantResume(TenantStateView):
    @described(
        name="resume_tenant",
        summary="The tenant, which works again. Safe to repeat",
        tag=_TAG,
        body=ReasonFields,
        answer=StandingFields,
        refusals={404: _NOT_FOUND, 409: _CLOSED},
    )
    def post(self, request: Request, slug: str) -> Response:
        values = self.body(ReasonFields)
        actor = self.actor(reason=values["reason"], on_behalf=True)
        change = resume_tenant(tag=self.tenant_with_books(slug).tag, actor=actor)
        return answer(StandingFields, _standing(self.current_facts(slug), change))


class TenantClose(TenantStateView):
    @described(
        name="close_tenant",
        summary="The tenant, closed for good: holds released, budgets closed, keys revoked. Safe to repeat",
        tag=_TAG,
        body=NeededReasonFields,
        answer=StandingFields,
        refusals={404: _NOT_FOUND, 409: "It was not made to the end."},
    )
    def post(self, request: Request, slug: str) -> Response:
        values = self.body(NeededReasonFields)
        actor = self.actor(reason=values["reason"], on_behalf=True)
        change = close_tenant(tag=self.tenant_with_books(slug).tag, actor=actor)
        return answer(StandingFields, _standing(self.current_facts(slug), change))


def _facts(line: TenantLine) -> dict[str, Any]:
    names = ("slug", "name", "status", "time_zone", "plan", "plan_version", "created_at", "closed_at")
    return {name: getattr(line, name) for name in names}


def _standing(tenant: dict[str, Any], change: Standing) -> dict[str, Any]:
    return {"tenant": tenant, "is_changed": change.is_changed, "holds_released": change.holds_released}
