"""The planner: figures to the last digit, from tables that say enough, and a refusal for those that do not."""

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from routing.services.plan_file import FILE_BYTES_MAX, read_plan_file
from routing.services.plan_file_numbers import InvalidPlan
from routing.services.planner import CannotPlan, Plan, make_plan
from routing.services.timeouts import TierTimeouts, TimeoutsDoNotFit, check_timeouts

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def planner(*arguments: str) -> str:
    said = StringIO()
    call_command("planner", *arguments, stdout=said)
    return said.getvalue()


def document(*classes: str, head: str = "", tables: str = "") -> bytes:
    currency = "[currency]\ndated = 2026-11-20\n"
    bodies = "".join(f"\n[[classes]]\n{body}\n" for body in classes)
    return f'agent = "a"\nturns_a_day = 1000\n{head}\n{currency}\n{tables}\n{bodies}'.encode()


def plan(*classes: str, head: str = "", tables: str = "") -> Plan:
    return make_plan(read_plan_file(document(*classes, head=head, tables=tables)))


def line(name: str = "a", share: str = "percent = 100", tier: str = "small", more: str = "cost = { small = 1 }") -> str:
    return f'name = "{name}"\n{share}\ntier = "{tier}"\n{more}'


PRICED = """
[tiers.small]
price = { input_usd = 1.00, output_usd = 4.00 }
[tiers.medium]
price = { input_usd = 2.00, output_usd = 8.00 }
[tiers.large]
price = { input_usd = 10.00, output_usd = 40.00 }
"""


class TestSupportAgent:
    """70 / 25 / 5 % at 0.05 / 0.10 / 1.50."""

    def test_costs_what_the_figures_say(self) -> None:
        said = planner(str(EXAMPLES / "support-agent.toml"))

        assert "Expected                    ₹0.135      ₹6,750  ₹202,500" in said
        assert "Ceiling ₹400,000 a month: inside, ₹197,500 left." in said
        assert "1 USD = ₹88.50 (20 Nov 2026)" in said

    def test_costs_the_same_for_programs(self) -> None:
        figures = json.loads(planner(str(EXAMPLES / "support-agent.toml"), "--json"))

        expected = figures["expected"]
        assert [expected[span]["amount"] for span in ("turn", "day", "month")] == ["0.135", "6750", "202500"]
        assert figures["ceiling"]["month"]["amount"] == "400000"
        assert figures["ceiling"]["is_inside"] is True
        # 0.135 rupees at 88.50 a dollar, rounded half to even.
        assert expected["turn"]["usd_microcents"] == 152_542

    def test_may_leave_the_ceiling_in_the_worst_case_and_says_so(self) -> None:
        figures = json.loads(planner(str(EXAMPLES / "support-agent.toml"), "--json"))

        assert figures["worst_case"]["month"]["amount"] == "652359"
        assert figures["ceiling"]["worst_case_is_inside"] is False


class TestCodingAgent:
    """64 / 28 / 8 turns at 0.04 / 0.10 / 1.50."""

    def test_costs_17_36_instead_of_48_80(self) -> None:
        said = planner(str(EXAMPLES / "coding-agent.toml"))

        assert "$17.36" in said
        assert "$48.80" in said
        assert "Saved against all on large: 64 %." in said

    def test_shares_are_exact_in_turns(self) -> None:
        thirds = plan(*(line(name, "turns = 1", more="cost = { small = 0.10 }") for name in "abc"))

        assert thirds.expected.turn == Fraction(1, 10)
        assert sum(each.share for each in thirds.classes) == 1


class TestCeiling:
    @pytest.mark.parametrize(("ceiling", "inside"), [("30000", True), ("29999.99", False), ("30000.01", True)])
    def test_is_inside_up_to_the_last_digit(self, ceiling: str, inside: bool) -> None:
        assert plan(line(), head=f"ceiling_a_month = {ceiling}").is_inside is inside

    def test_without_one_has_no_verdict(self) -> None:
        assert plan(line()).is_inside is None


