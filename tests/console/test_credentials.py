"""Credential references in the console: a tenant's own and all tenants', where secrets live and never a secret."""

from datetime import UTC, datetime
from html import unescape
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from accounts.models import User
from budgets.services.lifecycle import close_tenant
from kernel.actor import Actor
from kernel.tenancy import in_public, in_tenant
from telemetry.models import AuditEntry
from tenants.models import Tenant, TenantStanding
from tenants.services import standing
from tests.support.books import TEST_ACTOR
from tests.support.console import signed_in
from vault.kinds import OPERATOR_BACK_ENDS, BackEnd
from vault.locations import Location
from vault.models import CredentialReference, Health
from vault.services.reference_checks import NewReference
from vault.services.references import add_reference

HERE = "/t/acme/credentials/"
OPS = "/ops/credentials/"
GOOD = {
    "name": "Slack of support",
    "provider": "slack",
    "scope": "slack:write",
    "tools": "",
    "back_end": "KV",
    "path": "wm/{tenant}/slack",
    "key": "token",
    "version": "",
    "note": "chat:write",
    "expires_on": "",
    "reason": "The triage agent answers there",
}
TOKEN = "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcBrzbqgy"


@pytest.fixture
def member(ada: User) -> Client:
    return signed_in(ada)


def text_of(answer: Any) -> str:
    return unescape(answer.content.decode())


def add(tenant: Tenant, name: str = "Slack", scope: str = "slack:write") -> CredentialReference:
    new = NewReference(
        name=name, provider="slack", scope=scope, back_end=BackEnd.KV, location=Location(path="wm/{tenant}/slack")
    )
    actor = Actor(name="ada@example.test", actor_type="admin")
    with in_tenant(tenant.tag):
        return add_reference(new, allowed=OPERATOR_BACK_ENDS, actor=actor, now=datetime.now(UTC))


class TestOwn:
    def test_says_first_how_one_comes_to_be(self, acme: Tenant, member: Client) -> None:
        assert f"bao kv put -mount=secret wm/{acme.tag}/slack token=-" in text_of(member.get(HERE))

    def test_shows_where_a_secret_lives_and_how_it_is(self, acme: Tenant, member: Client) -> None:
        reference = add(acme)
        with in_tenant(acme.tag):
            CredentialReference.objects.filter(pk=reference.pk).update(
                health=Health.SEALED, last_used_at=datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
            )

        text = text_of(member.get(HERE))

        assert "<code>wm/{tenant}/slack</code>" in text
        assert "Back end sealed" in text
        assert 'datetime="2026-11-20T09:30:00+00:00"' in text

    def test_is_for_reading_to_a_viewer(self, acme: Tenant, ben: User) -> None:
        reference = add(acme)
        browser = signed_in(ben)

        assert "Revoke…" not in text_of(browser.get(HERE))
        assert browser.post(f"{HERE}new/", GOOD).status_code == 403
        assert browser.post(f"{HERE}{reference.pk}/revoke/", {"reason": "x"}).status_code == 403


class TestNew:
    def test_is_written_with_its_reason(self, acme: Tenant, member: Client) -> None:
        answer = member.post(f"{HERE}new/", GOOD | {"expires_on": "2099-12-31"})

        assert (answer.status_code, answer["Location"]) == (302, HERE)
        with in_tenant(acme.tag):
            reference = CredentialReference.objects.get()
            (entry,) = AuditEntry.objects.filter(action="credential.added")
        assert (reference.tools, reference.key) == ("slack.*", "token")
        # The midnight after it in Kolkata.
        assert reference.expires_at == datetime(2099, 12, 31, 18, 30, tzinfo=UTC)
        assert (entry.actor, entry.reason) == ("ada@example.test", GOOD["reason"])

    def test_has_an_idle_tenant_looked_at_and_so_has_its_end(self, acme: Tenant, member: Client) -> None:
        standing.enrol_tenants()

        def is_due() -> bool:
            with in_public():
                note = TenantStanding.objects.filter(tag=acme.tag)
                at = note.values_list("revisit_at", flat=True).get()
                note.update(revisit_at=None)
            return at is not None and at <= datetime.now(UTC)

        is_due()
        assert not is_due()
        member.post(f"{HERE}new/", GOOD | {"expires_on": "2099-12-31"})
        assert is_due()
        with in_tenant(acme.tag):
            reference = CredentialReference.objects.get()
        member.post(f"{HERE}{reference.pk}/revoke/", {"reason": "It leaked"})
        assert is_due()

    @pytest.mark.parametrize(
        "changes",
        [
            {"name": ""},
            {"scope": "slack"},
            {"path": "wm/other/slack"},
            {"path": "wm/{tenant}/%2e%2e/x"},
            {"version": "newest"},
            {"back_end": "FILE"},
            {"back_end": "nothing"},
            {"expires_on": "2020-01-01"},
            {"expires_on": "soon"},
            {"reason": ""},
        ],
    )
    def test_of_a_bad_form_is_none(self, acme: Tenant, member: Client, changes: dict[str, str]) -> None:
        answer = member.post(f"{HERE}new/", GOOD | changes)

        assert answer.status_code == 422
        assert "field-error" in text_of(answer)
        with in_tenant(acme.tag):
            assert not CredentialReference.objects.exists()

    @pytest.mark.parametrize("field", ["name", "key", "note", "path", "reason"])
    def test_refuses_a_secret_and_does_not_show_it_again(self, acme: Tenant, member: Client, field: str) -> None:
        answer = member.post(f"{HERE}new/", GOOD | {field: TOKEN})

        assert answer.status_code == 422
        assert "looks like a secret" in text_of(answer)
        assert TOKEN not in text_of(answer)

    def test_on_the_machine_itself_is_for_operators(self, acme: Tenant, browser: Client) -> None:
        address = "/ops/tenants/acme/credentials/new/"

        assert browser.post(address, GOOD | {"back_end": "FILE"}).status_code == 302

    def test_of_a_closed_tenant_is_refused(self, acme: Tenant, member: Client) -> None:
        close_tenant(tag=acme.tag, actor=TEST_ACTOR)

        answer = member.post(f"{HERE}new/", GOOD)

        assert answer.status_code == 422
        assert "closed" in text_of(answer)


