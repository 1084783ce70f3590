"""Tenants and plans over the management API."""

from collections.abc import Iterator
from typing import Any

import pytest

from budgets.models import Budget
from kernel.tenancy import in_public, in_tenant
from telemetry.models import AuditEntry
from tenants.models import Plan, Tenant
from tests.support.books import Books
from tests.support.management import Caller, as_platform, as_tenant
from tests.support.tenants import drop_tenant


@pytest.fixture
def olive(database: None) -> Caller:
    return as_platform()


@pytest.fixture
def cleared(database: None) -> Iterator[None]:
    """Tenants that a test makes over the API are gone after it."""
    yield
    with in_public():
        tenants = list(Tenant.objects.filter(slug__startswith="new-"))
    for tenant in tenants:
        drop_tenant(tenant)


def audited(tenant: Tenant, action: str) -> AuditEntry:
    with in_tenant(tenant.tag):
        return AuditEntry.objects.get(action=action)


@pytest.mark.usefixtures("cleared")
class TestCreate:
    def test_makes_a_tenant_that_works(self, olive: Caller) -> None:
        response = olive.post("tenants", {"slug": "new-one", "name": "New One", "time_zone": "Asia/Kolkata"})

        assert response.status_code == 201
        shown = response.json()
        assert {**shown, "created_at": None} == {
            "slug": "new-one",
            "name": "New One",
            "status": "ACTIVE",
            "time_zone": "Asia/Kolkata",
            "plan": None,
            "plan_version": None,
            "created_at": None,
            "closed_at": None,
            "extensions_max": 10,
        }
        assert olive.get("tenants/new-one").json() == shown

    def test_starts_it_on_the_latest_version_of_its_plan(self, olive: Caller) -> None:
        for allocated in (1, 2):
            budget = {"unit": "TOKENS", "allocated": allocated}
            body = {"code": "api-trial", "name": "Trial", "price": usd(0), "defaults": {"budgets": [budget]}}
            assert olive.post("plans", body).status_code == 201

        response = olive.post("tenants", {"slug": "new-two", "name": "New Two", "plan": "api-trial"})

        assert (response.json()["plan"], response.json()["plan_version"]) == ("Trial", 2)
        budgets = olive.get("tenants/new-two/budgets").json()["budgets"]
        assert [(budget["scope"], budget["allocated"]["amount"]) for budget in budgets] == [("tenant:new-two", 2)]

    def test_is_audited_with_the_operator_who_asked(self, olive: Caller) -> None:
        response = olive.post("tenants", {"slug": "new-one", "name": "New One", "reason": "signed"})

        with in_public():
            tenant = Tenant.objects.get(slug="new-one")
        entry = audited(tenant, "tenant.created")
        assert (entry.actor_type, entry.reason) == ("admin_on_behalf_of", "signed")
        assert entry.request_id == response.headers["X-Request-Id"]

    @pytest.mark.parametrize(
        ("body", "status", "field"),
        [
            ({"name": "x"}, 400, "slug"),
            ({"slug": "New", "name": "x"}, 400, "slug"),
            ({"slug": "new-x", "name": ""}, 400, "name"),
            ({"slug": "new-x", "name": "x", "time_zone": "Mars"}, 400, "time_zone"),
            ({"slug": "new-x", "name": "x", "plan": "none"}, 400, "plan"),
            ({"slug": "new-x", "name": "x", "status": "ACTIVE"}, 400, "status"),
            ({"slug": "new-x", "name": "x", "schema_name": "public"}, 400, "schema_name"),
            ({"slug": 5, "name": "x"}, 400, "slug"),
        ],
    )
    def test_says_what_to_mend(self, olive: Caller, body: dict[str, Any], status: int, field: str) -> None:
        response = olive.post("tenants", body)

        assert (response.status_code, response.json()["details"]) == (status, {"field": field})

    def test_refuses_a_slug_twice(self, olive: Caller) -> None:
        olive.post("tenants", {"slug": "new-one", "name": "New One"})

        response = olive.post("tenants", {"slug": "new-one", "name": "New One"})

        assert (response.status_code, response.json()["error"]) == (409, "INVALID_REQUEST")


