"""Enforce from: what shadow mode only wrote down is refused from a moment on."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from budgets.models import PolicyVersion
from budgets.services.policies import InvalidPolicy, NewPolicy, PolicyKind
from budgets.services.ruleset import current_document
from kernel.actor import Actor
from kernel.tenancy import in_tenant
from routing.services.policy_saving import put_policy
from routing.tasks import follow_rules
from tenants.models import Tenant
from tests.support.books import Books
from tests.support.management import Caller, as_tenant

OLIVE = Actor(name="olive", actor_type="admin")


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=10)
    return books


@pytest.fixture
def ada(acme: Tenant) -> Caller:
    return as_tenant(acme)


def put_shadow(books: Books, **document: Any) -> None:
    new = NewPolicy(kind=PolicyKind.SHADOW, document=document, reason="a trial")
    put_policy(tag=books.tenant.tag, slug="acme", new=new, actor=OLIVE)


def enforce(caller: Caller, **fields: Any) -> Any:
    return caller.post("tenants/acme/shadow/enforce", {"reason": "it works"} | fields)


class TestEnforceFrom:
    @pytest.mark.parametrize(
        "document", [{"is_on": True}, {"checks": ["money"]}, {"scopes": ["tenant:acme"]}], ids=["all", "check", "scope"]
    )
    def test_now_refuses_the_next_call(self, ada: Caller, books: Books, document: dict[str, Any]) -> None:
        put_shadow(books, **document)
        assert books.ask("reserve", amount=11).status == "OK"

        ended = enforce(ada)

        assert (ended.status_code, ended.json()["version"]) == (200, 2)
        assert books.ask("reserve", amount=11).status == "BUDGET_EXCEEDED"
        with in_tenant(books.tenant.tag):
            assert "shadow" not in current_document()
            assert PolicyVersion.objects.get(version=2).reason == "it works"

    def test_a_moment_that_is_past_is_now(self, ada: Caller, books: Books) -> None:
        put_shadow(books, is_on=True)

        assert enforce(ada, enforce_from="2001-01-01T00:00:00Z").json()["document"] == {"is_on": False}
        assert books.ask("reserve", amount=11).status == "BUDGET_EXCEEDED"

    def test_a_moment_to_come_is_kept_and_can_be_moved(self, ada: Caller, books: Books) -> None:
        put_shadow(books, scopes=["tenant:acme"])

        first = enforce(ada, enforce_from="2199-01-01T02:00:00+02:00").json()
        second = enforce(ada, enforce_from="2198-01-01T00:00:00Z").json()

        kept = {"is_on": False, "checks": [], "scopes": ["tenant:acme"], "enforce_from": "2199-01-01T00:00:00+00:00"}
        assert first["document"] == kept
        assert second["document"]["enforce_from"] == "2198-01-01T00:00:00+00:00"
        assert books.ask("reserve", amount=11).status == "OK"
        with in_tenant(books.tenant.tag):
            assert current_document()["shadow"]["enforce_from"] == "2198-01-01T00:00:00Z"

    def test_a_moment_that_has_come_ends_it_when_the_rules_are_compiled_again(self, ada: Caller, books: Books) -> None:
        put_shadow(books, is_on=True, enforce_from=(datetime.now(UTC) + timedelta(seconds=1)).isoformat())
        assert books.ask("reserve", amount=11).status == "OK"
        time.sleep(1.1)

        follow_rules()

        assert books.ask("reserve", amount=11).status == "BUDGET_EXCEEDED"

    def test_of_what_is_not_in_shadow_is_409(self, ada: Caller, books: Books) -> None:
        assert enforce(ada).status_code == 409
        put_shadow(books, is_on=True)
        assert enforce(ada).status_code == 200
        assert enforce(ada).status_code == 409
        over = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
        put_shadow(books, is_on=True, enforce_from=over)
        assert enforce(ada).status_code == 409

    @pytest.mark.parametrize(
        ("fields", "field"), [({"reason": ""}, "reason"), ({"enforce_from": "soon"}, "enforce_from")]
    )
    def test_refuses_with_the_field_to_mend(
        self, ada: Caller, books: Books, fields: dict[str, Any], field: str
    ) -> None:
        response = enforce(ada, **fields)

        assert (response.status_code, response.json()["details"]["field"]) == (400, field)

    def test_of_a_confined_key_is_refused(self, acme: Tenant, books: Books) -> None:
        assert enforce(as_tenant(acme, scopes=["tenant:acme/workspace:prod"])).status_code == 403

    @pytest.mark.parametrize("moment", ["soon", "2026-01-01T00:00:00", 5])
    def test_a_policy_takes_a_moment_with_its_zone_alone(self, books: Books, moment: Any) -> None:
        with pytest.raises(InvalidPolicy) as refused:
            put_shadow(books, is_on=True, enforce_from=moment)

        assert refused.value.field == "enforce_from"
