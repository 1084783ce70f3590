"""Alerts over the management API: listed by page and scope, and resolved once."""

from typing import Any

import pytest

from budgets.models import Alert
from budgets.models.choices import AlertKind, AlertState, Severity
from budgets.services.alert_findings import Finding
from budgets.services.alerts import clear_alert, raise_alert
from kernel.tenancy import in_tenant
from telemetry.models import AuditEntry
from tenants.models import Tenant
from tests.support.management import as_platform, as_tenant

LIST = "tenants/acme/alerts"


def found(tenant: Tenant, subject: str, scope: str = "") -> str:
    """The id of a new alert."""
    finding = Finding(
        kind=AlertKind.EVIDENCE_LEAK,
        subject=subject,
        period="p",
        severity=Severity.WARNING,
        summary=f"Something about {subject}.",
        scope_path=scope,
    )
    raise_alert(tag=tenant.tag, finding=finding)
    with in_tenant(tenant.tag):
        return str(Alert.objects.get(subject=subject).pk)


class TestAlerts:
    def test_are_listed_the_newest_first_page_by_page(self, acme: Tenant) -> None:
        ids = [found(acme, subject) for subject in ("a", "b", "c")]
        key = as_tenant(acme)

        first = key.get(f"{LIST}?limit=2").json()
        second = key.get(f"{LIST}?limit=2&cursor={first['next_cursor']}").json()

        assert [each["alert_id"] for each in (*first["alerts"], *second["alerts"])] == ids[::-1]
        assert (first["has_more"], second["has_more"]) == (True, False)
        assert first["alerts"][0]["severity"] == "WARNING"

    def test_are_those_of_the_keys_own_scopes(self, acme: Tenant) -> None:
        found(acme, "a", "tenant:acme/workspace:prod")
        other = found(acme, "b", "tenant:acme/workspace:test")
        key = as_tenant(acme, scopes=["tenant:acme/workspace:prod"])

        assert [each["summary"] for each in key.get(LIST).json()["alerts"]] == ["Something about a."]
        assert key.post(f"{LIST}/{other}/resolve", {"reason": "mine"}).status_code == 404

    def test_are_resolved_once_with_a_reason(self, acme: Tenant) -> None:
        address = f"{LIST}/{found(acme, 'a')}/resolve"
        key = as_tenant(acme)

        answers: list[Any] = [key.post(address, {"reason": reason}) for reason in ("done", "again")]

        assert [each.json()["is_changed"] for each in answers] == [True, False]
        (ended,) = key.get(f"{LIST}?alert_state=ended").json()["alerts"]
        assert (ended["state"], ended["end_reason"]) == (AlertState.RESOLVED, "done")
        with in_tenant(acme.tag):
            assert AuditEntry.objects.get(action="alert.resolved").reason == "done"

    def test_that_recovered_are_not_resolved(self, acme: Tenant) -> None:
        address = f"{LIST}/{found(acme, 'a')}/resolve"
        clear_alert(tag=acme.tag, kind=AlertKind.EVIDENCE_LEAK, subject="a")

        assert as_tenant(acme).post(address, {"reason": "late"}).status_code == 409

    @pytest.mark.parametrize("slug", ["initech", "nobody"])
    def test_of_another_tenant_are_as_unknown_as_none(self, acme: Tenant, initech: Tenant, slug: str) -> None:
        assert as_tenant(acme).get(f"tenants/{slug}/alerts").status_code == 404
        assert as_platform().get("tenants/initech/alerts").status_code == 200
