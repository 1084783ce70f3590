"""POST /v1/x-watermaster/credentials/lease over HTTP, with a real OpenBao behind it."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import httpx
import hvac  # type: ignore[import-untyped]
import pytest

from accounts.keys.models import ApiKey, Permission
from accounts.keys.services.keys import revoke_key
from budgets.services.lifecycle import close_tenant, suspend_tenant
from budgets.services.switches import throw_switch
from kernel.ids import mint_wire_id, uuid7
from kernel.stops import Stop
from kernel.switches import SwitchLevel
from kernel.tenancy import in_tenant
from telemetry.models import AuditEntry
from tenants.models import Tenant
from tests.plugins.live_api import free_port, run_database, start_api, stop_api
from tests.support.books import TEST_ACTOR, Books
from tests.support.rules import rule
from tests.vault.conftest import ROOT_TOKEN, BaoServer
from vault.kinds import OPERATOR_BACK_ENDS, BackEnd
from vault.locations import Location
from vault.models import CredentialReference, Health
from vault.services.reference_checks import NewReference
from vault.services.references import add_reference, revoke_reference, rotate_reference

LEASE: Final = "/v1/x-watermaster/credentials/lease"
TOKEN: Final = "xoxb-first"
NEWER: Final = "xoxb-second"
SLACK: Final = Location(path="wm/{tenant}/slack", key="token")
SUBJECT: Final = {"tenant": "acme", "workspace": "prod"}


@pytest.fixture(scope="module")
def url(django_db_setup: None, bao_server: BaoServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An api process that is signed in to OpenBao."""
    port, folder = free_port(), tmp_path_factory.mktemp("leasing")
    (folder / "token").write_text(ROOT_TOKEN)
    environment = {"VAULT_ADDR": bao_server.address, "VAULT_TOKEN_FILE": str(folder / "token")}
    process = start_api(port, output=folder / "output", servers=run_database() | environment)
    yield f"http://127.0.0.1:{port}"
    stop_api(process)


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=10**9)
    return books


@pytest.fixture
def slack(books: Books, bao: hvac.Client) -> CredentialReference:
    """A reference of acme's to a secret in two versions, and the older one before that."""
    for token in (TOKEN, NEWER):
        bao.secrets.kv.v2.create_or_update_secret(f"wm/{books.tenant.tag}/slack", {"token": token, "user": "bot"})
    return add(books)


def add(books: Books, *, location: Location = SLACK, **changes: Any) -> CredentialReference:
    values: dict[str, Any] = {"name": "Slack", "provider": "slack", "scope": "slack:write", "back_end": BackEnd.KV}
    with in_tenant(books.tenant.tag):
        return add_reference(
            NewReference(**(values | changes), location=location),
            allowed=OPERATOR_BACK_ENDS,
            actor=TEST_ACTOR,
            now=datetime.now(UTC),
        )


