"""Acme beside Initech: two customers of one runtime, told from the first call to the last.

Acme is a large customer on the enterprise plan: $200 a day, all three tiers, every tool. Initech tries the product:
$5 a day, two tiers, tools that only read. Both run the same agent in the same process, and here is what each gets.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from budgets.selectors.audit import audit
from budgets.services.demo.access import read_file
from budgets.services.plan_catalogue import USD
from budgets.services.switches import lift_switch, throw_switch
from kernel.actor import Actor
from kernel.stops import Stop
from kernel.switches import SwitchLevel
from kernel.tenancy import in_public
from tenants.models import Tenant
from tests.support.demo import seed

OLIVE = Actor(name="olive", actor_type="admin", reason="An agent leaks.")
PROMPT = "s-1|Why is my invoice wrong?"
TOOLS = [
    {"type": "function", "function": {"name": name}}
    for name in ("zendesk.read", "zendesk.search", "zendesk.write", "slack.post")
]


@dataclass(frozen=True, slots=True)
class Customer:
    """One tenant, as its runtime knows it: an address and a key."""

    slug: str
    http: httpx.Client

    def call(self, path: str, **body: Any) -> dict[str, Any]:
        answer = self.http.post(f"/v1/x-watermaster/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def admit(self, *, run: str | None = None, kind: str = "llm.completion", name: str = "chat", **request: Any) -> Any:
        subject: dict[str, Any] = {"tenant": self.slug}
        if run is not None:
            subject["dimensions"] = {"run": run}
        return self.call(
            "admit",
            idempotency_key=uuid4().hex,
            subject=subject,
            action={"kind": kind, "name": name},
            request={"input_tokens": 1_000} | request,
        )

    def settle(self, admitted: dict[str, Any], *, tokens: int) -> dict[str, Any]:
        usage = {"prompt_tokens": 1_000, "completion_tokens": tokens}
        reservation_id = admitted["reservation"]["reservation_id"]
        return self.call("settle", idempotency_key=uuid4().hex, reservation_id=reservation_id, usage=usage)

    def tools(self) -> list[str]:
        offered = self.call("tools", subject={"tenant": self.slug}, tools=TOOLS)["tools"]
        return [tool["function"]["name"] for tool in offered]

    def isolation(self) -> dict[str, Any]:
        return dict(self.http.get("/v1/x-watermaster/isolation").json())

    def spent(self) -> int:
        balances = self.http.get("/v1/balances", params={"tenant": self.slug}).json()["balances"]
        return int(balances[0]["spent"]["amount"])

    @property
    def tag(self) -> Any:
        with in_public():
            return Tenant.objects.get(slug=self.slug).tag


def reason(answer: dict[str, Any]) -> str:
    assert answer["decision"] == "DENY", answer
    return str(answer["reasons"][0]["code"])


@pytest.fixture
def customers(folder: Path, api_url: str) -> Iterator[tuple[Customer, Customer]]:
    seed("--without-traffic")
    keys = read_file(folder / "demo.env")
    with (
        httpx.Client(base_url=api_url, headers={"X-Cycles-API-Key": keys["ACME_API_KEY"]}) as acme,
        httpx.Client(base_url=api_url, headers={"X-Cycles-API-Key": keys["INITECH_API_KEY"]}) as initech,
    ):
        yield Customer("acme", acme), Customer("initech", initech)


def test_the_story_of_acme_and_initech(customers: tuple[Customer, Customer]) -> None:
    acme, initech = customers

    # Both ask the same. Each gets the small model of its plan, held at its price, from its own budget.
    ours, theirs = acme.admit(), initech.admit()
    assert ours["route"]["tier"] == theirs["route"]["tier"] == "small"
    assert ours["reservation"]["scope_path"] == "tenant:acme"
    assert theirs["reservation"]["scope_path"] == "tenant:initech"

    # What they cost is booked to each alone, by the provider's own count.
    charged = acme.settle(ours, tokens=500)["charged"]["amount"]
    assert charged > 0
    assert (acme.spent(), initech.spent()) == (charged, 0)

    # The same session and the same prompt make different keys, and vectors live in different places.
    mine, yours = acme.isolation(), initech.isolation()
    assert mine["cache_key_prefix"] + PROMPT != yours["cache_key_prefix"] + PROMPT
    assert mine["vector_namespace"] != yours["vector_namespace"]
    assert ours["isolation"]["cache_key_prefix"] == mine["cache_key_prefix"]

    # Deep work goes to a large model for Acme. Initech may say so too; its plan has no such class, so it stays small.
    deep: dict[str, Any] = {"class_hint": {"class": "deep", "confidence": 0.95}}
    assert acme.admit(**deep)["route"]["tier"] == "large"
    assert initech.admit(**deep)["route"]["tier"] == "small"

    # Naming the model does not help, and a model without a price is refused to both.
    large = "anthropic:claude-opus-4-5"
    assert acme.admit(model=large)["route"]["model"] == "claude-opus-4-5"
    assert reason(initech.admit(model=large)) == "MODEL_NOT_ALLOWED"
    assert {reason(each.admit(model="nobody:nothing")) for each in customers} == {"MODEL_UNKNOWN"}

    # Acme's model sees every tool, Initech's only those that read; and whoever calls one all the same is refused.
    assert acme.tools() == ["zendesk.read", "zendesk.search", "zendesk.write", "slack.post"]
    assert initech.tools() == ["zendesk.read", "zendesk.search"]
    assert acme.admit(kind="tool.call", name="slack.post")["decision"] != "DENY"
    assert reason(initech.admit(kind="tool.call", name="slack.post")) == "TOOL_DENIED"

    # A run of Initech's goes round in circles: the call after the last is refused, and it is told what to do instead.
    steps = [initech.admit(run="r-1") for _ in range(26)]
    assert [step["decision"] == "DENY" for step in steps] == [False] * 25 + [True]
    assert steps[24]["caps"]["max_steps_remaining"] == 0
    assert steps[25]["give_up"] == {"code": "MAX_ITERATIONS_REACHED", "fallback": "interim_message"}
    # Acme has a run of that very name, and it has only begun.
    assert acme.admit(run="r-1")["limits_left"]["iterations"] > 25

    # Initech's day is used up. It is told what its plan has to offer; Acme does not notice.
    for step in steps[:25]:
        initech.settle(step, tokens=10**6)
    refused = initech.admit()
    assert reason(refused) in {"BUDGET_EXCEEDED", "OVERDRAFT_LIMIT_EXCEEDED"}
    # All but what its open calls still hold.
    assert 0 <= 5 * USD - initech.spent() < USD // 100
    assert acme.admit()["decision"] != "DENY"

    # An operator stops Acme. Initech is refused for its own reasons only, and Acme comes back when it is lifted.
    throw_switch(tag=acme.tag, stop=Stop(level=SwitchLevel.TENANT, reason=OLIVE.reason), actor=OLIVE)
    assert reason(acme.admit()) == "KILL_SWITCH"
    assert reason(initech.admit()) != "KILL_SWITCH"
    lift_switch(tag=acme.tag, level=SwitchLevel.TENANT, reason="It was mended.", actor=OLIVE)
    assert acme.admit()["decision"] != "DENY"

    # And the books of both are right to the last micro-cent.
    assert [audit(customer.tag) for customer in customers] == [[], []]
