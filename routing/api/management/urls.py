"""Addresses of what routes, prices and rules are made of, below `/api/v1/`."""

from django.urls import path, register_converter
from django.urls.converters import StringConverter

from budgets.services.policies import PolicyKind
from routing.api.management.effective_limits import EffectiveLimits
from routing.api.management.planner import Planner
from routing.api.management.plans import Plans, PlanVersions
from routing.api.management.policies import OnePolicy, Policies, PolicyRestore, PolicyVersions
from routing.api.management.policy_trial import PolicyTrial
from routing.api.management.pools import Pools
from routing.api.management.repricing import ChargeRepricing
from routing.api.management.router import Router, RouterClassification, RouterLabels, RouterTraining
from routing.api.management.shadow import ShadowEnforcement
from routing.api.management.subscription import OneSubscription, SubscriptionPreview


class PolicyKindName(StringConverter):
    """A kind of policy; anything else is no address of ours."""

    regex = "|".join(PolicyKind.values)

    def to_python(self, value: str) -> PolicyKind:
        return PolicyKind(value)


register_converter(PolicyKindName, "policy_kind")

# `name` and `seq` are registered beside the addresses of the books.
_TENANT = "tenants/<name:slug>"
_POLICY = f"{_TENANT}/policies/<policy_kind:kind>"

urlpatterns = [
    path(f"{_TENANT}/shadow/enforce", ShadowEnforcement.as_view(), name="shadow_enforcement"),
    path(f"{_TENANT}/router", Router.as_view(), name="router"),
    path(f"{_TENANT}/router/labels", RouterLabels.as_view(), name="router_labels"),
    path(f"{_TENANT}/router/train", RouterTraining.as_view(), name="router_training"),
    path(f"{_TENANT}/router/classify", RouterClassification.as_view(), name="router_classification"),
    path("pools", Pools.as_view(), name="pools"),
    path("plans", Plans.as_view(), name="plans"),
    path("plans/<name:code>", PlanVersions.as_view(), name="plan_versions"),
    path("planner", Planner.as_view(), name="planner"),
    path(f"{_TENANT}/subscription", OneSubscription.as_view(), name="subscription"),
    path(f"{_TENANT}/subscription/preview", SubscriptionPreview.as_view(), name="subscription_preview"),
    path(f"{_TENANT}/effective-limits", EffectiveLimits.as_view(), name="effective_limits"),
    path(f"{_TENANT}/policies", Policies.as_view(), name="policies"),
    path(f"{_TENANT}/policies/tools/test", PolicyTrial.as_view(), name="policy_trial"),
    path(_POLICY, OnePolicy.as_view(), name="policy"),
    path(f"{_POLICY}/versions", PolicyVersions.as_view(), name="policy_versions"),
    path(f"{_POLICY}/versions/<seq:version>/restore", PolicyRestore.as_view(), name="policy_restore"),
    path(f"{_TENANT}/ledger/<seq:seq>/reprice", ChargeRepricing.as_view(), name="charge_repricing"),
]
