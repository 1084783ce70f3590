"""The action policies as decisions read them."""

from typing import Any

from msgspec import UNSET

from budgets.services.action_policy import ActionPolicy, ActionQuota, CallQuota, Policy, RiskClassQuota
from budgets.services.scope_patterns import scope_regex


def action_rules(actions: ActionPolicy, *, slug: str) -> dict[str, Any]:
    """`actions` of the ruleset. A quota's id names its counter, so it stays the same while the quota is the same."""
    quotas = [quota for policy in actions.policies for quota in _quotas(policy, slug)]
    return {
        "risk_classes": {kind: str(risk) for kind, risk in actions.classes.items()},
        "policies": [
            {"id": policy.id}
            | _scope(policy, slug)
            | {"allowed": list(policy.allowed_action_kinds), "denied": list(policy.denied_action_kinds)}
            for policy in actions.policies
        ],
        "quotas": quotas,
    }


def _quotas(policy: Policy, slug: str) -> list[dict[str, Any]]:
    scope = _scope(policy, slug)
    return [_of_kind(policy, quota) | scope for quota in policy.action_quotas] + [
        _of_class(policy, quota) | scope for quota in policy.risk_class_quotas
    ]


def _of_kind(policy: Policy, quota: ActionQuota) -> dict[str, Any]:
    named = {name: list(values) for name, values in quota.lists.items()}
    # Two quotas of one kind and window differ in what they are for.
    narrowed = "".join(f"/{name}={','.join(values)}" for name, values in named.items())
    quota_id = f"{policy.id}/{quota.action_kind}/{quota.window}{narrowed}"
    return {"id": quota_id, "policy_id": policy.id, "kind": quota.action_kind} | _count(quota) | named


def _of_class(policy: Policy, quota: RiskClassQuota) -> dict[str, Any]:
    quota_id = f"{policy.id}/risk:{quota.risk_class}/{quota.window}"
    return {"id": quota_id, "policy_id": policy.id, "risk_class": str(quota.risk_class)} | _count(quota)


def _count(quota: CallQuota) -> dict[str, Any]:
    count: dict[str, Any] = {
        "window": str(quota.window),
        "limit": quota.max_calls,
        "threshold": quota.threshold,
    }
    if quota.per_run_counter_ttl_ms is not UNSET:
        count["run_ttl_ms"] = quota.per_run_counter_ttl_ms
    return count


def _scope(policy: Policy, slug: str) -> dict[str, str]:
    return {} if policy.scope_pattern == "*" else {"scope": scope_regex(policy.scope_pattern, slug=slug)}
