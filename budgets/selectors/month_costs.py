"""What several tenants were charged in a calendar month of their own time zones, from their rollups. For operators."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from django.db import connections
from psycopg import sql

from budgets.selectors.statements import Month
from kernel.ids import Tag, schema_name
from kernel.money import Unit
from kernel.tenancy import CELL, across_tenants
from tenants.selectors.directory import TenantLine

#: Schemas that one query reads.
TENANTS_MAX: Final = 50

# One arm a tenant. No text is put into it: a schema is named as an identifier, everything else is a parameter.
_ARM: Final = sql.SQL(
    "SELECT %s::text AS tag, sum(calls), sum(charged), sum(uncovered), sum(corrected), sum(priced_calls),"
    " sum(priced_charged), sum(provider_cost) FROM {}.usage_day"
    " WHERE day >= %s AND day < %s AND unit = %s HAVING count(*) > 0"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthCost:
    """USD_MICROCENTS. `priced_charged` is what was billed for the calls whose `provider_cost` is known."""

    calls: int = 0
    charged: int = 0
    uncovered: int = 0
    corrected: int = 0
    priced_calls: int = 0
    priced_charged: int = 0
    provider_cost: int = 0

    @property
    def margin(self) -> int:
        return self.priced_charged - self.provider_cost


def month_costs(tenants: Sequence[TenantLine], *, first: date) -> dict[Tag, MonthCost]:
    """The month that begins with `first`, by tenant; those that spent nothing are left out. One query, for few tenants.

    Raises `ValueError` for more than `TENANTS_MAX`.
    """
    if len(tenants) > TENANTS_MAX:
        raise ValueError(f"Not more than {TENANTS_MAX} tenants at once.")
    with_books = [tenant for tenant in tenants if tenant.has_books]
    if not with_books:
        return {}
    arms, parameters = [], []
    for tenant in with_books:
        # The sums of days are by the tenant's own time zone.
        month = Month(first=first, time_zone=tenant.time_zone)
        arms.append(_ARM.format(sql.Identifier(schema_name(tenant.tag))))
        parameters += [tenant.tag, month.first, month.next_first, Unit.USD_MICROCENTS.value]
    with across_tenants(), connections[CELL].cursor() as cursor:
        # Psycopg's own composition, which Django hands on as it is.
        cursor.execute(sql.SQL(" UNION ALL ").join(arms), parameters)  # type: ignore[arg-type]
        return {row[0]: _cost(row[1:]) for row in cursor.fetchall()}


def together(costs: Sequence[MonthCost]) -> MonthCost:
    names = MonthCost.__dataclass_fields__
    return MonthCost(**{name: sum(getattr(cost, name) for cost in costs) for name in names})


def _cost(row: Sequence[Any]) -> MonthCost:
    return MonthCost(**{name: int(value) for name, value in zip(MonthCost.__dataclass_fields__, row, strict=True)})
