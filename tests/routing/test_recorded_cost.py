"""Our prices beside what a benchmark was charged: 809 queries on two models, with the provider's own counts."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from routing.pricing.book import PriceBook, layer_of
from routing.pricing.charge import Rounding, price_usage
from routing.pricing.parsing import Endpoint, parse_usage
from routing.pricing.price import Price, PriceSource
from routing.services.price_source import read_source
from tests.support.recordings import recorded

NOW = datetime(2026, 11, 22, tzinfo=UTC)
#: The price list that came with the recording has the same rates for both models.
MODELS = [("anthropic", "claude-3-haiku-20240307"), ("google", "gemini-2.0-flash-001")]


@dataclass(frozen=True, slots=True)
class Query:
    ours: int
    #: USD_MICROCENTS.
    theirs: Decimal


@pytest.fixture(scope="module")
def book() -> PriceBook:
    """The list as the source ships it, undated: both models' prices never changed."""
    prices = [
        Price(
            provider=listed.provider,
            model=listed.model,
            aliases=listed.aliases,
            source=PriceSource.LIST,
            version="",
            rates=listed.terms.rates,
            long_context_from=listed.terms.long_context_from,
        )
        for listed in read_source().prices
    ]
    return PriceBook(layers={PriceSource.LIST: layer_of(prices)}, multipliers={})


def queries(book: PriceBook, provider: str, model: str) -> Iterator[Query]:
    price = book.price(provider=provider, model=model)
    with gzip.open(recorded("routerarena") / f"{model}.jsonl.gz", "rt") as lines:
        for line in lines:
            record: dict[str, Any] = json.loads(line, parse_float=Decimal)
            # The recording keeps each provider's count under the names of the Responses API.
            usage = parse_usage(Endpoint.RESPONSES, record["token_usage"])
            charge = price_usage(usage, price, rounding=Rounding.SETTLE, requested_at=NOW)
            cost = record["evaluation_result"]["inference_cost"]
            yield Query(ours=charge.total, theirs=Decimal(cost) * 10**8)


@pytest.mark.parametrize(("provider", "model"), MODELS)
def test_the_recorded_cost_is_ours_to_the_micro_cent(
    book: PriceBook, provider: str, model: str, record_property: Any
) -> None:
    priced = list(queries(book, provider, model))

    farthest = max(abs(query.ours - query.theirs) for query in priced)
    ours, theirs = sum(query.ours for query in priced), sum((query.theirs for query in priced), Decimal(0))
    record_property("queries", len(priced))
    record_property("farthest_microcents", str(farthest))
    record_property("total_difference_ppm", str((ours - theirs) / theirs * 10**6))
    print(f"{model}: {len(priced)} queries, {ours:,} against {theirs:,.3f} micro-cents, farthest {farthest:.3f}")
    assert len(priced) == 809
    # Two lines, each rounded to a whole micro-cent.
    assert farthest <= 1
    assert abs(ours - theirs) / theirs < Decimal("0.00001")
