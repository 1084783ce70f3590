"""For how long rows are kept, over the management API: set by operators, read by the tenant."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pytest_django import Settings

from budgets.models import KeepingTerm
from kernel.tenancy import in_public, in_tenant
from telemetry.models import AuditEntry
from tenants.models import KeepingVisit, Tenant
from tests.support.management import Caller, as_platform, as_tenant

KEEPING = "tenants/acme/keeping"


@pytest.fixture(autouse=True)
def installation(settings: Settings) -> None:
    settings.KEEP_DECISIONS_DAYS, settings.KEEP_EVENTS_DAYS = 180, 1
    settings.KEEP_LEDGER_DAYS = settings.KEEP_AUDIT_DAYS = None


@pytest.fixture
def platform(database: None) -> Caller:
    return as_platform()


def terms(answer: Any) -> dict[str, tuple[int | None, str]]:
    assert answer.status_code == 200, answer.content
    return {kind["kind"]: (kind["days"], kind["comes_from"]) for kind in answer.json()["kinds"]}


def change(caller: Caller, **fields: Any) -> Any:
    return caller.patch(KEEPING, {"kind": "ledger", "reason": "Contract of October"} | fields)


class TestReading:
    def test_says_how_long_and_who_said_so(self, acme: Tenant) -> None:
        with in_tenant(acme.tag):
            KeepingTerm.objects.create(kind="decisions", days=None, changed_at=datetime.now(UTC))

        answer = as_tenant(acme, permissions=["policies:read"]).get(KEEPING)

        assert terms(answer) == {
            "ledger": (None, "installation"),
            "decisions": (None, "tenant"),
            # More than is said: what is said is less than the least.
            "events": (30, "installation"),
            "audit": (None, "installation"),
            "spans": (30, "installation"),
        }
        (decisions,) = (kind for kind in answer.json()["kinds"] if kind["kind"] == "decisions")
        assert (decisions["days_otherwise"], decisions["days_min"], decisions["can_differ"]) == (180, 30, True)
        assert (decisions["files"], decisions["rows"], decisions["last_file"]) == (0, 0, "")
        assert (decisions["archived_until"], decisions["archived_at"]) == (None, None)

    def test_tells_operators_alone_what_was_in_the_way(self, acme: Tenant, platform: Caller) -> None:
        now = datetime.now(UTC)
        with in_public():
            KeepingVisit.objects.create(tag=acme.tag, visited_at=now, trouble="events: No space left on device")
        try:
            told, own = platform.get(KEEPING).json(), as_tenant(acme).get(KEEPING).json()
        finally:
            with in_public():
                KeepingVisit.objects.filter(tag=acme.tag).delete()

        assert told["trouble"] == "events: No space left on device"
        assert "trouble" not in own
        assert told["visited_at"] == own["visited_at"] is not None

    def test_is_for_keys_of_the_whole_tenant(self, acme: Tenant) -> None:
        answer = as_tenant(acme, scopes=["tenant:acme/workspace:prod"]).get(KEEPING)

        assert answer.status_code == 403


class TestChanging:
    def test_leaves_a_line_with_before_and_after(self, acme: Tenant, platform: Caller) -> None:
        answers = [
            change(platform, keep="days", days=400),
            change(platform, keep="days", days=400),
            change(platform, keep="forever"),
            change(platform, keep="plan"),
        ]

        assert [terms(answer)["ledger"] for answer in answers] == [
            (400, "tenant"),
            (400, "tenant"),
            (None, "tenant"),
            (None, "installation"),
        ]
        with in_tenant(acme.tag):
            entries = list(AuditEntry.objects.filter(action="tenant.updated").order_by("at"))
        assert [(entry.before, entry.after) for entry in entries] == [
            ({"keep_ledger_days": "as the plan says"}, {"keep_ledger_days": 400}),
            ({"keep_ledger_days": 400}, {"keep_ledger_days": "forever"}),
            ({"keep_ledger_days": "forever"}, {"keep_ledger_days": "as the plan says"}),
        ]
        assert {(entry.actor_type, entry.reason) for entry in entries} == {
            ("admin_on_behalf_of", "Contract of October")
        }

    @pytest.mark.parametrize(
        ("fields", "field", "said"),
        [
            ({"keep": "days", "days": 89}, "days", "The ledger is kept for 90 to 36525 days, or for ever."),
            ({"keep": "days", "days": 36_526}, "days", "days is too large."),
            ({"keep": "days"}, "days", "days must be there when keep is days, and only then."),
            ({"keep": "plan", "days": 90}, "days", "days must be there when keep is days, and only then."),
            ({"keep": "forever", "kind": "audit"}, "kind", "kind must be one of decisions, events, ledger."),
            ({"keep": "forever", "reason": ""}, "reason", "reason must not be empty."),
        ],
        ids=["less than the least", "more than the most", "no days", "days too many", "no such kind", "no reason"],
    )
    def test_that_cannot_be_is_refused_with_a_sentence(
        self, acme: Tenant, platform: Caller, fields: dict[str, Any], field: str, said: str
    ) -> None:
        answer = change(platform, **fields)

        assert answer.status_code == 400
        assert (answer.json()["message"], answer.json()["details"]["field"]) == (said, field)
        with in_tenant(acme.tag):
            assert not KeepingTerm.objects.exists()

    def test_is_for_operators(self, acme: Tenant) -> None:
        assert change(as_tenant(acme), keep="forever").status_code == 403
