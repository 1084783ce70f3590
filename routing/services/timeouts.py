"""A tier's timeouts, and whether they fit what it promises."""

from dataclasses import dataclass

from babel import Locale
from babel.numbers import format_decimal

_LOCALE = Locale.parse("en_US")


class TimeoutsDoNotFit(Exception):
    """The parts take longer together than the tier promises; the text shows the sum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TierTimeouts:
    """Milliseconds. Tools of one step run in parallel, so that the slowest of them counts, and once."""

    overhead_ms: int
    model_ms: int
    model_calls: int
    slowest_tool_ms: int
    margin_ms: int
    sla_ms: int

    @property
    def total_ms(self) -> int:
        return self.overhead_ms + self.model_calls * self.model_ms + self.slowest_tool_ms + self.margin_ms

    @property
    def sum_text(self) -> str:
        """The sum as a person checks it: `0.5 s overhead + 2 × 2.5 s model + … = 10.0 s`."""
        return (
            f"{seconds_text(self.overhead_ms)} overhead + {self.model_calls} × {seconds_text(self.model_ms)} model"
            f" + {seconds_text(self.slowest_tool_ms)} slowest parallel tool + {seconds_text(self.margin_ms)} margin"
            f" = {seconds_text(self.total_ms)}"
        )


def check_timeouts(timeouts: TierTimeouts, *, of: str) -> None:
    """Refuse timeouts that are longer together than the SLA; exactly as long fits. Raises `TimeoutsDoNotFit`."""
    if timeouts.total_ms > timeouts.sla_ms:
        raise TimeoutsDoNotFit(f"The timeouts of {of} do not fit {seconds_text(timeouts.sla_ms)}: {timeouts.sum_text}.")


def seconds_text(milliseconds: int) -> str:
    """`10.0 s`; more decimals only where there are any."""
    whole, rest = divmod(milliseconds, 1000)
    decimals = f"{rest:03}".rstrip("0") or "0"
    return f"{format_decimal(whole, locale=_LOCALE)}.{decimals} s"
