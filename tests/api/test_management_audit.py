"""The audit trail over the protocol's endpoint and our own: what an entry says, filters, pages, and following it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pytest_django import DjangoDbBlocker

from kernel.actor import Actor
from kernel.tenancy import in_tenant
from telemetry.services.audit import record
from tenants.models import Tenant
from tests.support.following import eventually
from tests.support.management import Caller, as_platform, as_tenant, platform_key, tenant_key
from tests.support.standing import standing_tenant

HERE = "/v1/admin/audit/logs?tenant_id=acme"
STANDING = "/v1/admin/audit/logs?tenant_id=globex"
EVE = Actor(name="eve@example.test", actor_type="admin", reason="Because")


@pytest.fixture
def operator() -> Caller:
    return as_platform()


def write(tenant: Tenant, action: str, *, actor: Actor = EVE, target: str = "x", **facts: Any) -> None:
    at = facts.pop("at", None) or datetime.now(UTC)
    with in_tenant(tenant.tag):
        record(actor=actor, action=action, target=target, at=at, **facts)


@pytest.fixture
def trail(acme: Tenant) -> Tenant:
    write_two(acme)
    return acme


@pytest.fixture(scope="module")
def standing(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Tenant]:
    """For tests that only look."""
    with django_db_blocker.unblock(), standing_tenant("globex") as tenant:
        write_two(tenant)
        yield tenant


def write_two(tenant: Tenant) -> None:
    """Two acts of one day, a second apart; a key did the first."""
    for number, name in enumerate("ab"):
        is_key = name == "a"
        actor = Actor(
            name="keykeykeykeykeya" if is_key else "eve@example.test",
            actor_type="api_key" if is_key else "admin",
            request_id=f"req_{name}",
            trace_id=name * 32,
        )
        at = datetime(2026, 3, 10, 0, 0, number, tzinfo=UTC)
        write(tenant, f"{name}.act", actor=actor, target=f"target-{name}", at=at)


def logs(caller: Caller, path: str) -> list[dict[str, Any]]:
    answer = caller.get(path)
    assert answer.status_code == 200, answer.content
    found: list[dict[str, Any]] = answer.json()["logs"]
    return found


def acts(caller: Caller, path: str) -> list[str]:
    return [each["operation"] for each in logs(caller, path)]


class TestLogs:
    def test_say_who_did_what_and_why_and_which_key(self, acme: Tenant, operator: Caller) -> None:
        key = tenant_key(acme)
        actor = Actor(
            name=key.key.key_id,
            actor_type="api_key",
            reason="Too dear",
            request_id="req_1",
            trace_id="a" * 32,
            source_ip="10.0.0.1",
        )
        at = datetime(2026, 3, 10, 9, 30, tzinfo=UTC)
        write(acme, "budget.frozen", actor=actor, target="tenant:acme", at=at, before={"n": None, "on": [True]})

        (found,) = logs(operator, f"{HERE}&operation=budget.frozen")

        assert found.pop("log_id")
        assert found == {
            "timestamp": "2026-03-10T09:30:00.000Z",
            "tenant_id": "acme",
            "key_id": key.key.key_id,
            "source_ip": "10.0.0.1",
            "operation": "budget.frozen",
            "resource_type": "budget",
            "resource_id": "tenant:acme",
            "request_id": "req_1",
            "trace_id": "a" * 32,
            "status": 200,
            "metadata": {
                "actor": key.key.key_id,
                "actor_type": "api_key",
                "key_name": "test",
                "reason": "Too dear",
                "before": {"on": [True]},
            },
        }

    def test_leave_out_what_is_unknown(self, acme: Tenant, operator: Caller) -> None:
        write(acme, "x.y", actor=Actor(name="retention", actor_type="scheduler", trace_id="nonsense"), target="")

        (found,) = logs(operator, f"{HERE}&operation=x.y")

        assert found.keys() == {
            *("log_id", "timestamp", "tenant_id", "operation", "resource_type", "status", "metadata")
        }
        assert found["metadata"] == {"actor": "retention", "actor_type": "scheduler"}

    def test_name_the_platforms_key_that_acted_for_a_tenant(self, acme: Tenant, operator: Caller) -> None:
        operator.post("tenants/acme/suspend", {"reason": "They asked"})

        (found,) = logs(operator, f"{HERE}&operation=tenant.suspended")

        assert found["metadata"]["key_name"] == "olive"
        assert found["metadata"]["actor_type"] == "admin_on_behalf_of"
        assert logs(operator, f"{HERE}&key_id={found['key_id']}") == [found]

    def test_without_a_tenant_are_the_platforms_own(self, acme: Tenant, operator: Caller) -> None:
        write(acme, "only.acme")
        key_id = platform_key().key.key_id

        (found,) = logs(operator, f"/v1/admin/audit/logs?resource_id={key_id}")

        assert (found["tenant_id"], found["operation"]) == ("__admin__", "api_key.created")
        assert found["metadata"]["target_name"] == "olive"
        assert logs(operator, f"/v1/admin/audit/logs?tenant_id=__admin__&resource_id={key_id}") == [found]
        assert acts(operator, "/v1/admin/audit/logs?operation=only.acme") == []

    @pytest.mark.parametrize("tenant_id", ["__unauth__", "nobody-here", "Acme"])
    def test_of_nobody_are_none(self, acme: Tenant, operator: Caller, tenant_id: str) -> None:
        answer = operator.get(f"/v1/admin/audit/logs?tenant_id={tenant_id}").json()

        assert answer == {"logs": [], "has_more": False}

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("operation=a.act", "a"),
            ("operation=a.act,b.act", "ba"),
            ("operation=A.act", ""),
            ("resource_type=b,none", "b"),
            ("resource_id=target-a", "a"),
            ("resource_id=target", ""),
            ("search=TARGET-A", "a"),
            ("search=&operation=a.act", "a"),
            ("trace_id=" + "a" * 32, "a"),
            ("request_id=req_b", "b"),
            ("request_id=req_", ""),
            ("key_id=keykeykeykeykeya", "a"),
            ("key_id=eve@example.test", ""),
            ("status=200", "ba"),
            ("status=201", ""),
            ("status_min=200&status_max=200", "ba"),
            ("status_min=201", ""),
            ("status_max=199", ""),
            ("error_code=NOT_FOUND", ""),
            ("error_code_exclude=NOT_FOUND", "ba"),
            ("from=2026-03-10T00:00:01Z", "b"),
            ("to=2026-03-10T00:00:00Z", "a"),
            ("from=2026-03-10T00:00:00Z&to=2026-03-10T00:00:01Z", "ba"),
            ("sort_dir=asc", "ab"),
            ("sort_by=operation", "ba"),
            ("sort_by=operation&sort_dir=asc", "ab"),
            ("sort_by=resource_type&sort_dir=asc", "ab"),
            ("sort_by=key_id&sort_dir=asc", "ba"),
            ("sort_by=status&sort_dir=asc", "ab"),
            ("sort_by=tenant_id", "ba"),
        ],
    )
    def test_are_filtered_and_sorted(self, standing: Tenant, operator: Caller, query: str, found: str) -> None:
        wanted = [f"{name}.act" for name in found]
        path = f"{STANDING}&{query}" + ("" if "search" in query else "&search=.act")

        assert eventually(lambda: acts(operator, path), wanted) == wanted

    def test_are_found_by_the_time_that_they_say(self, acme: Tenant, operator: Caller) -> None:
        write(acme, "by.time", at=datetime(2026, 3, 10, 9, 30, 0, 123_456, tzinfo=UTC))
        write(acme, "by.time", at=datetime(2026, 3, 10, 9, 30, 0, 124_000, tzinfo=UTC))
        told = "2026-03-10T09:30:00.123Z"

        (found,) = logs(operator, f"{HERE}&operation=by.time&from={told}&to={told}")

        assert found["timestamp"] == told

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("operation=" + ",".join("abcdefghijklmnopqrstuvwxyz"), "operation"),
            ("resource_type=" + ",".join("abcdefghijklmnopqrstuvwxyz"), "resource_type"),
            ("error_code=" + ",".join("abcdefghijklmnopqrstuvwxyz"), "error_code"),
            ("error_code_exclude=" + ",".join("abcdefghijklmnopqrstuvwxyz"), "error_code_exclude"),
            ("status=200&status_min=200", "status"),
            ("status=200&status_max=200", "status"),
            ("status_min=99", "status_min"),
            ("status_max=600", "status_max"),
            ("status_min=300&status_max=200", "status_min"),
            ("status=x", "status"),
            ("search=" + "x" * 129, "search"),
            ("trace_id=" + "A" * 32, "trace_id"),
            ("sort_by=actor", "sort_by"),
            ("sort_dir=down", "sort_dir"),
            ("limit=0", "limit"),
            ("limit=101", "limit"),
            ("cursor=nonsense", "cursor"),
            ("from=yesterday", "from"),
            ("from=2026-03-11T00:00:00Z&to=2026-03-10T00:00:00Z", "from"),
        ],
        ids=lambda value: value[:24],
    )
    def test_refuse_what_makes_no_sense(self, standing: Tenant, operator: Caller, query: str, field: str) -> None:
        answer = operator.get(f"{STANDING}&{query}")

        assert (answer.status_code, answer.json()["error"]) == (400, "INVALID_REQUEST")
        assert answer.json()["details"]["field"] == field

    def test_take_25_words_and_128_characters(self, acme: Tenant, operator: Caller) -> None:
        assert logs(operator, f"{HERE}&operation={','.join('abcdefghijklmnopqrstuvwxy')}&search={'x' * 128}") == []

    @pytest.mark.parametrize("order", ["sort_by=timestamp", "sort_by=operation&sort_dir=asc", "sort_by=key_id"])
    def test_come_in_pages_without_gap_or_repeat(self, trail: Tenant, operator: Caller, order: str) -> None:
        for number in range(3):
            write(trail, f"c{number}.act")
        whole, pages = acts(operator, f"{HERE}&{order}&search=.act"), []
        cursor: str | None = ""
        while cursor is not None:
            answer = operator.get(f"{HERE}&{order}&search=.act&limit=2&cursor={cursor}").json()
            pages += [each["operation"] for each in answer["logs"]]
            cursor = answer.get("next_cursor")
            assert answer["has_more"] == (cursor is not None)

        assert pages == whole
        assert len(whole) == 5

    def test_have_cursors_that_open_no_other_list(self, trail: Tenant, initech: Tenant, operator: Caller) -> None:
        cursor = operator.get(f"{HERE}&limit=1&search=.act").json()["next_cursor"]

        for path in (
            f"{HERE}&limit=1",
            f"{HERE}&search=.act&sort_dir=asc",
            f"{HERE}&search=.act&sort_by=operation",
            "/v1/admin/audit/logs?tenant_id=initech&search=.act",
            "/v1/admin/audit/logs?search=.act",
        ):
            assert operator.get(f"{path}&cursor={cursor}").status_code == 400
        assert acts(operator, f"{HERE}&search=.act&cursor={cursor}") == ["a.act"]

    def test_are_for_operators_alone(self, acme: Tenant) -> None:
        assert as_tenant(acme).get(HERE).status_code == 403
        assert as_platform(permissions=["platform:write"]).get(HERE).status_code == 403
        assert Caller().get(HERE).status_code == 401


class TestTrail:
    READS = ("budgets:read", "events:read", "keys:read", "policies:read", "webhooks:read")

    def test_is_for_keys_that_may_read_all_that_it_tells_of(self, acme: Tenant) -> None:
        assert as_tenant(acme, permissions=list(self.READS)).get("tenants/acme/audit").status_code == 200
        for missing in self.READS:
            caller = as_tenant(acme, permissions=[each for each in self.READS if each != missing])
            assert caller.get("tenants/acme/audit").status_code == 403, missing

    def test_is_for_no_key_that_is_confined_to_scopes(self, acme: Tenant) -> None:
        assert as_tenant(acme, scopes=["tenant:acme/workspace:a"]).get("tenants/acme/audit").status_code == 403
