"""The worker looks whether references lead to something, tells of news once, and takes no secret along."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from pytest_django import Settings

from budgets.tasks import dispatch_references
from config.celery import app
from kernel.ids import Tag
from kernel.tenancy import in_tenant
from telemetry.models import AuditEntry, OutboxEvent
from tenants.models import Tenant
from tests.support.books import TEST_ACTOR
from vault.backends.options import CredentialOptions
from vault.kinds import OPERATOR_BACK_ENDS, BackEnd, Health
from vault.locations import Location
from vault.models import CredentialReference
from vault.selectors.due import tags_due
from vault.services.checking import CHECKED_EVERY, check_references, note_health
from vault.services.reference_checks import NewReference
from vault.services.references import add_reference, revoke_reference, rotate_reference
from vault.tasks import check_references_of_tenant

SLACK: Final = Location(path="wm/{tenant}/slack")
CHANGED: Final = "credential.health_changed"


@pytest.fixture
def store(tmp_path: Path, settings: Settings) -> Path:
    settings.CREDENTIALS = CredentialOptions(folder=tmp_path)
    return tmp_path / "wm"


def add(tenant: Tenant, name: str = "slack") -> CredentialReference:
    new = NewReference(
        name=name,
        provider=name,
        scope=f"{name}:write",
        back_end=BackEnd.FILE,
        location=Location(path=f"wm/{{tenant}}/{name}"),
    )
    with in_tenant(tenant.tag):
        return add_reference(new, allowed=OPERATOR_BACK_ENDS, actor=TEST_ACTOR, now=datetime.now(UTC))


def keep(store: Path, tenant: Tenant, name: str = "slack") -> Path:
    file = store / tenant.tag / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("xoxb-1")
    return file


def look(tenant: Tenant, *, has_time: Callable[[], bool] = lambda: True) -> int:
    with in_tenant(tenant.tag):
        CredentialReference.objects.exclude(checked_at=None).update(checked_at=datetime.now(UTC) - timedelta(hours=1))
    return check_references(tag=tenant.tag, has_time=has_time)


def healths(tenant: Tenant) -> dict[str, str]:
    with in_tenant(tenant.tag):
        return dict(CredentialReference.objects.values_list("name", "health"))


def news(tenant: Tenant) -> list[tuple[str, str]]:
    with in_tenant(tenant.tag):
        entries = AuditEntry.objects.filter(action=CHANGED).order_by("id")
        told = OutboxEvent.objects.filter(event_type=f"custom.{CHANGED}").count()
        found = [((entry.before or {})["health"], (entry.after or {})["health"]) for entry in entries]
    assert told == len(found)
    return found


class TestLook:
    def test_tells_of_news_once(self, acme: Tenant, store: Path) -> None:
        add(acme)
        file = keep(store, acme)
        look(acme)
        assert (healths(acme), news(acme)) == ({"slack": "GOOD"}, [])

        file.unlink()
        for _ in range(2):
            look(acme)
        assert healths(acme) == {"slack": "NOT_THERE"}
        assert news(acme) == [("GOOD", "NOT_THERE")]

        keep(store, acme)
        look(acme)
        assert news(acme) == [("GOOD", "NOT_THERE"), ("NOT_THERE", "GOOD")]

    def test_leaves_what_was_looked_at_lately_and_what_is_revoked(self, acme: Tenant, store: Path) -> None:
        first, _ = add(acme), add(acme, "zendesk")
        assert look(acme) == 2
        assert check_references(tag=acme.tag, has_time=lambda: True) == 0
        with in_tenant(acme.tag):
            revoke_reference(reference_id=first.pk, actor=TEST_ACTOR, now=datetime.now(UTC))

        assert look(acme) == 1

    def test_ends_when_its_time_is_over_and_goes_on_with_the_others(self, acme: Tenant, store: Path) -> None:
        for name in ("a", "b", "c"):
            add(acme, name)
        turns = iter([True, False])

        assert check_references(tag=acme.tag, has_time=lambda: next(turns)) == 1
        assert check_references(tag=acme.tag, has_time=lambda: True) == 2

    def test_does_not_note_what_it_found_at_a_place_that_was_left(self, acme: Tenant, store: Path) -> None:
        reference = add(acme)
        now = datetime.now(UTC)
        with in_tenant(acme.tag):
            rotate_reference(
                reference_id=reference.pk,
                allowed=OPERATOR_BACK_ENDS,
                to=Location(path="wm/{tenant}/other"),
                actor=TEST_ACTOR,
                now=now,
            )

            assert not note_health(reference.pk, Health.GOOD, location=SLACK, actor=TEST_ACTOR, now=now)

        assert healths(acme) == {"slack": "UNKNOWN"}

    def test_by_a_task_is_one_tenant_s(self, acme: Tenant, initech: Tenant, store: Path) -> None:
        for tenant in (acme, initech):
            add(tenant)
        keep(store, acme)

        check_references_of_tenant(tag=acme.tag)

        assert (healths(acme), healths(initech)) == ({"slack": "GOOD"}, {"slack": "UNKNOWN"})


class TestDue:
    def test_are_tenants_with_a_reference_that_waits(self, acme: Tenant, initech: Tenant, store: Path) -> None:
        def due() -> set[Tag]:
            return set(tags_due([acme.tag, initech.tag], before=datetime.now(UTC) - CHECKED_EVERY))

        assert due() == set()
        add(acme)
        assert due() == {acme.tag}
        check_references(tag=acme.tag, has_time=lambda: True)
        assert due() == set()

    def test_are_handed_out_by_their_tag_alone(
        self, acme: Tenant, store: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add(acme)
        sent: list[object] = []
        monkeypatch.setattr(check_references_of_tenant, "apply_async", lambda **named: sent.append(named["kwargs"]))

        dispatch_references()

        assert {"tag": acme.tag} in sent

    def test_are_asked_after_every_minute_on_the_queue_of_those_who_wait(self) -> None:
        assert app.conf.beat_schedule["dispatch references"]["task"] == dispatch_references.name
        assert app.conf.task_routes[check_references_of_tenant.name] == {"queue": "webhooks"}
