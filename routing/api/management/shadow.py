"""Ending shadow mode over the management API."""

from typing import ClassVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.keys.api.views import Refusals, answer
from budgets.api.management.fields import NeededReasonFields
from budgets.api.management.refusals import conflict
from budgets.api.management.views import TenantView
from budgets.services.shadow import NotInShadow
from kernel.http.described import described
from kernel.http.serialized import Fields, FreeObject
from routing.api.management.refusals import RULE_REFUSALS
from routing.services.shadow_end import end_shadow


class EnforceFields(NeededReasonFields):
    enforce_from = serializers.DateTimeField(required=False, help_text="From the next decision on, when left out.")


class ShadowPolicyFields(Fields):
    """The version of the shadow policy that says so."""

    version = serializers.IntegerField()
    document = FreeObject()


class ShadowEnforcement(TenantView):
    refusals: ClassVar[Refusals] = {
        **RULE_REFUSALS,
        NotInShadow: lambda _: conflict("Nothing is in shadow mode: everything is enforced already."),
    }

    @described(
        name="end_shadow_mode",
        summary="The shadow policy; what was only written down is refused from then on",
        tag="shadow mode",
        body=EnforceFields,
        answer=ShadowPolicyFields,
        refusals={404: "NOT_FOUND: no such tenant.", 409: "Nothing is in shadow mode, or TENANT_CLOSED."},
    )
    def post(self, request: Request, slug: str) -> Response:
        values = self.body(EnforceFields)
        tag = self.tenant_with_books(slug).tag
        self.require_whole_tenant()
        actor = self.actor(reason=values["reason"], on_behalf=True)
        version = end_shadow(tag=tag, moment=values.get("enforce_from"), reason=values["reason"], actor=actor)
        return answer(ShadowPolicyFields, {"version": version.version, "document": version.document})
