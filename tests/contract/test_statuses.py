"""Every status that an operation can answer with, each held against the contract by the client that asks.

429 is not here: nothing throttles yet. 503 is in `tests/flows/test_outages.py`, which needs servers that it may stop.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from accounts.keys.models import Permission
from budgets.models.choices import BudgetStatus, TenantStatus
from kernel.money import AMOUNT_MAX
from tests.support.api_client import Answer, ApiClient, amount
from tests.support.books import RUNTIME_PERMISSIONS, Books
from tests.support.scenes import expired_reservation, forged_id, late_reservation, set_status, unknown_id

TOKENS = "TOKENS"


@dataclass(frozen=True, slots=True)
class Case:
    """One answer: how it comes about, and what it must say."""

    name: str
    ask: Callable[[ApiClient, Books], Answer]
    status: int
    says: str
    """The error code of a refusal, else the decision or status of the body."""


def over_limit(api: ApiClient, books: Books) -> None:
    """Uses up the tenant's budget and a little more, which nothing covers."""
    assert api.event(actual=amount(1_000_001)).status_code == 201


def with_scope(ask: Callable[[ApiClient, Books], Answer], **budget: Any) -> Callable[[ApiClient, Books], Answer]:
    """`ask` after a budget for the workspace `lab` was made."""

    def scene(api: ApiClient, books: Books) -> Answer:
        books.add_budget("/workspace:lab", **({"allocated": 100} | budget))
        return ask(api, books)

    return scene


def after(*steps: Callable[[ApiClient, Books], Any], ask: Callable[[ApiClient, Books], Answer]) -> Any:
    def scene(api: ApiClient, books: Books) -> Answer:
        for step in steps:
            step(api, books)
        return ask(api, books)

    return scene


def is_suspended(api: ApiClient, books: Books) -> None:
    set_status(books, TenantStatus.SUSPENDED)


def is_closed(api: ApiClient, books: Books) -> None:
    set_status(books, TenantStatus.CLOSED)


def committed(api: ApiClient) -> str:
    reservation_id = api.reserved()
    assert api.commit(reservation_id).status_code == 200
    return reservation_id


def lent(api: ApiClient) -> str:
    """A reservation of all that the workspace `lab` has, by a policy that may go into debt."""
    return api.reserved(100, subject=LAB, overage_policy=OVERDRAFT)


def settled_after(status: TenantStatus, verb: str) -> Callable[[ApiClient, Books], Answer]:
    """Settles a reservation that was made while the tenant was still in business."""

    def scene(api: ApiClient, books: Books) -> Answer:
        reservation_id = api.reserved()
        set_status(books, status)
        answer: Answer = getattr(api, verb)(reservation_id)
        return answer

    return scene


def replayed(verb: str, first: dict[str, Any], second: dict[str, Any]) -> Callable[[ApiClient, Books], Answer]:
    """The second of two calls with one key."""

    def scene(api: ApiClient, books: Books) -> Answer:
        target = [api.reserved(100)] if verb in {"commit", "release", "extend"} else []
        getattr(api, verb)(*target, idempotency_key="one-key", **first)
        answer: Answer = getattr(api, verb)(*target, idempotency_key="one-key", **second)
        return answer

    return scene


def extended(times: int) -> Callable[[ApiClient, Books], Answer]:
    def scene(api: ApiClient, books: Books) -> Answer:
        reservation_id = api.reserved()
        for _ in range(times - 1):
            assert api.extend(reservation_id).status_code == 200
        return api.extend(reservation_id)

    return scene


LAB = {"tenant": "acme", "workspace": "lab"}
FOREIGN = {"tenant": "initech"}
OVERDRAFT = "ALLOW_WITH_OVERDRAFT"