class TestPromotedTurns:
    def test_pay_for_both_attempts(self) -> None:
        promoted = plan(
            line(more='cost = { small = 1, large = 10 }\npromotions = [{ to = "large", percent = 20 }]'),
        )

        assert promoted.expected.turn == 1 + Fraction(20, 100) * 10
        assert promoted.classes[0].route == ("small", "large")

    def test_of_a_cascade_multiply(self) -> None:
        cascade = plan(
            line(
                more="cost = { small = 1, medium = 4, large = 10 }\n"
                'promotions = [{ to = "medium", percent = 50 }, { to = "large", percent = 10 }]'
            ),
        )

        assert cascade.expected.turn == 1 + Fraction(1, 2) * 4 + Fraction(1, 20) * 10

    def test_pay_for_the_tools_of_both(self) -> None:
        more = (
            "cost = { small = 1, large = 10 }\ntools.crm = { calls = 2, calls_max = 3 }\n"
            'promotions = [{ to = "large", percent = 100 }]'
        )

        assert plan(line(more=more), tables="[tool_prices]\ncrm = 0.5").expected.turn == (1 + 1) + (10 + 1)

    @pytest.mark.parametrize("to", [("small",), ("medium", "medium"), ("large", "medium")])
    def test_never_go_down_or_round(self, to: tuple[str, ...]) -> None:
        steps = ", ".join(f'{{ to = "{tier}", percent = 10 }}' for tier in to)

        with pytest.raises(InvalidPlan, match="leads to a higher tier"):
            plan(line(more=f"cost = {{ small = 1, medium = 1, large = 1 }}\npromotions = [{steps}]"))

    def test_are_at_most_all_turns(self) -> None:
        with pytest.raises(InvalidPlan, match="at most 100"):
            plan(line(more='cost = { small = 1, large = 1 }\npromotions = [{ to = "large", percent = 100.1 }]'))


class TestWorstCase:
    CAPS = "caps = { iterations = 3, input_tokens = 1000, output_tokens = 500 }"

    def test_reaches_every_cap(self) -> None:
        capped = plan(line(more=f"cost = {{ small = 0.001 }}\n{self.CAPS}"), tables=PRICED)

        assert capped.worst is not None
        assert capped.worst.turn == 3 * (Fraction(1000 * 1, 10**6) + Fraction(500 * 4, 10**6))

    def test_takes_every_promotion_and_calls_every_tool(self) -> None:
        more = (
            "cost = { small = 0.001, large = 0.01 }\n"
            f"{self.CAPS}\ntools.crm = {{ calls = 0, calls_max = 2 }}\n"
            'promotions = [{ to = "large", percent = 1 }]'
        )
        capped = plan(line(more=more), tables=f"{PRICED}\n[tool_prices]\ncrm = 0.25")

        assert capped.worst is not None
        small = 3 * Fraction(1000 * 1 + 500 * 4, 10**6)
        assert capped.worst.turn == small + 10 * small + 2 * 2 * Fraction(1, 4)

    def test_is_not_known_without_caps(self) -> None:
        assert plan(line(), tables=PRICED).worst is None

    def test_below_what_is_expected_is_pointed_out(self) -> None:
        assert plan(line(more=f"cost = {{ small = 9 }}\n{self.CAPS}"), tables=PRICED).classes[0].warnings == (
            "expected to cost more than its caps allow",
        )


class TestPricedByTokens:
    WORK = "expected = { iterations = 2, input_tokens = 1000, output_tokens = 100 }"

    def test_costs_what_the_tier_takes(self) -> None:
        priced = plan(line(more=self.WORK), tables=PRICED)

        assert priced.expected.turn == 2 * Fraction(1000 * 1 + 100 * 4, 10**6)
        assert priced.all_large is not None
        assert priced.saved == Fraction(9, 10)

    def test_without_a_price_is_refused_by_name(self) -> None:
        with pytest.raises(CannotPlan, match="The class a needs its cost on the tier small"):
            plan(line(more=self.WORK))

    def test_is_shown_at_the_dated_rate(self) -> None:
        file = document(line(more=self.WORK), tables=PRICED).replace(
            b"[currency]", b'[currency]\ncode = "EUR"\nper_usd = 0.5'
        )

        assert make_plan(read_plan_file(file)).expected.turn == Fraction(2800, 10**6) / 2


