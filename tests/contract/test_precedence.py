"""Which refusal wins where several apply, as the protocol orders them."""

from collections.abc import Callable
from typing import Any

import pytest

from accounts.keys.models import Permission
from budgets.models.choices import BudgetStatus, TenantStatus
from kernel.tenancy import in_tenant
from tests.support.api_client import Answer, ApiClient, amount
from tests.support.books import Books
from tests.support.scenes import expired_reservation, late_reservation, set_status, unknown_id

TOO_MUCH = amount(10**12)
TOKENS = amount(1, "TOKENS")


def code(answer: Answer) -> str:
    return str(answer.json()["error"])


class TestSettling:
    """Replay, TENANT_CLOSED, RESERVATION_FINALIZED, UNIT_MISMATCH, RESERVATION_EXPIRED, overage, in this order."""

    def committed(self, api: ApiClient, key: str = "first") -> str:
        reservation_id = api.reserved(10, overage_policy="REJECT")
        assert api.commit(reservation_id, idempotency_key=key).status_code == 200
        return reservation_id

    def test_a_replay_comes_before_a_closed_tenant(self, api: ApiClient, books: Books) -> None:
        reservation_id = self.committed(api)
        set_status(books, TenantStatus.CLOSED)

        assert api.commit(reservation_id, idempotency_key="first").json()["status"] == "COMMITTED"

    def test_a_key_with_another_payload_comes_before_a_closed_tenant(self, api: ApiClient, books: Books) -> None:
        reservation_id = self.committed(api)
        set_status(books, TenantStatus.CLOSED)

        answer = api.commit(reservation_id, idempotency_key="first", actual=amount(2))

        assert code(answer) == "IDEMPOTENCY_MISMATCH"

    @pytest.mark.parametrize("verb", ["commit", "release", "extend"])
    def test_a_closed_tenant_comes_before_a_settled_reservation(self, api: ApiClient, books: Books, verb: str) -> None:
        reservation_id = self.committed(api)
        set_status(books, TenantStatus.CLOSED)

        assert code(getattr(api, verb)(reservation_id)) == "TENANT_CLOSED"

    @pytest.mark.parametrize("verb", ["commit", "release", "extend"])
    @pytest.mark.parametrize("make", [late_reservation, expired_reservation])
    def test_a_closed_tenant_comes_before_an_expired_reservation(
        self, api: ApiClient, books: Books, make: Callable[[Books], str], verb: str
    ) -> None:
        reservation_id = make(books)
        set_status(books, TenantStatus.CLOSED)

        assert code(getattr(api, verb)(reservation_id)) == "TENANT_CLOSED"

    def test_a_settled_reservation_comes_before_the_unit(self, api: ApiClient) -> None:
        assert code(api.commit(self.committed(api), actual=TOKENS)) == "RESERVATION_FINALIZED"

    @pytest.mark.parametrize("make", [late_reservation, expired_reservation])
    def test_the_unit_comes_before_expiry(self, api: ApiClient, books: Books, make: Callable[[Books], str]) -> None:
        assert code(api.commit(make(books), actual=TOKENS)) == "UNIT_MISMATCH"

    def test_expiry_comes_before_overage(self, api: ApiClient, books: Books) -> None:
        reservation_id = late_reservation(books, policy="REJECT")

        assert code(api.commit(reservation_id, actual=TOO_MUCH)) == "RESERVATION_EXPIRED"

    def test_the_unit_comes_before_overage(self, api: ApiClient) -> None:
        reservation_id = api.reserved(10, overage_policy="REJECT")

        assert code(api.commit(reservation_id, actual=amount(10**12, "TOKENS"))) == "UNIT_MISMATCH"

    def test_expiry_comes_before_too_many_extensions(self, api: ApiClient, books: Books) -> None:
        assert code(api.extend(expired_reservation(books))) == "RESERVATION_EXPIRED"

    @pytest.mark.parametrize("status", [BudgetStatus.FROZEN, BudgetStatus.CLOSED])
    def test_a_settled_reservation_comes_before_a_budget_that_is_shut(
        self, api: ApiClient, books: Books, status: BudgetStatus
    ) -> None:
        books.add_budget("/workspace:lab", allocated=100)
        reservation_id = api.reserved(subject={"workspace": "lab"})
        api.release(reservation_id)
        shut(books, "/workspace:lab", status)

        assert code(api.extend(reservation_id)) == "RESERVATION_FINALIZED"


def shut(books: Books, suffix: str, status: BudgetStatus) -> None:
    """As the console does it, without its page: the budget's status alone."""
    budget = books.budget(suffix)
    budget.status = status
    with in_tenant(books.tenant.tag):
        budget.save(update_fields=["status"])


