"""Correcting a charge over the management API."""

from typing import Any

import pytest

from tenants.models import Tenant
from tests.support.books import Books
from tests.support.management import Caller, as_platform, as_tenant


@pytest.fixture
def olive(acme: Tenant) -> Caller:
    return as_platform()


@pytest.fixture
def seq(acme: Tenant) -> int:
    """The entry of a charge of 40 on a budget of 100."""
    books = Books(acme)
    books.add_budget(allocated=100)
    assert books.ask("event", amount=40).status == "OK"
    return 2


def usd(number: int) -> dict[str, Any]:
    return {"unit": "USD_MICROCENTS", "amount": number}


def body(**fields: Any) -> dict[str, Any]:
    return {"amount": usd(10), "idempotency_key": "k", "reason": "the list was wrong"} | fields


class TestCorrection:
    def test_answers_what_the_charge_came_to_and_comes_to(self, olive: Caller, seq: int) -> None:
        first = olive.post(f"tenants/acme/ledger/{seq}/correct", body(amount=usd(130)))
        again = olive.post(f"tenants/acme/ledger/{seq}/correct", body(amount=usd(130)))

        assert first.status_code == 200
        shown = first.json()
        assert (shown["ledger_seq"], shown["corrects"]) == (3, 2)
        assert [shown[name] for name in ("previous_amount", "previous_charged", "amount", "charged")] == [
            usd(40),
            usd(40),
            usd(130),
            usd(100),
        ]
        assert again.json() == shown
        assert again.headers["X-Watermaster-Replayed"] == "true"
        [entry] = olive.get("tenants/acme/ledger?kind=CORRECTION").json()["entries"]
        assert (entry["reason"], entry["charged"]) == ("the list was wrong", usd(100))

    @pytest.mark.parametrize(
        ("fields", "status", "error"),
        [
            ({"amount": usd(40)}, 409, "INVALID_REQUEST"),
            ({"amount": {"unit": "TOKENS", "amount": 1}}, 400, "UNIT_MISMATCH"),
            ({"amount": usd(-1)}, 400, "INVALID_REQUEST"),
            ({"amount": 5}, 400, "INVALID_REQUEST"),
            ({"reason": ""}, 400, "INVALID_REQUEST"),
            ({"reason": "  "}, 400, "INVALID_REQUEST"),
            ({"idempotency_key": ""}, 400, "INVALID_REQUEST"),
        ],
    )
    def test_is_refused(self, olive: Caller, seq: int, fields: dict[str, Any], status: int, error: str) -> None:
        response = olive.post(f"tenants/acme/ledger/{seq}/correct", body(**fields))

        assert (response.status_code, response.json()["error"]) == (status, error)

    def test_of_another_entry_is_404(self, olive: Caller, seq: int) -> None:
        for other in (1, seq + 1, 10**17):
            assert olive.post(f"tenants/acme/ledger/{other}/correct", body()).status_code == 404

    def test_with_a_key_that_said_something_else_is_409(self, olive: Caller, seq: int) -> None:
        olive.post(f"tenants/acme/ledger/{seq}/correct", body())

        response = olive.post(f"tenants/acme/ledger/{seq}/correct", body(amount=usd(11)))

        assert (response.status_code, response.json()["error"]) == (409, "IDEMPOTENCY_MISMATCH")

    def test_says_what_cannot_be_given_back(self, olive: Caller, seq: int) -> None:
        [budget] = olive.get("tenants/acme/budgets").json()["budgets"]
        reset = {"operation": "RESET_SPENT", "amount": usd(100), "spent": usd(3), "idempotency_key": "r"}
        assert olive.post(f"tenants/acme/budgets/{budget['budget_id']}/fund", reset).status_code == 200

        response = olive.post(f"tenants/acme/ledger/{seq}/correct", body())

        assert response.status_code == 409
        assert response.json()["details"] == {"scope": "tenant:acme", "spent": 3, "requested": 30}

    def test_is_the_operator_s_alone(self, acme: Tenant, seq: int) -> None:
        assert as_tenant(acme).post(f"tenants/acme/ledger/{seq}/correct", body()).status_code == 403