def hold(url: str, books: Books, tool: str | None = "slack.post", **fields: Any) -> dict[str, Any]:
    """The answer of admit to a tool call, or to a call of a model."""
    action = {"kind": "tool.call", "name": tool} if tool else {"kind": "llm.completion", "name": "chat"}
    body: dict[str, Any] = {
        "idempotency_key": str(uuid4()),
        "subject": SUBJECT | {"tenant": books.tenant.slug},
        "action": action,
        "estimate": {"unit": "USD_MICROCENTS", "amount": 100},
    }
    answer = httpx.post(
        f"{url}/v1/x-watermaster/admit", json=body | fields, headers={"X-Cycles-API-Key": books.key.token}
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def decided(url: str, books: Books, tool: str | None = "slack.post", **fields: Any) -> str:
    return str(hold(url, books, tool, **fields)["decision_id"])


def lease(
    url: str, books: Books, decision_id: str, scope: str = "slack:write", *, token: str | None = None, **more: Any
) -> httpx.Response:
    return httpx.post(
        f"{url}{LEASE}",
        json={"scope": scope, "decision_id": decision_id} | more,
        headers={"X-Cycles-API-Key": books.key.token if token is None else token},
    )


def reason(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, str(answer.json().get("details", {}).get("reason_code", ""))


@pytest.mark.usefixtures("slack")
class TestLease:
    def test_gives_the_secret_once_with_its_end_and_writes_it_down(self, books: Books, url: str) -> None:
        admitted = hold(url, books)
        decision_id = admitted["decision_id"]

        answer = lease(url, books, decision_id)

        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert body["values"] == {"token": NEWER}
        assert (body["scope"], body["name"], body["provider"], body["version"]) == (
            "slack:write",
            "Slack",
            "slack",
            "2",
        )
        assert time.time() * 1000 < body["expires_at_ms"] <= admitted["reservation"]["expires_at_ms"]
        assert answer.headers["Cache-Control"] == "no-store"
        with in_tenant(books.tenant.tag):
            (entry,) = AuditEntry.objects.filter(action="credential.leased")
            reference = CredentialReference.objects.get()
        assert (entry.actor, entry.actor_type, entry.target) == (books.key.key_id, "api_key", "Slack slack:write")
        assert entry.after is not None
        assert (entry.after["decision_id"], entry.after["lease_id"]) == (decision_id, body["lease_id"])
        assert entry.request_id == answer.headers["X-Request-Id"]
        assert NEWER not in repr(entry.after)
        assert reference.last_used_at is not None
        assert reference.health == Health.GOOD

    def test_of_a_model_s_call_takes_what_the_policy_allows_for_the_whole_scope(self, books: Books, url: str) -> None:
        decision_id = decided(url, books, None)
        assert lease(url, books, decision_id).status_code == 200

        rule(books, tools={"default": "deny", "rules": [{"pattern": "slack.read", "verdict": "allow"}]})
        assert reason(lease(url, books, decision_id)) == (403, "TOOL_DENIED")

    @pytest.mark.parametrize(
        ("pattern", "verdict", "why"),
        [
            ("slack.delete", "deny", "TOOL_DENIED"),
            ("*.delete", "deny", "TOOL_DENIED"),
            ("SLACK.De*", "gated", "TOOL_GATED"),
            ("slack.delete", "allow", ""),
            ("zendesk.*", "deny", ""),
        ],
    )
    def test_of_a_model_s_call_looks_at_every_tool_of_the_scope(
        self, books: Books, url: str, pattern: str, verdict: str, why: str
    ) -> None:
        decision_id = decided(url, books, None)
        rule(books, tools={"default": "allow", "rules": [{"pattern": pattern, "verdict": verdict}]})

        assert reason(lease(url, books, decision_id)) == ((403, why) if why else (200, ""))

    @pytest.mark.parametrize(("verdict", "why"), [("deny", "TOOL_DENIED"), ("gated", "TOOL_GATED"), ("allow", "")])
    def test_is_for_tools_of_the_plan(self, books: Books, url: str, verdict: str, why: str) -> None:
        decision_id = decided(url, books)
        rule(books, tools={"default": "deny", "rules": [{"pattern": "Slack.*", "verdict": verdict}]})

        assert reason(lease(url, books, decision_id)) == ((403, why) if why else (200, ""))

    def test_is_for_the_tool_that_was_decided(self, books: Books, url: str) -> None:
        assert reason(lease(url, books, decided(url, books, "zendesk.read"))) == (403, "TOOL_OUTSIDE_SCOPE")
        assert lease(url, books, decided(url, books, "SLACK.Post")).status_code == 200

    @pytest.mark.parametrize("settlement", ["commit", "release"])
    def test_ends_with_the_decision(self, books: Books, url: str, settlement: str) -> None:
        admitted = hold(url, books)
        body: dict[str, Any] = {"idempotency_key": "k"}
        body |= {"actual": {"unit": "USD_MICROCENTS", "amount": 1}} if settlement == "commit" else {}
        ended = httpx.post(
            f"{url}/v1/reservations/{admitted['reservation']['reservation_id']}/{settlement}",
            json=body,
            headers={"X-Cycles-API-Key": books.key.token},
        )
        assert ended.status_code == 200

        assert reason(lease(url, books, admitted["decision_id"])) == (410, "DECISION_OVER")

    def test_ends_when_the_hold_has_expired(self, books: Books, url: str) -> None:
        decision_id = decided(url, books, ttl_ms=1_000)
        assert lease(url, books, decision_id).status_code == 200
        time.sleep(1.1)

        assert reason(lease(url, books, decision_id)) == (410, "DECISION_OVER")

    def test_needs_a_decision_that_allowed_and_holds(self, books: Books, url: str) -> None:
        denied = hold(url, books, estimate={"unit": "USD_MICROCENTS", "amount": 10**12})
        assert denied["decision"] == "DENY"
        assert reason(lease(url, books, denied["decision_id"])) == (403, "DECISION_DENIED")

        asked = books.ask("decide", amount=1, suffixes=["", "/workspace:prod"])
        asked_id = mint_wire_id("dec", books.tenant.tag, asked.id)
        assert reason(lease(url, books, asked_id)) == (403, "DECISION_HOLDS_NOTHING")
        nobody = mint_wire_id("dec", books.tenant.tag, uuid7())
        assert reason(lease(url, books, nobody)) == (404, "DECISION_NOT_FOUND")

    @pytest.mark.parametrize(
        ("level", "name"), [(SwitchLevel.TENANT, ""), (SwitchLevel.WORKSPACE, "prod"), (SwitchLevel.TOOL, "slack.post")]
    )
    def test_is_refused_once_somebody_stopped_it(self, books: Books, url: str, level: SwitchLevel, name: str) -> None:
        decision_id = decided(url, books)
        throw_switch(tag=books.tenant.tag, stop=Stop(level=level, name=name, reason="It ran away"), actor=TEST_ACTOR)

        assert lease(url, books, decision_id).status_code == 403

    @pytest.mark.parametrize(("name", "status"), [("Slack.Post", 403), ("zendesk.read", 200)])
    def test_of_a_model_s_call_is_refused_once_a_tool_of_the_scope_is_stopped(
        self, books: Books, url: str, name: str, status: int
    ) -> None:
        decision_id = decided(url, books, None)
        throw_switch(
            tag=books.tenant.tag,
            stop=Stop(level=SwitchLevel.TOOL, name=name, reason="It ran away"),
            actor=TEST_ACTOR,
        )

        assert lease(url, books, decision_id).status_code == status

    def test_is_refused_to_a_tenant_that_is_suspended_or_closed(self, books: Books, url: str) -> None:
        decision_id = decided(url, books)
        suspend_tenant(tag=books.tenant.tag, actor=TEST_ACTOR)
        assert reason(lease(url, books, decision_id)) == (403, "TENANT_SUSPENDED")

        close_tenant(tag=books.tenant.tag, actor=TEST_ACTOR)
        assert lease(url, books, decision_id).status_code in {401, 409}

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"scope": "slack:write"},
            {"scope": "", "decision_id": "x"},
            {"scope": "../x", "decision_id": "x"},
            {"scope": 7, "decision_id": "x"},
            {"scope": "slack:write", "decision_id": None},
            {"scope": "slack:write", "decision_id": "x" * 129},
            {"scope": "slack:write", "decision_id": "x", "tenant": "initech"},
            {"scope": "slack:write", "decision_id": "x", "path": "wm/x"},
        ],
    )
    def test_refuses_another_body(self, books: Books, url: str, body: dict[str, Any]) -> None:
        answer = httpx.post(f"{url}{LEASE}", json=body, headers={"X-Cycles-API-Key": books.key.token})

        assert answer.status_code == 400
        assert answer.json()["error"] == "INVALID_REQUEST"


