"""Which tenants an operator should look at first, from the worker's notes in the shared schema."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Case, F, IntegerField, Q, Value, When

from kernel.tenancy import in_public
from tenants.models import Tenant, TenantStatus
from tenants.selectors.filtering import stopped_now
from tenants.selectors.standing import StandingLine, line_with_standing

#: So many times its 7-day mean is a spend that somebody must have seen.
RUNAWAY_TIMES: Final = 5
#: A budget that lasts no longer than this is nearly exhausted.
EXHAUSTING_WITHIN: Final = timedelta(hours=1)

#: Open alerts of this severity are seen on the overview: `budgets.models.choices.Severity`.
WARNING: Final = 2


@dataclass(frozen=True, slots=True)
class Attention:
    """The first of them, and how many there are in all."""

    lines: tuple[StandingLine, ...]
    count: int


def needing_attention(*, now: datetime, limit: int) -> Attention:
    """Runaways first, then those that run out soon, those with open alerts that warn, those stopped. Two queries."""
    is_runaway = Q(standing__mean_hour_7d__gt=0, standing__spent_hour__gte=F("standing__mean_hour_7d") * RUNAWAY_TIMES)
    is_exhausting = Q(standing__exhausts_at__lte=now + EXHAUSTING_WITHIN, standing__exhausts_at__gt=now)
    is_warned = Q(standing__alert_severity__gte=WARNING)
    is_stopped = stopped_now(now)
    order = Case(
        When(is_stopped, then=Value(3)),
        When(is_runaway, then=Value(0)),
        When(is_exhausting, then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    )
    with in_public():
        found = Tenant.objects.select_related("plan", "standing").exclude(status=TenantStatus.CLOSED)
        found = found.filter(is_runaway | is_exhausting | is_warned | is_stopped).annotate(order=order)
        severity = F("standing__alert_severity").desc(nulls_last=True)
        first = list(
            found.order_by("order", severity, F("standing__spent_hour").desc(nulls_last=True), "slug")[: limit + 1]
        )
        count = found.count() if len(first) > limit else len(first)
    return Attention(lines=tuple(line_with_standing(tenant, now=now) for tenant in first[:limit]), count=count)
