"""A tenant's policies over the management API: what is in force, its versions, and going back to one.

Operators write them, because a policy may widen what the plan gives; a tenant reads its own.
"""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.keys.api.views import answer
from budgets.api.management.fields import NeededReasonFields
from budgets.api.management.views import TenantView
from budgets.selectors.policies import newest_policies, newest_policy, policy_versions
from budgets.services.policies import NewPolicy, PolicyKind
from kernel.http.described import described
from kernel.http.serialized import Fields, FreeObject, Integer, OneOf, ReasonFields
from routing.api.management.refusals import RULE_REFUSALS
from routing.services.policy_saving import put_policy, put_policy_back

_TAG = "policies"
_NOT_FOUND = "NOT_FOUND: no such tenant, or no such policy."
_CONFLICT = "Somebody saved another version meanwhile, or TENANT_CLOSED."


class PolicyFields(Fields):
    """One version of a policy. Version 0 with an empty document: nothing was ever decided, and the plan's own holds."""

    kind = OneOf(choices=list(PolicyKind))
    version = serializers.IntegerField()
    document = FreeObject()
    reason = serializers.CharField()
    actor = serializers.CharField()
    created_at = serializers.DateTimeField(allow_null=True)


class PolicyListFields(Fields):
    policies = PolicyFields(many=True)


class NewPolicyFields(NeededReasonFields):
    """The next version. An empty document goes back to what the plan says."""

    document = FreeObject(
        help_text="Of limits: limits, run, rate, priority, on_exhaustion, share_weight, models. Of tools: default,"
        " rules. Of actions: policies, risk_classes. Of routing: tiers, fallbacks, classes, default_class, models,"
        " low_water, hint_confidence_min_ppm. Of shadow: is_on, checks, scopes. Of router_switch: is_on, tier."
    )
    based_on = Integer(
        required=False, help_text="The version that you saw, 0 for none: refused if there is a newer one by now."
    )


class PolicyView(TenantView):
    """Policies are the whole tenant's, so a key confined to scopes does not read them."""

    http_method_names = ["get", "head", "post", "put"]
    refusals = RULE_REFUSALS


class Policies(PolicyView):
    @described(
        name="list_policies",
        summary="What is in force, one of each kind",
        tag=_TAG,
        answer=PolicyListFields,
        refusals={404: "NOT_FOUND: no such tenant."},
    )
    def get(self, request: Request, slug: str) -> Response:
        self.tenant(slug)
        self.require_whole_tenant()
        with self.reading(slug):
            newest = newest_policies()
        return answer(PolicyListFields, {"policies": [_facts(kind, newest.get(kind)) for kind in PolicyKind]})


class OnePolicy(PolicyView):
    @described(
        name="get_policy",
        summary="What is in force",
        tag=_TAG,
        answer=PolicyFields,
        refusals={404: _NOT_FOUND},
    )
    def get(self, request: Request, slug: str, kind: PolicyKind) -> Response:
        self.tenant(slug)
        self.require_whole_tenant()
        with self.reading(slug):
            newest = newest_policy(kind)
        return answer(PolicyFields, _facts(kind, newest))

    @described(
        name="save_policy",
        summary="The version that is in force now. The same document again is the same version",
        tag=_TAG,
        body=NewPolicyFields,
        answer=PolicyFields,
        refusals={404: _NOT_FOUND, 409: _CONFLICT},
    )
    def put(self, request: Request, slug: str, kind: PolicyKind) -> Response:
        values = self.body(NewPolicyFields)
        line = self.tenant_with_books(slug)
        new = NewPolicy(
            kind=kind, document=values["document"], reason=values["reason"], based_on=values.get("based_on")
        )
        actor = self.actor(reason=values["reason"], on_behalf=True)
        return answer(PolicyFields, _facts(kind, put_policy(tag=line.tag, slug=slug, new=new, actor=actor)))


class PolicyVersions(PolicyView):
    @described(
        name="list_policy_versions",
        summary="The newest 200 versions, the newest first",
        tag=_TAG,
        answer=PolicyListFields,
        refusals={404: _NOT_FOUND},
    )
    def get(self, request: Request, slug: str, kind: PolicyKind) -> Response:
        self.tenant(slug)
        self.require_whole_tenant()
        with self.reading(slug):
            versions = [_facts(kind, version) for version in policy_versions(kind)]
        return answer(PolicyListFields, {"policies": versions})


class PolicyRestore(PolicyView):
    @described(
        name="restore_policy",
        summary="The new version, which says what the earlier one said",
        tag=_TAG,
        body=ReasonFields,
        answer=PolicyFields,
        refusals={404: "NOT_FOUND: no such tenant, policy or version.", 409: _CONFLICT},
    )
    def post(self, request: Request, slug: str, kind: PolicyKind, version: int) -> Response:
        values = self.body(ReasonFields)
        line = self.tenant_with_books(slug)
        actor = self.actor(reason=values["reason"], on_behalf=True)
        restored = put_policy_back(
            tag=line.tag, slug=slug, kind=kind, version=version, reason=values["reason"], actor=actor
        )
        return answer(PolicyFields, _facts(kind, restored))


def _facts(kind: PolicyKind, version: Any) -> dict[str, Any]:
    if version is None:
        return {"kind": kind, "version": 0, "document": {}, "reason": "", "actor": "", "created_at": None}
    names = ("kind", "version", "document", "reason", "actor", "created_at")
    return {name: getattr(version, name) for name in names}