class TestList:
    def test_is_paged_by_a_cursor_that_is_bound_to_its_filters(
        self, olive: Caller, acme: Tenant, initech: Tenant
    ) -> None:
        first = olive.get("tenants?limit=1").json()
        second = olive.get(f"tenants?limit=1&cursor={first['next_cursor']}").json()

        assert [tenant["slug"] for tenant in first["tenants"] + second["tenants"]] == ["acme", "initech"]
        assert (first["has_more"], second["has_more"], second["next_cursor"]) == (True, False, None)
        assert olive.get(f"tenants?limit=1&status=ACTIVE&cursor={first['next_cursor']}").status_code == 400

    def test_is_filtered(self, olive: Caller, acme: Tenant, initech: Tenant) -> None:
        olive.post("tenants/initech/suspend", {"reason": "x"})

        def slugs(query: str) -> list[str]:
            return [tenant["slug"] for tenant in olive.get(f"tenants?{query}").json()["tenants"]]

        assert slugs("search=TECH") == ["initech"]
        assert slugs("status=SUSPENDED") == ["initech"]
        assert slugs("status=&search=%20") == ["acme", "initech"]
        assert slugs("unknown=1&limit=200") == ["acme", "initech"]

    @pytest.mark.parametrize(
        "query",
        [
            "limit=0",
            "limit=201",
            "limit=x",
            "limit=-1",
            "limit=1.0",
            "limit=" + "9" * 30,
            "status=active",
            "cursor=x",
            "limit=1&limit=2",
        ],
    )
    def test_refuses_a_query_that_makes_no_sense(self, olive: Caller, acme: Tenant, query: str) -> None:
        assert olive.get(f"tenants?{query}").status_code == 400


class TestTerms:
    def extend(self, books: Books, times: int) -> list[str]:
        hold = books.ask("reserve", amount=1)
        return [books.ask("extend", target=hold.id, extend_ms=1000).status for _ in range(times)]

    def test_say_how_often_a_reservation_is_extended_from_the_next_call_on(self, olive: Caller, acme: Tenant) -> None:
        books = Books(acme)
        books.add_budget(allocated=100)
        assert olive.get("tenants/acme").json()["extensions_max"] == 10

        response = olive.patch("tenants/acme", {"extensions_max": 1, "reason": "holds for days"})

        assert (response.status_code, response.json()["extensions_max"]) == (200, 1)
        assert olive.get("tenants/acme").json() == response.json()
        assert self.extend(books, 2) == ["OK", "MAX_EXTENSIONS_EXCEEDED"]

    def test_are_audited_once_however_often_they_are_sent(self, olive: Caller, acme: Tenant) -> None:
        for _ in range(2):
            assert olive.patch("tenants/acme", {"extensions_max": 3, "reason": "asked for"}).status_code == 200

        entry = audited(acme, "tenant.updated")
        assert (entry.before, entry.after, entry.reason) == (
            {"extensions_max": 10},
            {"extensions_max": 3},
            "asked for",
        )

    @pytest.mark.parametrize("number", [0, 2**15 - 1])
    def test_take_every_number_that_there_is(self, olive: Caller, acme: Tenant, number: int) -> None:
        assert olive.patch("tenants/acme", {"extensions_max": number}).json()["extensions_max"] == number

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"extensions_max": -1},
            {"extensions_max": 2**15},
            {"extensions_max": "1"},
            {"extensions_max": None},
            {"extensions_max": 1, "status": "CLOSED"},
            {"extensions_max": 1, "overage_policy": "REJECT"},
        ],
    )
    def test_refuse_what_makes_no_sense(self, olive: Caller, acme: Tenant, body: dict[str, Any]) -> None:
        assert olive.patch("tenants/acme", body).status_code == 400
        assert olive.get("tenants/acme").json()["extensions_max"] == 10

    def test_are_the_operators_to_set(self, acme: Tenant) -> None:
        assert as_tenant(acme).patch("tenants/acme", {"extensions_max": 1}).status_code == 403

    def test_of_a_closed_tenant_stay(self, olive: Caller, acme: Tenant) -> None:
        olive.post("tenants/acme/close", {"reason": "gone"})

        response = olive.patch("tenants/acme", {"extensions_max": 1})

        assert (response.status_code, response.json()["error"]) == (409, "TENANT_CLOSED")


