"""Shadow reports over the management API."""

from datetime import UTC, datetime, timedelta

import pytest

from tenants.models import Tenant
from tests.support.books import Books
from tests.support.management import Caller, as_platform, as_tenant
from tests.support.owner import let_time_pass
from tests.support.rules import rule


@pytest.fixture
def ada(acme: Tenant) -> Caller:
    return as_tenant(acme)


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=1000)
    books.add_budget("/workspace:prod", allocated=10)
    return books


PROD = ["", "/workspace:prod"]


class TestReport:
    def test_counts_what_would_have_been_refused_and_compares_holds(self, ada: Caller, books: Books) -> None:
        hold = books.ask("reserve", amount=60)
        books.ask("commit", target=hold.id, amount=40)
        rule(books, shadow={"is_on": True})
        books.ask("reserve", amount=11, suffixes=PROD)

        shown = ada.get("tenants/acme/shadow").json()

        [refused] = shown["would_deny"]
        assert (refused["scope"], refused["reason_code"], refused["calls"]) == (
            "tenant:acme/workspace:prod",
            "BUDGET_EXCEEDED",
            1,
        )
        [ratio] = shown["hold_ratios"]
        assert (ratio["scope"], ratio["held"]["amount"], ratio["charged"]["amount"]) == ("tenant:acme", 60, 40)
        assert ratio["held_to_charged_ppm"] == 1_500_000
        assert shown["hold_ratios_since"] == shown["since"]

    def test_of_a_confined_key_is_of_its_own_scopes(self, ada: Caller, books: Books, acme: Tenant) -> None:
        rule(books, shadow={"is_on": True})
        books.ask("reserve", amount=1001)
        books.ask("reserve", amount=11, suffixes=PROD)
        confined = as_tenant(acme, scopes=["tenant:acme/workspace:prod"])

        shown = confined.get("tenants/acme/shadow").json()
        limits = confined.get("tenants/acme/shadow/limits").json()["recommendations"]

        assert [each["scope"] for each in shown["would_deny"]] == ["tenant:acme/workspace:prod"]
        assert [each["scope"] for each in limits] == ["tenant:acme/workspace:prod"]

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("since=2026-01-02T00:00:00Z&until=2026-01-02T00:00:00Z", "since"),
            ("since=2026-01-01T00:00:00Z&until=2026-04-04T00:00:01Z", "since"),
            ("since=yesterday", "since"),
            ("until=2199-13-01", "until"),
        ],
    )
    def test_of_no_range_is_refused(self, ada: Caller, query: str, field: str) -> None:
        response = ada.get(f"tenants/acme/shadow?{query}")

        assert (response.status_code, response.json()["details"]["field"]) == (400, field)

    def test_reaches_back_92_days(self, ada: Caller) -> None:
        until = datetime.now(UTC).replace(microsecond=0)
        since = until - timedelta(days=92)
        query = f"since={since:%Y-%m-%dT%H:%M:%SZ}&until={until:%Y-%m-%dT%H:%M:%SZ}"

        assert ada.get(f"tenants/acme/shadow?{query}").status_code == 200

    def test_of_another_tenant_is_404(self, ada: Caller, initech: Tenant) -> None:
        for path in ("tenants/initech/shadow", "tenants/initech/shadow/limits"):
            assert ada.get(path).status_code == 404
        assert as_platform().get("tenants/initech/shadow").status_code == 200


class TestLimits:
    def test_are_recommended_by_scope(self, books: Books) -> None:
        books.ask("event", amount=100)
        let_time_pass(books.tenant.tag, timedelta(days=7))
        books.ask("event", amount=121)

        olive = as_platform()
        [root] = olive.get("tenants/acme/shadow/limits?scope=tenant:acme&period=WEEK").json()["recommendations"]

        assert (root["scope"], root["period"], root["granted"]["amount"]) == ("tenant:acme", "WEEK", 1000)
        assert [each["used"] for each in root["periods"]] == [100, 0, 0, 0]
        for limit in (root["a_period"], root["a_call"]):
            assert (limit["p99"]["amount"], limit["limit"]["amount"]) == (100, 120)
            assert (limit["calls_refused"], limit["calls_refused_now"]) == (0, 1)

    def test_are_null_where_nothing_was_called(self, ada: Caller, books: Books) -> None:
        first, _ = ada.get("tenants/acme/shadow/limits").json()["recommendations"]

        assert (first["a_period"], first["a_call"]) == (None, None)

    @pytest.mark.parametrize(("query", "field"), [("scope=tenant:initech", "scope"), ("period=YEAR", "period")])
    def test_of_what_does_not_exist_are_refused(self, ada: Caller, query: str, field: str) -> None:
        response = ada.get(f"tenants/acme/shadow/limits?{query}")

        assert (response.status_code, response.json()["details"]["field"]) == (400, field)