@pytest.mark.usefixtures("slack")
class TestKey:
    def test_that_is_no_key_is_told_that_and_no_more(self, books: Books, url: str) -> None:
        decision_id = decided(url, books)
        with in_tenant(books.tenant.tag):
            revoked = books.add_key()
            revoke_key(key_id=revoked.key_id, actor=TEST_ACTOR, now=datetime.now(UTC))
            assert ApiKey.objects.count() == 2
        for token in ("", "x", books.key.token[::-1], revoked.token):
            assert lease(url, books, decision_id, token=token).status_code == 401

    def test_needs_the_right_to_spend_and_to_reach_the_scope(self, books: Books, url: str) -> None:
        decision_id = decided(url, books)
        reader = books.add_key(permissions=[Permission.BALANCES_READ])
        elsewhere = books.add_key(scope_filter=["tenant:acme/workspace:other"])
        within = books.add_key(scope_filter=["tenant:acme/workspace:prod"])

        assert lease(url, books, decision_id, token=reader.token).status_code == 403
        assert reason(lease(url, books, decision_id, token=elsewhere.token)) == (403, "DECISION_OUTSIDE_KEY")
        assert lease(url, books, decision_id, token=within.token).status_code == 200

    def test_of_another_tenant_reaches_nothing(self, books: Books, initech: Tenant, url: str) -> None:
        theirs = Books(initech)
        theirs.add_budget(allocated=10**9)
        ours_id, theirs_id = decided(url, books), decided(url, theirs)

        # Another's decision, and one's own decision for a scope that only another has.
        assert reason(lease(url, theirs, ours_id)) == (404, "DECISION_NOT_FOUND")
        assert reason(lease(url, theirs, theirs_id)) == (404, "NO_REFERENCE")
        # The same scope, saved by both, leads to each one's own place.
        add(theirs)
        assert reason(lease(url, theirs, theirs_id)) == (502, "CREDENTIAL_NOT_THERE")
        assert lease(url, books, ours_id).json()["values"] == {"token": NEWER}


