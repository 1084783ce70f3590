"""Which price a tenant is charged, and what the database itself refuses."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection
from hypothesis import given
from hypothesis import strategies as st

from kernel.ids import Tag, mint_tag
from kernel.tenancy import in_public
from routing.models import PriceVersion
from routing.pricing.book import ANY, ModelUnknown, PriceBook
from routing.pricing.fallback import FALLBACK_PRICE
from routing.pricing.kinds import Kind
from routing.pricing.names import names_of
from routing.pricing.price import RATE_MAX, Price, PriceSource
from routing.selectors.prices import model_prices, price_book, price_versions
from routing.services.price_approval import PriceDatesOverlap
from routing.services.price_setting import (
    InvalidPrice,
    MultiplierDatesOverlap,
    NewPrice,
    set_multiplier,
    set_price,
    set_tool_price,
)
from tests.support.prices import OLIVE, USD, last_entry, listed, put_in_force

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
ACME, INITECH = mint_tag(), mint_tag()

pytestmark = pytest.mark.usefixtures("empty_book")


def new(input_rate: int = 3 * USD, **fields: Any) -> NewPrice:
    plain = NewPrice(
        provider="openai",
        model="gpt-x",
        rates={"standard": {"input": input_rate, "output": 4 * USD}},
        effective_from=NOW - DAY,
    )
    return replace(plain, **fields)


def put(price: NewPrice, *, replaces: bool = False) -> PriceVersion:
    return set_price(price, actor=OLIVE, now=NOW, replaces=replaces)


def charged(tag: str = ACME, *, model: str = "gpt-x", at: datetime = NOW) -> Price:
    return price_book(at=at, tag=tag).price(provider="openai", model=model)


class TestLayers:
    def test_a_contract_wins_over_everything(self) -> None:
        put_in_force(listed(), now=NOW)
        put(new(2 * USD))
        set_multiplier(tag=ACME, ppm=1_500_000, effective_from=NOW - DAY, actor=OLIVE, now=NOW)
        put(new(7 * USD, tag=ACME))

        assert (charged().source, charged().rate(Kind.INPUT)) == (PriceSource.CONTRACT, 7 * USD)

    def test_a_multiplier_multiplies_the_platforms_price(self) -> None:
        put_in_force(listed(), now=NOW)
        put(new(2 * USD))
        set_multiplier(tag=ACME, ppm=1_500_000, effective_from=NOW - DAY, actor=OLIVE, now=NOW)

        assert (charged().source, charged().rate(Kind.INPUT)) == (PriceSource.MULTIPLIER, 3 * USD)

    def test_a_multiplier_multiplies_the_list_where_the_platform_has_no_price(self) -> None:
        put_in_force(listed(), now=NOW)
        set_multiplier(tag=ACME, ppm=500_000, effective_from=NOW - DAY, actor=OLIVE, now=NOW)

        assert charged().rate(Kind.INPUT) == USD // 2

    def test_a_multiplier_of_the_provider_wins_over_that_of_all(self) -> None:
        put_in_force(listed(), now=NOW)
        set_multiplier(tag=ACME, ppm=500_000, effective_from=NOW - DAY, actor=OLIVE, now=NOW)
        set_multiplier(tag=ACME, ppm=2_000_000, provider="OpenAI", effective_from=NOW - DAY, actor=OLIVE, now=NOW)

        assert charged().rate(Kind.INPUT) == 2 * USD

    def test_the_platforms_price_wins_over_the_list(self) -> None:
        put_in_force(listed(), now=NOW)
        put(new(2 * USD))

        assert (charged().source, charged().rate(Kind.INPUT)) == (PriceSource.PLATFORM, 2 * USD)

    def test_the_list_is_what_remains(self) -> None:
        put_in_force(listed(), now=NOW)

        assert charged().source == PriceSource.LIST

    def test_of_one_tenant_are_not_the_others(self) -> None:
        put_in_force(listed(), now=NOW)
        put(new(7 * USD, tag=ACME))
        set_multiplier(tag=ACME, ppm=2_000_000, effective_from=NOW - DAY, actor=OLIVE, now=NOW)

        assert charged(INITECH).rate(Kind.INPUT) == USD
        assert charged("").rate(Kind.INPUT) == USD

    def test_leave_our_own_cost_at_the_list(self) -> None:
        put_in_force(listed(), now=NOW)
        put(new(7 * USD, tag=ACME))

        cost = price_book(at=NOW, tag=ACME).provider_cost(provider="openai", model="gpt-x")

        assert (cost.source, cost.rate(Kind.INPUT)) == (PriceSource.LIST, USD)


class TestTime:
    def test_of_the_request_decides(self) -> None:
        put_in_force(listed(), now=NOW)
        put(new(2 * USD, effective_from=NOW))

        assert (charged(at=NOW - TICK).rate(Kind.INPUT), charged(at=NOW).rate(Kind.INPUT)) == (USD, 2 * USD)

    def test_ends_before_the_end(self) -> None:
        put_in_force(listed(), now=NOW)
        put(new(2 * USD, effective_until=NOW))

        assert (charged(at=NOW - TICK).rate(Kind.INPUT), charged(at=NOW).rate(Kind.INPUT)) == (2 * USD, USD)

    def test_of_a_multiplier_is_the_requests_too(self) -> None:
        put_in_force(listed(), now=NOW)
        set_multiplier(tag=ACME, ppm=2_000_000, effective_from=NOW - DAY, actor=OLIVE, now=NOW)
        set_multiplier(tag=ACME, ppm=3_000_000, effective_from=NOW, actor=OLIVE, now=NOW)

        assert [charged(at=at).rate(Kind.INPUT) for at in (NOW - DAY - TICK, NOW - DAY, NOW - TICK, NOW)] == [
            USD,
            2 * USD,
            2 * USD,
            3 * USD,
        ]


class TestUnknownModel:
    def test_is_refused(self) -> None:
        put_in_force(listed(), now=NOW)

        with pytest.raises(ModelUnknown, match="openai:gpt-99 has no price"):
            charged(model="gpt-99")

    def test_of_the_same_name_elsewhere_is_refused(self) -> None:
        put_in_force(listed(), now=NOW)

        with pytest.raises(ModelUnknown):
            price_book(at=NOW).price(provider="azure", model="gpt-x")

    def test_is_booked_at_the_fallback(self) -> None:
        price = price_book(at=NOW).price_or_fallback(provider="openai", model="gpt-99")

        assert (price.source, price.model) == (PriceSource.FALLBACK, "gpt-99")
        assert price.rates == FALLBACK_PRICE.rates

    def test_is_booked_at_the_platforms_own_fallback(self) -> None:
        put(new(99 * USD, provider=ANY, model=ANY))

        price = model_prices(models=[("openai", "gpt-99")], at=NOW).price_or_fallback(provider="openai", model="gpt-99")

        assert (price.source, price.rate(Kind.INPUT)) == (PriceSource.FALLBACK, 99 * USD)

    def test_is_unknown_though_the_fallback_has_a_price(self) -> None:
        put(new(99 * USD, provider=ANY, model=ANY))

        with pytest.raises(ModelUnknown):
            charged(model="gpt-99")


class TestNames:
    @pytest.mark.parametrize(
        "asked", ["gpt-x", "GPT-X", "gpt-x-2026-08-07", "gpt-x-20260807", "gpt-x@20260807", "gpt-x-001", "gpt-x-latest"]
    )
    def test_with_a_date_or_a_revision_are_the_model(self, asked: str) -> None:
        put_in_force(listed(), now=NOW)

        assert charged(model=asked).model == "gpt-x"
        assert model_prices(models=[("OpenAI", asked)], at=NOW).price(provider="OpenAI", model=asked).model == "gpt-x"

    @pytest.mark.parametrize("asked", ["gpt-x-mini", "gpt", "gpt-x-2026", "gpt-x-999", "my-gpt-x", "gpt-x-preview"])
    def test_that_only_look_alike_are_unknown(self, asked: str) -> None:
        put_in_force(listed(), now=NOW)

        with pytest.raises(ModelUnknown):
            charged(model=asked)

    def test_of_its_own_go_before_the_alias_of_another(self) -> None:
        put_in_force(listed("gpt-a", aliases=("gpt-x", "gpt-z")), listed(), now=NOW)

        assert charged(model="gpt-x").model == "gpt-x"
        assert charged(model="gpt-z").model == "gpt-a"

    @given(st.text(max_size=300))
    def test_are_looked_for_without_fail(self, asked: str) -> None:
        assert names_of(asked)[0] == asked.lower()[:256]


class TestOneModel:
    def test_costs_the_same_as_in_the_whole_book(self) -> None:
        put_in_force(listed(), listed("gpt-y", aliases=("gpt-yy",)), now=NOW)
        put(new(2 * USD))
        set_multiplier(tag=ACME, ppm=1_500_000, effective_from=NOW - DAY, actor=OLIVE, now=NOW)

        for model in ("gpt-x", "gpt-y", "gpt-yy-latest"):
            alone = model_prices(models=[("openai", model)], at=NOW, tag=ACME)
            assert alone.price(provider="openai", model=model) == charged(model=model)

    def test_is_all_that_is_read(self) -> None:
        put_in_force(listed(), listed("gpt-y"), listed("gpt-z"), now=NOW)

        some = model_prices(models=[("openai", "gpt-x"), ("openai", "gpt-z")], at=NOW)

        assert [key for key, _ in some.models()] == [("openai", "gpt-x"), ("openai", "gpt-z")]


class TestTools:
    def test_have_prices_of_their_own(self) -> None:
        set_tool_price(tool="crm.find", fee=1_000, effective_from=None, actor=OLIVE, now=NOW)
        set_tool_price(tool="crm.find", fee=700, effective_from=None, tag=ACME, actor=OLIVE, now=NOW)
        set_tool_price(tool="free", fee=0, effective_from=None, actor=OLIVE, now=NOW)

        assert price_book(at=NOW).tools() == {"crm.find": 1_000, "free": 0}
        assert price_book(at=NOW, tag=ACME).tools() == {"crm.find": 700, "free": 0}

    def test_are_no_models(self) -> None:
        put_in_force(listed(), now=NOW)
        set_tool_price(tool="crm.find", fee=1_000, effective_from=None, actor=OLIVE, now=NOW)

        assert [key for key, _ in price_book(at=NOW).models()] == [("openai", "gpt-x")]


class TestDates:
    def test_that_overlap_are_refused(self) -> None:
        put(new())

        with pytest.raises(PriceDatesOverlap):
            put(new(effective_from=NOW))
        assert len(price_versions(provider="openai", model="gpt-x")) == 1

    def test_that_overlap_are_replaced_when_asked(self) -> None:
        put(new(2 * USD))
        put(new(3 * USD, effective_from=NOW), replaces=True)

        assert (charged(at=NOW - TICK).rate(Kind.INPUT), charged(at=NOW).rate(Kind.INPUT)) == (2 * USD, 3 * USD)

    def test_that_touch_are_no_overlap(self) -> None:
        put(new(2 * USD, effective_until=NOW))
        put(new(3 * USD, effective_from=NOW))

        assert charged(at=NOW).rate(Kind.INPUT) == 3 * USD

    def test_of_two_layers_or_tenants_may_overlap(self) -> None:
        put_in_force(listed(), now=NOW)
        put(new())
        put(new(tag=ACME))
        put(new(tag=INITECH))

        assert charged().source == PriceSource.CONTRACT

    def test_of_multipliers_that_overlap_are_refused(self) -> None:
        set_multiplier(tag=ACME, ppm=2_000_000, effective_from=NOW, actor=OLIVE, now=NOW)

        for at in (NOW, NOW - DAY):
            with pytest.raises(MultiplierDatesOverlap):
                set_multiplier(tag=ACME, ppm=3_000_000, effective_from=at, actor=OLIVE, now=NOW)


BAD: dict[str, dict[str, Any]] = {
    "no name": {"model": ""},
    "a name of spaces": {"provider": "  "},
    "a name with a NUL": {"model": "a\0b"},
    "a long name": {"model": "m" * 257},
    "no standard rates": {"rates": {"batch": {"input": 1}}},
    "an unknown mode": {"rates": {"standard": {"input": 1}, "slow": {"input": 1}}},
    "an unknown kind": {"rates": {"standard": {"inputs": 1}}},
    "nothing": {"rates": {"standard": {}}},
    "a negative rate": {"rates": {"standard": {"input": -1}}},
    "a rate too large": {"rates": {"standard": {"input": RATE_MAX + 1}}},
    "a fraction": {"rates": {"standard": {"input": 1.5}}},
    "a boolean": {"rates": {"standard": {"input": True}}},
    "a negative fee": {"per_call": -1},
    "a negative tool fee": {"tool_fees": {"web_search": -1}},
    "long rates without a size": {"rates": {"standard": {"input": 1}, "standard_long": {"input": 2}}},
    "a size without long rates": {"long_context_from": 5},
    "an end at its beginning": {"effective_until": NOW - DAY},
}


class TestPriceThatCannotBe:
    @pytest.mark.parametrize("fields", BAD.values(), ids=BAD.keys())
    def test_is_refused(self, fields: dict[str, Any]) -> None:
        with pytest.raises(InvalidPrice):
            put(new(**fields))

    @pytest.mark.parametrize(("ppm", "fits"), [(999, False), (1_000, True), (10**9, True), (10**9 + 1, False)])
    def test_is_refused_as_a_multiplier(self, ppm: int, fits: bool) -> None:
        try:
            set_multiplier(tag=ACME, ppm=ppm, effective_from=NOW, actor=OLIVE, now=NOW)
        except InvalidPrice:
            assert not fits
        else:
            assert fits

    @pytest.mark.parametrize("rate", ["-1", "1.5", '"1"', "null", "true", "10000000000001", "[]"])
    def test_is_refused_by_the_table_itself(self, rate: str) -> None:
        put(new())

        with in_public(), connection.cursor() as cursor, pytest.raises(IntegrityError):
            cursor.execute(
                "INSERT INTO price_version SELECT (jsonb_populate_record(p, jsonb_build_object('id', gen_random_uuid(),"
                " 'status', 'PROPOSED', 'rates', jsonb_build_object('standard', jsonb_build_object('input',"
                " %s::jsonb))))).* FROM price_version AS p",
                [rate],
            )


class TestSavedPrice:
    @pytest.mark.parametrize(
        "change", ["UPDATE price_version SET rates = '{\"standard\": {}}'", "DELETE FROM price_version"]
    )
    def test_keeps_its_numbers(self, change: str) -> None:
        put(new())

        with in_public(), connection.cursor() as cursor, pytest.raises(DatabaseError, match="permission denied"):
            cursor.execute(change)

    def test_is_written_down(self) -> None:
        put(new())

        entry = last_entry("price.set")
        assert entry.actor == "olive"
        assert entry.after is not None
        assert entry.after["rates"]["standard"]["input"] == 3 * USD


class TestEmptyBook:
    def test_knows_no_model(self) -> None:
        book = PriceBook(layers={}, multipliers={})

        assert list(book.models()) == []
        with pytest.raises(ModelUnknown):
            book.price(provider="openai", model="gpt-x")


def test_a_tag_is_whose_contract_it_is() -> None:
    with pytest.raises(IntegrityError, match="price_of_a_contract_has_a_tenant"):
        put(new(tag=Tag("Not a tag")))
