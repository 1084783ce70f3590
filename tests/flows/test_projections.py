"""Admit, reserve and decide are one judgement: the same request gets the same verdict from all three."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenants.models import Tenant
from tests.support.books import Books
from tests.support.rules import allowing, denying, quota, rule

KINDS = ("llm.completion", "tool.call", "message.email")
ALLOWED = 2_000

RULES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "actions": st.sampled_from(
            [denying("message.email"), allowing(*KINDS[:2]), quota(1), quota(2, kind="tool.call")]
        ),
        "tools": st.sampled_from(
            [
                {"default": "deny", "rules": []},
                {"default": "allow", "rules": [{"pattern": "slack.*", "verdict": "gated"}]},
            ]
        ),
        "run": st.sampled_from([{"iterations_max": 1}, {"iterations_max": 3}]),
        "limits": st.sampled_from([{"runs_per_day_max": 1}, {"concurrent_runs_max": 1}, {"input_tokens_max": 0}]),
        "low_water": st.sampled_from([{}, {"normal_floor_ppm": 500_000}]),
        "shadow": st.sampled_from([{"is_on": True}, {"checks": ["tools", "run"]}]),
    },
)
REQUESTS = st.lists(
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from(KINDS),
            "name": st.sampled_from(["slack.post", "openai:gpt-4o", "nobody:nothing"]),
            "amount": st.sampled_from([0, 1, ALLOWED // 2, ALLOWED, ALLOWED + 1]),
            "run": st.sampled_from([None, "r1", "r2"]),
        }
    ),
    min_size=1,
    max_size=4,
)


def post(url: str, books: Books, path: str, workspace: str, call: dict[str, Any], **more: Any) -> httpx.Response:
    subject: dict[str, Any] = {"tenant": books.tenant.slug, "workspace": workspace}
    if call["run"] is not None:
        subject["dimensions"] = {"run": call["run"]}
    body = {
        "idempotency_key": str(uuid4()),
        "subject": subject,
        "action": {"kind": call["kind"], "name": call["name"]},
        "estimate": {"unit": "USD_MICROCENTS", "amount": call["amount"]},
    }
    return httpx.post(f"{url}{path}", headers={"X-Cycles-API-Key": books.key.token}, json=body | more)


def verdict(answer: httpx.Response) -> tuple[str, str | None, Any]:
    """The decision, its reason and its caps, from whichever of the three answered."""
    body = answer.json()
    if answer.status_code != 200:
        return ("DENY", body["details"].get("reason_code", body["error"]), None)
    reason = body["reasons"][0]["code"] if body.get("reasons") else body.get("reason_code")
    # Admit names a run's own money limit among the limits of runs.
    return (body["decision"], "BUDGET_EXCEEDED" if reason == "MAX_COST_REACHED" else reason, body.get("caps"))


@pytest.fixture
def pair(acme: Tenant, initech: Tenant) -> tuple[Books, Books]:
    return Books(acme), Books(initech)


def _compare(pair: tuple[Books, Books], api_url: str, rules: dict[str, Any], calls: list[dict[str, Any]]) -> None:
    workspace = f"w{uuid4().hex[:8]}"
    one, other = pair
    for books in pair:
        rule(books, **rules)
        books.add_budget(f"/workspace:{workspace}", allocated=ALLOWED)
    for call in calls:
        asked = verdict(post(api_url, one, "/v1/decide", workspace, call))
        dry = verdict(post(api_url, one, "/v1/reservations", workspace, call, dry_run=True))
        admitted = verdict(post(api_url, one, "/v1/x-watermaster/admit", workspace, call))
        # Another tenant, to which the same has happened so far, asks for a live reservation.
        reserved = verdict(post(api_url, other, "/v1/reservations", workspace, call))

        assert asked == dry == admitted == reserved


_SHORT = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.slow
@_SHORT
@given(rules=RULES, calls=REQUESTS)
def test_give_the_same_verdict(
    pair: tuple[Books, Books], api_url: str, rules: dict[str, Any], calls: list[dict[str, Any]]
) -> None:
    _compare(pair, api_url, rules, calls)


@pytest.mark.full
@pytest.mark.slow(20)
@settings(_SHORT, max_examples=40)
@given(rules=RULES, calls=REQUESTS)
def test_give_the_same_verdict_many_times(
    pair: tuple[Books, Books], api_url: str, rules: dict[str, Any], calls: list[dict[str, Any]]
) -> None:
    _compare(pair, api_url, rules, calls)
