"""API keys in the console: the secret is on one page, once; rotated, revoked, and all at once after typing the slug."""

import re
from html import unescape
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from accounts.keys.models import ApiKey, KeyStatus, Permission
from accounts.keys.selectors.keys import verified_key
from accounts.keys.tokens import parse_token
from accounts.models import MemberRole, User
from budgets.services.lifecycle import close_tenant
from kernel.tenancy import in_tenant
from telemetry.models import AuditEntry, OutboxEvent
from tests.support.books import TEST_ACTOR, Books
from tests.support.console import member_of, proved_lately, signed_in

KEYS = "/t/acme/keys/"
GOOD = {"name": "triage", "permissions": ["reservations:create"], "scopes": "", "days": "90", "reason": "A new agent"}
HOSTILE = "<script>alert(1)</script>\N{RIGHT-TO-LEFT OVERRIDE}\N{ROCKET}"


@pytest.fixture
def member(ada: User, books: Books) -> Client:
    return signed_in(ada)


def text_of(answer: Any) -> str:
    return unescape(answer.content.decode())


def token_on(answer: Any) -> str:
    (token,) = re.findall(r'id="secret">(wm_live_\w+)<', text_of(answer))
    return str(token)


def is_good(books: Books, token: str) -> bool:
    parsed = parse_token(token)
    assert parsed is not None
    with in_tenant(books.tenant.tag):
        return verified_key(parsed) is not None


class TestNew:
    def test_shows_its_secret_once(self, books: Books, member: Client) -> None:
        answer = member.post(f"{KEYS}new/", GOOD)

        token = token_on(answer)
        assert is_good(books, token)
        assert "no-store" in answer["Cache-Control"]
        assert token not in text_of(member.get(KEYS))
        secret = token.split("_")[4]
        assert not any(secret in session.session_data for session in Session.objects.all())
        with in_tenant(books.tenant.tag):
            written = [*AuditEntry.objects.values_list("after"), *OutboxEvent.objects.values_list("payload")]
        assert secret not in repr(written)

    def test_is_confined_to_its_scopes(self, books: Books, member: Client) -> None:
        token = token_on(member.post(f"{KEYS}new/", GOOD | {"scopes": "workspace:Prod\ntenant:acme/workspace:b"}))

        with in_tenant(books.tenant.tag):
            key = ApiKey.objects.get(key_id=token.split("_")[3])
        assert key.scope_filter == ["tenant:acme/workspace:b", "tenant:acme/workspace:prod"]
        assert key.expires_at is not None

    @pytest.mark.parametrize(
        "changes",
        [
            {"name": ""},
            {"name": "x" * 257},
            {"permissions": []},
            {"permissions": ["platform:write"]},
            {"scopes": "tenant:initech"},
            {"scopes": "agent:a/workspace:b"},
            {"scopes": "\n".join(f"agent:a{n}" for n in range(101))},
            {"days": "9999"},
            {"reason": ""},
        ],
    )
    def test_of_a_bad_form_is_none(self, books: Books, member: Client, changes: dict[str, Any]) -> None:
        assert member.post(f"{KEYS}new/", GOOD | changes).status_code == 422
        with in_tenant(books.tenant.tag):
            assert ApiKey.objects.count() == 1

    def test_takes_a_name_as_text(self, books: Books, member: Client) -> None:
        name = HOSTILE + "x" * (256 - len(HOSTILE))

        for page in (member.post(f"{KEYS}new/", GOOD | {"name": name}), member.get(KEYS)):
            assert b"<script>alert" not in page.content
            assert name in text_of(page)

    @pytest.mark.parametrize("permission", ["budgets:write", "policies:write"])
    def test_gives_nobody_more_than_they_may_themselves(
        self, books: Books, member: Client, browser: Client, permission: str
    ) -> None:
        wanted = GOOD | {"permissions": [permission]}

        assert member.post(f"{KEYS}new/", wanted).status_code == 422
        assert permission not in text_of(member.get(f"{KEYS}new/"))
        assert token_on(browser.post("/ops/tenants/acme/keys/new/", wanted))

    def test_ends_after_a_year_where_nothing_else_is_said(self, member: Client) -> None:
        assert '<option value="365" selected>' in text_of(member.get(f"{KEYS}new/"))


