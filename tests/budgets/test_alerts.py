"""Alerts: found by the worker's visit, once for a threshold and a period."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from accounts.keys.models import ApiKey, KeyStatus
from budgets.models import Alert
from budgets.models.choices import AlertKind, AlertState, Severity
from budgets.reconciling.calls import Observed, Source
from budgets.reconciling.matching import compare_calls
from budgets.selectors.router_labels import ROUTER_WATCH
from budgets.services.alert_findings import Finding
from budgets.services.alert_rules import set_rule
from budgets.services.alerts import clear_alert, raise_alert
from budgets.services.funding import Funding, FundingOperation, fund
from budgets.services.policies import NewPolicy, PolicyKind, save_policy
from budgets.services.reconciliations import Question, keep_reconciliation
from kernel.actor import Actor
from kernel.ids import uuid7
from kernel.money import Unit
from kernel.tenancy import in_public, in_tenant
from telemetry.evidence.kinds import NoteKind
from telemetry.evidence.models import EvidenceNote
from telemetry.findings.services.standing import note_evidence
from telemetry.models import AuditEntry, OutboxEvent, WebhookSubscription
from telemetry.webhook_states import WebhookStatus
from tenants.models import Tenant, TenantStanding
from tenants.services import standing
from tests.support.books import TEST_ACTOR, Books
from tests.support.console import day_bounds, noted
from tests.support.owner import as_owner
from vault.kinds import OPERATOR_BACK_ENDS, BackEnd
from vault.locations import Location
from vault.services.reference_checks import NewReference
from vault.services.references import add_reference, revoke_reference

LEAK = Finding(
    kind=AlertKind.EVIDENCE_LEAK,
    subject="vector:acme-docs",
    period="2026-11-22",
    severity=Severity.CRITICAL,
    summary="A span of another tenant read the namespace acme-docs.",
    facts={"spans": 1},
)


@pytest.fixture
def books(acme: Tenant) -> Books:
    return Books(acme)


def alerts(books: Books, **wanted: Any) -> list[Alert]:
    with in_tenant(books.tenant.tag):
        return list(Alert.objects.filter(**wanted).order_by("threshold", "opened_at"))


def thresholds(books: Books, state: AlertState = AlertState.OPEN) -> list[int]:
    return [alert.threshold // 10_000 for alert in alerts(books, state=state, kind=AlertKind.BUDGET_THRESHOLD)]


def events(books: Books, kind: AlertKind = AlertKind.BUDGET_THRESHOLD) -> list[tuple[str, dict[str, Any]]]:
    """Names and contents, of those that tell of alerts of this kind."""
    ids = [str(alert.pk) for alert in alerts(books, kind=kind)]
    with in_tenant(books.tenant.tag):
        rows = OutboxEvent.objects.filter(payload__data__alert_id__in=ids).order_by("at", "id")
        return [(row.event_type, row.payload["data"]) for row in rows]


def audited(books: Books, action: str, kind: AlertKind = AlertKind.BUDGET_THRESHOLD) -> int:
    with in_tenant(books.tenant.tag):
        return AuditEntry.objects.filter(action=action, after__kind=kind).count()


def spend(books: Books, amount: int, suffix: str = "") -> None:
    suffixes = ["", suffix] if suffix else [""]
    assert books.ask("event", amount=amount, suffixes=suffixes).status == "OK"


def credit(books: Books, amount: int) -> None:
    funding = Funding(
        operation=FundingOperation.CREDIT, unit=Unit.USD_MICROCENTS, amount=amount, idempotency_key=str(uuid7())
    )
    with in_tenant(books.tenant.tag):
        fund(budget_id=books.budget().id, funding=funding, actor=TEST_ACTOR)


@pytest.fixture
def daily(books: Books) -> Books:
    books.add_budget(allocated=1_000, **day_bounds(books.tenant))
    return books


class TestThreshold:
    @pytest.mark.parametrize(
        ("spent", "crossed"), [(799, []), (800, [80]), (949, [80]), (950, [80, 95]), (1_000, [80, 95, 100])]
    )
    def test_is_crossed_at_its_own_share_and_not_below(self, daily: Books, spent: int, crossed: list[int]) -> None:
        spend(daily, spent)

        noted(daily)

        assert thresholds(daily) == crossed

    def test_is_told_once_in_a_period_with_its_audit_row_and_event(self, daily: Books) -> None:
        spend(daily, 800)
        noted(daily)
        spend(daily, 10)
        noted(daily)

        (alert,) = alerts(daily, kind=AlertKind.BUDGET_THRESHOLD)
        assert (alert.severity, alert.scope_path) == (Severity.NOTICE, "tenant:acme")
        assert alert.summary == "The tenant's own budget has reached 80% of its $0.00001000 for today."
        assert audited(daily, "alert.raised") == 1
        ((event_type, content),) = events(daily)
        assert event_type == "budget.threshold_crossed"
        assert content["utilization"] == content["threshold"] == 0.8
        assert (content["direction"], content["remaining"], content["scope"]) == ("rising", 200, "tenant:acme")

    def test_counts_what_is_held(self, daily: Books) -> None:
        daily.ask("reserve", amount=800)

        noted(daily)

        assert thresholds(daily) == [80]

    def test_recovers_only_clearly_below_it(self, daily: Books) -> None:
        hold = daily.ask("reserve", amount=50)
        spend(daily, 751)
        noted(daily)
        daily.ask("release", target=hold.id)
        noted(daily)
        assert thresholds(daily) == [80]

        credit(daily, 2)
        noted(daily)

        assert thresholds(daily) == []
        assert thresholds(daily, AlertState.RECOVERED) == [80]
        assert audited(daily, "alert.recovered") == 1
        assert [content["direction"] for _, content in events(daily)] == ["rising", "falling"]

    def test_that_trembles_in_one_period_is_open_again_without_being_told_again(self, daily: Books) -> None:
        for _ in range(3):
            hold = daily.ask("reserve", amount=900)
            noted(daily)
            assert thresholds(daily) == [80]
            daily.ask("release", target=hold.id)
            noted(daily)
            assert thresholds(daily) == []

        assert audited(daily, "alert.raised") == 1
        assert [content["direction"] for _, content in events(daily)] == ["rising", "falling"]

    def test_is_told_again_in_the_next_period(self, daily: Books) -> None:
        spend(daily, 800)
        noted(daily)
        as_owner(
            daily.tenant.tag,
            "UPDATE budget SET period_starts_at = period_starts_at - interval '1 day',"
            " period_ends_at = period_ends_at - interval '1 day', period_allocation = 1000",
            "UPDATE alert SET period_ends_at = period_ends_at - interval '1 day', period = 'the day before'",
        )
        spend(daily, 850)
        noted(daily)

        assert thresholds(daily) == thresholds(daily, AlertState.RECOVERED) == [80]
        (ended,) = alerts(daily, kind=AlertKind.BUDGET_THRESHOLD, state=AlertState.RECOVERED)
        assert ended.end_reason == "Its period ended."
        assert [content["direction"] for _, content in events(daily)] == ["rising", "rising"]

    def test_of_a_budget_without_periods_is_told_each_time_that_it_comes_back(self, books: Books) -> None:
        books.add_budget(allocated=1_000)
        spend(books, 800)
        noted(books)
        credit(books, 1_000)
        noted(books)
        assert thresholds(books) == []

        spend(books, 800)
        noted(books)

        assert thresholds(books) == [80]
        assert audited(books, "alert.raised") == 2
        assert [content["direction"] for _, content in events(books)] == ["rising", "falling", "rising"]

    def test_of_every_scope_is_watched_but_of_no_run(self, daily: Books) -> None:
        day = day_bounds(daily.tenant)
        daily.add_budget("/workspace:prod", allocated=100, **day)
        daily.add_budget("/workspace:prod/run:1", allocated=1, run_id="1", **day)
        daily.add_budget("/workspace:idle", allocated=0, **day)
        spend(daily, 95, "/workspace:prod")
        as_owner(daily.tenant.tag, "UPDATE budget SET spent = 1 WHERE run_id IS NOT NULL")

        noted(daily)

        assert [(each.scope_path, each.threshold) for each in alerts(daily)] == [
            ("tenant:acme/workspace:prod", 800_000),
            ("tenant:acme/workspace:prod", 950_000),
        ]

    def test_is_a_budgets_own_where_it_has_some(self, daily: Books) -> None:
        own = daily.add_budget("/workspace:prod", allocated=100, **day_bounds(daily.tenant))
        set_rule(
            tag=daily.tenant.tag,
            kind=AlertKind.BUDGET_THRESHOLD,
            thresholds=[300_000, 20_000],
            is_on=True,
            budget_id=own,
            actor=TEST_ACTOR,
        )
        spend(daily, 29, "/workspace:prod")
        noted(daily)
        assert thresholds(daily) == [2]

        spend(daily, 1, "/workspace:prod")
        noted(daily)

        assert thresholds(daily) == [2, 30]

    def test_of_a_huge_budget_does_not_overflow(self, books: Books) -> None:
        huge = 2**63 - 1
        books.add_budget(allocated=huge)
        spend(books, huge // 5 * 4 + 2)

        noted(books)

        assert thresholds(books) == [80]

    def test_of_a_closed_budget_recovers(self, daily: Books) -> None:
        spend(daily, 800)
        noted(daily)
        as_owner(daily.tenant.tag, "UPDATE budget SET status = 'CLOSED'")

        noted(daily)

        assert thresholds(daily) == []


class TestNote:
    def test_has_the_worst_open_alert_for_the_overview(self, daily: Books) -> None:
        spend(daily, 1_000)

        noted(daily)

        with in_public():
            note = TenantStanding.objects.get(tag=daily.tenant.tag)
        assert (note.alerts_open, note.alert_severity) == (1, Severity.CRITICAL)
        assert note.alert_words == "The tenant's own budget has used up its $0.00001000 for today."
        assert note.tell_at is None


class TestDoor:
    def test_raises_once_for_a_period(self, books: Books) -> None:
        assert raise_alert(tag=books.tenant.tag, finding=LEAK)
        assert not raise_alert(tag=books.tenant.tag, finding=LEAK)

        (alert,) = alerts(books)
        assert (alert.summary, alert.state) == (LEAK.summary, AlertState.OPEN)
        assert [name for name, _ in events(books, LEAK.kind)] == ["custom.evidence.leak"]

    def test_is_not_closed_by_a_look_at_the_books(self, books: Books) -> None:
        raise_alert(tag=books.tenant.tag, finding=LEAK)

        noted(books)

        assert [alert.state for alert in alerts(books)] == [AlertState.OPEN]

    def test_says_when_it_no_longer_holds(self, books: Books) -> None:
        raise_alert(tag=books.tenant.tag, finding=LEAK)
        door: dict[str, Any] = {"tag": books.tenant.tag, "kind": LEAK.kind, "subject": LEAK.subject}

        assert clear_alert(**door) == 1
        assert clear_alert(**door) == 0
        assert [alert.state for alert in alerts(books)] == [AlertState.RECOVERED]

    def test_does_nothing_for_a_kind_that_is_switched_off(self, books: Books) -> None:
        set_rule(tag=books.tenant.tag, kind=LEAK.kind, thresholds=[], is_on=False, actor=TEST_ACTOR)

        assert not raise_alert(tag=books.tenant.tag, finding=LEAK)
        assert alerts(books) == []


class TestKeysAndRouter:
    def test_a_key_that_expires_soon_is_told_once_for_each_time(self, books: Books) -> None:
        expires_at = datetime.now(UTC) + timedelta(days=10)
        with in_tenant(books.tenant.tag):
            ApiKey.objects.filter(key_id=books.key.key_id).update(expires_at=expires_at, name="triage")
        noted(books)
        noted(books)

        (alert,) = alerts(books, kind=AlertKind.KEY_EXPIRING)
        assert alert.subject == f"key:{books.key.key_id}"
        note = TenantStanding.objects.get(tag=books.tenant.tag)
        assert note.revisit_at == expires_at - timedelta(days=3)

    def test_a_key_that_was_revoked_is_no_alert(self, books: Books) -> None:
        with in_tenant(books.tenant.tag):
            ApiKey.objects.update(expires_at=datetime.now(UTC) + timedelta(days=1))
        noted(books)
        with in_tenant(books.tenant.tag):
            ApiKey.objects.update(status=KeyStatus.REVOKED)

        noted(books)

        assert {alert.state for alert in alerts(books, kind=AlertKind.KEY_EXPIRING)} == {AlertState.RECOVERED}

    def test_a_credential_that_expires_soon_is_told_once_for_each_time(self, books: Books) -> None:
        expires_at = datetime.now(UTC) + timedelta(days=10)
        new = NewReference(
            name="Slack",
            provider="slack",
            scope="slack:write",
            back_end=BackEnd.KV,
            location=Location(path="wm/{tenant}/slack"),
            expires_at=expires_at,
        )
        with in_tenant(books.tenant.tag):
            reference = add_reference(new, allowed=OPERATOR_BACK_ENDS, actor=TEST_ACTOR, now=datetime.now(UTC))
        noted(books)
        noted(books)

        (alert,) = alerts(books, kind=AlertKind.CREDENTIAL_EXPIRING)
        assert alert.subject == f"credential:{reference.pk}"
        assert (
            alert.summary == "The credential Slack for slack:write expires within 14 days. Add its successor in time."
        )
        note = TenantStanding.objects.get(tag=books.tenant.tag)
        assert note.revisit_at == expires_at - timedelta(days=3)

        with in_tenant(books.tenant.tag):
            revoke_reference(reference_id=reference.pk, actor=TEST_ACTOR, now=datetime.now(UTC))
        noted(books)
        (alert,) = alerts(books, kind=AlertKind.CREDENTIAL_EXPIRING)
        assert alert.state == AlertState.RECOVERED

    @pytest.mark.parametrize(("by", "is_told"), [(ROUTER_WATCH, True), ("olive", False)])
    def test_the_router_is_told_of_when_it_was_taken_out_for_being_wrong(
        self, books: Books, by: str, is_told: bool
    ) -> None:
        policy = NewPolicy(kind=PolicyKind.ROUTER_SWITCH, document={"is_on": True, "tier": "medium"}, reason="Wrong.")
        with in_tenant(books.tenant.tag):
            save_policy(policy, actor=Actor(name=by, actor_type="system"))

        noted(books)

        assert bool(alerts(books, kind=AlertKind.ROUTER_ACCURACY)) == is_told


class TestNeighbours:
    def test_a_receiver_that_was_given_up_is_told_of_without_its_address(self, books: Books) -> None:
        now = datetime.now(UTC)
        with in_tenant(books.tenant.tag):
            subscription = WebhookSubscription.objects.create(
                url="https://example.test/hooks?token=so-secret",
                event_categories=["budget"],
                secret="sealed",
                status=WebhookStatus.DISABLED,
                created_at=now,
                updated_at=now,
                listens_since=now,
            )
        noted(books)

        (alert,) = alerts(books, kind=AlertKind.WEBHOOK_PAUSED)
        assert alert.summary.startswith("Events no longer go to example.test:")
        assert "so-secret" not in str(alert.facts) + alert.summary
        with in_tenant(books.tenant.tag):
            WebhookSubscription.objects.filter(pk=subscription.pk).update(status=WebhookStatus.ACTIVE)
        noted(books)
        assert [each.state for each in alerts(books, kind=AlertKind.WEBHOOK_PAUSED)] == [AlertState.RECOVERED]

    def leak(self, books: Books) -> None:
        now = datetime.now(UTC)
        with in_tenant(books.tenant.tag):
            EvidenceNote.objects.create(
                day=now.date(),
                kind=NoteKind.LEAK,
                about="initech",
                count=2,
                first_at=now,
                last_at=now,
                trace_id="a" * 32,
            )
        note_evidence(tag=books.tenant.tag, due_at=now, leaks=2, foreign=0, now=now)

    def test_a_leak_is_told_once_a_day_names_nobody_and_stays_open(self, books: Books) -> None:
        self.leak(books)
        noted(books)
        as_owner(books.tenant.tag, "UPDATE evidence_note SET day = day - 1")
        noted(books)

        (alert,) = alerts(books, kind=AlertKind.EVIDENCE_LEAK)
        assert (alert.state, alert.severity) == (AlertState.OPEN, Severity.CRITICAL)
        assert "initech" not in alert.summary

    def test_a_leak_has_an_idle_tenant_visited(self, books: Books) -> None:
        noted(books)
        standing.follow_evidence()
        assert TenantStanding.objects.get(tag=books.tenant.tag).revisit_at is None

        self.leak(books)

        assert standing.follow_evidence() == 1
        assert TenantStanding.objects.get(tag=books.tenant.tag).revisit_at is not None

    def test_a_receiver_that_fails_has_an_idle_tenant_visited(self, books: Books) -> None:
        noted(books)
        assert TenantStanding.objects.get(tag=books.tenant.tag).revisit_at is None

        standing.look_soon(tags=[books.tenant.tag])

        assert TenantStanding.objects.get(tag=books.tenant.tag).revisit_at is not None


class TestReconciliation:
    def test_that_differs_is_an_alert_until_one_does_not(self, books: Books) -> None:
        now = datetime.now(UTC)
        question = Question(source=Source.SESSION_LOG, name="session.jsonl", since=now, until=now)
        call = Observed(model="gpt-4o", place="line 2", references=("a",), at=now, cost=5)
        for calls in ([call], [call], []):
            found = compare_calls(calls, [], tolerance_ppm=0)
            keep_reconciliation(tag=books.tenant.tag, question=question, found=found, actor=TEST_ACTOR, now=now)
            if calls:
                (alert,) = alerts(books, state=AlertState.OPEN)
                words = "The ledger differs from session.jsonl: 1 missing, 0 extra, 0 of another amount."
                assert alert.summary == words

        assert audited(books, "alert.raised", AlertKind.USAGE_DIFFERENCE) == 1
        assert alerts(books, state=AlertState.OPEN) == []


class TestTwoAtOnce:
    def test_open_each_alert_once(self, daily: Books) -> None:
        spend(daily, 950)

        def look() -> None:
            try:
                noted(daily)
            finally:
                connection.close()

        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(look) for _ in range(8)]:
                done.result()

        assert thresholds(daily) == [80, 95]
        assert audited(daily, "alert.raised") == len(events(daily)) == 2

    def test_a_look_that_dies_leaves_nothing_half_told(self, daily: Books, monkeypatch: pytest.MonkeyPatch) -> None:
        spend(daily, 950)
        monkeypatch.setattr("telemetry.services.outbox.announce_all", _die)
        with pytest.raises(RuntimeError):
            noted(daily)
        assert alerts(daily) == []
        monkeypatch.undo()

        noted(daily)

        assert audited(daily, "alert.raised") == len(events(daily)) == 2


def _die(*_: object, **__: object) -> None:
    raise RuntimeError