class TestTimeouts:
    FITTING = TierTimeouts(
        overhead_ms=500, model_ms=2500, model_calls=2, slowest_tool_ms=3000, margin_ms=1500, sla_ms=10_000
    )

    def test_of_ten_seconds_fit_ten_seconds(self) -> None:
        check_timeouts(self.FITTING, of="the tier medium")

        assert self.FITTING.total_ms == 10_000

    @pytest.mark.parametrize("part", ["overhead_ms", "slowest_tool_ms", "margin_ms"])
    def test_of_a_tenth_more_are_refused_with_the_sum(self, part: str) -> None:
        longer = replace(self.FITTING, **{part: getattr(self.FITTING, part) + 100})

        with pytest.raises(TimeoutsDoNotFit, match=r"\+ .* margin = 10\.1 s"):
            check_timeouts(longer, of="the tier medium")

    def test_of_a_file_are_refused_when_read(self) -> None:
        timeouts = (
            "[tiers.medium]\ntimeouts = { overhead = 0.5, model = 2.5, model_calls = 2,"
            " tools = { crm = 3.0, orders = 1.0 }, margin = 1.6, sla = 10.0 }"
        )

        with pytest.raises(TimeoutsDoNotFit) as refusal:
            plan(line(), tables=timeouts)

        assert str(refusal.value) == (
            "The timeouts of the tier medium do not fit 10.0 s: 0.5 s overhead + 2 × 2.5 s model"
            " + 3.0 s slowest parallel tool + 1.6 s margin = 10.1 s."
        )

    def test_of_every_tier_of_a_cascade_add_up(self) -> None:
        said = planner(str(EXAMPLES / "research-agent.toml"))

        assert "65.0 s" in said
        assert "report: may take longer than its time cap." in said


class TestFile:
    """What is no budget table is refused with the place and what to mend."""

    @pytest.mark.parametrize(
        ("classes", "why"),
        [
            ([line(share="percent = 99.9")], "they make 99.9"),
            ([line(share="percent = -1"), line("b", "percent = 101")], "from 0 to"),
            ([line(share="percent = nan")], "must be a number from 0"),
            ([line(share="percent = inf")], "must be a number from 0"),
            ([line(share="percent = 1e99999")], "must be a number from 0"),
            ([line(share="percent = 1e-99999")], "at most 12 decimals"),
            ([line(share="turns = 0")], "percent, or every class its turns"),
            ([line(share="turns = 1"), line("b")], "percent, or every class its turns"),
            ([line(), line()], "same name|make 100"),
            ([line(tier="huge")], "must be one of small, medium, large"),
            ([line(more="")], "needs its cost"),
            ([line(more="cost = { small = 1 }\nprice = 1")], "remove it"),
            ([line(more="cost = { small = 1 }\ntools.crm = { calls = 1, calls_max = 1 }")], "crm has no price"),
            ([], "classes is missing"),
        ],
    )
    def test_is_refused(self, classes: list[str], why: str) -> None:
        with pytest.raises((InvalidPlan, CannotPlan), match=why):
            plan(*classes)

    @pytest.mark.parametrize("raw", [b"\xff", b"agent = ", b"=" * 10, b"a = [" * 5000, b"#" * (FILE_BYTES_MAX + 1)])
    def test_that_is_no_toml_is_refused(self, raw: bytes) -> None:
        with pytest.raises(InvalidPlan):
            read_plan_file(raw)

    def test_of_the_largest_size_is_read(self) -> None:
        raw = document(line())

        assert read_plan_file(raw + b"#" * (FILE_BYTES_MAX - len(raw))).agent == "a"


class TestCommand:
    @pytest.mark.parametrize(
        "spoil", [lambda text: text.replace("= 70", "= 71"), lambda text: text.replace("margin = 1.5", "margin = 1.6")]
    )
    def test_says_why_a_table_is_refused(self, spoil: Callable[[str], str], tmp_path: Path) -> None:
        file = tmp_path / "table.toml"
        file.write_text(spoil((EXAMPLES / "support-agent.toml").read_text()))

        with pytest.raises(CommandError, match=r"make 100|do not fit"):
            planner(str(file))

    def test_says_that_a_file_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(CommandError, match="cannot be read"):
            planner(str(tmp_path / "none.toml"))

    @pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.name)
    def test_plans_every_example(self, file: Path) -> None:
        figures: dict[str, Any] = json.loads(planner(str(file), "--json"))

        assert figures["agent"] in planner(str(file))
