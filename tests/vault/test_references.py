"""Credential references: added, rotated and revoked with a trail; what they hold is never a secret."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import pytest
from django.db import DatabaseError, transaction

from kernel.actor import Actor
from kernel.ids import mint_tag
from kernel.tenancy import in_tenant
from telemetry.models import AuditEntry, OutboxEvent
from tenants.models import Tenant
from vault.kinds import MEMBER_BACK_ENDS, OPERATOR_BACK_ENDS, BackEnd
from vault.locations import Location
from vault.models import CredentialReference, Health, ReferenceStatus
from vault.paths import EXAMPLES
from vault.selectors.references import reference_by_id, reference_lines, references_across
from vault.services.reference_checks import InvalidReference, NewReference
from vault.services.references import (
    OVERLAP_MAX,
    REFERENCES_MAX,
    BackEndRefused,
    OverlapTooLong,
    ReferenceChanged,
    ReferenceIsRevoked,
    ReferenceNotFound,
    add_reference,
    location_of,
    revoke_reference,
    rotate_reference,
)

NOW: Final = datetime(2026, 11, 22, 9, tzinfo=UTC)
ADA: Final = Actor(name="ada@example.test", actor_type="admin", reason="The triage agent writes to Slack")
PLACE: Final = Location(path="wm/{tenant}/slack", key="token")
NEXT: Final = Location(path="wm/{tenant}/slack", key="token", version="2")


def new(**changes: Any) -> NewReference:
    values: dict[str, Any] = {
        "name": "Slack",
        "provider": "slack",
        "scope": "slack:write",
        "back_end": BackEnd.KV,
        "location": PLACE,
    }
    return NewReference(**(values | changes))


def add(**changes: Any) -> CredentialReference:
    return add_reference(new(**changes), allowed=OPERATOR_BACK_ENDS, actor=ADA, now=NOW)


@pytest.fixture
def inside(acme: Tenant) -> Any:
    with in_tenant(acme.tag):
        yield acme


@pytest.mark.usefixtures("inside")
class TestAdd:
    def test_writes_who_and_why_and_where(self) -> None:
        reference = add(note="chat:write in two channels")

        (entry,) = AuditEntry.objects.filter(action="credential.added")
        (event,) = OutboxEvent.objects.filter(event_type="custom.credential.added")
        assert (entry.actor, entry.reason, entry.target) == (ADA.name, ADA.reason, "Slack slack:write")
        assert entry.after is not None
        assert entry.after["path"] == "wm/{tenant}/slack"
        assert event.payload["data"] == {"reference_id": str(reference.pk), "name": "Slack", "scope": "slack:write"}
        assert (reference.tools, reference.health) == ("slack.*", Health.UNKNOWN)

    @pytest.mark.parametrize(
        ("field", "changes"),
        [
            ("name", {"name": ""}),
            ("name", {"name": " Slack"}),
            ("name", {"name": "x" * 101}),
            ("name", {"name": "a\nb"}),
            ("name", {"name": "a\N{RIGHT-TO-LEFT OVERRIDE}b"}),
            ("provider", {"provider": "Slack"}),
            ("provider", {"provider": ""}),
            ("scope", {"scope": "slack"}),
            ("scope", {"scope": "slack:"}),
            ("scope", {"scope": "slack:write read"}),
            ("scope", {"scope": "a:b:c:d:e"}),
            ("tools", {"tools": "slack.* zendesk.*"}),
            ("tools", {"tools": "%"}),
            ("note", {"note": "x" * 501}),
            ("expires_at", {"expires_at": NOW}),
            ("path", {"location": Location(path="wm/slack")}),
            ("path", {"location": Location(path="wm/{tenant}/../x")}),
            ("key", {"location": Location(path="wm/{tenant}/a", key="a/b")}),
            ("key", {"location": Location(path="wm/{tenant}/a", key="x" * 129)}),
            ("version", {"location": Location(path="wm/{tenant}/a", version="0")}),
            ("version", {"location": Location(path="wm/{tenant}/a", version="newest")}),
            ("version", {"back_end": BackEnd.FILE, "location": Location(path="wm/{tenant}/a", version="1")}),
        ],
    )
    def test_refuses_what_is_wrong_by_its_field(self, field: str, changes: dict[str, Any]) -> None:
        with pytest.raises(InvalidReference) as refusal:
            add(**changes)

        assert refusal.value.field == field
        assert not CredentialReference.objects.exists()

    @pytest.mark.parametrize("back_end", [BackEnd.FILE, BackEnd.ENVIRONMENT])
    def test_of_the_machine_itself_is_for_operators(self, back_end: BackEnd) -> None:
        wanted = new(back_end=back_end)

        with pytest.raises(InvalidReference, match="runs the platform"):
            add_reference(wanted, allowed=MEMBER_BACK_ENDS, actor=ADA, now=NOW)

    @pytest.mark.parametrize(("changes", "field"), [({"scope": "slack:read"}, "name"), ({"name": "Other"}, "scope")])
    def test_keeps_names_and_scopes_apart_while_active(self, changes: dict[str, Any], field: str) -> None:
        first = add()
        with pytest.raises(InvalidReference) as refusal:
            add(**changes)
        assert refusal.value.field == field

        revoke_reference(reference_id=first.pk, actor=ADA, now=NOW)
        add(**changes)

    def test_ends_at_so_many(self) -> None:
        CredentialReference.objects.bulk_create(
            CredentialReference(
                name=f"n{n}",
                provider="p",
                scope=f"p:{n}",
                tools="p.*",
                back_end=BackEnd.KV,
                path="wm/{tenant}/a",
                created_at=NOW,
            )
            for n in range(REFERENCES_MAX - 1)
        )
        add()
        with pytest.raises(InvalidReference, match=str(REFERENCES_MAX)):
            add(name="Other", scope="other:x")

    @pytest.mark.parametrize("path", ["wm/slack", "wm/%tenant%/slack", ""])
    def test_of_a_path_without_the_tenant_is_refused_by_the_table_itself(self, path: str) -> None:
        reference = add()
        with pytest.raises(DatabaseError), transaction.atomic():
            CredentialReference.objects.filter(pk=reference.pk).update(path=path)


@pytest.mark.usefixtures("inside")
class TestRotate:
    def test_leads_elsewhere_and_keeps_the_place_before_for_a_while(self) -> None:
        reference = add()
        CredentialReference.objects.update(health=Health.GOOD, checked_at=NOW)

        rotate_reference(reference_id=reference.pk, allowed=OPERATOR_BACK_ENDS, to=NEXT, seen=PLACE, actor=ADA, now=NOW)

        reference.refresh_from_db()
        assert location_of(reference) == NEXT
        assert (reference.previous_path, reference.previous_key, reference.previous_version) == (
            PLACE.path,
            "token",
            "",
        )
        assert reference.previous_until == NOW + timedelta(hours=24)
        assert (reference.health, reference.checked_at) == (Health.UNKNOWN, None)
        (entry,) = AuditEntry.objects.filter(action="credential.rotated")
        assert entry.before is not None
        assert entry.after is not None
        assert (entry.before["version"], entry.after["version"]) == ("", "2")

    def test_without_overlap_forgets_the_place_before(self) -> None:
        reference = add()

        rotate_reference(
            reference_id=reference.pk, allowed=OPERATOR_BACK_ENDS, to=NEXT, overlap=timedelta(0), actor=ADA, now=NOW
        )

        reference.refresh_from_db()
        assert (reference.previous_path, reference.previous_until) == ("", None)

    def test_is_safe_to_repeat(self) -> None:
        reference = add()
        for _ in range(2):
            rotate_reference(
                reference_id=reference.pk, allowed=OPERATOR_BACK_ENDS, to=NEXT, seen=PLACE, actor=ADA, now=NOW
            )

        assert AuditEntry.objects.filter(action="credential.rotated").count() == 1

    def test_of_what_somebody_else_rotated_is_refused(self) -> None:
        reference = add()
        rotate_reference(reference_id=reference.pk, allowed=OPERATOR_BACK_ENDS, to=NEXT, actor=ADA, now=NOW)
        third = Location(path="wm/{tenant}/slack", key="token", version="3")

        with pytest.raises(ReferenceChanged):
            rotate_reference(
                reference_id=reference.pk, allowed=OPERATOR_BACK_ENDS, to=third, seen=PLACE, actor=ADA, now=NOW
            )

    @pytest.mark.parametrize("back_end", sorted(OPERATOR_BACK_ENDS - MEMBER_BACK_ENDS))
    def test_of_the_machine_itself_is_for_operators(self, back_end: BackEnd) -> None:
        path = EXAMPLES[back_end]
        reference = add(back_end=back_end, location=Location(path=path))
        other = Location(path=f"{path}X" if back_end == BackEnd.ENVIRONMENT else f"{path}-2")

        with pytest.raises(BackEndRefused):
            rotate_reference(reference_id=reference.pk, to=other, allowed=MEMBER_BACK_ENDS, actor=ADA, now=NOW)

        assert location_of(CredentialReference.objects.get()).path == path
        rotate_reference(reference_id=reference.pk, to=other, allowed=OPERATOR_BACK_ENDS, actor=ADA, now=NOW)

    @pytest.mark.parametrize("overlap", [timedelta(seconds=-1), OVERLAP_MAX + timedelta(seconds=1)])
    def test_overlaps_for_a_week_at_most(self, overlap: timedelta) -> None:
        reference = add()
        with pytest.raises(OverlapTooLong):
            rotate_reference(
                reference_id=reference.pk, allowed=OPERATOR_BACK_ENDS, to=NEXT, overlap=overlap, actor=ADA, now=NOW
            )

    def test_to_a_place_that_is_not_the_tenants_is_refused(self) -> None:
        reference = add()
        with pytest.raises(InvalidReference):
            rotate_reference(
                reference_id=reference.pk,
                allowed=OPERATOR_BACK_ENDS,
                to=Location(path=f"wm/{mint_tag()}/{{tenant}}/a"),
                actor=ADA,
                now=NOW,
            )

    def test_of_a_revoked_one_or_of_none_is_refused(self) -> None:
        reference = add()
        revoke_reference(reference_id=reference.pk, actor=ADA, now=NOW)
        with pytest.raises(ReferenceIsRevoked):
            rotate_reference(reference_id=reference.pk, allowed=OPERATOR_BACK_ENDS, to=NEXT, actor=ADA, now=NOW)
        with pytest.raises(ReferenceNotFound):
            rotate_reference(reference_id=uuid4(), allowed=OPERATOR_BACK_ENDS, to=NEXT, actor=ADA, now=NOW)


@pytest.mark.usefixtures("inside")
class TestRevoke:
    def test_ends_one_and_leaves_the_others(self) -> None:
        first, second = add(), add(name="Zendesk", scope="zendesk:read", provider="zendesk")
        for _ in range(2):
            revoke_reference(reference_id=first.pk, actor=ADA, now=NOW)

        assert AuditEntry.objects.filter(action="credential.revoked").count() == 1
        first.refresh_from_db()
        second.refresh_from_db()
        assert (first.status, second.status) == (ReferenceStatus.REVOKED, ReferenceStatus.ACTIVE)
        assert [line.name for line in reference_lines(limit=10)] == ["Zendesk", "Slack"]

    def test_of_none_is_refused(self) -> None:
        with pytest.raises(ReferenceNotFound):
            revoke_reference(reference_id=uuid4(), actor=ADA, now=NOW)


class TestAcross:
    def test_each_tenant_has_its_own_and_no_others(self, acme: Tenant, initech: Tenant) -> None:
        with in_tenant(acme.tag):
            reference = add()
        with in_tenant(initech.tag):
            add(name="Zendesk", scope="zendesk:read", provider="zendesk", expires_at=NOW + timedelta(days=1))
            assert reference_by_id(reference.pk) is None
            assert [line.name for line in reference_lines(limit=10)] == ["Zendesk"]

        found = references_across([acme.tag, initech.tag], limit=10)

        assert {tag: [line.name for line in lines] for tag, lines in found.items()} == {
            acme.tag: ["Slack"],
            initech.tag: ["Zendesk"],
        }
        assert set(references_across([acme.tag, initech.tag], search="ZENDESK", limit=10)) == {initech.tag}
        assert set(references_across([acme.tag, initech.tag], health="UNKNOWN", limit=10)) <= set(found)
        assert references_across([acme.tag], health="GOOD", limit=10) == {}
        (line,) = found[initech.tag]
        assert line.health_now(now=NOW) == Health.UNKNOWN
        assert line.health_now(now=NOW + timedelta(days=1)) == Health.EXPIRED