CASES = [
    # ── decide ──
    Case("decide: room", lambda a, b: a.decide(), 200, "ALLOW"),
    Case("decide: no room", lambda a, b: a.decide(estimate=amount(1_000_001)), 200, "DENY"),
    Case("decide: closed tenant", after(is_closed, ask=lambda a, b: a.decide()), 200, "DENY"),
    Case("decide: suspended tenant", after(is_suspended, ask=lambda a, b: a.decide()), 200, "DENY"),
    Case("decide: over limit", after(over_limit, ask=lambda a, b: a.decide()), 200, "DENY"),
    Case("decide: other unit", lambda a, b: a.decide(estimate=amount(1, TOKENS)), 400, "UNIT_MISMATCH"),
    Case("decide: unknown unit", lambda a, b: a.decide(estimate=amount(1, "EUR")), 400, "UNIT_MISMATCH"),
    Case("decide: no subject", lambda a, b: a.decide(subject=...), 400, "INVALID_REQUEST"),
    Case("decide: other tenant", lambda a, b: a.decide(subject=FOREIGN), 403, "FORBIDDEN"),
    Case(
        "decide: key used with another payload",
        replayed("decide", {}, {"estimate": amount(11)}),
        409,
        "IDEMPOTENCY_MISMATCH",
    ),
    # ── reserve ──
    Case("reserve: room", lambda a, b: a.reserve(), 200, "ALLOW"),
    Case("reserve: the last microcent", lambda a, b: a.reserve(estimate=amount(1_000_000)), 200, "ALLOW"),
    Case("reserve: nothing", lambda a, b: a.reserve(estimate=amount(0)), 200, "ALLOW"),
    Case("reserve: dry, room", lambda a, b: a.reserve(dry_run=True), 200, "ALLOW"),
    Case("reserve: dry, no room", lambda a, b: a.reserve(dry_run=True, estimate=amount(1_000_001)), 200, "DENY"),
    Case("reserve: dry, closed tenant", after(is_closed, ask=lambda a, b: a.reserve(dry_run=True)), 200, "DENY"),
    Case(
        "reserve: subject without tenant",
        with_scope(lambda a, b: a.reserve(subject={"workspace": "lab"})),
        200,
        "ALLOW",
    ),
    Case("reserve: malformed", lambda a, b: a.reserve(ttl_ms=999), 400, "INVALID_REQUEST"),
    Case("reserve: other unit", lambda a, b: a.reserve(estimate=amount(1, TOKENS)), 400, "UNIT_MISMATCH"),
    Case("reserve: other tenant", lambda a, b: a.reserve(subject=FOREIGN), 403, "FORBIDDEN"),
    Case("reserve: suspended tenant", after(is_suspended, ask=lambda a, b: a.reserve()), 403, "FORBIDDEN"),
    Case("reserve: one too many", lambda a, b: a.reserve(estimate=amount(1_000_001)), 409, "BUDGET_EXCEEDED"),
    Case("reserve: 2^63 - 1", lambda a, b: a.reserve(estimate=amount(AMOUNT_MAX)), 409, "BUDGET_EXCEEDED"),
    Case("reserve: over limit", after(over_limit, ask=lambda a, b: a.reserve()), 409, "OVERDRAFT_LIMIT_EXCEEDED"),
    Case(
        "reserve: frozen",
        with_scope(lambda a, b: a.reserve(subject=LAB), status=BudgetStatus.FROZEN),
        409,
        "BUDGET_FROZEN",
    ),
    Case(
        "reserve: closed budget",
        with_scope(lambda a, b: a.reserve(subject=LAB), status=BudgetStatus.CLOSED),
        409,
        "BUDGET_CLOSED",
    ),
    Case("reserve: closed tenant", after(is_closed, ask=lambda a, b: a.reserve()), 409, "TENANT_CLOSED"),
    Case(
        "reserve: key used with another payload",
        replayed("reserve", {}, {"estimate": amount(11)}),
        409,
        "IDEMPOTENCY_MISMATCH",
    ),
    Case("reserve: key used for a dry run", replayed("reserve", {"dry_run": True}, {}), 409, "IDEMPOTENCY_MISMATCH"),
    # ── commit ──
    Case("commit: less than held", lambda a, b: a.commit(a.reserved(10), actual=amount(9)), 200, "COMMITTED"),
    Case("commit: nothing", lambda a, b: a.commit(a.reserved(10), actual=amount(0)), 200, "COMMITTED"),
    Case("commit: more than held", lambda a, b: a.commit(a.reserved(10), actual=amount(11)), 200, "COMMITTED"),
    Case("commit: in grace", lambda a, b: a.commit(late_reservation(b, grace_ms=60_000)), 200, "COMMITTED"),
    Case("commit: suspended tenant", settled_after(TenantStatus.SUSPENDED, "commit"), 200, "COMMITTED"),
    Case("commit: malformed", lambda a, b: a.commit(a.reserved(), actual=...), 400, "INVALID_REQUEST"),
    Case("commit: other unit", lambda a, b: a.commit(a.reserved(), actual=amount(1, TOKENS)), 400, "UNIT_MISMATCH"),
    Case("commit: never made", lambda a, b: a.commit(unknown_id(b)), 404, "NOT_FOUND"),
    Case("commit: forged id", lambda a, b: a.commit(forged_id(a.reserved())), 404, "NOT_FOUND"),
    Case("commit: no id at all", lambda a, b: a.commit("42"), 404, "NOT_FOUND"),
    Case(
        "commit: REJECT and more than held",
        lambda a, b: a.commit(a.reserved(10, overage_policy="REJECT"), actual=amount(11)),
        409,
        "BUDGET_EXCEEDED",
    ),
    Case(
        "commit: overdraft and no limit",
        lambda a, b: a.commit(a.reserved(1_000_000, overage_policy=OVERDRAFT), actual=amount(1_000_001)),
        200,
        "COMMITTED",
    ),
    Case(
        "commit: over the overdraft limit",
        with_scope(
            lambda a, b: a.commit(a.reserved(100, subject=LAB, overage_policy=OVERDRAFT), actual=amount(111)),
            overdraft_limit=10,
        ),
        409,
        "OVERDRAFT_LIMIT_EXCEEDED",
    ),
    Case("commit: twice", lambda a, b: a.commit(committed(a)), 409, "RESERVATION_FINALIZED"),
    Case("commit: closed tenant", settled_after(TenantStatus.CLOSED, "commit"), 409, "TENANT_CLOSED"),
    Case(
        "commit: key used with another payload",
        replayed("commit", {}, {"actual": amount(2)}),
        409,
        "IDEMPOTENCY_MISMATCH",
    ),
    Case("commit: too late", lambda a, b: a.commit(late_reservation(b)), 410, "RESERVATION_EXPIRED"),
    Case("commit: expired", lambda a, b: a.commit(expired_reservation(b)), 410, "RESERVATION_EXPIRED"),
    # ── release ──
    Case("release", lambda a, b: a.release(a.reserved(), reason="not needed"), 200, "RELEASED"),
    Case("release: in grace", lambda a, b: a.release(late_reservation(b, grace_ms=60_000)), 200, "RELEASED"),
    Case("release: suspended tenant", settled_after(TenantStatus.SUSPENDED, "release"), 200, "RELEASED"),
    Case("release: malformed", lambda a, b: a.release(a.reserved(), reason=1), 400, "INVALID_REQUEST"),
    Case("release: never made", lambda a, b: a.release(unknown_id(b)), 404, "NOT_FOUND"),
    Case("release: committed", lambda a, b: a.release(committed(a)), 409, "RESERVATION_FINALIZED"),
    Case("release: closed tenant", settled_after(TenantStatus.CLOSED, "release"), 409, "TENANT_CLOSED"),
    Case(
        "release: key used with another payload",
        replayed("release", {}, {"reason": "other"}),
        409,
        "IDEMPOTENCY_MISMATCH",
    ),
    Case("release: too late", lambda a, b: a.release(late_reservation(b)), 410, "RESERVATION_EXPIRED"),
    Case("release: expired", lambda a, b: a.release(expired_reservation(b)), 410, "RESERVATION_EXPIRED"),
    # ── extend ──
    Case("extend", lambda a, b: a.extend(a.reserved()), 200, "ACTIVE"),
    Case("extend: the tenth time", extended(10), 200, "ACTIVE"),
    Case("extend: malformed", lambda a, b: a.extend(a.reserved(), extend_by_ms=0), 400, "INVALID_REQUEST"),
    Case("extend: suspended tenant", settled_after(TenantStatus.SUSPENDED, "extend"), 403, "FORBIDDEN"),
    Case("extend: never made", lambda a, b: a.extend(unknown_id(b)), 404, "NOT_FOUND"),
    Case("extend: the eleventh time", extended(11), 409, "MAX_EXTENSIONS_EXCEEDED"),
    Case("extend: committed", lambda a, b: a.extend(committed(a)), 409, "RESERVATION_FINALIZED"),
    Case("extend: closed tenant", settled_after(TenantStatus.CLOSED, "extend"), 409, "TENANT_CLOSED"),
    Case(
        "extend: key used with another payload",
        replayed("extend", {}, {"extend_by_ms": 2}),
        409,
        "IDEMPOTENCY_MISMATCH",
    ),
    Case("extend: in grace", lambda a, b: a.extend(late_reservation(b, grace_ms=60_000)), 410, "RESERVATION_EXPIRED"),
    Case("extend: expired", lambda a, b: a.extend(expired_reservation(b)), 410, "RESERVATION_EXPIRED"),
    # ── event ──
    Case("event", lambda a, b: a.event(), 201, "APPLIED"),
    Case("event: more than there is", lambda a, b: a.event(actual=amount(1_000_001)), 201, "APPLIED"),
    Case("event: frozen", with_scope(lambda a, b: a.event(subject=LAB), status=BudgetStatus.FROZEN), 201, "APPLIED"),
    Case("event: suspended tenant", after(is_suspended, ask=lambda a, b: a.event()), 201, "APPLIED"),
    Case("event: malformed", lambda a, b: a.event(client_time_ms=-1), 400, "INVALID_REQUEST"),
    Case("event: other unit", lambda a, b: a.event(actual=amount(1, TOKENS)), 400, "UNIT_MISMATCH"),
    Case("event: other tenant", lambda a, b: a.event(subject=FOREIGN), 403, "FORBIDDEN"),
    Case(
        "event: REJECT and more than there is",
        lambda a, b: a.event(actual=amount(1_000_001), overage_policy="REJECT"),
        409,
        "BUDGET_EXCEEDED",
    ),
    Case(
        "event: overdraft and no limit",
        lambda a, b: a.event(actual=amount(1_000_001), overage_policy=OVERDRAFT),
        201,
        "APPLIED",
    ),
    Case(
        "event: over the overdraft limit",
        with_scope(lambda a, b: a.event(subject=LAB, actual=amount(101), overage_policy=OVERDRAFT), overdraft_limit=10),
        409,
        "OVERDRAFT_LIMIT_EXCEEDED",
    ),
    Case(
        "event: closed budget",
        with_scope(lambda a, b: a.event(subject=LAB), status=BudgetStatus.CLOSED),
        409,
        "BUDGET_CLOSED",
    ),
    Case("event: closed tenant", after(is_closed, ask=lambda a, b: a.event()), 409, "TENANT_CLOSED"),
    Case(
        "event: key used with another payload",
        replayed("event", {}, {"actual": amount(11)}),
        409,
        "IDEMPOTENCY_MISMATCH",
    ),
    # ── get ──
    Case("get: active", lambda a, b: a.reservation(a.reserved()), 200, "ACTIVE"),
    Case("get: committed", lambda a, b: a.reservation(committed(a)), 200, "COMMITTED"),
    Case("get: late but not yet expired", lambda a, b: a.reservation(late_reservation(b)), 200, "ACTIVE"),
    Case(
        "list: closed tenant", after(lambda a, b: a.reserved(), is_closed, ask=lambda a, b: a.reservations()), 200, ""
    ),
    Case("get: never made", lambda a, b: a.reservation(unknown_id(b)), 404, "NOT_FOUND"),
    Case("get: expired", lambda a, b: a.reservation(expired_reservation(b)), 410, "RESERVATION_EXPIRED"),
    # ── lists ──
    Case("list", lambda a, b: a.reservations(), 200, ""),
    Case(
        "list: expired ones too", after(lambda a, b: expired_reservation(b), ask=lambda a, b: a.reservations()), 200, ""
    ),
    Case("list: malformed filter", lambda a, b: a.reservations(status="GONE"), 400, "INVALID_REQUEST"),
    Case("list: other tenant", lambda a, b: a.reservations(tenant="initech"), 403, "FORBIDDEN"),
    Case("balances", lambda a, b: a.balances(), 200, ""),
    Case("balances: over limit", after(over_limit, ask=lambda a, b: a.balances()), 200, ""),
    Case("balances: no filter", lambda a, b: a.balances(limit=1), 400, "INVALID_REQUEST"),
    Case("balances: other tenant", lambda a, b: a.balances(tenant="initech"), 403, "FORBIDDEN"),
]


