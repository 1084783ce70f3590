"""Admit, settle and rate limits under callers who mean no good: every refusal is a refusal, and leaves nothing."""

import time
from typing import Any
from uuid import uuid4

import httpx
import pytest

from accounts.keys.models import ApiKey, Permission
from accounts.keys.tokens import MintedKey
from budgets.models import Decision, KillSwitch, LedgerEntry, RunTemplate
from kernel.tenancy import in_tenant
from kernel.valkey import shared_valkey
from tenants.models import Tenant
from tests.flows.test_settle import CHAT, CHAT_COST, MINI
from tests.support.books import Books
from tests.support.rules import SMALL, denying, rule

MOST = 2**63 - 1
FIVE = {"unit": "USD_MICROCENTS", "amount": 5}


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=10**9)
    return books


def call(url: str, books: Books, path: str, *, key: MintedKey | None = None, **fields: Any) -> httpx.Response:
    body: dict[str, Any] = {"idempotency_key": str(uuid4())}
    if path in {"admit", "reservations", "decide"}:
        body |= {"subject": {"tenant": "acme"}, "action": {"kind": "llm.completion", "name": "chat"}}
    if path in {"reservations", "decide"}:
        body["estimate"] = FIVE
    place = path if path in {"reservations", "decide"} or "/" in path else f"x-watermaster/{path}"
    headers = {"X-Cycles-API-Key": (key or books.key).token}
    return httpx.post(f"{url}/v1/{place}", headers=headers, json=body | fields)


def hold(url: str, books: Books, **fields: Any) -> str:
    answer = call(url, books, "admit", **{"request": {"input_tokens": 1_000}} | fields)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["reservation"]["reservation_id"])


def limited_to(capacity: int, *, counts: str = "tokens", **parts: Any) -> dict[str, Any]:
    limit = {"name": "r", "level": "tenant", "counts": counts, "capacity": capacity, "per_minute": 1} | parts
    return {"rate": [limit]}


def level(books: Books) -> float | None:
    """What the tenant's bucket holds, in tokens; None while it is full and forgotten."""
    found = shared_valkey().hget(f"rate:{{{books.tenant.tag}}}:r:", "level")
    return None if found is None else float(found) / 1000


class TestNumbers:
    @pytest.mark.parametrize(
        "fields",
        [
            {"request": {"input_tokens": MOST, "max_output_tokens": 1}},
            {"request": {"input_tokens": 1, "max_output_tokens": MOST}},
            {"request": {"input_bytes": MOST}},
            {"run": {"run_id": "r1", "started_at_ms": MOST}},
        ],
    )
    def test_that_no_call_can_have_are_refused_as_such(
        self, books: Books, api_url: str, fields: dict[str, Any]
    ) -> None:
        rule(books)

        answer = call(api_url, books, "admit", estimate=FIVE, **fields)

        assert (answer.status_code, answer.json()["error"]) == (400, "INVALID_REQUEST")

    def test_at_the_edge_are_judged(self, books: Books, api_url: str) -> None:
        rule(books, run={"tokens_max": MOST})
        request = {"input_tokens": 10**10, "max_output_tokens": 10**10}
        run = {"run_id": "r1", "started_at_ms": 253_402_300_799_999}

        answers = [call(api_url, books, "admit", estimate=FIVE, request=request, run=run) for _ in range(3)]

        assert [answer.json()["decision"] for answer in answers] == ["ALLOW_WITH_CAPS"] * 3

    def test_that_are_not_there_are_left_out_of_a_refusal(self, books: Books, api_url: str) -> None:
        rule(books, actions={"policies": [{"denied": ["llm.completion"]}]})

        answer = call(api_url, books, "admit")

        assert answer.json()["decision"] == "DENY"
        assert "null" not in answer.text


class TestMeasurements:
    def test_of_any_size_settle_the_money(self, books: Books, api_url: str) -> None:
        rule(books, run={"tokens_max": 10**12})
        metrics = {"tokens_input": MOST, "tokens_output": MOST}

        for _ in range(2):
            held = hold(api_url, books, run={"run_id": str(uuid4())})
            answer = call(api_url, books, f"reservations/{held}/commit", actual=FIVE, metrics=metrics)
            assert answer.status_code == 200

        assert (books.budget().spent, books.budget().reserved) == (10, 0)

    def test_that_a_run_cannot_have_end_it(self, books: Books, api_url: str) -> None:
        rule(books, run={"tokens_max": 10**12})
        run = {"run_id": "r1"}
        held = [hold(api_url, books, run=run) for _ in range(2)]

        metrics = {"tokens_input": MOST, "tokens_output": MOST}
        call(api_url, books, f"reservations/{held[0]}/commit", actual=FIVE, metrics=metrics)

        assert call(api_url, books, "admit", run=run).json()["reasons"][0]["code"] == "MAX_TOKENS_REACHED"


