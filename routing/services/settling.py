"""From a provider's raw usage to what a reservation is settled with."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from kernel.ids import Tag
from routing.pricing.book import TOOL_PROVIDER, ModelUnknown, PriceBook
from routing.pricing.charge import Charge, ChargeLine, Rounding, price_usage
from routing.pricing.fallback import FALLBACK_TOOL_FEE
from routing.pricing.kinds import Mode
from routing.pricing.names import names_of
from routing.pricing.parsing import Endpoint, parse_usage
from routing.pricing.price import Price, price_of_document
from routing.pricing.usage import Usage
from routing.selectors.prices import model_prices, price_book

_LIST_SECONDS: Final = 60.0
_NO_TOKENS_AT: Final = "usage"


class Hold(msgspec.Struct, kw_only=True):
    """What `read_hold_v1` says of a reservation."""

    status: str
    slug: str = ""
    subject: Mapping[str, Any] = {}
    action: Mapping[str, Any] = {}
    unit: str = ""
    tokens: int | None = None
    scope_path: str = ""
    run: str | None = None
    key_id: str | None = None
    created_at_ms: int = 0
    route: Mapping[str, Any] | None = None

    @property
    def made_at(self) -> datetime:
        return datetime.fromtimestamp(self.created_at_ms / 1000, UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """What the runtime says of a call. Empty names are taken from the decision's route, else from the action's name."""

    usage: Mapping[str, Any]
    endpoint: Endpoint | None = None
    provider: str = ""
    model: str = ""
    is_batch: bool = False
    tool_calls: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """The call, counted and priced. `cost_to_us` is at the provider's list price, in USD_MICROCENTS."""

    usage: Usage
    charge: Charge
    cost_to_us: int

    def as_document(self) -> dict[str, Any]:
        """What the ledger entry keeps beside the amount."""
        return self.charge.as_document() | {"provider_cost": self.cost_to_us}


def settlement_of(hold: Hold, reported: Reported, *, tag: Tag) -> Settlement:
    """Count and price what was reported, at the price of the moment of the request.

    That is the decision's own price where the model is the one that it chose, and needs no query. A model without a
    price costs the flagged fallback, never nothing.
    Raises `UsageMissing`, `UsageInvalid` or `AmountTooLarge`.
    """
    endpoint = reported.endpoint or _endpoint_of(reported.usage)
    usage = parse_usage(endpoint, reported.usage, mode=Mode.BATCH if reported.is_batch else None)
    provider, model = _names(hold, reported, usage)
    price = _price(hold, provider=provider, model=model, tag=tag)
    charge = price_usage(usage, price, rounding=Rounding.SETTLE, requested_at=hold.made_at)
    charge = _with_tools(charge, reported.tool_calls, hold=hold, tag=tag)
    at_list = price_usage(
        usage,
        _list_prices().provider_cost(provider=provider, model=model),
        rounding=Rounding.SETTLE,
        requested_at=hold.made_at,
    )
    return Settlement(usage=usage, charge=charge, cost_to_us=at_list.total)


def _endpoint_of(payload: Mapping[str, Any]) -> Endpoint:
    """Told from the words that only one API uses; OpenAI's first API is what most others speak."""
    usage = next((payload[name] for name in ("usage", "usageMetadata", "usage_metadata") if name in payload), payload)
    names = set(usage) if isinstance(usage, Mapping) else set()
    if names & {"promptTokenCount", "candidatesTokenCount", "totalTokenCount", "prompt_token_count"}:
        return Endpoint.GENERATE_CONTENT
    if names & {"cache_creation_input_tokens", "cache_read_input_tokens", "cache_creation", "server_tool_use"}:
        return Endpoint.MESSAGES
    if names & {"input_tokens_details", "output_tokens_details"}:
        return Endpoint.RESPONSES
    if "input_tokens" in names:
        return Endpoint.RESPONSES if "total_tokens" in names else Endpoint.MESSAGES
    return Endpoint.CHAT_COMPLETIONS if "completion_tokens" in names else Endpoint.EMBEDDINGS


def _names(hold: Hold, reported: Reported, usage: Usage) -> tuple[str, str]:
    route = hold.route if hold.route is not None and "model" in hold.route else None
    named_provider, _, named_model = str(hold.action.get("name", "")).rpartition(":")
    provider = reported.provider or (route["provider"] if route else "") or named_provider
    said = reported.model or usage.model
    if route is not None and (not said or route["model"].lower() in names_of(_bare(said))):
        # A revision of the model that was chosen is that model.
        return provider.lower(), route["model"].lower()
    return provider.lower(), (_bare(said) or named_model).lower()


def _bare(model: str) -> str:
    """The model's name without the provider's that may stand before it."""
    return model.rpartition(":")[2]


def _price(hold: Hold, *, provider: str, model: str, tag: Tag) -> Price:
    route = hold.route
    if (
        route is not None
        and "modes" in route.get("price", {})
        and (route["provider"], route["model"]) == (provider, model)
    ):
        return price_of_document(route["price"], provider=provider, model=model)
    book = model_prices(models=[(provider, model)], at=hold.made_at, tag=tag)
    return book.price_or_fallback(provider=provider, model=model)


def _with_tools(charge: Charge, calls: Mapping[str, int], *, hold: Hold, tag: Tag) -> Charge:
    """`charge` with the fees of the tools that the runtime ran itself."""
    if not any(calls.values()):
        return charge
    book = model_prices(models=[(TOOL_PROVIDER, tool) for tool in calls], at=hold.made_at, tag=tag)
    lines = tuple(_tool_line(book, tool, count) for tool, count in sorted(calls.items()) if count)
    return replace(charge, lines=(*charge.lines, *lines), total=charge.total + sum(line.amount for line in lines))


def _tool_line(book: PriceBook, tool: str, count: int) -> ChargeLine:
    try:
        fee, is_fallback = book.price(provider=TOOL_PROVIDER, model=tool).per_call, False
    except ModelUnknown:
        fee, is_fallback = FALLBACK_TOOL_FEE, True
    return ChargeLine(
        kind="tool", name=tool, quantity=count, unit_price=fee, per=1, amount=count * fee, is_fallback=is_fallback
    )


@dataclass(slots=True)
class _ListPrices:
    """What providers take of anybody; only our own statistics go by it, so it may be a minute old.

    One thread reads it anew, the others go on with what there is.
    """

    book: PriceBook | None = None
    until: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self) -> PriceBook:
        known = self.book
        if known is not None and (time.monotonic() < self.until or not self.lock.acquire(blocking=False)):
            return known
        if known is None:
            self.lock.acquire()
        try:
            if self.book is None or time.monotonic() >= self.until:
                self.book = price_book(at=datetime.now(UTC))
                self.until = time.monotonic() + _LIST_SECONDS
            return self.book
        finally:
            self.lock.release()


_lists: Final = _ListPrices()


def _list_prices() -> PriceBook:
    return _lists.get()
