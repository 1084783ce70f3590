"""What shadow mode has seen, over the management API: would-be refusals, held against charged, recommended limits."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.keys.api.views import answer
from budgets.api.management.fields import amount
from budgets.api.management.views import TenantView
from budgets.models.choices import Period
from budgets.scopes import read_scope_path
from budgets.selectors.recommended_limits import Limit, PeriodUse, Recommendation, recommended_limits
from budgets.selectors.shadow import HoldRatio, hold_ratios, would_deny
from kernel.http.described import described
from kernel.http.errors import invalid_request
from kernel.http.serialized import AmountFields, Fields, OneOf, Text, UnitName

_TAG: Final = "shadow mode"
_NOT_FOUND: Final = {404: "NOT_FOUND: no such tenant."}
_DAYS_DEFAULT, _DAYS_MAX = 7, 92


class RangeQuery(Fields):
    """Which time, at most 92 days; the last seven days when left out. The end is not included."""

    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)


class WouldDenyFields(Fields):
    """Calls that one scope would have refused for one reason, had it not been in shadow mode."""

    scope = serializers.CharField()
    reason_code = serializers.CharField()
    calls = serializers.IntegerField()
    first_at = serializers.DateTimeField()
    last_at = serializers.DateTimeField()


class HoldRatioFields(Fields):
    """Commits on one budget: what was held for them beside what was charged and what they really cost."""

    scope = serializers.CharField()
    unit = UnitName()
    commits = serializers.IntegerField()
    held = AmountFields()
    charged = AmountFields()
    actual = AmountFields()
    held_to_charged_ppm = serializers.IntegerField(
        allow_null=True, help_text="Held / charged, in parts per million; null where nothing was charged."
    )


class ShadowReportFields(Fields):
    """What would have been refused, the most frequent first, and how well holds foretell charges."""

    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    would_deny = WouldDenyFields(many=True)
    hold_ratios = HoldRatioFields(many=True)
    hold_ratios_since = serializers.DateTimeField(
        help_text="Later than `since` where there was not time to read all of it."
    )


class LimitsQuery(Fields):
    """Which budgets, and by which periods."""

    scope = Text(max_length=1024, required=False, help_text="This scope alone.")
    period = OneOf(
        choices=[Period.DAY.value, Period.WEEK.value, Period.MONTH.value],
        required=False,
        help_text="The budget's own when left out, and the month for one without. A day is compared with the same"
        " weekday of the weeks before.",
    )


class PeriodUseFields(Fields):
    """What was used in one period, with every correction made in it."""

    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    calls = serializers.IntegerField()
    used = serializers.IntegerField(help_text="In the budget's unit; below zero where corrections gave back more.")


class LimitFields(Fields):
    """The 99th percentile by nearest rank (the smallest value that 99 % do not exceed) and, x 1.2, the limit."""

    p99 = AmountFields()
    limit = AmountFields()
    calls_refused = serializers.IntegerField(help_text="Calls of the four periods that it would have refused.")
    calls_refused_now = serializers.IntegerField(help_text="Calls of the running period that it would have refused.")


class RecommendationFields(Fields):
    """For one budget: its last four comparable periods, the newest first, and what they recommend."""

    scope = serializers.CharField()
    unit = UnitName()
    period = OneOf(choices=Period.values)
    granted = AmountFields(help_text="What a period is granted today.")
    periods = PeriodUseFields(many=True)
    now = PeriodUseFields()
    a_period = LimitFields(allow_null=True, help_text="On what a period uses; of four sums p99 is the largest.")
    a_call = LimitFields(allow_null=True, help_text="On what one call costs.")


class RecommendationListFields(Fields):
    recommendations = RecommendationFields(many=True)


class ShadowReport(TenantView):
    @described(
        name="get_shadow_report",
        summary="What shadow mode would have refused, and held against charged",
        tag=_TAG,
        query=RangeQuery,
        answer=ShadowReportFields,
        refusals=_NOT_FOUND,
    )
    def get(self, request: Request, slug: str) -> Response:
        since, until = _range(self.query(RangeQuery), now=datetime.now(UTC))
        with self.reading(slug):
            within = self.within("scope_path")
            refused = would_deny(since=since, until=until, within=within)
            ratios = hold_ratios(since=since, until=until, within=within)
        facts: dict[str, Any] = {
            "since": since,
            "until": until,
            "would_deny": [
                {
                    "scope": each.scope_path,
                    "reason_code": each.reason_code,
                    "calls": each.calls,
                    "first_at": each.first_at,
                    "last_at": each.last_at,
                }
                for each in refused
            ],
            "hold_ratios": [_ratio(each) for each in ratios.ratios],
            "hold_ratios_since": ratios.read_since or since,
        }
        return answer(ShadowReportFields, facts)


class RecommendedLimits(TenantView):
    @described(
        name="list_recommended_limits",
        summary="Limits that the last four comparable periods recommend, by scope",
        tag=_TAG,
        query=LimitsQuery,
        answer=RecommendationListFields,
        refusals=_NOT_FOUND,
    )
    def get(self, request: Request, slug: str) -> Response:
        query = self.query(LimitsQuery)
        with self.reading(slug):
            found = recommended_limits(
                now=datetime.now(UTC),
                period=Period(query["period"]) if "period" in query else None,
                scope_path=read_scope_path(query["scope"], slug=slug).text if "scope" in query else None,
                within=self.within("scope_path"),
            )
        return answer(RecommendationListFields, {"recommendations": [_recommendation(each) for each in found]})


def _range(query: dict[str, Any], *, now: datetime) -> tuple[datetime, datetime]:
    until = query.get("until", now)
    since = query.get("since", until - timedelta(days=_DAYS_DEFAULT))
    if not since < until:
        raise invalid_request("since must be before until.", field="since")
    if until - since > timedelta(days=_DAYS_MAX):
        raise invalid_request(f"since must be at most {_DAYS_MAX} days before until.", field="since")
    return since, until


def _ratio(ratio: HoldRatio) -> dict[str, Any]:
    amounts = {name: amount(ratio.unit, getattr(ratio, name)) for name in ("held", "charged", "actual")}
    names = {"scope": ratio.scope_path, "unit": ratio.unit, "commits": ratio.commits}
    return names | amounts | {"held_to_charged_ppm": ratio.ratio_ppm}


def _recommendation(found: Recommendation) -> dict[str, Any]:
    return {
        "scope": found.scope_path,
        "unit": found.unit,
        "period": found.period,
        "granted": amount(found.unit, found.granted),
        "periods": [_use(each) for each in found.periods],
        "now": _use(found.now),
        "a_period": _limit(found.unit, found.a_period),
        "a_call": _limit(found.unit, found.a_call),
    }


def _use(use: PeriodUse) -> dict[str, Any]:
    return {name: getattr(use, name) for name in ("starts_at", "ends_at", "calls", "used")}


def _limit(unit: str, limit: Limit | None) -> dict[str, Any] | None:
    if limit is None:
        return None
    return {
        "p99": amount(unit, limit.p99),
        "limit": amount(unit, limit.limit),
        "calls_refused": limit.refused,
        "calls_refused_now": limit.refused_now,
    }