class TestTools:
    @pytest.mark.parametrize("kind", ["tool", "Tool", "tool.call", "TOOL.call"])
    def test_are_refused_however_their_kind_is_written(self, books: Books, api_url: str, kind: str) -> None:
        rule(books, tools={"default": "deny"})

        answer = call(api_url, books, "admit", action={"kind": kind, "name": "rm"}, estimate=FIVE)

        assert answer.json()["reasons"][0]["code"] == "TOOL_DENIED"


class TestStrangers:
    @pytest.fixture
    def stranger(self, books: Books) -> MintedKey:
        """A key that was taken away."""
        key = books.add_key()
        with in_tenant(books.tenant.tag):
            ApiKey.objects.filter(key_id=key.key_id).update(status="REVOKED")
        return key

    @pytest.mark.parametrize("amount", [1_000, MOST])
    def test_take_nothing_from_a_bucket(self, books: Books, stranger: MintedKey, api_url: str, amount: int) -> None:
        books.add_budget(allocated=10**9, unit="TOKENS")  # type: ignore[arg-type]
        rule(books, **limited_to(1_000))
        estimate = {"unit": "TOKENS", "amount": amount}

        assert call(api_url, books, "reservations", key=stranger, estimate=estimate).status_code == 401

        assert level(books) is None

    def test_are_told_nothing_of_a_limit(self, books: Books, stranger: MintedKey, api_url: str) -> None:
        rule(books, **limited_to(1, counts="requests"))
        assert [call(api_url, books, "reservations").status_code for _ in range(3)] == [200, 429, 429]

        answers = [call(api_url, books, "reservations", key=stranger) for _ in range(3)]

        assert [answer.status_code for answer in answers] == [401] * 3

    def test_are_strangers_from_their_first_refusal_on(self, books: Books, api_url: str) -> None:
        rule(books, **limited_to(5, counts="requests"))
        key = books.add_key()
        assert call(api_url, books, "reservations", key=key).status_code == 200
        with in_tenant(books.tenant.tag):
            ApiKey.objects.filter(key_id=key.key_id).update(status="REVOKED")

        assert [call(api_url, books, "reservations", key=key).status_code for _ in range(3)] == [401] * 3

        assert [call(api_url, books, "reservations").status_code for _ in range(5)] == [200] * 4 + [429]


class TestBuckets:
    def test_have_all_back_from_a_refused_call_of_any_size(self, books: Books, api_url: str) -> None:
        books.add_budget(allocated=10**9, unit="TOKENS")  # type: ignore[arg-type]
        rule(books, **limited_to(1_000))

        answer = call(api_url, books, "reservations", estimate={"unit": "TOKENS", "amount": MOST})

        assert answer.json()["error"] == "BUDGET_EXCEEDED"
        assert level(books) == 1_000
        assert 0 < shared_valkey().pttl(f"rate:{{{books.tenant.tag}}}:r:") <= 60_000

    @pytest.mark.parametrize(
        ("path", "fields", "left"),
        [
            # A plain reservation in money took no tokens; what it really used is taken when it settles.
            ("reservations", {}, 10_000 - 1_200),
            ("reservations", {"estimate": {"unit": "TOKENS", "amount": 3_000}}, 10_000 - 1_200),
            ("admit", {"request": {"input_tokens": 1_000}}, 10_000 - 1_200),
            ("admit", {"request": {"input_tokens": 1_000, "max_output_tokens": 5_000}, "estimate": FIVE}, 8_800),
        ],
    )
    def test_are_right_once_the_usage_is_known(
        self, books: Books, api_url: str, path: str, fields: dict[str, Any], left: int
    ) -> None:
        books.add_budget(allocated=10**9, unit="TOKENS")  # type: ignore[arg-type]
        rule(books, **limited_to(10_000))
        held = call(api_url, books, path, **fields).json()
        reservation_id = held.get("reservation", held)["reservation_id"]

        assert call(api_url, books, "settle", reservation_id=reservation_id, usage=CHAT).status_code == 200

        found = level(books)
        assert found is not None
        assert left <= found <= left + 1

    def test_refuse_a_question_and_write_down_no_answer(self, books: Books, api_url: str) -> None:
        rule(books, **limited_to(1, counts="requests"))
        call(api_url, books, "reservations")

        questions = [
            call(api_url, books, "decide", idempotency_key="one"),
            call(api_url, books, "reservations", dry_run=True, idempotency_key="two"),
        ]

        assert [answer.status_code for answer in questions] == [429] * 2
        rule(books)
        time.sleep(1.05)
        assert call(api_url, books, "decide", idempotency_key="one").json()["decision"] == "ALLOW_WITH_CAPS"
        with in_tenant(books.tenant.tag):
            assert not Decision.objects.filter(reason_code="RATE_LIMITED").exists()


