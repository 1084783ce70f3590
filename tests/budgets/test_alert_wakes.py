"""Alerts come although nothing moves: nobody is forgotten between two looks, and many cost little more than one."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from budgets.models import Alert
from budgets.models.choices import AlertKind, AlertState, Severity
from budgets.services import alert_watch, visits
from budgets.services.alert_acts import snooze_alert
from budgets.services.alert_findings import Finding
from budgets.services.alert_rules import drop_budget_rule, set_rule
from budgets.services.alerts import raise_alert, settle_findings
from budgets.services.visits import visit_books
from kernel.tenancy import in_public, in_tenant
from telemetry.evidence.kinds import NoteKind
from telemetry.evidence.models import EvidenceNote
from telemetry.models import OutboxEvent
from tenants.models import Tenant, TenantStanding
from tenants.services import standing
from tests.support.books import TEST_ACTOR, Books
from tests.support.console import noted
from tests.support.owner import as_owner


@pytest.fixture
def books(acme: Tenant) -> Books:
    standing.enrol_tenants()
    return Books(acme)


def revisit_at(books: Books) -> datetime | None:
    with in_public():
        return TenantStanding.objects.get(tag=books.tenant.tag).revisit_at


def finding(number: int = 0) -> Finding:
    words = f"The books differ in {number}."
    kind = AlertKind.LEDGER_DIFFERENCE
    return Finding(kind=kind, subject=f"books:{number}", period="", severity=Severity.CRITICAL, summary=words)


class TestSnooze:
    def test_of_an_idle_tenants_alert_ends_in_time(self, books: Books) -> None:
        noted(books)
        raise_alert(tag=books.tenant.tag, finding=finding())
        assert revisit_at(books) is None
        with in_tenant(books.tenant.tag):
            alert_id = Alert.objects.get().pk

        until = datetime.now(UTC) + timedelta(hours=1)
        snooze_alert(tag=books.tenant.tag, alert_id=alert_id, until=until, actor=TEST_ACTOR)

        at = revisit_at(books)
        assert at is not None
        assert at <= until


class TestRule:
    def test_that_changes_has_an_idle_tenant_looked_at(self, books: Books) -> None:
        noted(books)
        assert revisit_at(books) is None
        kind = AlertKind.BUDGET_THRESHOLD

        set_rule(tag=books.tenant.tag, kind=kind, thresholds=[500_000], is_on=True, actor=TEST_ACTOR)

        at = revisit_at(books)
        assert at is not None
        assert at <= datetime.now(UTC)
        with in_tenant(books.tenant.tag):
            event = OutboxEvent.objects.get(event_type="custom.alert_rule.changed")
        assert event.payload["data"]["after"] == {"is_on": True, "thresholds": [500_000]}

    def test_that_is_dropped_has_it_looked_at_too(self, books: Books) -> None:
        budget_id = books.add_budget(allocated=100)
        kind = AlertKind.BUDGET_THRESHOLD
        own: dict[str, Any] = {"tag": books.tenant.tag, "budget_id": budget_id, "actor": TEST_ACTOR}
        set_rule(kind=kind, thresholds=[500_000], is_on=True, **own)
        noted(books)
        before = revisit_at(books)
        assert before is None or before > datetime.now(UTC)

        assert drop_budget_rule(**own)

        at = revisit_at(books)
        assert at is not None
        assert at <= datetime.now(UTC)


class TestLook:
    def test_that_is_asked_for_during_a_visit_is_made(self, books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
        """A receiver was given up when the visit had looked for such already."""
        look = alert_watch.look_for_alerts

        def looked(**named: Any) -> Any:
            found = look(**named)
            standing.look_soon(tags=[books.tenant.tag])
            return found

        monkeypatch.setattr(visits, "look_for_alerts", looked)

        visit_books(tag=books.tenant.tag, has_time=lambda: True)

        at = revisit_at(books)
        assert at is not None
        assert at <= datetime.now(UTC)

    def test_finds_what_leaked_before_midnight(self, books: Books) -> None:
        """The worker was away, or was not as fast as the day was over."""
        noted(books)
        as_owner(books.tenant.tag, "UPDATE alert_mark SET looked_at = looked_at - interval '2 days'")
        yesterday = datetime.now(UTC) - timedelta(days=1)
        with in_tenant(books.tenant.tag):
            EvidenceNote.objects.create(
                day=yesterday.date(),
                kind=NoteKind.LEAK,
                about="initech",
                count=2,
                first_at=yesterday,
                last_at=yesterday,
                trace_id="a" * 32,
            )

        noted(books)
        noted(books)

        with in_tenant(books.tenant.tag):
            (alert,) = Alert.objects.filter(kind=AlertKind.EVIDENCE_LEAK)
        assert alert.state == AlertState.OPEN
        assert alert.period == yesterday.date().isoformat()

    def test_is_made_after_postgresql_began_to_count_anew(self, books: Books) -> None:
        """It died, and its counts have come to the very number that was seen before."""
        noted(books)
        with in_public():
            TenantStanding.objects.filter(tag=books.tenant.tag).update(
                as_of=datetime(2001, 1, 1, tzinfo=UTC), inserts_seen=standing.read_visit(tag=books.tenant.tag).inserts
            )

        assert books.tenant.tag in standing.ask_for_visits(limit=1_000)


class TestMany:
    def test_are_opened_and_ended_with_few_statements(self, books: Books) -> None:
        kinds = [AlertKind.LEDGER_DIFFERENCE]
        counts = []
        for number in (1, 200):
            for found in ([finding(each) for each in range(number)], []):
                with in_tenant(books.tenant.tag), CaptureQueriesContext(connection) as queries:
                    settle_findings(kinds=kinds, lasting=(), find=lambda *_, found=found: found)
                counts.append(len(queries))

        with in_tenant(books.tenant.tag):
            assert Alert.objects.filter(state=AlertState.RECOVERED).count() == 200
        assert max(counts) <= 20, counts
