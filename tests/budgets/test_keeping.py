"""The worker looks once a day whether rows have grown old, wherever they are, and says what stood in its way."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command

from budgets.models import Decision, KeepingTerm, LedgerEntry
from budgets.selectors.keeping import KeepingDays, keeping_days
from budgets.services.plan_defaults import InvalidPlanDefaults, KeepDefault, read_plan_defaults
from budgets.services.rollups import roll_up
from budgets.services.sealing import seal_closed
from budgets.tasks import dispatch_keeping, keep_platform, keep_tenant, sweep_standings
from kernel.archives import read_lines
from kernel.ids import PLATFORM_TAG, uuid7
from kernel.tenancy import in_public, in_tenant
from telemetry.models import AuditEntry, OutboxEvent, WebhookDelivery, WebhookSubscription
from telemetry.services.outbox import Event, announce
from telemetry.services.webhooks.forgetting import forget_old_deliveries
from tenants.models import KeepingVisit, Tenant
from tenants.services import keeping_visits
from tests.plugins.live_api import database_url
from tests.support.books import TEST_ACTOR, Books
from tests.support.owner import as_owner, let_time_pass

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Any) -> Path:
    settings.ARCHIVE_DIR = tmp_path
    return tmp_path


@pytest.fixture(autouse=True)
def _no_visits(database: None) -> Iterator[None]:
    yield
    with in_public():
        KeepingVisit.objects.all().delete()


@pytest.fixture
def books(acme: Tenant) -> Books:
    """A budget, a charge, a refusal, an event and a delivery, all of 200 days ago; since then nothing happened."""
    books = Books(acme)
    books.add_budget(allocated=1_000)
    books.ask("event", amount=1)
    assert books.ask("reserve", amount=10**9).status == "BUDGET_EXCEEDED"
    now = datetime.now(UTC)
    with in_tenant(acme.tag):
        announce(Event(event_type="budget.created", content={}), actor=TEST_ACTOR, at=now)
        OutboxEvent.objects.update(delivered_at=now)
        subscription = WebhookSubscription.objects.create(
            url="https://example.com", event_types=["budget.created"], secret="", created_at=now, updated_at=now,
            listens_since=now,
        )  # fmt: skip
        WebhookDelivery.objects.create(
            subscription=subscription,
            event_id=OutboxEvent.objects.latest("seq").pk,
            event_type="budget.created",
            created_at=now,
            next_attempt_at=now,
        )
    let_time_pass(acme.tag, 200 * DAY)
    roll_up(tag=acme.tag, has_time=lambda: True)
    seal_closed(tag=acme.tag, has_time=lambda: True)
    return books


def left(books: Books) -> dict[str, int]:
    with in_tenant(books.tenant.tag):
        tables: dict[str, Any] = {
            "entries": LedgerEntry,
            "decisions": Decision,
            "events": OutboxEvent,
            "deliveries": WebhookDelivery,
        }
        return {name: table.objects.count() for name, table in tables.items()}


def visit_of(tag: str) -> KeepingVisit:
    with in_public():
        return KeepingVisit.objects.get(tag=tag)


class TestVisit:
    def test_drops_of_an_idle_tenant_what_it_keeps_no_longer(self, books: Books, folder: Path) -> None:
        before = left(books)
        assert (before["entries"], before["decisions"], before["deliveries"]) == (2, 1, 1)
        keeping_visits.enrol()

        keep_tenant(tag=books.tenant.tag)

        # The ledger stays for ever where nobody says anything else.
        assert left(books) == {"entries": 2, "decisions": 0, "events": 0, "deliveries": 0}
        names = sorted(path.name for path in (folder / books.tenant.tag).iterdir())
        assert names == ["decisions-000001.jsonl.gz", "events-000001.jsonl.gz"]
        note = visit_of(books.tenant.tag)
        assert (note.trouble, note.dropped) == ("", before["events"] + 2)
        assert note.due_at is not None
        assert note.due_at > datetime.now(UTC) + timedelta(hours=23)

    def test_drops_the_ledger_too_where_the_tenant_says_so(self, books: Books) -> None:
        with in_tenant(books.tenant.tag):
            KeepingTerm.objects.create(kind="ledger", days=100, changed_at=datetime.now(UTC))

        keep_tenant(tag=books.tenant.tag)

        assert left(books)["entries"] == 0

    def test_leaves_events_that_nobody_was_told_of_and_what_is_behind_them(self, books: Books) -> None:
        with in_tenant(books.tenant.tag):
            for _ in range(2):
                old = datetime.now(UTC) - 200 * DAY
                announce(Event(event_type="budget.created", content={}), actor=TEST_ACTOR, at=old)
        before = left(books)["events"]
        as_owner(
            books.tenant.tag,
            "UPDATE outbox_event SET delivered_at = now() WHERE seq <> (SELECT max(seq) - 1 FROM outbox_event)",
        )

        keep_tenant(tag=books.tenant.tag)

        assert (before, left(books)["events"]) == (before, 2)

    def test_drops_nothing_where_it_cannot_write_and_says_so(
        self, books: Books, folder: Path, settings: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        (folder / "full").touch()
        settings.ARCHIVE_DIR = folder / "full"
        keeping_visits.enrol()
        before = left(books)

        keep_tenant(tag=books.tenant.tag)

        assert left(books) | {"deliveries": 1} == before
        note = visit_of(books.tenant.tag)
        assert "decisions: [Errno 20] Not a directory" in note.trouble
        assert note.due_at is not None
        assert note.due_at < datetime.now(UTC) + timedelta(hours=2)
        assert "were not dropped" in caplog.text

    def test_drops_nothing_where_no_folder_is_named(self, books: Books, settings: Any) -> None:
        settings.ARCHIVE_DIR = ""
        keeping_visits.enrol()

        keep_tenant(tag=books.tenant.tag)

        assert left(books)["decisions"] == 1
        assert "ARCHIVE_DIR is not set" in visit_of(books.tenant.tag).trouble

    def test_makes_no_folder_where_a_disk_may_not_be_mounted(self, books: Books, folder: Path, settings: Any) -> None:
        settings.ARCHIVE_DIR = str(folder / "disk" / "archive")
        keeping_visits.enrol()

        keep_tenant(tag=books.tenant.tag)

        assert not (folder / "disk").exists()
        assert left(books)["decisions"] == 1
        assert "The folder of ARCHIVE_DIR is not there" in visit_of(books.tenant.tag).trouble

    def test_says_nothing_of_a_missing_folder_where_nothing_is_old(self, acme: Tenant, settings: Any) -> None:
        settings.ARCHIVE_DIR = ""
        roll_up(tag=acme.tag, has_time=lambda: True)
        keeping_visits.enrol()

        keep_tenant(tag=acme.tag)

        assert visit_of(acme.tag).trouble == ""

    def test_has_every_folder_on_the_disk_that_leads_to_a_file(
        self, books: Books, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        synced: set[str] = set()

        def sync(descriptor: int) -> None:
            synced.add(str(Path(f"/proc/self/fd/{descriptor}").readlink()))

        monkeypatch.setattr(os, "fsync", sync)

        keep_tenant(tag=books.tenant.tag)

        assert {str(folder), str(folder / books.tenant.tag)} <= synced

    def test_lets_nobody_else_of_the_machine_read_the_files(self, books: Books, folder: Path) -> None:
        before = os.umask(0o022)
        try:
            keep_tenant(tag=books.tenant.tag)
        finally:
            os.umask(before)

        own = folder / books.tenant.tag
        assert {f"{path.stat().st_mode & 0o777:o}" for path in own.iterdir()} == {"600"}
        assert f"{own.stat().st_mode & 0o777:o}" == "700"

    def test_keeps_deliveries_that_are_young_by_the_databases_clock(self, acme: Tenant) -> None:
        now = datetime.now(UTC)
        with in_tenant(acme.tag):
            subscription = WebhookSubscription.objects.create(
                url="https://example.com", event_types=["budget.created"], secret="", created_at=now, updated_at=now,
                listens_since=now,
            )  # fmt: skip
            WebhookDelivery.objects.create(
                subscription=subscription, event_id=uuid7(), event_type="budget.created", created_at=now,
                next_attempt_at=now,
            )  # fmt: skip

            assert forget_old_deliveries(now=now + 20 * DAY) == 0
            assert WebhookDelivery.objects.count() == 1

    def test_leaves_the_work_to_the_one_that_is_at_it(self, books: Books) -> None:
        before = left(books)
        with psycopg.connect(database_url("owner")) as stranger:
            stranger.execute("SELECT pg_advisory_lock(%s, hashtext(%s))", [0x61726368, books.tenant.tag])
            keep_tenant(tag=books.tenant.tag)

        assert left(books) == before

    def test_of_the_platform_drops_its_events(self, database: None, folder: Path) -> None:
        with in_public():
            old = datetime.now(UTC) - 100 * DAY
            announce(Event(event_type="budget.created", content={}), actor=TEST_ACTOR, at=old)
            ours = OutboxEvent.objects.latest("seq")
            # With whatever other tests have left before it.
            OutboxEvent.objects.update(at=old, delivered_at=old)

        keep_platform()

        with in_public():
            assert not OutboxEvent.objects.filter(pk=ours.pk).exists()
        lines = [line for path in (folder / PLATFORM_TAG).glob("events-*") for line in read_lines(path)]
        assert json.loads(lines[-1])["id"] == str(ours.pk)


class TestDispatch:
    def test_asks_every_tenant_once_a_day_and_the_platform(
        self, acme: Tenant, initech: Tenant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[str] = []
        monkeypatch.setattr("budgets.tasks.keep_tenant.apply_async", lambda kwargs, **_: asked.append(kwargs["tag"]))
        monkeypatch.setattr("budgets.tasks.keep_platform.apply_async", lambda **_: asked.append("platform"))

        dispatch_keeping()
        dispatch_keeping()

        assert sorted(asked) == sorted([acme.tag, initech.tag, "platform"])
        keeping_visits.note_visit(tag=acme.tag, dropped=1, trouble="", is_done=False)
        keeping_visits.note_visit(tag=initech.tag, dropped=0, trouble="", is_done=True)
        asked.clear()
        dispatch_keeping()
        # Of whom there is more comes again at once.
        assert asked == [acme.tag]

    def test_forgets_who_is_gone(self, acme: Tenant) -> None:
        keeping_visits.enrol()
        with in_public():
            KeepingVisit.objects.create(tag="a" * 20)

        sweep_standings()

        with in_public():
            assert not KeepingVisit.objects.filter(tag="a" * 20).exists()
            assert KeepingVisit.objects.filter(tag=acme.tag).exists()


class TestTerms:
    INSTALLATION = KeepingDays(decisions=180, events=90, ledger=None)

    def test_are_the_tenants_then_the_plans_then_the_installations(self, acme: Tenant) -> None:
        with in_tenant(acme.tag):
            assert keeping_days(self.INSTALLATION, plan={}) == self.INSTALLATION
            found = keeping_days(self.INSTALLATION, plan={"ledger": 400, "events": None})
            assert found == KeepingDays(decisions=180, events=None, ledger=400)
            KeepingTerm.objects.create(kind="ledger", days=None, changed_at=datetime.now(UTC))
            assert keeping_days(self.INSTALLATION, plan={"ledger": 400}).ledger is None

    def test_are_set_with_an_entry_in_the_trail_once(self, acme: Tenant, capsys: pytest.CaptureFixture[str]) -> None:
        for _ in range(2):
            call_command("set_keeping", "ledger", "400", tenant="acme", by="olive", reason="Contract of October")
        call_command("set_keeping", "events", "forever", tenant="acme", by="olive", reason="Contract of October")

        with in_tenant(acme.tag):
            found = keeping_days(self.INSTALLATION, plan={})
            entries = AuditEntry.objects.filter(action="tenant.updated").order_by("at")
            said = [(entry.actor, entry.reason, entry.before, entry.after) for entry in entries]
        assert found == KeepingDays(decisions=180, events=None, ledger=400)
        assert said == [
            ("olive", "Contract of October", {"keep_ledger_days": "as the plan says"}, {"keep_ledger_days": 400}),
            ("olive", "Contract of October", {"keep_events_days": "as the plan says"}, {"keep_events_days": "forever"}),
        ]
        assert "acme: the ledger is kept for 400 days, as before." in capsys.readouterr().out

    def test_are_the_plans_again_where_somebody_says_so(self, acme: Tenant, capsys: pytest.CaptureFixture[str]) -> None:
        for days in ("400", "plan", "plan"):
            call_command("set_keeping", "ledger", days, tenant="acme", by="olive", reason="It ended")

        with in_tenant(acme.tag):
            assert not KeepingTerm.objects.exists()
            last = AuditEntry.objects.filter(action="tenant.updated").latest("at")
        assert (last.before, last.after) == ({"keep_ledger_days": 400}, {"keep_ledger_days": "as the plan says"})
        said = capsys.readouterr().out.splitlines()
        assert said[1:] == [
            "acme: the ledger is kept as the plan says.",
            "acme: the ledger is kept as the plan says, as before.",
        ]

    @pytest.mark.parametrize(("kind", "days"), [("ledger", "89"), ("decisions", "29"), ("events", "36526")])
    def test_are_refused_where_they_are_out_of_range(self, acme: Tenant, kind: str, days: str) -> None:
        with pytest.raises(CommandError, match="kept for"):
            call_command("set_keeping", kind, days, tenant="acme", by="olive", reason="Less")

    def test_of_a_plan_are_checked_when_it_is_published(self) -> None:
        assert read_plan_defaults({"keep": {"ledger": 90, "events": None}}).keep == KeepDefault(ledger=90, events=None)
        with pytest.raises(InvalidPlanDefaults):
            read_plan_defaults({"keep": {"ledger": 89}})

    @pytest.mark.parametrize("kind", ["DECISIONS", "EVENTS", "LEDGER", "AUDIT"])
    def test_of_an_installation_that_keeps_too_little_are_the_least(
        self, books: Books, settings: Any, *, kind: str
    ) -> None:
        setattr(settings, f"KEEP_{kind}_DAYS", 1)
        assert books.ask("reserve", amount=10**9).status == "BUDGET_EXCEEDED"
        roll_up(tag=books.tenant.tag, has_time=lambda: True)
        keeping_visits.enrol()

        keep_tenant(tag=books.tenant.tag)

        assert visit_of(books.tenant.tag).trouble == ""
        # The old refusal is gone, the young one is not.
        assert left(books)["decisions"] == 1

    def test_do_not_go_below_what_the_database_drops(self, books: Books) -> None:
        with in_tenant(books.tenant.tag):
            KeepingTerm.objects.create(kind="ledger", days=1, changed_at=datetime.now(UTC))
        books.ask("event", amount=1)
        roll_up(tag=books.tenant.tag, has_time=lambda: True)
        seal_closed(tag=books.tenant.tag, has_time=lambda: True, segment=1)

        keep_tenant(tag=books.tenant.tag)

        assert left(books)["entries"] == 1
