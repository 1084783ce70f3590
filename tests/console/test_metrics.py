"""`/metrics` of the console: how the platform is."""

from datetime import UTC, datetime, timedelta

import pytest
import redis
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from budgets.services.verifying import verify_books
from kernel.tenancy import in_public
from telemetry.findings.services.standing import note_evidence
from tenants.models import Tenant, TenantDue, TenantStanding, Verification, VerifiedPart, WebhookDue
from tenants.services import keeping_visits, standing, webhook_due
from tenants.services.verifications import note_verification
from tests.support.books import Books
from tests.support.console import day_bounds, noted


def gauges(**headers: str) -> dict[tuple[str, ...], float]:
    answer = Client().get("/metrics", **headers)  # type: ignore[arg-type]
    assert answer.status_code == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


class TestPlatform:
    def test_says_what_is_up_and_what_waits(self, books: Books) -> None:
        noted(books)

        found = gauges()

        assert found[("watermaster_part_up", "postgresql")] == 1
        assert found[("watermaster_part_up", "valkey")] == 1
        assert ("watermaster_queue_tasks", "waiting") in found
        assert ("watermaster_mark_lag_seconds", "rollups") in found
        assert ("watermaster_outbox_age_seconds", "platform") in found

    def test_says_how_late_expiry_is(self, acme: Tenant) -> None:
        with in_public():
            TenantDue.objects.create(tag=acme.tag, due_at=datetime.now(UTC) - timedelta(seconds=90))

        found = gauges()

        assert found[("watermaster_mark_tenants_waiting", "expiry")] >= 1
        assert found[("watermaster_mark_lag_seconds", "expiry")] >= 90

    def test_says_how_late_periods_and_seals_are(self, acme: Tenant) -> None:
        standing.enrol_tenants()
        now = datetime.now(UTC)
        with in_public():
            TenantStanding.objects.filter(tag=acme.tag).update(
                period_due_at=now - timedelta(days=400), seal_due_at=now - timedelta(days=500)
            )

        found = gauges()

        assert found[("watermaster_mark_tenants_waiting", "periods")] >= 1
        assert found[("watermaster_mark_lag_seconds", "periods")] >= timedelta(days=400).total_seconds()
        assert found[("watermaster_mark_lag_seconds", "seals")] >= timedelta(days=500).total_seconds()

    def test_says_which_periods_and_seals_are_next(self, books: Books) -> None:
        books.add_budget("/agent:a", allocated=5, **day_bounds(books.tenant))
        noted(books)

        with in_public():
            line = TenantStanding.objects.get(tag=books.tenant.tag)
        assert line.period_due_at is not None
        assert line.period_due_at > datetime.now(UTC)
        assert line.seal_due_at is not None
        assert line.seal_due_at > datetime.now(UTC)

    def test_counts_tenants_whose_events_are_late(self, acme: Tenant) -> None:
        webhook_due.enrol()
        before = gauges()[("watermaster_outbox_tenants_behind",)]
        with in_public():
            long_ago = datetime.now(UTC) - timedelta(days=300)
            WebhookDue.objects.filter(tag=acme.tag).update(oldest_at=long_ago)

        found = gauges()

        assert found[("watermaster_outbox_tenants_behind",)] == before + 1
        assert found[("watermaster_outbox_age_seconds", "tenants")] >= timedelta(days=300).total_seconds()

    def test_counts_tenants_whose_old_rows_cannot_go(self, acme: Tenant) -> None:
        before = gauges()[("watermaster_keeping_tenants_troubled",)]
        keeping_visits.enrol()
        keeping_visits.note_visit(tag=acme.tag, dropped=0, trouble="There is no folder.", is_done=True)

        assert gauges()[("watermaster_keeping_tenants_troubled",)] == before + 1

        keeping_visits.note_visit(tag=acme.tag, dropped=0, trouble="", is_done=True)
        assert gauges()[("watermaster_keeping_tenants_troubled",)] == before

    def test_counts_leaks(self, acme: Tenant) -> None:
        before = gauges()[("watermaster_evidence_leaks",)]
        now = datetime.now(UTC)

        note_evidence(tag=acme.tag, due_at=now, leaks=2, foreign=0, now=now)

        assert gauges()[("watermaster_evidence_leaks",)] == before + 2

    def test_leaves_out_what_valkey_would_say(self, database: None, monkeypatch: pytest.MonkeyPatch) -> None:
        nowhere = redis.Redis.from_url("redis://127.0.0.1:1/0", socket_connect_timeout=0.05)
        monkeypatch.setattr("tenants.selectors.platform_state.shared_valkey", lambda: nowhere)

        found = gauges()

        assert found[("watermaster_part_up", "valkey")] == 0
        assert ("watermaster_queue_tasks", "waiting") not in found

    def test_is_not_there_for_others(self, database: None) -> None:
        assert Client().get("/metrics", REMOTE_ADDR="10.0.0.7").status_code == 404


class TestVerification:
    def test_counts_books_that_were_never_proven_until_they_are(self, books: Books) -> None:
        before = gauges()[("watermaster_ledger_tenants_never_verified",)]

        assert not verify_books(tag=books.tenant.tag).differences

        assert gauges()[("watermaster_ledger_tenants_never_verified",)] == before - 1
        with in_public():
            assert Verification.objects.get(tag=books.tenant.tag, part=VerifiedPart.LEDGER).differences == 0

    def test_counts_unsound_books_and_says_how_old_the_oldest_proof_is(self, acme: Tenant) -> None:
        before = gauges()[("watermaster_ledger_tenants_unsound",)]
        note_verification(
            tag=acme.tag,
            part=VerifiedPart.LEDGER,
            at=datetime.now(UTC) - timedelta(days=3),
            took_ms=5,
            read=10,
            differences=1,
            first="L2 budget: 5, not 6",
        )
        # Another part of the same books makes them no more unsound.
        note_verification(
            tag=acme.tag,
            part=VerifiedPart.SEALS,
            at=datetime.now(UTC),
            took_ms=5,
            read=10,
            differences=2,
            first="seal 3",
        )

        found = gauges()

        assert found[("watermaster_ledger_tenants_unsound",)] == before + 1
        assert found[("watermaster_ledger_verification_age_seconds",)] >= timedelta(days=3).total_seconds()
