"""The compiler: what people decided becomes what decisions read, and stays it."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import sleep
from typing import Any

import pytest
from django.db import connections

from budgets.models import Ruleset
from budgets.models.choices import PolicyKind
from budgets.selectors.policies import newest_policy
from budgets.services.plan_defaults import read_plan_defaults
from budgets.services.policies import InvalidPolicy, NewPolicy, save_policy
from kernel.tenancy import in_tenant
from routing.pricing.book import PriceBook, layer_of
from routing.pricing.price import Price, PriceSource
from routing.rules.effective import PlanSource, PolicySource
from routing.services.compiling import Sources, compile_ruleset
from routing.services.policy_saving import put_policy, put_policy_back
from routing.services.price_setting import NewPrice, set_multiplier, set_price
from routing.services.rulesets import publish_ruleset
from routing.tasks import follow_prices, follow_rules
from tenants.models import Plan, Tenant
from tests.support.books import TEST_ACTOR
from tests.support.plans import USD, a_plan, money, tenant_on
from tests.support.prices import OLIVE, listed, put_in_force, terms

ROUTING: dict[str, Any] = {
    "tiers": {"small": ["openai:mini"], "large": ["openai:big"]},
    "classes": {
        "chat": {"tier": "small", "output_tokens_max": 1_000, "output_tokens_p99": 400},
        "deep": {"tier": "large", "pattern": "soft", "priority": "high"},
    },
    "default_class": "chat",
}
TIMEOUTS = {
    "sla_ms": 10_000,
    "overhead_ms": 500,
    "model_ms": 2_500,
    "model_calls": 2,
    "tools": {"search": 3_000, "db": 1_000},
    "margin_ms": 1_500,
}


def a_price(model: str, **fields: Any) -> Price:
    plain = Price(
        provider="openai",
        model=model,
        source=PriceSource.LIST,
        version=f"version-of-{model}",
        rates={"standard": {"input": 15, "output": 60}},
        context_window=128_000,
    )
    return replace(plain, **fields)


def book(*models: str, tools: dict[str, int] | None = None) -> PriceBook:
    prices = [a_price(model) for model in models]
    prices += [a_price(tool, provider="tool", per_call=fee, rates={}) for tool, fee in (tools or {}).items()]
    return PriceBook(layers={PriceSource.LIST: layer_of(prices)}, multipliers={})


def sources(
    *,
    plan: dict[str, Any] | None = None,
    prices: PriceBook | None = None,
    catalogue: tuple[str, ...] = (),
    **policies: Any,
) -> Sources:
    return Sources(
        slug="acme",
        plan=None if plan is None else PlanSource(code="pro", version=2, defaults=read_plan_defaults(plan)),
        policies={
            PolicyKind(kind): PolicySource(version=3, document=document, actor="olive", saved_on="2026-11-22")
            for kind, document in policies.items()
        },
        book=prices or book("mini", "big"),
        catalogue=catalogue,
    )


class TestCompile:
    def test_nothing_decided_is_no_rule_even_where_there_are_prices(self) -> None:
        assert compile_ruleset(sources(prices=book("mini", tools={"search": 5}))) == {}
        assert compile_ruleset(sources(plan={"budgets": [money(5)]}, tools={}, limits={}, shadow={})) == {}

    def test_is_the_same_for_the_same_sources(self) -> None:
        def once() -> dict[str, Any]:
            return compile_ruleset(sources(plan={"routing": ROUTING, "limits": {"input_tokens_max": 5}}, tools={}))

        assert once() == once()
        assert list(once()) == list(once())

    def test_an_override_takes_the_place_of_what_it_names_and_no_more(self) -> None:
        bucket = {"level": "tenant", "counts": "requests", "capacity": 10, "per_minute": 60}
        plan = {
            "limits": {"input_tokens_max": 100, "runs_per_day_max": 50},
            "run": {"iterations_max": 8, "fallback": "escalate"},
            "rate": [{"name": "a", **bucket}, {"name": "b", **bucket}],
            "priority": "low",
            "share_weight": 2,
        }
        override = {
            "limits": {"input_tokens_max": 200},
            "run": {"tokens_max": 9},
            "rate": [{"name": "b", **bucket, "capacity": 99}],
            "priority": "high",
            "on_exhaustion": {"month": ["notice"]},
        }

        assert compile_ruleset(sources(plan=plan, limits=override)) == {
            "limits": {"input_tokens_max": 200, "runs_per_day_max": 50},
            "run": {"iterations_max": 8, "fallback": "escalate", "tokens_max": 9},
            "rate": [{"name": "a", **bucket}, {"name": "b", **bucket, "capacity": 99}],
            "priority": "high",
            "share_weight": 2,
            "on_exhaustion": {"session": [], "month": ["notice"]},
        }

    def test_routes_carry_their_prices(self) -> None:
        document = compile_ruleset(sources(plan={"routing": ROUTING}, prices=book("mini", "big", tools={"search": 7})))

        assert document["tiers"] == {"small": ["openai:mini"], "large": ["openai:big"]}
        mini = document["models"]["openai:mini"]
        assert (mini["provider"], mini["model"], mini["context_window"]) == ("openai", "mini", 128_000)
        assert (mini["price"]["input"], mini["price"]["output"], mini["price"]["source"]) == (15, 60, "list")
        assert mini["price"]["version"] == "version-of-mini"
        assert document["tool_prices"] == {"search": 7}
        assert (document["default_class"], "models_refused" in document) == ("chat", False)

    def test_a_class_holds_its_p99_and_a_quarter_never_above_its_cap(self) -> None:
        for p99, hold in ((400, 500), (799, 999), (800, 1_000), (801, 1_000)):
            chat = {"tier": "small", "output_tokens_max": 1_000, "output_tokens_p99": p99}
            document = compile_ruleset(sources(routing=ROUTING | {"classes": {"chat": chat}}))

            assert document["classes"]["chat"]["output_tokens_hold"] == hold

    def test_a_model_without_a_price_is_in_no_tier(self) -> None:
        document = compile_ruleset(sources(routing=ROUTING, prices=book("mini")))

        assert document["tiers"] == {"small": ["openai:mini"], "large": []}
        assert list(document["models"]) == ["openai:mini"]

    def test_a_priced_model_outside_the_plan_is_known_and_refused(self) -> None:
        plan = {"routing": ROUTING, "models": ["openai:mini"]}
        document = compile_ruleset(
            sources(plan=plan, prices=book("mini", "big", "o3"), catalogue=("openai:o3", "openai:unpriced"))
        )

        assert list(document["models"]) == ["openai:mini"]
        assert document["models_refused"] == ["openai:big", "openai:o3"]
        assert document["tiers"]["large"] == []

    def test_traits_and_deployments_stand_with_the_model(self) -> None:
        policy = {
            "tiers": {"small": ["openai:mini@eu", "openai:mini"]},
            "models": {"openai:mini@eu": {"capabilities": ["vision"], "context_window": 5}},
        }
        models = compile_ruleset(sources(routing=policy))["models"]

        eu = models["openai:mini@eu"]
        assert (eu["model"], eu["deployment"], eu["context_window"]) == ("mini", "eu", 5)
        assert eu["capabilities"] == ["vision"]
        assert "deployment" not in models["openai:mini"]
        assert models["openai:mini"]["deployments"] == ["openai:mini", "openai:mini@eu"]

    def test_a_model_knows_its_deployments_though_only_they_are_named(self) -> None:
        models = compile_ruleset(sources(routing={"tiers": {"small": ["openai:mini@eu", "openai:mini@us"]}}))["models"]

        itself = models["openai:mini"]
        assert (itself["model"], itself["deployments"]) == ("mini", ["openai:mini@eu", "openai:mini@us"])
        assert "deployment" not in itself

    def test_a_model_that_is_allowed_is_allowed_wherever_it_is_deployed(self) -> None:
        policy = {"tiers": {"small": ["openai:mini@eu", "openai:big@eu"]}}
        document = compile_ruleset(sources(plan={"models": ["openai:mini"], "routing": policy}))

        assert document["tiers"] == {"small": ["openai:mini@eu"]}

    def test_a_model_that_reasons_keeps_room_to(self) -> None:
        traits = {"openai:mini": {"capabilities": ["reasoning"]}, "openai:big": {"output_tokens_min": 5}}
        models = compile_ruleset(sources(routing=ROUTING | {"models": traits}))["models"]

        assert [model["output_tokens_min"] for model in models.values()] == [1_024, 5]

    def test_a_tier_falls_back_to_the_models_of_another(self) -> None:
        document = compile_ruleset(sources(routing=ROUTING | {"fallbacks": {"large": "small"}}))

        assert document["tiers"]["large"] == ["openai:big", "openai:mini"]

    def test_timeouts_are_summed(self) -> None:
        policy = ROUTING | {"classes": {"chat": {"tier": "small", "timeouts": TIMEOUTS}}}

        assert compile_ruleset(sources(routing=policy))["classes"]["chat"]["timeouts"] == {
            "total_ms": 10_000,
            "model_ms": 2_500,
            "tools": {"search": 3_000, "db": 1_000},
        }

    def test_a_policy_takes_the_plans_place_as_a_whole(self) -> None:
        plan = {
            "tools": {"default": "deny", "rules": [{"pattern": "Slack.*", "verdict": "allow"}]},
            "routing": ROUTING,
        }

        assert compile_ruleset(sources(plan=plan))["tools"] == {
            "default": "deny",
            "rules": [{"pattern": "slack.*", "verdict": "allow"}],
            "version": 0,
        }
        own = compile_ruleset(
            sources(plan=plan, tools={"default": "gated"}, routing={"tiers": {"small": ["openai:big"]}})
        )
        assert own["tools"] == {"default": "gated", "rules": [], "version": 3}
        assert own["tiers"] == {"small": ["openai:big"]}
        assert "default_class" not in own

    def test_shadow_and_the_router_switch(self) -> None:
        document = compile_ruleset(
            sources(shadow={"checks": ["money"], "scopes": ["tenant:acme/agent:X"]}, router_switch={"is_on": True})
        )

        assert document == {
            "shadow": {"is_on": False, "checks": ["money"], "scopes": ["tenant:acme/agent:x"]},
            "force_tier": "medium",
        }
        assert compile_ruleset(sources(router_switch={"is_on": False, "tier": "small"})) == {}


MINI = listed("mini", terms=terms(input=15, output=60))
BIG = listed("big", terms=terms(input=250, output=1_000))


@pytest.fixture
def prices(empty_book: None) -> None:
    put_in_force(MINI, BIG, now=datetime.now(UTC))


@pytest.fixture
def plan(database: None) -> Plan:
    return a_plan(
        budgets=[money(5 * USD)],
        limits={"input_tokens_max": 100},
        models=["openai:mini", "openai:big"],
        routing=ROUTING,
    )


@pytest.fixture
def umbrella(plan: Plan, prices: None) -> Iterator[Tenant]:
    with tenant_on(plan) as tenant:
        yield tenant


def ruleset(tenant: Tenant) -> Ruleset | None:
    with in_tenant(tenant.tag):
        return Ruleset.objects.filter(pk=1).first()


def in_force(tenant: Tenant) -> dict[str, Any]:
    found = ruleset(tenant)
    assert found is not None
    document: dict[str, Any] = found.document
    return document


def put(tenant: Tenant, kind: PolicyKind, document: dict[str, Any]) -> None:
    put_policy(
        tag=tenant.tag,
        slug=tenant.slug,
        new=NewPolicy(kind=kind, document=document, reason="because"),
        actor=TEST_ACTOR,
    )


class TestPublish:
    def test_a_tenant_without_plan_and_policies_has_no_ruleset(self, acme: Tenant) -> None:
        assert publish_ruleset(tag=acme.tag, actor=TEST_ACTOR) is False
        assert ruleset(acme) is None

    def test_a_plan_that_only_gives_money_makes_no_ruleset(self, database: None) -> None:
        with tenant_on(a_plan(budgets=[money(5)])) as tenant:
            assert ruleset(tenant) is None

    def test_a_new_tenant_has_the_rules_of_its_plan(self, umbrella: Tenant) -> None:
        document = in_force(umbrella)

        assert document["limits"] == {"input_tokens_max": 100}
        assert document["models"]["openai:mini"]["price"]["input"] == 15

    def test_a_policy_is_in_force_when_it_is_saved(self, umbrella: Tenant) -> None:
        put(umbrella, PolicyKind.LIMITS, {"limits": {"input_tokens_max": 7}})

        assert in_force(umbrella)["limits"] == {"input_tokens_max": 7}

    def test_going_back_puts_the_earlier_one_in_force(self, umbrella: Tenant) -> None:
        put(umbrella, PolicyKind.LIMITS, {"limits": {"input_tokens_max": 7}})
        put(umbrella, PolicyKind.LIMITS, {})
        assert in_force(umbrella)["limits"] == {"input_tokens_max": 100}

        put_policy_back(
            tag=umbrella.tag, slug="umbrella", kind=PolicyKind.LIMITS, version=1, reason="", actor=TEST_ACTOR
        )

        assert in_force(umbrella)["limits"] == {"input_tokens_max": 7}
        with in_tenant(umbrella.tag):
            newest = newest_policy(PolicyKind.LIMITS)
        assert newest is not None
        assert (newest.version, newest.reason) == (3, "Back to version 1.")

    def test_the_same_rules_are_no_new_version(self, umbrella: Tenant) -> None:
        assert publish_ruleset(tag=umbrella.tag, actor=TEST_ACTOR) is False
        found = ruleset(umbrella)
        assert found is not None
        assert found.version == 1

    def test_an_approved_price_is_in_every_tenants_rules(self, umbrella: Tenant) -> None:
        put_in_force(replace(MINI, terms=terms(input=16, output=60)), now=datetime.now(UTC))

        assert in_force(umbrella)["models"]["openai:mini"]["price"]["input"] == 16

    def test_a_contract_and_a_multiplier_are_in_the_rules_of_their_tenant(self, umbrella: Tenant) -> None:
        now = datetime.now(UTC)
        set_multiplier(tag=umbrella.tag, ppm=2_000_000, effective_from=now, actor=OLIVE, now=now)
        assert in_force(umbrella)["models"]["openai:mini"]["price"]["input"] == 30

        contract = NewPrice(
            provider="openai",
            model="mini",
            rates={"standard": {"input": 7, "output": 9}},
            tag=umbrella.tag,
            effective_from=None,
        )
        set_price(contract, actor=OLIVE, now=datetime.now(UTC))
        assert in_force(umbrella)["models"]["openai:mini"]["price"]["input"] == 7

    def test_a_price_whose_time_has_come_is_in_the_rules_after_the_next_tick(self, umbrella: Tenant) -> None:
        soon = datetime.now(UTC) + timedelta(seconds=1)
        platform = NewPrice(
            provider="openai", model="mini", rates={"standard": {"input": 8, "output": 9}}, effective_from=soon
        )
        set_price(platform, actor=OLIVE, now=datetime.now(UTC))
        assert in_force(umbrella)["models"]["openai:mini"]["price"]["input"] == 15

        sleep(1.1)
        follow_prices()

        assert in_force(umbrella)["models"]["openai:mini"]["price"]["input"] == 8

    def test_a_sweep_changes_nothing_that_is_right(self, umbrella: Tenant) -> None:
        before = ruleset(umbrella)
        follow_rules()
        after = ruleset(umbrella)

        assert before is not None
        assert after is not None
        assert after.version == before.version

    def test_policies_saved_at_once_are_all_in_the_rules(self, umbrella: Tenant) -> None:
        kinds: dict[PolicyKind, dict[str, Any]] = {
            PolicyKind.LIMITS: {"limits": {"input_tokens_max": 7}},
            PolicyKind.TOOLS: {"default": "deny"},
            PolicyKind.SHADOW: {"is_on": True},
        }
        barrier = threading.Barrier(len(kinds))

        def work(kind: PolicyKind) -> None:
            try:
                barrier.wait()
                put(umbrella, kind, kinds[kind])
            finally:
                connections.close_all()

        threads = [threading.Thread(target=work, args=(kind,)) for kind in kinds]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        document = in_force(umbrella)
        assert document["limits"] == {"input_tokens_max": 7}
        assert (document["tools"]["default"], document["shadow"]["is_on"]) == ("deny", True)

    def test_rules_that_end_are_gone(self, acme: Tenant) -> None:
        put(acme, PolicyKind.TOOLS, {"default": "deny"})
        put(acme, PolicyKind.TOOLS, {})

        assert in_force(acme) == {}

    def test_one_tenants_rules_are_not_anothers(self, acme: Tenant, initech: Tenant) -> None:
        put(acme, PolicyKind.TOOLS, {"default": "deny"})

        assert ruleset(initech) is None


def routing(**parts: Any) -> dict[str, Any]:
    return ROUTING | parts


class TestBadInput:
    @pytest.mark.parametrize(
        ("kind", "document", "field", "words"),
        [
            ("routing", routing(tiers={"small": ["openai:nope"]}), "tiers.small[0]", "a model without a price."),
            ("routing", routing(models={"openai:nope": {}}), "models[...]", "without a price"),
            ("routing", routing(default_class="none"), "default_class", "no class of this policy"),
            ("routing", {k: v for k, v in ROUTING.items() if k != "default_class"}, "default_class", "is missing"),
            (
                "routing",
                routing(classes={"chat": {"tier": "medium"}}),
                "classes.chat.tier",
                "is medium, and that tier has no models",
            ),
            (
                "routing",
                routing(tiers={"small": ["openai:mini"] * 2, "large": ["openai:big"]}),
                "tiers.small[1]",
                "already",
            ),
            (
                "routing",
                routing(fallbacks={"small": "large", "large": "small"}),
                "fallbacks.small",
                "circle: small → large → small",
            ),
            ("routing", routing(fallbacks={"large": "large"}), "fallbacks.large", "circle: large → large"),
            ("routing", routing(fallbacks={"large": "medium"}), "fallbacks.large", "medium, which has no models"),
            (
                "routing",
                routing(classes={"chat": {"tier": "small", "timeouts": TIMEOUTS | {"margin_ms": 1_600}}}),
                "classes.chat.timeouts",
                "0.5 s overhead + 2 × 2.5 s model + 3.0 s slowest parallel tool + 1.6 s margin = 10.1 s",
            ),
            ("routing", routing(low_water={"enter_ppm": 250_001}), "low_water.leave_ppm", "not be below enter_ppm"),
            (
                "routing",
                routing(low_water={"forecast_leave_ppm": 1_000_001}),
                "low_water.forecast_leave_ppm",
                "not be above",
            ),
            ("limits", {"models": ["openai:mini"]}, "models", "would leave the class deep without any model"),
        ],
    )
    def test_is_refused_when_saved_with_the_reason(
        self, umbrella: Tenant, kind: str, document: dict[str, Any], field: str, words: str
    ) -> None:
        before = in_force(umbrella)
        with pytest.raises(InvalidPolicy) as caught:
            put(umbrella, PolicyKind(kind), document)

        assert caught.value.field == field
        assert words in str(caught.value)
        assert in_force(umbrella) == before
        with in_tenant(umbrella.tag):
            assert newest_policy(PolicyKind(kind)) is None

    def test_a_model_outside_the_plan_is_refused_until_an_override_allows_it(self, umbrella: Tenant) -> None:
        put_in_force(MINI, BIG, listed("o3"), now=datetime.now(UTC))
        document = routing(tiers={"small": ["openai:mini"], "large": ["openai:o3"]})
        with pytest.raises(InvalidPolicy, match=r"a model that plan .* v1 does not allow"):
            put(umbrella, PolicyKind.ROUTING, document)

        put(umbrella, PolicyKind.LIMITS, {"models": ["openai:*"]})
        put(umbrella, PolicyKind.ROUTING, document)

        assert in_force(umbrella)["tiers"]["large"] == ["openai:o3"]

    @pytest.mark.parametrize(
        "document", [ROUTING, routing(classes={"c": {"tier": "small", "timeouts": TIMEOUTS}}, default_class="c")]
    )
    def test_what_fits_exactly_is_saved(self, umbrella: Tenant, document: dict[str, Any]) -> None:
        put(umbrella, PolicyKind.ROUTING, document)

        assert in_force(umbrella)["default_class"] == document["default_class"]

    def test_a_saved_version_is_what_was_sent(self, umbrella: Tenant) -> None:
        with in_tenant(umbrella.tag):
            save_policy(NewPolicy(kind=PolicyKind.ROUTING, document=ROUTING, reason=""), actor=TEST_ACTOR)
            newest = newest_policy(PolicyKind.ROUTING)
        assert newest is not None
        assert newest.document == ROUTING
