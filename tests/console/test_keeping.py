"""`…/keeping/`: operators say for how long a tenant's rows are kept, its own people read it."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from budgets.models import KeepingTerm
from kernel.tenancy import in_public, in_tenant
from telemetry.models import AuditEntry
from telemetry.services import audit
from telemetry.services.audit_archive import drop_trail
from tenants.models import KeepingVisit, Tenant
from tests.support.books import TEST_ACTOR
from tests.support.console import signed_in
from tests.support.plans import a_plan, money, tenant_on

PAGE = "/ops/tenants/acme/keeping/"
EDIT = f"{PAGE}ledger/"


@pytest.fixture(autouse=True)
def installation(settings: Settings, tmp_path: Path) -> None:
    settings.KEEP_DECISIONS_DAYS, settings.KEEP_EVENTS_DAYS = 180, 90
    settings.KEEP_LEDGER_DAYS = settings.KEEP_AUDIT_DAYS = None
    settings.ARCHIVE_DIR = str(tmp_path)


@pytest.fixture
def visited(acme: Tenant) -> Iterator[None]:
    """The worker was there, archived two rows of the trail and could not archive the rest."""
    now = datetime.now(UTC)
    with in_tenant(acme.tag):
        for _ in range(2):
            at = now - timedelta(days=400)
            audit.record(actor=TEST_ACTOR, action="old.act", target="x", at=at)
        drop_trail(owner=acme.tag, before=now - timedelta(days=365), now=now, has_time=lambda: True)
    with in_public():
        KeepingVisit.objects.create(tag=acme.tag, visited_at=now, dropped=2, trouble="events: No space left on device")
    yield
    with in_public():
        KeepingVisit.objects.filter(tag=acme.tag).delete()


def text(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return words(answer)


def words(answer: Any) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())).split())


def change(client: Client, *, keep: str, days: str = "", seen: str = "as the plan says", address: str = EDIT) -> Any:
    return client.post(address, {"keep": keep, "days": days, "seen": seen, "reason": "Contract of October"})


class TestPage:
    def test_says_how_long_and_who_said_so(self, browser: Client, acme: Tenant) -> None:
        with in_tenant(acme.tag):
            KeepingTerm.objects.create(kind="events", days=400, changed_at=datetime.now(UTC))

        page = text(browser, PAGE)

        assert "Ledger entries under a seal for ever the installation" in page
        assert "Events that were handed out 400 days this tenant's own term" in page
        assert "Decisions without effect: refusals, decide, dry runs 180 days the installation" in page
        assert "nothing archived" in page

    def test_says_what_the_plan_says(self, olive: User) -> None:
        plan = a_plan(budgets=[money(1_000)], keep={"ledger": 800})
        with tenant_on(plan):
            page = text(signed_in(olive), "/ops/tenants/umbrella/keeping/")

            assert "Ledger entries under a seal 800 days plan Plan v1" in page

    def test_says_what_really_counts_where_less_than_the_least_is_said(
        self, browser: Client, acme: Tenant, settings: Settings
    ) -> None:
        settings.KEEP_DECISIONS_DAYS = settings.KEEP_LEDGER_DAYS = 1

        page = text(browser, PAGE)

        assert "dry runs 30 days the installation" in page
        assert "under a seal 90 days the installation" in page

    def test_says_of_which_spans_only_a_sample_is_kept(self, browser: Client, acme: Tenant, settings: Settings) -> None:
        assert "Spans of runtimes 30 days" in text(browser, PAGE)
        settings.EVIDENCE_SAMPLE_PERCENT = 10

        page = text(browser, PAGE)

        assert "Spans of runtimes; after 4 days only 10 % of the traces without a failure or a leak 30 days" in page

    def test_shows_what_was_archived_and_what_was_in_the_way(self, browser: Client, visited: None) -> None:
        page = text(browser, PAGE)

        assert re.search(r"The audit trail for ever the installation 1 2 \w.*? audit-000001\.jsonl\.gz", page)
        assert "dropped none of these: events: No space left on device" in page

    def test_is_read_by_members_who_change_nothing(self, ben: User, visited: None) -> None:
        client = signed_in(ben)

        page = text(client, "/t/acme/keeping/")

        assert "under a seal for ever" in page
        assert "audit-000001.jsonl.gz" in page
        assert "No space left" not in page
        assert "Change" not in page
        assert client.get("/t/acme/keeping/ledger/").status_code == 403
        assert change(client, keep="forever", address="/t/acme/keeping/ledger/").status_code == 403

    def test_is_led_to_from_the_limits(self, ben: User) -> None:
        page = signed_in(ben).get("/t/acme/limits/").content.decode()

        assert 'href="/t/acme/keeping/">How long rows are kept</a>' in page


class TestChange:
    def test_leaves_a_line_with_before_and_after(self, browser: Client, acme: Tenant) -> None:
        first = change(browser, keep="days", days="400")
        second = change(browser, keep="forever", days="400", seen="400")
        third = change(browser, keep="plan", seen="forever")

        assert [(answer.status_code, answer["Location"]) for answer in (first, second, third)] == [(302, PAGE)] * 3
        with in_tenant(acme.tag):
            assert not KeepingTerm.objects.exists()
            entries = list(AuditEntry.objects.filter(action="tenant.updated").order_by("at"))
        assert [(entry.before, entry.after) for entry in entries] == [
            ({"keep_ledger_days": "as the plan says"}, {"keep_ledger_days": 400}),
            ({"keep_ledger_days": 400}, {"keep_ledger_days": "forever"}),
            ({"keep_ledger_days": "forever"}, {"keep_ledger_days": "as the plan says"}),
        ]
        assert {(entry.actor, entry.actor_type, entry.reason) for entry in entries} == {
            ("olive@example.test", "admin_on_behalf_of", "Contract of October")
        }

    def test_sent_twice_is_done_once(self, browser: Client, acme: Tenant) -> None:
        for _ in range(2):
            assert change(browser, keep="days", days="400").status_code == 302

        assert "It was so already." in text(browser, PAGE)
        with in_tenant(acme.tag):
            assert AuditEntry.objects.filter(action="tenant.updated").count() == 1

    @pytest.mark.parametrize(
        ("keep", "days", "said"),
        [
            ("days", "89", "The ledger is kept for 90 to 36525 days, or for ever."),
            ("days", "36526", "The ledger is kept for 90 to 36525 days, or for ever."),
            ("days", "", "Say for how many days."),
            ("days", "a year", "Enter a whole number."),
            ("", "90", "This field is required."),
        ],
        ids=["less than the least", "more than the most", "no days", "no number", "nothing chosen"],
    )
    def test_that_cannot_be_is_refused_with_a_sentence(
        self, browser: Client, acme: Tenant, keep: str, days: str, said: str
    ) -> None:
        answer = change(browser, keep=keep, days=days)

        assert answer.status_code == 422
        assert said in words(answer)
        with in_tenant(acme.tag):
            assert not KeepingTerm.objects.exists()

    def test_begins_with_what_is_said_now(self, browser: Client, acme: Tenant) -> None:
        change(browser, keep="days", days="90")

        page = browser.get(EDIT).content.decode()

        assert '<option value="days" selected>' in page
        assert 'name="seen" value="90"' in page
        assert "No term of its own: for ever, by the installation" in page

    @pytest.mark.parametrize("keep", ["forever", "plan"])
    def test_that_somebody_changed_meanwhile_is_not_written_over(
        self, browser: Client, acme: Tenant, keep: str
    ) -> None:
        change(browser, keep="days", days="400")

        answer = change(browser, keep=keep, seen="800")

        assert answer.status_code == 422
        assert "Since you looked somebody changed it to: 400." in words(answer)
        assert 'name="seen" value="400"' in answer.content.decode()
        assert change(browser, keep=keep, seen="400").status_code == 302

    @pytest.mark.parametrize("kind", ["audit", "spans", "nothing"])
    def test_of_what_has_no_term_of_its_own_is_not_there(self, browser: Client, acme: Tenant, kind: str) -> None:
        assert browser.get(f"{PAGE}{kind}/").status_code == 404
