"""The prices that the package `genai-prices` ships, as timelines of whole numbers.

Its network updater is never used: what we charge changes when somebody installs a version and approves it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time
from importlib.metadata import version

from genai_prices import types as source
from genai_prices.data import providers

from routing.services.price_source_rates import NotPriceable, Terms, terms_of

SOURCE = "genai-prices"

#: From when, and what is charged or why we cannot say it.
type _Stretch = tuple[datetime | None, Terms | NotPriceable]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPrice:
    """What the source says of one model for one stretch of time; None: it names no beginning, or no end."""

    provider: str
    model: str
    aliases: tuple[str, ...]
    context_window: int | None
    effective_from: datetime | None
    effective_until: datetime | None
    terms: Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A model whose latest price we cannot represent; from then on it is unknown, and an unknown model is refused."""

    provider: str
    model: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """`prices` in the order of time for each model."""

    version: str
    prices: tuple[ListedPrice, ...]
    left_out: tuple[LeftOut, ...]


def read_source() -> Source:
    """Everything in the installed package. No network."""
    prices: list[ListedPrice] = []
    left_out: list[LeftOut] = []
    for provider in providers:
        for model in provider.models:
            stretches = _stretches(model)
            prices.extend(_listed(provider.id, model, stretches))
            last = stretches[-1][1]
            if isinstance(last, NotPriceable):
                left_out.append(LeftOut(provider=provider.id.lower(), model=model.id.lower(), why=str(last)))
    return Source(version=version("genai-prices"), prices=tuple(prices), left_out=tuple(left_out))


def _listed(provider: str, model: source.ModelInfo, stretches: list[_Stretch]) -> Iterator[ListedPrice]:
    ends = [start for start, _ in stretches[1:]] + [None]
    for (start, terms), end in zip(stretches, ends, strict=True):
        if isinstance(terms, NotPriceable):
            continue
        yield ListedPrice(
            provider=provider.lower(),
            model=model.id.lower(),
            aliases=tuple(sorted(set(_aliases(model.match)) - {model.id.lower()})),
            context_window=model.context_window,
            effective_from=start,
            effective_until=end,
            terms=terms,
        )


def _stretches(model: source.ModelInfo) -> list[_Stretch]:
    """One price for each stretch between two dates on which anything changes; equal neighbours are one.

    A stretch whose price we cannot represent stays without one.
    """
    stretches: list[_Stretch] = []
    for start in (None, *sorted(set(_start_dates(model)))):
        terms = _terms(model, start)
        if not stretches or stretches[-1][1] != terms:
            stretches.append((start, terms))
    return stretches


def _terms(model: source.ModelInfo, start: datetime | None) -> Terms | NotPriceable:
    try:
        return terms_of(model, at=start)
    except NotPriceable as reason:
        return reason


def _start_dates(model: source.ModelInfo) -> Iterator[datetime]:
    conditional = model.prices if isinstance(model.prices, list) else []
    for constraint in [price.constraint for price in conditional] + [
        variant.constraint for variant in model.price_variants or []
    ]:
        if isinstance(constraint, source.StartDateConstraint):
            yield datetime.combine(constraint.start_date, time(), tzinfo=UTC)


def _aliases(clause: object) -> Iterator[str]:
    """Names that the source takes for the model. Of a beginning, the beginning itself: what follows is a date."""
    match clause:
        case source.ClauseEquals(equals=name) | source.ClauseStartsWith(starts_with=name):
            yield name.lower().rstrip("-")
        case source.ClauseOr(or_=clauses):
            for each in clauses:
                yield from _aliases(each)
        case _:
            # Parts of names and patterns match more than anybody could list; the model's own name remains.
            return