class TestEveryStatus:
    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
    def test_fits_the_contract(self, api: ApiClient, books: Books, case: Case) -> None:
        answer = case.ask(api, books)

        body = answer.json()
        says = body.get("error") or body.get("decision") or body.get("status") or ""
        assert (answer.status_code, says) == (case.status, case.says), answer.text


class TestNoBudget:
    """A tenant with no budget on the whole path; in another unit is another matter (`UNIT_MISMATCH`)."""

    @pytest.fixture
    def books(self, acme: Any) -> Books:
        return Books(acme)

    def test_a_reservation_finds_nothing(self, api: ApiClient) -> None:
        answer = api.reserve()

        assert answer.status_code == 404
        assert answer.json()["message"].startswith("Budget not found for provided scope: tenant:acme")

    def test_an_event_finds_nothing(self, api: ApiClient) -> None:
        assert api.event().status_code == 404

    @pytest.mark.parametrize(
        "ask", [ApiClient.decide, lambda api: api.reserve(dry_run=True)], ids=["decide", "dry run"]
    )
    def test_a_question_is_denied(self, api: ApiClient, ask: Callable[[ApiClient], Answer]) -> None:
        answer = ask(api)

        assert answer.status_code == 200
        assert (answer.json()["decision"], answer.json()["reason_code"]) == ("DENY", "BUDGET_NOT_FOUND")
        assert answer.json()["affected_scopes"] == ["tenant:acme"]