class TestReference:
    def test_that_is_revoked_ends_at_once_and_alone(self, books: Books, slack: CredentialReference, url: str) -> None:
        add(books, name="Slack, reading", scope="slack:read")
        decision_id = decided(url, books)
        assert lease(url, books, decision_id).status_code == 200

        with in_tenant(books.tenant.tag):
            revoke_reference(reference_id=slack.pk, actor=TEST_ACTOR, now=datetime.now(UTC))

        assert reason(lease(url, books, decision_id)) == (404, "NO_REFERENCE")
        assert lease(url, books, decision_id, "slack:read").status_code == 200

    def test_that_is_rotated_leases_both_for_a_while(self, books: Books, slack: CredentialReference, url: str) -> None:
        decision_id = decided(url, books)
        assert reason(lease(url, books, decision_id, previous=True)) == (404, "NO_REFERENCE")
        pinned = Location(path=SLACK.path, key="token", version="1")
        now = datetime.now(UTC)
        with in_tenant(books.tenant.tag):
            for to in (pinned, SLACK):
                rotate_reference(
                    reference_id=slack.pk,
                    allowed=OPERATOR_BACK_ENDS,
                    to=to,
                    overlap=timedelta(seconds=30),
                    actor=TEST_ACTOR,
                    now=now,
                )

        answer = lease(url, books, decision_id).json()
        assert answer["values"] == {"token": NEWER}
        assert answer["previous_until_ms"] == int((now + timedelta(seconds=30)).timestamp() * 1000)
        before = lease(url, books, decision_id, previous=True).json()
        assert before["values"] == {"token": TOKEN}
        assert before["expires_at_ms"] <= answer["previous_until_ms"]

        with in_tenant(books.tenant.tag):
            CredentialReference.objects.update(previous_until=datetime.now(UTC))
        assert reason(lease(url, books, decision_id, previous=True)) == (404, "NO_REFERENCE")

    def test_that_has_expired_is_refused(self, books: Books, slack: CredentialReference, url: str) -> None:
        decision_id = decided(url, books)
        with in_tenant(books.tenant.tag):
            CredentialReference.objects.update(expires_at=datetime.now(UTC) + timedelta(seconds=20))
        assert lease(url, books, decision_id).json()["expires_at_ms"] < (time.time() + 21) * 1000
        with in_tenant(books.tenant.tag):
            CredentialReference.objects.update(expires_at=datetime.now(UTC))

        assert reason(lease(url, books, decision_id)) == (403, "REFERENCE_EXPIRED")

    def test_whose_path_was_changed_past_the_check_is_not_followed(
        self, books: Books, slack: CredentialReference, bao: hvac.Client, url: str
    ) -> None:
        bao.secrets.kv.v2.create_or_update_secret("wm/other/slack", {"token": "theirs"})
        with in_tenant(books.tenant.tag):
            CredentialReference.objects.update(path="wm/{tenant}/../other/slack")

        answer = lease(url, books, decided(url, books))

        assert reason(answer) == (502, "CREDENTIAL_FORBIDDEN")
        assert "theirs" not in answer.text


class TestSealed:
    def test_is_said_and_leaves_decisions_alone(
        self, books: Books, slack: CredentialReference, bao: hvac.Client, bao_server: BaoServer, url: str
    ) -> None:
        decision_id = decided(url, books)
        bao.sys.seal()
        try:
            answers = [lease(url, books, decision_id) for _ in range(5)]
            assert {reason(answer) for answer in answers} == {(503, "CREDENTIAL_SEALED")}
            assert {answer.headers["Retry-After"] for answer in answers} == {"10"}
            assert hold(url, books)["decision"] == "ALLOW"
        finally:
            bao.sys.submit_unseal_key(bao_server.unseal_key)
        with in_tenant(books.tenant.tag):
            reference = CredentialReference.objects.get()
            assert reference.health == Health.SEALED
            assert not AuditEntry.objects.filter(action="credential.leased").exists()