class TestRotate:
    @pytest.mark.parametrize(("overlap", "works"), [("24", True), ("0", False)])
    def test_leaves_the_secret_before_it_as_long_as_was_said(
        self, books: Books, member: Client, overlap: str, works: bool
    ) -> None:
        before = token_on(member.post(f"{KEYS}new/", GOOD))

        after = token_on(member.post(f"{KEYS}{before.split('_')[3]}/rotate/", {"overlap": overlap, "reason": "Leaked"}))

        assert is_good(books, after)
        assert is_good(books, before) is works

    def test_of_a_revoked_key_says_so(self, books: Books, member: Client) -> None:
        address = f"{KEYS}{books.key.key_id}/"
        member.post(f"{address}revoke/", {"reason": "Leaked"})

        answer = member.post(f"{address}rotate/", {"overlap": "0", "reason": "again"})

        assert answer.status_code == 422
        assert "was revoked meanwhile" in text_of(answer)

    def test_of_a_key_that_may_more_than_its_reader_is_for_operators(
        self, books: Books, member: Client, browser: Client
    ) -> None:
        key = books.add_key(permissions=[Permission.BUDGETS_WRITE])
        form = {"overlap": "24", "reason": "Leaked"}

        answer = member.post(f"{KEYS}{key.key_id}/rotate/", form)

        assert answer.status_code == 422
        assert "This key may do more than you" in text_of(answer)
        assert token_on(browser.post(f"/ops/tenants/acme/keys/{key.key_id}/rotate/", form))


class TestClosedTenant:
    def test_gets_no_key_and_no_secret(self, books: Books, member: Client, browser: Client) -> None:
        close_tenant(tag=books.tenant.tag, actor=TEST_ACTOR)
        for address, form in (("new/", GOOD), (f"{books.key.key_id}/rotate/", {"overlap": "24", "reason": "x"})):
            for answer in (
                member.post(f"{KEYS}{address}", form),
                browser.post(f"/ops/tenants/acme/keys/{address}", form),
            ):
                assert answer.status_code == 422
                assert "The tenant is closed" in text_of(answer)


class TestRevoke:
    def test_ends_it_and_twice_is_once(self, books: Books, member: Client) -> None:
        for _ in range(2):
            assert member.post(f"{KEYS}{books.key.key_id}/revoke/", {"reason": "Leaked"}).status_code == 302

        with in_tenant(books.tenant.tag):
            assert ApiKey.objects.get().status == KeyStatus.REVOKED
            assert AuditEntry.objects.filter(action="api_key.revoked").count() == 1

    @pytest.mark.parametrize("key_id", ["nobody", "%00", "x" * 300])
    def test_of_no_key_is_404(self, member: Client, key_id: str) -> None:
        assert member.post(f"{KEYS}{key_id}/revoke/", {"reason": "x"}).status_code == 404

    def test_is_not_for_those_who_only_look(self, books: Books, ben: User) -> None:
        browser = signed_in(ben)

        assert "Revoke" not in text_of(browser.get(KEYS))
        assert browser.post(f"{KEYS}{books.key.key_id}/revoke/", {"reason": "x"}).status_code == 403


class TestRevokeAll:
    @pytest.mark.parametrize(("typed", "revoked"), [("acme", 2), ("Acme", 0), ("", 0), ("initech", 0)])
    def test_needs_the_slug_typed(self, books: Books, member: Client, typed: str, revoked: int) -> None:
        books.add_key()
        proved_lately(member)

        answer = member.post(f"{KEYS}revoke-all/", {"typed": typed, "reason": "All leaked"})

        assert answer.status_code == (302 if revoked else 422)
        with in_tenant(books.tenant.tag):
            assert ApiKey.objects.filter(status=KeyStatus.REVOKED).count() == revoked

    def test_asks_again_who_it_is(self, books: Books, member: Client) -> None:
        answer = member.post(f"{KEYS}revoke-all/", {"typed": "acme", "reason": "All leaked"})

        assert answer["Location"].startswith("/accounts/reauthenticate/?next=/accounts/kept/")
        with in_tenant(books.tenant.tag):
            assert not ApiKey.objects.filter(status=KeyStatus.REVOKED).exists()

    def test_is_for_owners(self, books: Books) -> None:
        with member_of(books.tenant, "dora", MemberRole.ADMIN) as admin:
            assert signed_in(admin).post(f"{KEYS}revoke-all/", {"typed": "acme", "reason": "x"}).status_code == 403
