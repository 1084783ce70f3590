"""Kill switches over the management API: who may, what is answered, what is refused."""

from collections.abc import Iterator
from typing import Any

import pytest

from tenants.models import PlatformSwitch, Tenant
from tests.support.books import Books
from tests.support.management import Caller, as_platform, as_tenant
from tests.support.owner import delete_shared


@pytest.fixture
def olive(acme: Tenant) -> Iterator[Caller]:
    yield as_platform()
    delete_shared(PlatformSwitch.objects.all())


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=100)
    return books


AGENT = {"level": "agent", "name": "Triage", "reason": "runaway"}


class TestTenantSwitches:
    def test_are_thrown_listed_and_lifted(self, olive: Caller, books: Books) -> None:
        held = books.ask("reserve", amount=5)
        thrown = olive.post("tenants/acme/switches", {"level": "tenant", "reason": "leak", "mode": "CANCEL_HOLDS"})

        assert thrown.status_code == 200
        assert (thrown.json()["is_changed"], thrown.json()["holds_released"]) == (True, 1)
        assert books.ask("commit", target=held.id, amount=5).status == "RESERVATION_FINALIZED"
        assert books.ask("reserve", amount=5).status == "KILL_SWITCH"
        [listed] = olive.get("tenants/acme/switches").json()["switches"]
        assert listed == thrown.json()["switch"]
        assert (listed["level"], listed["name"], listed["lifted_at"]) == ("tenant", "", None)

        lifted = olive.post("tenants/acme/switches/lift", {"level": "tenant", "reason": "mended"})
        again = olive.post("tenants/acme/switches/lift", {"level": "tenant"})

        assert (lifted.json()["is_changed"], lifted.json()["switch"]["level"]) == (True, "tenant")
        assert again.json() == {"switch": None, "is_changed": False}
        assert books.ask("reserve", amount=5).status == "OK"
        assert olive.get("tenants/acme/switches").json()["switches"] == []
        [over] = olive.get("tenants/acme/switches?state=all").json()["switches"]
        assert over["lifted_at"] is not None

    def test_are_listed_in_pages_the_newest_first(self, olive: Caller) -> None:
        for name in "abc":
            assert olive.post("tenants/acme/switches", AGENT | {"name": name}).status_code == 200

        first = olive.get("tenants/acme/switches?limit=2").json()
        rest = olive.get(f"tenants/acme/switches?limit=2&cursor={first['next_cursor']}").json()

        assert [[row["name"] for row in page["switches"]] for page in (first, rest)] == [["c", "b"], ["a"]]
        assert not rest["has_more"]

    def test_may_be_read_by_the_tenant_and_thrown_by_the_operator_alone(self, olive: Caller, acme: Tenant) -> None:
        ada, confined = as_tenant(acme), as_tenant(acme, scopes=["tenant:acme/workspace:a"])
        olive.post("tenants/acme/switches", AGENT)
        olive.post("switches", {"level": "provider", "name": "openai", "reason": "outage"})

        seen = ada.get("tenants/acme/switches").json()

        assert [row["name"] for row in seen["switches"]] == ["triage"]
        [everywhere] = seen["platform"]
        assert (everywhere["level"], everywhere["name"], everywhere["reason"]) == ("provider", "openai", "outage")
        # Which operator it was is no tenant's affair.
        assert "actor" not in everywhere
        assert ada.post("tenants/acme/switches", AGENT).status_code == 403
        assert ada.post("tenants/acme/switches/lift", {"level": "agent", "name": "triage"}).status_code == 403
        assert ada.get("switches").status_code == 403
        assert confined.get("tenants/acme/switches").status_code == 403

    def test_of_another_tenant_are_not_seen(self, olive: Caller, initech: Tenant) -> None:
        olive.post("tenants/acme/switches", AGENT)

        assert as_tenant(initech).get("tenants/initech/switches").json()["switches"] == []
        assert as_tenant(initech).get("tenants/acme/switches").status_code == 404

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"level": "platform"}, "level"),
            ({"level": "planet"}, "level"),
            ({"name": ""}, "name"),
            ({"name": "a/b"}, "name"),
            ({"name": 5}, "name"),
            ({"mode": "STOP"}, "mode"),
            ({"reason": ""}, "reason"),
            ({"reason": "  "}, "reason"),
            ({"ends_at": "2001-01-01T00:00:00Z"}, "ends_at"),
            ({"ends_at": "tomorrow"}, "ends_at"),
            ({"colour": "red"}, "colour"),
        ],
    )
    def test_are_refused_with_the_field_to_mend(self, olive: Caller, fields: dict[str, Any], field: str) -> None:
        response = olive.post("tenants/acme/switches", AGENT | fields)

        assert response.status_code == 400
        assert response.json()["details"]["field"] == field
        assert olive.get("tenants/acme/switches?state=all").json()["switches"] == []

    def test_of_a_closed_tenant_are_409(self, olive: Caller) -> None:
        olive.post("tenants/acme/close", {"reason": "over"})

        response = olive.post("tenants/acme/switches", AGENT)

        assert (response.status_code, response.json()["error"]) == (409, "TENANT_CLOSED")


class TestPlatformSwitches:
    def test_are_thrown_listed_and_lifted(self, olive: Caller, books: Books, initech: Tenant) -> None:
        others = Books(initech)
        others.add_budget(allocated=100)
        held = [each.ask("reserve", amount=5) for each in (books, others)]

        body = {"level": "platform", "reason": "incident", "mode": "CANCEL_HOLDS", "ends_at": "2199-01-01T00:00:00Z"}
        thrown = olive.post("switches", body).json()

        assert (thrown["holds_released"], thrown["tenants_visited"], thrown["tenants_failed"]) == (2, 2, 0)
        for each, hold in zip((books, others), held, strict=True):
            assert each.ask("reserve", amount=5).status == "KILL_SWITCH"
            assert each.ask("commit", target=hold.id, amount=5).status == "RESERVATION_FINALIZED"
        assert olive.get("switches").json()["switches"] == [thrown["switch"]]
        lifted = olive.post("switches/lift", {"level": "platform", "reason": "mended"}).json()
        assert lifted["is_changed"]
        assert [each.ask("reserve", amount=5).status for each in (books, others)] == ["OK", "OK"]
        assert olive.get("switches").json()["switches"] == []
        assert len(olive.get("switches?state=all").json()["switches"]) == 1

    @pytest.mark.parametrize("level", ["tenant", "agent", "key", "tool"])
    def test_stop_no_part_of_a_tenant(self, olive: Caller, level: str) -> None:
        response = olive.post("switches", {"level": level, "name": "x", "reason": "x"})

        assert (response.status_code, response.json()["details"]["field"]) == (400, "level")

    def test_need_the_right_to_write(self, olive: Caller) -> None:
        reader = as_platform(permissions=["platform:read"])

        assert reader.get("switches").status_code == 200
        for path in ("switches", "switches/lift", "tenants/acme/switches", "tenants/acme/switches/lift"):
            assert reader.post(path, {"level": "provider", "name": "openai", "reason": "x"}).status_code == 403
