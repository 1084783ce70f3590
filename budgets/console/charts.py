"""Time series for pages: what a script draws, and the table that says the same without it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal

from kernel.money import Unit
from kernel.pages.amounts import MICROCENTS_PER_USD, Display, unit_name

#: Lines with a colour of their own; the last is for all others together.
SERIES_MAX: Final = 6
OTHERS: Final = "all others"


@dataclass(frozen=True, slots=True)
class Series:
    """`amounts` has one amount for each time. `number` chooses the colour."""

    number: int
    name: str
    amounts: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A drawing and its table. `starts_at` are the times, `rows` the amounts at each of them in the order of `series`.

    `stack`: parts of a whole, one on top of the other, whose sum is `totals`. `lines`: each for itself, without a sum.
    """

    id: str
    title: str
    kind: Literal["stack", "lines"]
    unit: str
    series: tuple[Series, ...]
    starts_at: tuple[datetime, ...]
    time_zone: str
    is_by_day: bool
    display: Display | None = None

    @property
    def points_id(self) -> str:
        """The id of the element that holds what the script draws."""
        return f"{self.id}-points"

    @property
    def rows(self) -> list[tuple[datetime, list[int], int]]:
        amounts = [[each.amounts[place] for each in self.series] for place in range(len(self.starts_at))]
        return [(at, row, sum(row)) for at, row in zip(self.starts_at, amounts, strict=True)]

    @property
    def has_totals(self) -> bool:
        return self.kind == "stack" and len(self.series) > 1

    @property
    def payload(self) -> Mapping[str, Any]:
        """What the script draws. Rounded: nobody reads micro-cents from a line."""
        is_money = self.unit == Unit.USD_MICROCENTS
        currency = (self.display.currency if self.display else "USD") if is_money else ""
        return {
            "kind": self.kind,
            "currency": currency,
            "locale": "en-IN" if currency == "INR" else "en-US",
            "unit": unit_name(self.unit),
            "timeZone": self.time_zone,
            "isByDay": self.is_by_day,
            "times": [int(at.timestamp()) for at in self.starts_at],
            "series": [
                {"number": each.number, "name": each.name, "values": [self._drawn(amount) for amount in each.amounts]}
                for each in self.series
            ],
        }

    def _drawn(self, amount: int) -> float:
        if self.unit != Unit.USD_MICROCENTS:
            return float(amount)
        usd = Decimal(amount) / MICROCENTS_PER_USD
        rate = Decimal(self.display.micros_per_usd).scaleb(-6) if self.display else Decimal(1)
        return float(usd * rate)


def parted(amounts: Mapping[str, Sequence[int]]) -> tuple[Series, ...]:
    """The largest names, each a series, and all others together in the last one."""
    ordered = sorted(amounts, key=lambda name: (-sum(amounts[name]), name))
    if len(ordered) <= SERIES_MAX:
        return tuple(Series(number, name, tuple(amounts[name])) for number, name in enumerate(ordered, start=1))
    kept, rest = ordered[: SERIES_MAX - 1], ordered[SERIES_MAX - 1 :]
    others = tuple(sum(column) for column in zip(*(amounts[name] for name in rest), strict=True))
    series = [Series(number, name, tuple(amounts[name])) for number, name in enumerate(kept, start=1)]
    return (*series, Series(SERIES_MAX, OTHERS, others))