class TestSettlingLate:
    @pytest.fixture
    def late(self, books: Books, api_url: str) -> str:
        """A reservation of the run r1 whose time is over."""
        rule(books, models={"openai:gpt-4o-mini": SMALL | {"price": MINI.as_document()}})
        with in_tenant(books.tenant.tag):
            RunTemplate.objects.create(name="chat", unit="USD_MICROCENTS", amount=10**8, is_default=True)
        found = hold(api_url, books, ttl_ms=1_000, grace_period_ms=0, run={"run_id": "r1"})
        time.sleep(1.1)
        return found

    def test_books_the_cost_once_whatever_the_keys_are(self, books: Books, late: str, api_url: str) -> None:
        answers = [
            call(api_url, books, "settle", reservation_id=late, usage=CHAT, idempotency_key=key)
            for key in ("one", "one", "two")
        ]

        assert [answer.status_code for answer in answers] == [200, 200, 409]
        assert answers[0].json() == answers[1].json()
        assert answers[2].json()["error"] == "RESERVATION_FINALIZED"
        assert books.budget().spent == CHAT_COST

    def test_books_it_in_the_run_too(self, books: Books, late: str, api_url: str) -> None:
        call(api_url, books, "settle", reservation_id=late, usage=CHAT)

        assert books.budget("/run:r1").spent == CHAT_COST

    def test_does_not_mind_an_event_of_the_same_key(self, books: Books, late: str, api_url: str) -> None:
        event = {"subject": {"tenant": "acme"}, "action": {"kind": "k", "name": "n"}, "actual": FIVE}
        url = f"{api_url}/v1/events"
        httpx.post(url, headers={"X-Cycles-API-Key": books.key.token}, json=event | {"idempotency_key": "one"})

        answer = call(api_url, books, "settle", reservation_id=late, usage=CHAT, idempotency_key="one")

        assert answer.json()["status"] == "BOOKED_LATE"

    def test_is_for_keys_that_may_settle(self, books: Books, late: str, api_url: str) -> None:
        settler = books.add_key(permissions=[Permission.RESERVATIONS_COMMIT])

        answer = call(api_url, books, "settle", reservation_id=late, usage=CHAT, key=settler)

        assert answer.json()["status"] == "BOOKED_LATE"
        with in_tenant(books.tenant.tag):
            assert LedgerEntry.objects.get(kind="EVENT").actor == settler.key_id


class TestKillSwitches:
    def test_of_a_model_stop_its_deployments(self, books: Books, acme: Tenant, api_url: str) -> None:
        models = {"openai:gpt-4o-mini": SMALL, "openai:gpt-4o-mini@eu": SMALL | {"deployment": "eu"}}
        rule(books, models=models)
        with in_tenant(books.tenant.tag):
            KillSwitch.objects.create(
                level="model", name="openai:gpt-4o-mini", reason="x", actor="olive", thrown_at=acme.created_at
            )

        answer = call(api_url, books, "admit", estimate=FIVE, request={"model": "openai:gpt-4o-mini@eu"})

        assert answer.json()["reasons"][0]["code"] == "KILL_SWITCH"


class TestRuns:
    @pytest.mark.parametrize(("named", "status"), [("r1", 200), ("R1", 200), ("r2", 400)])
    def test_are_one_run_however_they_are_named(self, books: Books, api_url: str, named: str, status: int) -> None:
        subject = {"tenant": "acme", "dimensions": {"run": named}}

        answer = call(api_url, books, "admit", subject=subject, estimate=FIVE, run={"run_id": "r1"})

        assert answer.status_code == status
        assert status == 200 or answer.json()["details"]["field"] == "run.run_id"


class TestShadow:
    def test_of_one_check_leaves_the_later_ones_in_force(self, books: Books, api_url: str) -> None:
        rule(books, **limited_to(1, counts="requests"), shadow={"checks": ["rate"]}, limits={"input_tokens_max": 10})
        call(api_url, books, "reservations")

        answer = call(api_url, books, "admit", request={"input_tokens": 11})

        assert answer.json()["reasons"][0]["code"] == "TOKENS_PER_REQUEST_EXCEEDED"

    def test_of_a_rate_still_holds_what_the_call_may_cost(self, books: Books, api_url: str) -> None:
        rule(books, **limited_to(1, counts="requests"), shadow={"checks": ["rate"]})
        call(api_url, books, "reservations")

        answer = call(api_url, books, "admit").json()

        assert answer["would_deny"] == "RATE_LIMITED"
        assert answer["route"]["model"] == "gpt-4o-mini"
        assert answer["reservation"]["reserved"]["amount"] == 60_000


