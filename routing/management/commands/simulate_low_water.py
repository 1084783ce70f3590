"""``manage.py simulate_low_water``: a month on a budget that is too small, without the low-water mark and with it."""

import json
from dataclasses import asdict
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandParser

from budgets.services.rule_parts import Priority
from routing.services.low_water_month import DAYS, Month, Policy, simulate

_NAMES: Final = {
    Policy.WITHOUT: "Without the mark",
    Policy.MARK: "With the mark",
    Policy.FORECAST: "With the mark and the forecast",
}


class Command(BaseCommand):
    help = (
        "Simulate a month of traffic on a budget that covers a good half of it: without the low-water mark, with it,"
        " and with its forecast. The same seed gives the same month. Touches no database."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--seed", type=int, default=1, help="The same seed makes the same traffic.")
        parser.add_argument("--json", action="store_true", dest="as_json", help="The figures for programs.")

    def handle(self, *args: Any, seed: int, as_json: bool, **options: Any) -> None:
        months = [simulate(seed, policy) for policy in Policy]
        if as_json:
            self.stdout.write(json.dumps({"seed": seed, "days": DAYS, "policies": [asdict(each) for each in months]}))
            return
        first = months[0]
        calls, dollars = sum(first.calls.values()), first.allocated / 10**8
        self.stdout.write(f"{DAYS} days, {calls:,} calls, a budget of ${dollars:,.2f}, seed {seed}.")
        for month in months:
            self.stdout.write(f"{_NAMES[month.policy]}: {_fate(month)}; {_served(month)}.")


def _fate(month: Month) -> str:
    if month.died_at_hour is not None:
        return f"the pool dies at hour {month.died_at_hour}"
    switches = f"{month.entered} enter, {month.left} leave"
    return f"the pool lasts, {_percent(month.allocated - month.spent, month.allocated)} left ({switches})"


def _served(month: Month) -> str:
    parts = [
        f"{priority} {_percent(month.served.get(priority, 0), month.calls[priority])} served"
        f" ({_percent(month.on_large.get(priority, 0), month.calls[priority])} on the large model)"
        for priority in reversed(Priority)
    ]
    return ", ".join(parts)


def _percent(part: int, whole: int) -> str:
    """Rounded down: what is not all never reads as 100 %."""
    return f"{part * 100 // whole} %"
