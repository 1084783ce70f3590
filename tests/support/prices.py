"""A price source as small as a test needs it."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from kernel.actor import Actor
from kernel.tenancy import in_public
from routing.selectors.prices import proposals
from routing.services.price_approval import approve_prices
from routing.services.price_import import import_prices
from routing.services.price_source import LeftOut, ListedPrice, Source
from routing.services.price_source_rates import Terms
from telemetry.models import AuditEntry

OLIVE = Actor(name="olive", actor_type="admin", reason="The list of November.")
#: $1 for 1,000,000 tokens.
USD = 10**8


def terms(*, input: int = USD, output: int = 4 * USD, **more: Any) -> Terms:
    """Terms with these rates, in USD_MICROCENTS per 1,000,000 tokens."""
    plain = Terms(
        rates={"standard": {"input": input, "output": output}},
        long_context_from=None,
        per_call=0,
        tool_fees={},
        notes="",
    )
    return replace(plain, **more)


def listed(model: str = "gpt-x", *, provider: str = "openai", **fields: Any) -> ListedPrice:
    plain = ListedPrice(
        provider=provider,
        model=model,
        aliases=(),
        context_window=128_000,
        effective_from=None,
        effective_until=None,
        terms=terms(),
    )
    return replace(plain, **fields)


def source(*prices: ListedPrice, version: str = "1.0", left_out: tuple[LeftOut, ...] = ()) -> Source:
    return Source(version=version, prices=prices, left_out=left_out)


def put_in_force(*prices: ListedPrice, now: datetime) -> None:
    """Import and approve."""
    import_prices(source(*prices), actor=OLIVE, now=now)
    approve_prices([version.pk for version in proposals()], actor=OLIVE, now=now)


def last_entry(action: str) -> AuditEntry:
    """What was written down last about `action`; ids are in the order of time."""
    with in_public():
        return AuditEntry.objects.filter(action=action).latest("pk")