class TestWhoAsks:
    """The key, its permission, its tenant and its scopes come before anything that the books could tell."""

    def test_the_permission_comes_before_the_tenant(self, api: ApiClient, books: Books) -> None:
        key = books.add_key(permissions=[Permission.BALANCES_READ])
        with ApiClient(api.base_url, key.token) as poor:
            answer = poor.reserve(subject={"tenant": "initech"})

        assert answer.json()["details"]["reason"] == "PERMISSION_MISSING"

    def test_the_tenant_comes_before_the_budget(self, api: ApiClient) -> None:
        answer = api.reserve(subject={"tenant": "initech", "agent": "x"}, estimate=TOKENS)

        assert answer.json()["details"]["reason"] == "TENANT_MISMATCH"

    def test_the_scopes_come_before_the_budget(self, api: ApiClient, books: Books) -> None:
        key = books.add_key(scope_filter=["tenant:acme/workspace:lab"])
        with ApiClient(api.base_url, key.token) as confined:
            answer = confined.reserve(estimate=TOO_MUCH)

        assert (answer.status_code, answer.json()["details"]["reason"]) == (403, "SCOPE_FILTERED")

    @pytest.mark.parametrize("verb", ["commit", "release", "extend"])
    def test_the_scopes_come_before_the_state(self, api: ApiClient, books: Books, verb: str) -> None:
        reservation_id = api.reserved()
        api.release(reservation_id)
        key = books.add_key(scope_filter=["tenant:acme/workspace:lab"])
        with ApiClient(api.base_url, key.token) as confined:
            assert getattr(confined, verb)(reservation_id).status_code == 403

    def test_the_key_comes_before_the_body(self, api_url: str) -> None:
        with ApiClient(api_url, "nonsense") as stranger:
            assert stranger.reserve(estimate="nonsense").status_code == 401

    def test_the_body_comes_before_the_id(self, api: ApiClient) -> None:
        assert api.commit("rsv_nonsense", actual="nonsense").status_code == 400

    def test_the_permission_comes_before_the_reservation(self, api: ApiClient, books: Books) -> None:
        with ApiClient(api.base_url, books.add_key(permissions=[Permission.BALANCES_READ]).token) as poor:
            assert poor.commit(unknown_id(books)).status_code == 403


ROOM = {"allocated": 1_000}
FROZEN = ROOM | {"status": BudgetStatus.FROZEN}
CLOSED = ROOM | {"status": BudgetStatus.CLOSED}
CAPPED = ROOM | {"is_capped": True}
OVER_LIMIT = {"allocated": 1_000, "debt": 8, "overdraft_limit": 7}
IN_DEBT = {"allocated": 1_000, "debt": 7, "overdraft_limit": 7}
FULL = {"allocated": 1_000, "spent": 1_000}


class TestPaths:
    """Root to leaf, the first budget that refuses names the refusal; in one budget its status comes first."""

    @pytest.mark.parametrize(
        ("budget", "refusal"),
        [
            (FROZEN | CAPPED | OVER_LIMIT | FULL | {"status": BudgetStatus.FROZEN}, "BUDGET_FROZEN"),
            (CLOSED | CAPPED | OVER_LIMIT | FULL | {"status": BudgetStatus.CLOSED}, "BUDGET_CLOSED"),
            (CAPPED | FULL, "OVERDRAFT_LIMIT_EXCEEDED"),
            (OVER_LIMIT | FULL, "OVERDRAFT_LIMIT_EXCEEDED"),
            (IN_DEBT | FULL, "DEBT_OUTSTANDING"),
            (IN_DEBT, "DEBT_OUTSTANDING"),
            (FULL, "BUDGET_EXCEEDED"),
        ],
        ids=["frozen", "closed", "capped", "over limit", "in debt and full", "in debt", "full"],
    )
    def test_in_one_budget(self, api: ApiClient, books: Books, budget: dict[str, Any], refusal: str) -> None:
        books.add_budget("/workspace:lab", **budget)

        assert code(api.reserve(subject={"workspace": "lab"})) == refusal
        assert api.decide(subject={"workspace": "lab"}).json()["reason_code"] == refusal
        assert api.reserve(subject={"workspace": "lab"}, dry_run=True).json()["reason_code"] == refusal

    @pytest.mark.parametrize(
        "leaf", [FROZEN, CLOSED, CAPPED, OVER_LIMIT], ids=["frozen", "closed", "capped", "over limit"]
    )
    @pytest.mark.parametrize(
        ("branch", "refusal"),
        [
            (FROZEN, "BUDGET_FROZEN"),
            (CLOSED, "BUDGET_CLOSED"),
            (OVER_LIMIT, "OVERDRAFT_LIMIT_EXCEEDED"),
            (IN_DEBT, "DEBT_OUTSTANDING"),
            (FULL, "BUDGET_EXCEEDED"),
        ],
        ids=["frozen", "closed", "over limit", "in debt", "full"],
    )
    def test_the_one_nearer_to_the_root_names_it(
        self, standing_api: ApiClient, standing_books: Books, branch: dict[str, Any], leaf: dict[str, Any], refusal: str
    ) -> None:
        name = f"w{len(standing_api.answers)}"
        standing_books.add_budget(f"/workspace:{name}", **branch)
        standing_books.add_budget(f"/workspace:{name}/agent:x", **leaf)

        answer = standing_api.reserve(subject={"workspace": name, "agent": "x"})

        assert code(answer) == refusal
        assert answer.json()["details"]["scope"] == f"tenant:globex/workspace:{name}"

    def test_a_gap_in_the_path_is_skipped(self, api: ApiClient, books: Books) -> None:
        books.add_budget("/workspace:lab/app:shop/agent:x", allocated=5)

        answer = api.reserve(subject={"workspace": "lab", "app": "shop", "agent": "x"}, estimate=amount(6))

        assert answer.json()["details"]["scope"] == "tenant:acme/workspace:lab/app:shop/agent:x"

    def test_a_refusal_shows_the_numbers_it_was_made_of(self, api: ApiClient, books: Books) -> None:
        books.add_budget("/workspace:lab", allocated=100)

        details = api.reserve(subject={"workspace": "lab"}, estimate=amount(101)).json()["details"]

        assert {name: details[name] for name in ("scope", "remaining", "requested", "unit")} == {
            "scope": "tenant:acme/workspace:lab",
            "remaining": 100,
            "requested": 101,
            "unit": "USD_MICROCENTS",
        }
        assert details["decision_id"].startswith("dec_")
        assert details["decision_id"] in details["explain_url"]
