"""What calls cost that runtimes have seen: at the tenant's prices of the calls' own time, as a settlement would be."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime

from kernel.ids import Tag
from routing.pricing.book import TOOL_PROVIDER, ModelUnknown, PriceBook
from routing.pricing.charge import AmountTooLarge, Rounding, price_usage
from routing.pricing.kinds import Kind, Mode
from routing.pricing.usage import Usage
from routing.selectors.prices import model_prices
from telemetry.evidence.kinds import SpanKind
from telemetry.evidence.services.counting import Call, Cost


def observed_costs(tag: Tag, calls: Sequence[Call]) -> Callable[[Call], Cost | None]:
    """What each of these calls costs. Prices are read once for each hour that they fall in.

    A model without a price costs the fallback, flagged; a tool without one costs nothing that we know of. None for a
    call that used nothing.
    """
    wanted: defaultdict[datetime, set[tuple[str, str]]] = defaultdict(set)
    for call in calls:
        wanted[_hour(call)].add(_names(call))
    books = {hour: model_prices(models=models, at=hour, tag=tag) for hour, models in wanted.items()}

    def cost_of(call: Call) -> Cost | None:
        book = books.get(_hour(call))
        if book is None:
            return None
        return _tool_cost(book, call) if call.kind == SpanKind.TOOL else _model_cost(book, call)

    return cost_of


def _hour(call: Call) -> datetime:
    return call.at.replace(minute=0, second=0, microsecond=0)


def _names(call: Call) -> tuple[str, str]:
    if call.kind == SpanKind.TOOL:
        return TOOL_PROVIDER, call.name
    # As a settlement names it: without the provider's name that may stand before the model's.
    return call.provider.lower(), call.name.rpartition(":")[2].lower()


def _tool_cost(book: PriceBook, call: Call) -> Cost | None:
    try:
        price = book.price(provider=TOOL_PROVIDER, model=call.name)
    except ModelUnknown:
        return None
    return Cost(price.per_call, is_fallback=False, name=price.model)


def _model_cost(book: PriceBook, call: Call) -> Cost | None:
    if not (call.tokens_input or call.tokens_output):
        return None
    provider, model = _names(call)
    reasoning = min(call.tokens_reasoning, call.tokens_output)
    tokens = {
        Kind.INPUT: max(call.tokens_input - call.tokens_cached - call.tokens_cache_write, 0),
        Kind.CACHED_INPUT: call.tokens_cached,
        Kind.CACHE_WRITE: call.tokens_cache_write,
        Kind.OUTPUT: call.tokens_output - reasoning,
        Kind.REASONING: reasoning,
    }
    usage = Usage(tokens={kind: count for kind, count in tokens.items() if count}, mode=Mode.STANDARD)
    price = book.price_or_fallback(provider=provider, model=model)
    try:
        charge = price_usage(usage, price, rounding=Rounding.SETTLE, requested_at=call.at)
    except AmountTooLarge:
        # No call costs that: its numbers are not true.
        return None
    return Cost(charge.total, is_fallback=charge.is_fallback, name=charge.model)