CALLS: dict[str, Callable[[ApiClient, str], Answer]] = {
    "decide": lambda api, reservation_id: api.decide(),
    "reserve": lambda api, reservation_id: api.reserve(),
    "dry run": lambda api, reservation_id: api.reserve(dry_run=True),
    "commit": lambda api, reservation_id: api.commit(reservation_id),
    "release": lambda api, reservation_id: api.release(reservation_id),
    "extend": lambda api, reservation_id: api.extend(reservation_id),
    "event": lambda api, reservation_id: api.event(),
    "get": lambda api, reservation_id: api.reservation(reservation_id),
    "list": lambda api, reservation_id: api.reservations(),
    "balances": lambda api, reservation_id: api.balances(),
}
NEEDED = {
    "decide": Permission.RESERVATIONS_CREATE,
    "reserve": Permission.RESERVATIONS_CREATE,
    "dry run": Permission.RESERVATIONS_CREATE,
    "commit": Permission.RESERVATIONS_COMMIT,
    "release": Permission.RESERVATIONS_RELEASE,
    "extend": Permission.RESERVATIONS_EXTEND,
    "event": Permission.RESERVATIONS_CREATE,
    "get": Permission.RESERVATIONS_LIST,
    "list": Permission.RESERVATIONS_LIST,
    "balances": Permission.BALANCES_READ,
}