class TestStates:
    def test_a_suspended_tenant_settles_and_comes_back(self, olive: Caller, acme: Tenant) -> None:
        books = Books(acme)
        books.add_budget(allocated=100)
        hold = books.ask("reserve", amount=10)

        response = olive.post("tenants/acme/suspend", {"reason": "runaway"})

        assert response.status_code == 200
        assert response.json()["tenant"]["status"] == "SUSPENDED"
        assert response.json()["is_changed"] is True
        assert books.ask("reserve", amount=1).status == "TENANT_SUSPENDED"
        assert books.ask("commit", target=hold.id, amount=10).status == "OK"
        assert audited(acme, "tenant.suspended").reason == "runaway"
        assert olive.post("tenants/acme/resume").json()["tenant"]["status"] == "ACTIVE"
        assert books.ask("reserve", amount=1).status == "OK"

    def test_a_stop_can_give_the_holds_back(self, olive: Caller, acme: Tenant) -> None:
        books = Books(acme)
        books.add_budget(allocated=100)
        books.ask("reserve", amount=10)

        response = olive.post("tenants/acme/suspend", {"reason": "runaway", "cancel_holds": True})

        assert response.json()["holds_released"] == 1

    @pytest.mark.parametrize("action", ["suspend", "close"])
    @pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": None}, None])
    def test_a_stop_needs_a_reason(self, olive: Caller, acme: Tenant, action: str, body: Any) -> None:
        response = olive.send("post", f"tenants/acme/{action}", body)

        assert (response.status_code, response.json()["details"]["field"]) == (400, "reason")
        assert olive.get("tenants/acme").json()["status"] == "ACTIVE"

    def test_a_closed_tenant_stays_closed(self, olive: Caller, acme: Tenant) -> None:
        ada = as_tenant(acme)
        Books(acme).add_budget(allocated=100)

        assert olive.post("tenants/acme/close", {"reason": "gone"}).json()["tenant"]["status"] == "CLOSED"

        assert olive.post("tenants/acme/close", {"reason": "gone"}).json()["is_changed"] is False
        assert ada.get("tenants/acme").status_code == 401
        for path, body in [
            ("resume", {}),
            ("suspend", {"reason": "x"}),
            ("keys", {"name": "x", "permissions": ["budgets:read"]}),
            ("budgets", {"scope": "tenant:acme/app:a", "unit": "TOKENS", "allocated": {"unit": "TOKENS", "amount": 1}}),
            ("run-templates", {"name": "x", "amount": {"unit": "TOKENS", "amount": 1}}),
        ]:
            response = olive.post(f"tenants/acme/{path}", body)
            assert (response.status_code, response.json()["error"]) == (409, "TENANT_CLOSED"), path
        assert olive.get("tenants/acme/budgets").json()["budgets"][0]["status"] == "CLOSED"

    def test_one_that_was_not_made_to_the_end_says_so(self, olive: Caller, acme: Tenant) -> None:
        with in_public():
            Tenant.objects.filter(pk=acme.pk).update(status="PROVISIONING")

        assert olive.get("tenants/acme").json()["status"] == "PROVISIONING"
        assert olive.get("tenants/acme/budgets").status_code == 409

    def test_the_books_are_believed_before_the_directory(self, olive: Caller, acme: Tenant) -> None:
        with in_public():
            Tenant.objects.filter(pk=acme.pk).update(status="SUSPENDED")

        assert olive.get("tenants/acme").json()["status"] == "ACTIVE"

    def test_a_tenant_sees_itself(self, acme: Tenant) -> None:
        assert as_tenant(acme).get("tenants/acme").json()["slug"] == "acme"


def usd(number: int) -> dict[str, Any]:
    return {"unit": "USD_MICROCENTS", "amount": number}


class TestPlans:
    def test_are_published_version_by_version(self, olive: Caller) -> None:
        for name in ("Team", "Team plus"):
            defaults = {"limits": {"runs_per_day_max": 5}}
            response = olive.post("plans", {"code": "team", "name": name, "price": usd(10**10), "defaults": defaults})
            assert response.status_code == 201

        versions = olive.get("plans/team").json()["plans"]
        latest = [plan for plan in olive.get("plans").json()["plans"] if plan["code"] == "team"]
        assert [(plan["version"], plan["name"]) for plan in versions] == [(2, "Team plus"), (1, "Team")]
        assert latest == versions[:1]
        with in_public():
            assert AuditEntry.objects.filter(action="plan.published", target="team v2").count() == 1

    def test_do_not_exist_until_they_are_published(self, olive: Caller) -> None:
        assert olive.get("plans/never").status_code == 404

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"code": "Big"}, "code"),
            ({"code": "a b"}, "code"),
            ({"price": usd(-1)}, "price.amount"),
            ({"price": {"unit": "TOKENS", "amount": 1}}, "price.unit"),
            ({"price": 5}, "price"),
            ({"defaults": []}, "defaults"),
            ({"defaults": {"budgets": [{"unit": "X"}]}}, "defaults"),
            ({"version": 9}, "version"),
        ],
    )
    def test_that_cannot_be_are_refused(self, olive: Caller, change: dict[str, Any], field: str) -> None:
        response = olive.post("plans", {"code": "bad", "name": "Bad", "price": usd(1)} | change)

        assert (response.status_code, response.json()["details"]["field"]) == (400, field)
        with in_public():
            assert not Plan.objects.filter(code="bad").exists()


def test_budgets_of_a_tenant_live_in_its_own_schema(acme: Tenant, initech: Tenant) -> None:
    Books(acme).add_budget(allocated=1)

    with in_tenant(initech.tag):
        assert not Budget.objects.exists()
