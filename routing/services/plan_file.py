"""A budget table as a TOML file: read, checked, and turned into a `BudgetTable`."""

import tomllib
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Final

import msgspec

from budgets.services.routing_policy import TierName
from kernel.http.explain import explain
from routing.services.budget_table import (
    BudgetTable,
    Currency,
    Promotion,
    Tier,
    TokenPrice,
    ToolUse,
    TrafficClass,
    Work,
)
from routing.services.plan_file_numbers import InvalidPlan, amount, microcents, milliseconds, optional, shown
from routing.services.plan_file_shape import (
    ClassFile,
    PlanFile,
    PriceFile,
    TierFile,
    TimeoutsFile,
    ToolUseFile,
    WorkFile,
)
from routing.services.tiers import is_above
from routing.services.timeouts import TierTimeouts, check_timeouts

FILE_BYTES_MAX: Final = 256 * 1024


def read_plan_file(raw: bytes) -> BudgetTable:
    """The table in `raw`. Raises `InvalidPlan`, and `TimeoutsDoNotFit` for a tier that cannot keep its SLA."""
    if len(raw) > FILE_BYTES_MAX:
        raise InvalidPlan(f"The file is larger than {FILE_BYTES_MAX // 1024} KiB.")
    try:
        # Numbers with a point stay what was written: 0.1 is a tenth.
        document = tomllib.loads(raw.decode(), parse_float=Decimal)
        plan = msgspec.convert(document, PlanFile)
    except (UnicodeDecodeError, RecursionError):
        raise InvalidPlan("The file is not TOML in UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise InvalidPlan(f"The file is not TOML: {error}.") from None
    except msgspec.ValidationError as error:
        raise InvalidPlan(explain(error, PlanFile).message) from None
    return _table(plan)


def _table(plan: PlanFile) -> BudgetTable:
    per_usd = amount(plan.currency.per_usd, "currency.per_usd")
    if not per_usd:
        raise InvalidPlan("currency.per_usd must be above zero.")
    tool_prices = {name: amount(price, f"tool_prices.{name}") for name, price in plan.tool_prices.items()}
    names = [traffic.name for traffic in plan.classes]
    if len(set(names)) < len(names):
        raise InvalidPlan("Two classes have the same name.")
    return BudgetTable(
        agent=plan.agent,
        turns_a_day=plan.turns_a_day,
        currency=Currency(code=plan.currency.code, per_usd=plan.currency.per_usd, dated=plan.currency.dated),
        ceiling_a_month=optional(plan.ceiling_a_month, "ceiling_a_month"),
        tiers={name: _tier(name, tier) for name, tier in plan.tiers.items()},
        classes=tuple(
            _traffic(traffic, share, tool_prices)
            for traffic, share in zip(plan.classes, _shares(plan.classes), strict=True)
        ),
    )


def _shares(classes: list[ClassFile]) -> list[Fraction]:
    """The classes' shares of all turns, given in percent by all of them or in turns by all of them."""
    turns = [traffic.turns for traffic in classes if traffic.turns is not None]
    percents = [
        amount(traffic.percent, f"percent of {traffic.name}") for traffic in classes if traffic.percent is not None
    ]
    turns_together, percents_together = sum(turns), sum(percents, Fraction(0))
    if len(turns) == len(classes) and not percents and turns_together:
        return [Fraction(count, turns_together) for count in turns]
    if len(percents) == len(classes) and not turns:
        if percents_together != 100:
            raise InvalidPlan(f"The percents of the classes must make 100; they make {shown(percents_together)}.")
        return [percent / 100 for percent in percents]
    raise InvalidPlan("Give every class its percent, or every class its turns.")


def _traffic(traffic: ClassFile, share: Fraction, tool_prices: Mapping[str, Fraction]) -> TrafficClass:
    at = f"classes.{traffic.name}"
    route = (traffic.tier, *(promotion.to for promotion in traffic.promotions))
    if not all(is_above(higher, lower) for lower, higher in pairwise(route)):
        raise InvalidPlan(f"{at}: a promotion leads to a higher tier than the one before; this is {' → '.join(route)}.")
    if unpriced := [name for name in traffic.tools if name not in tool_prices]:
        raise InvalidPlan(f"{at}: the tool {unpriced[0]} has no price in tool_prices; 0 says that it is free.")
    p95_cap_ms = None if traffic.p95_seconds is None else milliseconds(traffic.p95_seconds, f"{at}.p95_seconds")
    return TrafficClass(
        name=traffic.name,
        share=share,
        tier=traffic.tier,
        costs={tier: amount(cost, f"{at}.cost.{tier}") for tier, cost in traffic.cost.items()},
        expected=_work(traffic.expected),
        caps=_work(traffic.caps),
        tools=tuple(_tool(name, use, tool_prices[name], at) for name, use in traffic.tools.items()),
        promotions=tuple(
            Promotion(to=promotion.to, share=_share_of_a_stage(promotion.percent, at))
            for promotion in traffic.promotions
        ),
        p95_cap_ms=p95_cap_ms,
        cost_target=optional(traffic.cost_target, f"{at}.cost_target"),
    )


def _tool(name: str, use: ToolUseFile, price: Fraction, at: str) -> ToolUse:
    calls = amount(use.calls, f"{at}.tools.{name}.calls")
    if calls > use.calls_max:
        raise InvalidPlan(f"{at}.tools.{name}: calls must be at most calls_max.")
    return ToolUse(name=name, price=price, calls=calls, calls_max=use.calls_max)


def _share_of_a_stage(percent: Decimal, at: str) -> Fraction:
    share = amount(percent, f"{at}.promotions.percent") / 100
    if share > 1:
        raise InvalidPlan(f"{at}.promotions: the percent of a promotion must be at most 100.")
    return share


def _work(work: WorkFile | None) -> Work | None:
    if work is None:
        return None
    return Work(iterations=work.iterations, input_tokens=work.input_tokens, output_tokens=work.output_tokens)


def _tier(name: TierName, tier: TierFile) -> Tier:
    timeouts = None if tier.timeouts is None else _timeouts(tier.timeouts, f"tiers.{name}.timeouts")
    if timeouts is not None:
        check_timeouts(timeouts, of=f"the tier {name}")
    return Tier(price=None if tier.price is None else _price(tier.price, f"tiers.{name}.price"), timeouts=timeouts)


def _price(price: PriceFile, at: str) -> TokenPrice:
    return TokenPrice(
        input=microcents(price.input_usd, f"{at}.input_usd"), output=microcents(price.output_usd, f"{at}.output_usd")
    )


def _timeouts(timeouts: TimeoutsFile, at: str) -> TierTimeouts:
    tools = [milliseconds(seconds, f"{at}.tools.{name}") for name, seconds in timeouts.tools.items()]
    return TierTimeouts(
        overhead_ms=milliseconds(timeouts.overhead, f"{at}.overhead"),
        model_ms=milliseconds(timeouts.model, f"{at}.model"),
        model_calls=timeouts.model_calls,
        slowest_tool_ms=max(tools, default=0),
        margin_ms=milliseconds(timeouts.margin, f"{at}.margin"),
        sla_ms=milliseconds(timeouts.sla, f"{at}.sla"),
    )