@pytest.mark.parametrize("call", CALLS)
class TestKeys:
    def test_a_call_without_a_key_is_refused(self, api_url: str, books: Books, call: str) -> None:
        with ApiClient(api_url) as nobody:
            answer = CALLS[call](nobody, unknown_id(books))

        assert answer.status_code == 401
        assert answer.json()["error"] == "UNAUTHORIZED"

    def test_a_key_without_the_permission_is_refused(self, api: ApiClient, books: Books, call: str) -> None:
        reservation_id = api.reserved()
        others = [permission for permission in RUNTIME_PERMISSIONS if permission != NEEDED[call]]
        with ApiClient(api.base_url, books.add_key(permissions=others).token) as poor:
            answer = CALLS[call](poor, reservation_id)

        assert answer.status_code == 403
        assert answer.json()["error"] == "FORBIDDEN"

    def test_a_key_with_the_permission_alone_is_served(self, api: ApiClient, books: Books, call: str) -> None:
        reservation_id = api.reserved()
        with ApiClient(api.base_url, books.add_key(permissions=[NEEDED[call]]).token) as just_enough:
            answer = CALLS[call](just_enough, reservation_id)

        assert answer.status_code in {200, 201}


class TestOperatorsKeys:
    @pytest.mark.parametrize("key", ["", "nonsense", "wm_live_x"])
    @pytest.mark.parametrize("path", ["/v1/reservations", "/v1/reservations?tenant=acme", "/v1/reservations/rsv_1"])
    def test_the_key_comes_before_the_query(self, standing_api: ApiClient, path: str, key: str) -> None:
        answer = standing_api.get(path, headers={"X-Admin-API-Key": key})

        assert answer.status_code == 401

    def test_a_tenants_key_is_no_operators(self, standing_api: ApiClient, standing_books: Books) -> None:
        answer = standing_api.get("/v1/reservations", headers={"X-Admin-API-Key": standing_books.key.token})

        assert answer.status_code == 401