class TestPromotions:
    def test_are_of_a_decision_of_the_tenant_s_own(self, books: Books, initech: Tenant, api_url: str) -> None:
        rule(books)
        theirs = Books(initech)
        made = call(api_url, books, "admit").json()["decision_id"]
        refused = call(api_url, theirs, "admit", subject={"tenant": "initech"}).json()["decision_id"]

        answers = [
            call(api_url, books, "admit", attempt={"n": 2, "of_decision": decision})
            for decision in (made, refused, "dec_nobody")
        ]

        assert [answer.status_code for answer in answers] == [200, 404, 404]


class TestConfinedKeys:
    def test_learn_no_names_of_other_scopes(self, books: Books, api_url: str) -> None:
        key = books.add_key(scope_filter=["tenant:acme/workspace:a"])
        url, headers = f"{api_url}/v1/x-watermaster", {"X-Cycles-API-Key": key.token}

        asked = [httpx.get(f"{url}/isolation?workspace={name}", headers=headers) for name in ("a", "A", "b", "ab")]
        whole = httpx.get(f"{url}/isolation", headers=headers)
        offered = [
            httpx.post(f"{url}/tools", headers=headers, json={"subject": {"workspace": name}, "tools": []})
            for name in ("a", "b")
        ]

        assert [answer.status_code for answer in asked] == [200, 200, 403, 403]
        assert whole.status_code == 403
        assert [answer.status_code for answer in offered] == [200, 403]


class TestUnsureHints:
    @pytest.mark.parametrize("parts", [{"hint_confidence_min_ppm": 500_000}, {"force_tier": "medium"}])
    def test_go_by_their_class_where_there_is_no_middle(
        self, books: Books, api_url: str, parts: dict[str, Any]
    ) -> None:
        rule(books, **parts)

        hint = {"class_hint": {"class": "chat", "confidence": 0.1}}

        assert call(api_url, books, "admit", request=hint).json()["route"]["tier"] == "small"


class TestToolChoices:
    def test_of_the_responses_api_name_no_removed_tool(self, books: Books, api_url: str) -> None:
        rule(books, tools={"default": "allow", "rules": [{"pattern": "rm_*", "verdict": "deny"}]})
        tools = [{"type": "function", "name": name} for name in ("rm_all", "rmxall")]

        body = {"subject": {"tenant": "acme"}, "tools": tools}
        body["tool_choice"] = {"type": "allowed_tools", "mode": "auto", "tools": tools}
        headers = {"X-Cycles-API-Key": books.key.token}
        answer = httpx.post(f"{api_url}/v1/x-watermaster/tools", headers=headers, json=body).json()

        assert answer["tools"] == answer["tool_choice"]["tools"] == [tools[1]]


class TestOtherTenants:
    def test_ids_of_theirs_are_refused_without_a_look(self, books: Books, initech: Tenant, api_url: str) -> None:
        rule(books)
        theirs = Books(initech)
        answer = call(api_url, theirs, "settle", reservation_id=hold(api_url, books), usage=CHAT)

        assert (answer.status_code, answer.json()["error"]) == (403, "FORBIDDEN")
        assert "acme" not in answer.text

    def test_run_of_the_same_name_is_another_run(self, books: Books, initech: Tenant, api_url: str) -> None:
        theirs = Books(initech)
        theirs.add_budget(allocated=10**9)
        for each in (books, theirs):
            rule(each, run={"iterations_max": 1})
        fields: dict[str, Any] = {"estimate": FIVE, "run": {"run_id": "r1"}}

        answers = [
            call(api_url, books, "admit", **fields),
            call(api_url, theirs, "admit", subject={"tenant": "initech"}, **fields),
            call(api_url, books, "admit", **fields),
        ]

        assert [answer.json()["decision"] for answer in answers] == ["ALLOW_WITH_CAPS", "ALLOW_WITH_CAPS", "DENY"]


def test_one_key_serves_each_endpoint_once(books: Books, api_url: str) -> None:
    rule(books)

    first = [call(api_url, books, path, idempotency_key="one") for path in ("reservations", "admit", "decide")]
    rule(books, actions=denying("llm.completion"))
    again = [call(api_url, books, path, idempotency_key="one") for path in ("reservations", "admit", "decide")]

    assert [answer.status_code for answer in first + again] == [200] * 6
    assert first[1].json()["decision_id"] == again[1].json()["decision_id"]
