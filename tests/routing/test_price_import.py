"""Importing list prices: proposals only, what differs only, and a person decides."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from genai_prices import Usage as SourceUsage
from genai_prices import calc_price
from genai_prices.data import providers

from kernel.tenancy import in_public
from routing.models import PriceStatus, PriceVersion
from routing.pricing.book import ModelUnknown
from routing.pricing.charge import Rounding, price_usage
from routing.pricing.kinds import Kind
from routing.pricing.price import Price, PriceSource
from routing.pricing.usage import Usage
from routing.selectors.prices import price_book, proposals
from routing.services.price_approval import NotProposed, approve_prices, reject_prices
from routing.services.price_import import Imported, import_prices
from routing.services.price_source import ListedPrice, Source, read_source
from tests.support.prices import OLIVE, USD, last_entry, listed, put_in_force, source, terms

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
JUNE = datetime(2026, 6, 1, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)


@pytest.fixture(scope="module")
def shipped() -> Source:
    return read_source()


def find(*prices: ListedPrice, now: datetime = NOW) -> Imported:
    return import_prices(source(*prices), actor=OLIVE, now=now)


def input_rate(at: datetime, model: str = "gpt-x") -> int | None:
    return price_book(at=at).price(provider="openai", model=model).rate(Kind.INPUT)


def rows(status: PriceStatus) -> list[PriceVersion]:
    with in_public():
        return list(PriceVersion.objects.filter(status=status).order_by("effective"))


class TestShippedSource:
    def test_says_what_it_cannot_say_in_our_lines(self, shipped: Source) -> None:
        priced_now = {(price.provider, price.model) for price in shipped.prices if price.effective_until is None}
        left_out = {(each.provider, each.model) for each in shipped.left_out}

        assert len(priced_now) > 2_000
        assert all(each.why for each in shipped.left_out)
        assert not priced_now & left_out
        assert len(priced_now | left_out) == sum(len(provider.models) for provider in providers)

    def test_has_no_two_prices_of_a_model_at_a_time(self, shipped: Source) -> None:
        by_model: dict[tuple[str, str], list[ListedPrice]] = {}
        for price in shipped.prices:
            by_model.setdefault((price.provider, price.model), []).append(price)

        for prices in by_model.values():
            ends = [price.effective_until for price in prices]
            starts = [price.effective_from for price in prices[1:]]
            assert None not in starts
            assert all(end is not None and end <= start for end, start in zip(ends, starts, strict=False) if start)

    @pytest.mark.parametrize(
        ("provider", "model"),
        [("openai", "gpt-4o-mini"), ("anthropic", "claude-sonnet-4-5"), ("google", "gemini-2.5-pro"), ("openai", "o3")],
    )
    @pytest.mark.parametrize("input_tokens", [1_000, 200_000, 200_001])
    def test_costs_what_the_source_itself_computes(
        self, shipped: Source, provider: str, model: str, input_tokens: int
    ) -> None:
        price = next(
            each
            for each in shipped.prices
            if (each.provider, each.model) == (provider, model)
            and (each.effective_from is None or each.effective_from <= NOW)
            and (each.effective_until is None or each.effective_until > NOW)
        )
        cached, output = input_tokens // 4, 777
        theirs = calc_price(
            SourceUsage(input_tokens=input_tokens, cache_read_tokens=cached, output_tokens=output),
            model,
            provider_id=provider,
            genai_request_timestamp=NOW,
        )
        ours = price_usage(
            Usage(tokens={Kind.INPUT: input_tokens - cached, Kind.CACHED_INPUT: cached, Kind.OUTPUT: output}),
            Price(
                provider=provider,
                model=model,
                source=PriceSource.LIST,
                version="",
                rates=price.terms.rates,
                long_context_from=price.terms.long_context_from,
            ),
            rounding=Rounding.SETTLE,
            requested_at=NOW,
        )

        # Each of three lines is rounded to a whole micro-cent.
        assert abs(ours.total - theirs.total_price * 10**8) <= 1.5


@pytest.mark.usefixtures("empty_book")
class TestImport:
    def test_charges_nothing_until_approved(self) -> None:
        find(listed())

        with pytest.raises(ModelUnknown):
            input_rate(NOW)

    def test_proposes_a_model_that_has_no_price(self) -> None:
        found = find(listed(), listed("gpt-y"))

        assert [each.before for each in found.differences] == [None, None]
        assert {version.model for version in proposals()} == {"gpt-x", "gpt-y"}

    def test_proposes_nothing_twice(self) -> None:
        find(listed())
        again = find(listed(), now=NOW + DAY)

        assert (len(again.differences), again.waiting) == (0, 1)
        assert len(rows(PriceStatus.PROPOSED)) == 1

    def test_finds_nothing_to_change_in_what_is_approved(self) -> None:
        put_in_force(listed(effective_until=JUNE), listed(effective_from=JUNE, terms=terms(input=2 * USD)), now=NOW)

        found = find(listed(effective_until=JUNE), listed(effective_from=JUNE, terms=terms(input=2 * USD)))

        assert (found.differences, found.unchanged) == ((), 2)

    def test_proposes_a_price_from_its_date_on(self) -> None:
        put_in_force(listed(), now=NOW)

        found = find(listed(effective_until=DECEMBER), listed(effective_from=DECEMBER, terms=terms(input=2 * USD)))
        approve_prices([version.pk for version in proposals()], actor=OLIVE, now=NOW)

        assert [each.before for each in found.differences] == [terms()]
        assert (input_rate(DECEMBER - TICK), input_rate(DECEMBER)) == (USD, 2 * USD)

    def test_lets_a_change_without_a_date_count_from_now_on(self) -> None:
        put_in_force(listed(), now=NOW)

        find(listed(terms=terms(input=2 * USD)), now=NOW + DAY)
        approve_prices([version.pk for version in proposals()], actor=OLIVE, now=NOW + 2 * DAY)

        assert (input_rate(NOW + DAY - TICK), input_rate(NOW + DAY)) == (USD, 2 * USD)
        assert find(listed(terms=terms(input=2 * USD)), now=NOW + 3 * DAY).unchanged == 1

    def test_takes_back_what_the_source_no_longer_says(self) -> None:
        find(listed())
        find(listed(terms=terms(input=3 * USD)), now=NOW + DAY)

        assert [version.rates["standard"]["input"] for version in rows(PriceStatus.PROPOSED)] == [3 * USD]
        assert len(rows(PriceStatus.SUPERSEDED)) == 1

    def test_of_one_provider_leaves_the_others_alone(self) -> None:
        both = source(listed(), listed("c-1", provider="anthropic"))
        import_prices(both, actor=OLIVE, now=NOW)

        found = import_prices(both, actor=OLIVE, now=NOW, providers=["Anthropic"])

        assert found.waiting == 1
        assert {version.provider for version in proposals()} == {"openai", "anthropic"}

    def test_names_models_that_are_gone_and_keeps_their_prices(self) -> None:
        put_in_force(listed(), now=NOW)

        assert find(listed("gpt-y")).gone == (("openai", "gpt-x"),)
        assert input_rate(NOW) == USD

    def test_is_written_down(self) -> None:
        find(listed())

        entry = last_entry("price.proposed")
        assert (entry.actor, entry.target) == ("olive", "genai-prices 1.0")


@pytest.mark.usefixtures("empty_book")
class TestDecision:
    def test_to_reject_is_remembered(self) -> None:
        find(listed())
        reject_prices([version.pk for version in proposals()], actor=OLIVE, now=NOW)

        again = find(listed(), now=NOW + DAY)

        assert (again.differences, again.rejected_before) == ((), 1)

    def test_to_reject_a_change_without_a_date_is_remembered(self) -> None:
        put_in_force(listed(), now=NOW)
        find(listed(terms=terms(input=9 * USD)), now=NOW + DAY)
        reject_prices([version.pk for version in proposals()], actor=OLIVE, now=NOW + DAY)

        assert find(listed(terms=terms(input=9 * USD)), now=NOW + 2 * DAY).rejected_before == 1

    def test_is_made_once(self) -> None:
        find(listed())
        ids = [version.pk for version in proposals()]
        approve_prices(ids, actor=OLIVE, now=NOW)

        for decide in (approve_prices, reject_prices):
            with pytest.raises(NotProposed):
                decide(ids, actor=OLIVE, now=NOW)

    def test_on_many_is_for_all_or_none(self) -> None:
        find(listed())

        with pytest.raises(NotProposed):
            approve_prices([*(version.pk for version in proposals()), uuid4()], actor=OLIVE, now=NOW)

        assert len(proposals()) == 1

    def test_is_written_down_with_who_and_why(self) -> None:
        put_in_force(listed(), now=NOW)

        entry = last_entry("price.approved")
        (version,) = rows(PriceStatus.APPROVED)
        assert (entry.actor, entry.reason) == ("olive", "The list of November.")
        assert (version.decided_by, version.decided_at) == ("olive", NOW)

    def test_on_a_stretch_inside_another_leaves_both_its_sides(self) -> None:
        put_in_force(listed(), now=NOW)
        inside = listed(effective_from=JUNE, effective_until=DECEMBER, terms=terms(input=5 * USD))
        find(replace(listed(), effective_until=JUNE), inside)
        approve_prices([version.pk for version in proposals()], actor=OLIVE, now=NOW)

        assert [input_rate(at) for at in (JUNE - TICK, JUNE, DECEMBER - TICK, DECEMBER)] == [
            USD,
            5 * USD,
            5 * USD,
            USD,
        ]

    def test_on_the_same_dates_replaces_what_was_there(self) -> None:
        put_in_force(listed(effective_from=JUNE), now=NOW)
        find(listed(effective_from=JUNE, terms=terms(input=5 * USD)))
        approve_prices([version.pk for version in proposals()], actor=OLIVE, now=NOW)

        assert input_rate(NOW) == 5 * USD
        assert len(rows(PriceStatus.SUPERSEDED)) == 1


@pytest.mark.usefixtures("empty_book")
class TestCommands:
    def test_import_review_and_leave_nothing_to_do(self) -> None:
        first = _say("import_prices", "--provider", "groq")
        shown = _say("review_prices", "--provider", "groq", "--model", "llama-3.3-70b-versatile")
        approved = _say("review_prices", "--approve", "--by", "olive", "--reason", "checked")
        second = _say("import_prices", "--provider", "groq")

        assert "groq:" in first
        assert "Decide with" in first
        assert "groq:llama-3.3-70b-versatile" in shown
        assert "input $0." in shown
        assert "approved." in approved
        assert " 0 new, 0 changed" in second
        assert _say("review_prices") == "No price waits for a decision.\n"

    def test_refuse_a_provider_that_is_not_there(self) -> None:
        with pytest.raises(CommandError, match="no provider nobody"):
            _say("import_prices", "--provider", "nobody")

    def test_refuse_a_decision_without_a_name(self) -> None:
        find(listed())

        with pytest.raises(CommandError, match="needs --by and --reason"):
            _say("review_prices", "--approve")


def _say(*arguments: str) -> str:
    said = StringIO()
    call_command(*arguments, stdout=said)
    return said.getvalue()