class TestRotate:
    def test_leads_to_another_version(self, acme: Tenant, member: Client) -> None:
        reference = add(acme)
        address = f"{HERE}{reference.pk}/rotate/"
        form = member.get(address).context["form"].initial
        sent = form | {"version": "2", "overlap": "24", "reason": "The quarter is over"}

        assert member.post(address, sent)["Location"] == HERE

        assert "version 2 · the place before is still leased" in " ".join(text_of(member.get(HERE)).split())
        again = member.post(address, sent | {"version": "3"})
        assert again.status_code == 422
        assert "rotated meanwhile" in text_of(again)
        # What it says now may be sent.
        seen = again.context["form"].data["seen"]
        assert member.post(address, sent | {"version": "3", "seen": seen}).status_code == 302

    @pytest.mark.parametrize("changes", [{"path": "wm/x"}, {"overlap": "999"}, {"reason": ""}, {"seen": "["}])
    def test_of_a_bad_form_changes_nothing(self, acme: Tenant, member: Client, changes: dict[str, str]) -> None:
        reference = add(acme)
        form = {"path": "wm/{tenant}/b", "overlap": "1", "reason": "x", "seen": ""}

        answer = member.post(f"{HERE}{reference.pk}/rotate/", form | changes)

        # Where nothing was seen nothing can have changed.
        assert answer.status_code == (302 if "seen" in changes else 422)

    def test_of_what_an_operator_bound_is_for_operators(self, acme: Tenant, member: Client, browser: Client) -> None:
        new = NewReference(
            name="Local",
            provider="slack",
            scope="slack:write",
            back_end=BackEnd.FILE,
            location=Location(path="wm/{tenant}/slack"),
        )
        with in_tenant(acme.tag):
            reference = add_reference(new, allowed=OPERATOR_BACK_ENDS, actor=TEST_ACTOR, now=datetime.now(UTC))
        form = {"path": "wm/{tenant}/other", "overlap": "1", "reason": "x", "seen": ""}

        answer = member.post(f"{HERE}{reference.pk}/rotate/", form)

        assert answer.status_code == 422
        assert "whoever runs the platform" in text_of(answer)
        assert "Rotate Local" not in text_of(member.get(HERE))
        assert "Revoke Local" in text_of(member.get(HERE))
        address = f"/ops/tenants/acme/credentials/{reference.pk}/rotate/"
        assert browser.post(address, form).status_code == 302


class TestRevoke:
    def test_ends_one_and_may_be_repeated(self, acme: Tenant, member: Client) -> None:
        first, _ = add(acme), add(acme, "Slack, reading", "slack:read")
        for _ in range(2):
            answer = member.post(f"{HERE}{first.pk}/revoke/", {"reason": "It leaked"})
            assert answer["Location"] == HERE

        text = text_of(member.get(HERE))
        assert text.count(">Revoked<") == 1
        assert "Revoke Slack, reading" in text

    @pytest.mark.parametrize("act", ["rotate", "revoke"])
    def test_of_another_tenants_is_as_of_none(self, initech: Tenant, member: Client, act: str) -> None:
        theirs = add(initech)

        pages = [member.post(f"{HERE}{id}/{act}/", {"reason": "x"}) for id in (theirs.pk, uuid4())]

        assert [page.status_code for page in pages] == [404, 404]
        assert pages[0].content == pages[1].content


class TestAcross:
    def test_shows_every_tenants_and_narrows(self, acme: Tenant, initech: Tenant, browser: Client) -> None:
        add(acme)
        add(initech, "Zendesk", "zendesk:read")

        text = text_of(browser.get(OPS))
        assert "/ops/tenants/acme/credentials/" in text
        assert "/ops/tenants/initech/credentials/" in text

        assert "zendesk:read" not in text_of(browser.get(f"{OPS}?tenant=acme"))
        assert "slack:write" not in text_of(browser.get(f"{OPS}?q=ZENDESK"))
        assert "matches this filter" in text_of(browser.get(f"{OPS}?health=GOOD"))
        assert "slack:write" in text_of(browser.get(f"{OPS}?health=nonsense"))
        assert "matches this filter" in text_of(browser.get(f"{OPS}?after=zzz"))

    def test_says_what_will_be_there(self, acme: Tenant, browser: Client) -> None:
        assert "will appear here" in text_of(browser.get(OPS))

    def test_is_not_for_members(self, member: Client) -> None:
        assert member.get(OPS).status_code == 404
